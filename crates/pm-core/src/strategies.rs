//! Random values for property tests.

use proptest::prelude::*;
use time::Date;

use crate::calendar::{DayOfMonth, DayOfYear, Interval, ResetChoice, ResetPolicy, YearMonth};
use crate::config::{Config, MAX_NOTE_CHARS, Mode, Note, QuotaSize, Service, ZoneName};
use crate::port::{PortList, PortRange};
use crate::request::{Request, Selection, Settings};
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
        4 => day_of_month().prop_map(ResetPolicy::Monthly),
        2 => (interval(), date()).prop_map(|(every, from)| ResetPolicy::EveryDays { every, from }),
        2 => (interval(), day_of_month(), date()).prop_map(|(every, day, from)| {
            let from = YearMonth::of(from);
            ResetPolicy::EveryMonths { every, day, from }
        }),
        2 => date().prop_map(|date| ResetPolicy::Yearly(DayOfYear::of(date))),
        1 => date().prop_map(ResetPolicy::Once),
        1 => Just(ResetPolicy::Never),
    ]
}

/// Any reset policy as it is typed.
pub fn reset_choice() -> impl Strategy<Value = ResetChoice> {
    prop_oneof![
        4 => reset_policy().prop_map(ResetChoice::Policy),
        1 => interval().prop_map(ResetChoice::EveryDays),
        1 => (interval(), day_of_month())
            .prop_map(|(every, day)| ResetChoice::EveryMonths(every, day)),
    ]
}

/// Any interval, most of them short.
fn interval<const MOST: u16>() -> impl Strategy<Value = Interval<MOST>> {
    prop_oneof![2 => 1u16..=12, 1 => 1..=MOST]
        .prop_map(|count| Interval::new(count).unwrap_or_else(|| unreachable!("in bounds")))
}

fn day_of_month() -> impl Strategy<Value = DayOfMonth> {
    (1u8..=31).prop_map(|day| DayOfMonth::new(day).unwrap_or_else(|_| unreachable!("in a month")))
}

/// Ports and ranges that do not overlap, in order: `few` of them, near to each other.
fn apart(few: std::ops::Range<usize>) -> impl Strategy<Value = Vec<PortRange>> {
    let gaps = prop_oneof![2 => Just(1u16), 1 => 1u16..2_000];
    let more = prop_oneof![2 => Just(0u16), 1 => 0u16..2_000];
    prop::collection::vec((gaps, more), few).prop_map(|steps| {
        let mut before = 0;
        steps
            .into_iter()
            .map(|(gap, more)| {
                let first = before + gap;
                before = first + more;
                PortRange::new(first, before).unwrap_or_else(|_| unreachable!("ordered"))
            })
            .collect()
    })
}

/// Any list of ports.
pub fn port_list() -> impl Strategy<Value = PortList> {
    apart(1..8).prop_map(|ranges| {
        PortList::new(ranges).unwrap_or_else(|_| unreachable!("they do not overlap"))
    })
}

/// Any note, most of them unkind: quotes, tabs, newlines, digits only, CJK, emoji.
pub fn note() -> impl Strategy<Value = Note> {
    let unkind = prop::sample::select(vec![
        '\'', '"', '`', '$', '\\', '\t', '\n', ' ', '-', '=', ',', '{', '%', '!', '0', '1', '流',
        '量', '🐙', '\u{301}', '\u{200d}', '\u{feff}',
    ]);
    let any = any::<char>().prop_filter("a character that no note may hold", |c| {
        c.to_string().parse::<Note>().is_ok()
    });
    prop::collection::vec(prop_oneof![2 => unkind, 1 => any], 0..=MAX_NOTE_CHARS).prop_map(
        |chars| {
            let text: String = chars.into_iter().collect();
            Note::try_from(text).unwrap_or_else(|_| unreachable!("short, of allowed characters"))
        },
    )
}

/// Any quota.
pub fn quota_size() -> impl Strategy<Value = QuotaSize> {
    size().prop_filter_map("a quota of 0", |size| QuotaSize::try_from(size).ok())
}

/// Any mode.
pub fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Both, Mode::Out])
}

/// Any service.
pub fn service() -> impl Strategy<Value = Service> {
    (
        note(),
        mode(),
        prop::option::of(quota_size()),
        prop::option::of(reset_policy()),
        any::<bool>(),
    )
        .prop_map(|(note, mode, quota, reset, blocked)| Service {
            note,
            mode,
            quota,
            reset,
            blocked,
        })
}

/// Any configuration, most with a few services.
pub fn config() -> impl Strategy<Value = Config> {
    let services = apart(0..8).prop_flat_map(|ranges| {
        let services = prop::collection::vec(service(), ranges.len());
        services.prop_map(move |services| ranges.iter().copied().zip(services).collect())
    });
    (any::<u64>(), prop::option::of(zone_name()), services).prop_map(
        |(revision, time_zone, services)| Config {
            revision,
            time_zone,
            services,
            ..Config::default()
        },
    )
}

/// Any zone.
pub fn zone_name() -> impl Strategy<Value = ZoneName> {
    prop::sample::select(tzdb::TZ_NAMES).prop_map(|name| {
        ZoneName::try_from(name.to_owned()).unwrap_or_else(|_| unreachable!("it is built in"))
    })
}

/// Any settings, none and all of them too.
pub fn settings() -> impl Strategy<Value = Settings> {
    (
        prop::option::of(prop::option::of(quota_size())),
        prop::option::of(mode()),
        prop::option::of(reset_choice()),
        prop::option::of(note()),
    )
        .prop_map(|(quota, mode, reset, note)| Settings {
            quota,
            mode,
            reset,
            note,
        })
}

/// Any choice of services.
pub fn selection() -> impl Strategy<Value = Selection> {
    prop_oneof![
        1 => Just(Selection::All),
        4 => port_list().prop_map(Selection::Ports),
    ]
}

/// Any request.
pub fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        4 => (port_list(), settings(), any::<bool>()).prop_map(|(ports, settings, or_set)| {
            Request::Add { ports, settings, or_set }
        }),
        4 => (selection(), settings(), prop::option::of(size())).prop_map(
            |(ports, settings, used)| Request::Set { ports, settings, used }
        ),
        1 => selection().prop_map(|ports| Request::Delete { ports }),
        1 => selection().prop_map(|ports| Request::Reset { ports }),
        1 => selection().prop_map(|ports| Request::Block { ports }),
        1 => selection().prop_map(|ports| Request::Unblock { ports }),
        1 => prop::option::of(zone_name()).prop_map(Request::SetTimeZone),
    ]
}
