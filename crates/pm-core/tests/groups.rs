//! Groups: what members use together, who joins and who leaves; and that all that is counted is
//! billed once, whatever is asked of pm.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::GroupName;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request};
use pm_core::ruleset::Direction;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use support::script::{About, Act, Books, GROUPS, acts, call, edit, meddling, services, steps};
use support::{
    Failed, Kernel, Packet, Pm, Quiet, add, add_group, do_now, group, in_group, ports, quota, set,
    these,
};

/// Returns what a holder's closed periods used; those since it was added only, on demand.
fn closed(pm: &Pm, holder: &Holder, since_added: bool) -> Usage {
    let mut sum = Usage::default();
    for period in pm.history.iter().filter(|period| period.holder == *holder) {
        sum = sum.plus(period.usage);
        if since_added && period.why == Why::Deleted {
            sum = Usage::default();
        }
    }
    sum
}

/// How often a service was deleted.
fn lives(pm: &Pm, ports: PortRange) -> usize {
    let holder = Holder::Service(ports);
    let deleted = |period: &&ClosedPeriod| period.holder == holder && period.why == Why::Deleted;
    pm.history.iter().filter(deleted).count()
}

fn running(pm: &Pm, holder: &Holder) -> Usage {
    pm.saved
        .account(holder)
        .map(|a| a.usage)
        .unwrap_or_default()
}

/// Asserts that each byte is in one period of its service, and in one of its group; and that the
/// days say the same.
fn all_is_booked(pm: &Pm, kernel: &Kernel, books: &Books) -> Result<(), TestCaseError> {
    for ports in services() {
        let holder = Holder::Service(ports);
        let billed = closed(pm, &holder, false).plus(running(pm, &holder));
        let counted = books.service(ports, kernel);
        prop_assert_eq!(billed, counted, "service {}", ports);
        if let Some(ledger) = pm.saved.ledgers.get(&ports) {
            let periods = closed(pm, &holder, true).plus(running(pm, &holder));
            prop_assert_eq!(ledger.total, periods, "service {}", ports);
        }
        let days = pm.days.iter().filter(|((of, _), _)| *of == ports);
        let days = days.fold(Usage::default(), |sum, (_, usage)| sum.plus(*usage));
        prop_assert_eq!(days, counted, "days of service {}", ports);
    }
    for name in GROUPS.map(group) {
        let holder = Holder::Group(name.clone());
        let billed = closed(pm, &holder, false).plus(running(pm, &holder));
        prop_assert_eq!(billed, books.group(&name), "group {}", name);
        shares_add_up(pm, &name)?;
    }
    Ok(())
}

/// Asserts that the shares of the services in each of a group's periods add up to it.
fn shares_add_up(pm: &Pm, name: &GroupName) -> Result<(), TestCaseError> {
    let mut shares = Usage::default();
    for period in &pm.history {
        if period.group.as_ref() == Some(name) {
            shares = shares.plus(period.usage);
        } else if period.holder == name.clone().into() {
            prop_assert_eq!(shares, period.usage, "{:?}", pm.history);
            shares = Usage::default();
        }
    }
    let ledgers = pm.saved.ledgers.values();
    for ledger in ledgers.filter(|ledger| ledger.group.as_ref() == Some(name)) {
        shares = shares.plus(ledger.account.usage);
    }
    let running = running(pm, &name.clone().into());
    prop_assert_eq!(shares, running, "{:?}", pm.history);
    Ok(())
}

/// What ends counters, or makes them somebody else's.
#[derive(Clone, Copy, Debug)]
enum Disaster {
    None,
    Flush,
    Save,
    Load,
    Merge,
    Reboot,
    FreshNamespace {
        with_saved: bool,
    },
    ResetCounters,
    ResetQuotas,
    DeleteRooms(PortRange),
    Meddling(Act),
    /// pm is taken out of the kernel, or put back.
    Teardown(bool),
}

fn disaster() -> impl Strategy<Value = Disaster> {
    prop_oneof![
        6 => Just(Disaster::None),
        1 => Just(Disaster::Flush),
        2 => Just(Disaster::Save),
        1 => Just(Disaster::Load),
        2 => Just(Disaster::Merge),
        1 => Just(Disaster::Reboot),
        1 => any::<bool>().prop_map(|with_saved| Disaster::FreshNamespace { with_saved }),
        1 => Just(Disaster::ResetCounters),
        1 => Just(Disaster::ResetQuotas),
        1 => select(services()).prop_map(Disaster::DeleteRooms),
        1 => meddling().prop_map(Disaster::Meddling),
        2 => any::<bool>().prop_map(Disaster::Teardown),
    ]
}

/// Two services in a group, one in another, one in none.
fn beginning() -> [Request; 4] {
    [
        add_group("vip", quota(1_000_000)),
        add_group("1", ContractSettings::default()),
        add("80,8080", in_group("vip")),
        add("30000-30100,65535", ContractSettings::default()),
    ]
}

proptest! {
    #![proptest_config(support::cases(700))]

    /// Whatever is asked for and wherever pm dies: all that was counted for a service is in its
    /// periods, each byte once, and all that its group's members counted while they were members
    /// is in the group's.
    #[test]
    fn every_byte_is_in_one_period_of_its_service_and_of_its_group(
        ops in vec(
            (
                (acts(65_536), edit()),
                call(About::everything().request()),
                acts(65_536),
                steps(),
                0i64..8,
            ),
            1..24,
        ),
        (reads_all, quotas_first) in any::<(bool, bool)>(),
    ) {
        let (mut kernel, mut pm, mut books) = (Kernel::default(), Pm::new(), Books::default());
        (pm.reads_all, pm.quotas_first) = (reads_all, quotas_first);
        for request in beginning() {
            pm.request(&mut kernel, &mut books, usize::MAX, &request).unwrap();
        }
        let mut totals: BTreeMap<(PortRange, usize), Usage> = BTreeMap::new();
        for ((between, edit), call, inside, steps, days) in ops {
            pm.edit(edit.as_ref());
            for act in between {
                act.happen(&mut kernel);
            }
            pm.time += days * 86_400 / 4;
            kernel.since_boot += std::time::Duration::from_secs(20);
            let world = books.plan(inside);
            let done = pm.call(&mut kernel, world, steps, call.as_ref());
            prop_assert!(!matches!(done, Err(Failed::Killed) if steps == usize::MAX));
            for (&ports, ledger) in &pm.saved.ledgers {
                let before = totals.insert((ports, lives(&pm, ports)), ledger.total);
                let before = before.unwrap_or_default();
                prop_assert_eq!(ledger.total.since(before).plus(before), ledger.total);
            }
        }
        kernel.settle();
        pm.tick(&mut kernel, books.plan(Vec::new()), usize::MAX).unwrap();
        all_is_booked(&pm, &kernel, &books)?;
        // A quota that was moved while it dropped is off its scale, which shows at rest only.
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        // Nothing is left to do, and nothing is told twice.
        pm.events.clear();
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        prop_assert_eq!(&pm.batches, &[]);
        prop_assert_eq!(&pm.events, &[]);
    }

    /// The same, with everybody else at work: what they destroyed is lost, and nothing else.
    #[test]
    fn every_byte_that_nobody_destroyed_is_in_one_period(
        ops in vec(
            (
                (acts(65_536), disaster()),
                call(About::everything().request()),
                acts(65_536),
                steps(),
                0i64..8,
            ),
            1..24,
        ),
        quotas_first in any::<bool>(),
    ) {
        let (mut kernel, mut pm, mut books) = (Kernel::default(), Pm::new(), Books::default());
        pm.quotas_first = quotas_first;
        let mut file = None;
        for request in beginning() {
            pm.request(&mut kernel, books.plan(Vec::new()), usize::MAX, &request).unwrap();
        }
        for ((between, disaster), call, inside, steps, days) in ops {
            for act in between {
                act.happen(&mut kernel);
            }
            pm.time += days * 86_400 / 4;
            kernel.settle();
            let is_there = kernel.table.is_some();
            let lost = match disaster {
                Disaster::Flush | Disaster::Load | Disaster::ResetCounters => services(),
                Disaster::Reboot | Disaster::FreshNamespace { .. } => services(),
                Disaster::DeleteRooms(ports) => vec![ports],
                _ => Vec::new(),
            };
            books.lose(&kernel, lost);
            match disaster {
                Disaster::None => {}
                Disaster::Flush => kernel.flush(),
                Disaster::Save => file.clone_from(&kernel.table),
                Disaster::Load => kernel.load(&file),
                Disaster::Merge => drop(kernel.merge(&file)),
                Disaster::Reboot => kernel.reboot(),
                Disaster::FreshNamespace { with_saved } => {
                    kernel.fresh_namespace();
                    if with_saved {
                        kernel.load(&file);
                    }
                }
                Disaster::ResetCounters if is_there => kernel.reset_counters(),
                Disaster::ResetQuotas if is_there => kernel.reset_quotas(),
                Disaster::ResetCounters | Disaster::ResetQuotas => {}
                Disaster::DeleteRooms(ports) => kernel.delete_rooms(ports),
                Disaster::Meddling(act) => act.happen(&mut kernel),
                Disaster::Teardown(torn_down) => pm.saved.torn_down = torn_down,
            }
            if !matches!(disaster, Disaster::None | Disaster::Save) {
                // Until pm has seen what became of its counters, nothing more is counted there.
                let _ = pm.tick(&mut kernel, books.plan(Vec::new()), steps);
                pm.tick(&mut kernel, books.plan(Vec::new()), usize::MAX).unwrap();
            }
            let done = pm.call(&mut kernel, books.plan(inside), steps, call.as_ref());
            prop_assert!(!matches!(done, Err(Failed::Killed) if steps == usize::MAX));
        }
        kernel.settle();
        pm.saved.torn_down = false;
        pm.tick(&mut kernel, books.plan(Vec::new()), usize::MAX).unwrap();
        all_is_booked(&pm, &kernel, &books)?;
    }
}

/// pm died before the rooms of a group's last service were deleted.
#[test]
fn a_group_that_is_made_again_begins_at_nothing() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add_group("vip", quota(1_000)));
    do_now(&mut pm, &mut kernel, &add("80", in_group("vip")));
    kernel.packet(ports("80"), Direction::In, 700);
    let gone = [
        Request::Delete { ports: these("80") },
        Request::DeleteGroup { name: group("vip") },
    ];
    for request in gone {
        // Read, note the configuration, save.
        assert!(pm.request(&mut kernel, &mut Quiet, 4, &request).is_err());
        assert_eq!(pm.saved.ledgers.len(), 1);
    }
    do_now(&mut pm, &mut kernel, &add_group("vip", quota(1_000)));
    assert_eq!(pm.group_usage("vip"), Usage::default());
    let used = Usage {
        incoming: 700,
        outgoing: 0,
    };
    assert_eq!(closed(&pm, &Holder::Group(group("vip")), false), used);
    assert_eq!(closed(&pm, &Holder::Service(ports("80")), false), used);
    shares_add_up(&pm, &group("vip")).unwrap();
}

/// pm died before the rooms of a group's service were deleted.
#[test]
fn the_share_of_a_deleted_service_ends_with_its_groups_period() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add_group("vip", quota(1_000_000)));
    do_now(&mut pm, &mut kernel, &add("80,8080", in_group("vip")));
    kernel.packet(ports("80"), Direction::In, 700);
    let delete = Request::Delete { ports: these("80") };
    assert!(pm.request(&mut kernel, &mut Quiet, 4, &delete).is_err());
    assert!(pm.saved.ledgers[&ports("80")].deleted);
    let reset = Request::ResetGroup { name: group("vip") };
    // Read, close, save.
    assert!(pm.request(&mut kernel, &mut Quiet, 4, &reset).is_err());
    kernel.packet(ports("80"), Direction::In, 50);
    do_now(&mut pm, &mut kernel, &reset);
    shares_add_up(&pm, &group("vip")).unwrap();
    assert_eq!(
        closed(&pm, &Holder::Service(ports("80")), false).incoming,
        750
    );
}

/// A packet of one member was between quota and counter when both were read; then only another
/// member, who is on the way in, was read.
#[test]
fn what_was_not_read_again_is_not_at_rest() {
    let packet = Packet {
        ports: ports("80"),
        direction: Direction::In,
        bytes: 1,
    };
    let moments = (0..12).flat_map(|touched| (0..12).map(move |sent| (touched, sent)));
    for (touched, sent) in moments {
        let (mut kernel, mut pm, mut books) = (Kernel::default(), Pm::new(), Books::default());
        pm.reads_all = false;
        for request in beginning() {
            do_now(&mut pm, &mut kernel, &request);
        }
        let mut acts = vec![Act::Nothing; 12];
        acts[touched] = Act::Touch;
        acts[sent] = Act::Launch(packet, 2);
        let join = set("30000-30100", in_group("vip"));
        let world = books.plan(acts);
        pm.request(&mut kernel, world, usize::MAX, &join).unwrap();
        let made = pm.batches.iter().flat_map(|batch| &batch.create_quotas);
        assert_eq!(made.count(), 0, "the group's quota counts on");
        let moved = pm
            .batches
            .iter()
            .flat_map(|batch| batch.create_rooms.keys());
        let moved: BTreeSet<_> = moved.map(|room| room.ports).collect();
        assert_eq!(moved, [ports("30000-30100")].into());
    }
}
