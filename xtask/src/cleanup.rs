//! Leaves nothing behind when a run is interrupted.
//!
//! Whatever outlives a process (another one, a namespace, a mount, a directory) is registered here when it is made
//! and struck off when its owner removes it. `Drop` does the removing, also while a panic unwinds; Ctrl-C and
//! SIGTERM run no destructors, so a thread waits for them and removes what is still on the list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

/// Something that outlives this process unless it is removed. Removed in this order.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Leftover {
    /// A process that was started here and not yet waited for.
    Process(u32),
    /// A named network namespace, with the processes in it.
    Namespace(String),
    /// A mounted file system.
    Mount(PathBuf),
    /// A directory and what is in it.
    Directory(PathBuf),
}

static LEFTOVERS: Mutex<BTreeSet<Leftover>> = Mutex::new(BTreeSet::new());

/// Makes Ctrl-C and SIGTERM remove every registered leftover before the process ends.
///
/// Call it before the first thread starts: the signals are blocked in the caller and in all threads it starts later.
///
/// # Errors
///
/// When the signals cannot be blocked.
pub(crate) fn on_interrupt() -> anyhow::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    signals.thread_block()?;
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            let all = std::mem::take(&mut *lock());
            all.iter().for_each(remove);
            std::process::exit(128 + signal as i32);
        }
    });
    Ok(())
}

/// Registers what now exists.
pub(crate) fn register(leftover: Leftover) {
    lock().insert(leftover);
}

/// Removes a leftover and strikes it off the list. What is already gone is fine.
pub(crate) fn discard(leftover: &Leftover) {
    remove(leftover);
    lock().remove(leftover);
}

fn lock() -> std::sync::MutexGuard<'static, BTreeSet<Leftover>> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(leftover: &Leftover) {
    match leftover {
        Leftover::Process(id) => {
            if let Ok(id) = i32::try_from(*id) {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
        Leftover::Namespace(name) => {
            for pid in pids(name) {
                let _ = kill(pid, Signal::SIGKILL);
            }
            quietly(Command::new("ip").args(["netns", "del", name]));
        }
        Leftover::Mount(path) => quietly(Command::new("umount").arg("--lazy").arg(path)),
        Leftover::Directory(path) => remove_directory(path),
    }
}

/// The processes whose network namespace is `name`: only what a lab started runs there.
fn pids(name: &str) -> Vec<Pid> {
    let Ok(output) = Command::new("ip").args(["netns", "pids", name]).output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

fn quietly(command: &mut Command) {
    let _ = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

fn remove_directory(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
}
