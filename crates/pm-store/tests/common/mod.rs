//! States, random and reckoned, and a place to save them.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod strategies;
pub mod usage;

use std::time::Duration;

use pm_core::backend::{CounterReading, HostId, QuotaReading};
use pm_core::calendar::{Period, ResetPolicy, Timestamp};
use pm_core::config::{Mode, Tariff};
use pm_core::dynqos::Hog;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::holder::Holder;
use pm_core::ledger::{
    Account, InterfaceMark, Ledger, QuotaMark, RoomMark, State, TableMark, Usage,
};
use pm_core::port::PortRange;
use pm_core::rooms::Rooms;
use pm_core::ruleset::{Class, Epoch, Metered, Metering, Policing, QuotaId, Room, Variant};
use pm_store::Paths;
use pm_store::state_db::StateDb;
use time::macros::date;

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

/// Returns what is there of a state after it was saved: its closed periods are history, and
/// what is to be told waits for that.
pub fn kept(state: &State) -> State {
    State {
        closed: Vec::new(),
        news: Vec::new(),
        ..state.clone()
    }
}

/// Returns the service at one port.
pub fn at(port: u16) -> PortRange {
    PortRange::new(port, port).unwrap()
}

pub fn service(ports: PortRange) -> Holder {
    Holder::Service(ports)
}

pub fn sum(usage: impl IntoIterator<Item = Usage>) -> Usage {
    usage.into_iter().fold(Usage::default(), Usage::plus)
}

/// How often [`state_at`] closes a service's period.
const TICKS_A_PERIOD: u64 = 5;

/// A tick's state: every number in it follows from `tick`, so that a mixture of two shows. Saved
/// one after the other from 1 on, they leave a history that follows from the last one.
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
    state.last_tick = Some(time_of(tick));
    // The clock is wrong at first.
    state.today = (tick > 1).then(|| {
        let day = i32::try_from(tick / 3).unwrap();
        let first = date!(2026 - 01 - 02).to_julian_day();
        time::Date::from_julian_day(first + day).unwrap()
    });
    state.judged_at = Some(Duration::new(60 * tick, 7));
    state
        .forwarding
        .routed
        .insert(at(9_000 + (tick % 2) as u16));
    let day: ResetPolicy = "15".parse().unwrap();
    let period = Period::begin(day, date!(2026 - 01 - 02));
    let account = |used: Usage, since: u64| Account {
        usage: used,
        ..Account::new(Tariff::default(), period, Some(time_of(since)))
    };
    let group: pm_core::config::GroupName = "vip".parse().unwrap();
    state.groups.insert(group.clone(), account(used(tick), 0));
    let mark = InterfaceMark {
        host: "fq".into(),
        idle_ticks: tick as u32,
    };
    state.interfaces.insert("eth0".into(), mark);
    for index in 0..services {
        let ports = at(10_000 + index);
        let phase = (tick + u64::from(index)) % TICKS_A_PERIOD;
        let closed = tick.saturating_sub(phase);
        if phase == 0 && tick > 0 {
            let began = tick.saturating_sub(TICKS_A_PERIOD);
            state.closed.push(ClosedPeriod {
                holder: service(ports),
                group: (index % 2 == 0).then(|| group.clone()),
                began: Some(time_of(began)),
                ended: time_of(tick),
                why: Why::Calendar,
                usage: used(tick).since(used(began)),
                tariff: Tariff::default(),
                adjust: 0,
            });
        }
        let mut ledger = Ledger::new(
            (index % 2 == 0).then(|| group.clone()),
            account(used(tick).since(used(closed)), closed),
        );
        ledger.total = used(tick);
        ledger.hog = Hog {
            sample: tick,
            ..Hog::default()
        };
        let handle = 100 + 3 * u64::from(index);
        let counter = |handle: u64, bytes| Some(CounterReading { handle, bytes });
        let mark = RoomMark {
            room: Room {
                policing: Policing {
                    incoming: None,
                    outgoing: Some(1_562_500),
                },
                metering: Some(Metering {
                    holder: service(ports),
                    variant: Variant::A,
                    mode: Mode::Both,
                }),
                class: Some(Class::Priority(0x706d_0000 | u32::from(ports.first()))),
            },
            incoming: counter(handle, used(tick).incoming),
            outgoing: counter(handle + 1, used(tick).outgoing),
            sound: true,
        };
        ledger.rooms = Rooms::from_iter([(Variant::A, mark)]);
        state.ledgers.insert(ports, ledger);
        let quota = QuotaId {
            holder: service(ports),
            variant: Variant::A,
            metered: Metered::Both,
        };
        let counted = used(tick).counted(Mode::Both);
        let mark = QuotaMark {
            reading: Some(QuotaReading {
                handle: handle + 2,
                limit: 100_000_000_000,
                used: counted,
            }),
            counted,
            sound: true,
        };
        state.quotas.insert(quota, mark);
    }
    state
}

fn time_of(tick: u64) -> Timestamp {
    Timestamp::from_unix(1_700_000_000 + tick as i64 * 60)
}

fn used(tick: u64) -> Usage {
    Usage {
        incoming: 1_000_000 * tick,
        outgoing: 2_000_000 * tick,
    }
}

/// Asserts of services that were never deleted that their days add up to their totals, and so do
/// their periods.
pub fn assert_history_adds_up(db: &StateDb, state: &State) {
    let (days, closed) = (db.days(None).unwrap(), db.closed_periods(None).unwrap());
    let mut by_day = std::collections::BTreeMap::<PortRange, Usage>::new();
    for day in days {
        let total = by_day.entry(day.ports).or_default();
        *total = total.plus(day.usage);
    }
    let mut by_period = std::collections::BTreeMap::<Holder, Usage>::new();
    for period in closed {
        let total = by_period.entry(period.holder).or_default();
        *total = total.plus(period.usage);
    }
    for (&ports, ledger) in &state.ledgers {
        let days = by_day.get(&ports).copied().unwrap_or_default();
        assert_eq!(days, ledger.total, "the days of {ports}");
        let closed = by_period.get(&service(ports)).copied().unwrap_or_default();
        let periods = closed.plus(ledger.account.usage);
        assert_eq!(periods, ledger.total, "the periods of {ports}");
    }
}
