//! `outbox.db`: what waits to be sent, and what became of it.
//!
//! It belongs to the user who delivers, and to whatever takes him over: whoever opens it as root
//! opens it with that user's rights, believes nothing in it, and lets no statement run for long.
//! What is not as it must be is [damaged](OutboxError::Damaged), and put [aside](set_aside).
//!
//! - A message is known by its event's number and time, its channel and its part: copying it
//!   twice changes nothing, also after it was delivered.
//! - A channel's messages are delivered in the order in which they were copied.
//! - There are [`MOST_WAITING`] messages at most, and half of what is opened in bytes; of more, the
//!   oldest of the longest queue are dropped, and counted as lost.
//! - Of a channel's reports, only the newest waits.
//! - It keeps a rollback journal: the shared memory of a write-ahead log could be cut off under
//!   whoever reads it.

mod bound;
mod delivery;
mod push;
mod schema;
mod tick;

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};

pub use delivery::{Attempt, Fate, Sending, Sent, Waiting};
pub use tick::{Batch, ChannelStanding, NewMessage, NewPush, PushStanding, Standing};

/// The file's name in its directory.
pub const FILE: &str = "outbox.db";

/// The name it gets where it is put aside.
pub const ASIDE: &str = "outbox.db.damaged";

/// For how long it is kept there, in seconds.
const ASIDE_SECONDS: i64 = 24 * 60 * 60;

/// The most messages that wait.
pub const MOST_WAITING: u32 = 10_000;

/// How far ahead the next attempt can be, in seconds: whatever is further was noted by a clock that
/// was ahead, and is due.
pub const LONGEST_AHEAD: i64 = 60 * 60;

/// How many messages are kept that do not wait any more.
const MOST_DONE: u32 = 2_000;

/// The largest file that is opened, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// The longest message or push, in bytes. Whatever is longer must not be put in.
pub const MOST_BODY: usize = 15 << 20;

/// The longest text or row, in bytes.
const MOST_ROW: i32 = 16 << 20;

/// How long the tick waits for the other side's transaction.
const BUSY: Duration = Duration::from_millis(50);

/// How long whoever is no tick waits for another's: disks may be slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many instructions of SQLite's lie between two looks at the budget.
const STEP: i32 = 1_000;

/// How many such steps one call may take: a few times what 10,000 messages need.
const MOST_STEPS: u32 = 20_000;

/// What is shown of a text that the delivering side wrote, in characters.
const MOST_SHOWN: usize = 400;

/// The open outbox.
#[derive(Debug)]
pub struct OutboxDb {
    connection: Connection,
    steps: Arc<AtomicU32>,
}

/// Why the outbox is of no use now.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// It is not as pm left it. It can be put aside, and made anew.
    #[error("{} is not as pm left it: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The other side is at it; it is tried again.
    #[error("{} is in use", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk, or the system.
    #[error("cannot use {}: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
}

impl OutboxDb {
    /// Opens the outbox in a directory, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// `Damaged`: the file is untouched. `Busy`, `Unusable`.
    pub fn open(directory: &Path) -> Result<Self, OutboxError> {
        Self::open_within(directory, BUSY)
    }

    /// Opens the outbox as [`open`](Self::open) does, for whoever has time: `Busy` is it only after
    /// ten seconds.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_patiently(directory: &Path) -> Result<Self, OutboxError> {
        Self::open_within(directory, PATIENCE)
    }

    fn open_within(directory: &Path, patience: Duration) -> Result<Self, OutboxError> {
        let path = directory.join(FILE);
        prepare(&path)?;
        let failed = |error| failure(&path, &error);
        // SQLITE_OPEN_NOFOLLOW would also refuse a linked directory. Whoever puts a link in the place of
        // the file now leads to what he may use himself.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        let steps = Arc::new(AtomicU32::new(0));
        restrict(&mut connection, &steps, patience).map_err(failed)?;
        let mut outbox = Self { connection, steps };
        outbox.begin_or_check(&path)?;
        Ok(outbox)
    }

    fn begin_or_check(&mut self, path: &Path) -> Result<(), OutboxError> {
        let failed = |error| failure(path, &error);
        if schema::is_blank(&self.connection).map_err(failed)? {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            // The other side may have made it by now.
            if schema::is_blank(&transaction).map_err(failed)? {
                schema::make(&transaction).map_err(failed)?;
            }
            transaction.commit().map_err(failed)?;
        }
        match schema::fault(&self.connection).map_err(failed)? {
            None => Ok(()),
            Some(why) => Err(OutboxError::Damaged {
                path: path.to_owned(),
                why: why.to_owned(),
            }),
        }
    }

    fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, OutboxError> {
        self.steps.store(0, Ordering::Relaxed);
        let path = PathBuf::from(self.connection.path().unwrap_or(FILE));
        let failed = |error| failure(&path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let done = write(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OutboxError> {
        self.steps.store(0, Ordering::Relaxed);
        let path = PathBuf::from(self.connection.path().unwrap_or(FILE));
        read(&self.connection).map_err(|error| failure(&path, &error))
    }
}

/// Puts a damaged outbox aside, in the place of an earlier one, so that another can be made.
///
/// # Errors
///
/// `Unusable`; it is where it was.
pub fn set_aside(directory: &Path) -> Result<(), OutboxError> {
    let (path, aside) = (directory.join(FILE), directory.join(ASIDE));
    remove(&aside);
    let moved = fs::rename(&path, aside);
    moved.map_err(|error| OutboxError::Unusable {
        path: path.clone(),
        why: error.to_string(),
    })?;
    // A journal would be taken for the new one's.
    for suffix in ["-journal", "-wal", "-shm"] {
        // That it is not there is the rule.
        let _ = fs::remove_file(directory.join(format!("{FILE}{suffix}")));
    }
    Ok(())
}

/// Removes what was [put aside](set_aside) a day ago or more: there are secrets in it, and somebody
/// had the time to look at it.
pub fn forget_aside(directory: &Path, now: Timestamp) {
    let path = directory.join(ASIDE);
    let Ok(found) = fs::symlink_metadata(&path) else {
        return;
    };
    // A rename leaves the time of the last change to the content as it was.
    if now.unix().saturating_sub(found.ctime()) >= ASIDE_SECONDS {
        remove(&path);
    }
}

/// Removes all that the outbox left in its directory, as far as that can be done.
pub fn remove_all(directory: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        remove(&directory.join(format!("{FILE}{suffix}")));
    }
    remove(&directory.join(ASIDE));
}

/// Whether there is anything that [`remove_all`] removes.
pub fn is_there(directory: &Path) -> bool {
    [FILE, ASIDE]
        .iter()
        .any(|file| fs::symlink_metadata(directory.join(file)).is_ok())
}

fn remove(path: &Path) {
    // Somebody may have put a directory there; what cannot be removed is tried again.
    let is_dir = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let _ = match is_dir {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
}

/// Makes sure that there is a file, no larger than it can be.
fn prepare(path: &Path) -> Result<(), OutboxError> {
    let unusable = |error: std::io::Error| OutboxError::Unusable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(error)),
    }
    let damaged = |why: &str| {
        Err(OutboxError::Damaged {
            path: path.to_owned(),
            why: why.to_owned(),
        })
    };
    let found = fs::symlink_metadata(path).map_err(unusable)?;
    if !found.is_file() {
        return damaged("it is no file");
    }
    if found.nlink() != 1 {
        return damaged("it has a second name");
    }
    if found.len() > MOST_BYTES {
        return damaged("it is too large");
    }
    Ok(())
}

/// Lets the file do as little harm as possible.
///
/// Source: <https://www.sqlite.org/security.html>
fn restrict(
    connection: &mut Connection,
    steps: &Arc<AtomicU32>,
    patience: Duration,
) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(option, value)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MOST_ROW),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    let taken = Arc::clone(steps);
    let is_too_long = move || taken.fetch_add(1, Ordering::Relaxed) > MOST_STEPS;
    connection.progress_handler(STEP, Some(is_too_long))?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // What is deleted may hold a token or an address.
    connection.pragma_update(None, "secure_delete", true)?;
    // A file in another mode becomes one of this mode, or is left as busy.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.pragma_update(None, "synchronous", "FULL")
}

fn failure(path: &Path, error: &rusqlite::Error) -> OutboxError {
    let path = path.to_owned();
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OutboxError::Busy { path },
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::OperationInterrupted
            | ErrorCode::TooBig
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch,
        ) => OutboxError::Damaged { path, why },
        Some(_) => OutboxError::Unusable { path, why },
        // A row that is not as this schema has it.
        None => OutboxError::Damaged { path, why },
    }
}

/// Reads the name of a channel.
fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<ChannelName> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|_| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, "no channel's name".into())
    })
}

/// Reads a text that the delivering side wrote: one line of it.
fn shown(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    Ok(text.map(one_line))
}

fn one_line(text: &str) -> String {
    pm_core::text::one_line(text)
        .chars()
        .take(MOST_SHOWN)
        .collect()
}
