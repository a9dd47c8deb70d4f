//! Archives that are made by themselves, in `backups/` beside `state.db`.
//!
//! The name says when: `pm-<seconds since 1970>.archive`. What is called otherwise is nobody's
//! backup, and stays.

use std::fs;
use std::io::ErrorKind;

use pm_core::calendar::Timestamp;

use crate::action::Action;
use crate::archive_file;
use crate::error::StoreError;
use crate::files;
use crate::paths::Paths;

/// Returns when each backup was made that is there, the oldest first.
///
/// # Errors
///
/// As the system says. A directory that does not exist holds none.
pub fn made(paths: &Paths) -> Result<Vec<Timestamp>, StoreError> {
    let dir = paths.backups_dir();
    let failed = |error| StoreError::io(Action::List, &dir, error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut made = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        made.extend(name.to_str().and_then(parse));
    }
    made.sort_unstable();
    Ok(made)
}

/// Writes a backup made `now`, then removes all but the latest `keep`.
///
/// # Errors
///
/// As the system says; those that are there stay.
pub fn add(paths: &Paths, now: Timestamp, bytes: &[u8], keep: u32) -> Result<(), StoreError> {
    let dir = paths.backups_dir();
    files::create_private_dir(&dir)?;
    files::remove_leftovers(&dir);
    archive_file::write(&dir.join(name(now)), bytes, true)?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    // Those of a clock that was ahead go as others do: what was made now stays.
    let mut old: Vec<Timestamp> = made(paths)?.into_iter().filter(|&at| at != now).collect();
    old.reverse();
    for at in old.into_iter().skip(keep.saturating_sub(1)) {
        let path = dir.join(name(at));
        fs::remove_file(&path).map_err(|error| StoreError::io(Action::Remove, &path, error))?;
    }
    Ok(())
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

    #[test]
    fn the_latest_are_kept_and_what_is_not_a_backup_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let inside = |name| Some(dir.path().join(name));
        let paths = Paths::new(inside("etc"), inside("lib"), inside("run"));
        assert!(made(&paths).unwrap().is_empty());
        for at in 1..=5 {
            add(&paths, Timestamp::from_unix(at * 10), b"x", 3).unwrap();
            fs::write(paths.backups_dir().join("pm-007.archive"), "mine").unwrap();
        }
        let kept: Vec<i64> = made(&paths).unwrap().iter().map(|at| at.unix()).collect();
        assert_eq!(kept, [30, 40, 50]);
        // The clock went back.
        add(&paths, Timestamp::from_unix(7), b"x", 3).unwrap();
        let kept: Vec<i64> = made(&paths).unwrap().iter().map(|at| at.unix()).collect();
        assert_eq!(kept, [7, 40, 50]);
        let mine = fs::read(paths.backups_dir().join("pm-007.archive"));
        assert_eq!(mine.unwrap(), b"mine");
    }
}
