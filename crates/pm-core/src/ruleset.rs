//! What pm puts into the kernel, as plain data.
//!
//! - A **room** holds all objects of one service: a chain and a counter each way, and the quota
//!   they share. What a counter is billed to never changes while the room lives: a service
//!   whose terms change moves into a new room, made in one batch with fresh counters and quota,
//!   so counters and quota always count on the same scale.
//! - A **link** leads packets from the two maps to a room, or drops them. Whatever is linked
//!   counts; a room that is no longer linked is read a last time, then deleted.
//! - An **epoch** is the name of an empty chain, the one mark on a live table that a batch can
//!   change. A batch that makes counters sets a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::port::PortRange;

/// The name of pm's table, of family `inet`.
pub const TABLE: &str = "port_monitor";

/// The largest limit that a kernel quota takes, in bytes: 2⁶³ − 1.
///
/// Source: `net/netfilter/nft_quota.c`, `nft_quota_do_init`.
pub const MAX_QUOTA_LIMIT: u64 = i64::MAX as u64;

/// One of the two rooms that a service can have at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Variant {
    /// Its objects are named without a suffix.
    A,
    /// Its objects end in `_b`.
    B,
}

impl Variant {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Returns the variant to move to from this one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A room's name: its service and which of the service's two rooms it is.
///
/// # Examples
///
/// ```
/// use pm_core::ruleset::{Direction, RoomId, Variant};
///
/// let room = RoomId { ports: "30000-30100".parse()?, variant: Variant::B };
/// assert_eq!(room.chain(Direction::In), "in_30000_30100_b");
/// assert_eq!(room.quota(), "q_30000_30100_b");
/// assert_eq!(RoomId::parse_chain("in_30000_30100_b"), Some((room, Direction::In)));
/// # Ok::<(), pm_core::port::PortError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RoomId {
    /// The service.
    pub ports: PortRange,
    /// Which of its rooms.
    pub variant: Variant,
}

/// A direction of traffic, seen from the host.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// What arrives for the port.
    In,
    /// What the port sends.
    Out,
}

impl Direction {
    /// Both, in first.
    pub const BOTH: [Self; 2] = [Self::In, Self::Out];

    fn prefix(self) -> &'static str {
        match self {
            Self::In => "in_",
            Self::Out => "out_",
        }
    }
}

impl RoomId {
    /// Returns the name of the chain, and of the counter in it, for `direction`.
    pub fn chain(self, direction: Direction) -> String {
        format!("{}{}", direction.prefix(), self.stem())
    }

    /// Returns the name of the quota.
    pub fn quota(self) -> String {
        format!("q_{}", self.stem())
    }

    /// Returns the room and direction that a chain's or counter's name belongs to.
    pub fn parse_chain(name: &str) -> Option<(Self, Direction)> {
        Direction::BOTH.into_iter().find_map(|direction| {
            let stem = name.strip_prefix(direction.prefix())?;
            Some((Self::parse_stem(stem)?, direction))
        })
    }

    /// Returns the room that a quota's name belongs to.
    pub fn parse_quota(name: &str) -> Option<Self> {
        Self::parse_stem(name.strip_prefix("q_")?)
    }

    fn stem(self) -> String {
        let suffix = match self.variant {
            Variant::A => "",
            Variant::B => "_b",
        };
        if self.ports.is_single() {
            format!("{}{suffix}", self.ports.first())
        } else {
            format!("{}_{}{suffix}", self.ports.first(), self.ports.last())
        }
    }

    fn parse_stem(stem: &str) -> Option<Self> {
        let (ports, variant) = match stem.strip_suffix("_b") {
            Some(ports) => (ports, Variant::B),
            None => (stem, Variant::A),
        };
        let ports = match ports.split_once('_') {
            Some((first, last)) => PortRange::new(first.parse().ok()?, last.parse().ok()?).ok()?,
            None => ports.parse().ok()?,
        };
        let room = Self { ports, variant };
        // `in_080` or `in_80_80` is nothing that pm would write.
        (room.stem() == stem).then_some(room)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem())
    }
}

/// Which directions a quota counts. At least one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metered {
    /// Whether what comes in counts.
    pub incoming: bool,
    /// Whether what goes out counts.
    pub outgoing: bool,
}

impl Metered {
    /// Whether `direction` counts.
    pub fn covers(self, direction: Direction) -> bool {
        match direction {
            Direction::In => self.incoming,
            Direction::Out => self.outgoing,
        }
    }
}

/// A room's quota: from which total, in bytes, on the scale of the room's own counters, the
/// kernel drops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// 1 to [`MAX_QUOTA_LIMIT`].
    pub limit: u64,
    /// Which chains name it.
    pub metered: Metered,
}

/// What stands in a room, beside the two counters that every room has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Room {
    /// `None`: nothing is ever cut off.
    pub quota: Option<Quota>,
}

/// Where a service's packets go.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Link {
    /// To one of its rooms.
    Room(Variant),
    /// Nowhere: the service is blocked.
    Drop,
}

/// What the kernel must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ruleset {
    /// The rooms that are linked.
    pub rooms: BTreeMap<RoomId, Room>,
    /// Services that must move, but have no room to move to before one of theirs is deleted:
    /// everything of theirs that is in use stays for now.
    pub waiting: BTreeSet<PortRange>,
    /// One entry a service.
    pub links: BTreeMap<PortRange, Link>,
}

/// Sixty-four random bits that name an epoch chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the name of the chain: `epoch_` and sixteen hexadecimal digits.
    pub fn chain(self) -> String {
        format!("epoch_{:016x}", self.0)
    }

    /// Returns the epoch that a chain's name stands for.
    pub fn parse_chain(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("epoch_")?;
        let epoch = Self(u64::from_str_radix(digits, 16).ok()?);
        (epoch.chain() == name).then_some(epoch)
    }
}

/// How one piece of the table's frame was found.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Piece {
    /// It is not there.
    #[default]
    Missing,
    /// It is there and is not what pm makes.
    Damaged,
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

/// Which objects of a room exist.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The chain for incoming packets.
    pub in_chain: bool,
    /// The chain for outgoing packets.
    pub out_chain: bool,
    /// The counter of incoming packets.
    pub in_counter: bool,
    /// The counter of outgoing packets.
    pub out_counter: bool,
    /// The quota.
    pub quota: bool,
}

impl Parts {
    /// Returns what a room as pm makes it consists of.
    pub fn of(room: &Room) -> Self {
        Self {
            in_chain: true,
            out_chain: true,
            in_counter: true,
            out_counter: true,
            quota: room.quota.is_some(),
        }
    }
}

/// A room as found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InstalledRoom {
    /// What exists of it.
    pub parts: Parts,
    /// What it is, where it is whole and its chains hold pm's rules and no others.
    pub intact: Option<Room>,
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
    /// Every range that either map has an element for.
    pub links: BTreeMap<PortRange, InstalledLink>,
}

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
    /// Rooms to delete. No element leads to them, and nothing else is set then.
    pub delete_rooms: BTreeMap<RoomId, Parts>,
    /// Rooms to make, with counters at zero.
    pub create_rooms: BTreeMap<RoomId, Room>,
    /// New limits of quotas that keep what they have counted.
    pub move_limits: BTreeMap<RoomId, u64>,
    /// Elements to set, change or remove.
    pub relink: BTreeMap<PortRange, Relink>,
}

/// A change of the epoch chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EpochChange {
    /// The chains that go.
    pub remove: BTreeSet<Epoch>,
    /// The chain that comes.
    pub add: Epoch,
}

/// A change of one range's elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Relink {
    /// The elements as found.
    pub from: InstalledLink,
    /// What both must be; `None`: no elements.
    pub to: Option<Link>,
}

impl Changes {
    /// Whether nothing depends on this: it only deletes rooms that are not in use.
    pub fn is_cleanup(&self) -> bool {
        !self.delete_rooms.is_empty()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the rooms whose totals or existence this concerns; `None`: all of them.
    pub fn rooms(&self) -> Option<BTreeSet<RoomId>> {
        if self.delete_table || self.unhook || self.repair.is_some() {
            return None;
        }
        let created = self.create_rooms.keys().chain(self.move_limits.keys());
        let mut rooms: BTreeSet<RoomId> =
            created.chain(self.delete_rooms.keys()).copied().collect();
        for (&ports, relink) in &self.relink {
            let left = Variant::BOTH
                .into_iter()
                .filter(|&variant| relink.from.leads_to(variant));
            rooms.extend(left.map(|variant| RoomId { ports, variant }));
        }
        Some(rooms)
    }

    /// Whether a room is cut off from its packets by this, so that its counters come to rest.
    pub fn unlinks(&self) -> bool {
        let leads_away = |relink: &Relink| relink.from != InstalledLink::default();
        self.unhook || self.relink.values().any(leads_away)
    }
}
