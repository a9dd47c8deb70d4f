//! The locks of older tools: held, they keep a run of the tool's out, and one that is on its way has come to its end.
//!
//! pm.sh locks files, the dogs make directories.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fd_lock::RwLock;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};
use pm_legacy::Tool;
use pm_setup::Root;

use crate::error::{Action, TakeoverError, io};

/// How long to wait before looking at a held lock again.
const POLL: Duration = Duration::from_millis(20);
/// From what age on a lock without its owner is a leftover: the dogs note the owner in the next moment, and whoever was
/// killed in between never will.
const STALE: Duration = Duration::from_secs(5);
/// In which file of its lock a dog notes process and time.
const OWNER: &str = "owner";
/// More than a process and a time take.
const OWNER_BYTES: u64 = 64;

/// A tool's locks, all of them held. Dropping it gives them back.
#[derive(Debug, Default)]
#[must_use = "the locks are given back at once if this is dropped"]
pub struct Locks {
    /// Locked without a guard, which would have to borrow them: closing them unlocks.
    files: Vec<File>,
    directories: Vec<PathBuf>,
}

impl Locks {
    /// Takes all locks of `tool`, whose files are in `directory`, waiting for up to `wait` for each, and as long as
    /// `go_on` says so.
    ///
    /// # Errors
    ///
    /// `AtWork`, what `go_on` says, or as the system says; none is held then.
    pub fn acquire(
        root: &Root,
        tool: Tool,
        directory: &Path,
        wait: Duration,
        go_on: &dyn Fn() -> Result<(), TakeoverError>,
    ) -> Result<Self, TakeoverError> {
        let mut held = Self::default();
        let patience = Patience { tool, wait, go_on };
        for path in files(tool) {
            let file = lock_file(root, Path::new(path), &patience)?;
            held.files.extend(file);
        }
        for path in directories(tool, directory) {
            if make_directory(root, &path, &patience)? {
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
    path: &Path,
    patience: &Patience<'_>,
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
                patience.wait_on(path, start)?;
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
    path: &Path,
    patience: &Patience<'_>,
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
        if fs::symlink_metadata(&place).is_ok_and(|found| !found.is_dir()) {
            let error = std::io::Error::from(ErrorKind::NotADirectory);
            return Err(io(Action::Lock, path)(error));
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
        patience.wait_on(path, start)?;
    }
}

/// Whether a directory's maker is gone, or has held it for longer than any run of the tool takes. What others than this
/// user made is none of the tool's locks, wherever it stands.
fn is_stale(place: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(place) else {
        return false;
    };
    if found.uid() != geteuid().as_raw() {
        return true;
    }
    if let Some(process) = owner(place) {
        return process <= 0 || kill(Pid::from_raw(process), None).is_err();
    }
    let age = found.modified().ok().and_then(|made| made.elapsed().ok());
    age.is_some_and(|age| age > STALE)
}

/// Returns the process that a lock's maker noted. Nothing but a file of this user's is read: a lock may be where
/// anybody can write.
fn owner(place: &Path) -> Option<i32> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(place.join(OWNER))
        .ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() {
        return None;
    }
    let mut text = String::new();
    file.take(OWNER_BYTES).read_to_string(&mut text).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// How long a tool is waited for.
struct Patience<'a> {
    tool: Tool,
    wait: Duration,
    go_on: &'a dyn Fn() -> Result<(), TakeoverError>,
}

impl Patience<'_> {
    fn wait_on(&self, path: &Path, start: Instant) -> Result<(), TakeoverError> {
        (self.go_on)()?;
        let left = self.wait.saturating_sub(start.elapsed());
        if left.is_zero() {
            let (tool, path) = (self.tool, path.to_owned());
            return Err(TakeoverError::AtWork { tool, path });
        }
        thread::sleep(POLL.min(left));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_waited_for_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let usual = Path::new("/etc/port_monitor");
        let acquire = || Locks::acquire(&root, Tool::PmSh, usual, Duration::ZERO, &|| Ok(()));
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
        let acquire = || Locks::acquire(&root, Tool::Dog, usual, Duration::ZERO, &|| Ok(()));
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

    #[test]
    fn what_was_killed_before_it_noted_its_owner_is_a_leftover_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let usual = Path::new("/etc/port-traffic-dog");
        let lock = root.join(usual.join("config.lock"));
        fs::create_dir_all(&lock).unwrap();
        let acquire = || Locks::acquire(&root, Tool::Dog, usual, Duration::ZERO, &|| Ok(()));
        assert!(matches!(acquire(), Err(TakeoverError::AtWork { .. })));
        let before = SystemTime::now() - STALE - Duration::from_secs(1);
        File::open(&lock).unwrap().set_modified(before).unwrap();
        drop(acquire().unwrap());
        assert!(!lock.exists());
    }

    /// Fault 2 of the tools that pm's users come from: their lock is in /tmp, where any local user can make it.
    #[test]
    fn what_others_make_of_a_lock_is_neither_waited_for_nor_read_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let usual = Path::new("/etc/port-traffic-stat");
        let lock = root.join("/tmp/port-traffic-stat.lock");
        let acquire = || Locks::acquire(&root, Tool::TrafficDog, usual, Duration::ZERO, &|| Ok(()));
        fs::create_dir_all(&lock).unwrap();
        nix::unistd::mkfifo(&lock.join(OWNER), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(acquire(), Err(TakeoverError::AtWork { .. })));
        fs::remove_file(lock.join(OWNER)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", lock.join(OWNER)).unwrap();
        assert!(matches!(acquire(), Err(TakeoverError::AtWork { .. })));
        if geteuid().is_root() {
            std::os::unix::fs::lchown(&lock, Some(65534), None).unwrap();
            drop(acquire().unwrap());
            assert!(!lock.exists());
        } else {
            fs::remove_dir_all(&lock).unwrap();
        }
        let elsewhere = directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join(OWNER), "2000000000 1\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
        assert!(matches!(acquire(), Err(TakeoverError::Io { .. })));
        assert!(elsewhere.join(OWNER).exists());
    }
}
