//! Where the files are.

use std::fmt;
use std::path::{Path, PathBuf};

/// The three directories that everything is in. None of them need exist.
///
/// # Examples
///
/// ```
/// use pm_store::Paths;
///
/// let paths = Paths::new(None, Some("/srv/pm".into()), None);
/// assert_eq!(paths.config_file().to_str(), Some("/etc/port_monitor/config.json"));
/// assert_eq!(paths.state_db().to_str(), Some("/srv/pm/state.db"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths {
    /// What the operator wants.
    pub config_dir: PathBuf,
    /// What happened.
    pub state_dir: PathBuf,
    /// The locks.
    pub run_dir: PathBuf,
}

impl Paths {
    /// Where `config.json` is unless told otherwise.
    pub const CONFIG_DIR: &str = "/etc/port_monitor";
    /// Where `state.db` is unless told otherwise.
    pub const STATE_DIR: &str = "/var/lib/port_monitor";
    /// Where log files are, on a host without a journal.
    pub const LOG_DIR: &str = "/var/log/port_monitor";
    /// Where the locks are unless told otherwise.
    pub const RUN_DIR: &str = "/run/port_monitor";

    /// Returns the directories given, made absolute, and the defaults for the others.
    ///
    /// An empty path counts as not given: that is what `PM_STATE_DIR=` in an environment file
    /// means.
    pub fn new(
        config_dir: Option<PathBuf>,
        state_dir: Option<PathBuf>,
        run_dir: Option<PathBuf>,
    ) -> Self {
        let choose = |given: Option<PathBuf>, default: &str| {
            let path = given.filter(|path| !path.as_os_str().is_empty());
            let path = path.unwrap_or_else(|| default.into());
            // Fails only without a working directory; the path as given then names the trouble.
            std::path::absolute(&path).unwrap_or(path)
        };
        Self {
            config_dir: choose(config_dir, Self::CONFIG_DIR),
            state_dir: choose(state_dir, Self::STATE_DIR),
            run_dir: choose(run_dir, Self::RUN_DIR),
        }
    }

    /// Returns the path of `config.json`.
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("config.json")
    }

    /// Returns the directory of the versions of `config.json` that were replaced.
    pub fn versions_dir(&self) -> PathBuf {
        self.config_dir.join("versions")
    }

    /// Returns the path of `state.db`.
    pub fn state_db(&self) -> PathBuf {
        self.state_dir.join("state.db")
    }

    /// Returns the directory of what waits to be sent, which is the delivering user's.
    pub fn outbox_dir(&self) -> PathBuf {
        self.state_dir.join("outbox")
    }

    /// Returns the directory of the archives that are made by themselves.
    pub fn backups_dir(&self) -> PathBuf {
        self.state_dir.join("backups")
    }

    /// Returns the directory of the archives of what imports replaced.
    pub fn before_import_dir(&self) -> PathBuf {
        self.state_dir.join("before-import")
    }

    /// Returns the directory of the copy that an update goes back to.
    pub fn rollback_dir(&self) -> PathBuf {
        self.state_dir.join("update")
    }

    /// Returns the path of a lock's file.
    pub fn lock_file(&self, kind: LockKind) -> PathBuf {
        self.run_dir.join(format!("{kind}.lock"))
    }
}

/// Which lock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LockKind {
    /// Held by whoever renews pm itself, from the first look to the end. Only another such one
    /// waits for it.
    Update,
    /// The wizard's, for as long as it runs: a second wizard is told who edits. Nothing waits
    /// for it.
    Edit,
    /// Held from loading the configuration until it is saved.
    Write,
    /// Held by whoever reads counters, or writes the state or the kernel.
    Tick,
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Update => "update",
            Self::Edit => "edit",
            Self::Write => "write",
            Self::Tick => "tick",
        })
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new(None, None, None)
    }
}

/// Returns `path` with a suffix added to its file name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let paths = Paths::default();
        assert_eq!(
            paths.versions_dir(),
            Path::new("/etc/port_monitor/versions")
        );
        assert_eq!(
            paths.state_db(),
            Path::new("/var/lib/port_monitor/state.db")
        );
        assert_eq!(
            paths.lock_file(LockKind::Tick),
            Path::new("/run/port_monitor/tick.lock")
        );
    }

    #[test]
    fn an_empty_override_is_none() {
        assert_eq!(Paths::new(Some("".into()), None, None), Paths::default());
    }

    #[test]
    fn a_relative_override_does_not_move_with_the_working_directory() {
        let paths = Paths::new(None, None, Some("run".into()));
        assert!(paths.run_dir.is_absolute() && paths.run_dir.ends_with("run"));
    }
}
