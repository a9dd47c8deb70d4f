//! What a self-check says of the rules.

use pm_core::ruleset::Direction;
use pm_engine::doctor::{Finding, TableState};

use crate::backend::Script;
use crate::host::Host;
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
