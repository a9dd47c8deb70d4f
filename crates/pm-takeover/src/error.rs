//! Why a host could not be taken over, or given back.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pm_core::backend::BackendError;
use pm_core::port::PortRange;
use pm_engine::EngineError;
use pm_legacy::{Refusal, Tool};
use pm_setup::SetupError;

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The tool is not there.
    #[error("{tool} is not there: no configuration of its in {}", directory.display())]
    NotThere {
        /// Which one.
        tool: Tool,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// pm has it already, and nothing of the tool's is left to be read.
    #[error("{tool} was taken over already")]
    TakenOver {
        /// Which one.
        tool: Tool,
    },
    /// What it wrote cannot be used. Nothing was changed.
    #[error("cannot read what {tool} wrote")]
    Unreadable {
        /// Which one.
        tool: Tool,
        /// Why.
        source: Refusal,
    },
    /// The tool is at work, and did not come to an end in time. Nothing was changed.
    #[error("{tool} is at work: it holds {}", path.display())]
    AtWork {
        /// Which one.
        tool: Tool,
        /// Its lock.
        path: PathBuf,
    },
    /// Ports came or went while they were taken over. Everything is as it was.
    #[error("the ports of {tool} changed in the meantime")]
    Changed {
        /// Which one.
        tool: Tool,
    },
    /// Reading, writing or removing a file.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what pm wrote there.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// pm.sh's configuration stands where pm's comes, and another one is to be taken over. Nothing was changed.
    #[error("{} is pm.sh's own, and pm's configuration has its place there", path.display())]
    Occupied {
        /// Which file.
        path: PathBuf,
    },
    /// pm has ports of the tool's already, or ports that overlap these. Nothing was changed.
    #[error("pm has {} already, and {tool} has {}, too", list(.ports.iter().map(|(pms, _)| pms)), list(.ports.iter().map(|(_, its)| its)))]
    Overlap {
        /// Which tool.
        tool: Tool,
        /// Which of pm's, and which of the tool's.
        ports: Vec<(PortRange, PortRange)>,
    },
    /// The operator stopped it. Everything is as it was.
    #[error("interrupted; everything is as it was")]
    Interrupted,
    /// The signals that stop a command could not be held back.
    #[error("cannot hold back signals")]
    Signals(#[source] io::Error),
    /// Nothing was taken over that could be given back.
    #[error("nothing was imported from another tool, or it was given back already")]
    NothingToUndo,
    /// A file is in the place of one that is to be put back.
    #[error("{} is there again, and is not what pm left", path.display())]
    InTheWay {
        /// Which one.
        path: PathBuf,
    },
    /// nftables.
    #[error(transparent)]
    Kernel(#[from] BackendError),
    /// Traffic control.
    #[error(transparent)]
    TrafficControl(#[from] pm_tc::Error),
    /// A crontab.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// pm itself.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// pm's own files.
    #[error(transparent)]
    Store(#[from] pm_store::StoreError),
}

/// What was tried on a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Reading it.
    Read,
    /// Writing it.
    Write,
    /// Removing it.
    Remove,
    /// Locking it.
    Lock,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
            Self::Lock => "lock",
        })
    }
}

/// Returns ports in one line, each once.
pub fn list<'a>(ports: impl Iterator<Item = &'a PortRange>) -> String {
    let ports: BTreeSet<&PortRange> = ports.collect();
    let ports: Vec<String> = ports.into_iter().map(PortRange::to_string).collect();
    ports.join(", ")
}

pub(crate) fn io(action: Action, path: &Path) -> impl FnOnce(io::Error) -> TakeoverError {
    let path = path.to_owned();
    move |source| TakeoverError::Io {
        action,
        path,
        source,
    }
}
