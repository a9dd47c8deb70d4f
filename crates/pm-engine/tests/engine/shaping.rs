//! Traffic control: a host's own root is never lost, classes are there before rules name them, and
//! what cannot be shaped is counted and cut off all the same.

use std::collections::BTreeMap;

use pm_core::event::Event;
use pm_core::request::{Refusal, Request, Selection};
use pm_core::ruleset::{Class, Direction};
use pm_core::shaping::{Classifier, classes};
use pm_core::units::BitRate;
use pm_engine::doctor::{Finding, ShapingProblem};
use pm_engine::{EngineError, Options};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::backend::{Fate, Script, TcCall};
use crate::host::{End, Host, Pm};
use crate::requests::{
    FORCE, add, limit, limit_in, no_limit, no_quota, ports, quota, rate, set, set_used, some,
};
use crate::task::Task;

const INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// A host whose one uplink has a root that its owner chose, with its queues; nothing is limited.
pub(crate) fn connected() -> Host {
    let host = Host::with(&[("20000", quota(50_000)), ("20001", no_quota())]);
    host.tc(|tc| {
        INTERFACES.iter().for_each(|name| tc.add_interface(name));
        tc.choose("eth0", "mq", &["fq", "sfq"]);
        tc.uplinks.insert("eth0".to_owned());
    });
    host
}

/// The same, with one service limited.
fn limited() -> Host {
    let mut host = connected();
    host.request(&set("20000", limit("5M")));
    host
}

/// The same, with nothing limited any more and the root given back by the next tick.
fn idle() -> Host {
    let mut host = limited();
    host.request(&set("20000", no_limit()));
    host.tick();
    host.tick();
    assert!(is_taken(&host, "eth0"));
    host
}

/// Everything that can change a shape, and the host on which it does.
fn tasks() -> Vec<(Host, Task)> {
    let classifier = Request::SetClassifier("fwmark".parse().unwrap());
    let delete = Request::Delete {
        ports: some("20000"),
    };
    vec![
        (connected(), Task::Ask(set("20000", limit("5M")))),
        (connected(), Task::Ask(add("20002,20003", limit("5M")))),
        (limited(), Task::Ask(set("20000", limit("6M")))),
        (limited(), Task::Ask(set("20001", limit("6M")))),
        (limited(), Task::Ask(set("20000", no_limit()))),
        (limited(), Task::Ask(set("20000", quota(60_000)))),
        (limited(), Task::Ask(delete)),
        (limited(), Task::Ask(classifier)),
        (limited(), Task::Tick),
        (limited(), Task::Teardown),
        (idle(), Task::Tick),
        (idle(), Task::Ask(set("20001", limit("6M")))),
        (idle(), Task::Restore),
    ]
}

/// Returns what doctor says against limits.
fn shaping_problem(host: &mut Host) -> Option<ShapingProblem> {
    let findings = host.run(Script::default(), |engine| Ok(engine.doctor()));
    let problem = |finding| match finding {
        Finding::Shaping { problem, .. } => Some(problem),
        _ => None,
    };
    findings.done().into_iter().find_map(problem).unwrap()
}

fn with(fate: Fate) -> Script {
    Script {
        fate,
        ..Script::default()
    }
}

fn is_taken(host: &Host, name: &str) -> bool {
    host.tc(|tc| tc.tree(name).is_some())
}

fn is_given_back(host: &Host, name: &str) -> bool {
    host.tc(|tc| tc.is_given_back(name))
}

/// Returns the classes that an interface has.
pub(crate) fn shaped(host: &Host, name: &str) -> BTreeMap<u16, BitRate> {
    host.tc(|tc| {
        let tree = tc.tree(name);
        tree.map(|tree| tree.classes.clone()).unwrap_or_default()
    })
}

/// Returns the classes that there must be.
fn wanted(host: &Host) -> BTreeMap<u16, BitRate> {
    let state = host.saved().unwrap();
    match state.torn_down {
        true => BTreeMap::new(),
        false => classes(&host.config(), &state),
    }
}

/// Asserts that what an interface's owner left at its root is either there or saved.
pub(crate) fn assert_recorded(host: &Host, when: &str) {
    let state = host.saved().unwrap();
    for name in interfaces(host) {
        if !is_given_back(host, &name) {
            let mark = state.interfaces.get(&name).map(|mark| mark.host.clone());
            assert_eq!(mark, Some(host.tc(|tc| tc.own(&name))), "{name}, {when}");
        }
    }
}

fn interfaces(host: &Host) -> Vec<String> {
    host.tc(|tc| tc.interfaces().map(ToOwned::to_owned).collect())
}

/// Asserts that uplinks shape what they must and nothing else, and that every other interface is
/// as its owner left it.
pub(crate) fn assert_settled(host: &Host, when: &str) {
    assert_shaped(host, when);
    let is_needed = !wanted(host).is_empty();
    let noted = host.saved().unwrap().interfaces;
    for name in interfaces(host) {
        if !is_needed || host.tc(|tc| !tc.uplinks.contains(&name)) {
            assert!(is_given_back(host, &name), "{name}, {when}");
            assert!(!noted.contains_key(&name), "{name}, {when}");
        }
    }
}

/// Asserts that uplinks shape what they must and nothing else.
pub(crate) fn assert_shaped(host: &Host, when: &str) {
    assert_recorded(host, when);
    let wanted = wanted(host);
    for name in host.tc(|tc| tc.uplinks.clone()) {
        assert!(wanted.is_empty() || is_taken(host, &name), "{name}, {when}");
        assert_eq!(shaped(host, &name), wanted, "{name}, {when}");
    }
    let installed = host.kernel(|kernel| kernel.installed());
    let unclassed = host.tc(|tc| tc.unclassed(&installed));
    assert!(unclassed.is_empty(), "{unclassed:?}, {when}");
}

/// Lets as many ticks pass as an interface keeps what it does not need.
fn wait(host: &mut Host) {
    for _ in 0..3 {
        Task::Tick.well(host);
    }
}

#[test]
fn a_limit_is_in_force_when_the_request_returns() {
    let mut host = connected();
    host.request(&set("20000", limit("5M")));
    assert_settled(&host, "limited");
    let wanted = [(20000, rate("5M"))];
    assert_eq!(shaped(&host, "eth0"), wanted.into());
    let rooms = host.kernel(|kernel| kernel.installed().rooms);
    let [(room, found)] = &rooms
        .iter()
        .filter(|(room, _)| room.ports == ports("20000"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one room each: {rooms:?}")
    };
    let inside = found.intact.as_ref().unwrap();
    assert_eq!(inside.class, Some(Class::Priority(0x706d_4e20)), "{room}");
    // What is far ahead of the class is dropped before it is billed.
    assert_eq!(inside.policing.outgoing, Some(781_250), "{room}");

    host.request(&set("20000", no_limit()));
    assert_eq!(shaped(&host, "eth0"), BTreeMap::new());
}

/// Each of them asks netlink, at a cost that those who limit nothing should not bear.
#[test]
fn who_limits_nothing_asks_traffic_control_nothing() {
    let mut host = connected();
    host.tc(|tc| tc.choose("eth0", "sfq", &[]));
    let calls = |host: &Host| host.calls().shaping;
    let requests = [
        add("20002", no_quota()),
        set("20000", quota(70_000)),
        set("20001", limit_in("5M")),
        set_used("20000", 5),
        Request::Block {
            ports: some("20000"),
        },
        Request::Reset {
            ports: Selection::All,
        },
        Request::Delete {
            ports: some("20002"),
        },
    ];
    for request in requests {
        host.request(&request);
        assert_eq!(calls(&host), [], "`{request}`");
        host.tick();
        assert_eq!(calls(&host), [], "a tick after `{request}`");
    }
    host.run(Script::default(), Pm::view).done();
    assert_eq!(calls(&host), [], "a view");
    host.history();
    assert_eq!(calls(&host), [], "a look at history");
    for task in [Task::Teardown, Task::Tick, Task::Restore] {
        task.well(&mut host);
        assert_eq!(calls(&host), [], "{task:?}");
    }
}

/// A tick with nothing to change reads, and changes nothing.
#[test]
fn a_tick_changes_no_shape_that_is_right() {
    let mut host = limited();
    host.tick();
    assert_eq!(host.calls().requests, []);
    assert_eq!(host.calls().shaping.len(), 4);
}

/// It must not wait for the first limit, or the first punishment, to be found out.
#[test]
fn a_classifier_that_the_kernel_lacks_is_refused_before_anything_is_limited() {
    let mut host = connected();
    host.tc(|tc| tc.lacks_fw = true);
    let by_mark = "fwmark".parse().unwrap();
    let request = Request::SetClassifier(by_mark);
    for dry_run in [true, false] {
        let options = Options { dry_run, ..FORCE };
        let end = host.run(Script::default(), |engine| {
            engine.execute(&request, options)
        });
        let error = end.failed();
        let EngineError::Refused(Refusal::NoClassifier { classifier, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!(classifier, by_mark);
        assert_eq!(host.config().classifier, Classifier::Priority);
        assert_eq!(host.calls().requests, []);
    }
    assert_eq!(shaping_problem(&mut host), None);
    // Taken from a kernel that has it, with the configuration.
    host.tc(|tc| tc.lacks_fw = false);
    host.request(&request);
    host.tc(|tc| tc.lacks_fw = true);
    let limit = set("20000", limit("5M"));
    let error = host.run_request(&limit, Script::default()).failed();
    assert!(
        matches!(error, EngineError::Refused(Refusal::NoShaping(_))),
        "{error}"
    );
    let problem = shaping_problem(&mut host);
    assert_eq!(problem, Some(ShapingProblem::NoFwClassifier));
    host.request(&Request::SetClassifier(Classifier::Priority));
    host.request(&limit);
}

/// What somebody does to pm's tree on eth0.
type Meddle = fn(&Host);

/// Both those who ask and those who only read the log learn it.
#[test]
fn limits_that_somebody_else_removed_are_told_and_put_back() {
    let ways: [(&str, Meddle); 3] = [
        ("gone", |host| {
            host.tc(|tc| tc.choose("eth0", "mq", &["fq", "sfq"]));
        }),
        ("changed", |host| {
            host.tc(|tc| tc.set_class("eth0", 20000, rate("9M")));
        }),
        ("damaged", |host| host.tc(|tc| tc.damage("eth0"))),
    ];
    for (name, meddle) in ways {
        let mut host = limited();
        assert_eq!(host.tick(), [], "{name}");
        assert_eq!(shaping_problem(&mut host), None, "{name}");
        meddle(&host);
        let interfaces = vec!["eth0".to_owned()];
        let problem = ShapingProblem::NotInForce { interfaces };
        assert_eq!(shaping_problem(&mut host), Some(problem), "{name}");
        let since = host.saved().unwrap().last_tick;
        let interface = "eth0".to_owned();
        let told = [Event::LimitsLost { interface, since }];
        assert_eq!(host.tick(), told, "{name}");
        assert_settled(&host, name);
        assert_eq!(shaping_problem(&mut host), None, "{name}");
        assert_eq!(host.tick(), [], "{name}");
    }
}

/// What comes next, when a call was cut short.
fn continuations() -> Vec<(&'static str, Vec<Task>)> {
    let limit_again = Task::Ask(set("20001", limit("7M")));
    let no_limit = Task::Ask(Request::Set {
        ports: Selection::All,
        settings: no_limit(),
        used: None,
    });
    vec![
        ("ticks", vec![]),
        ("a teardown", vec![Task::Teardown]),
        ("a restoration", vec![Task::Restore]),
        ("a limit", vec![limit_again.clone()]),
        ("no limits", vec![no_limit.clone()]),
        ("a tick and a teardown", vec![Task::Tick, Task::Teardown]),
        ("a limit and none", vec![limit_again, no_limit]),
    ]
}

#[test]
fn a_root_is_put_back_exactly_whoever_comes_after_a_death() {
    for (before, task) in tasks() {
        for moment in 0.. {
            let mut host = before.copy();
            let end = task.run(&mut host, with(Fate::Die(moment)));
            let when = format!("{task:?} killed in moment {moment}");
            assert_recorded(&host, &when);
            for (name, then) in continuations() {
                let when = format!("{when}, then {name}");
                let mut host = host.copy();
                for task in then {
                    task.well(&mut host);
                    assert_recorded(&host, &when);
                }
                wait(&mut host);
                assert_settled(&host, &when);
                Task::Teardown.well(&mut host);
                assert_settled(&host, &when);
            }
            if let End::Done(_) = end {
                break;
            }
        }
    }
}

/// The same, where the kernel fails and pm goes on.
#[test]
fn a_root_is_put_back_exactly_whatever_fails() {
    for (before, task) in tasks() {
        for moment in 0.. {
            let mut host = before.copy();
            drop(task.run(&mut host, with(Fate::Fail(moment))));
            let is_over = !host.calls().met;
            let when = format!("{task:?} failing in moment {moment}");
            assert_recorded(&host, &when);
            for (name, then) in continuations() {
                let when = format!("{when}, then {name}");
                let mut host = host.copy();
                for task in then {
                    task.well(&mut host);
                    assert_recorded(&host, &when);
                }
                wait(&mut host);
                assert_settled(&host, &when);
            }
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn classes_are_there_before_rules_name_them() {
    for (before, task) in tasks() {
        // Without a request, the rules come first: they are what must not wait.
        let Task::Ask(request) = task else { continue };
        for moment in 0.. {
            for fate in [Fate::Fail(moment), Fate::Die(moment)] {
                let mut host = before.copy();
                drop(host.run_request(&request, with(fate)));
                let unclassed = host.calls().unclassed;
                assert!(unclassed.is_empty(), "`{request}`: {unclassed:?}, {fate:?}");
            }
            let mut host = before.copy();
            drop(host.run_request(&request, with(Fate::Fail(moment))));
            if !host.calls().met {
                break;
            }
        }
    }
}

/// Every way in which traffic control can fail to do what a request needs.
fn refusals() -> impl Iterator<Item = Fate> {
    let kinds = TcCall::ALL.map(Fate::NoShaping).into_iter();
    kinds.chain((0..8).map(Fate::RefuseShaping))
}

#[test]
fn what_traffic_control_refuses_leaves_no_trace() {
    let mut refused = 0;
    for (before, task) in tasks() {
        let Task::Ask(request) = task else { continue };
        for fate in refusals() {
            let mut host = before.copy();
            let when = format!("`{request}`, {fate:?}");
            let (config, rules) = (host.config(), host.kernel(|kernel| kernel.installed()));
            let classes = shaped(&host, "eth0");
            let reports = host.run(Script::default(), Pm::view).done().reports;
            let end = host.run_request(&request, with(fate));
            if !host.calls().met {
                end.done();
                continue;
            }
            match end {
                // What is not needed any more may stay for a while, untold.
                End::Done(done) => {
                    let is_told = !done.problems.is_empty();
                    assert!(is_told || wanted(&host).is_empty(), "{when}");
                }
                End::Failed(error) => {
                    let is_known = matches!(
                        error,
                        EngineError::Refused(_) | EngineError::RolledBack { .. }
                    );
                    assert!(is_known, "{when}: {error}");
                    assert_eq!(host.config(), config, "{when}");
                    assert_eq!(host.kernel(|kernel| kernel.installed()), rules, "{when}");
                    assert_eq!(shaped(&host, "eth0"), classes, "{when}");
                    let view = host.run(Script::default(), Pm::view).done();
                    assert_eq!(view.reports, reports, "{when}");
                    refused += 1;
                }
                End::Died => panic!("{when}"),
            }
            assert_recorded(&host, &when);
            wait(&mut host);
            assert_settled(&host, &when);
            // The same again, when nothing hinders it.
            if host.config() == config {
                Task::Ask(request.clone()).well(&mut host);
            }
            wait(&mut host);
            assert_settled(&host, &when);
        }
    }
    assert!(refused > 10);
}

#[test]
fn a_tick_that_traffic_control_fails_does_the_rest_and_tries_again() {
    // Damaged, the tree must be made anew.
    let damaged = limited();
    damaged.tc(|tc| tc.damage("eth0"));
    let unshaped = limited();
    unshaped.tc(|tc| tc.choose("eth0", "sfq", &[]));
    for before in [damaged, unshaped, idle()] {
        for fate in refusals() {
            let mut host = before.copy();
            host.send("20000", Direction::Out, 1_000);
            let end = Task::Tick.run(&mut host, with(fate));
            if !host.calls().met {
                end.done();
                continue;
            }
            let problems = end.done().problems;
            assert!(!problems.is_empty(), "{fate:?}");
            assert_eq!(host.ledger("20000").total.outgoing, 1_000, "{fate:?}");
            assert_recorded(&host, &format!("{fate:?}"));
            let problems = Task::Tick.run(&mut host, with(fate)).done().problems;
            assert_eq!(problems.is_empty(), !host.calls().met, "{fate:?}");
            wait(&mut host);
            assert_settled(&host, &format!("{fate:?}"));
        }
    }
}

#[test]
fn what_is_sent_is_counted_while_it_cannot_be_shaped() {
    let mut host = limited();
    host.tc(|tc| tc.occupy("eth0", "hfsc"));
    for _ in 0..5 {
        host.send("20000", Direction::Out, 10_000);
        let problems = Task::Tick.run(&mut host, Script::default()).done().problems;
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert!(problem.to_string().contains("eth0"), "{problem}");
        assert!(problem.to_string().contains("hfsc"), "{problem}");
    }
    assert!(!host.send("20000", Direction::Out, 1));
    assert_eq!(host.ledger("20000").total.outgoing, 50_000);
}

/// A limit that was set before somebody took the root is no reason to refuse a block today.
#[test]
fn what_needs_no_other_class_is_done_where_nothing_can_be_shaped() {
    let block = Request::Block {
        ports: some("20000"),
    };
    let delete = Request::Delete {
        ports: some("20000"),
    };
    let requests = [
        block,
        delete,
        add("20002", quota(50_000)),
        set("20000", quota(60_000)),
        set("20000", limit_in("3M")),
        set("20000", no_limit()),
    ];
    for request in requests {
        let mut host = limited();
        host.request(&set("20001", limit("6M")));
        host.tc(|tc| tc.occupy("eth0", "hfsc"));
        let before = host.config();
        let done = host.request(&request);
        assert!(done.after != before && host.config() == done.after);
        let problems = &done.problems[..];
        let is_told = matches!(problems, [EngineError::Shaping(_)]);
        assert!(is_told, "`{request}`: {problems:?}");
        // One that needs another class is not.
        for needs_another in [set("20001", limit("7M")), add("20003", limit("7M"))] {
            let end = host.run_request(&needs_another, Script::default());
            assert!(matches!(end, End::Failed(EngineError::Refused(_))));
        }
    }
}

#[test]
fn an_uplink_is_where_the_default_route_leads() {
    let mut host = limited();
    let to = |host: &Host, name: &str| {
        host.tc(|tc| tc.uplinks = [name.to_owned()].into());
    };
    to(&host, "eth1");
    // A link that flaps keeps its classes.
    for _ in 0..2 {
        Task::Tick.well(&mut host);
        let classes = shaped(&host, "eth1");
        assert_eq!(classes, wanted(&host));
        assert_eq!(shaped(&host, "eth0"), classes);
    }
    to(&host, "eth0");
    Task::Tick.well(&mut host);
    assert_eq!(host.calls().requests, []);
    to(&host, "eth1");
    for _ in 0..2 {
        Task::Tick.well(&mut host);
        assert_eq!(shaped(&host, "eth0"), wanted(&host));
    }
    Task::Tick.well(&mut host);
    assert_settled(&host, "eth0 has not been an uplink for three ticks");
}

#[test]
fn a_host_that_is_not_connected_is_shaped_when_it_is() {
    let mut host = connected();
    let to = |host: &Host, names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned());
        host.tc(|tc| tc.uplinks = names.collect());
    };
    to(&host, &[]);
    let no_uplink = |problems: &[EngineError]| matches!(problems, [EngineError::NoUplink]);
    let done = host.request(&set("20000", limit("5M")));
    assert!(no_uplink(&done.problems), "{:?}", done.problems);
    let done = Task::Tick.run(&mut host, Script::default()).done();
    assert!(no_uplink(&done.problems), "{:?}", done.problems);
    to(&host, &["eth0", "eth1"]);
    Task::Tick.well(&mut host);
    assert_settled(&host, "two uplinks");
    to(&host, &[]);
    for _ in 0..3 {
        let done = Task::Tick.run(&mut host, Script::default()).done();
        assert!(no_uplink(&done.problems), "{:?}", done.problems);
    }
    assert_settled(&host, "no uplink");
}

#[test]
fn an_interface_that_is_gone_is_forgotten() {
    for is_uplink in [false, true] {
        let mut host = limited();
        host.tc(|tc| tc.remove_interface("eth0"));
        if is_uplink {
            host.tc(|tc| tc.uplinks.insert("eth1".to_owned()));
            wait(&mut host);
        } else {
            host.request(&set("20000", no_limit()));
            wait(&mut host);
        }
        let noted = host.saved().unwrap().interfaces;
        assert!(!noted.contains_key("eth0"), "{noted:?}");
        host.tc(|tc| {
            tc.add_interface("eth0");
            tc.choose("eth0", "fq", &[]);
        });
        Task::Teardown.well(&mut host);
        assert!(is_given_back(&host, "eth0"));
    }
}

#[test]
fn a_root_that_is_not_needed_goes_after_three_ticks() {
    let mut host = limited();
    host.request(&set("20000", no_limit()));
    for _ in 0..2 {
        Task::Tick.well(&mut host);
        assert!(is_taken(&host, "eth0"));
        // Requests are no ticks.
        host.request(&set("20001", quota(7)));
        host.request(&set("20001", no_quota()));
    }
    Task::Tick.well(&mut host);
    assert_settled(&host, "three ticks without limits");
    Task::Tick.well(&mut host);
    assert_eq!(host.calls().shaping, []);
}

/// The ticks without need are counted from the last need on.
#[test]
fn a_root_that_is_needed_again_stays() {
    let mut host = idle();
    host.request(&set("20001", limit("6M")));
    host.request(&set("20001", no_limit()));
    for _ in 0..2 {
        Task::Tick.well(&mut host);
        assert!(is_taken(&host, "eth0"));
    }
    Task::Tick.well(&mut host);
    assert_settled(&host, "three ticks without limits");
}

#[test]
fn a_teardown_gives_roots_back_at_once_and_a_restoration_takes_them_again() {
    let mut host = limited();
    Task::Teardown.well(&mut host);
    assert_settled(&host, "torn down");
    wait(&mut host);
    assert_settled(&host, "torn down and ticking");
    // A request while pm is out of the kernel is for later.
    host.request(&set("20001", limit("8M")));
    assert_settled(&host, "torn down, with a request");
    Task::Restore.well(&mut host);
    assert_eq!(shaped(&host, "eth0").len(), 2);
    assert_settled(&host, "restored");
}

/// A host is started anew with roots as its owner's scripts leave them.
#[test]
fn a_restoration_takes_what_stands_there_now_for_the_owners() {
    let mut host = limited();
    host.tc(|tc| tc.choose("eth0", "fq", &[]));
    host.kernel(|kernel| kernel.flush());
    Task::Restore.well(&mut host);
    assert_settled(&host, "restored");
    Task::Teardown.well(&mut host);
    assert_settled(&host, "torn down");
}

#[test]
fn what_the_owner_puts_in_the_place_of_pms_tree_is_put_back() {
    let mut host = limited();
    host.tc(|tc| tc.choose("eth0", "cake", &[]));
    Task::Tick.well(&mut host);
    assert_settled(&host, "replaced once");
    host.tc(|tc| tc.choose("eth0", "mq", &["fq", "fq"]));
    Task::Tick.well(&mut host);
    assert_settled(&host, "replaced twice");
    host.request(&set("20000", no_limit()));
    host.tc(|tc| tc.choose("eth0", "fq_codel", &[]));
    Task::Tick.well(&mut host);
    assert_settled(&host, "replaced while there was no need");
}

/// Somebody's own classes under pm's tree, for instance: it is made anew.
#[test]
fn a_root_is_put_back_exactly_after_a_death_over_a_damaged_tree() {
    let damaged = limited();
    damaged.tc(|tc| tc.damage("eth0"));
    for moment in 0.. {
        let mut host = damaged.copy();
        let end = Task::Tick.run(&mut host, with(Fate::Die(moment)));
        for (name, then) in continuations() {
            let when = format!("killed in moment {moment}, then {name}");
            let mut host = host.copy();
            assert_recorded(&host, &when);
            for task in then {
                task.well(&mut host);
            }
            wait(&mut host);
            assert_settled(&host, &when);
        }
        if let End::Done(_) = end {
            break;
        }
    }
}

/// What happens to a host whose links come and go.
#[derive(Clone, Debug)]
enum Happening {
    Task(Task, Fate),
    /// The default routes lead over these.
    Route(Vec<&'static str>),
    /// Its owner puts something else at a root.
    Choose(&'static str, &'static str),
    /// Somebody meddles with pm's tree.
    Damage(&'static str),
    /// A link goes, and comes back as new.
    Replug(&'static str),
}

fn happenings() -> impl Strategy<Value = Happening> {
    let interface = || prop::sample::select(&INTERFACES[..]);
    let service = || prop::sample::select(&["20000", "20001"][..]);
    let settings = prop::sample::select(vec![
        limit("5M"),
        limit("6M"),
        no_limit(),
        no_limit(),
        limit_in("5M"),
    ]);
    let task = prop_oneof![
        6 => Just(Task::Tick),
        1 => Just(Task::Teardown),
        1 => Just(Task::Restore),
        6 => (service(), settings).prop_map(|(name, settings)| Task::Ask(set(name, settings))),
        1 => service().prop_map(|name| Task::Ask(Request::Delete { ports: some(name) })),
        1 => service().prop_map(|name| Task::Ask(add(name, limit("7M")))),
    ];
    let fate = prop_oneof![
        3 => Just(Fate::Live),
        5 => (0usize..30).prop_map(Fate::Die),
        3 => (0usize..30).prop_map(Fate::Fail),
        2 => (0usize..8).prop_map(Fate::RefuseShaping),
        1 => prop::sample::select(&TcCall::ALL[..]).prop_map(Fate::NoShaping),
    ];
    let names = prop::sample::subsequence(INTERFACES.to_vec(), 0..=2);
    let kind = prop::sample::select(&["fq", "sfq", "cake", "mq"][..]);
    prop_oneof![
        9 => (task, fate).prop_map(|(task, fate)| Happening::Task(task, fate)),
        1 => names.prop_map(Happening::Route),
        1 => (interface(), kind).prop_map(|(name, kind)| Happening::Choose(name, kind)),
        1 => interface().prop_map(Happening::Damage),
        1 => interface().prop_map(Happening::Replug),
    ]
}

impl Happening {
    fn happen(self, host: &mut Host) {
        match self {
            Self::Task(task, fate) => drop(task.run(host, with(fate))),
            Self::Route(names) => {
                let names = names.into_iter().map(ToOwned::to_owned);
                host.tc(|tc| tc.uplinks = names.collect());
            }
            Self::Choose(name, "mq") => host.tc(|tc| tc.choose(name, "mq", &["fq", "sfq", "fq"])),
            Self::Choose(name, kind) => host.tc(|tc| tc.choose(name, kind, &[])),
            Self::Damage(name) if !is_taken(host, name) => {}
            Self::Damage(name) => host.tc(|tc| tc.damage(name)),
            Self::Replug(name) => host.tc(|tc| tc.add_interface(name)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// Whatever happens, in whatever order, and however often pm is cut short over it.
    #[test]
    fn no_root_is_ever_lost(happenings in vec(happenings(), 1..16)) {
        let mut host = connected();
        for happening in happenings {
            let when = format!("{happening:?}");
            happening.happen(&mut host);
            assert_recorded(&host, &when);
        }
        for _ in 0..3 {
            drop(Task::Tick.run(&mut host, Script::default()).done());
        }
        assert_settled(&host, "three ticks later");
        Task::Teardown.well(&mut host);
        assert_settled(&host, "torn down");
    }
}
