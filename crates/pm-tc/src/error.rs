//! What can go wrong with traffic control.

/// Why an interface could not be read or shaped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such interface, or it is the loopback interface, which pm leaves alone.
    #[error("there is no interface {0} to shape")]
    NoSuchInterface(String),
    /// Somebody else shapes or sorts traffic there. Nothing was touched.
    #[error("interface {interface} has a qdisc of somebody else's: {kind}")]
    ForeignQdisc {
        /// The interface.
        interface: String,
        /// The qdisc's kind; of one whose kind is harmless, what it does with
        /// others' traffic, too: `… with filters`, `… with a bandwidth`.
        kind: String,
    },
    /// The kernel has no HTB, and could not load it.
    #[error("this kernel has no HTB qdisc (module sch_htb)")]
    Unsupported(#[source] pm_netlink::Error),
    /// The kernel has no `fw` classifier, and could not load it; the tree itself stands.
    #[error("this kernel has no fw classifier (module cls_fw)")]
    NoFwClassifier(#[source] pm_netlink::Error),
    /// The process may not change traffic control.
    #[error("the kernel refuses access to traffic control")]
    Permission(#[source] pm_netlink::Error),
    /// Something changed all the time while it was read.
    #[error("traffic control kept changing while it was read")]
    Raced,
    /// The kernel refused one request. Those before it are in force.
    #[error("cannot {request} on interface {interface}")]
    Refused {
        /// The interface.
        interface: String,
        /// What was to be done.
        request: String,
        /// The kernel's own words.
        #[source]
        source: pm_netlink::Error,
    },
    /// The kernel could not be read.
    #[error("cannot {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// The kernel's own words.
        #[source]
        source: pm_netlink::Error,
    },
    /// `/proc/net/psched` could not be read, or has an unknown form.
    #[error("cannot read the packet scheduler's clock from /proc/net/psched")]
    Clock(#[source] Option<std::io::Error>),
}
