//! The plan: what the kernel must hold, and the batch that leads there.
//!
//! Plan, apply, read and plan again until nothing is left to change: a service that must move
//! gets its new room and its links in one batch, its old room is read at rest after that, and
//! deleted in the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Service};
use crate::ledger::{Ledger, State, Terms};
use crate::port::PortRange;
use crate::ruleset::{
    Changes, EpochChange, Frame, Installed, InstalledLink, InstalledRoom, Link, Parts, Piece,
    Quota, Relink, Room, RoomId, Ruleset, Variant,
};

/// Bytes that could pass in the moment between a reading and the batch that follows it. A service
/// with less than this left is held for that moment when its room changes, so that nothing can
/// pass the quota unseen.
const HOLD_BELOW: i128 = 1 << 30;

/// Returns what the kernel must hold next, given what it holds now.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config` and `installed`.
pub fn plan(config: &Config, state: &State, installed: &Installed) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for (&ports, service) in &config.services {
        let Some(ledger) = state.ledgers.get(&ports) else {
            continue;
        };
        if service.blocked || ledger.spent.is_some() {
            ruleset.links.insert(ports, Link::Drop);
            continue;
        }
        place(&mut ruleset, ports, service, ledger, installed);
    }
    ruleset
}

/// Puts an open service into the room it has, or into a new one.
fn place(
    ruleset: &mut Ruleset,
    ports: PortRange,
    service: &Service,
    ledger: &Ledger,
    installed: &Installed,
) {
    let terms = ledger.terms(service);
    let link = installed.links.get(&ports).copied().unwrap_or_default();
    let linked_first = if link.leads_to(Variant::B) {
        Variant::B
    } else {
        Variant::A
    };
    let kept = [linked_first, linked_first.other()]
        .into_iter()
        .find(|&variant| suits(RoomId { ports, variant }, terms, ledger, installed));
    // Never under a name that is still taken: somebody else may hold on to the room behind it.
    let free = Variant::BOTH
        .into_iter()
        .find(|&variant| !installed.rooms.contains_key(&RoomId { ports, variant }));
    let leaves = |to: Variant| link.leads_to(to.other());
    let in_both = link.leads_to(Variant::A) && link.leads_to(Variant::B);
    let nearly_spent = terms.is_some_and(|terms| left(ledger, terms) < HOLD_BELOW);
    if (kept.is_none() && in_both) || (nearly_spent && kept.or(free).is_some_and(leaves)) {
        // In neither room until the next round has read both at rest: into a room that was there
        // before as into a new one, whose limits know nothing of what passes the other.
        ruleset.links.insert(ports, Link::Drop);
        return;
    }
    if let Some(variant) = kept {
        let limit = terms.map(|terms| quota(ledger, terms, Some(variant)));
        ruleset
            .rooms
            .insert(RoomId { ports, variant }, Room { quota: limit });
        ruleset.links.insert(ports, Link::Room(variant));
        return;
    }
    let Some(variant) = free else {
        ruleset.waiting.insert(ports);
        return;
    };
    let room = RoomId { ports, variant };
    ruleset.rooms.insert(
        room,
        Room {
            quota: terms.map(|terms| quota(ledger, terms, None)),
        },
    );
    ruleset.links.insert(ports, Link::Room(variant));
}

/// Whether a room can stay: whole, on scale, and with a quota that counts what the terms count.
fn suits(room: RoomId, terms: Option<Terms>, ledger: &Ledger, installed: &Installed) -> bool {
    let Some(mark) = ledger.rooms.get(room.variant) else {
        return false;
    };
    let Some(found) = installed.rooms.get(&room).and_then(|found| found.intact) else {
        return false;
    };
    let wanted = terms.map(|terms| terms.mode.metered());
    // A depleted quota has also counted what it dropped: after a raise it is off the scale.
    let depleted = mark.quota.is_some_and(|quota| quota.reading.is_depleted());
    mark.sound && !depleted && found.quota.map(|quota| quota.metered) == wanted
}

fn quota(ledger: &Ledger, terms: Terms, variant: Option<Variant>) -> Quota {
    let mark = variant.and_then(|variant| ledger.rooms.get(variant));
    Quota {
        limit: ledger.kernel_limit(terms, mark),
        metered: terms.mode.metered(),
    }
}

fn left(ledger: &Ledger, terms: Terms) -> i128 {
    i128::from(terms.allowance) - i128::from(ledger.usage.counted(terms.mode))
}

/// Returns the next batch on the way from `installed` to `wanted`.
///
/// Rooms that nothing leads to any more are deleted by a batch of their own, once all else is in
/// place: what somebody else holds on to cannot be deleted, and must keep nothing else back.
pub fn difference(installed: &Installed, wanted: &Ruleset, state: &State) -> Changes {
    let mut changes = Changes::default();
    if installed.frame != Frame::INTACT {
        changes.repair = Some(installed.frame);
    }
    for (&room, planned) in &wanted.rooms {
        let found = installed.rooms.get(&room).and_then(|found| found.intact);
        let Some(found) = found else {
            changes.create_rooms.insert(room, *planned);
            continue;
        };
        let limits = (found.quota.map(|q| q.limit), planned.quota.map(|q| q.limit));
        if let (Some(old), Some(new)) = limits
            && old != new
        {
            changes.move_limits.insert(room, new);
        }
    }
    let ranges: BTreeSet<PortRange> = installed
        .links
        .keys()
        .chain(wanted.links.keys())
        .filter(|ports| !wanted.waiting.contains(ports))
        .copied()
        .collect();
    for ports in ranges {
        let from = installed.links.get(&ports).copied().unwrap_or_default();
        let to = wanted.links.get(&ports).copied();
        if from != to.map_or_else(InstalledLink::default, InstalledLink::from) {
            changes.relink.insert(ports, Relink { from, to });
        }
    }
    if !changes.create_rooms.is_empty() || installed.epochs.len() != 1 {
        changes.epoch = Some(EpochChange {
            remove: installed.epochs.clone(),
            add: state.next_epoch,
        });
    }
    if changes.is_empty() {
        changes.delete_rooms = unused_rooms(installed, wanted);
    }
    changes
}

fn unused_rooms(installed: &Installed, wanted: &Ruleset) -> BTreeMap<RoomId, Parts> {
    let unused = installed.rooms.iter().filter(|(room, _)| {
        let link = installed.links.get(&room.ports).copied();
        !wanted.rooms.contains_key(room) && !link.unwrap_or_default().leads_to(room.variant)
    });
    unused.map(|(&room, found)| (room, found.parts)).collect()
}

/// Returns the next batch on the way out of the kernel: first nothing reaches the rooms any more,
/// then, once they have been read at rest, the table goes.
pub fn withdrawal(installed: &Installed) -> Changes {
    let mut changes = Changes::default();
    if installed.frame.table != Piece::Missing {
        changes.unhook = [installed.frame.input, installed.frame.output]
            .iter()
            .any(|piece| *piece != Piece::Missing);
        changes.delete_table = !changes.unhook;
    }
    changes
}

impl Installed {
    /// Returns what the kernel holds after a batch.
    #[must_use]
    pub fn after(mut self, changes: &Changes) -> Self {
        if changes.delete_table {
            return Self::default();
        }
        if changes.unhook {
            self.frame.input = Piece::Missing;
            self.frame.output = Piece::Missing;
        }
        if changes.repair.is_some() {
            self.frame = Frame::INTACT;
        }
        if let Some(epoch) = &changes.epoch {
            self.epochs.retain(|old| !epoch.remove.contains(old));
            self.epochs.insert(epoch.add);
        }
        self.rooms
            .retain(|room, _| !changes.delete_rooms.contains_key(room));
        for (&room, planned) in &changes.create_rooms {
            let found = InstalledRoom {
                parts: Parts::of(planned),
                intact: Some(*planned),
            };
            self.rooms.insert(room, found);
        }
        for (room, &limit) in &changes.move_limits {
            if let Some(InstalledRoom {
                intact: Some(Room { quota: Some(quota) }),
                ..
            }) = self.rooms.get_mut(room)
            {
                quota.limit = limit;
            }
        }
        for (&ports, relink) in &changes.relink {
            match relink.to {
                Some(link) => self.links.insert(ports, link.into()),
                None => self.links.remove(&ports),
            };
        }
        self
    }

    /// Whether anything of pm's is there.
    pub fn is_empty(&self) -> bool {
        self.frame.table == Piece::Missing
    }
}
