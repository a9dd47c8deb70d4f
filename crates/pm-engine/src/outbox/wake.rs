//! Starting who delivers.
//!
//! A file wakes him: under systemd a unit watches whether it is there, elsewhere he is started,
//! too. He removes it before he looks what there is to do, so that what comes while he is at it
//! wakes him again.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Owner;
use crate::EngineError;

/// The file that wakes him.
pub(crate) const FILE: &str = "wake";

/// What shows that systemd runs, and that it watches.
const WATCHED: [&str; 2] = [
    "/run/systemd/system",
    "/etc/systemd/system/port-monitor-deliver.path",
];

/// Has what is due delivered, without waiting for it.
///
/// # Errors
///
/// `NoOutbox`, `NotStarted`; the next tick tries again.
pub(crate) fn start(directory: &Path, owner: Owner) -> Result<(), EngineError> {
    owner.act(|| wake(directory))??;
    if WATCHED.iter().all(|path| fs::exists(path).unwrap_or(false)) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(EngineError::NotStarted)?;
    let mut command = Command::new(program);
    command
        .arg("deliver")
        .arg("--outbox")
        .arg(directory)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Away from whatever stops what started this.
        .process_group(0);
    if nix::unistd::geteuid().is_root() {
        // The system's other groups go, too.
        command.gid(owner.group).uid(owner.user);
    }
    // Whoever comes after this process is done reaps him.
    command.spawn().map(drop).map_err(EngineError::NotStarted)
}

fn wake(directory: &Path) -> Result<(), EngineError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(directory.join(FILE));
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(EngineError::NotStarted(error))
        }
        _ => Ok(()),
    }
}

/// Takes note that he was woken; says whether he was.
pub(crate) fn answer(directory: &Path) -> bool {
    fs::remove_file(directory.join(FILE)).is_ok()
}

/// Whether somebody woke him who was not answered yet.
pub(crate) fn is_woken(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(FILE)).is_ok()
}
