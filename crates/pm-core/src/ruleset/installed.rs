//! What the kernel holds, as found.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Direction, Epoch, Forwarding, LimitId, Link, Policing, QuotaId, Room, RoomId, Variant,
};
use crate::port::PortRange;

/// How one piece of the table's frame was found.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Piece {
    /// It is not there.
    #[default]
    Missing,
    /// It is there and is not what pm makes.
    Damaged,
    /// It is there as pm makes it, but what is in it is not. Only a base chain is ever found so: it
    /// can stay, and only its rules change.
    Altered,
    /// It is as pm makes it.
    Intact,
}

/// The table and what all services share.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Frame {
    /// The table itself: missing or intact.
    pub table: Piece,
    /// The map from destination port to room.
    pub ingress: Piece,
    /// The map from source port to room.
    pub egress: Piece,
    /// The base chain at the input hook, with its rules.
    pub input: Piece,
    /// The base chain at the output hook, with its rules.
    pub output: Piece,
}

impl Frame {
    /// Everything as pm makes it.
    pub const INTACT: Self = Self {
        table: Piece::Intact,
        ingress: Piece::Intact,
        egress: Piece::Intact,
        input: Piece::Intact,
        output: Piece::Intact,
    };
}

/// What counts forwarded packets, as found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstalledForwarding {
    /// Whether there is a chain of that name.
    pub chain: bool,
    /// Whether there is a set of that name.
    pub set: bool,
    /// What both do, where they are as pm makes them; nothing is [`Forwarding::default`].
    pub intact: Option<Forwarding>,
}

impl Default for InstalledForwarding {
    fn default() -> Self {
        Forwarding::default().into()
    }
}

impl From<Forwarding> for InstalledForwarding {
    fn from(forwarding: Forwarding) -> Self {
        Self {
            chain: !forwarding.is_nothing(),
            set: !forwarding.routed.is_empty(),
            intact: Some(forwarding),
        }
    }
}

/// Which objects of a room exist, its quotas apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The chain for incoming packets.
    pub in_chain: bool,
    /// The chain for outgoing packets.
    pub out_chain: bool,
    /// The counter of incoming packets.
    pub in_counter: bool,
    /// The counter of outgoing packets.
    pub out_counter: bool,
    /// The limits, by direction and rate.
    pub limits: BTreeSet<(Direction, u64)>,
}

impl Parts {
    /// Returns what a room as pm makes it consists of.
    pub fn of(room: &Room) -> Self {
        Self {
            in_chain: true,
            out_chain: true,
            in_counter: true,
            out_counter: true,
            limits: room.policing.limits().collect(),
        }
    }

    /// Returns the limits' names.
    pub fn limit_ids(&self, room: RoomId) -> impl Iterator<Item = LimitId> {
        self.limits.iter().map(move |&(direction, rate)| LimitId {
            room,
            direction,
            rate,
        })
    }
}

impl Policing {
    /// Returns the limits that it takes: direction, and bytes a second.
    pub fn limits(self) -> impl Iterator<Item = (Direction, u64)> {
        Direction::BOTH
            .into_iter()
            .filter_map(move |direction| Some((direction, self.of(direction)?)))
    }
}

/// A room as found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstalledRoom {
    /// What exists of it.
    pub parts: Parts,
    /// What it is, where it is whole and its chains hold pm's rules and no others.
    pub intact: Option<Room>,
}

impl From<Room> for InstalledRoom {
    fn from(room: Room) -> Self {
        Self {
            parts: Parts::of(&room),
            intact: Some(room),
        }
    }
}

/// Where an element of one map leads.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// To the right chain of one of the service's rooms.
    Room(Variant),
    /// Nowhere.
    Drop,
    /// Somewhere pm would not lead it.
    Foreign,
}

/// A port range's elements as found in the two maps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InstalledLink {
    /// In the map from destination ports.
    pub ingress: Option<Target>,
    /// In the map from source ports.
    pub egress: Option<Target>,
}

impl InstalledLink {
    /// Whether a packet of either direction can reach the room.
    pub fn leads_to(self, variant: Variant) -> bool {
        [self.ingress, self.egress].contains(&Some(Target::Room(variant)))
    }
}

impl From<Link> for InstalledLink {
    fn from(link: Link) -> Self {
        let target = match link {
            Link::Room(variant) => Target::Room(variant),
            Link::Drop => Target::Drop,
        };
        Self {
            ingress: Some(target),
            egress: Some(target),
        }
    }
}

/// What the kernel holds, as found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Installed {
    /// What all services share.
    pub frame: Frame,
    /// The epoch chains: one, unless somebody meddled.
    pub epochs: BTreeSet<Epoch>,
    /// Every room of which anything exists.
    pub rooms: BTreeMap<RoomId, InstalledRoom>,
    /// Every quota, with its limit in bytes; `None`: not one as pm makes them.
    pub quotas: BTreeMap<QuotaId, Option<u64>>,
    /// Every range that either map has an element for.
    pub links: BTreeMap<PortRange, InstalledLink>,
    /// What counts forwarded packets.
    pub forwarding: InstalledForwarding,
    /// Whether a chain of anybody's translates addresses.
    pub has_nat: bool,
}

impl Installed {
    /// Whether anything of pm's is there.
    pub fn is_empty(&self) -> bool {
        self.frame.table == Piece::Missing
    }
}
