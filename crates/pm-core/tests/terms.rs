//! Terms that change in the middle of a period: what may pass then, to the byte.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::config::{Factor, Mode};
use pm_core::event::Event;
use pm_core::holder::Holder;
use pm_core::request::{ContractSettings, Request};
use pm_core::ruleset::Direction::{self, In, Out};
use support::{
    Kernel, Pm, Quiet, add, add_group, alone, bytes, do_now, group, in_group, no_quota, ports,
    quota, set, set_group, these,
};

/// A service of its own, and one that shares its group's quota with another: 80, and 81.
fn each(quota: ContractSettings, test: impl Fn(&mut Pm, &mut Kernel, Holder)) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", quota));
    test(&mut pm, &mut kernel, ports("80").into());

    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add_group("vip", quota));
    do_now(&mut pm, &mut kernel, &add("80,81", in_group("vip")));
    test(&mut pm, &mut kernel, group("vip").into());
}

fn change(holder: &Holder, settings: ContractSettings, used: Option<u64>) -> Request {
    match holder {
        Holder::Service(_) => Request::Set {
            ports: these("80"),
            settings: settings.into(),
            used: used.map(bytes),
        },
        Holder::Group(name) => Request::SetGroup {
            name: name.clone(),
            settings,
            used: used.map(bytes),
        },
    }
}

fn mode(mode: Mode) -> ContractSettings {
    ContractSettings {
        mode: Some(mode),
        ..ContractSettings::default()
    }
}

fn factor(factor: &str) -> ContractSettings {
    ContractSettings {
        factor: Some(factor.parse::<Factor>().unwrap()),
        ..ContractSettings::default()
    }
}

/// Returns how many bytes of 80 could pass now, in one packet; `None`: none at all.
fn fits(kernel: &Kernel, direction: Direction) -> Option<u64> {
    let passes = |bytes| kernel.clone().packet(ports("80"), direction, bytes);
    let mut most = passes(1).then_some(1)?;
    // As many as the bits of a large quota.
    for bit in (0..50).rev() {
        if passes(most + (1 << bit)) {
            most += 1 << bit;
        }
    }
    Some(most)
}

const UNBOUNDED: Option<u64> = Some(1 << 50);

fn send(kernel: &mut Kernel, direction: Direction, bytes: u64) {
    assert!(kernel.packet(ports("80"), direction, bytes));
}

#[test]
fn a_quota_that_is_moved_lets_through_what_it_says() {
    each(quota(1_000), |pm, kernel, holder| {
        send(kernel, In, 300);
        send(kernel, Out, 100);
        for (bytes, left) in [
            (2_000, Some(1_600)),
            (401, Some(1)),
            // Spent, and open again with more than that.
            (400, None),
            (1_000, Some(600)),
            (300, None),
            (400, None),
            (1 << 40, Some((1 << 40) - 400)),
        ] {
            do_now(pm, kernel, &change(&holder, quota(bytes), None));
            assert_eq!(fits(kernel, Out), left, "{holder}: {bytes}");
            assert_eq!(fits(kernel, In), left, "{holder}: {bytes}");
        }
        do_now(pm, kernel, &change(&holder, no_quota(), None));
        assert!(fits(kernel, Out) >= UNBOUNDED);
        do_now(pm, kernel, &change(&holder, quota(500), None));
        assert_eq!(fits(kernel, Out), Some(100), "what was used before counts");
    });
}

#[test]
fn another_factor_counts_all_of_the_period() {
    each(quota(1_000), |pm, kernel, holder| {
        send(kernel, In, 300);
        for (times, left, billed) in [
            ("2", Some(200), 600),
            ("3", Some(33), 900),
            ("3.333", None, 999),
            ("3.334", None, 1_000),
            ("0.5", Some(1_700), 150),
            ("1", Some(700), 300),
        ] {
            do_now(pm, kernel, &change(&holder, factor(times), None));
            assert_eq!(fits(kernel, Out), left, "{holder}: {times}");
            assert_eq!(
                pm.account(holder.clone()).billed(),
                billed,
                "{holder}: {times}"
            );
        }
    });
}

#[test]
fn another_mode_counts_all_of_the_period() {
    each(quota(1_000), |pm, kernel, holder| {
        send(kernel, In, 700);
        send(kernel, Out, 200);
        for (to, left_in, left_out, billed) in [
            (Mode::Out, UNBOUNDED, Some(800), 200),
            (Mode::Max, Some(300), Some(800), 700),
            (Mode::Both, Some(100), Some(100), 900),
        ] {
            do_now(pm, kernel, &change(&holder, mode(to), None));
            let fits = (fits(kernel, In).min(UNBOUNDED), fits(kernel, Out));
            assert_eq!(fits, (left_in, left_out), "{holder}: {to}");
            assert_eq!(
                pm.account(holder.clone()).billed(),
                billed,
                "{holder}: {to}"
            );
        }
    });
}

/// The larger direction cuts off both at the next tick, and each is cut off at its own last byte
/// by the kernel.
#[test]
fn in_mode_max_each_direction_has_all_of_the_quota() {
    let contract = ContractSettings {
        mode: Some(Mode::Max),
        ..quota(1_000)
    };
    each(contract, |pm, kernel, holder| {
        send(kernel, In, 900);
        send(kernel, Out, 999);
        pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
        assert!(!pm.is_spent(ports("80")));
        assert_eq!((fits(kernel, In), fits(kernel, Out)), (Some(100), Some(1)));
        send(kernel, Out, 1);
        assert_eq!((fits(kernel, In), fits(kernel, Out)), (Some(100), None));
        pm.events.clear();
        pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
        let billed = 1_000;
        assert_eq!(pm.events, [Event::Spent { holder, billed }]);
        assert_eq!((fits(kernel, In), fits(kernel, Out)), (None, None));
    });
}

/// The larger sum of all members, not the sum of each one's larger: who sends makes room for
/// nobody who receives, and takes none away.
#[test]
fn in_mode_max_a_groups_directions_are_summed_apart() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    let contract = ContractSettings {
        mode: Some(Mode::Max),
        ..quota(1_000)
    };
    do_now(&mut pm, &mut kernel, &add_group("vip", contract));
    do_now(&mut pm, &mut kernel, &add("80,81", in_group("vip")));
    assert!(kernel.packet(ports("80"), In, 900));
    assert!(kernel.packet(ports("81"), Out, 800));
    assert!(kernel.packet(ports("81"), In, 50));
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.account(group("vip")).billed(), 950);
    assert_eq!(
        (fits(&kernel, In), fits(&kernel, Out)),
        (Some(50), Some(200))
    );
    assert_eq!(
        pm.account(ports("81")).billed(),
        800,
        "its own, for showing"
    );
}

#[test]
fn a_correction_holds_under_another_sum() {
    each(quota(1_000), |pm, kernel, holder| {
        send(kernel, In, 700);
        send(kernel, Out, 200);
        do_now(
            pm,
            kernel,
            &change(&holder, ContractSettings::default(), Some(450)),
        );
        assert_eq!(fits(kernel, Out), Some(550));
        for (settings, left) in [
            (mode(Mode::Out), 550),
            (factor("2"), 275),
            (mode(Mode::Max), 275),
            (factor("1"), 550),
        ] {
            do_now(pm, kernel, &change(&holder, settings, None));
            let billed = pm.account(holder.clone()).billed();
            // Of the direction that has less.
            let fits = fits(kernel, In).min(fits(kernel, Out));
            assert_eq!((billed, fits), (450, Some(left)), "{holder}");
        }
        // Said together, the figure is by the new sum.
        do_now(pm, kernel, &change(&holder, mode(Mode::Both), Some(999)));
        let billed = pm.account(holder.clone()).billed();
        assert_eq!((billed, fits(kernel, Out)), (999, Some(1)));
        // A quota that is spent by it is open again with less.
        do_now(
            pm,
            kernel,
            &change(&holder, ContractSettings::default(), Some(1_000)),
        );
        assert_eq!(fits(kernel, Out), None);
        do_now(
            pm,
            kernel,
            &change(&holder, ContractSettings::default(), Some(0)),
        );
        assert_eq!(fits(kernel, Out), Some(1_000));
        assert_eq!(
            pm.account(holder).usage.incoming,
            700,
            "what was counted stays visible"
        );
    });
}

/// A packet did not fit, and the rest of the quota is for nobody: by no way round.
#[test]
fn what_was_left_when_a_quota_was_spent_stays_spent() {
    each(quota(1_000), |pm, kernel, holder| {
        send(kernel, In, 900);
        assert!(!kernel.packet(ports("80"), In, 200));
        pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
        for settings in [
            quota(950),
            quota(1_000),
            factor("2"),
            factor("1"),
            quota(901),
        ] {
            do_now(pm, kernel, &change(&holder, settings, None));
            assert_eq!(fits(kernel, In), None, "{holder}");
        }
        do_now(pm, kernel, &change(&holder, quota(1_001), None));
        assert_eq!(fits(kernel, In), Some(101), "{holder}");
    });
}

/// Who joins brings no past bytes, who leaves takes none away, and a quota of his own begins
/// whole.
#[test]
fn who_joins_and_who_leaves_takes_nothing_along() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add_group("vip", quota(1_000)));
    do_now(&mut pm, &mut kernel, &add("80", quota(500)));
    do_now(&mut pm, &mut kernel, &add("81", in_group("vip")));
    assert!(kernel.packet(ports("80"), In, 499));
    assert!(kernel.packet(ports("81"), In, 100));
    do_now(&mut pm, &mut kernel, &set("80", in_group("vip")));
    assert_eq!(pm.group_usage("vip").incoming, 100);
    assert_eq!(pm.usage(ports("80")).incoming, 0);
    assert_eq!(fits(&kernel, Out), Some(900));
    assert!(kernel.packet(ports("80"), Out, 300));
    do_now(&mut pm, &mut kernel, &set("80", alone()));
    assert!(
        fits(&kernel, Out) >= UNBOUNDED,
        "it has no quota of its own any more"
    );
    assert!(kernel.packet(ports("80"), Out, 5_000));
    do_now(&mut pm, &mut kernel, &set("80", quota(6_000)));
    assert_eq!(fits(&kernel, Out), Some(1_000));
    assert_eq!(pm.account(group("vip")).billed(), 400);
    assert!(kernel.packet(ports("81"), Out, 600));
    assert!(!kernel.packet(ports("81"), Out, 1));
    // Into a group that is spent, and out of it again.
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    do_now(&mut pm, &mut kernel, &set("80", in_group("vip")));
    assert_eq!(fits(&kernel, Out), None);
    do_now(&mut pm, &mut kernel, &set("80", alone()));
    assert!(fits(&kernel, Out) >= UNBOUNDED);
    do_now(&mut pm, &mut kernel, &set_group("vip", quota(1_500)));
    assert!(kernel.packet(ports("81"), Out, 500));
    assert!(!kernel.packet(ports("81"), Out, 1));
    let ledger = &pm.saved.ledgers[&ports("80")];
    assert_eq!((ledger.total.incoming, ledger.total.outgoing), (499, 5_300));
}
