//! A service that hogs the line is slowed down everywhere at once, and let go again.

use pm_core::event::Event;
use pm_core::request::{Request, Settings};
use pm_core::ruleset::{Direction, Policing};

use crate::backend::{Fate, Script, TcCall};
use crate::host::{End, Host};
use crate::requests::{dynqos, limit, no_limit, ports, quota, rate, set, some};
use crate::shaping::{assert_settled, assert_shaped, connected, shaped};
use crate::task::Task;

/// Above 10 Mbps for a minute, slowed down to 1 Mbps for two.
const RULE: &str = "10M/1/1M/2";
/// More than that in a minute.
const HOGGING: u64 = 100_000_000;

/// A service that has hogged the line for a minute, before the tick that says so.
fn hogging() -> Host {
    let mut host = connected();
    host.request(&set("20001", dynqos(RULE)));
    host.tick();
    assert_eq!(host.calls().shaping, [], "nothing is limited yet");
    host.send("20001", Direction::Out, HOGGING);
    host.pass_a_minute();
    host
}

fn punished() -> Host {
    let mut host = hogging();
    host.tick();
    assert!(host.ledger("20001").hog.punished.is_some());
    host
}

fn policing(host: &Host) -> Policing {
    let rooms = host.kernel(|kernel| kernel.installed().rooms);
    let mut rooms = rooms.into_iter();
    let (_, room) = rooms
        .find(|(room, _)| room.ports == ports("20001"))
        .unwrap();
    room.intact.unwrap().policing
}

fn is_told(events: &[Event]) -> bool {
    let punished = |event: &Event| matches!(event, Event::Punished { ports: one, .. } if *one == ports("20001"));
    events.iter().any(punished)
}

#[test]
fn who_hogs_the_line_is_slowed_down_both_ways_and_let_go() {
    let mut host = hogging();
    assert!(is_told(&host.tick()));
    assert_settled(&host, "punished");
    assert_eq!(shaped(&host, "eth0"), [(20_001, rate("1M"))].into());
    let slow = Policing {
        incoming: Some(125_000),
        outgoing: Some(156_250),
    };
    assert_eq!(policing(&host), slow);
    // However little it uses now, its time is not over.
    host.pass_a_minute();
    assert_eq!(host.tick(), []);
    assert_eq!(policing(&host), slow);
    host.pass_a_minute();
    let restored = Event::Restored {
        ports: ports("20001"),
    };
    assert_eq!(host.tick(), [restored]);
    assert_eq!(policing(&host), Policing::default());
    assert_shaped(&host, "let go");
    for _ in 0..2 {
        Task::Tick.well(&mut host);
    }
    assert_settled(&host, "let go for three ticks");
}

#[test]
fn a_limit_below_the_punishment_stays() {
    let mut host = connected();
    let both = Settings {
        limit: limit("500K").limit,
        ..dynqos(RULE)
    };
    host.request(&set("20001", both));
    host.tick();
    host.send("20001", Direction::In, HOGGING);
    host.pass_a_minute();
    assert!(is_told(&host.tick()));
    assert_eq!(shaped(&host, "eth0"), [(20_001, rate("500K"))].into());
    assert_eq!(policing(&host).incoming, Some(125_000));
    // Nor does the end of a limit end the punishment.
    host.request(&set("20001", no_limit()));
    assert_eq!(shaped(&host, "eth0"), [(20_001, rate("1M"))].into());
    assert_settled(&host, "punished, without a limit");
}

#[test]
fn who_has_no_rule_any_more_is_free_at_once() {
    let mut host = punished();
    let no_rule = Settings {
        dynqos: Some(None),
        ..Settings::default()
    };
    host.request(&set("20001", no_rule));
    assert_eq!(policing(&host), Policing::default());
    assert_shaped(&host, "without a rule");
}

#[test]
fn requests_about_others_change_no_punishment() {
    let mut host = punished();
    for request in [
        set("20000", quota(60_000)),
        set("20000", limit("5M")),
        Request::Block {
            ports: some("20000"),
        },
    ] {
        host.request(&request);
        assert_settled(&host, &format!("`{request}`"));
        assert_eq!(shaped(&host, "eth0")[&20_001], rate("1M"));
        assert_eq!(policing(&host).incoming, Some(125_000));
    }
}

#[test]
fn a_punishment_that_was_cut_short_is_carried_out_by_the_next_tick() {
    let hogging = hogging();
    for moment in 0.. {
        for fate in [Fate::Die(moment), Fate::Fail(moment)] {
            let mut host = hogging.copy();
            let script = Script {
                fate,
                ..Script::default()
            };
            let end = Task::Tick.run(&mut host, script);
            let is_met = host.calls().met;
            Task::Tick.well(&mut host);
            assert_settled(&host, &format!("{fate:?}"));
            assert_eq!(policing(&host).incoming, Some(125_000), "{fate:?}");
            if let (End::Done(done), Fate::Fail(_)) = (end, fate) {
                assert!(is_told(&done.events), "{fate:?}");
                if !is_met {
                    return;
                }
            }
        }
    }
}

/// What it receives is policed by rules, which need no traffic control.
#[test]
fn who_cannot_be_shaped_is_slowed_down_as_far_as_rules_can() {
    for call in TcCall::ALL
        .into_iter()
        .filter(|call| *call != TcCall::Withdraw)
    {
        let mut host = hogging();
        let script = Script {
            fate: Fate::NoShaping(call),
            ..Script::default()
        };
        let done = Task::Tick.run(&mut host, script).done();
        assert!(is_told(&done.events), "{call:?}");
        assert_eq!(done.problems.is_empty(), call == TcCall::Probe, "{call:?}");
        assert_eq!(policing(&host).incoming, Some(125_000), "{call:?}");
        Task::Tick.well(&mut host);
        assert_settled(&host, &format!("{call:?}"));
    }
}
