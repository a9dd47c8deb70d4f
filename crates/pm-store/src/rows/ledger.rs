//! Services' usage.

use std::collections::BTreeMap;

use pm_core::dynqos::Hog;
use pm_core::ledger::Ledger;
use pm_core::port::PortRange;
use pm_core::rooms::Rooms;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::account;
use super::value::{
    date_if_any, duration_if_any, malformed, nanoseconds, parsed_if_any, ports, unsigned, usage,
};
use super::writing::Statement;

/// Returns the ledgers without their rooms.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<PortRange, Ledger>> {
    let mut select = connection.prepare_cached(
        "SELECT first_port, last_port, total_in, total_out,
                used_in, used_out, adjust, mode, factor_thousandths, spent_mode, spent_allowance,
                reset_policy, next_reset, began, warned,
                group_name, hog_sample, hog_above, hog_punished, expired, expiring, deleted
         FROM ledger ORDER BY first_port, last_port",
    )?;
    select.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(PortRange, Ledger)> {
    let ledger = Ledger {
        total: usage(row, 2)?,
        account: account::read(row, 4)?,
        group: parsed_if_any(row, 15)?,
        hog: Hog {
            sample: unsigned(row, 16)?,
            above: duration_if_any(row, 17)?.ok_or_else(|| malformed(17, "no duration"))?,
            punished: duration_if_any(row, 18)?,
        },
        expired: row.get(19)?,
        expiring: date_if_any(row, 20)?,
        deleted: row.get(21)?,
        arriving: false,
        dismissed: false,
        rooms: Rooms::default(),
    };
    Ok((ports(row, 0)?, ledger))
}

pub(super) struct Writer<'c> {
    count: Statement<'c>,
    put: Statement<'c>,
    remove: Statement<'c>,
}

impl<'c> Writer<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            count: Statement::new(
                connection,
                "UPDATE ledger
                 SET total_in = ?3, total_out = ?4, used_in = ?5, used_out = ?6, hog_sample = ?7
                 WHERE first_port = ?1 AND last_port = ?2",
            ),
            put: Statement::new(
                connection,
                "INSERT OR REPLACE INTO ledger
                     (first_port, last_port, total_in, total_out, used_in, used_out, adjust, mode,
                      factor_thousandths, spent_mode, spent_allowance, reset_policy, next_reset,
                      began, warned, group_name, hog_sample, hog_above, hog_punished, expired,
                      expiring, deleted)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                         ?17, ?18, ?19, ?20, ?21, ?22)",
            ),
            remove: Statement::new(
                connection,
                "DELETE FROM ledger WHERE first_port = ?1 AND last_port = ?2",
            ),
        }
    }

    /// Writes what differs between the two, rooms apart.
    pub(super) fn write(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        after: Option<&Ledger>,
    ) -> rusqlite::Result<()> {
        let (first, last) = (ports.first(), ports.last());
        let Some(ledger) = after else {
            return self.remove.execute(params![first, last]).map(drop);
        };
        if let Some(before) = before.filter(|before| terms(before) == terms(ledger)) {
            let counts_now @ [total_in, total_out, used_in, used_out, sample] = counts(ledger);
            let row = params![first, last, total_in, total_out, used_in, used_out, sample];
            if counts(before) == counts_now || self.count.execute(row)? == 1 {
                return Ok(());
            }
        }
        self.put
            .execute(params_from_iter(values(ports, ledger)))
            .map(drop)
    }
}

/// What most ticks change.
fn counts(ledger: &Ledger) -> [i64; 5] {
    let (total, used) = (ledger.total, ledger.account.usage);
    [
        total.incoming,
        total.outgoing,
        used.incoming,
        used.outgoing,
        ledger.hog.sample,
    ]
    .map(u64::cast_signed)
}

/// All the rest of the row.
fn terms(ledger: &Ledger) -> impl PartialEq {
    let Ledger {
        total: _,
        account,
        group,
        hog: Hog {
            sample: _,
            above,
            punished,
        },
        expired,
        expiring,
        deleted,
        arriving: _,
        dismissed: _,
        rooms: _,
    } = ledger;
    let account = account::terms(account);
    (
        account,
        group,
        above,
        punished,
        (expired, expiring),
        deleted,
    )
}

fn values(ports: PortRange, ledger: &Ledger) -> impl Iterator<Item = Value> {
    let Ledger {
        total,
        account,
        group,
        hog: Hog {
            sample,
            above,
            punished,
        },
        expired,
        expiring,
        deleted,
        arriving: _,
        dismissed: _,
        rooms: _,
    } = ledger;
    let first = [
        Value::from(ports.first()),
        ports.last().into(),
        total.incoming.cast_signed().into(),
        total.outgoing.cast_signed().into(),
    ];
    let last = [
        Value::from(group.as_ref().map(|name| name.as_str().to_owned())),
        sample.cast_signed().into(),
        nanoseconds(*above).into(),
        punished.map(nanoseconds).into(),
        (*expired).into(),
        expiring.map(|date| date.to_string()).into(),
        (*deleted).into(),
    ];
    let account = account::values(account);
    first.into_iter().chain(account).chain(last)
}
