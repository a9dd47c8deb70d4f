//! What happened in a tick that somebody may want to know.

use time::Date;

use crate::calendar::Timestamp;
use crate::config::QuotaSize;
use crate::dynqos::DynQos;
use crate::holder::Holder;
use crate::ledger::Usage;
use crate::port::PortRange;

/// One thing that happened, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A holder used up his quota and is cut off.
    Spent {
        /// Who.
        holder: Holder,
        /// What was billed when it was seen, in bytes.
        billed: u64,
    },
    /// A holder used another part of his quota, and is not cut off for it.
    Reached {
        /// Who.
        holder: Holder,
        /// The highest threshold that he reached, in percent.
        percent: u16,
        /// What was billed when it was seen, in bytes.
        billed: u64,
        /// The quota.
        quota: QuotaSize,
    },
    /// A holder who was cut off by his quota, or a service by its last day, is open again.
    Renewed {
        /// Who.
        holder: Holder,
    },
    /// A holder's period ended.
    PeriodEnded {
        /// Whose.
        holder: Holder,
        /// What the period used.
        usage: Usage,
    },
    /// A deleted service was read a last time, or a deleted group is empty, and is gone.
    Closed {
        /// Which.
        holder: Holder,
        /// What its last period used.
        usage: Usage,
    },
    /// A service hogged the line and is slowed down.
    Punished {
        /// The service.
        ports: PortRange,
        /// By which rule.
        rule: DynQos,
    },
    /// A service that was slowed down is not any more.
    Restored {
        /// The service.
        ports: PortRange,
    },
    /// A service's last day is near.
    Expiring {
        /// The service.
        ports: PortRange,
        /// That day.
        last_day: Date,
        /// How many days are left until then; 0: it is today.
        days: u16,
    },
    /// A service's last day has passed, and it is cut off.
    Expired {
        /// The service.
        ports: PortRange,
        /// That day.
        last_day: Date,
    },
    /// Another program removed pm's rules, or some of them; what passed since then until they
    /// were put back was not counted.
    RulesLost {
        /// The services concerned; all of them when the whole table was gone.
        ports: Vec<PortRange>,
        /// The last time they were seen.
        since: Option<Timestamp>,
    },
    /// Another program removed what limits what services send on an interface, or some of it, or
    /// the interface was made anew; until it was put back, that was not limited as it must be.
    LimitsLost {
        /// The interface.
        interface: String,
        /// The last tick before.
        since: Option<Timestamp>,
    },
    /// Another program loaded counters with values of its own; counting goes on from there.
    CountersReplaced {
        /// The services concerned.
        ports: Vec<PortRange>,
        /// The last time their own counters were seen.
        since: Option<Timestamp>,
    },
    /// The host, or its container, was started anew: what passed between the last tick and the
    /// end of the one before was not counted.
    Restarted {
        /// The last tick before.
        since: Option<Timestamp>,
    },
}
