//! Who may change what: three locks on files in the run directory.
//!
//! - Taken in the order *edit*, *write*, *tick*, and given back in any. Whoever needs a lock
//!   that comes before one he holds gives that one back first.
//! - They are flock(2) locks: they vanish with their process, however it ends. The file stays,
//!   and what it says counts only while it is locked.
//! - The run directory must stay while locks are held: with the file gone, the next process
//!   would make and lock another one. (For systemd: `RuntimeDirectoryPreserve=yes`.)

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fd_lock::RwLock;
use nix::fcntl::OFlag;

use crate::error::StoreError;
use crate::files;
use crate::paths::Paths;

/// Which lock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LockKind {
    /// The wizard's, for as long as it runs: a second wizard is told who edits. Nothing waits
    /// for it.
    Edit,
    /// Held from loading the configuration until it is saved.
    Write,
    /// Held by whoever reads counters, or writes the state or the kernel.
    Tick,
}

/// The three locks, and the name under which this process holds them.
#[derive(Clone, Debug)]
pub struct Locks {
    paths: Paths,
    holder: String,
}

/// A lock that is held. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "the lock is given back at once if this is dropped"]
pub struct LockGuard {
    kind: LockKind,
    /// Locked, without fd-lock's guard, which would have to borrow it: closing the file unlocks.
    file: File,
}

/// How long to wait before looking at a held lock again.
const POLL: Duration = Duration::from_millis(20);

/// How often to open a lock file that is removed again and again.
const REOPENINGS: u32 = 10;

/// The most of a lock file that is believed to be a holder's name.
const MAX_HOLDER_BYTES: u64 = 200;

impl Locks {
    /// Returns the locks of `paths`, to be held in the name of `command`.
    ///
    /// `command` is shown to whoever waits: the program and its subcommand, never an argument
    /// that may hold a secret.
    pub fn new(paths: &Paths, command: &str) -> Self {
        let holder = format!("`{}` (process {})", printable(command), std::process::id());
        Self {
            paths: paths.clone(),
            holder,
        }
    }

    /// Returns the locks of `paths`, to be held in the name of this process: its program, and
    /// its first argument if that looks like a subcommand.
    pub fn for_this_process(paths: &Paths) -> Self {
        let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
        let program = args.next().unwrap_or_default();
        let program = Path::new(&program)
            .file_name()
            .map(|name| name.to_string_lossy());
        let mut command = program.map_or_else(|| "pm".to_owned(), |name| name.into_owned());
        let is_word = |arg: &String| {
            arg.starts_with(|c: char| c.is_ascii_lowercase())
                && arg.len() <= 20
                && arg.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        if let Some(subcommand) = args.next().filter(is_word) {
            command = format!("{command} {subcommand}");
        }
        Self::new(paths, &command)
    }

    /// Takes a lock, waiting for up to `wait`.
    ///
    /// The run directory and the file are made where they are missing.
    ///
    /// # Errors
    ///
    /// `Held` when another still holds it at the end, `Linked`, `WrongKind` or `NotPrivate` when
    /// the file or the directory is not safe to use, else as the system says; nothing is held.
    pub fn acquire(&self, kind: LockKind, wait: Duration) -> Result<LockGuard, StoreError> {
        let start = Instant::now();
        loop {
            if let Some(guard) = self.try_acquire(kind)? {
                return Ok(guard);
            }
            let left = wait.saturating_sub(start.elapsed());
            if left.is_zero() {
                let path = self.paths.lock_file(kind);
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
    pub fn try_acquire(&self, kind: LockKind) -> Result<Option<LockGuard>, StoreError> {
        check_run_dir(&self.paths.run_dir)?;
        let path = self.paths.lock_file(kind);
        let failed = |error| StoreError::io("lock", &path, error);
        for _ in 0..REOPENINGS {
            let mut lock = RwLock::new(open(&path)?);
            match lock.try_write() {
                // Kept without its borrow; see `LockGuard::file`.
                Ok(guard) => std::mem::forget(guard),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
            let mut file = lock.into_inner();
            if is_at(&file, &path).map_err(failed)? {
                // Only whoever waits reads it: that a full disk keeps the name out is no reason
                // to stop.
                let _ = write_holder(&mut file, &self.holder);
                return Ok(Some(LockGuard { kind, file }));
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
    pub fn write_then_tick(&self, wait: Duration) -> Result<(LockGuard, LockGuard), StoreError> {
        let start = Instant::now();
        let write = self.acquire(LockKind::Write, wait)?;
        let tick = self.acquire(LockKind::Tick, wait.saturating_sub(start.elapsed()))?;
        Ok((write, tick))
    }
}

impl LockGuard {
    /// Returns which lock it is.
    pub fn kind(&self) -> LockKind {
        self.kind
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // Emptied while it is still locked, so that no successor's name is lost.
        let _ = self.file.set_len(0);
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Edit => "edit",
            Self::Write => "write",
            Self::Tick => "tick",
        })
    }
}

/// Makes the run directory, or checks that nobody else can put his files into it.
fn check_run_dir(path: &Path) -> Result<(), StoreError> {
    files::create_private_dir(path)?;
    let found = fs::metadata(path).map_err(|error| StoreError::io("look at", path, error))?;
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
    let file = open.map_err(|error| StoreError::io("open", path, error))?;
    let found = file
        .metadata()
        .map_err(|error| StoreError::io("look at", path, error))?;
    if !found.is_file() {
        return Err(StoreError::WrongKind {
            path: path.to_owned(),
            expected: "file",
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

fn write_holder(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{holder}")
}

fn read_holder(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_HOLDER_BYTES).read_to_end(&mut bytes));
    let text = printable(String::from_utf8_lossy(&bytes).trim());
    if read.is_err() || text.is_empty() {
        "another process".to_owned()
    } else {
        text
    }
}

/// Drops what could steer the terminal of whoever is shown it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
