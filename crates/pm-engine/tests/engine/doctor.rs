//! What a self-check says of the rules.

use pm_core::ruleset::Direction;
use pm_engine::doctor::{Finding, TableState};

use crate::backend::Script;
use crate::host::{End, Host};
use crate::requests::{ports, quota};

fn table(host: &mut Host) -> TableState {
    let findings = host.run(Script::default(), |engine| Ok(engine.doctor()));
    let table = |finding| match finding {
        Finding::Table(state) => Some(state),
        _ => None,
    };
    findings.done().into_iter().find_map(table).unwrap()
}

/// The kernel cuts by itself; the next tick puts the plain drop in its place.
#[test]
fn a_cut_whose_tick_has_not_come_is_nobodys_fault() {
    let mut host = Host::with(&[("20000", quota(1_000))]);
    host.tick();
    assert_eq!(table(&mut host), TableState::Intact);
    while host.send("20000", Direction::Out, 600) {}
    assert_eq!(table(&mut host), TableState::Due);
    host.tick();
    assert_eq!(table(&mut host), TableState::Intact);
    host.kernel(|kernel| kernel.unlink(ports("20000")));
    assert_eq!(table(&mut host), TableState::Different);
}

#[test]
fn without_the_usage_it_is_not_known_what_must_be_there() {
    let mut host = Host::with(&[("20000", quota(1_000))]);
    host.tick();
    std::fs::remove_file(host.paths.state_db()).unwrap();
    assert_eq!(table(&mut host), TableState::Unknown);
    // Nor does the next tick put it right.
    assert!(matches!(host.run_tick(Script::default()), End::Failed(_)));
}
