//! The plan: applied, nothing is left to do; and what is somebody else's goes.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use pm_core::backend::{HostId, Reading};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, Limit};
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::ledger::State;
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::request::Request;
use pm_core::ruleset::{
    Changes, Direction, Epoch, Frame, Installed, InstalledForwarding, InstalledLink, InstalledRoom,
    Link, Metered, Parts, Piece, QuotaId, Target, Variant,
};
use pm_core::strategies::{classifier, config, dynqos, limit};
use pm_core::tick::{Now, step};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::{
    Kernel, Pm, Quiet, Table, add, add_group, do_now, in_group, link, ports, quota, these,
};

fn tick(pm: &mut Pm, kernel: &mut Kernel) {
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
}

/// Returns what is left to do, by a reading made now.
fn left(pm: &Pm, kernel: &Kernel) -> pm_core::ruleset::Changes {
    let (reading, installed) = kernel.read();
    let now = Now {
        time: Timestamp::from_unix(pm.time),
        since_boot: kernel.since_boot,
        zone: &pm.zone,
        not_before: Timestamp::from_unix(0),
        next_epoch: Epoch(77),
    };
    let (state, _) = step(&pm.config, &pm.saved, &reading, &installed, now);
    let wanted = plan(&pm.config, &state, &reading, &installed);
    difference(&installed, &wanted, &state)
}

type Limits = (Option<Limit>, Option<Limit>, Option<DynQos>, bool);

fn limits() -> impl Strategy<Value = Limits> {
    use prop::option::of;
    (of(limit()), of(limit()), of(dynqos()), any::<bool>())
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

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => Just(Piece::Intact),
        1 => Just(Piece::Damaged),
        1 => Just(Piece::Missing),
    ]
}

fn target() -> impl Strategy<Value = Option<Target>> {
    prop_oneof![
        Just(None),
        Just(Some(Target::Drop)),
        Just(Some(Target::Foreign)),
    ]
}

/// What somebody does to pm's table.
#[derive(Clone, Debug)]
enum Damage {
    Tear(Index, Parts),
    DeleteRooms(Index),
    Spoil(Index),
    AddQuota(Index, Variant, Metered),
    DeleteUnusedQuotas,
    Link(Index, InstalledLink),
    Frame(Frame),
    Forwarding(InstalledForwarding),
    Epochs(BTreeSet<Epoch>),
    Nat(bool),
    Flush,
    Save,
    Load,
    Merge,
    /// pm dies in a tick after these steps.
    Die(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let parts =
        any::<[bool; 4]>().prop_map(|[in_chain, out_chain, in_counter, out_counter]| Parts {
            in_chain,
            out_chain,
            in_counter,
            out_counter,
            ..Parts::default()
        });
    let link = (target(), target());
    let link = link.prop_map(|(ingress, egress)| InstalledLink { ingress, egress });
    let frame = (piece(), piece(), piece(), piece());
    let frame = frame.prop_map(|(ingress, egress, input, output)| Frame {
        table: Piece::Intact,
        ingress,
        egress,
        input,
        output,
    });
    let forwarding = any::<(bool, bool)>();
    let forwarding = forwarding.prop_map(|(chain, set)| InstalledForwarding {
        chain,
        set,
        intact: None,
    });
    let epochs = prop::collection::btree_set((0u64..4).prop_map(Epoch), 0..3);
    prop_oneof![
        4 => (any::<Index>(), parts).prop_map(|(of, parts)| Damage::Tear(of, parts)),
        1 => any::<Index>().prop_map(Damage::DeleteRooms),
        2 => any::<Index>().prop_map(Damage::Spoil),
        2 => (any::<Index>(), select(Variant::BOTH.to_vec()), select(Metered::ALL.to_vec()))
            .prop_map(|(of, variant, metered)| Damage::AddQuota(of, variant, metered)),
        1 => Just(Damage::DeleteUnusedQuotas),
        2 => (any::<Index>(), link).prop_map(|(of, link)| Damage::Link(of, link)),
        1 => frame.prop_map(Damage::Frame),
        1 => forwarding.prop_map(Damage::Forwarding),
        1 => epochs.prop_map(Damage::Epochs),
        1 => any::<bool>().prop_map(Damage::Nat),
        1 => Just(Damage::Flush),
        1 => Just(Damage::Save),
        1 => Just(Damage::Load),
        1 => Just(Damage::Merge),
        3 => (0usize..12).prop_map(Damage::Die),
    ]
}

fn inflict(damage: Damage, pm: &mut Pm, kernel: &mut Kernel, file: &mut Option<Table>) {
    let found = kernel.installed();
    let services: Vec<_> = found.links.keys().copied().collect();
    let quotas: Vec<_> = found.quotas.keys().cloned().collect();
    let pick = |of: Index| (!services.is_empty()).then(|| services[of.index(services.len())]);
    match damage {
        Damage::Tear(of, parts) => pick(of).into_iter().for_each(|of| kernel.tear(of, &parts)),
        Damage::DeleteRooms(of) => pick(of).into_iter().for_each(|of| kernel.delete_rooms(of)),
        Damage::Spoil(of) if !quotas.is_empty() => kernel.spoil(&quotas[of.index(quotas.len())]),
        Damage::AddQuota(of, variant, metered) => {
            let services = pm
                .config
                .services
                .keys()
                .map(|&ports| Holder::Service(ports));
            let groups = pm.config.groups.keys().cloned().map(Holder::Group);
            let holders: Vec<_> = services.chain(groups).collect();
            if !holders.is_empty() {
                kernel.add_quota(QuotaId {
                    holder: holders[of.index(holders.len())].clone(),
                    variant,
                    metered,
                });
            }
        }
        Damage::DeleteUnusedQuotas => kernel.delete_unused_quotas(),
        Damage::Flush => kernel.flush(),
        Damage::Save => file.clone_from(&kernel.table),
        Damage::Load => kernel.load(file),
        Damage::Merge => drop(kernel.merge(file)),
        Damage::Nat(has_nat) => kernel.set_nat(has_nat),
        Damage::Die(steps) => drop(pm.tick(kernel, &mut Quiet, steps)),
        _ if kernel.table.is_none() => {}
        Damage::Link(of, link) => {
            if let Some(of) = pick(of) {
                kernel.unlink(of);
                if link != InstalledLink::default() {
                    installed(kernel).links.insert(of, link);
                }
            }
        }
        Damage::Frame(frame) => {
            installed(kernel).frame = frame;
            if frame.ingress == Piece::Missing || frame.egress == Piece::Missing {
                // Elements are gone with their map, and so is every rule that names it.
                for link in installed(kernel).links.values_mut() {
                    link.ingress = link.ingress.filter(|_| frame.ingress != Piece::Missing);
                    link.egress = link.egress.filter(|_| frame.egress != Piece::Missing);
                }
                installed(kernel)
                    .links
                    .retain(|_, link| *link != InstalledLink::default());
            }
            kernel.touch();
        }
        Damage::Forwarding(forwarding) => {
            installed(kernel).forwarding = forwarding;
            kernel.touch();
        }
        Damage::Epochs(epochs) => {
            installed(kernel).epochs = epochs;
            kernel.touch();
        }
        Damage::Spoil(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// From whatever somebody has made of the table, and from wherever pm died, everything is in
    /// place in a few rounds, and stays there.
    #[test]
    fn whatever_is_found_is_mended_in_few_rounds(
        configs in prop::collection::vec(config(), 1..3),
        damages in prop::collection::vec(damage(), 1..12),
    ) {
        let (mut kernel, mut pm, mut file) = (Kernel::default(), Pm::new(), None);
        let each = damages.len().div_ceil(configs.len());
        for (config, damages) in configs.into_iter().zip(damages.chunks(each)) {
            pm.config = config;
            tick(&mut pm, &mut kernel);
            for damage in damages {
                inflict(damage.clone(), &mut pm, &mut kernel, &mut file);
            }
            tick(&mut pm, &mut kernel);
            prop_assert!(pm.batches.len() <= 6, "{:?}", pm.batches);
            prop_assert!(left(&pm, &kernel).is_empty());
            prop_assert_eq!(kernel.installed(), Installed::settled(&pm.saved));
            let links = kernel.installed().links;
            prop_assert!(links.keys().eq(pm.config.services.keys()));
        }
    }

    /// What limits and shapes a service is changed where it is.
    #[test]
    fn limits_and_classes_move_nobody(
        config in config(),
        changes in prop::collection::vec((any::<Index>(), limits(), classifier()), 1..6),
    ) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.config = config;
        // What has expired has no room.
        pm.config.services.values_mut().for_each(|service| service.expires = None);
        tick(&mut pm, &mut kernel);
        for (of, limits, classifier) in changes {
            let before = kernel.read().0;
            let services = pm.config.services.len();
            if let Some(service) = (services > 0).then(|| of.index(services))
                && let Some(service) = pm.config.services.values_mut().nth(service)
            {
                (service.limit, service.limit_in, service.dynqos, service.routed) = limits;
            }
            pm.config.classifier = classifier;
            tick(&mut pm, &mut kernel);
            prop_assert!(pm.batches.len() <= 1);
            for batch in &pm.batches {
                let touched = Changes {
                    refit: batch.refit.clone(),
                    forwarding: batch.forwarding.clone(),
                    ..Changes::default()
                };
                prop_assert_eq!(batch, &touched);
            }
            let after = kernel.read().0;
            prop_assert_eq!(after.table, before.table);
        }
    }

    /// From any configuration to any other.
    #[test]
    fn what_was_applied_needs_no_change(configs in prop::collection::vec(config(), 1..4)) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        for config in configs {
            let is_new = kernel.table.is_none();
            pm.config = config;
            tick(&mut pm, &mut kernel);
            // All at once; or out of the old rooms, into the new ones, and away with the old.
            prop_assert!(pm.batches.len() <= if is_new { 1 } else { 3 }, "{:?}", pm.batches);
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
            since_boot: Duration::ZERO,
            zone: &zone,
            not_before: Timestamp::from_unix(0),
            next_epoch: Epoch(2),
        };
        let host = HostId { boot: "b".into(), netns: "1".into() };
        let reading = Reading {
            host,
            generation: 1,
            has_legacy_nat: false,
            table: None,
            fresh: None,
        };
        let nothing = Installed::default();
        let (state, _) = step(&config, &State::new(Epoch(1)), &reading, &nothing, now);
        let wanted = plan(&config, &state, &reading, &nothing);
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

/// A file loaded on top brought back the set of quotas that a group had left, and what it added
/// to a member's rules may name either.
#[test]
fn a_group_whose_sets_of_quotas_are_both_spoilt_gets_a_new_one() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    // So much that nobody need be held for it.
    do_now(&mut pm, &mut kernel, &add_group("vip", quota(3 << 30)));
    do_now(&mut pm, &mut kernel, &add("80,8080", in_group("vip")));
    let file = kernel.table.clone();
    kernel.delete_rooms(ports("80"));
    tick(&mut pm, &mut kernel);
    let gone = Request::Delete {
        ports: these("8080"),
    };
    do_now(&mut pm, &mut kernel, &gone);
    kernel.merge(&file);
    kernel.packet(ports("80"), Direction::Out, 1 << 20);
    tick(&mut pm, &mut kernel);
    let whole = |room: &InstalledRoom| room.intact.is_some();
    assert!(kernel.installed().rooms.values().all(whole));
    assert!(left(&pm, &kernel).is_empty());
    let used = pm.group_usage("vip").outgoing;
    assert!(kernel.packet(ports("80"), Direction::Out, (3 << 30) - used));
    assert!(!kernel.packet(ports("80"), Direction::Out, 1));
}
