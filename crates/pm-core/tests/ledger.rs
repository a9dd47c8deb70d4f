//! The ledger at its boundaries: what is billed, and what limit the kernel is given.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use pm_core::backend::CounterReading;
use pm_core::calendar::{Period, ResetPolicy};
use pm_core::config::{Mode, Service};
use pm_core::ledger::{Ledger, RoomMark, Usage};
use pm_core::ruleset::MAX_QUOTA_LIMIT;
use pm_core::units::Size;
use proptest::prelude::*;

fn ledger(incoming: u64, outgoing: u64) -> Ledger {
    let mut ledger = Ledger::new(Period::restore(ResetPolicy::Never, None));
    ledger.usage = Usage { incoming, outgoing };
    ledger
}

fn service(mode: Mode, quota: u64) -> Service {
    let size = Size::from_bytes(quota).unwrap();
    Service {
        mode,
        quota: Some(size.try_into().unwrap()),
        ..Service::default()
    }
}

fn mark(incoming: u64, outgoing: u64) -> RoomMark {
    let counter = |handle, bytes| Some(CounterReading { handle, bytes });
    RoomMark {
        incoming: counter(1, incoming),
        outgoing: counter(2, outgoing),
        ..RoomMark::default()
    }
}

/// The limit of a quota made now, and of one whose counters have run since the period began.
fn limits(ledger: &Ledger, service: &Service, mark: &RoomMark) -> (u64, u64) {
    let terms = ledger.terms(service).unwrap();
    (
        ledger.kernel_limit(terms, None),
        ledger.kernel_limit(terms, Some(mark)),
    )
}

#[test]
fn a_mode_says_what_is_billed() {
    let ledger = ledger(300, 40);
    assert_eq!(ledger.billed(Mode::Both), 340);
    assert_eq!(ledger.billed(Mode::Out), 40);
}

#[test]
fn the_limit_is_what_is_left_on_the_scale_of_the_counters() {
    let (ledger, mark) = (ledger(300, 40), mark(1_300, 540));
    let both = service(Mode::Both, 1_000);
    assert_eq!(limits(&ledger, &both, &mark), (660, 2_500));
    let out = service(Mode::Out, 1_000);
    assert_eq!(limits(&ledger, &out, &mark), (960, 1_500));
    assert_eq!(ledger.terms(&Service::default()), None);
}

#[test]
fn a_correction_moves_the_bill_and_the_limit_by_the_same() {
    let service = service(Mode::Both, 1_000);
    let mut ledger = ledger(300, 40);
    for (billed, adjust, limit) in [
        (340, 0, 660),
        (900, 560, 100),
        (999, 659, 1),
        (0, -340, 1_000),
        (1_000, 660, 1),
        (5_000, 4_660, 1),
    ] {
        ledger.set_billed(Mode::Both, billed);
        assert_eq!((ledger.billed(Mode::Both), ledger.adjust), (billed, adjust));
        assert_eq!(limits(&ledger, &service, &mark(0, 0)).0, limit);
        assert_eq!(ledger.usage.counted(Mode::Both), 340);
    }
}

#[test]
fn a_reset_forgets_usage_correction_and_spending() {
    let mut ledger = ledger(300, 40);
    ledger.set_billed(Mode::Both, 7);
    ledger.spent = ledger.terms(&service(Mode::Both, 7));
    ledger.reset();
    assert_eq!(ledger.billed(Mode::Both), 0);
    assert_eq!((ledger.adjust, ledger.spent), (0, None));
}

/// The kernel refuses a limit of 0 and one above 2⁶³ − 1.
#[test]
fn the_largest_and_the_smallest_numbers_stay_in_the_kernels_range() {
    let largest = service(Mode::Both, Size::MAX_BYTES);
    assert_eq!(
        limits(&ledger(0, 0), &largest, &mark(0, 0)),
        (MAX_QUOTA_LIMIT, MAX_QUOTA_LIMIT)
    );
    assert_eq!(
        limits(&ledger(5, 5), &largest, &mark(u64::MAX, u64::MAX)),
        (MAX_QUOTA_LIMIT - 10, MAX_QUOTA_LIMIT)
    );
    let smallest = service(Mode::Both, 1);
    assert_eq!(
        limits(&ledger(u64::MAX, u64::MAX), &smallest, &mark(0, 0)),
        (1, 1)
    );
    let mut forgiven = ledger(u64::MAX, u64::MAX);
    forgiven.set_billed(Mode::Both, 0);
    assert_eq!(forgiven.adjust, i64::MIN);
    let mut charged = ledger(0, 0);
    charged.set_billed(Mode::Both, u64::MAX);
    assert_eq!(charged.billed(Mode::Both), i64::MAX as u64);
    assert_eq!(limits(&charged, &largest, &mark(0, 0)), (1, 1));
}

#[test]
fn usage_stops_at_the_largest_number() {
    use pm_core::ruleset::Direction;
    let mut usage = Usage {
        incoming: u64::MAX - 1,
        outgoing: 1,
    };
    usage.add(Direction::In, 10);
    usage.add(Direction::Out, 10);
    assert_eq!((usage.incoming, usage.outgoing), (u64::MAX, 11));
    assert_eq!(usage.counted(Mode::Both), u64::MAX);
}

#[test]
fn only_better_terms_free_a_spent_quota() {
    let ledger = ledger(0, 0);
    let terms = |mode, quota| ledger.terms(&service(mode, quota)).unwrap();
    let earlier = terms(Mode::Both, 1_000);
    for (mode, quota, improves) in [
        (Mode::Both, 999, false),
        (Mode::Both, 1_000, false),
        (Mode::Both, 1_001, true),
        (Mode::Out, 1, true),
    ] {
        assert_eq!(terms(mode, quota).improve_on(earlier), improves);
    }
}

proptest! {
    /// Bytes that are counted and bytes that are read move the limit of a room by nothing.
    #[test]
    fn a_limit_does_not_depend_on_when_it_is_read(
        before in (0u64..1 << 40, 0u64..1 << 40),
        passed in prop::collection::vec((0u64..1 << 30, 0u64..1 << 30), 0..10),
        quota in 1 << 45..Size::MAX_BYTES >> 1,
        billed in 0u64..1 << 44,
        mode in prop::sample::select(vec![Mode::Both, Mode::Out]),
    ) {
        let mut ledger = ledger(before.0, before.1);
        ledger.set_billed(mode, billed);
        let (mut incoming, mut outgoing) = before;
        let service = service(mode, quota);
        let first = limits(&ledger, &service, &mark(incoming, outgoing)).1;
        let mut seen = BTreeSet::from([first]);
        for (more_in, more_out) in passed {
            incoming += more_in;
            outgoing += more_out;
            ledger.usage = Usage { incoming, outgoing };
            seen.insert(limits(&ledger, &service, &mark(incoming, outgoing)).1);
        }
        prop_assert_eq!(seen.len(), 1);
        // What may still pass is the quota less the bill.
        let left = first - mark(incoming, outgoing).metered_bytes(mode.metered());
        prop_assert_eq!(left, quota - ledger.billed(mode));
    }

    #[test]
    fn what_is_set_is_what_is_billed(
        incoming in 0u64..1 << 62,
        outgoing in 0u64..1 << 62,
        billed in 0..Size::MAX_BYTES,
        mode in prop::sample::select(vec![Mode::Both, Mode::Out]),
    ) {
        let mut ledger = ledger(incoming, outgoing);
        ledger.set_billed(mode, billed);
        prop_assert_eq!(ledger.billed(mode), billed);
    }
}
