//! Who was deleted and comes back: with which bill, and that nothing is billed twice.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::calendar::{ResetPolicy, Timestamp, Zone};
use pm_core::config::Config;
use pm_core::history::Why;
use pm_core::ledger::Usage;
use pm_core::request::{ContractSettings, Request, Settings};
use pm_core::ruleset::Direction;
use pm_core::strategies::{mode, reset_policy};
use proptest::prelude::*;
use support::{
    Kernel, Pm, Quiet, add, add_group, alone, do_now, group, in_group, ports, quota, set, set_used,
    these,
};

const A_DAY: i64 = 86_400;

fn running(requests: &[Request]) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    for request in requests {
        do_now(&mut pm, &mut kernel, request);
    }
    (kernel, pm)
}

fn delete(list: &str) -> Request {
    let ports = these(list);
    Request::Delete { ports }
}

fn restore(config: &Config) -> Request {
    Request::Restore {
        version: Some(1),
        config: Box::new(config.clone()),
    }
}

fn resetting(policy: ResetPolicy) -> Settings {
    ContractSettings {
        reset: Some(policy.into()),
        ..quota(10_000)
    }
    .into()
}

fn billed(pm: &Pm, list: &str) -> u64 {
    pm.account(ports(list)).billed()
}

fn group_billed(pm: &Pm, name: &str) -> u64 {
    pm.account(group(name)).billed()
}

#[test]
fn a_service_comes_back_with_its_bill_and_is_cut_at_the_byte() {
    let (mut kernel, mut pm) = running(&[add("80", quota(10_000))]);
    let before = pm.config.clone();
    kernel.packet(ports("80"), Direction::In, 6_000);
    do_now(&mut pm, &mut kernel, &delete("80"));
    pm.time += 3 * A_DAY;
    do_now(&mut pm, &mut kernel, &restore(&before));
    let account = pm.account(ports("80"));
    assert_eq!((account.usage, account.adjust), (Usage::default(), 6_000));
    assert_eq!(account.began, pm.history.last().unwrap().began);
    assert!(kernel.packet(ports("80"), Direction::Out, 4_000));
    assert!(!kernel.packet(ports("80"), Direction::Out, 1));
    assert_eq!(pm.tick(&mut kernel, &mut Quiet, usize::MAX).ok(), Some(()));
    assert!(pm.is_spent(ports("80")));
    // Deleted and back again, it has what it had then.
    do_now(&mut pm, &mut kernel, &delete("80"));
    do_now(&mut pm, &mut kernel, &restore(&before));
    assert_eq!(billed(&pm, "80"), 10_000);
    assert!(pm.is_spent(ports("80")));
    let bytes: u64 = pm
        .history
        .iter()
        .map(|one| one.usage.incoming + one.usage.outgoing)
        .sum();
    assert_eq!(bytes, 10_000, "a byte is in one period");
}

#[test]
fn whatever_else_closed_its_last_period_ended_the_bill() {
    let spent = |then: &[Request]| {
        let (mut kernel, mut pm) =
            running(&[add_group("vip", quota(50_000)), add("80", quota(10_000))]);
        let before = pm.config.clone();
        kernel.packet(ports("80"), Direction::In, 6_000);
        for request in then {
            do_now(&mut pm, &mut kernel, request);
        }
        do_now(&mut pm, &mut kernel, &restore(&before));
        (billed(&pm, "80"), group_billed(&pm, "vip"))
    };
    let reset = Request::Reset { ports: these("80") };
    assert_eq!(spent(std::slice::from_ref(&reset)), (0, 0));
    assert_eq!(spent(&[reset, delete("80")]), (0, 0));
    assert_eq!(spent(&[set_used("80", 77), delete("80")]), (77, 0));
    assert_eq!(spent(&[delete("80"), add("80", quota(500))]), (0, 0));
    // Who joins or leaves a group begins at nothing, and so does who was deleted in it.
    assert_eq!(spent(&[set("80", in_group("vip"))]), (0, 0));
    assert_eq!(spent(&[set("80", in_group("vip")), delete("80")]), (0, 0));
    assert_eq!(
        spent(&[delete("80"), add("80", in_group("vip")), delete("80")]),
        (6_000, 0)
    );
}

#[test]
fn what_members_used_is_billed_to_their_group_once() {
    let (mut kernel, mut pm) = running(&[
        add_group("vip", quota(50_000)),
        add("80,81", in_group("vip")),
    ]);
    let before = pm.config.clone();
    kernel.packet(ports("80"), Direction::In, 6_000);
    kernel.packet(ports("81"), Direction::In, 1_000);
    // The group stands.
    do_now(&mut pm, &mut kernel, &delete("80"));
    do_now(&mut pm, &mut kernel, &restore(&before));
    assert_eq!((billed(&pm, "80"), group_billed(&pm, "vip")), (0, 7_000));
    // One of them leaves, the other goes with the group, and all of it comes back.
    do_now(&mut pm, &mut kernel, &set("81", alone()));
    kernel.packet(ports("80"), Direction::In, 500);
    do_now(&mut pm, &mut kernel, &restore(&Config::default()));
    assert!(pm.saved.groups.is_empty());
    do_now(&mut pm, &mut kernel, &restore(&before));
    assert_eq!(group_billed(&pm, "vip"), 7_500);
    assert_eq!((billed(&pm, "80"), billed(&pm, "81")), (0, 0));
    assert_eq!(pm.group_usage("vip"), Usage::default());
    kernel.packet(ports("81"), Direction::In, 42_500);
    assert!(!kernel.packet(ports("80"), Direction::In, 1), "{kernel:?}");
}

proptest! {
    #![proptest_config(support::cases(64))]

    /// Its bill goes on until the first of its policy's dates after the deletion.
    #[test]
    fn a_bill_goes_on_while_no_reset_was_due(
        policy in reset_policy(),
        zone in prop::sample::select(vec!["UTC", "Asia/Shanghai", "America/Los_Angeles"]),
        deleted in 0..400 * A_DAY,
        days in prop_oneof![0..3_i64, 0..800_i64],
    ) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.zone = Zone::named(zone).unwrap();
        pm.time += deleted;
        do_now(&mut pm, &mut kernel, &add("80", resetting(policy)));
        let before = pm.config.clone();
        kernel.packet(ports("80"), Direction::In, 6_000);
        do_now(&mut pm, &mut kernel, &delete("80"));
        let day = |pm: &Pm| pm.zone.date_at(Timestamp::from_unix(pm.time));
        let then = day(&pm);
        pm.time += days * A_DAY;
        let is_over = policy.next_after(then).is_some_and(|next| next <= day(&pm));
        do_now(&mut pm, &mut kernel, &restore(&before));
        prop_assert_eq!(billed(&pm, "80"), if is_over { 0 } else { 6_000 });
        // Its next reset is that of who was never gone.
        prop_assert_eq!(pm.account(ports("80")).period.next(), policy.next_after(day(&pm)));
    }

    /// Wherever pm dies while it deletes, so that rooms are still there or not, and whatever
    /// passes meanwhile: who comes back has all of it on his bill.
    #[test]
    fn a_deletion_that_is_cut_short_loses_no_bill(
        steps in 0..40_usize,
        mode in mode(),
        later in 0..3_000_u64,
        ticks in any::<bool>(),
    ) {
        let tariff = ContractSettings { mode: Some(mode), ..quota(10_000) };
        let (mut kernel, mut pm) = running(&[add("80", tariff)]);
        let before = pm.config.clone();
        kernel.packet(ports("80"), Direction::In, 6_000);
        drop(pm.request(&mut kernel, &mut Quiet, steps, &delete("80")));
        kernel.packet(ports("80"), Direction::In, later);
        if ticks {
            pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        }
        do_now(&mut pm, &mut kernel, &restore(&before));
        prop_assert_eq!(billed(&pm, "80"), kernel.counted[&ports("80")].counted(mode));
        let deleted = pm.history.iter().filter(|one| one.why == Why::Deleted).count();
        prop_assert!(deleted <= 1, "{:?}", pm.history);
    }
}
