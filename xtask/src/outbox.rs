//! A lab's outbox, from outside: somebody who is not root owns it, and what waits in it can be made older.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::fcntl::{Flock, FlockArg};

use crate::lab::Lab;
use crate::namespace::run;

/// A user who can deliver: `nobody`.
pub(crate) const DELIVERER: u32 = 65_534;

pub(crate) fn directory(lab: &Lab) -> PathBuf {
    lab.state_dir().join("outbox")
}

/// Makes the outbox's directory, and lets its owner come there.
pub(crate) fn make(lab: &Lab) -> Result<()> {
    let outbox = directory(lab);
    fs::create_dir_all(&outbox)?;
    chown(&outbox, Some(DELIVERER), Some(DELIVERER))?;
    for directory in [lab.directory(), &lab.state_dir()] {
        fs::set_permissions(directory, Permissions::from_mode(0o711))?;
    }
    Ok(())
}

/// Holds up whoever delivers, as long as it lives.
pub(crate) fn hold(lab: &Lab) -> Result<Flock<File>> {
    let path = directory(lab).join("deliver.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    chown(&path, Some(DELIVERER), Some(DELIVERER))?;
    let held = Flock::lock(file, FlockArg::LockExclusive);
    held.map_err(|(_, errno)| anyhow::anyhow!("cannot lock: {errno}"))
}

/// Does something to the outbox's tables.
pub(crate) fn sql(lab: &Lab, script: &str) -> Result<()> {
    sql_in(&directory(lab).join("outbox.db"), script)
}

/// Does something to the tables of a database.
pub(crate) fn sql_in(database: &Path, script: &str) -> Result<()> {
    let program = "import sqlite3, sys\n\
                   with sqlite3.connect(sys.argv[1], timeout=10) as db: db.executescript(sys.argv[2])";
    let mut command = Command::new("python3");
    command.args(["-c", program]);
    command.arg(database).arg(script);
    run(&mut command, None)?.success().map(drop)
}
