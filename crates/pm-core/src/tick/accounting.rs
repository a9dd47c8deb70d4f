//! From what counters show to what was used.

use std::collections::BTreeMap;

use crate::backend::{CounterReading, QuotaReading, Reading};
use crate::in_order::InOrder;
use crate::ledger::{Ledger, QuotaMark, RoomMark, State, Usage};
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{Direction, Epoch, Installed, InstalledRoom, QuotaId, Room, RoomId, Variant};

/// Bytes by which a quota may seem to be ahead of its rooms' counters while all run: a dump
/// does not read them at one instant.
const READ_SKEW: u64 = 64 << 20;

/// Adds to `next`, which is `state` with the holders of today, what was counted since. Returns the
/// services of which some counter was somebody else's.
pub(super) fn account(
    state: &State,
    next: &mut State,
    reading: &Reading,
    installed: &Installed,
) -> Vec<PortRange> {
    let origin = Origin::of(state, reading, installed);
    let mut found = Found::new(reading, installed);
    let mut replaced = Vec::new();
    let mut metered = BTreeMap::new();
    for (&ports, ledger) in &mut next.ledgers {
        let mut rooms = Look {
            rooms: found.rooms_of(ports),
            used: Usage::default(),
            replaced: false,
        };
        rooms.compare(ports, ledger, reading, origin, &mut metered);
        let Look {
            rooms,
            used,
            replaced: is_replaced,
        } = rooms;
        ledger.rooms = rooms;
        credit(ledger, used);
        if let Some(group) = ledger
            .group
            .as_ref()
            .and_then(|name| next.groups.get_mut(name))
        {
            group.usage = group.usage.plus(used);
        }
        if is_replaced {
            replaced.push(ports);
        }
    }
    next.quotas = quotas(state, reading, installed, origin, &metered);
    replaced
}

fn credit(ledger: &mut Ledger, used: Usage) {
    ledger.total = ledger.total.plus(used);
    ledger.account.usage = ledger.account.usage.plus(used);
    let bytes = used.incoming.saturating_add(used.outgoing);
    ledger.hog.sample = ledger.hog.sample.saturating_add(bytes);
}

/// Where the counters of a reading come from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// The table is the one of the last reading.
    same_table: bool,
    /// The last batch that pm sent was committed, and it made counters.
    our_batch: bool,
    /// pm has sent no batch since the last reading.
    no_batch: bool,
}

impl Origin {
    fn of(state: &State, reading: &Reading, installed: &Installed) -> Self {
        let same_host = state.host.as_ref() == Some(&reading.host);
        let our_epoch = installed.epochs.contains(&state.next_epoch);
        let same_table = same_host
            && match (state.table, &reading.table) {
                (Some(mark), Some(table)) => {
                    mark.handle == table.handle
                        && (our_epoch
                            || installed.epochs.is_empty()
                            || mark
                                .epoch
                                .is_none_or(|epoch| installed.epochs.contains(&epoch)))
                }
                _ => false,
            };
        // A table that was there at the last reading and is another one now was loaded by
        // somebody, even if it was saved from pm's: pm makes a table only where there is none.
        let our_batch = same_host && our_epoch && (same_table || state.table.is_none());
        Self {
            same_table,
            our_batch,
            no_batch: state.settled_at.is_some(),
        }
    }
}

/// Returns the epoch by which the table is to be known from now on.
pub(super) fn seen_epoch(state: &State, installed: &Installed) -> Option<Epoch> {
    let known = [
        Some(state.next_epoch),
        state.table.and_then(|table| table.epoch),
    ];
    let known = known
        .into_iter()
        .flatten()
        .find(|epoch| installed.epochs.contains(epoch));
    known.or_else(|| installed.epochs.first().copied())
}

/// What the kernel shows of rooms; services are looked up in order.
struct Found<'a> {
    counters: Option<InOrder<'a, (RoomId, Direction), CounterReading>>,
    rooms: InOrder<'a, RoomId, InstalledRoom>,
}

impl<'a> Found<'a> {
    fn new(reading: &'a Reading, installed: &'a Installed) -> Self {
        let table = reading.table.as_ref();
        Self {
            counters: table.map(|table| InOrder::new(&table.counters)),
            rooms: InOrder::new(&installed.rooms),
        }
    }

    /// Returns a service's rooms as they are read now, not yet known to be sound.
    fn rooms_of(&mut self, ports: PortRange) -> Rooms<RoomMark> {
        let mut rooms: Rooms<RoomMark> = Rooms::default();
        let Some(counters) = &mut self.counters else {
            return rooms;
        };
        for variant in Variant::BOTH {
            let id = RoomId { ports, variant };
            let [incoming, outgoing] =
                Direction::BOTH.map(|direction| counters.get(&(id, direction)).copied());
            if incoming.or(outgoing).is_none() {
                continue;
            }
            let whole = self.rooms.get(&id).and_then(|room| room.intact.as_ref());
            *rooms.slot(variant) = Some(RoomMark {
                room: whole.cloned().unwrap_or_default(),
                incoming,
                outgoing,
                ..RoomMark::default()
            });
        }
        rooms
    }
}

/// What the rooms that name a quota counted under it since the last reading.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    bytes: u64,
    /// Whether one of the counters was reset, or somebody else's.
    disturbed: bool,
}

/// One look at a service's rooms.
struct Look {
    rooms: Rooms<RoomMark>,
    used: Usage,
    replaced: bool,
}

impl Look {
    /// Compares the rooms with those of the last look, and adds up what they counted.
    fn compare(
        &mut self,
        ports: PortRange,
        ledger: &Ledger,
        reading: &Reading,
        origin: Origin,
        metered: &mut BTreeMap<QuotaId, Growth>,
    ) {
        for (variant, mark) in self.rooms.iter_mut() {
            let earlier = ledger.rooms.get(variant);
            let made = origin.our_batch && earlier.is_some_and(RoomMark::is_expected);
            let earlier = earlier.filter(|_| origin.same_table);
            if let (false, Some(earlier)) = (reading.is_fresh(RoomId { ports, variant }), earlier) {
                // The same reading again says nothing new.
                mark.sound = earlier.sound;
                continue;
            }
            let mut sound = true;
            let mut grown = Usage::default();
            for direction in Direction::BOTH {
                let Some(counter) = mark.counter(direction) else {
                    sound = false;
                    continue;
                };
                let known = earlier
                    .and_then(|mark| mark.counter(direction))
                    .filter(|known| known.handle == counter.handle);
                let (bytes, undisturbed) = match known {
                    Some(known) => growth(known, counter),
                    None if made => (counter.bytes, true),
                    None => {
                        self.replaced = true;
                        (0, false)
                    }
                };
                sound &= undisturbed && (known.is_none() || earlier.is_some_and(|mark| mark.sound));
                grown.add(direction, bytes);
            }
            mark.sound = sound;
            self.used = self.used.plus(grown);
            let read = earlier.filter(|earlier| !earlier.is_expected());
            let was_whole = read.is_none_or(|earlier| earlier.room.metering == mark.room.metering);
            for quota in quotas_of(&mark.room) {
                let bytes = grown.metered(quota.metered);
                let growth = metered.entry(quota).or_default();
                growth.bytes = growth.bytes.saturating_add(bytes);
                growth.disturbed |= !sound || !was_whole;
            }
            if let (Some(earlier), false) = (read, was_whole) {
                disturb(&earlier.room, metered);
            }
        }
        for (variant, earlier) in ledger.rooms.iter() {
            let is_gone = self.rooms.get(variant).is_none();
            if is_gone && origin.same_table && origin.no_batch {
                disturb(&earlier.room, metered);
            }
        }
    }
}

fn quotas_of(room: &Room) -> impl Iterator<Item = QuotaId> {
    let metering = room.metering.iter();
    metering.flat_map(|metering| metering.quotas())
}

/// Notes that somebody has damaged or deleted a room: what its quotas had counted of it, and its
/// counters had not shown yet, is not known.
fn disturb(room: &Room, metered: &mut BTreeMap<QuotaId, Growth>) {
    for quota in quotas_of(room) {
        metered.entry(quota).or_default().disturbed = true;
    }
}

/// Returns what a counter grew by, and whether nobody had reset it.
fn growth(known: CounterReading, now: CounterReading) -> (u64, bool) {
    match now.bytes.checked_sub(known.bytes) {
        Some(bytes) => (bytes, true),
        None => (now.bytes, false),
    }
}

/// Returns the quotas as they are read now.
fn quotas(
    state: &State,
    reading: &Reading,
    installed: &Installed,
    origin: Origin,
    metered: &BTreeMap<QuotaId, Growth>,
) -> BTreeMap<QuotaId, QuotaMark> {
    let Some(table) = &reading.table else {
        return BTreeMap::new();
    };
    let mut earlier = InOrder::new(&state.quotas);
    let mut metered = InOrder::new(metered);
    let mut held = InOrder::new(&installed.quotas);
    let mark = |(id, &now): (&QuotaId, &QuotaReading)| {
        let earlier = earlier.get(id);
        let made = origin.our_batch && earlier.is_some_and(|mark| mark.reading.is_none());
        let known = earlier.filter(|mark| {
            let known = mark.reading.map(|known| known.handle);
            origin.same_table && known == Some(now.handle)
        });
        let grown = metered.get(id);
        let mut mark = QuotaMark {
            reading: Some(now),
            counted: known.map_or(0, |known| known.counted),
            sound: known.is_none_or(|known| known.sound),
        };
        if let Some(grown) = grown {
            mark.counted = mark.counted.saturating_add(grown.bytes);
            // What was read of some of its rooms only, or not at all, is not at rest.
            let at_rest = grown.bytes == 0 && reading.fresh.is_none();
            mark.sound &= !grown.disturbed && is_in_step(known, &mark, at_rest, made);
        } else if known.is_none() && !made {
            mark.sound = false;
        }
        // What it dropped before pm moved it up, it counted as well.
        let earlier = known.and_then(|known| known.reading);
        mark.sound &= !earlier.is_some_and(|old| old.limit < now.limit && old.limit <= now.used);
        mark.sound &= matches!(held.get(id), Some(Some(_)));
        (id.clone(), mark)
    };
    table.quotas.iter().map(mark).collect()
}

/// Whether a quota is pm's own and has counted what the counters of its rooms have, which may be
/// `at_rest`.
fn is_in_step(known: Option<&QuotaMark>, mark: &QuotaMark, at_rest: bool, made: bool) -> bool {
    let Some(now) = mark.reading else {
        return false;
    };
    let known = known.and_then(|known| known.reading);
    if known.is_none() && !made {
        return false;
    }
    if now.is_depleted() {
        // What it shows ends at the limit, so it cannot be compared.
        return true;
    }
    if known.is_some_and(|known| known.used > now.used) {
        return false;
    }
    let skew = now.used.abs_diff(mark.counted);
    let at_rest = at_rest && known.is_some_and(|known| known.used == now.used);
    skew == 0 || (!at_rest && skew <= READ_SKEW)
}
