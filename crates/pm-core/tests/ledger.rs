//! The account at its boundaries: what is billed, and what limit the kernel is given.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use pm_core::calendar::{Period, ResetPolicy, Timestamp};
use pm_core::config::{Contract, Factor, Mode, Tariff};
use pm_core::history::Why;
use pm_core::holder::Holder;
use pm_core::ledger::{Account, Terms, Usage};
use pm_core::ruleset::{Direction, MAX_QUOTA_LIMIT, Metered};
use pm_core::strategies::{factor, mode};
use pm_core::units::Size;
use proptest::prelude::*;

fn tariff(mode: Mode) -> Tariff {
    Tariff {
        mode,
        factor: Factor::ONE,
    }
}

fn times(mode: Mode, factor: &str) -> Tariff {
    Tariff {
        mode,
        factor: factor.parse().unwrap(),
    }
}

fn account(tariff: Tariff, incoming: u64, outgoing: u64) -> Account {
    let mut account = Account::new(tariff, Period::restore(ResetPolicy::Never, None), None);
    account.usage = Usage { incoming, outgoing };
    account
}

fn contract(tariff: Tariff, quota: u64) -> Contract {
    let size = Size::from_bytes(quota).unwrap();
    Contract {
        tariff,
        quota: Some(size.try_into().unwrap()),
        ..Contract::default()
    }
}

fn terms(account: &Account, tariff: Tariff, quota: u64) -> Terms {
    account.terms(contract(tariff, quota)).unwrap()
}

#[test]
fn a_mode_and_a_factor_say_what_is_billed() {
    for (tariff, billed) in [
        (tariff(Mode::Both), 340),
        (tariff(Mode::Out), 40),
        (tariff(Mode::Max), 300),
        (times(Mode::Both, "2"), 680),
        (times(Mode::Max, "0.5"), 150),
        (times(Mode::Out, "0.001"), 0),
        (times(Mode::Out, "1000"), 40_000),
    ] {
        assert_eq!(account(tariff, 300, 40).billed(), billed, "{tariff:?}");
    }
    assert_eq!(account(tariff(Mode::Max), 40, 300).billed(), 300);
}

#[test]
fn the_limit_is_what_is_left_on_the_scale_of_what_was_counted() {
    for (mode, metered, fresh, running) in [
        (Mode::Both, Metered::Both, 660, 1_660),
        (Mode::Out, Metered::Out, 960, 1_960),
        (Mode::Max, Metered::In, 700, 1_700),
        (Mode::Max, Metered::Out, 960, 1_960),
    ] {
        let account = account(tariff(mode), 300, 40);
        let terms = terms(&account, tariff(mode), 1_000);
        assert_eq!(account.kernel_limit(terms, metered, 0), fresh);
        assert_eq!(account.kernel_limit(terms, metered, 1_000), running);
    }
    let free = account(tariff(Mode::Both), 300, 40);
    assert_eq!(free.terms(Contract::default()), None);
}

/// A quota of 1000 at factor 3 is 333 bytes: with the 334th, more than 1000 would be billed.
#[test]
fn a_factor_divides_the_limit() {
    for (factor, quota, allowance) in [
        ("3", 1_000, 333),
        ("0.3", 1_000, 3_333),
        ("1000", 999, 0),
        ("1000", 1_000, 1),
        ("0.001", 1, 1_000),
    ] {
        let tariff = times(Mode::Both, factor);
        let account = account(tariff, 0, 0);
        let terms = terms(&account, tariff, quota);
        assert_eq!(terms.allowance, allowance, "{factor}");
        let bytes = u64::try_from(allowance).unwrap();
        assert!(tariff.bill(bytes, 0) <= quota, "{factor}");
        assert!(tariff.bill(bytes + 2, 0) >= quota, "{factor}");
    }
}

#[test]
fn a_correction_moves_the_bill_and_the_limit_by_the_same() {
    let mut account = account(tariff(Mode::Both), 300, 40);
    for (billed, adjust, left) in [
        (340, 0, 660),
        (900, 560, 100),
        (999, 659, 1),
        (0, -340, 1_000),
        (1_000, 660, 1),
        (5_000, 4_660, 1),
    ] {
        account.set_billed(tariff(Mode::Both), billed);
        assert_eq!((account.billed(), account.adjust), (billed, adjust));
        let terms = terms(&account, tariff(Mode::Both), 1_000);
        assert_eq!(account.kernel_limit(terms, Metered::Both, 0), left);
        assert_eq!(account.usage.counted(Mode::Both), 340);
    }
}

#[test]
fn a_correction_is_in_billed_bytes_and_the_limit_in_real_ones() {
    let double = times(Mode::Both, "2");
    let mut account = account(double, 300, 40);
    account.set_billed(double, 1_000);
    assert_eq!((account.billed(), account.adjust), (1_000, 320));
    // 500 more are billed when 250 more have passed.
    let terms = terms(&account, double, 1_500);
    assert_eq!(account.kernel_limit(terms, Metered::Both, 0), 250);
}

#[test]
fn a_closed_period_says_what_was_billed_and_leaves_nothing_behind() {
    let mut account = account(tariff(Mode::Both), 300, 40);
    account.set_billed(tariff(Mode::Both), 7);
    account.spent = account.terms(contract(tariff(Mode::Both), 7));
    assert!(account.spent.is_some());
    let now = Timestamp::from_unix(60);
    let holder = Holder::Service("80".parse().unwrap());
    let closed = account.close(holder.clone(), Why::Operator, now);
    assert_eq!((closed.billed(), closed.adjust), (7, -333));
    assert_eq!((closed.usage.incoming, closed.usage.outgoing), (300, 40));
    assert_eq!((closed.holder, closed.why), (holder, Why::Operator));
    assert_eq!((closed.began, closed.ended), (None, now));
    assert_eq!(account.billed(), 0);
    assert_eq!((account.adjust, account.spent), (0, None));
    assert_eq!(account.began, Some(now));
}

/// The kernel refuses a limit of 0 and one above 2⁶³ − 1.
#[test]
fn the_largest_and_the_smallest_numbers_stay_in_the_kernels_range() {
    let both = tariff(Mode::Both);
    let new = account(both, 0, 0);
    let largest = terms(&new, both, Size::MAX_BYTES);
    let smallest = terms(&new, both, 1);
    let limits = |account: &Account, terms, counted| {
        let fresh = account.kernel_limit(terms, Metered::Both, 0);
        (fresh, account.kernel_limit(terms, Metered::Both, counted))
    };
    assert_eq!(limits(&new, largest, 0), (MAX_QUOTA_LIMIT, MAX_QUOTA_LIMIT));
    assert_eq!(
        limits(&account(both, 5, 5), largest, u64::MAX),
        (MAX_QUOTA_LIMIT - 10, MAX_QUOTA_LIMIT)
    );
    let all = account(both, u64::MAX, u64::MAX);
    assert_eq!(limits(&all, smallest, 0), (1, 1));
    let mut forgiven = all;
    forgiven.set_billed(both, 0);
    assert_eq!(forgiven.adjust, i64::MIN);
    let mut charged = new;
    charged.set_billed(both, u64::MAX);
    assert_eq!(charged.billed(), i64::MAX as u64);
    let terms = terms(&charged, both, Size::MAX_BYTES);
    assert_eq!(limits(&charged, terms, 0), (1, 1));
    // The least that a byte can cost, and the most.
    let cheap = times(Mode::Both, "0.001");
    let terms = new.terms(contract(cheap, Size::MAX_BYTES)).unwrap();
    assert_eq!(limits(&new, terms, 0).0, MAX_QUOTA_LIMIT);
    assert_eq!(account(cheap, u64::MAX, 0).billed(), u64::MAX / 1_000);
    let dear = times(Mode::Both, "1000");
    assert_eq!(account(dear, u64::MAX, 0).billed(), u64::MAX);
}

#[test]
fn usage_stops_at_the_largest_number() {
    let mut usage = Usage {
        incoming: u64::MAX - 1,
        outgoing: 1,
    };
    usage.add(Direction::In, 10);
    usage.add(Direction::Out, 10);
    assert_eq!((usage.incoming, usage.outgoing), (u64::MAX, 11));
    assert_eq!(usage.counted(Mode::Both), u64::MAX);
    assert_eq!(usage.counted(Mode::Max), u64::MAX);
}

#[test]
fn only_better_terms_free_a_spent_quota() {
    let account = account(tariff(Mode::Both), 0, 0);
    let earlier = terms(&account, tariff(Mode::Both), 1_000);
    for (tariff, quota, improves) in [
        (tariff(Mode::Both), 999, false),
        (tariff(Mode::Both), 1_000, false),
        (tariff(Mode::Both), 1_001, true),
        (tariff(Mode::Out), 1, true),
        (tariff(Mode::Max), 1, true),
        // The same number of bytes, under another factor.
        (times(Mode::Both, "2"), 2_000, false),
        (times(Mode::Both, "2"), 2_002, true),
        (times(Mode::Both, "0.5"), 500, false),
    ] {
        let terms = account.terms(contract(tariff, quota)).unwrap();
        assert_eq!(terms.improve_on(earlier), improves, "{quota} {tariff:?}");
    }
}

fn low_factor() -> impl Strategy<Value = Factor> {
    (1u32..2_000).prop_map(|factor| Factor::from_thousandths(factor).unwrap())
}

proptest! {
    /// Bytes that are counted and bytes that are read move the limit of a quota by nothing.
    #[test]
    fn a_limit_does_not_depend_on_when_it_is_read(
        before in (0u64..1 << 40, 0u64..1 << 40),
        passed in prop::collection::vec((0u64..1 << 30, 0u64..1 << 30), 0..10),
        quota in 1u64 << 45..Size::MAX_BYTES >> 1,
        billed in 0u64..1 << 44,
        counted in 0u64..1 << 40,
        (mode, factor) in (mode(), low_factor()),
    ) {
        let tariff = Tariff { mode, factor };
        let mut account = account(tariff, before.0, before.1);
        account.set_billed(tariff, billed);
        let terms = terms(&account, tariff, quota);
        for &metered in mode.metered() {
            let mut account = account;
            let limit_now = |account: &Account| {
                let counted = counted + account.usage.metered(metered);
                account.kernel_limit(terms, metered, counted)
            };
            let mut seen = BTreeSet::from([limit_now(&account)]);
            for &(more_in, more_out) in &passed {
                account.usage.add(Direction::In, more_in);
                account.usage.add(Direction::Out, more_out);
                seen.insert(limit_now(&account));
            }
            prop_assert_eq!(seen.len(), 1);
        }
    }

    /// What may still pass is the most that is billed for at most the quota.
    #[test]
    fn what_is_left_is_billed_for_no_more_than_the_quota(
        (incoming, outgoing) in (0u64..1 << 40, 0u64..1 << 40),
        quota in 1..Size::MAX_BYTES,
        billed in 0u64..1 << 44,
        (mode, factor) in (mode(), factor()),
    ) {
        let tariff = Tariff { mode, factor };
        let mut account = account(tariff, incoming, outgoing);
        account.set_billed(tariff, billed);
        let terms = terms(&account, tariff, quota);
        let allowance = i128::from(terms.allowance);
        let (factor, adjust) = (i128::from(factor.thousandths()), i128::from(account.adjust));
        let bill = |bytes: i128| bytes * factor + adjust * 1_000;
        let quota = i128::from(quota) * 1_000;
        if allowance < i128::from(i64::MAX) {
            prop_assert!(bill(allowance) <= quota);
            prop_assert!(bill(allowance + 1) > quota);
        }
        let left = account.left(terms);
        prop_assert_eq!(left, allowance - i128::from(account.usage.counted(mode)));
        if left > 0 && left < i128::from(MAX_QUOTA_LIMIT) {
            // The larger direction is the first that meets its end.
            let limits = mode.metered().iter().map(|&m| account.kernel_limit(terms, m, 0));
            prop_assert_eq!(i128::from(limits.min().unwrap()), left);
        }
    }

    #[test]
    fn what_is_set_is_what_is_billed(
        incoming in 0u64..1 << 50,
        outgoing in 0u64..1 << 50,
        billed in 0..Size::MAX_BYTES,
        (mode, factor) in (mode(), low_factor()),
    ) {
        let tariff = Tariff { mode, factor };
        let mut account = account(Tariff::default(), incoming, outgoing);
        account.set_billed(tariff, billed);
        prop_assert_eq!(account.billed(), billed);
    }
}
