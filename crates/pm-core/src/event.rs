//! What happened in a tick that somebody may want to know.

use crate::calendar::Timestamp;
use crate::ledger::Usage;
use crate::port::PortRange;

/// One thing that happened, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A service used up its quota and is cut off.
    Spent {
        /// The service.
        ports: PortRange,
        /// What was billed when it was seen, in bytes.
        billed: u64,
    },
    /// A service that was cut off by its quota is open again.
    Renewed {
        /// The service.
        ports: PortRange,
    },
    /// A service's period ended.
    PeriodEnded {
        /// The service.
        ports: PortRange,
        /// What the period used.
        usage: Usage,
    },
    /// A deleted service was read a last time and is gone.
    Closed {
        /// The service.
        ports: PortRange,
        /// What its last period used.
        usage: Usage,
    },
    /// Another program removed pm's rules, or some of them; what passed since then until they
    /// were put back was not counted.
    RulesLost {
        /// The services concerned; all of them when the whole table was gone.
        ports: Vec<PortRange>,
        /// The last time they were seen.
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
