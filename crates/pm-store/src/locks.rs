//! Who may change what: four locks on files in the run directory.
//!
//! - Taken in the order *update*, *edit*, *write*, *tick*, and given back in any. Whoever needs a lock
//!   that comes before one he holds gives that one back first.
//! - They are flock(2) locks: they vanish with their process, however it ends. The file stays,
//!   and what it says counts only while it is locked.
//! - One can be shared with a child ([`Lock::share`], [`Lock::shared`]): it is held until both
//!   have let go of it.
//! - The run directory must stay while locks are held: with the file gone, the next process
//!   would make and lock another one. (For systemd: `RuntimeDirectoryPreserve=yes`.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fd_lock::RwLock;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use crate::action::{Action, Expected};
use crate::error::StoreError;
use crate::files;
pub use crate::paths::LockKind;
use crate::paths::Paths;

/// A lock that is held. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "the lock is given back at once if this is dropped"]
pub struct Lock {
    kind: LockKind,
    /// Locked, without fd-lock's guard, which would have to borrow it: closing the file unlocks.
    /// `None`: it is a parent's, and held for as long as the descriptor lives that came from it.
    file: Option<File>,
}

/// Who holds a lock where the file does not say.
pub const UNKNOWN_HOLDER: &str = "another process";

/// Returns the command and the process of a holder as [`StoreError::Held`] names him; `None`: they
/// are not known.
///
/// # Examples
///
/// ```
/// use pm_store::locks::{UNKNOWN_HOLDER, command_and_process};
///
/// assert_eq!(command_and_process("`pm add` (process 4711)"), Some(("`pm add`", 4711)));
/// assert_eq!(command_and_process(UNKNOWN_HOLDER), None);
/// ```
pub fn command_and_process(holder: &str) -> Option<(&str, u32)> {
    let (command, process) = holder.strip_suffix(')')?.rsplit_once(" (process ")?;
    Some((command, process.parse().ok()?))
}

/// Returns who has a lock, as [`StoreError::Held`] names him, without waiting for it. Whether he has it
/// still is not known.
pub fn holder(paths: &Paths, kind: LockKind) -> String {
    read_holder(&paths.lock_file(kind))
}

/// How long to wait before looking at a held lock again.
const POLL: Duration = Duration::from_millis(20);

/// How often to open a lock file that is removed again and again.
const REOPENINGS: u32 = 10;

/// The longest word that passes for a subcommand.
const MAX_WORD_BYTES: usize = 20;

/// The most of a lock file that is believed to be a holder's name.
const MAX_HOLDER_BYTES: u64 = 200;

impl Lock {
    /// Takes a lock, waiting for up to `wait`.
    ///
    /// The run directory and the file are made where they are missing.
    ///
    /// # Errors
    ///
    /// `Held` when another still holds it at the end, `Linked`, `WrongKind` or `NotPrivate` when
    /// the file or the directory is not safe to use, else as the system says; nothing is held.
    pub fn acquire(paths: &Paths, kind: LockKind, wait: Duration) -> Result<Self, StoreError> {
        let start = Instant::now();
        loop {
            if let Some(lock) = Self::try_acquire(paths, kind)? {
                return Ok(lock);
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                let path = paths.lock_file(kind);
                let holder = read_holder(&path);
                return Err(StoreError::Held {
                    kind,
                    path,
                    holder,
                    waited: wait,
                });
            }
            thread::sleep(POLL.min(left));
        }
    }

    /// Takes a lock if nobody holds it; `None` if somebody does, even elsewhere in this process.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), but for `Held`.
    pub fn try_acquire(paths: &Paths, kind: LockKind) -> Result<Option<Self>, StoreError> {
        check_run_dir(&paths.run_dir)?;
        let path = paths.lock_file(kind);
        let failed = |error| StoreError::io(Action::Lock, &path, error);
        for _ in 0..REOPENINGS {
            let mut lock = RwLock::new(open(&path)?);
            match lock.try_write() {
                // Kept without its borrow; see `Lock::file`.
                Ok(guard) => std::mem::forget(guard),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
            let mut file = lock.into_inner();
            if is_at(&file, &path).map_err(failed)? {
                // Only whoever waits reads it: that a full disk keeps the name out is no reason
                // to stop.
                let _ = write_holder(&mut file);
                return Ok(Some(Self {
                    kind,
                    file: Some(file),
                }));
            }
            // Somebody removed the file since it was opened: what is locked keeps nobody out.
        }
        Ok(None)
    }

    /// Takes *write*, then *tick*, waiting for up to `wait` in all.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); nothing is held.
    pub fn write_then_tick(paths: &Paths, wait: Duration) -> Result<(Self, Self), StoreError> {
        let start = Instant::now();
        let write = Self::acquire(paths, LockKind::Write, wait)?;
        let tick = Self::acquire(paths, LockKind::Tick, wait.saturating_sub(start.elapsed()))?;
        Ok((write, tick))
    }

    /// Lets children share the lock, all that are started while it is held. Returns the number of
    /// the descriptor by which they [find](Self::shared) it; `None`: it is itself a parent's.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn share(&self, paths: &Paths) -> Result<Option<RawFd>, StoreError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| {
            let path = paths.lock_file(self.kind);
            StoreError::io(Action::Lock, &path, errno.into())
        })?;
        Ok(Some(file.as_raw_fd()))
    }

    /// Returns the lock that a parent shares by that descriptor; `None` if it is not that lock, or
    /// nobody holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), but for `Held`.
    pub fn shared(
        paths: &Paths,
        kind: LockKind,
        descriptor: RawFd,
    ) -> Result<Option<Self>, StoreError> {
        let path = paths.lock_file(kind);
        let found = fs::metadata(format!("/proc/self/fd/{descriptor}"));
        let is_it = match (found, fs::symlink_metadata(&path)) {
            (Ok(found), Ok(lock)) => (found.dev(), found.ino()) == (lock.dev(), lock.ino()),
            _ => false,
        };
        // Whoever shares it holds it.
        let is_held = is_it && Self::try_acquire(paths, kind)?.is_none();
        Ok(is_held.then_some(Self { kind, file: None }))
    }

    /// Returns which lock it is.
    pub fn kind(&self) -> LockKind {
        self.kind
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Emptied while it is still locked, so that no successor's name is lost.
            let _ = file.set_len(0);
        }
    }
}

/// Gives locks back and leaves no trace of them, as far as nobody else uses the run directory: for whoever finds that
/// there is nothing of pm's any more.
pub fn remove_with(paths: &Paths, locks: impl IntoIterator<Item = Lock>) {
    let locks: Vec<Lock> = locks.into_iter().collect();
    // One that a parent shares is the parent's to remove.
    for lock in locks.iter().filter(|lock| lock.file.is_some()) {
        // Who waits for it will see that the file is gone, and make another.
        let _ = fs::remove_file(paths.lock_file(lock.kind));
    }
    let _ = fs::remove_dir(&paths.run_dir);
}

/// Makes the run directory, or checks that nobody else can put his files into it.
fn check_run_dir(path: &Path) -> Result<(), StoreError> {
    files::create_private_dir(path)?;
    let found = fs::metadata(path).map_err(|error| StoreError::io(Action::LookAt, path, error))?;
    if found.permissions().mode() & 0o002 != 0 {
        return Err(StoreError::NotPrivate {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, StoreError> {
    if let Ok(target) = fs::read_link(path) {
        return Err(StoreError::Linked {
            path: path.to_owned(),
            target,
            option: "--run-dir",
        });
    }
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    let file = open.map_err(|error| StoreError::io(Action::Open, path, error))?;
    let found = file
        .metadata()
        .map_err(|error| StoreError::io(Action::LookAt, path, error))?;
    if !found.is_file() {
        return Err(StoreError::WrongKind {
            path: path.to_owned(),
            expected: Expected::File,
        });
    }
    Ok(file)
}

/// Whether `file` is still what `path` leads to.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let command = command(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()));
    let pid = std::process::id();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("`{}` (process {pid})\n", printable(&command)).as_bytes())
}

/// Returns the program's name, and its first argument if that looks like a subcommand: any other
/// may hold a secret.
fn command(mut args: impl Iterator<Item = String>) -> String {
    let program = args.next().unwrap_or_default();
    let program = Path::new(&program)
        .file_name()
        .map_or("pm".into(), |name| name.to_string_lossy());
    let is_word = |arg: &String| {
        arg.len() <= MAX_WORD_BYTES
            && arg.starts_with(|c: char| c.is_ascii_lowercase())
            && arg.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    match args.next().filter(is_word) {
        Some(subcommand) => format!("{program} {subcommand}"),
        None => program.into_owned(),
    }
}

fn read_holder(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_HOLDER_BYTES).read_to_end(&mut bytes));
    let text = printable(String::from_utf8_lossy(&bytes).trim());
    if read.is_err() || text.is_empty() {
        UNKNOWN_HOLDER.to_owned()
    } else {
        text
    }
}

/// Drops what could steer the terminal of whoever is shown it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> String {
        command(args.iter().map(|&arg| arg.to_owned()))
    }

    #[test]
    fn a_holder_is_named_without_its_arguments() {
        assert_eq!(shown(&["/usr/bin/pm", "add", "20000"]), "pm add");
        assert_eq!(shown(&["pm", "--token", "abc"]), "pm");
        assert_eq!(shown(&["pm", "--monitor"]), "pm");
        assert_eq!(shown(&["pm", "TOKEN123"]), "pm");
        assert_eq!(shown(&[]), "pm");
    }

    #[test]
    fn a_holder_cannot_steer_the_terminal() {
        assert_eq!(printable("pm\u{1b}[2J\n"), "pm[2J");
    }
}
