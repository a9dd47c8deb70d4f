//! What was being done when the disk did not do its part.

use std::fmt;

/// Something that is done to a file, a directory or a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Look whether and as what it is there.
    LookAt,
    /// Make a directory.
    MakeDirectory,
    /// Write a directory to the disk.
    SyncDirectory,
    /// Make a file.
    Make,
    /// Read a file.
    Read,
    /// Write a file.
    Write,
    /// Lock a file.
    Lock,
    /// Open a file or a database.
    Open,
    /// Copy a database.
    Copy,
    /// Remove a file.
    Remove,
    /// Keep a version of the configuration.
    KeepVersion,
    /// List a directory.
    List,
    /// Change who may read a file.
    ChangeMode,
    /// Load what is in the database.
    Load,
    /// Save to the database.
    Save,
    /// Check the database.
    Check,
    /// Bring the database to the schema of this pm.
    Upgrade,
}

/// What must be at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

impl Action {
    /// Every one.
    pub const ALL: [Self; 17] = [
        Self::LookAt,
        Self::MakeDirectory,
        Self::SyncDirectory,
        Self::Make,
        Self::Read,
        Self::Write,
        Self::Lock,
        Self::Open,
        Self::Copy,
        Self::Remove,
        Self::KeepVersion,
        Self::List,
        Self::ChangeMode,
        Self::Load,
        Self::Save,
        Self::Check,
        Self::Upgrade,
    ];
}

/// In words that stand before a path.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LookAt => "look at",
            Self::MakeDirectory => "make the directory",
            Self::SyncDirectory => "write to the disk the directory",
            Self::Make => "make",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lock => "lock",
            Self::Open => "open",
            Self::Copy => "copy",
            Self::Remove => "remove",
            Self::KeepVersion => "keep a version of",
            Self::List => "list",
            Self::ChangeMode => "change the mode of",
            Self::Load => "load",
            Self::Save => "save",
            Self::Check => "check",
            Self::Upgrade => "bring up to date",
        })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Directory => "directory",
        })
    }
}
