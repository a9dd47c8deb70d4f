//! [`State`] as rows.
//!
//! Numbers of 64 bits without a sign, of which the kernel has many, are stored as the same bits
//! with one. All that can come about fit and read the same in `sqlite3`; a counter that somebody
//! loaded with 2⁶³ or more reads as a negative number there, and comes back exactly. To refuse it
//! would stop the accounting of every port, and to store less would bill the difference.

use std::collections::BTreeMap;

use pm_core::backend::{CounterReading, HostId, QuotaReading};
use pm_core::calendar::{Period, ResetPolicy, Timestamp};
use pm_core::config::Mode;
use pm_core::ledger::{Ledger, QuotaMark, RoomMark, State, TableMark, Terms, Usage};
use pm_core::port::PortRange;
use pm_core::rooms::Rooms;
use pm_core::ruleset::{Epoch, Metered, Variant};
use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};
use time::Date;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");

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
    let mut select = connection.prepare_cached(
        "SELECT boot, netns, table_handle, table_epoch, next_epoch, settled_at, torn_down, last_tick
         FROM tick",
    )?;
    let Some(mut state) = select.query_row([], read_tick).optional()? else {
        return Ok(None);
    };

    let mut select = connection.prepare_cached(
        "SELECT first_port, last_port, incoming, outgoing, adjust, spent_mode, spent_allowance,
                reset_policy, next_reset, mode
         FROM ledger ORDER BY first_port, last_port",
    )?;
    let ledgers = select.query_map([], read_ledger)?;
    state.ledgers = ledgers.collect::<rusqlite::Result<_>>()?;

    let mut select = connection.prepare_cached(
        "SELECT first_port, last_port, variant, in_handle, in_bytes, out_handle, out_bytes,
                quota_handle, quota_limit, quota_used, meters_in, meters_out, sound
         FROM room ORDER BY first_port, last_port, variant",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let ports = read_ports(row)?;
        let (variant, mark) = read_room(row)?;
        let ledger = state.ledgers.get_mut(&ports);
        let ledger = ledger.ok_or_else(|| malformed(0, "a room of a service without a ledger"))?;
        *ledger.rooms.slot(variant) = Some(mark);
    }
    Ok(Some(state))
}

/// Writes what differs between `old` and `new`, and counts the save.
pub(crate) fn save(
    transaction: &Transaction<'_>,
    old: &State,
    new: &State,
    saves: i64,
) -> rusqlite::Result<()> {
    write_tick(transaction, new, saves)?;
    let mut writer = Writer::new(transaction)?;
    // Both maps are in order, so one walk through both finds every difference.
    let mut olds = old.ledgers.iter().peekable();
    for (&ports, ledger) in &new.ledgers {
        while let Some((&gone, before)) = olds.next_if(|&(&at, _)| at < ports) {
            writer.delete(gone, before)?;
        }
        match olds.next_if(|&(&at, _)| at == ports) {
            Some((_, before)) if before == ledger => {}
            before => writer.write(ports, before.map(|(_, before)| before), ledger)?,
        }
    }
    for (&gone, before) in olds {
        writer.delete(gone, before)?;
    }
    Ok(())
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

fn write_tick(connection: &Connection, state: &State, saves: i64) -> rusqlite::Result<()> {
    let mut replace = connection.prepare_cached(
        "INSERT OR REPLACE INTO tick
             (id, saves, boot, netns, table_handle, table_epoch, next_epoch, settled_at, torn_down,
              last_tick)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let State {
        host,
        table,
        next_epoch,
        settled_at,
        torn_down,
        last_tick,
        ledgers: _,
    } = state;
    replace
        .execute(params![
            saves,
            host.as_ref().map(|host| &host.boot),
            host.as_ref().map(|host| &host.netns),
            table.map(|table| table.handle.cast_signed()),
            table.and_then(|table| table.epoch).map(Epoch::chain),
            next_epoch.chain(),
            settled_at,
            torn_down,
            last_tick.map(Timestamp::unix),
        ])
        .map(drop)
}

struct Writer<'c> {
    put_ledger: CachedStatement<'c>,
    move_usage: CachedStatement<'c>,
    drop_ledger: CachedStatement<'c>,
    put_room: CachedStatement<'c>,
    drop_room: CachedStatement<'c>,
}

impl<'c> Writer<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            put_ledger: connection.prepare_cached(
                "INSERT OR REPLACE INTO ledger
                     (first_port, last_port, incoming, outgoing, adjust, spent_mode,
                      spent_allowance, reset_policy, next_reset, mode)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            move_usage: connection.prepare_cached(
                "UPDATE ledger SET incoming = ?3, outgoing = ?4
                 WHERE first_port = ?1 AND last_port = ?2",
            )?,
            drop_ledger: connection
                .prepare_cached("DELETE FROM ledger WHERE first_port = ?1 AND last_port = ?2")?,
            put_room: connection.prepare_cached(
                "INSERT OR REPLACE INTO room
                     (first_port, last_port, variant, in_handle, in_bytes, out_handle, out_bytes,
                      quota_handle, quota_limit, quota_used, meters_in, meters_out, sound)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?,
            drop_room: connection.prepare_cached(
                "DELETE FROM room WHERE first_port = ?1 AND last_port = ?2 AND variant = ?3",
            )?,
        })
    }

    fn write(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        ledger: &Ledger,
    ) -> rusqlite::Result<()> {
        self.write_ledger(ports, before, ledger)?;
        for (variant, mark) in ledger.rooms.iter() {
            if before.and_then(|before| before.rooms.get(variant)) != Some(mark) {
                self.write_room(ports, variant, mark)?;
            }
        }
        for (variant, _) in before.iter().flat_map(|before| before.rooms.iter()) {
            if ledger.rooms.get(variant).is_none() {
                self.drop_room
                    .execute(params![ports.first(), ports.last(), letter(variant)])?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, ports: PortRange, before: &Ledger) -> rusqlite::Result<()> {
        for (variant, _) in before.rooms.iter() {
            self.drop_room
                .execute(params![ports.first(), ports.last(), letter(variant)])?;
        }
        self.drop_ledger
            .execute(params![ports.first(), ports.last()])
            .map(drop)
    }

    fn write_ledger(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        ledger: &Ledger,
    ) -> rusqlite::Result<()> {
        let Ledger {
            usage,
            adjust,
            mode,
            spent,
            period,
            rooms: _,
        } = ledger;
        let (incoming, outgoing) = (usage.incoming.cast_signed(), usage.outgoing.cast_signed());
        if let Some(before) = before
            && (before.adjust, before.mode) == (*adjust, *mode)
            && (before.spent, before.period) == (*spent, *period)
        {
            let row = params![ports.first(), ports.last(), incoming, outgoing];
            if before.usage == *usage || self.move_usage.execute(row)? == 1 {
                return Ok(());
            }
        }
        let next = period.next().map(|date| date.format(DATE));
        let next = next
            .transpose()
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.put_ledger
            .execute(params![
                ports.first(),
                ports.last(),
                incoming,
                outgoing,
                adjust,
                spent.map(|terms| terms.mode.to_string()),
                spent.map(|terms| terms.allowance),
                period.policy().to_string(),
                next,
                mode.map(|mode| mode.to_string()),
            ])
            .map(drop)
    }

    fn write_room(
        &mut self,
        ports: PortRange,
        variant: Variant,
        mark: &RoomMark,
    ) -> rusqlite::Result<()> {
        let RoomMark {
            incoming,
            outgoing,
            quota,
            sound,
        } = mark;
        let handle = |counter: CounterReading| counter.handle.cast_signed();
        let bytes = |counter: CounterReading| counter.bytes.cast_signed();
        self.put_room
            .execute(params![
                ports.first(),
                ports.last(),
                letter(variant),
                incoming.map(handle),
                incoming.map(bytes),
                outgoing.map(handle),
                outgoing.map(bytes),
                quota.map(|quota| quota.reading.handle.cast_signed()),
                quota.map(|quota| quota.reading.limit.cast_signed()),
                quota.map(|quota| quota.reading.used.cast_signed()),
                quota.map(|quota| quota.metered.incoming),
                quota.map(|quota| quota.metered.outgoing),
                sound,
            ])
            .map(drop)
    }
}

fn read_tick(row: &Row<'_>) -> rusqlite::Result<State> {
    let epoch = |column| match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some(name) => match Epoch::parse_chain(name) {
            Some(epoch) => Ok(Some(epoch)),
            None => Err(malformed(column, "not the name of an epoch")),
        },
    };
    let host = match (row.get(0)?, row.get(1)?) {
        (Some(boot), Some(netns)) => Some(HostId { boot, netns }),
        (None, None) => None,
        _ => return Err(malformed(0, "half a host")),
    };
    let table = match unsigned(row, 2)? {
        Some(handle) => Some(TableMark {
            handle,
            epoch: epoch(3)?,
        }),
        None => None,
    };
    Ok(State {
        host,
        table,
        next_epoch: epoch(4)?.ok_or_else(|| malformed(4, "no epoch"))?,
        settled_at: row.get(5)?,
        torn_down: row.get(6)?,
        last_tick: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix),
        ledgers: BTreeMap::new(),
    })
}

fn read_ledger(row: &Row<'_>) -> rusqlite::Result<(PortRange, Ledger)> {
    let spent = match (row.get_ref(5)?.as_str_or_null()?, row.get(6)?) {
        (Some(mode), Some(allowance)) => {
            let mode: Mode = mode.parse().map_err(|error| unreadable(5, error))?;
            Some(Terms { mode, allowance })
        }
        (None, None) => None,
        _ => return Err(malformed(5, "half of the terms")),
    };
    let policy: ResetPolicy = row
        .get_ref(7)?
        .as_str()?
        .parse()
        .map_err(|error| unreadable(7, error))?;
    let next = match row.get_ref(8)?.as_str_or_null()? {
        Some(date) => Some(Date::parse(date, DATE).map_err(|error| unreadable(8, error))?),
        None => None,
    };
    let mode = row.get_ref(9)?.as_str_or_null()?.map(str::parse);
    let ledger = Ledger {
        usage: Usage {
            incoming: row.get::<_, i64>(2)?.cast_unsigned(),
            outgoing: row.get::<_, i64>(3)?.cast_unsigned(),
        },
        adjust: row.get(4)?,
        mode: mode.transpose().map_err(|error| unreadable(9, error))?,
        spent,
        period: Period::restore(policy, next),
        rooms: Rooms::default(),
    };
    Ok((read_ports(row)?, ledger))
}

fn read_room(row: &Row<'_>) -> rusqlite::Result<(Variant, RoomMark)> {
    let variant = match row.get_ref(2)?.as_str()? {
        "a" => Variant::A,
        "b" => Variant::B,
        _ => return Err(malformed(2, "not a room's letter")),
    };
    let counter = |column| match (unsigned(row, column)?, unsigned(row, column + 1)?) {
        (Some(handle), Some(bytes)) => Ok(Some(CounterReading { handle, bytes })),
        (None, None) => Ok(None),
        _ => Err(malformed(column, "half a counter")),
    };
    let reading = (unsigned(row, 7)?, unsigned(row, 8)?, unsigned(row, 9)?);
    let quota = match (reading, row.get(10)?, row.get(11)?) {
        ((Some(handle), Some(limit), Some(used)), Some(incoming), Some(outgoing)) => {
            Some(QuotaMark {
                reading: QuotaReading {
                    handle,
                    limit,
                    used,
                },
                metered: Metered { incoming, outgoing },
            })
        }
        ((None, None, None), None, None) => None,
        _ => return Err(malformed(7, "half a quota")),
    };
    let mark = RoomMark {
        incoming: counter(3)?,
        outgoing: counter(5)?,
        quota,
        sound: row.get(12)?,
    };
    Ok((variant, mark))
}

fn read_ports(row: &Row<'_>) -> rusqlite::Result<PortRange> {
    PortRange::new(row.get(0)?, row.get(1)?).map_err(|error| unreadable(0, error))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

fn letter(variant: Variant) -> &'static str {
    match variant {
        Variant::A => "a",
        Variant::B => "b",
    }
}

fn malformed(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
