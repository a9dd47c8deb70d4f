//! Changes to batches: pure.
//!
//! - What one unit emits stays in one batch; units are packed into as few batches as the socket
//!   takes, in an order in which each of them leaves traffic flowing.
//! - Base chains come last where their map is made anew, so that packets meet it filled.
//! - A service moves into a room that an earlier batch has made. A packet that a commit overtakes
//!   can find the elements of after it and still follow the rules of before it: those of a chain
//!   that the commit has made are none, and the packet would pass uncounted and past any quota.
//! - Each batch is pinned to the generation that the one before it makes.

mod forward;
mod frame;
mod links;
mod room;

use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::ruleset::{
    Changes, EpochChange, ForwardingChange, Frame, InstalledLink, Link, Metering, Parts, QuotaId,
    Refit, Relink, Room, RoomId,
};

use crate::script::Script;

/// Returns the batches that make `changes` on top of `generation`, each at most `max_bytes`
/// unless a single unit is larger.
pub(crate) fn scripts(changes: &Changes, generation: u32, max_bytes: usize) -> Vec<Script> {
    let mut scripts = Vec::new();
    let mut generation = generation;
    let mut script = Script::new(Some(generation));
    let mut commit = |script: &mut Script| {
        if !script.batch.is_empty() {
            generation = following(generation);
            let next = Script::new(Some(generation));
            scripts.push(std::mem::replace(script, next));
        }
    };
    for unit in units(changes) {
        if matches!(unit, Unit::Commit) {
            commit(&mut script);
            continue;
        }
        let mark = script.mark();
        unit.emit(&mut script);
        if script.batch.byte_len() > max_bytes && script.batch.len() > 1 {
            script.rollback(mark);
            commit(&mut script);
            unit.emit(&mut script);
        }
    }
    commit(&mut script);
    scripts
}

/// Returns the generation that a commit on top of `generation` makes.
///
/// Source: `net/netfilter/nf_tables_api.c`, `nf_tables_commit`: the number skips zero.
pub(crate) fn following(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

/// What must not be torn apart.
enum Unit<'a> {
    DeleteTable,
    Unhook,
    FreeMaps(&'a ForwardingChange),
    FrameFirst(Frame),
    Epoch(&'a EpochChange),
    DeleteRoom(RoomId, &'a Parts),
    DeleteQuota(&'a QuotaId),
    CreateQuota(&'a QuotaId, u64),
    CreateRoom(NewRoom<'a>),
    Refit(RoomId, &'a Refit),
    MoveLimit(&'a QuotaId, u64),
    /// Ends the batch.
    Commit,
    Relink(Vec<(PortRange, Relink)>),
    FrameLast(Frame),
    Forwarding(forward::Step<'a>),
}

/// A room to make, with the quotas that are made for it alone.
struct NewRoom<'a> {
    id: RoomId,
    room: &'a Room,
    quotas: Vec<(QuotaId, u64)>,
}

impl<'a> NewRoom<'a> {
    fn of(changes: &Changes, id: RoomId, room: &'a Room) -> Self {
        let own = room.metering.iter().filter(|metering| is_own(metering, id));
        let quotas = own.flat_map(Metering::quotas).filter_map(|quota| {
            let limit = *changes.create_quotas.get(&quota)?;
            Some((quota, limit))
        });
        Self {
            id,
            room,
            quotas: quotas.collect(),
        }
    }
}

fn is_own(metering: &Metering, room: RoomId) -> bool {
    (&metering.holder, metering.variant) == (&Holder::Service(room.ports), room.variant)
}

/// Whether a quota is made together with the room that it is for.
fn comes_with_its_room(changes: &Changes, quota: &QuotaId) -> bool {
    let Holder::Service(ports) = quota.holder else {
        return false;
    };
    let id = RoomId {
        ports,
        variant: quota.variant,
    };
    let room = changes.create_rooms.get(&id);
    let metering = room.and_then(|room| room.metering.as_ref());
    metering
        .is_some_and(|metering| is_own(metering, id) && metering.quotas().any(|own| own == *quota))
}

/// Whether a service that is somewhere already, or blocked, goes to a room that is made for it.
/// One that is nowhere yet has nothing to miss.
fn moves_into_a_new_room(changes: &Changes) -> bool {
    changes.relink.iter().any(|(&ports, relink)| {
        let is_new = |variant| {
            let room = RoomId { ports, variant };
            changes.create_rooms.contains_key(&room)
        };
        relink.from != InstalledLink::default()
            && matches!(relink.to, Some(Link::Room(variant)) if is_new(variant))
    })
}

fn units(changes: &Changes) -> Vec<Unit<'_>> {
    if changes.delete_table {
        return vec![Unit::DeleteTable];
    }
    let mut units = Vec::new();
    if changes.unhook {
        units.push(Unit::Unhook);
    }
    // Its rules name the maps that are made anew.
    let bound = changes.forwarding.as_ref().filter(|change| change.anew);
    units.extend(bound.map(Unit::FreeMaps));
    units.extend(changes.repair.map(Unit::FrameFirst));
    units.extend(changes.epoch.as_ref().map(Unit::Epoch));
    let deleted = changes.delete_rooms.iter();
    units.extend(deleted.map(|(&id, parts)| Unit::DeleteRoom(id, parts)));
    units.extend(changes.delete_quotas.iter().map(Unit::DeleteQuota));
    let shared = changes.create_quotas.iter();
    let shared = shared.filter(|(quota, _)| !comes_with_its_room(changes, quota));
    units.extend(shared.map(|(quota, &limit)| Unit::CreateQuota(quota, limit)));
    let created = changes.create_rooms.iter();
    units.extend(created.map(|(&id, room)| Unit::CreateRoom(NewRoom::of(changes, id, room))));
    let refitted = changes.refit.iter();
    units.extend(refitted.map(|(&id, refit)| Unit::Refit(id, refit)));
    let moved = changes.move_limits.iter();
    units.extend(moved.map(|(quota, &limit)| Unit::MoveLimit(quota, limit)));
    units.extend(moves_into_a_new_room(changes).then_some(Unit::Commit));
    units.extend(links::groups(&changes.relink).into_iter().map(Unit::Relink));
    units.extend(changes.repair.map(Unit::FrameLast));
    let forwarding = changes.forwarding.iter();
    units.extend(forwarding.flat_map(forward::steps).map(Unit::Forwarding));
    units
}

impl Unit<'_> {
    fn emit(&self, script: &mut Script) {
        match self {
            Self::DeleteTable => frame::delete_table(script),
            Self::Unhook => {
                frame::unhook(script);
                forward::unhook(script);
            }
            Self::FreeMaps(change) => forward::free_maps(script, change),
            Self::FrameFirst(found) => frame::emit_first(script, found),
            Self::Epoch(change) => frame::emit_epoch(script, change),
            Self::DeleteRoom(id, parts) => room::delete(script, *id, parts),
            Self::DeleteQuota(quota) => room::delete_quota(script, quota),
            Self::CreateQuota(quota, limit) => room::create_quota(script, quota, *limit),
            Self::CreateRoom(new) => {
                for (quota, limit) in &new.quotas {
                    room::create_quota(script, quota, *limit);
                }
                room::create(script, new.id, new.room);
            }
            Self::Refit(id, refit) => room::refit(script, *id, refit),
            Self::MoveLimit(quota, limit) => room::move_limit(script, quota, *limit),
            Self::Commit => {}
            Self::Relink(links) => links::emit(script, links),
            Self::FrameLast(found) => frame::emit_last(script, found),
            Self::Forwarding(step) => forward::emit(script, step),
        }
    }
}
