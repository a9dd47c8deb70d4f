//! Archives that pm keeps beside `state.db`: those that are made by themselves, and what imports
//! replaced.
//!
//! - The name says when: `pm-<seconds since 1970>.archive`. What is called otherwise is nobody's
//!   backup, and stays.
//! - One of a time to come, of a clock that was ahead, is neither the latest nor the oldest: it is
//!   left alone until its time has come.
//! - They are in a directory, not behind a link to one.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use pm_core::calendar::Timestamp;

use crate::action::{Action, Expected};
use crate::archive_file;
use crate::error::StoreError;
use crate::files;
use crate::paths::Paths;

/// Which archives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shelf {
    /// Those that the tick makes.
    Scheduled,
    /// What imports replaced.
    BeforeImport,
}

impl Shelf {
    /// Returns the directory; it need not exist.
    pub fn dir(self, paths: &Paths) -> PathBuf {
        match self {
            Self::Scheduled => paths.backups_dir(),
            Self::BeforeImport => paths.before_import_dir(),
        }
    }
}

/// Returns when each archive was made that is there, the oldest first.
///
/// # Errors
///
/// `WrongKind`, and as the system says. A directory that does not exist holds none.
pub fn made(paths: &Paths, shelf: Shelf) -> Result<Vec<Timestamp>, StoreError> {
    let dir = shelf.dir(paths);
    let failed = |error| StoreError::io(Action::List, &dir, error);
    match fs::symlink_metadata(&dir) {
        Ok(found) if !found.is_dir() => {
            return Err(StoreError::WrongKind {
                path: dir,
                expected: Expected::Directory,
            });
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    }
    let mut made = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        made.extend(name.to_str().and_then(parse));
    }
    made.sort_unstable();
    Ok(made)
}

/// Returns when the latest was made of those that were by `now`.
///
/// # Errors
///
/// As [`made`].
pub fn latest(
    paths: &Paths,
    shelf: Shelf,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let made = made(paths, shelf)?.into_iter();
    Ok(made.filter(|&at| at <= now).max())
}

/// Writes an archive made `now`, then removes all but the latest `keep`. Returns where it is: no
/// other takes its place, were it made in the same second.
///
/// # Errors
///
/// `WrongKind`, and as the system says; those that are there stay.
pub fn add(
    paths: &Paths,
    shelf: Shelf,
    now: Timestamp,
    bytes: &[u8],
    keep: u32,
) -> Result<PathBuf, StoreError> {
    let dir = shelf.dir(paths);
    let mut old = made(paths, shelf)?;
    files::create_private_dir(&dir)?;
    files::remove_leftovers(&dir);
    let mut at = now;
    while old.contains(&at) {
        at = Timestamp::from_unix(at.unix().saturating_add(1));
    }
    let path = dir.join(name(at));
    archive_file::write(&path, bytes, false)?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    old.retain(|&one| one < at);
    old.reverse();
    for at in old.into_iter().skip(keep.saturating_sub(1)) {
        let path = dir.join(name(at));
        fs::remove_file(&path).map_err(|error| StoreError::io(Action::Remove, &path, error))?;
    }
    Ok(path)
}

fn name(at: Timestamp) -> String {
    format!("pm-{}.archive", at.unix())
}

fn parse(file: &str) -> Option<Timestamp> {
    let seconds = file.strip_prefix("pm-")?.strip_suffix(".archive")?;
    let at = Timestamp::from_unix(seconds.parse().ok()?);
    (name(at) == file).then_some(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn paths(dir: &tempfile::TempDir) -> Paths {
        let inside = |name| Some(dir.path().join(name));
        Paths::new(inside("etc"), inside("lib"), inside("run"))
    }

    fn add_at(paths: &Paths, at: i64) -> Result<PathBuf, StoreError> {
        add(paths, Shelf::Scheduled, Timestamp::from_unix(at), b"x", 3)
    }

    fn kept(paths: &Paths) -> Vec<i64> {
        let made = made(paths, Shelf::Scheduled).unwrap();
        made.iter().map(|at| at.unix()).collect()
    }

    #[test]
    fn the_latest_are_kept_and_what_is_not_a_backup_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        assert!(kept(&paths).is_empty());
        for at in 1..=5 {
            add_at(&paths, at * 10).unwrap();
            fs::write(paths.backups_dir().join("pm-007.archive"), "mine").unwrap();
        }
        assert_eq!(kept(&paths), [30, 40, 50]);
        // The same second again: both are kept.
        let again = add_at(&paths, 50).unwrap();
        assert!(again.ends_with("pm-51.archive"));
        assert_eq!(kept(&paths), [40, 50, 51]);
        let mine = fs::read(paths.backups_dir().join("pm-007.archive"));
        assert_eq!(mine.unwrap(), b"mine");
    }

    /// One that a clock ahead dated must not push the good ones out.
    #[test]
    fn one_of_the_future_neither_counts_nor_goes() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        for at in [10, 20, 30, 9000, 40, 50] {
            add_at(&paths, at).unwrap();
        }
        assert_eq!(kept(&paths), [30, 40, 50, 9000]);
        let latest = |now| latest(&paths, Shelf::Scheduled, Timestamp::from_unix(now)).unwrap();
        assert_eq!(latest(60), Some(Timestamp::from_unix(50)));
        assert_eq!(latest(5), None);
        // When its time has come it is one as all others.
        add_at(&paths, 9500).unwrap();
        assert_eq!(kept(&paths), [50, 9000, 9500]);
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        let other = dir.path().join("other");
        fs::create_dir_all(&paths.state_dir).unwrap();
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, paths.backups_dir()).unwrap();
        let refused = add_at(&paths, 10);
        assert!(matches!(refused, Err(StoreError::WrongKind { .. })));
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    }
}
