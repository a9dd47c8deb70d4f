//! The one row of what concerns all services, and the routed ones.

use std::collections::BTreeSet;

use pm_core::backend::HostId;
use pm_core::calendar::Timestamp;
use pm_core::ledger::{State, TableMark};
use pm_core::port::PortRange;
use pm_core::ruleset::{Epoch, Forwarding};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::value::{
    date_if_any, duration_if_any, instant_if_any, malformed, nanoseconds, ports, unsigned_if_any,
};
use super::writing::Statement;

/// Returns the state without what the other tables hold.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Option<State>> {
    let mut select = connection.prepare_cached(
        "SELECT boot, netns, table_handle, table_epoch, next_epoch, settled_at, torn_down,
                last_tick, today, judged_at, dnat, has_nat
         FROM tick",
    )?;
    let Some(mut state) = select.query_row([], read).optional()? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached("SELECT first_port, last_port FROM routed")?;
    let routed = select.query_map([], |row| ports(row, 0))?;
    state.forwarding.routed = routed.collect::<rusqlite::Result<_>>()?;
    Ok(Some(state))
}

fn read(row: &Row<'_>) -> rusqlite::Result<State> {
    let host = match (row.get(0)?, row.get(1)?) {
        (Some(boot), Some(netns)) => Some(HostId { boot, netns }),
        (None, None) => None,
        _ => return Err(malformed(0, "half a host")),
    };
    let table = match unsigned_if_any(row, 2)? {
        Some(handle) => Some(TableMark {
            handle,
            epoch: epoch(row, 3)?,
        }),
        None => None,
    };
    let next_epoch = epoch(row, 4)?.ok_or_else(|| malformed(4, "no epoch"))?;
    Ok(State {
        host,
        table,
        settled_at: row.get(5)?,
        torn_down: row.get(6)?,
        last_tick: instant_if_any(row, 7)?,
        today: date_if_any(row, 8)?,
        judged_at: duration_if_any(row, 9)?,
        forwarding: Forwarding {
            dnat: row.get(10)?,
            routed: BTreeSet::new(),
        },
        has_nat: row.get(11)?,
        ..State::new(next_epoch)
    })
}

fn epoch(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Epoch>> {
    let Some(name) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    match Epoch::parse_chain(name) {
        Some(epoch) => Ok(Some(epoch)),
        None => Err(malformed(column, "not the name of an epoch")),
    }
}

pub(super) fn save(
    connection: &Connection,
    old: &State,
    new: &State,
    saves: i64,
) -> rusqlite::Result<()> {
    // Every field, so that a new one is not forgotten.
    let State {
        host,
        table,
        next_epoch,
        settled_at,
        torn_down,
        last_tick,
        today,
        judged_at,
        forwarding: Forwarding { dnat, routed },
        has_nat,
        ledgers: _,
        groups: _,
        quotas: _,
        interfaces: _,
        closed: _,
        news: _,
        reports: _,
    } = new;
    let mut replace = connection.prepare_cached(
        "INSERT OR REPLACE INTO tick
             (id, saves, boot, netns, table_handle, table_epoch, next_epoch, settled_at, torn_down,
              last_tick, today, judged_at, dnat, has_nat)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    replace.execute(params![
        saves,
        host.as_ref().map(|host| &host.boot),
        host.as_ref().map(|host| &host.netns),
        table.map(|table| table.handle.cast_signed()),
        table.and_then(|table| table.epoch).map(Epoch::chain),
        next_epoch.chain(),
        settled_at,
        torn_down,
        last_tick.map(Timestamp::unix),
        today.map(|date| date.to_string()),
        judged_at.map(nanoseconds),
        dnat,
        has_nat,
    ])?;
    save_routed(connection, &old.forwarding.routed, routed)
}

fn save_routed(
    connection: &Connection,
    old: &BTreeSet<PortRange>,
    new: &BTreeSet<PortRange>,
) -> rusqlite::Result<()> {
    let mut remove = Statement::new(
        connection,
        "DELETE FROM routed WHERE first_port = ?1 AND last_port = ?2",
    );
    for gone in old.difference(new) {
        remove.execute(params![gone.first(), gone.last()])?;
    }
    let mut put = Statement::new(
        connection,
        "INSERT OR REPLACE INTO routed (first_port, last_port) VALUES (?1, ?2)",
    );
    for ports in new.difference(old) {
        put.execute(params![ports.first(), ports.last()])?;
    }
    Ok(())
}
