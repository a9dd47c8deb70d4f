//! What was not taken over as it stood, so that the operator can see it before he agrees.

use pm_core::config::GroupName;
use pm_core::port::PortRange;
use pm_core::ruleset::Direction;
use time::Date;

use crate::accounting::Accounting;

/// Something that was not taken over as it stood, or that pm does another way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doubt {
    /// What it is about.
    pub about: Subject,
    /// What there is to say.
    pub trouble: Trouble,
}

/// What a doubt is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// All of it.
    Everything,
    /// A group.
    Group(GroupName),
    /// A service.
    Service(PortRange),
    /// What has become no service: the name under which the tool has it, without what would do
    /// more to a terminal than to stand there.
    Entry(String),
}

/// What there is to say. Values of the tool's are quoted as text that is safe to show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Which bytes the tool's counters hold cannot be told. To be answered, with one of these.
    AccountingUnknown(Vec<Accounting>),
    /// More was used than the quota allows, and the tool has let it pass: pm will cut it off. To
    /// be answered: [`Overuse`](crate::Overuse).
    Overused {
        /// What was billed, in bytes.
        billed: u64,
        /// The quota, in bytes.
        quota: u64,
    },

    /// Its name is no port, list or range of ports; it is left out.
    NotPorts,
    /// It has ports in common with another one, which is taken over; it is left out.
    Overlaps(PortRange),
    /// It is no object with settings; it is left out.
    NoSettings,
    /// The tool says that it is not enabled, but counts all the same; it is taken over.
    Disabled,

    /// The note held characters that do more than to stand there: so many were left out.
    NoteCleaned(usize),
    /// The note had so many characters: its end was cut off.
    NoteShortened(usize),
    /// A group's name is none that pm's groups can have.
    GroupRenamed {
        /// What it was called.
        from: String,
    },
    /// The members of a group had different settings: the first one's count for all.
    MembersDiffer {
        /// The first.
        first: PortRange,
        /// Which settings.
        settings: Vec<Setting>,
    },

    /// A list of ports became a group that shares the quota.
    ListBecameGroup,
    /// What a list used cannot be told apart by port: it is the group's.
    UsageOfList,
    /// Each port of a list may now be as fast as all of them together were.
    LimitOfList,

    /// A setting that is nothing: the default takes its place.
    Unusable {
        /// Which.
        setting: Setting,
        /// What it said.
        value: String,
    },
    /// A quota of nothing: there is no quota, and it is open unless the tool had blocked it.
    NoQuota,
    /// Limits on addresses at a time, which pm does not have.
    AddressLimit {
        /// How many.
        most: u64,
        /// Whether those over it were blocked, not only told of.
        blocks: bool,
    },

    /// There is no state file: the figures are those of the configuration, which may be old.
    StateMissing,
    /// There is no state file and nothing in the configuration either: it begins at nothing.
    NothingCounted,
    /// A line of the state file is more than a name and a value, or none; it counts as missing.
    StateLine {
        /// 1-based.
        line: usize,
        /// What it says.
        text: String,
    },
    /// A state file does not say this: it counts as nothing.
    StateLacks(&'static str),
    /// A figure that is no number of bytes: it counts as nothing.
    NotBytes {
        /// What it is of.
        field: &'static str,
        /// What it said.
        value: String,
    },
    /// A counter was expected and is not there: what passed since the tool looked is lost.
    CounterMissing(Direction),

    /// A counter holds bytes that were counted once and others that were counted twice, as after a
    /// change of how it was billed: what it shows is divided as all of them are now.
    MixedCounts {
        /// What it shows, in bytes.
        counter: u64,
        /// By how much that was divided.
        by: u32,
    },
    /// The tool's own quota has counted something else than its counters.
    EnforcedDiffers {
        /// What the quota has counted, in bytes.
        enforced: u64,
        /// What was billed by the counters, in bytes.
        billed: u64,
    },
    /// Incoming bytes counted once and outgoing ones twice, which no setting of pm's does: from
    /// now on both count twice. What was billed so far stays.
    RelayBilling,
    /// It was billed in a way that the tool's version does not have: by `single` then.
    UnknownBilling(String),

    /// The tool had blocked it, though its quota is not spent: it will be open.
    BlockedWithinQuota,
    /// A reset of this day is still to be made: pm makes it at once.
    ResetDue(Date),
    /// The tool has not made a reset of this day, and would not any more: what was used since the
    /// one before counts on.
    ResetMissed(Date),
    /// The tool's days are those of another zone than the host's: that becomes pm's.
    OtherTimeZone {
        /// The zone of the tool's days.
        zone: &'static str,
        /// The host's.
        host: String,
    },

    /// Lines of the reset history say nothing that is understood; they are left out.
    HistoryLines {
        /// The first of them, 1-based.
        first: usize,
        /// How many.
        count: usize,
    },
    /// So many lines of the reset history are of ports that the tool has no more; they are left out.
    HistoryOfOthers(usize),
    /// So many days' totals are none; they are left out.
    DaysUnreadable(usize),
    /// What a list used on each day cannot be told apart by port; it is left out.
    DaysOfList,
    /// A file beside the configuration is damaged: what it says is not taken over.
    FileDamaged {
        /// Its path.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A channel lacks something, or has it in a form that cannot be used: it is left out.
    ChannelUnusable {
        /// `telegram`, `wecom` or `push`.
        channel: &'static str,
        /// What is missing or wrong.
        field: &'static str,
    },
    /// A setting of a channel that pm cannot have; the channel is taken over without it.
    ChannelSetting {
        /// `telegram` or `wecom`.
        channel: &'static str,
        /// Which.
        field: &'static str,
    },
    /// A way of telling somebody that the tool never had, only a place for.
    EmailNeverWorked,
}

/// A setting of a service or a group.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Setting {
    /// How much may be used.
    Quota,
    /// What counts.
    Mode,
    /// When a period ends.
    Reset,
    /// How fast it may send.
    Limit,
    /// When it is slowed down.
    DynQos,
    /// At which shares of a quota somebody is told.
    Thresholds,
}

impl Doubt {
    /// Whether it has to be answered before anything is taken over.
    pub fn is_question(&self) -> bool {
        matches!(
            self.trouble,
            Trouble::AccountingUnknown(_) | Trouble::Overused { .. }
        )
    }
}
