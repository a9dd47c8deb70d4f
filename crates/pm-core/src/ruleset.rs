//! What pm puts into the kernel, as plain data.
//!
//! - A **room** holds the objects of one service: a chain and a counter each way. What a counter
//!   is billed to never changes while the room lives: a service whose terms change moves into a
//!   new room, made with fresh counters. What polices and shapes it may change at any time.
//! - A **quota** belongs to a holder, a service that is in no group or a group, and is named by
//!   the chains of his services' rooms. It never counts anything else than their counters do.
//! - A **link** leads packets from the two maps to a room, or drops them. Whatever is linked
//!   counts; a room that is no longer linked is read a last time, then deleted.
//! - An **epoch** is the name of an empty chain, the one mark on a live table that a batch can
//!   change. A batch that makes counters sets a new one.

mod changes;
mod installed;
mod names;

use std::collections::{BTreeMap, BTreeSet};

pub use changes::{Changes, EpochChange, ForwardingChange, Refit, Relink};
pub use installed::{
    Frame, Installed, InstalledForwarding, InstalledLink, InstalledRoom, Parts, Piece, Target,
};
pub use names::{Direction, Epoch, LimitId, Metered, Metering, QuotaId, RoomId, Variant};

use crate::port::PortRange;

/// The name of pm's table, of family `inet`.
pub const TABLE: &str = "port_monitor";

/// The largest limit that a kernel quota takes, in bytes: 2⁶³ − 1.
///
/// Source: `net/netfilter/nft_quota.c`, `nft_quota_do_init`.
pub const MAX_QUOTA_LIMIT: u64 = i64::MAX as u64;

/// What stands in a room, beside the two counters that every room has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Room {
    /// What drops packets that come too fast.
    pub policing: Policing,
    /// Under which quotas the rest counts; `None`: nothing is ever cut off.
    pub metering: Option<Metering>,
    /// The class that is given to what is sent.
    pub class: Option<Class>,
}

/// From how many bytes a second on packets are dropped, each way; `None`: never.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policing {
    /// Those that come in.
    pub incoming: Option<u64>,
    /// Those that go out.
    pub outgoing: Option<u64>,
}

/// How a packet is told its class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// By this priority.
    Priority(u32),
    /// By these bits of its mark, the others left as they are.
    Mark {
        /// The bits.
        mark: u32,
        /// Which of the mark's bits they are.
        mask: u32,
    },
}

impl Policing {
    /// Returns the rate of one direction.
    pub fn of(self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::In => self.incoming,
            Direction::Out => self.outgoing,
        }
    }
}

/// Where a service's packets go.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Link {
    /// To one of its rooms.
    Room(Variant),
    /// Nowhere: the service is blocked.
    Drop,
}

/// Which packets are counted that are only forwarded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Forwarding {
    /// Those whose destination was translated, by the port they were sent to first.
    pub dnat: bool,
    /// Those from and to these ports, whose destination was not.
    pub routed: BTreeSet<PortRange>,
}

impl Forwarding {
    /// Whether no forwarded packet is counted.
    pub fn is_nothing(&self) -> bool {
        !self.dnat && self.routed.is_empty()
    }
}

/// What the kernel must hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ruleset {
    /// The rooms that are linked.
    pub rooms: BTreeMap<RoomId, Room>,
    /// The quotas that they name, by their limits in bytes, from 1 to [`MAX_QUOTA_LIMIT`].
    pub quotas: BTreeMap<QuotaId, u64>,
    /// Services that must move, but have no room to move to before one of theirs is deleted:
    /// everything of theirs that is in use stays for now.
    pub waiting: BTreeSet<PortRange>,
    /// One entry a service.
    pub links: BTreeMap<PortRange, Link>,
    /// Which forwarded packets are counted.
    pub forwarding: Forwarding,
}
