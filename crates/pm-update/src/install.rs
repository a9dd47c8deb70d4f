//! The order of an update, so that whoever dies in the middle leaves a pm that works.
//!
//! 1. The new program is written beside the old one, whole and checked. Nobody runs it.
//! 2. With *write* and *tick* held, the old program does a last tick, and configuration and usage
//!    are copied ([`Point`]).
//! 3. The new program, still beside the old one, does its work on the originals ([`Trial`]).
//! 4. One rename puts it in the old one's place. The old one stays beside it.
//! 5. The point is forgotten.
//!
//! Up to 4 the old program is in its place, and whatever it was that ended the update, the next pm
//! that runs finds the point and puts the copies back before it does anything else ([`recover`]).
//! The kernel went on counting, and the reading in the copy says up to where it was accounted for,
//! so that the bytes since are picked up once. After 4 the new program, which has shown that it
//! works, only has to forget the point.
//!
//! The new program's last trial is a tick that may change rules. Where it did and failed after
//! that, counters may be others than those in the copy, and what passed in these seconds is lost.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pm_store::locks::{Lock, LockKind};
use pm_store::rollback::Point;
use pm_store::{Paths, StoreError};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Action, UpdateError};
use crate::trial::{Step, Trial};

/// How long to wait for whoever is at work.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A pm on a host: its program, and where its files are.
#[derive(Clone, Debug)]
pub struct Installation {
    program: PathBuf,
    paths: Paths,
}

/// What an update that was interrupted had come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recovered {
    /// The old program and its data are in force again.
    TakenBack {
        /// What was to be installed.
        to: String,
    },
    /// The new program was in its place already.
    Completed {
        /// What was installed.
        to: String,
    },
}

/// What whoever finds a point must know.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    /// The file that was to be replaced.
    program: PathBuf,
    /// What by.
    to: String,
    /// The hash of it.
    sha256: String,
}

impl Installation {
    /// Returns the installation of the program that runs, with its files at `paths`.
    ///
    /// # Errors
    ///
    /// `Program` when the file is not there any more.
    pub fn of_this_program(paths: Paths) -> Result<Self, UpdateError> {
        let failed = |path: &Path, why| UpdateError::Program {
            action: Action::Find,
            path: path.to_owned(),
            why,
        };
        let program = std::env::current_exe().map_err(|why| failed(Path::new("pm"), why))?;
        fs::metadata(&program).map_err(|why| failed(&program, why))?;
        Ok(Self { program, paths })
    }

    /// Returns the file that is replaced.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Takes the *update* lock, and tidies up after an update that was interrupted.
    ///
    /// # Errors
    ///
    /// `Store` when another update runs, and as the system says.
    pub fn begin(&self) -> Result<(Lock, Option<Recovered>), UpdateError> {
        let lock = Lock::acquire(&self.paths, LockKind::Update, Duration::ZERO)?;
        let recovered = recover(&self.paths)?;
        remove(&self.new_program());
        Ok((lock, recovered))
    }

    /// Returns an empty file beside the program, for the new one.
    ///
    /// # Errors
    ///
    /// `Program`, as the system says.
    pub fn make_new(&self) -> Result<File, UpdateError> {
        let path = self.new_program();
        remove(&path);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&path);
        made.map_err(|why| UpdateError::Program {
            action: Action::Make,
            path,
            why,
        })
    }

    /// Removes what [`make_new`](Self::make_new) made.
    pub fn discard_new(&self) {
        remove(&self.new_program());
    }

    /// Tries the new program, and puts it in the old one's place. Returns what its ticks said.
    ///
    /// # Errors
    ///
    /// `Trial` when it does not work; any other when something is in the way. The old program stays in its place, the
    /// new one is gone, and configuration and usage are as the old program's last tick left them. Two exceptions, both
    /// `Store` and both tidied up by the next pm that runs ([`recover`]): the copies could not be put back, or the new
    /// program is in its place already and the point could not be forgotten.
    pub fn install(&self, version: &Version, sha256: Digest) -> Result<String, UpdateError> {
        let installed = self.try_and_replace(version, sha256);
        if installed.is_err() {
            self.discard_new();
        }
        installed
    }

    fn try_and_replace(&self, version: &Version, sha256: Digest) -> Result<String, UpdateError> {
        let new = self.new_program();
        let failed = |action, path: &Path, why| UpdateError::Program {
            action,
            path: path.to_owned(),
            why,
        };
        let mode = fs::metadata(&self.program)
            .map_err(|why| failed(Action::Find, &self.program, why))?
            .permissions()
            .mode();
        fs::set_permissions(&new, Permissions::from_mode(mode & 0o777 | 0o500))
            .map_err(|why| failed(Action::Make, &new, why))?;
        let (_write, tick) = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        let trial = Trial {
            paths: &self.paths,
            guardian: &self.program,
            lock: tick.share(&self.paths)?,
        };
        // So that the copy is of now, and nothing but the new program's doing comes after it.
        let before = trial.before(&self.program);
        let note = serde_json::to_string(&Note {
            program: self.program.clone(),
            to: version.to_string(),
            sha256: sha256.to_string(),
        });
        let note = note.map_err(|error| failed(Action::Keep, &self.program, error.into()))?;
        let point = Point::take(&self.paths, &note)?;
        let said = trial
            .all(&new, version, before)
            .map_err(|failure| UpdateError::Trial {
                version: version.clone(),
                is_old_failing: before.failed(failure.step),
                failure: Box::new(failure),
            })
            .and_then(|said| self.replace().map(|()| said));
        match said {
            Ok(said) => {
                point.forget()?;
                Ok(said)
            }
            Err(error) => {
                point.put_back(&self.paths)?;
                // The kernel may hold what the new program asked for.
                let _ = trial.code(&self.program, Step::Tick);
                Err(error)
            }
        }
    }

    /// Keeps the old program, and gives its name to the new one.
    fn replace(&self) -> Result<(), UpdateError> {
        let (new, old) = (self.new_program(), self.old_program());
        let failed = |action, path: &Path, why| UpdateError::Program {
            action,
            path: path.to_owned(),
            why,
        };
        remove(&old);
        // Where the file system has no links, a copy does.
        fs::hard_link(&self.program, &old)
            .or_else(|_| fs::copy(&self.program, &old).map(drop))
            .map_err(|why| failed(Action::Keep, &self.program, why))?;
        fs::rename(&new, &self.program)
            .map_err(|why| failed(Action::Replace, &self.program, why))?;
        // What can go wrong now is a power cut, which leaves the one or the other.
        let _ = sync_parent(&self.program);
        Ok(())
    }

    fn new_program(&self) -> PathBuf {
        beside(&self.program, "new")
    }

    /// Returns where the program of before is kept.
    pub fn old_program(&self) -> PathBuf {
        beside(&self.program, "old")
    }
}

/// Ends an update whose process is gone: forgets its point where the new program is in its place,
/// and else puts everything back. `None`: there is none, or somebody is at it.
///
/// # Errors
///
/// As the system says; the next one that tries goes on.
pub fn recover(paths: &Paths) -> Result<Option<Recovered>, UpdateError> {
    if !Point::stands(paths) {
        return Ok(None);
    }
    let _locks = match Lock::write_then_tick(paths, Duration::ZERO) {
        Ok(locks) => locks,
        Err(StoreError::Held { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(point) = Point::find(paths)? else {
        return Ok(None);
    };
    let note: Option<Note> = serde_json::from_str(point.note()).ok();
    let to = note
        .as_ref()
        .map_or_else(String::new, |note| note.to.clone());
    let is_in_place = note.as_ref().is_some_and(|note| {
        Digest::of_file(&note.program).is_ok_and(|found| found.to_string() == note.sha256)
    });
    if is_in_place {
        point.forget()?;
        return Ok(Some(Recovered::Completed { to }));
    }
    point.put_back(paths)?;
    if let Some(note) = note {
        remove(&beside(&note.program, "new"));
    }
    Ok(Some(Recovered::TakenBack { to }))
}

/// Returns the path of a hidden file beside a program.
fn beside(program: &Path, what: &str) -> PathBuf {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    program.with_file_name(format!(".{name}.{what}"))
}

/// Removes what is in nobody's way if it stays.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(ErrorKind::NotFound)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_update_makes_is_hidden_beside_the_program() {
        let path = beside(Path::new("/usr/local/bin/pm"), "new");
        assert_eq!(path, Path::new("/usr/local/bin/.pm.new"));
    }
}
