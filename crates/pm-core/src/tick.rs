//! The tick: one reading of the kernel becomes usage, exactly once.
//!
//! - A counter that is known by its handle, in a table that is known, adds what it grew by; if
//!   it is smaller than before, somebody reset it, and it adds what it shows.
//! - A counter of a room that pm's own last batch was to make adds all it shows: it began at
//!   zero.
//! - Any other counter was loaded by somebody, with a value of its own: it adds nothing and
//!   becomes the base line.
//! - A room in which a counter is not pm's own, or was reset, is unsound: its quota no longer
//!   counts on the same scale. It goes on counting until the plan has moved the service out.
//! - A quota is spent when the kernel says so, or when the bytes say so, and stays spent until
//!   the period ends or the terms improve.

use std::collections::BTreeMap;

use crate::backend::{CounterReading, Reading, TableReading};
use crate::calendar::{Period, ResetPolicy, Timestamp, Zone};
use crate::config::{Config, Service};
use crate::event::Event;
use crate::ledger::{Ledger, QuotaMark, RoomMark, State, TableMark, Terms};
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{Direction, Epoch, Frame, Installed, RoomId, Variant};

/// Bytes by which a quota may seem to be ahead of its room's counters while both run: a dump
/// does not read them at one instant.
const READ_SKEW: u64 = 64 << 20;

/// When a tick takes place, and what it needs from outside beside the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The wall clock.
    pub time: Timestamp,
    /// The zone whose dates count.
    pub zone: &'a Zone,
    /// A time that has certainly passed; a clock before it is wrong, and ends no period.
    pub not_before: Timestamp,
    /// Fresh random bits for [`State::next_epoch`].
    pub next_epoch: Epoch,
}

/// Accounts for one reading.
///
/// `installed` is what the kernel holds in the reading's generation.
///
/// Returns the state to save before anything in the kernel is changed, and what happened.
pub fn step(
    config: &Config,
    state: &State,
    reading: &Reading,
    installed: &Installed,
    now: Now<'_>,
) -> (State, Vec<Event>) {
    let origin = Origin::of(state, reading, installed);
    let mut events = Vec::new();
    let mut ledgers = state.ledgers.clone();
    for (&ports, service) in &config.services {
        let ledger = ledgers
            .entry(ports)
            .or_insert_with(|| Ledger::new(begin_period(service, now)));
        if ledger.mode.is_none() {
            // What a deleted service of this name left behind is not this one's.
            ledger.reset();
        }
    }

    let marks = marks(reading.table.as_ref(), installed);
    let mut replaced = Vec::new();
    for (&ports, ledger) in &mut ledgers {
        let rooms = marks.get(&ports).copied().unwrap_or_default();
        let fresh = |variant| reading.is_fresh(RoomId { ports, variant });
        if account(ledger, rooms, origin, fresh) {
            replaced.push(ports);
        }
    }
    events.extend(losses(state, reading, installed));
    if !replaced.is_empty() {
        events.push(Event::CountersReplaced {
            ports: replaced,
            since: state.last_tick,
        });
    }

    for (&ports, service) in &config.services {
        if let Some(ledger) = ledgers.get_mut(&ports) {
            follow_mode(ledger, service);
            end_period(ports, ledger, service, now, &mut events);
            judge_quota(ports, ledger, service, &mut events);
        }
    }
    ledgers.retain(|ports, ledger| {
        let is_wanted = config.services.contains_key(ports);
        if !is_wanted {
            ledger.mode = None;
        }
        let stays = is_wanted || !ledger.rooms.is_empty();
        if !stays {
            events.push(Event::Closed {
                ports: *ports,
                usage: ledger.usage,
            });
        }
        stays
    });

    let next = State {
        host: Some(reading.host.clone()),
        table: reading.table.as_ref().map(|table| TableMark {
            handle: table.handle,
            epoch: seen_epoch(state, installed),
        }),
        next_epoch: now.next_epoch,
        settled_at: None,
        torn_down: state.torn_down,
        last_tick: Some(now.time),
        ledgers,
    };
    (next, events)
}

/// Where the counters of a reading come from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// The table is the one of the last reading.
    same_table: bool,
    /// The last batch that pm sent was committed, and it made counters.
    our_batch: bool,
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
        }
    }
}

fn seen_epoch(state: &State, installed: &Installed) -> Option<Epoch> {
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

/// Returns every service's rooms as they are read now, not yet known to be sound.
fn marks(
    table: Option<&TableReading>,
    installed: &Installed,
) -> BTreeMap<PortRange, Rooms<RoomMark>> {
    let mut marks: BTreeMap<PortRange, Rooms<RoomMark>> = BTreeMap::new();
    let Some(table) = table else { return marks };
    for (&(room, direction), &counter) in &table.counters {
        let rooms = marks.entry(room.ports).or_default();
        let mark = rooms.slot(room.variant).get_or_insert_default();
        match direction {
            Direction::In => mark.incoming = Some(counter),
            Direction::Out => mark.outgoing = Some(counter),
        }
    }
    for (&room, &reading) in &table.quotas {
        let intact = installed.rooms.get(&room).and_then(|found| found.intact);
        if let Some(quota) = intact.and_then(|room| room.quota) {
            let rooms = marks.entry(room.ports).or_default();
            let mark = rooms.slot(room.variant).get_or_insert_default();
            mark.quota = Some(QuotaMark {
                reading,
                metered: quota.metered,
            });
        }
    }
    marks
}

/// Adds what `rooms` counted since they were last read. Returns whether any of it was somebody
/// else's counter.
fn account(
    ledger: &mut Ledger,
    rooms: Rooms<RoomMark>,
    origin: Origin,
    fresh: impl Fn(Variant) -> bool,
) -> bool {
    let mut replaced = false;
    let before = std::mem::replace(&mut ledger.rooms, rooms);
    for (variant, mark) in ledger.rooms.iter_mut() {
        let earlier = before.get(variant);
        let made = origin.our_batch && earlier.is_some_and(RoomMark::is_expected);
        let earlier = earlier.filter(|_| origin.same_table);
        if let (false, Some(earlier)) = (fresh(variant), earlier) {
            // The same reading again says nothing new, not even that nothing has moved.
            mark.sound = earlier.sound;
            continue;
        }
        let mut sound = true;
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
                    replaced = true;
                    (0, false)
                }
            };
            sound &= undisturbed && (known.is_none() || earlier.is_some_and(|mark| mark.sound));
            ledger.usage.add(direction, bytes);
        }
        mark.sound = sound && quota_in_step(earlier, mark, made);
    }
    replaced
}

/// Returns what a counter grew by, and whether nobody had reset it.
fn growth(known: CounterReading, now: CounterReading) -> (u64, bool) {
    match now.bytes.checked_sub(known.bytes) {
        Some(bytes) => (bytes, true),
        None => (now.bytes, false),
    }
}

/// Whether a room's quota is pm's own and has counted what its counters have.
fn quota_in_step(earlier: Option<&RoomMark>, mark: &RoomMark, made: bool) -> bool {
    let Some(quota) = mark.quota else { return true };
    let known = earlier
        .and_then(|mark| mark.quota)
        .filter(|known| known.reading.handle == quota.reading.handle);
    if known.is_none() && !made {
        return false;
    }
    if quota.reading.is_depleted() {
        // What it shows ends at the limit, so it cannot be compared.
        return true;
    }
    if known.is_some_and(|known| known.reading.used > quota.reading.used) {
        return false;
    }
    let counted = mark.metered_bytes(quota.metered);
    let skew = quota.reading.used.abs_diff(counted);
    let at_rest = known.is_some_and(|known| known.reading.used == quota.reading.used)
        && earlier.is_some_and(|earlier| {
            (earlier.incoming, earlier.outgoing) == (mark.incoming, mark.outgoing)
        });
    skew == 0 || (!at_rest && skew <= READ_SKEW)
}

/// Returns what was lost since the last reading, beyond the reach of any counter.
fn losses(state: &State, reading: &Reading, installed: &Installed) -> Option<Event> {
    let since = state.last_tick;
    let host = state.host.as_ref()?;
    if state.torn_down {
        return None;
    }
    if *host != reading.host {
        return Some(Event::Restarted { since });
    }
    // Only where pm left everything in place can something be missing now.
    let left_at = state.settled_at?;
    if left_at == reading.generation {
        return None;
    }
    let expected = Installed::settled(state);
    let ports: Vec<PortRange> = expected
        .links
        .iter()
        .filter(|(ports, link)| {
            let rooms = Variant::BOTH.map(|variant| RoomId {
                ports: **ports,
                variant,
            });
            let damaged = |room: &RoomId| {
                expected.rooms.contains_key(room)
                    && installed
                        .rooms
                        .get(room)
                        .is_none_or(|room| room.intact.is_none())
            };
            installed.frame != Frame::INTACT
                || installed.links.get(ports) != Some(link)
                || rooms.iter().any(damaged)
        })
        .map(|(ports, _)| *ports)
        .collect();
    (!ports.is_empty()).then_some(Event::RulesLost { ports, since })
}

fn begin_period(service: &Service, now: Now<'_>) -> Period {
    if now.time < now.not_before {
        // The policy is new to it when the clock is right.
        return Period::restore(ResetPolicy::Never, None);
    }
    Period::begin(service.reset_policy(), now.zone.date_at(now.time))
}

/// Keeps the operator's figure where another sum counts from now on: a correction is of a sum.
fn follow_mode(ledger: &mut Ledger, service: &Service) {
    match ledger.mode {
        Some(old) if old != service.mode && ledger.adjust != 0 => {
            ledger.set_billed(service.mode, ledger.billed(old));
        }
        _ => ledger.mode = Some(service.mode),
    }
}

fn end_period(
    ports: PortRange,
    ledger: &mut Ledger,
    service: &Service,
    now: Now<'_>,
    events: &mut Vec<Event>,
) {
    if now.time < now.not_before {
        return;
    }
    let (period, due) = ledger
        .period
        .advance(service.reset_policy(), now.zone.date_at(now.time));
    ledger.period = period;
    if due {
        events.push(Event::PeriodEnded {
            ports,
            usage: ledger.usage,
        });
        // What the operator blocks is not open yet.
        if ledger.spent.is_some() && !service.blocked {
            events.push(Event::Renewed { ports });
        }
        ledger.reset();
    }
}

/// Judges whether a quota is spent, by the kernel's word and by the bytes.
fn judge_quota(ports: PortRange, ledger: &mut Ledger, service: &Service, events: &mut Vec<Event>) {
    let terms = ledger.terms(service);
    let spent = terms.filter(|&terms| is_spent(ledger, terms));
    match (ledger.spent, spent) {
        (None, Some(_)) => {
            events.push(Event::Spent {
                ports,
                billed: ledger.billed(service.mode),
            });
        }
        (Some(_), None) if !service.blocked => events.push(Event::Renewed { ports }),
        _ => {}
    }
    // The best terms under which it was spent are kept: lowering a quota and raising it back
    // frees nothing.
    ledger.spent = match (ledger.spent, spent) {
        (Some(earlier), Some(terms)) if !terms.improve_on(earlier) => Some(earlier),
        _ => spent,
    };
}

fn is_spent(ledger: &Ledger, terms: Terms) -> bool {
    if ledger
        .spent
        .is_some_and(|earlier| !terms.improve_on(earlier))
    {
        return true;
    }
    let by_bytes = i128::from(ledger.usage.counted(terms.mode)) >= i128::from(terms.allowance);
    by_bytes
        || ledger.rooms.iter().any(|(_, mark)| {
            mark.sound
                && mark.quota.is_some_and(|quota| {
                    // A limit of other terms says nothing about these.
                    quota.reading.is_depleted()
                        && quota.metered == terms.mode.metered()
                        && quota.reading.limit == ledger.kernel_limit(terms, Some(mark))
                })
        })
}
