//! What was used, by day and by closed period: rows that are only ever added to.

use std::collections::BTreeSet;

use pm_core::calendar::Timestamp;
use pm_core::config::{GroupName, Tariff};
use pm_core::history::{ClosedPeriod, Counted, DayTotal, day_of};
use pm_core::holder::Holder;
use pm_core::ledger::{Ledger, State, Usage};
use pm_core::port::PortRange;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::value::{date, instant_if_any, parsed, parsed_if_any, ports, tariff, usage};
use super::writing::Statement;

const SELECT_CLOSED: &str =
    "SELECT id, holder, began, ended, why, used_in, used_out, mode, factor_thousandths, adjust,
         group_name
     FROM closed_period";

const FIND_DAY: &str = "SELECT used_in, used_out FROM day
     WHERE date = ?1 AND first_port = ?2 AND last_port = ?3";

const PUT_DAY: &str = "INSERT OR REPLACE INTO day (date, first_port, last_port, used_in, used_out)
     VALUES (?1, ?2, ?3, ?4, ?5)";

/// Adds what was used between two states to the day's totals.
pub(super) struct DayWriter<'c> {
    date: String,
    counted: Counted,
    add: Statement<'c>,
    find: Statement<'c>,
    put: Statement<'c>,
}

impl<'c> DayWriter<'c> {
    pub(super) fn new(connection: &'c Connection, old: &State, new: &State) -> Self {
        let date = day_of(old, new);
        Self {
            date: date.to_string(),
            counted: Counted::until(new),
            // SQLite's sum of two integers that has more than 63 bits is none.
            add: Statement::new(
                connection,
                "UPDATE day SET used_in = used_in + ?4, used_out = used_out + ?5
                 WHERE date = ?1 AND first_port = ?2 AND last_port = ?3
                     AND used_in BETWEEN 0 AND 9223372036854775807 - ?4
                     AND used_out BETWEEN 0 AND 9223372036854775807 - ?5",
            ),
            find: Statement::new(connection, FIND_DAY),
            put: Statement::new(connection, PUT_DAY),
        }
    }

    /// Adds what a service used from one of its ledgers to the next.
    pub(super) fn add_used(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        after: Option<&Ledger>,
    ) -> rusqlite::Result<()> {
        let used = self.counted.between(ports, before, after);
        self.add(ports, used)
    }

    /// Adds what those used that came and went since the last save.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        for (ports, closed) in self.counted.rest() {
            self.add(ports, closed)?;
        }
        Ok(())
    }

    fn add(&mut self, ports: PortRange, used: Usage) -> rusqlite::Result<()> {
        if used == Usage::default() {
            return Ok(());
        }
        let key = (self.date.as_str(), ports.first(), ports.last());
        if let (Ok(incoming), Ok(outgoing)) =
            (i64::try_from(used.incoming), i64::try_from(used.outgoing))
            && self
                .add
                .execute(params![key.0, key.1, key.2, incoming, outgoing])?
                == 1
        {
            return Ok(());
        }
        let find = self.find.prepared()?;
        let found = find.query_row(key, |row| usage(row, 0)).optional()?;
        let Usage { incoming, outgoing } = found.unwrap_or_default().plus(used);
        let (incoming, outgoing) = (incoming.cast_signed(), outgoing.cast_signed());
        self.put
            .execute(params![key.0, key.1, key.2, incoming, outgoing])
            .map(drop)
    }
}

/// Adds to the days' totals.
pub(crate) fn add_days(connection: &Connection, days: &[DayTotal]) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(PUT_DAY)?;
    let mut find = connection.prepare_cached(FIND_DAY)?;
    for &DayTotal { date, ports, usage } in days {
        let date = date.to_string();
        let key = (date.as_str(), ports.first(), ports.last());
        let found = find.query_row(key, |row| super::value::usage(row, 0));
        let Usage { incoming, outgoing } = found.optional()?.unwrap_or_default().plus(usage);
        let (incoming, outgoing) = (incoming.cast_signed(), outgoing.cast_signed());
        add.execute(params![key.0, key.1, key.2, incoming, outgoing])?;
    }
    Ok(())
}

/// Removes everything.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM day", [])?;
    connection
        .execute("DELETE FROM closed_period", [])
        .map(drop)
}

/// Removes what there is of these.
pub(crate) fn forget(connection: &Connection, holders: &[Holder]) -> rusqlite::Result<()> {
    let mut days =
        connection.prepare_cached("DELETE FROM day WHERE first_port = ?1 AND last_port = ?2")?;
    let mut periods = connection.prepare_cached("DELETE FROM closed_period WHERE holder = ?1")?;
    for holder in holders {
        if let Holder::Service(ports) = holder {
            days.execute([ports.first(), ports.last()])?;
        }
        periods.execute([holder.to_string()])?;
    }
    Ok(())
}

/// Adds the periods that were closed.
pub(crate) fn save_closed(
    connection: &Connection,
    closed: &[ClosedPeriod],
) -> rusqlite::Result<()> {
    let mut insert = Statement::new(
        connection,
        "INSERT INTO closed_period
             (holder, began, ended, why, used_in, used_out, mode, factor_thousandths, adjust,
              group_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    );
    for closed in closed {
        let ClosedPeriod {
            holder,
            group,
            began,
            ended,
            why,
            usage,
            tariff: Tariff { mode, factor },
            adjust,
        } = closed;
        insert.execute(params![
            holder.to_string(),
            began.map(Timestamp::unix),
            ended.unix(),
            why.as_str(),
            usage.incoming.cast_signed(),
            usage.outgoing.cast_signed(),
            mode.to_string(),
            factor.thousandths(),
            adjust,
            group.as_ref().map(GroupName::as_str),
        ])?;
    }
    Ok(())
}

/// Returns the totals of these services, or of all that ever were, by date, then ports.
pub(crate) fn days(
    connection: &Connection,
    services: Option<&[PortRange]>,
) -> rusqlite::Result<Vec<DayTotal>> {
    let Some(services) = services else {
        let mut select = connection.prepare_cached(
            "SELECT date, first_port, last_port, used_in, used_out FROM day
             ORDER BY date, first_port, last_port",
        )?;
        return select.query_map([], read_day)?.collect();
    };
    // From date to date, and on each only to the rows that are asked for: of few services that is
    // a fraction of the whole table.
    let services: BTreeSet<_> = services.iter().collect();
    let mut next = connection.prepare_cached("SELECT min(date) FROM day WHERE date > ?1")?;
    let mut select = connection.prepare_cached(
        "SELECT date, first_port, last_port, used_in, used_out FROM day
         WHERE date = ?1 AND first_port = ?2 AND last_port = ?3",
    )?;
    let mut days = Vec::new();
    let mut date = String::new();
    while let Some(found) = next.query_row([&date], |row| row.get(0))? {
        date = found;
        for ports in &services {
            let key = (&date, ports.first(), ports.last());
            days.extend(select.query_row(key, read_day).optional()?);
        }
    }
    Ok(days)
}

fn read_day(row: &Row<'_>) -> rusqlite::Result<DayTotal> {
    Ok(DayTotal {
        date: date(row, 0)?,
        ports: ports(row, 1)?,
        usage: usage(row, 3)?,
    })
}

/// Returns the closed periods of these holders, or of all that ever were, by end, then by
/// insertion.
pub(crate) fn closed_periods(
    connection: &Connection,
    holders: Option<&[Holder]>,
) -> rusqlite::Result<Vec<ClosedPeriod>> {
    let mut found = Vec::new();
    match holders {
        None => {
            let mut select = connection.prepare_cached(SELECT_CLOSED)?;
            for closed in select.query_map([], read_closed)? {
                found.push(closed?);
            }
        }
        Some(holders) => {
            let mut select =
                connection.prepare_cached(&format!("{SELECT_CLOSED} WHERE holder = ?1"))?;
            for holder in holders.iter().collect::<BTreeSet<_>>() {
                for closed in select.query_map([holder.to_string()], read_closed)? {
                    found.push(closed?);
                }
            }
        }
    }
    Ok(in_order(found))
}

/// Returns the closed periods of a group and those of services in it, in the same order.
pub(crate) fn group_periods(
    connection: &Connection,
    group: &GroupName,
) -> rusqlite::Result<Vec<ClosedPeriod>> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT_CLOSED} WHERE holder = ?1 OR group_name = ?2"
    ))?;
    let holder = Holder::Group(group.clone()).to_string();
    let found = select.query_map([holder.as_str(), group.as_str()], read_closed)?;
    Ok(in_order(found.collect::<rusqlite::Result<_>>()?))
}

/// Returns the period of each of these holders that was closed last: what the clock said then
/// does not matter.
pub(crate) fn last_periods(
    connection: &Connection,
    holders: &[Holder],
) -> rusqlite::Result<Vec<ClosedPeriod>> {
    let mut select = connection.prepare_cached(&format!(
        "{SELECT_CLOSED} WHERE holder = ?1 ORDER BY id DESC LIMIT 1"
    ))?;
    let mut found = Vec::new();
    for holder in holders {
        let last = select.query_row([holder.to_string()], read_closed);
        found.extend(last.optional()?.map(|(_, closed)| closed));
    }
    Ok(found)
}

fn in_order(mut found: Vec<(i64, ClosedPeriod)>) -> Vec<ClosedPeriod> {
    found.sort_unstable_by_key(|(id, closed)| (closed.ended, *id));
    found.into_iter().map(|(_, closed)| closed).collect()
}

fn read_closed(row: &Row<'_>) -> rusqlite::Result<(i64, ClosedPeriod)> {
    let closed = ClosedPeriod {
        holder: parsed(row, 1)?,
        group: parsed_if_any(row, 10)?,
        began: instant_if_any(row, 2)?,
        ended: Timestamp::from_unix(row.get(3)?),
        why: parsed(row, 4)?,
        usage: usage(row, 5)?,
        tariff: tariff(row, 7)?,
        adjust: row.get(9)?,
    };
    Ok((row.get(0)?, closed))
}

/// Reads every row and keeps none.
pub(crate) fn check(connection: &Connection) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare("SELECT date, first_port, last_port, used_in, used_out FROM day")?;
    for day in select.query_map([], read_day)? {
        day?;
    }
    let mut select = connection.prepare(SELECT_CLOSED)?;
    for closed in select.query_map([], read_closed)? {
        closed?;
    }
    Ok(())
}
