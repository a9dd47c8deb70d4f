//! Services' rooms in the kernel.

use std::collections::BTreeMap;

use pm_core::backend::CounterReading;
use pm_core::ledger::{Ledger, RoomMark};
use pm_core::port::PortRange;
use pm_core::ruleset::{Class, Metering, Policing, Room, Variant};
use rusqlite::{Connection, Row, params};

use super::value::{
    letter, malformed, parsed_if_any, ports, unsigned_if_any, variant, variant_if_any,
};
use super::writing::Statement;

/// Puts the rooms into the ledgers of their services.
pub(super) fn load(
    connection: &Connection,
    ledgers: &mut BTreeMap<PortRange, Ledger>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT first_port, last_port, variant, in_handle, in_bytes, out_handle, out_bytes,
                in_policed, out_policed, quota_holder, quota_variant, quota_mode,
                class_priority, class_mark, class_mask, sound
         FROM room ORDER BY first_port, last_port, variant",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let ledger = ledgers.get_mut(&ports(row, 0)?);
        let ledger = ledger.ok_or_else(|| malformed(0, "a room of a service without a ledger"))?;
        *ledger.rooms.slot(variant(row, 2)?) = Some(read(row)?);
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<RoomMark> {
    let counter = |column| match (
        unsigned_if_any(row, column)?,
        unsigned_if_any(row, column + 1)?,
    ) {
        (Some(handle), Some(bytes)) => Ok(Some(CounterReading { handle, bytes })),
        (None, None) => Ok(None),
        _ => Err(malformed(column, "half a counter")),
    };
    Ok(RoomMark {
        room: Room {
            policing: Policing {
                incoming: unsigned_if_any(row, 7)?,
                outgoing: unsigned_if_any(row, 8)?,
            },
            metering: read_metering(row)?,
            class: read_class(row)?,
        },
        incoming: counter(3)?,
        outgoing: counter(5)?,
        sound: row.get(15)?,
    })
}

fn read_metering(row: &Row<'_>) -> rusqlite::Result<Option<Metering>> {
    let holder = parsed_if_any(row, 9)?;
    match (holder, variant_if_any(row, 10)?, parsed_if_any(row, 11)?) {
        (Some(holder), Some(variant), Some(mode)) => Ok(Some(Metering {
            holder,
            variant,
            mode,
        })),
        (None, None, None) => Ok(None),
        _ => Err(malformed(9, "half of a room's quotas")),
    }
}

fn read_class(row: &Row<'_>) -> rusqlite::Result<Option<Class>> {
    match (row.get(12)?, row.get(13)?, row.get(14)?) {
        (Some(priority), None, None) => Ok(Some(Class::Priority(priority))),
        (None, Some(mark), Some(mask)) => Ok(Some(Class::Mark { mark, mask })),
        (None, None, None) => Ok(None),
        _ => Err(malformed(12, "half a class, or two")),
    }
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
                "UPDATE room SET in_bytes = ?4, out_bytes = ?5
                 WHERE first_port = ?1 AND last_port = ?2 AND variant = ?3",
            ),
            put: Statement::new(
                connection,
                "INSERT OR REPLACE INTO room
                     (first_port, last_port, variant, in_handle, in_bytes, out_handle, out_bytes,
                      in_policed, out_policed, quota_holder, quota_variant, quota_mode,
                      class_priority, class_mark, class_mask, sound)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            ),
            remove: Statement::new(
                connection,
                "DELETE FROM room WHERE first_port = ?1 AND last_port = ?2 AND variant = ?3",
            ),
        }
    }

    /// Writes what differs between the rooms of the two.
    pub(super) fn write(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        after: Option<&Ledger>,
    ) -> rusqlite::Result<()> {
        for variant in Variant::BOTH {
            let before = before.and_then(|ledger| ledger.rooms.get(variant));
            match after.and_then(|ledger| ledger.rooms.get(variant)) {
                after if after == before => {}
                Some(mark) => self.write_room(ports, letter(variant), before, mark)?,
                None => {
                    let row = params![ports.first(), ports.last(), letter(variant)];
                    self.remove.execute(row)?;
                }
            }
        }
        Ok(())
    }

    fn write_room(
        &mut self,
        ports: PortRange,
        letter: &str,
        before: Option<&RoomMark>,
        mark: &RoomMark,
    ) -> rusqlite::Result<()> {
        let RoomMark {
            room:
                Room {
                    policing,
                    metering,
                    class,
                },
            incoming,
            outgoing,
            sound,
        } = mark;
        let (first, last) = (ports.first(), ports.last());
        let bytes = |counter: CounterReading| counter.bytes.cast_signed();
        let (in_bytes, out_bytes) = (incoming.map(bytes), outgoing.map(bytes));
        let row = params![first, last, letter, in_bytes, out_bytes];
        if before.is_some_and(|before| objects(before) == objects(mark))
            && self.count.execute(row)? == 1
        {
            return Ok(());
        }
        let handle = |counter: CounterReading| counter.handle.cast_signed();
        let metering = metering.as_ref();
        let (priority, mark, mask) = match *class {
            Some(Class::Priority(priority)) => (Some(priority), None, None),
            Some(Class::Mark { mark, mask }) => (None, Some(mark), Some(mask)),
            None => (None, None, None),
        };
        self.put
            .execute(params![
                first,
                last,
                letter,
                incoming.map(handle),
                in_bytes,
                outgoing.map(handle),
                out_bytes,
                policing.incoming.map(u64::cast_signed),
                policing.outgoing.map(u64::cast_signed),
                metering.map(|metering| metering.holder.to_string()),
                metering.map(|metering| super::value::letter(metering.variant)),
                metering.map(|metering| metering.mode.to_string()),
                priority,
                mark,
                mask,
                sound,
            ])
            .map(drop)
    }
}

/// What of a room most ticks leave as it is.
fn objects(mark: &RoomMark) -> impl PartialEq {
    let RoomMark {
        room,
        incoming,
        outgoing,
        sound,
    } = mark;
    let handle = |counter: CounterReading| counter.handle;
    (room, incoming.map(handle), outgoing.map(handle), sound)
}
