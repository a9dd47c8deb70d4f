//! The plan: applied, nothing is left to do; and what is somebody else's goes.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub)]
mod support;

use pm_core::backend::{HostId, Reading};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::ledger::State;
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::ruleset::{Direction, Epoch, Frame, Installed, InstalledLink, Link, Piece, Target};
use pm_core::strategies::config;
use pm_core::tick::{Now, step};
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, link, ports};

fn tick(pm: &mut Pm, kernel: &mut Kernel) {
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
}

/// Returns what is left to do, by a reading made now.
fn left(pm: &Pm, kernel: &Kernel) -> pm_core::ruleset::Changes {
    let (reading, installed) = kernel.read();
    let now = Now {
        time: Timestamp::from_unix(pm.time),
        zone: &pm.zone,
        not_before: Timestamp::from_unix(0),
        next_epoch: Epoch(77),
    };
    let (state, _) = step(&pm.config, &pm.saved, &reading, &installed, now);
    difference(&installed, &plan(&pm.config, &state, &installed), &state)
}

fn installed(kernel: &mut Kernel) -> &mut Installed {
    &mut kernel.table.as_mut().unwrap().installed
}

fn running(services: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    pm.config = Config::parse(&format!(r#"{{"schema":1,"services":{services}}}"#)).unwrap();
    tick(&mut pm, &mut kernel);
    (kernel, pm)
}

proptest! {
    /// From any configuration to any other.
    #[test]
    fn what_was_applied_needs_no_change(configs in prop::collection::vec(config(), 1..4)) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        for config in configs {
            pm.config = config;
            tick(&mut pm, &mut kernel);
            prop_assert!(left(&pm, &kernel).is_empty());
            let (_, found) = kernel.read();
            let links: Vec<_> = found.links.keys().copied().collect();
            let services: Vec<_> = pm.config.services.keys().copied().collect();
            prop_assert_eq!(links, services);
            prop_assert_eq!(found, Installed::settled(&pm.saved));
        }
    }

    /// What a plan makes of nothing, it would not change: by the plan alone, without a kernel.
    #[test]
    fn a_difference_applied_to_what_it_was_made_from_is_what_was_wanted(config in config()) {
        let zone = Zone::utc();
        let now = Now {
            time: Timestamp::from_unix(1_800_000_000),
            zone: &zone,
            not_before: Timestamp::from_unix(0),
            next_epoch: Epoch(2),
        };
        let host = HostId { boot: "b".into(), netns: "1".into() };
        let reading = Reading { host, generation: 1, table: None, fresh: None };
        let nothing = Installed::default();
        let (state, _) = step(&config, &State::new(Epoch(1)), &reading, &nothing, now);
        let wanted = plan(&config, &state, &nothing);
        let changes = difference(&nothing, &wanted, &state);
        let found = nothing.clone().after(&changes);
        prop_assert_eq!(found.frame, Frame::INTACT);

        prop_assert!(difference(&found, &wanted, &state).is_empty());
    }
}

#[test]
fn the_way_out_reads_the_counters_at_rest_before_the_table_goes() {
    let (mut kernel, mut pm) = running(r#"{"80":{},"90":{"quota":"5GB"}}"#);
    let found = installed(&mut kernel).clone();
    let first = withdrawal(&found);
    assert!(first.unhook && !first.delete_table && first.unlinks());
    let unhooked = found.after(&first);
    assert_eq!(unhooked.frame.input, Piece::Missing);
    assert_eq!(unhooked.rooms.len(), 2, "the counters can be read");
    let second = withdrawal(&unhooked);
    assert!(second.delete_table && !second.unhook);
    let gone = unhooked.after(&second);
    assert!(gone.is_empty());
    assert!(withdrawal(&gone).is_empty());

    kernel.packet(ports("80"), Direction::In, 99);
    pm.saved.torn_down = true;
    tick(&mut pm, &mut kernel);
    assert!(kernel.table.is_none());
    assert_eq!(pm.usage(ports("80")).incoming, 99);
}

#[test]
fn elements_that_belong_to_no_service_go() {
    let (mut kernel, mut pm) = running(r#"{"80":{}}"#);
    let foreign = InstalledLink {
        ingress: Some(Target::Foreign),
        egress: None,
    };
    let links = &mut installed(&mut kernel).links;
    links.insert(ports("81"), foreign);
    links.insert(ports("90-99"), Link::Drop.into());
    kernel.touch();
    kernel.packet(ports("80"), Direction::In, 7);
    tick(&mut pm, &mut kernel);
    let links: Vec<_> = installed(&mut kernel).links.keys().copied().collect();
    assert_eq!(links, [ports("80")]);
    assert_eq!(pm.usage(ports("80")).incoming, 7);
}

#[test]
fn an_element_in_the_place_of_a_services_gives_way() {
    for wrong in [
        InstalledLink {
            ingress: Some(Target::Foreign),
            egress: Some(Target::Foreign),
        },
        InstalledLink {
            ingress: Some(Target::Drop),
            egress: None,
        },
        Link::Drop.into(),
    ] {
        for place in ["80", "70-85", "80-81", "1-65535"] {
            let (mut kernel, mut pm) = running(r#"{"80":{"quota":"5GB"}}"#);
            kernel.unlink(ports("80"));
            installed(&mut kernel).links.insert(ports(place), wrong);
            tick(&mut pm, &mut kernel);
            let links: Vec<_> = installed(&mut kernel).links.keys().copied().collect();
            assert_eq!(links, [ports("80")], "{place}");
            assert!(matches!(link(&kernel, ports("80")), Some(Link::Room(_))));
            assert!(kernel.packet(ports("80"), Direction::In, 1));
            assert!(left(&pm, &kernel).is_empty());
        }
    }
}

#[test]
fn a_new_range_takes_the_place_of_a_deleted_one_that_it_overlaps() {
    let (mut kernel, mut pm) = running(r#"{"80-90":{"quota":"5GB"}}"#);
    pm.config = Config::parse(r#"{"schema":1,"services":{"85":{},"86-100":{}}}"#).unwrap();
    tick(&mut pm, &mut kernel);
    let links: Vec<_> = installed(&mut kernel).links.keys().copied().collect();
    assert_eq!(links, [ports("85"), ports("86-100")]);
    assert!(left(&pm, &kernel).is_empty());
}

/// Fault 7 and 8 of the scripts pm replaces: deleting one port touched what others had.
#[test]
fn a_change_of_one_service_leaves_the_rooms_of_all_others() {
    let (mut kernel, mut pm) = running(r#"{"80":{},"8080":{"quota":"5GB"},"81-90":{}}"#);
    let before = kernel.read().0.table.unwrap();
    pm.config =
        Config::parse(r#"{"schema":1,"services":{"8080":{"quota":"5GB"},"81-90":{}}}"#).unwrap();
    tick(&mut pm, &mut kernel);
    let mut after = kernel.read().0.table.unwrap();
    assert!(
        !after
            .counters
            .keys()
            .any(|(room, _)| room.ports == ports("80"))
    );
    let mut expected = before;
    expected
        .counters
        .retain(|(room, _), _| room.ports != ports("80"));
    after.handle = expected.handle;
    assert_eq!(after, expected);
}
