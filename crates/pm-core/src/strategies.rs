//! Random values for property tests.

mod notify;

use proptest::prelude::*;
use time::Date;

use crate::calendar::{DayOfMonth, DayOfYear, Interval, ResetChoice, ResetPolicy, YearMonth};
use crate::config::{
    Backup, Config, Factor, Group, GroupName, Limit, MAX_NOTE_CHARS, Mode, Note, QuotaSize,
    Service, ZoneName,
};
use crate::dynqos::{DynQos, Minutes};
use crate::language::Language;
use crate::port::{PortList, PortRange};
use crate::request::{ContractSettings, Request, Selection, Settings};
use crate::shaping::{Classifier, MarkField};
use crate::units::{BitRate, Size, SizeFamily, SizeUnit};

pub use notify::{
    PLANTED, channel, channel_name, event_kinds, holder, notify, notify_change, push, push_change,
    quiet_hours, schedule, secret, server_name, thresholds, via,
};

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
    // Mapped, not filtered: a note is long, and few of many would pass.
    let any = any::<char>().prop_map(|c| match c.to_string().parse::<Note>() {
        Ok(_) => c,
        Err(_) => char::REPLACEMENT_CHARACTER,
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
    prop::sample::select(vec![Mode::Both, Mode::Out, Mode::Max])
}

/// Any factor: round ones, and others.
pub fn factor() -> impl Strategy<Value = Factor> {
    prop_oneof![
        1 => Just(1_000u32),
        1 => (1u32..=1_000).prop_map(|whole| whole * 1_000),
        1 => 1u32..=1_000_000,
    ]
    .prop_map(|thousandths| {
        Factor::from_thousandths(thousandths).unwrap_or_else(|_| unreachable!("in bounds"))
    })
}

/// Any limit: slow, fast and round ones.
pub fn limit() -> impl Strategy<Value = Limit> {
    const LEAST: u64 = Limit::MIN_BITS_PER_SECOND;
    prop_oneof![
        LEAST..=Limit::MAX_BITS_PER_SECOND,
        LEAST..LEAST + 1_000,
        (8u64..100, 1u32..=3).prop_map(|(count, power)| count * 1_000u64.pow(power)),
    ]
    .prop_map(|bits| {
        let rate = BitRate::from_bits_per_second(bits);
        let limit = rate.map(Limit::try_from);
        limit.map_or_else(
            |_| unreachable!("in range"),
            |limit| limit.unwrap_or_else(|_| unreachable!("fast enough")),
        )
    })
}

/// Any DynQoS rule.
pub fn dynqos() -> impl Strategy<Value = DynQos> {
    let minutes = || {
        prop_oneof![1u16..=10, 1..=Minutes::MOST]
            .prop_map(|count| Minutes::new(count).unwrap_or_else(|| unreachable!("in bounds")))
    };
    (limit(), minutes(), limit(), minutes()).prop_map(
        |(trigger, trigger_minutes, punish, punish_minutes)| DynQos {
            trigger,
            trigger_minutes,
            punish,
            punish_minutes,
        },
    )
}

/// Any name of a group: a few that come up again, and others, most of them unkind.
pub fn group_name() -> impl Strategy<Value = GroupName> {
    let unkind = prop::collection::vec(any::<char>(), 1..12);
    let unkind = unkind.prop_filter_map("not a group's name", |chars| {
        chars.into_iter().collect::<String>().parse().ok()
    });
    let kind = prop::sample::select(vec!["vip", "1", "租户 甲", "a_b", "x'y\"z", "80-90"]);
    let kind = kind.prop_map(|name| {
        name.parse()
            .unwrap_or_else(|_| unreachable!("a group can be called that"))
    });
    prop_oneof![3 => kind, 1 => unkind]
}

/// Any group.
pub fn group() -> impl Strategy<Value = Group> {
    (
        mode(),
        factor(),
        prop::option::of(quota_size()),
        prop::option::of(reset_policy()),
    )
        .prop_map(|(mode, factor, quota, reset)| Group {
            mode,
            factor,
            quota,
            reset,
        })
}

/// Any service, in no group.
pub fn service() -> impl Strategy<Value = Service> {
    let limits = (
        prop::option::of(limit()),
        prop::option::of(limit()),
        prop::option::of(dynqos()),
        prop::option::of(date()),
        any::<bool>(),
    );
    (note(), group(), limits, any::<bool>()).prop_map(|(note, contract, limits, blocked)| {
        let (limit, limit_in, dynqos, expires, routed) = limits;
        let mut service = Service {
            note,
            limit,
            limit_in,
            dynqos,
            expires,
            routed,
            blocked,
            ..Service::default()
        };
        service.set_contract(contract.contract());
        service
    })
}

/// Any configuration, most with a few services and groups.
pub fn config() -> impl Strategy<Value = Config> {
    let services = apart(0..8).prop_flat_map(|ranges| {
        let services =
            prop::collection::vec((service(), any::<prop::sample::Index>()), ranges.len());
        services.prop_map(move |services| ranges.iter().copied().zip(services).collect::<Vec<_>>())
    });
    let groups = prop::collection::btree_map(group_name(), group(), 0..3);
    let general = (
        any::<u64>(),
        prop::option::of(zone_name()),
        prop::option::of(language()),
        classifier(),
        prop::option::of(backup()),
    );
    let voice = (notify::notify(), prop::option::of(notify::push()));
    (general, groups, services, voice).prop_map(
        |(
            (revision, time_zone, language, classifier, backup),
            groups,
            services,
            (notify, push),
        )| {
            let names: Vec<GroupName> = groups.keys().cloned().collect();
            let join =
                |(ports, (mut service, choice)): (PortRange, (Service, prop::sample::Index))| {
                    // One more than there are groups: in none.
                    if let Some(name) = names.get(choice.index(names.len() + 1)) {
                        service.set_contract(Default::default());
                        service.group = Some(name.clone());
                    }
                    (ports, service)
                };
            Config {
                revision,
                time_zone,
                language,
                classifier,
                backup,
                services: services.into_iter().map(join).collect(),
                groups,
                notify,
                push,
                ..Config::default()
            }
        },
    )
}

/// Any schedule of backups.
pub fn backup() -> impl Strategy<Value = Backup> {
    (1..=366u32 * 24, 1..=1000u32).prop_filter_map("a schedule", |(hours, keep)| {
        format!("every {hours}h keep {keep}").parse().ok()
    })
}

/// Any language.
pub fn language() -> impl Strategy<Value = Language> {
    prop::sample::select(&Language::ALL[..])
}

/// Any classifier.
pub fn classifier() -> impl Strategy<Value = Classifier> {
    let field = (16u32..=32).prop_flat_map(|bits| (Just(bits), 0..=32 - bits));
    let field = field.prop_map(|(bits, shift)| {
        let mask = (u32::MAX >> (32 - bits)) << shift;
        MarkField::new(mask).unwrap_or_else(|| unreachable!("one run of bits"))
    });
    prop_oneof![
        2 => Just(Classifier::Priority),
        1 => Just(Classifier::Fwmark(MarkField::UPPER)),
        1 => field.prop_map(Classifier::Fwmark),
    ]
}

/// Any zone.
pub fn zone_name() -> impl Strategy<Value = ZoneName> {
    prop::sample::select(tzdb::TZ_NAMES).prop_map(|name| {
        ZoneName::try_from(name.to_owned()).unwrap_or_else(|_| unreachable!("it is built in"))
    })
}

/// Any settings of a quota's holder, none and all of them too.
pub fn contract_settings() -> impl Strategy<Value = ContractSettings> {
    (
        prop::option::of(prop::option::of(quota_size())),
        prop::option::of(mode()),
        prop::option::of(factor()),
        prop::option::of(reset_choice()),
    )
        .prop_map(|(quota, mode, factor, reset)| ContractSettings {
            quota,
            mode,
            factor,
            reset,
        })
}

/// Any settings, none and all of them too.
pub fn settings() -> impl Strategy<Value = Settings> {
    let limits = (
        prop::option::of(prop::option::of(limit())),
        prop::option::of(prop::option::of(limit())),
        prop::option::of(prop::option::of(dynqos())),
        prop::option::of(prop::option::of(date())),
        prop::option::of(any::<bool>()),
    );
    let group = prop::option::weighted(0.3, prop::option::of(group_name()));
    (group, contract_settings(), limits, prop::option::of(note())).prop_map(
        |(group, contract, (limit, limit_in, dynqos, expires, routed), note)| Settings {
            group,
            contract,
            limit,
            limit_in,
            dynqos,
            expires,
            routed,
            note,
        },
    )
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
        1 => (group_name(), contract_settings(), any::<bool>()).prop_map(
            |(name, settings, or_set)| Request::AddGroup { name, settings, or_set }
        ),
        1 => (group_name(), contract_settings(), prop::option::of(size())).prop_map(
            |(name, settings, used)| Request::SetGroup { name, settings, used }
        ),
        1 => group_name().prop_map(|name| Request::DeleteGroup { name }),
        1 => group_name().prop_map(|name| Request::ResetGroup { name }),
        1 => prop::option::of(zone_name()).prop_map(Request::SetTimeZone),
        1 => prop::option::of(language()).prop_map(Request::SetLanguage),
        1 => classifier().prop_map(Request::SetClassifier),
        2 => notify_change().prop_map(|change| Request::Notify(Box::new(change))),
        1 => push_change().prop_map(|change| Request::Push(Box::new(change))),
        1 => prop::option::of(backup()).prop_map(Request::SetBackup),
        1 => (any::<Option<u64>>(), config()).prop_map(|(version, config)| {
            Request::Restore { version, config: Box::new(config) }
        }),
    ]
}
