//! Random values for property tests.

use proptest::prelude::*;
use time::Date;

use crate::calendar::{DayOfMonth, ResetPolicy};
use crate::port::PortRange;
use crate::units::{BitRate, Size, SizeFamily, SizeUnit};

/// Any port or range.
pub fn port_range() -> impl Strategy<Value = PortRange> {
    (1u16.., 1u16..).prop_map(|(a, b)| {
        PortRange::new(a.min(b), a.max(b)).unwrap_or_else(|_| unreachable!("ordered and above 0"))
    })
}

/// Any size: small, large and round ones, in every unit.
pub fn size() -> impl Strategy<Value = Size> {
    let unit = size_unit();
    let bytes = prop_oneof![
        0..=Size::MAX_BYTES,
        0u64..10_000,
        (0u64..10_000, size_unit())
            .prop_map(|(count, unit)| { count.saturating_mul(unit.bytes()).min(Size::MAX_BYTES) }),
    ];
    (bytes, unit).prop_map(|(bytes, unit)| {
        Size::new(bytes, unit).unwrap_or_else(|_| unreachable!("at most the maximum"))
    })
}

fn size_unit() -> impl Strategy<Value = SizeUnit> {
    let units = [SizeFamily::Decimal.units(), SizeFamily::Binary.units()].concat();
    prop::sample::select(units)
}

/// Any rate: slow, fast and round ones.
pub fn bit_rate() -> impl Strategy<Value = BitRate> {
    prop_oneof![
        1..=BitRate::MAX_BITS_PER_SECOND,
        1u64..10_000,
        (1u64..10_000, 0u32..=3).prop_map(|(count, power)| count * 1_000u64.pow(power)),
    ]
    .prop_map(|bits| {
        BitRate::from_bits_per_second(bits).unwrap_or_else(|_| unreachable!("in range"))
    })
}

/// Any date: those of our time, and those at the ends of the calendar.
pub fn date() -> impl Strategy<Value = Date> {
    let (first, last) = (Date::MIN.to_julian_day(), Date::MAX.to_julian_day());
    prop_oneof![
        4 => 2_440_588..2_500_000, // 1970 to 2132
        1 => first..=last,
        1 => last - 100..=last,
    ]
    .prop_map(|day| Date::from_julian_day(day).unwrap_or_else(|_| unreachable!("in the calendar")))
}

/// Any reset policy.
pub fn reset_policy() -> impl Strategy<Value = ResetPolicy> {
    prop_oneof![
        9 => (1u8..=31).prop_map(|day| {
            let day = DayOfMonth::new(day).unwrap_or_else(|_| unreachable!("in a month"));
            ResetPolicy::Monthly(day)
        }),
        1 => Just(ResetPolicy::Never),
    ]
}
