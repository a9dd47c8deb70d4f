//! What was used is in the history as soon as it is saved, once, and stays there.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::usage::{FIRST_DAY, begin, close, day, save, spend, time, usage};
use common::{assert_history_adds_up, at, kept, paths, service, state_at, sum};
use pm_core::config::Tariff;
use pm_core::history::UNDATED;
use pm_core::history::{ClosedPeriod, DayTotal, Why};
use pm_core::holder::Holder;
use pm_core::ledger::{State, Usage};
use pm_core::port::PortRange;
use pm_core::ruleset::Epoch;
use pm_store::state_db::StateDb;
use pm_store::{Paths, StoreError};
use rusqlite::Connection;
use time::macros::date;

/// Returns a database in which port 80 used (1, 2) on the first day.
fn one_day() -> (tempfile::TempDir, Paths, StateDb, State) {
    let (dir, paths) = paths();
    let mut db = StateDb::open(&paths).unwrap();
    let mut state = begin();
    spend(&mut state, at(80), usage(1, 2));
    db.save(&begin(), &state, None).unwrap();
    (dir, paths, db, state)
}

#[test]
fn nothing_was_used_at_first() {
    let (_dir, paths) = paths();
    let db = StateDb::open(&paths).unwrap();
    for db in [db, StateDb::open_read_only(&paths).unwrap().unwrap()] {
        assert_eq!(db.days(None).unwrap(), []);
        assert_eq!(db.days(Some(&[at(80)])).unwrap(), []);
        assert_eq!(db.days(Some(&[])).unwrap(), []);
        assert_eq!(db.closed_periods(None).unwrap(), []);
        assert_eq!(db.closed_periods(Some(&[service(at(80))])).unwrap(), []);
    }
}

#[test]
fn a_tick_without_traffic_leaves_no_row() {
    let (_dir, _paths, mut db, state) = one_day();
    let mut next = state.clone();
    next.today = FIRST_DAY.next_day();
    spend(&mut next, at(443), Usage::default());
    db.save(&state, &next, None).unwrap();
    db.save(&next, &next, None).unwrap();
    assert_eq!(
        db.days(None).unwrap(),
        [day(FIRST_DAY, at(80), usage(1, 2))]
    );
}

#[test]
fn a_save_that_failed_is_made_up_for_by_the_next() {
    let (_dir, paths, mut db, state) = one_day();
    let raw = Connection::open(paths.state_db()).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER stop BEFORE INSERT ON closed_period
         BEGIN SELECT raise(ABORT, 'stop'); END",
    )
    .unwrap();
    let mut next = state.clone();
    spend(&mut next, at(80), usage(10, 20));
    close(&mut next, at(80), Why::Operator, time(0));
    db.save(&state, &next, None).unwrap_err();
    assert_eq!(
        db.days(None).unwrap(),
        [day(FIRST_DAY, at(80), usage(1, 2))]
    );
    raw.execute_batch("DROP TRIGGER stop").unwrap();
    spend(&mut next, at(80), usage(100, 200));
    db.save(&state, &next, None).unwrap();
    assert_eq!(
        db.days(None).unwrap(),
        [day(FIRST_DAY, at(80), usage(111, 222))]
    );
    assert_eq!(db.closed_periods(None).unwrap(), next.closed);
}

#[test]
fn what_was_used_before_any_day_was_known_has_no_date() {
    let (_dir, paths) = paths();
    let mut db = StateDb::open(&paths).unwrap();
    let (mut saved, mut state) = (State::new(Epoch(1)), State::new(Epoch(1)));
    spend(&mut state, at(80), usage(1, 0));
    save(&mut db, &mut saved, &mut state);
    spend(&mut state, at(80), usage(10, 0));
    save(&mut db, &mut saved, &mut state);
    state.today = Some(FIRST_DAY);
    spend(&mut state, at(80), usage(100, 0));
    save(&mut db, &mut saved, &mut state);
    // The last day that was known, although this state does not say it.
    state.today = None;
    spend(&mut state, at(80), usage(1000, 0));
    db.save(&saved, &state, None).unwrap();
    let undated = day(UNDATED, at(80), usage(11, 0));
    assert_eq!(
        db.days(None).unwrap(),
        [undated, day(FIRST_DAY, at(80), usage(1100, 0))]
    );
}

#[test]
fn a_clock_that_goes_back_adds_to_the_day_that_it_shows() {
    let (_dir, _paths, mut db, mut saved) = one_day();
    let mut state = saved.clone();
    for (date, bytes) in [
        (date!(2026 - 03 - 03), 10),
        (date!(2026 - 03 - 02), 20),
        (date!(2026 - 03 - 03), 40),
    ] {
        state.today = Some(date);
        spend(&mut state, at(80), usage(bytes, 0));
        save(&mut db, &mut saved, &mut state);
    }
    assert_eq!(
        db.days(None).unwrap(),
        [
            day(FIRST_DAY, at(80), usage(1, 2)),
            day(date!(2026 - 03 - 02), at(80), usage(20, 0)),
            day(date!(2026 - 03 - 03), at(80), usage(50, 0)),
        ]
    );
}

#[test]
fn days_are_in_order_of_date_then_ports() {
    let (_dir, _paths, mut db, mut saved) = one_day();
    let mut state = saved.clone();
    let long = PortRange::new(80, 9_000).unwrap();
    let services = [at(65_535), at(9_000), long, at(80)];
    state.today = Some(date!(2025 - 12 - 31));
    for ports in services {
        spend(&mut state, ports, usage(5, 5));
    }
    save(&mut db, &mut saved, &mut state);
    let found = |days: Vec<DayTotal>| -> Vec<_> {
        days.into_iter().map(|day| (day.date, day.ports)).collect()
    };
    let earlier = date!(2025 - 12 - 31);
    let all = [
        (earlier, at(80)),
        (earlier, long),
        (earlier, at(9_000)),
        (earlier, at(65_535)),
        (FIRST_DAY, at(80)),
    ];
    assert_eq!(found(db.days(None).unwrap()), all);
    // Named twice, and one that never was.
    let named = [at(9_000), at(80), at(80), at(81)];
    assert_eq!(
        found(db.days(Some(&named)).unwrap()),
        [all[0], all[2], all[4]]
    );
    assert_eq!(db.days(Some(&[])).unwrap(), []);
}

/// Which one was closed last, the clock of then does not say.
#[test]
fn the_last_period_is_the_one_that_was_closed_last() {
    let (_dir, _paths, mut db, mut saved) = one_day();
    let mut state = saved.clone();
    close(&mut state, at(80), Why::Operator, time(7));
    close(&mut state, at(80), Why::Calendar, time(9));
    save(&mut db, &mut saved, &mut state);
    close(&mut state, at(80), Why::Deleted, time(8));
    save(&mut db, &mut saved, &mut state);
    let last = db
        .last_periods(&[service(at(443)), service(at(80))])
        .unwrap();
    let last: Vec<_> = last.iter().map(|one| (one.why, one.ended)).collect();
    assert_eq!(last, [(Why::Deleted, time(8))]);
    assert_eq!(db.last_periods(&[]).unwrap(), []);
}

#[test]
fn what_a_deleted_service_used_stays() {
    let (_dir, _paths, mut db, mut saved) = one_day();
    let mut state = saved.clone();
    close(&mut state, at(80), Why::Deleted, time(7));
    state.ledgers.clear();
    save(&mut db, &mut saved, &mut state);
    let days = [day(FIRST_DAY, at(80), usage(1, 2))];
    assert_eq!(db.days(None).unwrap(), days);
    assert_eq!(db.days(Some(&[at(80)])).unwrap(), days);
    let closed = db.closed_periods(Some(&[service(at(80))])).unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(
        (closed[0].usage, closed[0].why),
        (usage(1, 2), Why::Deleted)
    );
    // Another one of this name begins at nothing.
    spend(&mut state, at(80), usage(5, 0));
    save(&mut db, &mut saved, &mut state);
    assert_eq!(
        db.days(None).unwrap(),
        [day(FIRST_DAY, at(80), usage(6, 2))]
    );
}

/// Whoever imports again what was given back would else be billed twice.
#[test]
fn the_history_of_who_is_no_more_is_put_back_to_what_it_was() {
    let (_dir, _paths, mut db, mut state) = one_day();
    let (of_80, before) = ([service(at(80))], state.clone());
    spend(&mut state, at(443), usage(5, 6));
    close(&mut state, at(80), Why::Deleted, time(1));
    close(&mut state, at(443), Why::Deleted, time(1));
    db.save(&before, &state, None).unwrap();
    let (days, closed) = (db.days(None).unwrap(), db.closed_periods(None).unwrap());
    let had = days_and_periods(&db, at(80));
    for (days_before, closed_before) in [(&[][..], &[][..]), (&had.0[..], &had.1[..])] {
        for _ in 0..2 {
            db.put_history_back(&of_80, days_before, closed_before)
                .unwrap();
            let has = days_and_periods(&db, at(80));
            assert_eq!((&has.0[..], &has.1[..]), (days_before, closed_before));
        }
        let others = days_and_periods(&db, at(443));
        assert_eq!((others.0.len(), others.1.len()), (1, 1));
    }
    assert_eq!(db.days(None).unwrap(), days);
    let mut again = db.closed_periods(None).unwrap();
    again.sort_by_key(|period| closed.iter().position(|one| one == period));
    assert_eq!(again, closed);
    db.check().unwrap();
}

fn days_and_periods(db: &StateDb, ports: PortRange) -> (Vec<DayTotal>, Vec<ClosedPeriod>) {
    (
        db.days(Some(&[ports])).unwrap(),
        db.closed_periods(Some(&[service(ports)])).unwrap(),
    )
}

/// As in a session that finds the rooms of a deleted service gone and adds it again.
#[test]
fn a_service_that_took_anothers_ports_counts_from_nothing() {
    for more in [usage(0, 0), usage(100, 1), usage(100, 200)] {
        let (_dir, _paths, mut db, saved) = one_day();
        let mut state = saved.clone();
        spend(&mut state, at(80), usage(10, 20));
        close(&mut state, at(80), Why::Calendar, time(5));
        spend(&mut state, at(80), usage(1000, 0));
        close(&mut state, at(80), Why::Deleted, time(7));
        state.ledgers.clear();
        spend(&mut state, at(80), more);
        db.save(&saved, &state, None).unwrap();
        let all = sum([usage(1011, 22), more]);
        assert_eq!(db.days(None).unwrap(), [day(FIRST_DAY, at(80), all)]);
    }
}

/// As when it is added again before its rooms are gone: its ledger goes on.
#[test]
fn a_service_that_comes_back_counts_on() {
    let (_dir, _paths, mut db, saved) = one_day();
    let mut state = saved.clone();
    spend(&mut state, at(80), usage(10, 20));
    close(&mut state, at(80), Why::Deleted, time(7));
    spend(&mut state, at(80), usage(100, 200));
    db.save(&saved, &state, None).unwrap();
    assert_eq!(
        db.days(None).unwrap(),
        [day(FIRST_DAY, at(80), usage(111, 222))]
    );
}

#[test]
fn a_service_that_came_and_went_between_two_saves_is_counted() {
    let (_dir, _paths, mut db, saved) = one_day();
    let mut state = saved.clone();
    spend(&mut state, at(443), usage(10, 20));
    close(&mut state, at(443), Why::Deleted, time(7));
    state.ledgers.remove(&at(443));
    db.save(&saved, &state, None).unwrap();
    let days = db.days(Some(&[at(443)])).unwrap();
    assert_eq!(days, [day(FIRST_DAY, at(443), usage(10, 20))]);
}

#[test]
fn a_day_holds_more_than_63_bits() {
    let half = 1u64 << 63;
    for turn in [
        (|bytes| usage(bytes, 5)) as fn(u64) -> Usage,
        |bytes| usage(5, bytes),
        |bytes| usage(bytes, bytes),
    ] {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        let (mut saved, mut state) = (begin(), begin());
        // To the last bit of a signed number, beyond it, and to the last of all.
        for bytes in [1, half - 2, 1, half - 1] {
            spend(&mut state, at(80), turn(bytes));
            save(&mut db, &mut saved, &mut state);
            let total = state.ledgers[&at(80)].total;
            assert_eq!(db.days(None).unwrap(), [day(FIRST_DAY, at(80), total)]);
        }
        // Another service at the same ports: there is no place for the sum of both.
        close(&mut state, at(80), Why::Deleted, time(7));
        state.ledgers.clear();
        let total = sum([saved.ledgers[&at(80)].total, turn(half)]);
        spend(&mut state, at(80), turn(half));
        save(&mut db, &mut saved, &mut state);
        assert_eq!(db.days(None).unwrap(), [day(FIRST_DAY, at(80), total)]);
    }
}

#[test]
fn periods_that_ended_together_are_in_the_order_in_which_they_were_closed() {
    let (_dir, paths) = paths();
    let mut db = StateDb::open(&paths).unwrap();
    let group: Holder = "group vip".parse().unwrap();
    let period = |holder: &Holder, ended, bytes| ClosedPeriod {
        holder: holder.clone(),
        group: None,
        began: None,
        ended: time(ended),
        why: Why::Calendar,
        usage: usage(bytes, 0),
        tariff: Tariff::default(),
        adjust: -1,
    };
    let ports = service(at(80));
    let first = [period(&ports, 9, 1), period(&group, 5, 2)];
    let second = [period(&group, 9, 3), period(&ports, 5, 4)];
    for closed in [&first, &second] {
        let state = State {
            closed: closed.to_vec(),
            ..begin()
        };
        db.save(&begin(), &state, None).unwrap();
    }
    let bytes = |holders: Option<&[Holder]>| -> Vec<_> {
        let closed = db.closed_periods(holders).unwrap();
        closed.iter().map(|closed| closed.usage.incoming).collect()
    };
    assert_eq!(bytes(None), [2, 4, 1, 3]);
    assert_eq!(
        bytes(Some(&[ports.clone(), group.clone(), ports])),
        bytes(None)
    );
    assert_eq!(bytes(Some(&[group])), [2, 3]);
    assert_eq!(bytes(Some(&["group VIP".parse().unwrap()])), [0u64; 0]);
}

#[test]
fn a_row_that_makes_no_sense_is_damage() {
    for wrong in [
        "UPDATE day SET date = '2026-02-30'",
        "UPDATE day SET first_port = 0",
        "UPDATE closed_period SET holder = 'vip'",
        "UPDATE closed_period SET group_name = ''",
        "UPDATE closed_period SET why = 'because'",
        "UPDATE closed_period SET mode = ''",
        "UPDATE closed_period SET factor_thousandths = 0",
    ] {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        let state = state_at(5, 1);
        db.save(&begin(), &state, None).unwrap();
        assert_eq!(state.closed.len(), 1);
        let raw = Connection::open(paths.state_db()).unwrap();
        raw.execute_batch(wrong).unwrap();
        let read = db.days(None).and(db.closed_periods(None).map(drop));
        for error in [read.unwrap_err(), db.check().unwrap_err()] {
            assert!(
                matches!(error, StoreError::Damaged { .. }),
                "{wrong}: {error}"
            );
        }
        // Accounting goes on: nobody needs the past for that.
        assert_eq!(db.load().unwrap(), Some(kept(&state)));
    }
}

#[test]
fn ticks_leave_a_history_that_adds_up() {
    let (_dir, paths) = paths();
    let mut saved = State::new(Epoch(0));
    for tick in 1..40 {
        // As each tick is a process of its own.
        let mut db = StateDb::open(&paths).unwrap();
        if let Some(loaded) = db.load().unwrap() {
            saved = loaded;
        }
        let state = state_at(tick, 7);
        db.save(&saved, &state, None).unwrap();
        assert_history_adds_up(&db, &state);
    }
    let db = StateDb::open(&paths).unwrap();
    // One without a date, and every third tick a day begins.
    assert_eq!(db.days(Some(&[at(10_000)])).unwrap().len(), 1 + 40 / 3 + 1);
    assert_eq!(
        db.closed_periods(Some(&[service(at(10_000))]))
            .unwrap()
            .len(),
        39 / 5
    );
}

/// The shares of a group are found without a look at everybody's.
#[test]
fn a_groups_periods_are_its_own_and_those_of_who_was_in_it() {
    let (_dir, paths) = paths();
    let mut db = StateDb::open(&paths).unwrap();
    let period = |holder: &str, group: Option<&str>, ended| ClosedPeriod {
        holder: holder.parse().unwrap(),
        group: group.map(|name| name.parse().unwrap()),
        began: None,
        ended: time(ended),
        why: Why::Regrouped,
        usage: usage(1, 2),
        tariff: Tariff::default(),
        adjust: 0,
    };
    let closed = [
        period("80", None, 1),
        period("81", Some("vip"), 3),
        period("80", Some("vip"), 2),
        period("80", Some("vip 2"), 4),
        period("group vip", None, 3),
        period("group vip 2", None, 5),
    ];
    let state = State {
        closed: closed.to_vec(),
        ..begin()
    };
    db.save(&begin(), &state, None).unwrap();
    let found = |name: &str| db.group_periods(&name.parse().unwrap()).unwrap();
    let [_, other, one, second, own, seconds] = closed;
    assert_eq!(found("vip"), [one, other, own]);
    assert_eq!(found("vip 2"), [second, seconds]);
    assert_eq!(found("VIP"), []);
}
