//! A copy of all that pm keeps, to go back to while a new pm is tried on the original.
//!
//! - It is complete from the moment its `point.json` stands, which is written last; from then on
//!   until that file is gone, somebody tries something, or died while he did.
//! - To put it back may be interrupted and done again at any point; that it stands still says
//!   that it is not done. It needs no room on the disk.
//! - Who takes, puts back or forgets one holds *write* and *tick* ([`crate::locks`]).

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::error::StoreError;
use crate::files;
use crate::paths::{Paths, with_suffix};

/// The copy.
#[derive(Debug)]
pub struct Point {
    dir: PathBuf,
    mark: Mark,
}

/// What `point.json` says.
#[derive(Debug, Deserialize, Serialize)]
struct Mark {
    /// The taker's own.
    note: String,
    had_config: bool,
    had_state: bool,
}

const MARK: &str = "point.json";
const CONFIG: &str = "config.json";
const STATE: &str = "state.db";

/// What SQLite may leave beside a database.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl Point {
    /// Copies what there is, and keeps `note` for whoever finds the copy.
    ///
    /// # Errors
    ///
    /// As the system or SQLite say; then there is none, and nothing to go back from.
    pub fn take(paths: &Paths, note: &str) -> Result<Self, StoreError> {
        let dir = paths.rollback_dir();
        files::create_private_dir(&paths.state_dir)?;
        files::create_private_dir(&dir)?;
        files::remove_leftovers(&dir);
        remove(&dir.join(MARK))?;
        let config = read(&paths.config_file())?;
        match &config {
            Some(bytes) => files::replace(&dir, CONFIG, bytes)?,
            None => remove(&dir.join(CONFIG))?,
        }
        let mark = Mark {
            note: note.to_owned(),
            had_config: config.is_some(),
            had_state: copy_state(&paths.state_db(), &dir.join(STATE))?,
        };
        let text = serde_json::to_vec(&mark)
            .map_err(|error| StoreError::io(Action::Write, &dir.join(MARK), error.into()))?;
        files::replace(&dir, MARK, &text)?;
        Ok(Self { dir, mark })
    }

    /// Returns the copy that stands.
    ///
    /// # Errors
    ///
    /// `Io` as the system says, and for a mark that cannot be understood.
    pub fn find(paths: &Paths) -> Result<Option<Self>, StoreError> {
        let dir = paths.rollback_dir();
        let path = dir.join(MARK);
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        let mark = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::io(Action::Read, &path, error.into()))?;
        Ok(Some(Self { dir, mark }))
    }

    /// Whether one stands, as far as can be seen; one look at the file system.
    pub fn stands(paths: &Paths) -> bool {
        fs::symlink_metadata(paths.rollback_dir().join(MARK)).is_ok()
    }

    /// Returns the taker's note.
    pub fn note(&self) -> &str {
        &self.mark.note
    }

    /// Puts everything back as it was copied.
    ///
    /// # Errors
    ///
    /// As the system says; the point then still stands, and doing it again goes on.
    pub fn put_back(self, paths: &Paths) -> Result<(), StoreError> {
        self.put_config_back(paths)?;
        self.put_state_back(paths)?;
        self.forget()
    }

    /// Ends it: what is in force now stays. The copy is left where it is until the next is taken.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn forget(self) -> Result<(), StoreError> {
        remove(&self.dir.join(MARK))?;
        files::sync_dir(&self.dir)
    }

    fn put_config_back(&self, paths: &Paths) -> Result<(), StoreError> {
        let path = paths.config_file();
        if !self.mark.had_config {
            return remove(&path);
        }
        let copy = self.dir.join(CONFIG);
        let copied = read(&copy)?
            .ok_or_else(|| StoreError::io(Action::Read, &copy, ErrorKind::NotFound.into()))?;
        // Usually it is the same, and needs no room on a disk that may have none.
        if read(&path)?.as_deref() == Some(&copied) {
            return Ok(());
        }
        files::replace(&paths.config_dir, CONFIG, &copied)
    }

    fn put_state_back(&self, paths: &Paths) -> Result<(), StoreError> {
        let (path, copy) = (paths.state_db(), self.dir.join(STATE));
        if self.mark.had_state && !exists(&copy)? {
            // It was moved into its place before this was interrupted.
            return Ok(());
        }
        // First: what is in them belongs to the file that goes, and would damage the other.
        for suffix in JOURNALS {
            remove(&with_suffix(&path, suffix))?;
        }
        if !self.mark.had_state {
            remove(&path)?;
            return files::sync_dir(&paths.state_dir);
        }
        files::sync_dir(&paths.state_dir)?;
        fs::rename(&copy, &path).map_err(|error| StoreError::io(Action::Write, &path, error))?;
        files::sync_dir(&paths.state_dir)
    }
}

/// Copies the database as its last transaction left it. Returns whether there was one.
fn copy_state(from: &Path, to: &Path) -> Result<bool, StoreError> {
    for suffix in JOURNALS {
        remove(&with_suffix(to, suffix))?;
    }
    remove(to)?;
    if !exists(from)? {
        return Ok(false);
    }
    let failed = |error| StoreError::sqlite(Action::Copy, from, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags).map_err(failed)?;
    let target = to.to_string_lossy();
    connection
        .execute("VACUUM INTO ?1", [&*target])
        .map_err(failed)?;
    let failed = |error| StoreError::io(Action::Copy, from, error);
    fs::set_permissions(to, Permissions::from_mode(0o600)).map_err(failed)?;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    Ok(true)
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io(Action::LookAt, path, error)),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(StoreError::io(Action::Read, path, error)),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(StoreError::io(Action::Remove, path, error)),
        _ => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
