//! What can go wrong above the single parts.

use std::path::PathBuf;

use pm_core::backend::{BackendError, ShapingError};
use pm_core::request::Refusal;
use pm_store::StoreError;
use pm_store::outbox_db::{MOST_BODY, OutboxError};

/// Why an operation was not done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file, the database or a lock.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] BackendError),
    /// Traffic control.
    #[error(transparent)]
    Shaping(#[from] ShapingError),
    /// What is sent is to be limited, and no interface leads anywhere.
    #[error("no interface has a default route: what services send is not limited until one has")]
    NoUplink,
    /// The request is not allowed; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else changed the configuration, or what was used, since the operator was shown it;
    /// nothing has changed.
    #[error("somebody else changed the configuration or a figure meanwhile")]
    Changed,
    /// The change could not be put in force, or not be saved; the configuration is as it was.
    #[error("the change was taken back: {why}")]
    RolledBack {
        /// Why.
        #[source]
        why: Box<EngineError>,
        /// Why the rules before are not all back yet, where they are not: the next tick's business.
        left: Option<Box<EngineError>>,
    },
    /// The kernel is too old for what pm needs.
    #[error("Linux {release} is too old: pm needs 5.10 or newer")]
    OldKernel {
        /// What `uname -r` says.
        release: String,
    },
    /// There is no directory for what waits to be sent, or it is nobody's who could send it.
    #[error("cannot use {}: {why}; run `pm setup`, which makes it", path.display())]
    NoOutbox {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What waits to be sent.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// What waited to be sent was damaged and is made anew: that is lost.
    #[error(transparent)]
    OutboxLost(OutboxError),
    /// There are too many services, or too long notes, to push them in one piece.
    #[error(
        "the state of all services is too long to be pushed: {bytes} bytes, at most {MOST_BODY}"
    )]
    PushTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Who delivers could not be started.
    #[error("cannot start `pm deliver`: {0}")]
    NotStarted(std::io::Error),
    /// Other programs kept changing the rules.
    #[error(
        "the rules did not settle in {rounds} rounds: another program keeps changing table inet port_monitor"
    )]
    Unsettled {
        /// How often it was tried.
        rounds: u32,
    },
    /// What there is makes no archive.
    #[error("cannot make an archive: {0}")]
    Archive(#[from] pm_core::archive::ArchiveError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}
