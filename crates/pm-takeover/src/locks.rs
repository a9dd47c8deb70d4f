//! The locks of older tools: held, they keep a run of the tool's out, and one that is on its way has come to its end.
//!
//! pm.sh locks files, the dogs make directories.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fd_lock::RwLock;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use pm_legacy::Tool;
use pm_setup::Root;

use crate::error::{Action, TakeoverError, io};

/// How long to wait before looking at a held lock again.
const POLL: Duration = Duration::from_millis(20);
/// From what age on the dogs themselves take a lock of theirs for a leftover.
const STALE: Duration = Duration::from_secs(120);
/// In which file of its lock a dog notes process and time.
const OWNER: &str = "owner";

/// A tool's locks, all of them held. Dropping it gives them back.
#[derive(Debug, Default)]
#[must_use = "the locks are given back at once if this is dropped"]
pub struct Locks {
    /// Locked without a guard, which would have to borrow them: closing them unlocks.
    files: Vec<File>,
    directories: Vec<PathBuf>,
}

impl Locks {
    /// Takes all locks of `tool`, whose files are in `directory`, waiting for up to `wait` for each.
    ///
    /// # Errors
    ///
    /// `AtWork`, or as the system says; none is held then.
    pub fn acquire(
        root: &Root,
        tool: Tool,
        directory: &Path,
        wait: Duration,
    ) -> Result<Self, TakeoverError> {
        let mut held = Self::default();
        for path in files(tool) {
            let file = lock_file(root, tool, Path::new(path), wait)?;
            held.files.extend(file);
        }
        for path in directories(tool, directory) {
            if make_directory(root, tool, &path, wait)? {
                held.directories.push(root.join(&path));
            }
        }
        Ok(held)
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        for directory in &self.directories {
            // What is left of it counts as stale for the tool after two minutes.
            let _ = fs::remove_file(directory.join(OWNER));
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Returns the files that a tool locks.
pub fn files(tool: Tool) -> &'static [&'static str] {
    match tool {
        Tool::PmSh => &["/var/run/pm_cron.lock", "/var/run/pm.lock"],
        Tool::Dog | Tool::TrafficDog => &[],
    }
}

/// Returns the directories that a tool makes as locks.
pub fn directories(tool: Tool, directory: &Path) -> Vec<PathBuf> {
    match tool {
        Tool::PmSh => Vec::new(),
        Tool::Dog => ["reset.lock", "config.lock", "traffic_stats.lock"]
            .map(|name| directory.join(name))
            .into(),
        Tool::TrafficDog => vec!["/tmp/port-traffic-stat.lock".into()],
    }
}

/// Removes directories that were made as locks by processes which are gone.
pub(crate) fn clear_stale(root: &Root, tool: Tool, directory: &Path) {
    for path in directories(tool, directory) {
        let place = root.join(path);
        if place.is_dir() && is_stale(&place) {
            let _ = fs::remove_file(place.join(OWNER));
            let _ = fs::remove_dir(&place);
        }
    }
}

fn lock_file(
    root: &Root,
    tool: Tool,
    path: &Path,
    wait: Duration,
) -> Result<Option<File>, TakeoverError> {
    let start = Instant::now();
    // Made where it is missing: a run that has just begun must find it held.
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(root.join(path));
    let file = match opened {
        Ok(file) => file,
        // There is no place for it, nor for a run of the tool's.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(Action::Lock, path)(error)),
    };
    let mut lock = RwLock::new(file);
    loop {
        match lock.try_write() {
            // Kept without its borrow: closing the file unlocks it.
            Ok(guard) => std::mem::forget(guard),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait_on(tool, path, start, wait)?;
                continue;
            }
            Err(error) => return Err(io(Action::Lock, path)(error)),
        }
        return Ok(Some(lock.into_inner()));
    }
}

/// Makes a directory that is a lock. Returns whether there is a place for it.
fn make_directory(
    root: &Root,
    tool: Tool,
    path: &Path,
    wait: Duration,
) -> Result<bool, TakeoverError> {
    let start = Instant::now();
    let place = root.join(path);
    loop {
        match fs::DirBuilder::new().mode(0o700).create(&place) {
            Ok(()) => {
                let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
                let seconds = seconds.unwrap_or_default().as_secs();
                let owner = format!("{} {seconds}\n", std::process::id());
                let written = fs::write(place.join(OWNER), owner);
                return written.map(|()| true).map_err(io(Action::Lock, path));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(Action::Lock, path)(error)),
        }
        if is_stale(&place) {
            let _ = fs::remove_file(place.join(OWNER));
            let removed = fs::remove_dir(&place);
            // Who else noticed it was faster.
            removed
                .or_else(|error| match error.kind() {
                    ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .map_err(io(Action::Lock, path))?;
            continue;
        }
        wait_on(tool, path, start, wait)?;
    }
}

/// Whether a directory's maker is gone, or has held it for longer than any run of the tool takes.
fn is_stale(place: &Path) -> bool {
    let owner = fs::read_to_string(place.join(OWNER)).unwrap_or_default();
    let process = owner.split_whitespace().next();
    if let Some(process) = process.and_then(|word| word.parse::<i32>().ok()) {
        return process <= 0 || kill(Pid::from_raw(process), None).is_err();
    }
    let made = fs::metadata(place).and_then(|found| found.modified());
    let age = made.ok().and_then(|made| made.elapsed().ok());
    age.is_some_and(|age| age > STALE)
}

fn wait_on(tool: Tool, path: &Path, start: Instant, wait: Duration) -> Result<(), TakeoverError> {
    let left = wait.saturating_sub(start.elapsed());
    if left.is_zero() {
        let path = path.to_owned();
        return Err(TakeoverError::AtWork { tool, path });
    }
    thread::sleep(POLL.min(left));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_waited_for_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let usual = Path::new("/etc/port_monitor");
        let acquire = || Locks::acquire(&root, Tool::PmSh, usual, Duration::ZERO);
        assert!(acquire().unwrap().files.is_empty());
        fs::create_dir_all(root.join("/var/run")).unwrap();
        let path = "/var/run/pm_cron.lock";
        let held = acquire().unwrap();
        assert!(matches!(
            acquire(),
            Err(TakeoverError::AtWork { path: held, .. }) if held == Path::new(path)
        ));
        drop(held);
        drop(acquire().unwrap());
    }

    #[test]
    fn a_directory_is_held_given_back_and_taken_from_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let usual = Path::new("/etc/port-traffic-dog");
        let lock = root.join(usual.join("config.lock"));
        fs::create_dir_all(&lock).unwrap();
        let acquire = || Locks::acquire(&root, Tool::Dog, usual, Duration::ZERO);
        let living = format!("{} 1\n", std::process::id());
        fs::write(lock.join(OWNER), living).unwrap();
        assert!(matches!(acquire(), Err(TakeoverError::AtWork { .. })));
        assert!(!root.join(usual.join("reset.lock")).exists());
        // No process has so high a number.
        fs::write(lock.join(OWNER), "2000000000 1\n").unwrap();
        let held = acquire().unwrap();
        assert_eq!(held.directories.len(), 3);
        drop(held);
        assert!(!lock.exists());
    }
}
