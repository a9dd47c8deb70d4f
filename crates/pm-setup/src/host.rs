//! What is seen of a host before anything is done to it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::init::{Facts, Init, Schedule};
use crate::openrc;
use crate::root::Root;

/// Where programs are, whatever `PATH` says: cron's often lacks half of them.
const PROGRAM_DIRECTORIES: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Where crontabs are, on one system or another.
pub(crate) const CRONTAB_DIRECTORIES: [&str; 3] = [
    "/etc/crontabs",
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
];

/// What was seen of a host.
#[derive(Clone, Debug)]
pub struct Host {
    /// What starts services.
    pub init: Init,
    /// The runlevel in which services start with the network, where OpenRC starts them.
    pub runlevel: &'static str,
    /// What calls the tick.
    pub schedule: Schedule,
    /// The shells that complete commands.
    pub shells: Vec<Shell>,
}

/// A shell that pm has completions for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// Returns the name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

impl Host {
    /// Looks at the host below `root`.
    pub fn look(root: &Root) -> Self {
        let facts = facts(root);
        let has = |shell: &Shell| program(root, shell.program()).is_some();
        Self {
            init: facts.init(),
            runlevel: openrc::runlevel(root),
            schedule: facts.schedule(),
            shells: Shell::ALL.into_iter().filter(has).collect(),
        }
    }
}

/// Returns where a program is, as the host calls it.
pub fn program(root: &Root, name: &str) -> Option<PathBuf> {
    PROGRAM_DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| is_program(root, path))
}

/// Whether a program is at `path`. A link may be absolute, and then leads out of a root that is not the host's own.
fn is_program(root: &Root, path: &Path) -> bool {
    let place = root.join(path);
    place.is_file() || fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink())
}

/// Returns what decides how pm is called here.
pub fn facts(root: &Root) -> Facts {
    let crons = ["cron", "crond", "fcron"].map(|name| program(root, name));
    let (busybox, full): (Vec<_>, Vec<_>) = crons
        .into_iter()
        .flatten()
        .partition(|path| is_busybox(root, path));
    let crontabs = CRONTAB_DIRECTORIES
        .map(PathBuf::from)
        .into_iter()
        .find(|path| root.has_directory(path));
    Facts {
        systemd_runs: root.has_directory("/run/systemd/system"),
        openrc_run: program(root, "openrc-run").is_some(),
        rc_directories: root.has_directory("/etc/init.d") && root.has_directory("/etc/rc2.d"),
        sysv_init: program(root, "init").is_some_and(|path| is_sysv_init(root, &path)),
        cron_directory: root.has_directory("/etc/cron.d"),
        full_cron: !full.is_empty(),
        busybox_cron: !busybox.is_empty(),
        crontabs,
    }
}

/// Whether a program is a link to BusyBox.
fn is_busybox(root: &Root, path: &Path) -> bool {
    let target = fs::read_link(root.join(path)).unwrap_or_default();
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("busybox")
}

/// Whether an `init` reads `/etc/rc?.d`: systemd's and BusyBox's are links to those.
fn is_sysv_init(root: &Root, path: &Path) -> bool {
    let target = fs::read_link(root.join(path)).unwrap_or_default();
    !target.ends_with("systemd") && !is_busybox(root, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_alpine_is_seen_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for path in ["etc/crontabs", "sbin", "usr/sbin", "bin", "etc/cron.d"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        fs::write(root.join("/sbin/openrc-run"), "").unwrap();
        symlink("/bin/busybox", root.join("/usr/sbin/crond")).unwrap();
        let host = Host::look(&root);
        assert_eq!(host.init, Init::OpenRc);
        assert_eq!(
            host.schedule,
            Schedule::Crontab("/etc/crontabs/root".into())
        );
        assert_eq!(host.shells, []);
    }
}
