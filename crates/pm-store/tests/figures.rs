//! What saving and loading cost. Not a test of speed, which a busy machine decides: it prints.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::Instant;

use common::{at, kept, paths, service, state_at};
use pm_core::backend::{CounterReading, QuotaReading};
use pm_core::ledger::{State, Usage};
use pm_core::ruleset::Epoch;
use pm_store::state_db::StateDb;
use rusqlite::{Connection, params};
use time::Date;

const SERVICES: u16 = 10_000;
const DAYS: i32 = 365;

#[test]
#[ignore = "prints figures: cargo test --release -p pm-store --test figures -- --ignored --nocapture"]
fn figures() {
    let (_dir, paths) = paths();
    let text = "x".repeat(1 << 20);
    let first = kept(&state_at(2, SERVICES));
    let begun = State::new(Epoch(1));

    let mut db = measure("open, new", || StateDb::open(&paths).unwrap());
    measure("save all, new", || {
        db.save(&begun, &first, Some(&text)).unwrap();
    });
    let mut state = save_often("with traffic of all", &mut db, first, SERVICES, &text);
    measure("fill in a year of days", || {
        let raw = Connection::open(paths.state_db()).unwrap();
        raw.execute_batch("BEGIN").unwrap();
        let mut insert = raw
            .prepare("INSERT INTO day VALUES (?1, ?2, ?2, 1000000000, 2000000000)")
            .unwrap();
        let last = state.today.unwrap_or(pm_core::history::UNDATED);
        for day in last.to_julian_day() - DAYS..last.to_julian_day() {
            let date = Date::from_julian_day(day).unwrap().to_string();
            for ports in state.ledgers.keys() {
                insert.execute(params![date, ports.first()]).unwrap();
            }
        }
        raw.execute_batch("COMMIT").unwrap();
    });
    state = save_often(
        "with traffic of all, after a year",
        &mut db,
        state,
        SERVICES,
        &text,
    );
    state = save_often("with traffic of 100", &mut db, state, 100, &text);
    state = save_often("with traffic of none", &mut db, state, 0, &text);
    measure("load", || db.load().unwrap());
    measure("days of one service", || {
        db.days(Some(&[at(12_345)])).unwrap()
    });
    measure("days of all", || db.days(None).unwrap());
    measure("save all, each with a period closed", || {
        let closing = state_at(2, SERVICES).closed;
        let mut next = state.clone();
        next.closed = closing
            .iter()
            .cycle()
            .take(SERVICES.into())
            .cloned()
            .collect();
        db.save(&state, &next, None).unwrap();
    });
    measure("closed periods of one service", || {
        db.closed_periods(Some(&[service(at(10_003))])).unwrap()
    });
    measure("closed periods of all", || db.closed_periods(None).unwrap());
    measure("check", || db.check().unwrap());
    measure("close", || drop(db));
    for services in [100, SERVICES] {
        let next = used_more(&state, services);
        let what = format!("a tick with traffic of {services}: open, load, save, close");
        measure(&what, || {
            let mut db = StateDb::open(&paths).unwrap();
            let old = db.load().unwrap().unwrap();
            db.save(&old, &next, Some(&text)).unwrap();
        });
        state = next;
    }
    measure("read-only: open, load", || {
        let db = StateDb::open_read_only(&paths).unwrap().unwrap();
        drop(db.load().unwrap());
    });
    let size = fs::metadata(paths.state_db()).unwrap().len();
    eprintln!("file: {size} bytes");
}

fn save_often(what: &str, db: &mut StateDb, from: State, services: u16, text: &str) -> State {
    let mut states = vec![from];
    for tick in 0..10 {
        states.push(used_more(&states[tick], services));
    }
    measure(&format!("save {what}, 10 times"), || {
        for pair in states.windows(2) {
            db.save(&pair[0], &pair[1], Some(text)).unwrap();
        }
    });
    states.remove(10)
}

/// Returns the state of a tick later, in which so many services had traffic.
fn used_more(state: &State, services: u16) -> State {
    let more = Usage {
        incoming: 1_234_567,
        outgoing: 7_654_321,
    };
    let mut next = state.clone();
    for ledger in next.ledgers.values_mut().take(services.into()) {
        ledger.total = ledger.total.plus(more);
        ledger.account.usage = ledger.account.usage.plus(more);
        for (_, room) in ledger.rooms.iter_mut() {
            let count = |counter: CounterReading, bytes| CounterReading {
                bytes: counter.bytes + bytes,
                ..counter
            };
            room.incoming = room.incoming.map(|counter| count(counter, more.incoming));
            room.outgoing = room.outgoing.map(|counter| count(counter, more.outgoing));
        }
    }
    let both = more.incoming + more.outgoing;
    for quota in next.quotas.values_mut().take(services.into()) {
        quota.counted += both;
        quota.reading = quota.reading.map(|reading| QuotaReading {
            used: reading.used + both,
            ..reading
        });
    }
    next
}

fn measure<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (cpu, wall) = (cpu_ms(), Instant::now());
    let result = run();
    eprintln!("{what}: {} ms CPU, {:?}", cpu_ms() - cpu, wall.elapsed());
    result
}

fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}
