//! Why the disk did not do its part.
//!
//! A message says what failed, where, why in the system's own words, and what to do. It is
//! whole: no variant has a source that would say the same again.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pm_core::config::ConfigError;
use rusqlite::ErrorCode;

use crate::action::{Action, Expected};
use crate::paths::LockKind;

/// Why something could not be loaded, saved or locked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `config.json` is there and cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: io::Error,
    },
    /// There is no `config.json`, although there was one.
    #[error(
        "cannot use {}: it is gone; put back one of the versions in {}, or move {} away as well to \
         begin with nothing",
        path.display(), versions.display(), state.display()
    )]
    ConfigGone {
        /// The file.
        path: PathBuf,
        /// Where its versions are.
        versions: PathBuf,
        /// Where the usage is that it belongs to.
        state: PathBuf,
    },
    /// Somebody else changed `config.json` while pm was about to.
    #[error("cannot save {}: somebody changed it meanwhile; say it again", path.display())]
    ConfigChanged {
        /// The file.
        path: PathBuf,
    },
    /// The usage is gone that belongs to `config.json`.
    #[error(
        "cannot use {}: it is gone or empty, and with it what every service used; put back a \
         backup, or begin anew at nothing used with `pm restore --anew`",
        path.display()
    )]
    StateGone {
        /// The file.
        path: PathBuf,
    },
    /// `config.json` is not text.
    #[error(
        "cannot use {}: line {line} is not UTF-8; correct it or put back one of the versions \
         beside it",
        path.display()
    )]
    ConfigNotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first wrong byte, 1-based.
        line: usize,
    },
    /// `config.json` is no configuration.
    #[error(
        "cannot use {}: {why}; correct it or put back one of the versions beside it",
        path.display()
    )]
    ConfigInvalid {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        why: ConfigError,
    },
    /// `config.json` was written by a newer pm.
    #[error("cannot use {}: {why}", path.display())]
    ConfigNewer {
        /// The file.
        path: PathBuf,
        /// Its schema, and this pm's.
        why: ConfigError,
    },
    /// `config.json` was written by pm.sh.
    #[error("cannot use {}: {why}", path.display())]
    ConfigOfPmSh {
        /// The file.
        path: PathBuf,
        /// What is done about it.
        why: ConfigError,
    },
    /// A configuration that could not be loaded again was to be saved.
    #[error("cannot save {}: {why}; nothing has changed", path.display())]
    ConfigRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: ConfigError,
    },
    /// No version is kept under that number.
    #[error("there is no version {number} in {}", dir.display())]
    NoSuchVersion {
        /// The number.
        number: u64,
        /// Where the versions are.
        dir: PathBuf,
    },
    /// A kept version is no configuration: somebody had written it by hand, or damaged it since.
    #[error("cannot use {}: {why}; choose another version", path.display())]
    VersionUnusable {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        why: ConfigError,
    },
    /// A file that pm replaces or locks is a symbolic link.
    #[error(
        "cannot write {}: it is a symbolic link to {}, and pm writes only inside its own \
         directories; link the whole directory instead, or name the other one with {option}",
        path.display(), target.display()
    )]
    Linked {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The option that moves the directory.
        option: &'static str,
    },
    /// Something else than a file or directory stands in its place.
    #[error("cannot use {}: it is not a {expected}; move it away", path.display())]
    WrongKind {
        /// What is there.
        path: PathBuf,
        /// What must be there.
        expected: Expected,
    },
    /// A file stands where a new one is to be made.
    #[error("cannot write {}: it is there already; choose another name, or say `--force`", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file has more bytes than it can have.
    #[error("cannot use {}: it has more than {} MiB", path.display(), most >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes.
        most: usize,
    },
    /// A directory that anybody can write to, where files must be pm's own.
    #[error("cannot use {}: every user can write to it; run `chmod 700` on it", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },
    /// The process may not do this.
    #[error("cannot {action} {}: {why}; run it as root (with sudo)", path.display())]
    Permission {
        /// What was being done.
        action: Action,
        /// To which file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file system lets nobody write.
    #[error(
        "cannot {action} {}: its file system is read-only; mount it writable (`mount -o remount,rw`): \
         the kernel goes on counting and cutting, and the next tick that can save catches up",
        path.display()
    )]
    ReadOnly {
        /// What was being done.
        action: Action,
        /// To which file.
        path: PathBuf,
    },
    /// No space is left. What was saved before is whole.
    #[error(
        "cannot {action} {}: {why}; free some space: the kernel goes on counting and cutting, \
         and the next tick that can save catches up",
        path.display()
    )]
    DiskFull {
        /// What was being done.
        action: Action,
        /// To which file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Any other failure of the disk or the file system.
    #[error("cannot {action} {}: {why}; look into the kernel's log (dmesg) for the disk", path.display())]
    Io {
        /// What was being done.
        action: Action,
        /// To which file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Another process is writing `state.db`, for longer than one waits.
    #[error("cannot {action} {}: another process is using it; try again", path.display())]
    Locked {
        /// What was being done.
        action: Action,
        /// The database.
        path: PathBuf,
    },
    /// `state.db` does not hold together.
    #[error(
        "{} is damaged: {why}; the kernel goes on counting and cutting; restore it from a \
         backup, or move it away (with its -wal and -shm files) and begin anew with `pm restore --anew`",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// `state.db` is an SQLite file of another program's.
    #[error(
        "{} is not pm's: it is another program's database; move it away, or name another \
         directory with --state-dir",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// `state.db` was written by a newer pm.
    #[error("{} has schema {found}, and this pm reads up to {known}: update pm", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// `state.db` is of an older schema, and was opened only to be read.
    #[error("{} has the older schema {found}: run `pm monitor` once, which brings it up to date", path.display())]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// The schema it has.
        found: i64,
    },
    /// Somebody saved since this handle last loaded or saved; nothing was written.
    #[error("cannot save {}: another process saved it meanwhile; load it again", path.display())]
    Superseded {
        /// The database.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("cannot {action} {}: {why}", path.display())]
    Database {
        /// What was being done.
        action: Action,
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// A lock is held by another process, or elsewhere in this one.
    #[error(
        "cannot take the {kind} lock ({}) in {} s: it is held by {holder}; try again when that is done",
        path.display(), waited.as_secs()
    )]
    Held {
        /// Which lock.
        kind: LockKind,
        /// Its file.
        path: PathBuf,
        /// Who holds it: the command and its process, or [`UNKNOWN_HOLDER`](crate::locks::UNKNOWN_HOLDER).
        holder: String,
        /// How long was waited.
        waited: Duration,
    },
}

impl StoreError {
    /// Returns the variant for a failed system call.
    pub(crate) fn io(action: Action, path: &Path, why: io::Error) -> Self {
        let path = path.to_owned();
        // By kind, since tempfile hides the number. A limit on the size of files is a full disk to
        // whoever meets it.
        let kind = why.kind();
        let why = why.to_string();
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull { action, path, why }
            }
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            ErrorKind::PermissionDenied => Self::Permission { action, path, why },
            _ => Self::Io { action, path, why },
        }
    }

    /// Returns the variant for what SQLite refused.
    pub(crate) fn sqlite(action: Action, path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Locked { action, path }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, why }
            }
            Some(ErrorCode::DiskFull) => Self::DiskFull { action, path, why },
            // The -shm file could not be made as large as it must be.
            Some(ErrorCode::SystemIoFailure)
                if error.sqlite_error().is_some_and(|error| {
                    error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
                }) =>
            {
                Self::DiskFull { action, path, why }
            }
            Some(ErrorCode::SystemIoFailure) => Self::Io { action, path, why },
            Some(ErrorCode::ReadOnly) if is_on_read_only_file_system(&path) => {
                Self::ReadOnly { action, path }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::Permission { action, path, why }
            }
            _ => match error {
                // A row that is not as STRICT tables of this schema hold it.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => Self::Damaged { path, why },
                _ => Self::Database { action, path, why },
            },
        }
    }
}

/// Whether it is the file system that lets nobody write, of which SQLite says no more than that.
fn is_on_read_only_file_system(path: &Path) -> bool {
    let opened = OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn of_sqlite(code: i32) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        StoreError::sqlite(Action::Save, Path::new("/x/state.db"), &error)
    }

    #[test]
    fn what_sqlite_says_is_told_apart() {
        assert!(matches!(
            of_sqlite(ffi::SQLITE_BUSY),
            StoreError::Locked { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_CORRUPT),
            StoreError::Damaged { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_NOTADB),
            StoreError::Damaged { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_FULL),
            StoreError::DiskFull { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_IOERR_SHMSIZE),
            StoreError::DiskFull { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_IOERR_READ),
            StoreError::Io { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_READONLY),
            StoreError::Permission { .. }
        ));
        assert!(matches!(
            of_sqlite(ffi::SQLITE_SCHEMA),
            StoreError::Database { .. }
        ));
    }

    #[test]
    fn a_message_says_what_where_why_and_what_to_do() {
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(
            StoreError::io(
                Action::Write,
                Path::new("/etc/port_monitor/config.json"),
                full
            )
            .to_string(),
            "cannot write /etc/port_monitor/config.json: No space left on device (os error 28); \
             free some space: the kernel goes on counting and cutting, and the next tick that can \
             save catches up"
        );
        assert_eq!(
            of_sqlite(ffi::SQLITE_NOTADB).to_string(),
            "/x/state.db is damaged: Error code 26: file is not a database; the kernel goes on \
             counting and cutting; restore it from a backup, or move it away (with its -wal and \
             -shm files) and begin anew with `pm restore --anew`"
        );
    }
}
