//! `state.db`: what happened, in SQLite.
//!
//! - A save is one transaction, on the disk when it returns: whoever loads finds all of it or
//!   nothing of it, whatever happens to pm or to the host.
//! - The same transaction adds to the [history](crate::history).
//! - Who saves holds the *tick* lock ([`crate::locks`]) since before he loaded. Where that went
//!   wrong, a save onto somebody else's is refused, since it writes only what differs.
//! - It is in WAL mode; the last to close it moves the `-wal` file's content into it and removes
//!   that. Where the file system has no shared memory to offer, SQLite keeps a rollback journal
//!   instead, which is as safe.

use std::cell::Cell;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use pm_core::ledger::State;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::action::{Action, Expected};
use crate::error::StoreError;
use crate::files;
use crate::history::Past;
use crate::migrations::{self, Identity, SCHEMA};
use crate::paths::{Paths, with_suffix};
use crate::rows;

/// How long to wait for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many statements are kept prepared: more than there are.
const STATEMENTS: usize = 64;

/// The open database.
#[derive(Debug)]
pub struct StateDb {
    connection: Connection,
    path: PathBuf,
    /// The number of the save that was last seen through this handle.
    seen: Cell<i64>,
    /// Set where the file is read without locks.
    image: Option<Image>,
}

impl StateDb {
    /// Opens the database to load and save, and makes it where it is missing.
    ///
    /// It and its directory are for their owner only. An older schema is brought up to date.
    ///
    /// # Errors
    ///
    /// `NewerSchema`, `Foreign`, `Damaged`, `Linked`, `WrongKind`: the file is untouched.
    /// `Locked`, `DiskFull`, `Permission` and others: it is as before.
    pub fn open(paths: &Paths) -> Result<Self, StoreError> {
        let path = paths.state_db();
        files::create_private_dir(&paths.state_dir)?;
        prepare(&path)?;
        let failed = |error| StoreError::sqlite(Action::Open, &path, &error);
        // SQLITE_OPEN_NOFOLLOW would also refuse a linked directory.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let before = migrations::identify(&connection).map_err(failed)?;
        // Not before the file is known to be pm's: the mode is part of the file.
        check_identity(&path, before)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        if before != Identity::Pm(SCHEMA) {
            bring_up_to_date(&mut connection, &path)?;
        }
        // Two saves of one session are to find what they need prepared.
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let seen = rows::saves(&connection).map_err(failed)?;
        Ok(Self {
            connection,
            path,
            seen: Cell::new(seen),
            image: None,
        })
    }

    /// Opens the database for reading only; `None` if nothing was ever saved.
    ///
    /// Nothing is made or changed on the disk. While nobody has the database open, it is one
    /// file, which is read without locks and read again if somebody wrote it meanwhile. While it
    /// has a `-wal` file, SQLite reads it as usual and may make the `-shm` file that belongs
    /// to it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and `OlderSchema`.
    pub fn open_read_only(paths: &Paths) -> Result<Option<Self>, StoreError> {
        let path = paths.state_db();
        match fs::metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(StoreError::WrongKind {
                    path,
                    expected: Expected::File,
                });
            }
            // SQLite would take it for an empty database.
            Ok(found) if found.len() == 0 => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(Action::Open, &path, error)),
        }
        check_access(&path, AccessFlags::R_OK)?;
        let image = Image::take(&path);
        let identified = connect_read_only(&path, image.is_some())
            .and_then(|connection| Ok((migrations::identify(&connection)?, connection)));
        let (image, identified) = match image {
            Some(image) if image.is_stale(&path) => {
                let again = connect_read_only(&path, false)
                    .and_then(|connection| Ok((migrations::identify(&connection)?, connection)));
                (None, again)
            }
            image => (image, identified),
        };
        let (identity, connection) =
            identified.map_err(|error| StoreError::sqlite(Action::Open, &path, &error))?;
        check_identity(&path, identity)?;
        match identity {
            Identity::Pm(SCHEMA) => {}
            Identity::Pm(found) => return Err(StoreError::OlderSchema { path, found }),
            Identity::Blank | Identity::Foreign => return Ok(None),
        }
        Ok(Some(Self {
            connection,
            path,
            seen: Cell::new(0),
            image,
        }))
    }

    /// Returns the state as it was last saved, without the periods it closed, which are history;
    /// `None` if it never was.
    ///
    /// # Errors
    ///
    /// `Damaged` when the file or what it says does not hold together, `Locked`, and others as
    /// SQLite says.
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        let (state, saves) = self.read(Action::Load, |connection| {
            Ok((rows::load(connection)?, rows::saves(connection)?))
        })?;
        self.seen.set(saves);
        Ok(state)
    }

    /// Returns the text of the last configuration that was good; `None` if none was ever saved.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn last_good_config(&self) -> Result<Option<String>, StoreError> {
        self.read(Action::Load, rows::load_config)
    }

    /// Saves `new` in one transaction. It is on the disk when this returns.
    ///
    /// `old` is what was last loaded or saved through this handle, or what was begun with where
    /// there was nothing to load: only what differs from it is written, and what was used since
    /// is added to the history, with the periods in [`State::closed`]. Those belong in one save
    /// only: the caller removes them from what he goes on with. The configuration is written if
    /// one is given and it is another one.
    ///
    /// # Errors
    ///
    /// `Superseded` when another process saved since this handle last loaded or saved;
    /// `DiskFull`, `Locked` and others as SQLite says. Nothing is saved; after `DiskFull` or
    /// `Io`, load before saving again, since the disk may have failed after the deed.
    pub fn save(
        &mut self,
        old: &State,
        new: &State,
        last_good_config: Option<&str>,
    ) -> Result<(), StoreError> {
        self.save_by(old, |transaction, old, saves| {
            rows::save(transaction, old, new, saves)?;
            last_good_config.map_or(Ok(()), |text| rows::save_config(transaction, text))
        })
    }

    /// Saves `new` with a past of its own, and with the configuration that belongs to both, in one
    /// transaction. It is on the disk when this returns; the configuration's file is to
    /// [follow](crate::config_file::follow).
    ///
    /// `old` is as for [`save`](Self::save). Nothing is added to the history but `past`, and the
    /// periods in [`State::closed`].
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn adopt(
        &mut self,
        old: &State,
        new: &State,
        config: &str,
        past: &Past<'_>,
    ) -> Result<(), StoreError> {
        self.save_by(old, |transaction, old, saves| {
            rows::adopt(transaction, old, new, past, saves)?;
            rows::save_config(transaction, config)?;
            rows::save_config_ahead(transaction, true)
        })
    }

    /// Returns the text of the configuration that was adopted, while its file may not have it yet.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn config_ahead(&self) -> Result<Option<String>, StoreError> {
        self.read(Action::Load, rows::load_config_ahead)
    }

    /// Notes that the file has it.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), but `Superseded`.
    pub(crate) fn config_followed(&mut self) -> Result<(), StoreError> {
        rows::save_config_ahead(&self.connection, false)
            .map_err(|error| StoreError::sqlite(Action::Save, &self.path, &error))
    }

    /// Changes what is no part of what a save compares with.
    pub(crate) fn change(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::sqlite(Action::Save, &self.path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        write(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    fn save_by(
        &mut self,
        old: &State,
        write: impl FnOnce(&Transaction<'_>, &State, i64) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::sqlite(Action::Save, &self.path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let saves = rows::saves(&transaction).map_err(failed)?;
        if saves != self.seen.get() {
            return Err(StoreError::Superseded {
                path: self.path.clone(),
            });
        }
        // Where nothing was saved, everything differs from what is there.
        let nothing = State::new(old.next_epoch);
        let old = if saves == 0 { &nothing } else { old };
        write(&transaction, old, saves + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        self.seen.set(saves + 1);
        Ok(())
    }

    /// Looks through the whole file for damage, the history too, without changing it.
    ///
    /// # Errors
    ///
    /// `Damaged` with the first things found, and others as SQLite says.
    pub fn check(&self) -> Result<(), StoreError> {
        let found = self.read(Action::Check, |connection| {
            let mut check = connection.prepare("PRAGMA quick_check(5)")?;
            let lines = check.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        if found != ["ok"] {
            return Err(StoreError::Damaged {
                path: self.path.clone(),
                why: found.join("; "),
            });
        }
        self.read(Action::Check, |connection| {
            rows::load(connection)?;
            rows::history::check(connection)
        })
    }

    /// Returns what it takes to write beside the state.
    pub(crate) fn parts(&mut self) -> (&mut Connection, &Path) {
        (&mut self.connection, &self.path)
    }

    /// Runs `read` on one state of the database.
    pub(crate) fn read<T>(
        &self,
        action: Action,
        read: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let in_transaction = |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            read(&transaction)
        };
        let mut result = in_transaction(&self.connection);
        if self
            .image
            .as_ref()
            .is_some_and(|image| image.is_stale(&self.path))
        {
            result = connect_read_only(&self.path, false)
                .and_then(|connection| in_transaction(&connection));
        }
        result.map_err(|error| StoreError::sqlite(action, &self.path, &error))
    }
}

/// The database as one file that nobody has open, by what would change if somebody wrote it.
///
/// A second write within one step of the file system's clock, some milliseconds, would not show:
/// who cannot bear that reads under the *tick* lock, while nobody writes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Image {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Image {
    /// Returns the file's; `None` where a journal shows that it is in use.
    fn take(path: &Path) -> Option<Self> {
        // The file first: who opens it for writing makes the journal before he changes it.
        let found = fs::metadata(path).ok()?;
        let in_use = ["-wal", "-journal"].iter().any(|suffix| {
            fs::symlink_metadata(with_suffix(path, suffix))
                .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
        });
        (!in_use).then(|| Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Whether what was read since may not be what one transaction left.
    fn is_stale(&self, path: &Path) -> bool {
        Self::take(path).as_ref() != Some(self)
    }
}

fn connect_read_only(path: &Path, without_locks: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = if without_locks {
        Connection::open_with_flags(format!("file:{}?immutable=1", escape(path)), flags)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Writes a path as SQLite's file names with options want it.
///
/// Source: <https://www.sqlite.org/uri.html>
fn escape(path: &Path) -> String {
    let mut escaped = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                escaped.push(byte.into());
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Makes sure that there is a file, that it is for its owner only and can be written.
///
/// It is looked at by name only: to open and close it here would drop the locks that SQLite
/// holds on it elsewhere in this process.
///
/// Source: fcntl(2), "Record locks"; <https://www.sqlite.org/howtocorrupt.html>
fn prepare(path: &Path) -> Result<(), StoreError> {
    if let Ok(target) = fs::read_link(path) {
        return Err(StoreError::Linked {
            path: path.to_owned(),
            target,
            option: "--state-dir",
        });
    }
    // SQLite would give it the mode that the umask leaves, and its journals the same as it has.
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => return path.parent().map_or(Ok(()), files::sync_dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::io(Action::Make, path, error)),
    }
    let found = fs::symlink_metadata(path);
    let found = found.map_err(|error| StoreError::io(Action::LookAt, path, error))?;
    if !found.is_file() {
        return Err(StoreError::WrongKind {
            path: path.to_owned(),
            expected: Expected::File,
        });
    }
    check_access(path, AccessFlags::R_OK | AccessFlags::W_OK)?;
    if found.permissions().mode() & 0o077 != 0 {
        // As after it was restored from a backup.
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| StoreError::io(Action::ChangeMode, path, error))?;
    }
    Ok(())
}

/// Asks the system for its words, which SQLite does not pass on.
fn check_access(path: &Path, flags: AccessFlags) -> Result<(), StoreError> {
    access(path, flags).map_err(|errno| StoreError::io(Action::Open, path, errno.into()))
}

fn check_identity(path: &Path, identity: Identity) -> Result<(), StoreError> {
    match identity {
        Identity::Foreign => Err(StoreError::Foreign {
            path: path.to_owned(),
        }),
        Identity::Pm(found) if found > SCHEMA => Err(StoreError::NewerSchema {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        }),
        _ => Ok(()),
    }
}

fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::sqlite(Action::Upgrade, path, &error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Somebody else may have done it by now.
    let identity = migrations::identify(&transaction).map_err(failed)?;
    check_identity(path, identity)?;
    let from = match identity {
        Identity::Pm(schema) => schema,
        Identity::Blank | Identity::Foreign => 0,
    };
    if from < SCHEMA {
        migrations::migrate(&transaction, from).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}
