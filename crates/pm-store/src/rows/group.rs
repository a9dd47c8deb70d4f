//! Groups' usage.

use std::collections::BTreeMap;

use pm_core::config::GroupName;
use pm_core::ledger::Account;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::account;
use super::value::parsed;
use super::writing::{Statement, pairs};

pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<GroupName, Account>> {
    let mut select = connection.prepare_cached(
        "SELECT name, used_in, used_out, adjust, mode, factor_thousandths, spent_mode,
                spent_allowance, reset_policy, next_reset, began, warned
         FROM group_account",
    )?;
    let groups = select.query_map([], |row| Ok((parsed(row, 0)?, account::read(row, 1)?)))?;
    groups.collect()
}

pub(super) fn save(
    connection: &Connection,
    old: &BTreeMap<GroupName, Account>,
    new: &BTreeMap<GroupName, Account>,
) -> rusqlite::Result<()> {
    let mut count = Statement::new(
        connection,
        "UPDATE group_account SET used_in = ?2, used_out = ?3 WHERE name = ?1",
    );
    let mut put = Statement::new(
        connection,
        "INSERT OR REPLACE INTO group_account
             (name, used_in, used_out, adjust, mode, factor_thousandths, spent_mode,
              spent_allowance, reset_policy, next_reset, began, warned)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    );
    let mut remove = Statement::new(connection, "DELETE FROM group_account WHERE name = ?1");
    for (name, before, after) in pairs(old, new) {
        let name = name.as_str();
        let Some(account) = after else {
            remove.execute([name])?;
            continue;
        };
        if let Some(before) = before
            && account::terms(before) == account::terms(account)
            && (before.usage == account.usage || {
                let usage = account.usage;
                let (used_in, used_out) =
                    (usage.incoming.cast_signed(), usage.outgoing.cast_signed());
                count.execute(params![name, used_in, used_out])? == 1
            })
        {
            continue;
        }
        let name = Value::from(name.to_owned());
        put.execute(params_from_iter(
            [name].into_iter().chain(account::values(account)),
        ))?;
    }
    Ok(())
}
