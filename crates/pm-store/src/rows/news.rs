//! What is to be told, until it is copied to where it is sent from.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use pm_core::news::News;
use pm_core::notice::Destination;
use rusqlite::{Connection, params};

use super::value::parsed;
use super::writing::{Statement, pairs};
use crate::news::WaitingNews;

/// How many wait at most; of more, the oldest are dropped. It takes a disk that is full, or an
/// outbox that cannot be opened, for days.
const MOST: i64 = 10_000;

pub(super) fn load_reports(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<ChannelName, Timestamp>> {
    let mut select = connection.prepare_cached("SELECT channel, due FROM report")?;
    let reports = select.query_map([], |row| {
        Ok((parsed(row, 0)?, Timestamp::from_unix(row.get(1)?)))
    })?;
    reports.collect()
}

pub(super) fn save_reports(
    connection: &Connection,
    old: &BTreeMap<ChannelName, Timestamp>,
    new: &BTreeMap<ChannelName, Timestamp>,
) -> rusqlite::Result<()> {
    let mut put = Statement::new(
        connection,
        "INSERT OR REPLACE INTO report (channel, due) VALUES (?1, ?2)",
    );
    let mut remove = Statement::new(connection, "DELETE FROM report WHERE channel = ?1");
    for (channel, before, after) in pairs(old, new) {
        match after {
            Some(_) if before == after => {}
            Some(due) => drop(put.execute(params![channel.as_str(), due.unix()])?),
            None => drop(remove.execute([channel.as_str()])?),
        }
    }
    Ok(())
}

/// Adds what is to be told.
pub(crate) fn add(connection: &Connection, news: &[News]) -> rusqlite::Result<()> {
    if news.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT INTO event (time, what) VALUES (?1, ?2)")?;
    for one in news {
        let what = serde_json::to_string(one)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        insert.execute(params![one.time().unix(), what])?;
    }
    let newest = connection.last_insert_rowid();
    let mut drop_old = connection.prepare_cached("DELETE FROM event WHERE id <= ?1")?;
    drop_old.execute([newest - MOST]).map(drop)
}

/// Whether anything waits.
pub(crate) fn is_waiting(connection: &Connection) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM event)")?;
    select.query_row([], |row| row.get(0))
}

/// Returns what waits, the oldest first, at most so many.
pub(crate) fn waiting(connection: &Connection, most: u32) -> rusqlite::Result<WaitingNews> {
    let mut select =
        connection.prepare_cached("SELECT id, what FROM event ORDER BY id LIMIT ?1")?;
    let mut rows = select.query([most])?;
    let mut waiting = WaitingNews::default();
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        waiting.up_to = Some(number);
        // Written by another version, say: what others tell does not wait for it.
        let text = row.get_ref(1)?.as_bytes().unwrap_or_default();
        match serde_json::from_slice(text) {
            Ok(news) => waiting.news.push((number, news)),
            Err(_) => waiting.unreadable += 1,
        }
    }
    Ok(waiting)
}

/// Forgets what waits, up to a number.
pub(crate) fn forget(connection: &Connection, up_to: i64) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM event WHERE id <= ?1")?;
    delete.execute([up_to]).map(drop)
}

/// What stands in the place of a channel's name, which is never empty.
const PUSH: &str = "";

/// Returns whose trouble is told of, and since when they have it.
pub(crate) fn troubles(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<Destination, Timestamp>> {
    let mut select = connection.prepare_cached("SELECT channel, since FROM trouble")?;
    let troubles = select.query_map([], |row| {
        let destination = match row.get_ref(0)?.as_str()? {
            PUSH => Destination::Push,
            _ => Destination::Channel(parsed(row, 0)?),
        };
        Ok((destination, Timestamp::from_unix(row.get(1)?)))
    })?;
    troubles.collect()
}

/// Notes whose trouble is told of, in the place of all others.
pub(crate) fn save_troubles(
    connection: &Connection,
    troubles: &BTreeMap<Destination, Timestamp>,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM trouble", [])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO trouble (channel, since) VALUES (?1, ?2)")?;
    for (destination, since) in troubles {
        let channel = match destination {
            Destination::Channel(name) => name.as_str(),
            Destination::Push => PUSH,
        };
        insert.execute(params![channel, since.unix()])?;
    }
    Ok(())
}
