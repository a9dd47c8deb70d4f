//! pm's own doings are not taken for somebody else's.

use pm_core::config::Mode;
use pm_core::event::Event;
use pm_core::request::{Request, Selection};
use pm_core::ruleset::Direction;

use crate::backend::{Act, Fate, Script};
use crate::host::{End, Host, Pm};
use crate::requests::{add, mode, no_quota, quota, set, set_used, some};

/// Whether an event says that somebody else did something.
pub(crate) fn is_alarm(event: &Event) -> bool {
    matches!(
        event,
        Event::CountersReplaced { .. } | Event::RulesLost { .. } | Event::Restarted { .. }
    )
}

fn assert_calm(events: &[Event], when: &str) {
    let alarm = events.iter().find(|event| is_alarm(event));
    assert_eq!(alarm, None, "{when}");
}

fn settled() -> Host {
    let mut host = Host::with(&[
        ("20000", quota(1_000)),
        ("20001", quota(1 << 31)),
        ("20002", no_quota()),
    ]);
    host.send("20000", Direction::In, 1_000);
    host.send("20001", Direction::Out, 500);
    host.send("20002", Direction::In, 500);
    host.tick();
    host
}

fn requests() -> Vec<Request> {
    vec![
        add("20003", quota(1_000)),
        set("20000", quota(2_000)),
        set("20001", mode(Mode::Out)),
        set("20001", quota(400)),
        set("20002", quota(1 << 31)),
        set_used("20000", 0),
        Request::Reset {
            ports: Selection::All,
        },
        Request::Block {
            ports: some("20001"),
        },
        Request::Delete {
            ports: some("20001"),
        },
        Request::Delete {
            ports: Selection::All,
        },
    ]
}

#[test]
fn a_request_that_was_cut_short_alarms_nobody() {
    let settled = settled();
    for request in requests() {
        for moment in 0.. {
            let mut host = settled.copy();
            let script = Script {
                fate: Fate::Die(moment),
                ..Script::default()
            };
            let end = host.run_request(&request, script);
            let when = format!("`{request}` killed in moment {moment}");
            assert_calm(&host.tick(), &when);
            assert_calm(&host.tick(), &when);
            if let End::Done(done) = end {
                assert_calm(&done.events, &when);
                break;
            }
        }
    }
}

#[test]
fn a_first_tick_that_was_cut_short_alarms_nobody() {
    let settled = settled();
    for moment in 0.. {
        let mut host = settled.copy();
        host.run(Script::default(), Pm::teardown).done();
        let script = Script {
            fate: Fate::Die(moment),
            ..Script::default()
        };
        let end = host.run(script, |engine| engine.restore(false));
        let restored = host.run(Script::default(), |engine| engine.restore(false));
        let when = format!("killed in moment {moment}");
        assert_calm(&restored.done().events, &when);
        assert_calm(&host.tick(), &when);
        if matches!(end, End::Done(_)) {
            break;
        }
    }
}

#[test]
fn a_commit_of_no_concern_alarms_nobody() {
    let settled = settled();
    for request in requests() {
        for moment in 0..20 {
            let mut host = settled.copy();
            let mut acts = vec![Act::Nothing; moment];
            acts.push(Act::Touch);
            let script = Script {
                acts: acts.into(),
                ..Script::default()
            };
            let done = host.run_request(&request, script).done();
            let when = format!("`{request}` with a commit in moment {moment}");
            assert_calm(&done.events, &when);
            assert_calm(&host.tick(), &when);
        }
    }
}

#[test]
fn an_alarm_is_raised_where_there_is_cause() {
    let mut host = settled();
    host.kernel(|kernel| kernel.flush());
    let lost = |event: &Event| matches!(event, Event::RulesLost { ports, .. } if ports.len() == 3);
    assert!(host.tick().iter().any(lost));
}
