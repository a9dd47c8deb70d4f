//! Random states: also such as no tick leaves.

use std::time::Duration;

use pm_core::backend::{CounterReading, HostId, QuotaReading};
use pm_core::calendar::{Period, Timestamp};
use pm_core::config::Tariff;
use pm_core::dynqos::Hog;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::holder::Holder;
use pm_core::ledger::{
    Account, InterfaceMark, Ledger, QuotaMark, RoomMark, State, TableMark, Terms, Usage,
};
use pm_core::port::PortRange;
use pm_core::ruleset::{
    Class, Epoch, Forwarding, Metered, Metering, Policing, QuotaId, Room, Variant,
};
use pm_core::strategies::{channel_name, date, factor, group_name, mode, port_range, reset_policy};
use proptest::prelude::*;

pub fn state() -> impl Strategy<Value = State> {
    let table = (number(), prop::option::of(epoch()))
        .prop_map(|(handle, epoch)| TableMark { handle, epoch });
    let marks = (
        prop::option::of(host()),
        prop::option::of(table),
        epoch(),
        any::<Option<u32>>(),
        any::<bool>(),
    );
    let clocks = (
        prop::option::of(instant()),
        prop::option::of(date()),
        prop::option::of(duration()),
    );
    let forwarding = (any::<bool>(), prop::collection::btree_set(ports(), 0..3))
        .prop_map(|(dnat, routed)| Forwarding { dnat, routed });
    let maps = (
        prop::collection::btree_map(ports(), ledger(), 0..12),
        prop::collection::btree_map(group_name(), account(), 0..4),
        prop::collection::btree_map(quota_id(), quota_mark(), 0..8),
        prop::collection::btree_map(any::<String>(), interface_mark(), 0..3),
        prop::collection::vec(closed_period(), 0..4),
        prop::collection::btree_map(channel_name(), instant(), 0..3),
    );
    (marks, clocks, (forwarding, any::<bool>()), maps).prop_map(
        |(marks, clocks, (forwarding, has_nat), maps)| {
            let (host, table, next_epoch, settled_at, torn_down) = marks;
            let (last_tick, today, judged_at) = clocks;
            let (ledgers, groups, quotas, interfaces, closed, reports) = maps;
            State {
                host,
                table,
                next_epoch,
                settled_at,
                torn_down,
                last_tick,
                today,
                judged_at,
                forwarding,
                has_nat,
                ledgers,
                groups,
                quotas,
                interfaces,
                closed,
                news: Vec::new(),
                reports,
            }
        },
    )
}

pub fn ledger() -> impl Strategy<Value = Ledger> {
    let rooms = prop::collection::btree_map(variant(), room_mark(), 0..=2);
    let group = prop::option::of(group_name());
    let flags = any::<(bool, bool)>();
    let expiring = prop::option::of(date());
    (usage(), account(), group, hog(), flags, expiring, rooms).prop_map(
        |(total, account, group, hog, (expired, deleted), expiring, rooms)| Ledger {
            total,
            account,
            group,
            hog,
            expired,
            expiring,
            deleted,
            arriving: false,
            dismissed: false,
            rooms: rooms.into_iter().collect(),
        },
    )
}

pub fn account() -> impl Strategy<Value = Account> {
    let period = (reset_policy(), prop::option::of(date()))
        .prop_map(|(policy, next)| Period::restore(policy, next));
    let spent = prop::option::of(terms());
    let began = prop::option::of(instant());
    let warned = any::<u16>();
    (
        usage(),
        any::<i64>(),
        tariff(),
        spent,
        warned,
        period,
        began,
    )
        .prop_map(
            |(usage, adjust, tariff, spent, warned, period, began)| Account {
                usage,
                adjust,
                tariff,
                spent,
                warned,
                period,
                began,
            },
        )
}

fn hog() -> impl Strategy<Value = Hog> {
    (number(), duration(), prop::option::of(duration())).prop_map(|(sample, above, punished)| Hog {
        sample,
        above,
        punished,
    })
}

pub fn room_mark() -> impl Strategy<Value = RoomMark> {
    let counters = (prop::option::of(counter()), prop::option::of(counter()));
    (room(), counters, any::<bool>()).prop_map(|(room, (incoming, outgoing), sound)| RoomMark {
        room,
        incoming,
        outgoing,
        sound,
    })
}

fn room() -> impl Strategy<Value = Room> {
    let policing = (prop::option::of(number()), prop::option::of(number()))
        .prop_map(|(incoming, outgoing)| Policing { incoming, outgoing });
    let metering = (holder(), variant(), mode()).prop_map(|(holder, variant, mode)| Metering {
        holder,
        variant,
        mode,
    });
    let class = prop_oneof![
        any::<u32>().prop_map(Class::Priority),
        any::<(u32, u32)>().prop_map(|(mark, mask)| Class::Mark { mark, mask }),
    ];
    (
        policing,
        prop::option::of(metering),
        prop::option::of(class),
    )
        .prop_map(|(policing, metering, class)| Room {
            policing,
            metering,
            class,
        })
}

fn quota_id() -> impl Strategy<Value = QuotaId> {
    let metered = prop::sample::select(Metered::ALL.to_vec());
    (holder(), variant(), metered).prop_map(|(holder, variant, metered)| QuotaId {
        holder,
        variant,
        metered,
    })
}

pub fn quota_mark() -> impl Strategy<Value = QuotaMark> {
    let reading = (number(), number(), number()).prop_map(|(handle, limit, used)| QuotaReading {
        handle,
        limit,
        used,
    });
    (prop::option::of(reading), number(), any::<bool>()).prop_map(|(reading, counted, sound)| {
        QuotaMark {
            reading,
            counted,
            sound,
        }
    })
}

pub fn interface_mark() -> impl Strategy<Value = InterfaceMark> {
    any::<(String, u32)>().prop_map(|(host, idle_ticks)| InterfaceMark { host, idle_ticks })
}

pub fn closed_period() -> impl Strategy<Value = ClosedPeriod> {
    let times = (prop::option::of(instant()), instant(), why());
    let whose = (holder(), prop::option::of(group_name()));
    (whose, times, usage(), tariff(), any::<i64>()).prop_map(
        |((holder, group), (began, ended, why), usage, tariff, adjust)| ClosedPeriod {
            holder,
            group,
            began,
            ended,
            why,
            usage,
            tariff,
            adjust,
        },
    )
}

pub fn why() -> impl Strategy<Value = Why> {
    prop::sample::select(&Why::ALL[..])
}

fn holder() -> impl Strategy<Value = Holder> {
    prop_oneof![
        2 => ports().prop_map(Holder::Service),
        1 => group_name().prop_map(Holder::Group),
    ]
}

/// Few ports, so that two states have some in common.
fn ports() -> impl Strategy<Value = PortRange> {
    prop_oneof![
        4 => (1u16..6, 0u16..3).prop_map(|(first, more)| {
            PortRange::new(first, first + more).unwrap()
        }),
        1 => port_range(),
    ]
}

/// Small numbers, and those at which a signed number of 64 bits ends.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0u64..1000,
        1 => any::<u64>(),
        1 => Just(u64::MAX),
        1 => i64::MAX as u64 - 1..=i64::MAX as u64 + 1,
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    (number(), number()).prop_map(|(incoming, outgoing)| Usage { incoming, outgoing })
}

fn counter() -> impl Strategy<Value = CounterReading> {
    (number(), number()).prop_map(|(handle, bytes)| CounterReading { handle, bytes })
}

fn tariff() -> impl Strategy<Value = Tariff> {
    (mode(), factor()).prop_map(|(mode, factor)| Tariff { mode, factor })
}

fn terms() -> impl Strategy<Value = Terms> {
    (mode(), any::<i64>()).prop_map(|(mode, allowance)| Terms { mode, allowance })
}

fn variant() -> impl Strategy<Value = Variant> {
    prop::sample::select(Variant::BOTH.to_vec())
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch)
}

fn host() -> impl Strategy<Value = HostId> {
    ("\\PC*", any::<String>()).prop_map(|(boot, netns)| HostId { boot, netns })
}

fn instant() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_unix)
}

fn duration() -> impl Strategy<Value = Duration> {
    number().prop_map(Duration::from_nanos)
}
