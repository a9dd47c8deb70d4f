//! Random states, and a place to save them.

#![allow(dead_code, missing_docs, unreachable_pub)]

use pm_core::backend::{CounterReading, HostId, QuotaReading};
use pm_core::calendar::{Period, ResetPolicy, Timestamp};
use pm_core::config::Mode;
use pm_core::ledger::{Ledger, QuotaMark, RoomMark, State, TableMark, Terms, Usage};
use pm_core::port::PortRange;
use pm_core::rooms::Rooms;
use pm_core::ruleset::{Epoch, Metered, Variant};
use pm_core::strategies::{date, port_range, reset_policy};
use pm_store::Paths;
use proptest::prelude::*;

/// Directories of its own, which go with it.
pub fn paths() -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths_in(dir.path());
    (dir, paths)
}

pub fn paths_in(dir: &std::path::Path) -> Paths {
    let sub = |name: &str| Some(dir.join(name));
    Paths::new(sub("config"), sub("state"), sub("run"))
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

fn counter() -> impl Strategy<Value = CounterReading> {
    (number(), number()).prop_map(|(handle, bytes)| CounterReading { handle, bytes })
}

fn quota_mark() -> impl Strategy<Value = QuotaMark> {
    (number(), number(), number(), any::<[bool; 2]>()).prop_map(
        |(handle, limit, used, [incoming, outgoing])| QuotaMark {
            reading: QuotaReading {
                handle,
                limit,
                used,
            },
            metered: Metered { incoming, outgoing },
        },
    )
}

fn room_mark() -> impl Strategy<Value = RoomMark> {
    let counters = (prop::option::of(counter()), prop::option::of(counter()));
    (counters, prop::option::of(quota_mark()), any::<bool>()).prop_map(
        |((incoming, outgoing), quota, sound)| RoomMark {
            incoming,
            outgoing,
            quota,
            sound,
        },
    )
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Both), Just(Mode::Out)]
}

fn terms() -> impl Strategy<Value = Terms> {
    (mode(), any::<i64>()).prop_map(|(mode, allowance)| Terms { mode, allowance })
}

fn period() -> impl Strategy<Value = Period> {
    (reset_policy(), prop::option::of(date()))
        .prop_map(|(policy, next)| Period::restore(policy, next))
}

fn variant() -> impl Strategy<Value = Variant> {
    prop_oneof![Just(Variant::A), Just(Variant::B)]
}

pub fn ledger() -> impl Strategy<Value = Ledger> {
    let rooms = prop::collection::btree_map(variant(), room_mark(), 0..=2);
    (
        number(),
        number(),
        any::<i64>(),
        prop::option::of(mode()),
        prop::option::of(terms()),
        period(),
        rooms,
    )
        .prop_map(
            |(incoming, outgoing, adjust, mode, spent, period, rooms)| Ledger {
                usage: Usage { incoming, outgoing },
                adjust,
                mode,
                spent,
                period,
                rooms: rooms.into_iter().collect(),
            },
        )
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch)
}

fn host() -> impl Strategy<Value = HostId> {
    ("\\PC*", any::<String>()).prop_map(|(boot, netns)| HostId { boot, netns })
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

pub fn state() -> impl Strategy<Value = State> {
    let table = (number(), prop::option::of(epoch()))
        .prop_map(|(handle, epoch)| TableMark { handle, epoch });
    (
        prop::option::of(host()),
        prop::option::of(table),
        epoch(),
        any::<Option<u32>>(),
        any::<bool>(),
        any::<Option<i64>>(),
        prop::collection::btree_map(ports(), ledger(), 0..12),
    )
        .prop_map(
            |(host, table, next_epoch, settled_at, torn_down, last_tick, ledgers)| State {
                host,
                table,
                next_epoch,
                settled_at,
                torn_down,
                last_tick: last_tick.map(Timestamp::from_unix),
                ledgers,
            },
        )
}

/// A tick's state: every number in it follows from `tick`, so that a mixture of two shows.
pub fn state_at(tick: u64, services: u16) -> State {
    let mut state = State::new(Epoch(tick));
    state.host = Some(HostId {
        boot: format!("boot {tick}"),
        netns: "4026531840".into(),
    });
    state.table = Some(TableMark {
        handle: 7,
        epoch: Some(Epoch(tick)),
    });
    state.settled_at = u32::try_from(tick).ok();
    state.last_tick = Some(Timestamp::from_unix(1_700_000_000 + tick as i64 * 60));
    let day: ResetPolicy = "15".parse().unwrap();
    let period = Period::begin(day, time::macros::date!(2026 - 01 - 02));
    let reading = |handle: u64, bytes| CounterReading { handle, bytes };
    for index in 0..services {
        let handle = 100 + 3 * u64::from(index);
        let mark = RoomMark {
            incoming: Some(reading(handle, 1_000_000 * tick)),
            outgoing: Some(reading(handle + 1, 2_000_000 * tick)),
            quota: Some(QuotaMark {
                reading: QuotaReading {
                    handle: handle + 2,
                    limit: 100_000_000_000,
                    used: 3_000_000 * tick,
                },
                metered: Metered {
                    incoming: true,
                    outgoing: true,
                },
            }),
            sound: true,
        };
        let ledger = Ledger {
            usage: Usage {
                incoming: 1_000_000 * tick,
                outgoing: 2_000_000 * tick,
            },
            adjust: 0,
            mode: Some(Mode::Both),
            spent: None,
            period,
            rooms: Rooms::from_iter([(Variant::A, mark)]),
        };
        state.ledgers.insert(
            PortRange::new(10_000 + index, 10_000 + index).unwrap(),
            ledger,
        );
    }
    state
}
