//! What can go wrong while settling on a host or leaving it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a step was not done. Those before it were, and the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Somebody else's file is where pm's must be. It stays.
    #[error("{} is there, and pm did not write it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else's user has the name of pm's.
    #[error("there is a user {name}, and pm did not make it")]
    ForeignUser {
        /// The name.
        name: &'static str,
    },
    /// Somebody else's group has the name of pm's.
    #[error("there is a group {name}, and pm did not make it")]
    ForeignGroup {
        /// The name.
        name: &'static str,
    },
    /// What root runs each minute would be a file that goes, or that others can change.
    #[error("pm runs from {}, where it cannot stay: {why}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// What is wrong about the place.
        why: Unsuitable,
    },
    /// The host has nothing to make users with.
    #[error(
        "cannot make or remove the user {name}: the host has no tools for users, such as useradd and userdel"
    )]
    NoUserTool {
        /// The name.
        name: &'static str,
    },
    /// Reading, making or removing a file.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// One of the host's own programs failed.
    #[error("`{command}` failed: {why}")]
    Command {
        /// Its command line.
        command: String,
        /// What it said, or how it ended.
        why: String,
    },
}

/// What was tried on a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Reading it.
    Read,
    /// Writing it.
    Write,
    /// Making a directory.
    MakeDirectory,
    /// Making a link.
    Link,
    /// Removing it.
    Remove,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::MakeDirectory => "make directory",
            Self::Link => "make link",
            Self::Remove => "remove",
        })
    }
}

/// What is wrong about a program's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsuitable {
    /// It is emptied, or out of reach of a service.
    Place,
    /// Others than root can change the file.
    Writable,
    /// Others than root can put another file in its place.
    Replaceable,
}

impl std::fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Place => "services have no access to that directory, or it is emptied",
            Self::Writable => "others than root can change the file, which root would run",
            Self::Replaceable => {
                "others than root can change a directory above it, and what root would run"
            }
        })
    }
}

impl SetupError {
    pub(crate) fn io(action: Action, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
