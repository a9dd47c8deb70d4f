//! [`State`] and the history as rows, a file a table.
//!
//! Numbers of 64 bits without a sign, of which the kernel has many, are stored as the same bits
//! with one. All that can come about fit and read the same in `sqlite3`; a counter that somebody
//! loaded with 2⁶³ or more reads as a negative number there, and comes back exactly. To refuse it
//! would stop the accounting of every port, and to store less would bill the difference.

mod account;
mod group;
pub(crate) mod history;
mod interface;
mod ledger;
pub(crate) mod news;
mod quota;
mod room;
mod tick;
mod value;
mod writing;

use pm_core::adoption::Extent;
use pm_core::ledger::{Ledger, State};
use pm_core::port::PortRange;
use rusqlite::{Connection, OptionalExtension, Transaction};

use self::writing::pairs;
use crate::history::Past;

/// Returns how often the state was saved; 0 if never.
pub(crate) fn saves(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT saves FROM tick")?;
    Ok(select
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}

/// Returns the state; `None` if it was never saved.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Option<State>> {
    let Some(mut state) = tick::load(connection)? else {
        return Ok(None);
    };
    state.ledgers = ledger::load(connection)?;
    room::load(connection, &mut state.ledgers)?;
    state.groups = group::load(connection)?;
    state.quotas = quota::load(connection)?;
    state.interfaces = interface::load(connection)?;
    state.reports = news::load_reports(connection)?;
    Ok(Some(state))
}

/// Writes what differs between `old` and `new`, adds what was used to the history, and counts
/// the save.
pub(crate) fn save(
    transaction: &Transaction<'_>,
    old: &State,
    new: &State,
    saves: i64,
) -> rusqlite::Result<()> {
    let mut days = history::DayWriter::new(transaction, old, new);
    save_state(transaction, old, new, saves, |ports, before, after| {
        days.add_used(ports, before, after)
    })?;
    days.finish()?;
    history::save_closed(transaction, &new.closed)
}

/// Writes what differs between `old` and `new`, with a past to which nothing is added but what it
/// says itself, and counts the save.
pub(crate) fn adopt(
    transaction: &Transaction<'_>,
    old: &State,
    new: &State,
    past: &Past<'_>,
    saves: i64,
) -> rusqlite::Result<()> {
    save_state(transaction, old, new, saves, |_, _, _| Ok(()))?;
    if past.extent == Extent::Everything {
        history::clear(transaction)?;
    }
    history::add_days(transaction, past.days)?;
    history::save_closed(transaction, past.closed)?;
    history::save_closed(transaction, &new.closed)
}

/// Writes what differs between the two, but for the history, and looks at each service on the way.
fn save_state(
    transaction: &Transaction<'_>,
    old: &State,
    new: &State,
    saves: i64,
    mut look: impl FnMut(PortRange, Option<&Ledger>, Option<&Ledger>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    tick::save(transaction, old, new, saves)?;
    // One walk for three tables: of 10,000 services, to look at each costs as much as to write it.
    let mut ledgers = ledger::Writer::new(transaction);
    let mut rooms = room::Writer::new(transaction);
    for (&ports, before, after) in pairs(&old.ledgers, &new.ledgers) {
        look(ports, before, after)?;
        if before != after {
            ledgers.write(ports, before, after)?;
            rooms.write(ports, before, after)?;
        }
    }
    group::save(transaction, &old.groups, &new.groups)?;
    quota::save(transaction, &old.quotas, &new.quotas)?;
    interface::save(transaction, &old.interfaces, &new.interfaces)?;
    news::save_reports(transaction, &old.reports, &new.reports)?;
    news::add(transaction, &new.news)
}

/// Returns the last configuration that was good.
pub(crate) fn load_config(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT text FROM last_good_config")?;
    select.query_row([], |row| row.get(0)).optional()
}

/// Writes the last configuration that was good, if it is another one.
pub(crate) fn save_config(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO last_good_config (id, text) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET text = excluded.text WHERE text IS NOT excluded.text",
    )?;
    upsert.execute([text]).map(drop)
}

/// Returns the configuration that the file may not have yet.
pub(crate) fn load_config_ahead(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut select =
        connection.prepare_cached("SELECT text FROM last_good_config WHERE ahead = 1")?;
    select.query_row([], |row| row.get(0)).optional()
}

/// Notes whether the last configuration that was good may not be in the file yet.
pub(crate) fn save_config_ahead(connection: &Connection, is_ahead: bool) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE last_good_config SET ahead = ?1")?;
    update.execute([is_ahead]).map(drop)
}
