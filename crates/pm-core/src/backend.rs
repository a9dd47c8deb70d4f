//! The kernel as pm sees it. `pm-nft` speaks netlink; tests use a fake.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use crate::ruleset::{Changes, Direction, Installed, QuotaId, RoomId};
use crate::shaping::Classifier;
use crate::units::BitRate;

/// The nftables side of the kernel.
pub trait Netfilter {
    /// Returns all totals of pm's table, with the marks that tell which incarnation of the
    /// counters they were read from.
    ///
    /// The generation is the same before and after the dump, so all totals are of one ruleset.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; nothing has changed.
    fn read(&mut self) -> Result<Reading, BackendError>;

    /// Returns `reading` with the totals of `rooms` and `quotas` as they are now, those of all
    /// others as they were: after a small change, a fraction of a whole [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// [`BackendError`]; nothing has changed.
    fn refresh(
        &mut self,
        reading: Reading,
        rooms: &BTreeSet<RoomId>,
        quotas: &BTreeSet<QuotaId>,
    ) -> Result<Reading, BackendError>;

    /// Returns everything that pm's table holds.
    ///
    /// The generation is the one that [`Reading::generation`] counts.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; nothing has changed.
    fn inspect(&mut self) -> Result<(u32, Installed), BackendError>;

    /// Applies `changes` on top of `generation` and returns the generation after it.
    ///
    /// One transaction where the socket's buffer allows, else several, ordered so that traffic
    /// flows and is counted after each.
    ///
    /// # Errors
    ///
    /// `Raced` when somebody else committed since `generation`: read again. After any error
    /// the transactions before the failed one stand.
    fn apply(&mut self, changes: &Changes, generation: u32) -> Result<u32, BackendError>;

    /// Returns the flowtables of all tables, by which forwarded packets pass the rules by: family,
    /// table and name of each.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; nothing has changed.
    fn flowtables(&mut self) -> Result<Vec<String>, BackendError>;

    /// Returns once no packet is still in the rules of an earlier generation.
    fn settle(&mut self);
}

/// One look at the kernel's totals.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// Where it was taken.
    pub host: HostId,
    /// The ruleset's generation id, which every commit by anybody changes.
    pub generation: u32,
    /// Whether addresses are translated by other means than nftables, of which
    /// [`Installed::has_nat`] knows.
    pub has_legacy_nat: bool,
    /// `None` when pm's table does not exist.
    pub table: Option<TableReading>,
    /// The rooms whose totals were read now, with their quotas'; `None`: all. Those of others
    /// are as they were when they were last read.
    pub fresh: Option<BTreeSet<RoomId>>,
}

impl Reading {
    /// Whether the totals of `room` were read now.
    pub fn is_fresh(&self, room: RoomId) -> bool {
        self.fresh
            .as_ref()
            .is_none_or(|fresh| fresh.contains(&room))
    }
}

/// The boot and the network namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostId {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The network namespace's cookie; before Linux 5.14 its inode and the start time of its
    /// process 1.
    pub netns: String,
}

/// The totals of pm's table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TableReading {
    /// The table's handle.
    pub handle: u64,
    /// Every counter that is named like a room's.
    pub counters: BTreeMap<(RoomId, Direction), CounterReading>,
    /// Every quota that is named like a holder's.
    pub quotas: BTreeMap<QuotaId, QuotaReading>,
}

/// A counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CounterReading {
    /// The object's handle, unique in its table.
    pub handle: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
}

/// A quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotaReading {
    /// The object's handle, unique in its table.
    pub handle: u64,
    /// Where it begins to drop, in bytes.
    pub limit: u64,
    /// Bytes seen; the kernel never shows more than the limit, though it goes on counting.
    pub used: u64,
}

impl QuotaReading {
    /// Whether the kernel drops what this meters.
    pub fn is_depleted(self) -> bool {
        self.used >= self.limit
    }
}

/// The traffic control of the kernel: what shapes packets that are sent.
pub trait Shaper {
    /// Returns the interfaces that a default route leads to, IPv4 or IPv6.
    ///
    /// # Errors
    ///
    /// [`ShapingError`]; nothing has changed.
    fn uplinks(&mut self) -> Result<BTreeSet<String>, ShapingError>;

    /// Whether all of `interfaces` could be shaped, packets finding their class by `classifier`:
    /// says why not, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`ShapingError`].
    fn probe(
        &mut self,
        interfaces: &BTreeSet<String>,
        classifier: Classifier,
    ) -> Result<(), ShapingError>;

    /// Returns what stands at the root of `interface` and is not pm's, in words from which
    /// [`withdraw`](Self::withdraw) puts it back; `None` where pm's tree stands already.
    ///
    /// # Errors
    ///
    /// [`ShapingError`]; nothing has changed.
    fn host_root(&mut self, interface: &str) -> Result<Option<String>, ShapingError>;

    /// Shapes what `interface` sends: by minor number, a class at each rate, and for everything
    /// else a class that nothing slows down.
    ///
    /// `host` is what [`host_root`](Self::host_root) returned before pm's tree was put there.
    /// Returns what the kernel remarked.
    ///
    /// # Errors
    ///
    /// [`ShapingError`]; traffic flows, and the same call goes on from there.
    fn shape(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
        host: &str,
    ) -> Result<Vec<String>, ShapingError>;

    /// Says whether pm's tree stands at `interface` with all of `classes` as
    /// [`shape`](Self::shape) makes them. Others beside them do not matter.
    ///
    /// # Errors
    ///
    /// [`ShapingError`]; nothing has changed.
    fn stands(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
    ) -> Result<bool, ShapingError>;

    /// Takes pm's tree away from `interface` and puts back what stood there. Where neither is,
    /// because the interface is gone or somebody replaced pm's tree, there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`ShapingError`]; traffic flows, and the same call goes on from there.
    fn withdraw(&mut self, interface: &str, host: &str) -> Result<(), ShapingError>;
}

/// Why traffic control did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ShapingError {
    /// The kernel has no HTB, as in some containers.
    #[error("this kernel offers no HTB")]
    Unsupported(#[source] Box<dyn Error + Send + Sync>),
    /// The kernel has no `fw` classifier.
    #[error("this kernel offers no fw classifier")]
    NoFwClassifier(#[source] Box<dyn Error + Send + Sync>),
    /// The process may not change traffic control.
    #[error("the kernel refuses access to traffic control: {0}")]
    Permission(#[source] Box<dyn Error + Send + Sync>),
    /// A root that somebody chose and pm cannot put back.
    #[error("interface {interface} has a qdisc of somebody else's: {kind}")]
    ForeignQdisc {
        /// The interface.
        interface: String,
        /// The qdisc's kind.
        kind: String,
    },
    /// Anything else.
    #[error("{0}")]
    Kernel(#[source] Box<dyn Error + Send + Sync>),
}

/// Why the kernel did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The process may not change the ruleset.
    #[error("the kernel refuses access to nftables: {0}")]
    Permission(#[source] Box<dyn Error + Send + Sync>),
    /// The kernel has no nf_tables.
    #[error("this kernel offers no nf_tables")]
    Unsupported(#[source] Box<dyn Error + Send + Sync>),
    /// A table of the same name that pm.sh made.
    #[error("table inet port_monitor belongs to pm.sh")]
    ForeignTable,
    /// Somebody else changed the ruleset in between.
    #[error("another program changed the ruleset meanwhile")]
    Raced,
    /// Anything else.
    #[error("{context}: {source}")]
    Kernel {
        /// What was being done, naming the object.
        context: String,
        /// The kernel's own words.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
