//! What services use, and how it is saved.

use pm_core::calendar::{Period, ResetPolicy, Timestamp};
use pm_core::config::Tariff;
use pm_core::history::{DayTotal, Why};
use pm_core::ledger::{Account, Ledger, State, Usage};
use pm_core::port::PortRange;
use pm_core::ruleset::Epoch;
use pm_store::state_db::StateDb;
use time::Date;
use time::macros::date;

pub const FIRST_DAY: Date = date!(2026 - 03 - 01);

pub fn begin() -> State {
    State {
        today: Some(FIRST_DAY),
        ..State::new(Epoch(1))
    }
}

pub fn usage(incoming: u64, outgoing: u64) -> Usage {
    Usage { incoming, outgoing }
}

pub fn day(date: Date, ports: PortRange, usage: Usage) -> DayTotal {
    DayTotal { date, ports, usage }
}

pub fn time(second: i64) -> Timestamp {
    Timestamp::from_unix(1_772_000_000 + second)
}

/// Counts `used` for a service, which begins now if it is new.
pub fn spend(state: &mut State, ports: PortRange, used: Usage) {
    let ledger = state.ledgers.entry(ports).or_insert_with(|| {
        let period = Period::restore(ResetPolicy::Never, None);
        Ledger::new(None, Account::new(Tariff::default(), period, None))
    });
    ledger.total = ledger.total.plus(used);
    ledger.account.usage = ledger.account.usage.plus(used);
}

pub fn close(state: &mut State, ports: PortRange, why: Why, now: Timestamp) {
    if let Some(ledger) = state.ledgers.get_mut(&ports) {
        state.closed.push(ledger.close(ports, why, now));
    }
}

/// Saves as the engine does: what was closed is saved once.
pub fn save(db: &mut StateDb, saved: &mut State, state: &mut State) {
    db.save(saved, state, None).unwrap();
    state.closed.clear();
    saved.clone_from(state);
}
