//! What a check found, and how bad that is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pm_core::backend::{BackendError, ShapingError};
use pm_core::cause::Cause;
use pm_core::config::{Backup, ChannelName};
use pm_core::port::PortRange;
use pm_store::StoreError;

use crate::EngineError;

/// One thing that was checked, and what was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The kernel's version.
    Kernel {
        /// What `uname -r` says.
        release: String,
        /// Whether it is new enough.
        supported: bool,
    },
    /// Access to nf_tables.
    Access {
        /// Why there is none.
        problem: Option<Cause<BackendError>>,
    },
    /// The configuration file.
    Config {
        /// Services in it.
        services: usize,
        /// Why it cannot be used.
        problem: Option<Cause<StoreError>>,
    },
    /// The database of usage.
    Database {
        /// What is wrong with it.
        problem: Option<Cause<EngineError>>,
    },
    /// Where pm writes.
    Storage {
        /// The directories in which it cannot, or hardly.
        problems: Vec<StorageProblem>,
    },
    /// pm's table in the kernel.
    Table(TableState),
    /// The minute's tick.
    Ticks {
        /// Seconds since the last one; `None`: there never was one.
        age: Option<i64>,
        /// Whether that is too long.
        overdue: bool,
    },
    /// The archives that the tick makes.
    Backups {
        /// How often, and how many are kept; `None`: none are made.
        schedule: Option<Backup>,
        /// Seconds since the last one; `None`: there is none.
        age: Option<i64>,
        /// Whether another should have been made by now.
        overdue: bool,
        /// Why it cannot be said.
        problem: Option<Cause<StoreError>>,
    },
    /// Who is told what happens, and the push.
    Telling {
        /// How many channels are on.
        channels: usize,
        /// Whether the state is pushed.
        push: bool,
        /// How many messages wait.
        waiting: u64,
        /// What has not got through for five minutes or longer.
        failing: Vec<Failing>,
        /// Why it is not known what gets through.
        problem: Option<Cause<EngineError>>,
    },
    /// The menu, which somebody may have open for hours.
    Menu {
        /// Who has it open, as he left his name; `None`: nobody.
        holder: Option<String>,
    },
    /// Services on ports that the host takes for connections of its own.
    Ephemeral {
        /// The overlaps.
        overlaps: Vec<PortRange>,
    },
    /// Services that could cut off the operator.
    Ssh {
        /// The ports through which this host is administered, as far as is known.
        ports: BTreeSet<u16>,
        /// Service and port.
        covered: Vec<(PortRange, u16)>,
    },
    /// The wall clock.
    Clock {
        /// The zone whose dates count.
        zone: String,
        /// Whether the clock shows a time before pm was built.
        wrong: bool,
        /// Whether neither the configuration nor the system names a zone, so that it is UTC.
        unzoned: bool,
    },
    /// Whether what services send can be limited.
    Shaping {
        /// The interfaces with a default route.
        uplinks: Vec<String>,
        /// Whether some service has a limit or a punishment.
        needed: bool,
        /// Why it cannot.
        problem: Option<ShapingProblem>,
    },
    /// Forwarded packets, as of containers.
    Forwarding {
        /// Whether those are counted whose destination was translated.
        counted: bool,
        /// Flowtables of anybody's, by which packets pass all rules by: family, table and name.
        flowtables: Vec<String>,
        /// Whether Docker relays connections by processes of its own.
        docker_proxy: bool,
    },
}

/// A channel, or the push, that does not get through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failing {
    /// The channel; `None`: the push.
    pub channel: Option<ChannelName>,
    /// For how long, in seconds.
    pub age: i64,
    /// Why, as the delivering side says.
    pub why: String,
}

/// Why pm cannot write to a directory, or soon may not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StorageProblem {
    /// Its file system is read-only.
    ReadOnly {
        /// The directory.
        dir: PathBuf,
    },
    /// Its file system is full, or nearly.
    LittleSpace {
        /// The directory.
        dir: PathBuf,
        /// What is free there, in bytes.
        free: u64,
    },
}

impl StorageProblem {
    /// Whether nothing can be written at all.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly { .. } | Self::LittleSpace { free: 0, .. }
        )
    }
}

/// Why what services send cannot be limited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ShapingProblem {
    /// The kernel has no HTB, or none that could be loaded.
    NoHtb,
    /// The kernel has no `fw` classifier, which the configuration asks for, or none that could be
    /// loaded.
    NoFwClassifier,
    /// A root that somebody chose and pm cannot put back.
    ForeignQdisc {
        /// The interface.
        interface: String,
        /// The qdisc's kind.
        kind: String,
    },
    /// No interface has a default route.
    NoUplink,
    /// Classes that must be there are not, or have another rate.
    NotInForce {
        /// The interfaces.
        interfaces: Vec<String>,
    },
    /// Anything else.
    Other(Cause<ShapingError>),
}

/// How pm's table was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TableState {
    /// It is what it must be.
    Intact,
    /// It is what pm left, and what was used since, the date or the configuration asks for
    /// another: the next tick's business.
    Due,
    /// It is not there, and nothing is monitored.
    Unneeded,
    /// It is not there.
    Missing,
    /// Parts of it are missing or different.
    Different,
    /// pm was taken out of the kernel on purpose.
    TornDown,
    /// It belongs to pm.sh.
    Foreign,
    /// It could not be read.
    Unknown,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Works, but not as the operator may expect.
    Warning,
    /// Does not work.
    Failure,
}

impl Finding {
    /// Returns how bad it is.
    pub fn severity(&self) -> Severity {
        let failure = |bad: bool| {
            if bad {
                Severity::Failure
            } else {
                Severity::Fine
            }
        };
        let warning = |bad: bool| {
            if bad {
                Severity::Warning
            } else {
                Severity::Fine
            }
        };
        match self {
            Self::Kernel { supported, .. } => failure(!supported),
            Self::Access { problem } => failure(problem.is_some()),
            Self::Config { problem, .. } => failure(problem.is_some()),
            Self::Database { problem } => failure(problem.is_some()),
            Self::Storage { problems } => match problems.iter().any(StorageProblem::is_fatal) {
                true => Severity::Failure,
                false => warning(!problems.is_empty()),
            },
            Self::Table(TableState::Intact | TableState::Due | TableState::Unneeded) => {
                Severity::Fine
            }
            Self::Table(TableState::TornDown | TableState::Different) => Severity::Warning,
            Self::Table(_) => Severity::Failure,
            Self::Ticks { overdue, .. } => warning(*overdue),
            Self::Backups {
                overdue, problem, ..
            } => warning(*overdue || problem.is_some()),
            Self::Telling {
                failing, problem, ..
            } => warning(!failing.is_empty() || problem.is_some()),
            // Whoever has it open, it stops nothing.
            Self::Menu { .. } => Severity::Fine,
            Self::Ephemeral { overlaps } => warning(!overlaps.is_empty()),
            Self::Ssh { covered, .. } => warning(!covered.is_empty()),
            Self::Clock { wrong: true, .. } => Severity::Failure,
            Self::Clock { unzoned, .. } => warning(*unzoned),
            Self::Shaping {
                needed, problem, ..
            } => match (problem, needed) {
                (None, _) => Severity::Fine,
                (Some(_), false) => Severity::Warning,
                (Some(_), true) => Severity::Failure,
            },
            Self::Forwarding {
                counted,
                flowtables,
                ..
            } => warning(*counted && !flowtables.is_empty()),
        }
    }
}
