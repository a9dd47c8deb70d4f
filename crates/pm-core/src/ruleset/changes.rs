//! The way from what is installed to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Epoch, Forwarding, Frame, Installed, InstalledForwarding, InstalledLink, Link, Parts, Piece,
    QuotaId, Room, RoomId, Variant,
};
use crate::port::PortRange;

/// The one batch that turns what is installed into what is wanted.
///
/// The order in which a backend emits it is the order of the fields.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Delete the table with all that is in it; nothing else is set then.
    pub delete_table: bool,
    /// Empty the base chains, so that nothing is counted or dropped any more.
    pub unhook: bool,
    /// The frame as found, where pieces of it must be made or made again.
    pub repair: Option<Frame>,
    /// Put this epoch chain in the place of these.
    pub epoch: Option<EpochChange>,
    /// Rooms to delete. No element leads to them, and nothing but quotas is deleted with them.
    pub delete_rooms: BTreeMap<RoomId, Parts>,
    /// Quotas to delete, which no room names any more after this.
    pub delete_quotas: BTreeSet<QuotaId>,
    /// Quotas to make, by their limits in bytes, with nothing counted.
    pub create_quotas: BTreeMap<QuotaId, u64>,
    /// Rooms to make, with counters at zero.
    pub create_rooms: BTreeMap<RoomId, Room>,
    /// Rooms whose rules change, while their counters and quotas go on.
    pub refit: BTreeMap<RoomId, Refit>,
    /// New limits of quotas that keep what they have counted.
    pub move_limits: BTreeMap<QuotaId, u64>,
    /// Elements to set, change or remove.
    pub relink: BTreeMap<PortRange, Relink>,
    /// What counts forwarded packets, to be made, changed or removed.
    pub forwarding: Option<ForwardingChange>,
}

/// A change of the epoch chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EpochChange {
    /// The chains that go.
    pub remove: BTreeSet<Epoch>,
    /// The chain that comes.
    pub add: Epoch,
}

/// A change of a room that stays where it is: of its policing and its class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refit {
    /// As found.
    pub from: Room,
    /// As it must be. It is metered as before.
    pub to: Room,
}

/// A change of one range's elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relink {
    /// The elements as found.
    pub from: InstalledLink,
    /// What both must be; `None`: no elements.
    pub to: Option<Link>,
}

/// A change of what counts forwarded packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForwardingChange {
    /// As found.
    pub from: InstalledForwarding,
    /// As it must be.
    pub to: Forwarding,
    /// Whether all of it must be made anew, because a map that its rules name is.
    pub anew: bool,
}

impl Changes {
    /// Whether nothing depends on this: it only deletes what is not in use.
    pub fn is_cleanup(&self) -> bool {
        !self.delete_rooms.is_empty() || !self.delete_quotas.is_empty()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the rooms and quotas whose totals or existence this concerns; `None`: all of them.
    pub fn concerned(&self) -> Option<(BTreeSet<RoomId>, BTreeSet<QuotaId>)> {
        if self.delete_table || self.unhook || self.repair.is_some() {
            return None;
        }
        let created = self.create_rooms.keys().chain(self.delete_rooms.keys());
        let mut rooms: BTreeSet<RoomId> = created.copied().collect();
        for (&ports, relink) in &self.relink {
            let left = Variant::BOTH
                .into_iter()
                .filter(|&variant| relink.from.leads_to(variant));
            rooms.extend(left.map(|variant| RoomId { ports, variant }));
        }
        let quotas = self.create_quotas.keys().chain(self.move_limits.keys());
        let quotas = quotas.chain(&self.delete_quotas).cloned().collect();
        Some((rooms, quotas))
    }

    /// Whether a room is cut off from its packets by this, so that its counters come to rest.
    pub fn unlinks(&self) -> bool {
        let leads_away = |relink: &Relink| relink.from != InstalledLink::default();
        self.unhook || self.relink.values().any(leads_away)
    }
}

impl Installed {
    /// Returns what the kernel holds after a batch.
    #[must_use]
    pub fn after(mut self, changes: &Changes) -> Self {
        if changes.delete_table {
            return Self {
                has_nat: self.has_nat,
                ..Self::default()
            };
        }
        if changes.unhook {
            self.frame.input = Piece::Missing;
            self.frame.output = Piece::Missing;
            let set = self.forwarding.set;
            // The set stays, and without the chain it is nothing as pm makes it.
            self.forwarding = InstalledForwarding {
                chain: false,
                set,
                intact: (!set).then(Forwarding::default),
            };
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
        self.quotas
            .retain(|quota, _| !changes.delete_quotas.contains(quota));
        let limits = changes.create_quotas.iter().chain(&changes.move_limits);
        self.quotas
            .extend(limits.map(|(quota, &limit)| (quota.clone(), Some(limit))));
        let refitted = changes.refit.iter().map(|(room, refit)| (room, &refit.to));
        for (&room, wanted) in changes.create_rooms.iter().chain(refitted) {
            self.rooms.insert(room, wanted.clone().into());
        }
        for (&ports, relink) in &changes.relink {
            match relink.to {
                Some(link) => self.links.insert(ports, link.into()),
                None => self.links.remove(&ports),
            };
        }
        if let Some(change) = &changes.forwarding {
            self.forwarding = change.to.clone().into();
        }
        self
    }
}
