//! Interfaces whose root pm's traffic control has taken.

use std::collections::BTreeMap;

use pm_core::ledger::InterfaceMark;
use rusqlite::{Connection, params};

use super::writing::{Statement, pairs};

pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<String, InterfaceMark>> {
    let mut select = connection.prepare_cached("SELECT name, host, idle_ticks FROM interface")?;
    let interfaces = select.query_map([], |row| {
        let mark = InterfaceMark {
            host: row.get(1)?,
            idle_ticks: row.get(2)?,
        };
        Ok((row.get(0)?, mark))
    })?;
    interfaces.collect()
}

pub(super) fn save(
    connection: &Connection,
    old: &BTreeMap<String, InterfaceMark>,
    new: &BTreeMap<String, InterfaceMark>,
) -> rusqlite::Result<()> {
    let mut put = Statement::new(
        connection,
        "INSERT OR REPLACE INTO interface (name, host, idle_ticks) VALUES (?1, ?2, ?3)",
    );
    let mut remove = Statement::new(connection, "DELETE FROM interface WHERE name = ?1");
    for (name, before, after) in pairs(old, new) {
        match after {
            Some(_) if before == after => {}
            Some(InterfaceMark { host, idle_ticks }) => {
                put.execute(params![name, host, idle_ticks])?;
            }
            None => {
                remove.execute([name])?;
            }
        }
    }
    Ok(())
}
