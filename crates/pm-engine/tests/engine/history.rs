//! The past: every period is kept once, and what is shown of today is what a tick would keep.

use std::fs;

use pm_core::calendar::Period;
use pm_core::config::Mode;
use pm_core::history::{ClosedPeriod, DayTotal, Why};
use pm_core::holder::Holder;
use pm_core::ledger::{Account, Usage};
use pm_core::request::{ContractSettings, Request, Selection};
use pm_core::ruleset::Direction;
use pm_engine::{By, Whose};
use time::macros::date;

use crate::backend::{Fate, Script};
use crate::books::Books;
use crate::host::{End, Host, Pm};
use crate::kernel::Packet;
use crate::requests::{
    add, add_group, alone, group, in_group, limit, mode, ports, quota, reset_group, set, set_group,
    set_used, some,
};
use crate::task::Task;

/// The holders whose periods have ended, but for a tick that says so.
const DUE: [&str; 4] = ["20000", "20001", "20002", "group vip"];

/// A quota that the first of each month renews.
fn monthly(bytes: u64) -> ContractSettings {
    ContractSettings {
        reset: Some("1".parse().unwrap()),
        ..quota(bytes)
    }
}

/// A service and a group whose month is over, with bytes that no tick has seen; another service
/// whose month is not.
fn overdue() -> Host {
    let mut host = Host::with(&[("20000", monthly(50_000)), ("20003", quota(50_000))]);
    host.tc(|tc| {
        tc.add_interface("eth0");
        tc.uplinks.insert("eth0".to_owned());
    });
    host.request(&add_group("vip", monthly(60_000)));
    host.request(&add("20001,20002", in_group("vip")));
    for name in ["20000", "20001", "20002", "20003"] {
        host.send(name, Direction::In, 700);
    }
    host.request(&set_used("20000", 4_321));
    host.tick();
    for name in ["20000", "20001", "20002", "20003"] {
        host.send(name, Direction::Out, 300);
    }
    host.edit(|state| {
        let over = |account: &mut Account| {
            let policy = account.period.policy();
            account.period = Period::restore(policy, Some(date!(2020 - 01 - 01)));
            assert!(account.period.next().is_some());
        };
        over(&mut state.ledgers.get_mut(&ports("20000")).unwrap().account);
        over(state.groups.get_mut(&group("vip")).unwrap());
    });
    host
}

/// Without the times, which two calls cannot share.
fn timeless(closed: Vec<ClosedPeriod>) -> Vec<(Holder, Why, Usage, u64)> {
    let one = |period: ClosedPeriod| {
        let billed = period.billed();
        (period.holder, period.why, period.usage, billed)
    };
    closed.into_iter().map(one).collect()
}

#[test]
fn what_is_shown_is_what_a_tick_keeps() {
    let mut host = overdue();
    let database = || fs::read(host.paths.state_db()).unwrap();
    let config = fs::read(host.paths.config_file()).unwrap();
    let (saved, kernel) = (database(), host.kernel(|kernel| format!("{kernel:?}")));
    let mut other = host.copy();
    let shown = host.history();
    // Nothing was written.
    assert_eq!(fs::read(host.paths.state_db()).unwrap(), saved);
    assert_eq!(fs::read(host.paths.config_file()).unwrap(), config);
    assert_eq!(host.kernel(|kernel| format!("{kernel:?}")), kernel);
    assert_eq!(host.calls().batches, []);

    other.tick();
    assert_eq!(shown.days, other.days());
    assert_eq!(shown.closed.len(), DUE.len());
    assert_eq!(timeless(shown.closed), timeless(other.closed()));
    assert_eq!(shown.config, other.config());
    let state = other.saved().unwrap();
    assert_eq!(shown.running.len(), 5);
    for running in shown.running {
        let account = state.account(&running.holder).unwrap();
        assert_eq!(running.usage, account.usage, "{}", running.holder);
        assert_eq!(running.billed(), account.billed(), "{}", running.holder);
    }
    // A look that comes later shows the same.
    let again = other.history();
    assert_eq!(again.days, other.days());
    assert_eq!(again.closed, other.closed());
}

/// Of a large state.db, little is read for one service.
#[test]
fn only_what_is_asked_for_is_returned() {
    let mut host = overdue();
    host.request(&set("20001", alone()));
    host.send("20001", Direction::Out, 60);
    host.send("20002", Direction::Out, 7);
    let all = host.history();
    assert_eq!(all.closed.len(), DUE.len() + 1);
    let asked = [
        (
            Whose::Services([ports("20000")].into()),
            ["20000"].as_slice(),
            1,
        ),
        (Whose::Services([ports("20001")].into()), &["20001"], 2),
        (Whose::Services([ports("20009")].into()), &[], 0),
        // What 20001 used is in both of its periods, and in one of the group.
        (Whose::Group(group("vip")), &["20002"], 4),
    ];
    for (whose, days_of, periods) in asked {
        for by in [By::Period, By::Day] {
            let call = |engine: &mut Pm| engine.history(&whose, by);
            let shown = host.run(Script::default(), call).done();
            let of =
                |period: &ClosedPeriod| whose.has_period(&period.holder, period.group.as_ref());
            let mut expected = all.closed.clone();
            expected.retain(of);
            assert_eq!(shown.closed, expected, "{whose:?}");
            assert_eq!(shown.closed.len(), periods, "{whose:?}");
            let mut expected = all.days.clone();
            expected.retain(|day| {
                let is_shown = by == By::Day || matches!(whose, Whose::Services(_));
                is_shown && days_of.iter().any(|name| ports(name) == day.ports)
            });
            assert_eq!(shown.days, expected, "{whose:?}, {by:?}");
        }
    }
    for (by, days, closed) in [(By::Period, true, false), (By::Day, false, true)] {
        let call = |engine: &mut Pm| engine.history(&Whose::All, by);
        let shown = host.run(Script::default(), call).done();
        assert_eq!(
            (shown.days.is_empty(), shown.closed.is_empty()),
            (days, closed)
        );
    }
}

#[test]
fn bytes_that_no_tick_has_saved_are_todays() {
    let mut host = Host::with(&[("20000", quota(50_000)), ("20001", quota(50_000))]);
    host.send("20000", Direction::In, 700);
    host.tick();
    host.send("20000", Direction::Out, 40);
    host.send("20001", Direction::Out, 2);
    let shown = host.history();
    let [one, other] = shown.days[..] else {
        panic!("{:?}", shown.days)
    };
    let usage = |incoming, outgoing| Usage { incoming, outgoing };
    let date = host.saved().unwrap().today.unwrap();
    let day = |name, usage| DayTotal {
        date,
        ports: ports(name),
        usage,
    };
    assert_eq!(one, day("20000", usage(700, 40)));
    assert_eq!(other, day("20001", usage(0, 2)));
    assert_eq!(host.days(), [day("20000", usage(700, 0))]);
}

#[test]
fn before_anything_is_monitored_there_is_no_past() {
    let mut host = Host::new();
    let shown = host.history();
    assert_eq!((shown.days, shown.closed), (vec![], vec![]));
    assert!(shown.running.is_empty());
}

fn tasks() -> Vec<Task> {
    let requests = vec![
        add("20010", quota(1_000)),
        set("20000", quota(60_000)),
        set("20000", mode(Mode::Out)),
        set("20000", in_group("vip")),
        set("20001", alone()),
        set("20003", in_group("vip")),
        set("20003", limit("5M")),
        set_group("vip", mode(Mode::Max)),
        set_group("vip", quota(70_000)),
        set_used("20000", 17),
        reset_group("vip"),
        Request::Reset {
            ports: some("20000"),
        },
        Request::Reset {
            ports: Selection::All,
        },
        Request::Delete {
            ports: some("20000,20001"),
        },
        Request::Delete {
            ports: Selection::All,
        },
    ];
    let mut tasks = vec![Task::Tick, Task::Restore, Task::Teardown];
    tasks.extend(requests.into_iter().map(Task::Ask));
    tasks
}

fn with(fate: Fate) -> Script {
    let packets = ["20000", "20001", "20003"].map(|name| Packet {
        ports: ports(name),
        direction: Direction::Out,
        bytes: 10,
    });
    Script {
        fate,
        packets: packets.into(),
        ..Script::default()
    }
}

/// Whatever was asked for meanwhile, and whatever became of it.
#[test]
fn a_period_that_ended_is_kept_once() {
    let overdue = overdue();
    for task in tasks() {
        let fates: [fn(usize) -> Fate; 4] = [Fate::Die, Fate::Fail, Fate::Refuse, |first| {
            Fate::Race { first, times: 10 }
        }];
        for fate in fates {
            for number in 0.. {
                let mut host = overdue.copy();
                let when = format!("{task:?}, {:?}", fate(number));
                let mut books = Books::of(&host);
                let end = task.run(&mut host, with(fate(number)));
                let is_over = !matches!(end, End::Died) && !host.calls().met;
                books.follow(&host, &when);
                host.tick();
                books.follow(&host, &when);
                host.tick();
                books.follow(&host, &when);
                let closed = host.closed();
                for holder in DUE.map(|name| name.parse::<Holder>().unwrap()) {
                    let of = |period: &&ClosedPeriod| period.holder == holder;
                    let ended = closed.iter().filter(of);
                    let ended = ended.filter(|period| period.why == Why::Calendar);
                    assert_eq!(ended.count(), 1, "{when}: {holder}: {closed:?}");
                }
                if is_over {
                    break;
                }
            }
        }
    }
}

/// What a request about others does not read would count to the next period.
#[test]
fn a_period_ends_with_all_that_it_used() {
    let overdue = overdue();
    for request in [
        set("20003", quota(60_000)),
        set("20003", limit("5M")),
        add("20010", quota(1_000)),
        set_used("20003", 5),
    ] {
        assert!(request.scope(&overdue.config()).is_some());
        let mut host = overdue.copy();
        host.request(&request);
        let closed = host.closed();
        let used = |name: &str| {
            let holder = name.parse::<Holder>().unwrap();
            let period = closed.iter().find(|period| period.holder == holder);
            period.map(|period| (period.usage.incoming, period.usage.outgoing))
        };
        for name in ["20000", "20001", "20002"] {
            assert_eq!(used(name), Some((700, 300)), "`{request}`: {name}");
        }
        assert_eq!(used("group vip"), Some((1_400, 600)), "`{request}`");
    }
}

/// A reset that is cut short is done, or not; it is never done by half.
#[test]
fn a_reset_closes_all_of_a_group_or_nothing() {
    let mut before = overdue();
    before.tick();
    before.send("20001", Direction::Out, 1_000);
    let members = ["20001", "20002", "group vip"].map(|name| name.parse::<Holder>().unwrap());
    for request in [
        reset_group("vip"),
        Request::Reset {
            ports: Selection::All,
        },
    ] {
        for moment in 0.. {
            for fate in [Fate::Die(moment), Fate::Fail(moment)] {
                let mut host = before.copy();
                let end = host.run_request(&request, with(fate));
                host.tick();
                let closed = host.closed().into_iter();
                let closed: Vec<Holder> = closed
                    .filter(|period| period.why == Why::Operator)
                    .map(|period| period.holder)
                    .filter(|holder| members.contains(holder))
                    .collect();
                let is_done = !closed.is_empty();
                let when = format!("`{request}`, {fate:?}: {closed:?}");
                assert_eq!(closed.len(), if is_done { 3 } else { 0 }, "{when}");
                assert!(is_done || !matches!(end, End::Done(_)), "{when}");
                assert!(!is_done || !matches!(end, End::Failed(_)), "{when}");
            }
            let mut host = before.copy();
            drop(host.run_request(&request, with(Fate::Fail(moment))));
            if !host.calls().met {
                break;
            }
        }
    }
}
