//! Quotas in the kernel, by the names that they have there.

use std::collections::BTreeMap;

use pm_core::backend::QuotaReading;
use pm_core::ledger::QuotaMark;
use pm_core::ruleset::QuotaId;
use rusqlite::{Connection, Row, params};

use super::value::{malformed, unsigned, unsigned_if_any};
use super::writing::{Statement, pairs};

pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<QuotaId, QuotaMark>> {
    let mut select = connection.prepare_cached(
        "SELECT name, handle, limit_bytes, used_bytes, counted, sound FROM quota",
    )?;
    select.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(QuotaId, QuotaMark)> {
    let id = QuotaId::parse(row.get_ref(0)?.as_str()?);
    let id = id.ok_or_else(|| malformed(0, "not the name of a quota"))?;
    let column = |column| unsigned_if_any(row, column);
    let reading = match (column(1)?, column(2)?, column(3)?) {
        (Some(handle), Some(limit), Some(used)) => Some(QuotaReading {
            handle,
            limit,
            used,
        }),
        (None, None, None) => None,
        _ => return Err(malformed(1, "half a quota")),
    };
    let mark = QuotaMark {
        reading,
        counted: unsigned(row, 4)?,
        sound: row.get(5)?,
    };
    Ok((id, mark))
}

pub(super) fn save(
    connection: &Connection,
    old: &BTreeMap<QuotaId, QuotaMark>,
    new: &BTreeMap<QuotaId, QuotaMark>,
) -> rusqlite::Result<()> {
    let mut count = Statement::new(
        connection,
        "UPDATE quota SET limit_bytes = ?2, used_bytes = ?3, counted = ?4 WHERE name = ?1",
    );
    let mut put = Statement::new(
        connection,
        "INSERT OR REPLACE INTO quota (name, handle, limit_bytes, used_bytes, counted, sound)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    );
    let mut remove = Statement::new(connection, "DELETE FROM quota WHERE name = ?1");
    for (id, before, after) in pairs(old, new) {
        if before == after {
            continue;
        }
        let name = id.to_string();
        let Some(mark) = after else {
            remove.execute([name])?;
            continue;
        };
        let QuotaMark {
            reading,
            counted,
            sound,
        } = mark;
        let handle = reading.map(|reading| reading.handle.cast_signed());
        let limit = reading.map(|reading| reading.limit.cast_signed());
        let used = reading.map(|reading| reading.used.cast_signed());
        let counted = counted.cast_signed();
        if before.is_some_and(|before| object(before) == object(mark))
            && count.execute(params![name, limit, used, counted])? == 1
        {
            continue;
        }
        put.execute(params![name, handle, limit, used, counted, sound])?;
    }
    Ok(())
}

/// What of a quota most ticks leave as it is.
fn object(mark: &QuotaMark) -> (Option<u64>, bool) {
    (mark.reading.map(|reading| reading.handle), mark.sound)
}
