//! An account, which is part of a row.

use pm_core::calendar::{Period, Timestamp};
use pm_core::config::Tariff;
use pm_core::ledger::{Account, Terms};
use rusqlite::Row;
use rusqlite::types::Value;

use super::value::{date_if_any, instant_if_any, malformed, parsed, parsed_if_any, tariff, usage};

/// Reads the columns `used_in, used_out, adjust, mode, factor_thousandths, spent_mode,
/// spent_allowance, reset_policy, next_reset, began, warned`, the first of which is `column`.
pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Account> {
    let spent = match (parsed_if_any(row, column + 5)?, row.get(column + 6)?) {
        (Some(mode), Some(allowance)) => Some(Terms { mode, allowance }),
        (None, None) => None,
        _ => return Err(malformed(column + 5, "half of the terms")),
    };
    Ok(Account {
        usage: usage(row, column)?,
        adjust: row.get(column + 2)?,
        tariff: tariff(row, column + 3)?,
        spent,
        period: Period::restore(parsed(row, column + 7)?, date_if_any(row, column + 8)?),
        began: instant_if_any(row, column + 9)?,
        warned: row.get(column + 10)?,
    })
}

/// Returns the values of these columns.
pub(super) fn values(account: &Account) -> [Value; 11] {
    let Account {
        usage,
        adjust,
        tariff: Tariff { mode, factor },
        spent,
        warned,
        period,
        began,
    } = account;
    [
        usage.incoming.cast_signed().into(),
        usage.outgoing.cast_signed().into(),
        (*adjust).into(),
        mode.to_string().into(),
        factor.thousandths().into(),
        spent.map(|terms| terms.mode.to_string()).into(),
        spent.map(|terms| terms.allowance).into(),
        period.policy().to_string().into(),
        period.next().map(|date| date.to_string()).into(),
        began.map(Timestamp::unix).into(),
        (*warned).into(),
    ]
}

/// Returns all of an account but the usage, which is what most ticks change.
pub(super) fn terms(account: &Account) -> impl PartialEq {
    let Account {
        usage: _,
        adjust,
        tariff,
        spent,
        warned,
        period,
        began,
    } = account;
    (*adjust, *tariff, *spent, *warned, *period, *began)
}
