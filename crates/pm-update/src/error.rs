//! Why pm was not renewed.

use std::io;
use std::path::PathBuf;

use pm_store::StoreError;
use semver::Version;

use crate::fetch::FetchError;
use crate::manifest::ManifestError;
use crate::offer::NotForThis;
use crate::signature::{NotAKey, SignatureError};
use crate::trial::Failure;

/// Why an update was not made. The old program and its data are then as they were.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Nothing can be believed.
    #[error(
        "this pm was built without a key to check releases with, so it has no source of updates"
    )]
    NoKeys,
    /// Nobody said where releases are.
    #[error("this pm was built without the address of its releases")]
    NoSource,
    /// Another program put it there and looks after it.
    #[error("{} belongs to a package", path.display())]
    Packaged {
        /// The program.
        path: PathBuf,
    },
    /// A key that was given when this pm was built is none.
    #[error("this pm was built with a wrong key: {0}")]
    Key(NotAKey),
    /// The download.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The release is not believed.
    #[error("the release at {from} is not to be trusted: {why}")]
    Untrusted {
        /// Where it is.
        from: String,
        /// What is wrong with it.
        why: SignatureError,
    },
    /// The release is believed and not understood.
    #[error("cannot read the release: {0}")]
    Manifest(ManifestError),
    /// The release is for another pm.
    #[error(transparent)]
    NotForThis(Box<NotForThis>),
    /// A file of pm's, or a lock.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program's directory.
    #[error("cannot {action} {}: {why}", path.display())]
    Program {
        /// What was being done.
        action: Action,
        /// To which file.
        path: PathBuf,
        /// The system's words.
        why: io::Error,
    },
    /// The new program does not do its work. Everything is as it was.
    #[error("pm {version} does not work here, and everything was left as it was: {failure}")]
    Trial {
        /// Which one.
        version: Version,
        /// Whether this pm fails at the same step.
        is_old_failing: bool,
        /// What it did.
        failure: Box<Failure>,
    },
}

// Each of these says its cause itself, so that is no source that would be told once more.

impl From<NotAKey> for UpdateError {
    fn from(why: NotAKey) -> Self {
        Self::Key(why)
    }
}

impl From<ManifestError> for UpdateError {
    fn from(why: ManifestError) -> Self {
        Self::Manifest(why)
    }
}

impl From<NotForThis> for UpdateError {
    fn from(why: NotForThis) -> Self {
        Self::NotForThis(Box::new(why))
    }
}

/// What was being done to a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Find out which file it is.
    Find,
    /// Make the new one.
    Make,
    /// Keep the old one.
    Keep,
    /// Put the new one in the old one's place.
    Replace,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Find => "find",
            Self::Make => "make",
            Self::Keep => "keep a copy of",
            Self::Replace => "replace",
        })
    }
}
