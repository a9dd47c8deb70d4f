//! How pm's minute comes round on a host, and what calls it at boot and shutdown: decided from facts alone.

use std::fmt;
use std::path::PathBuf;

/// What starts services here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Init {
    /// systemd.
    Systemd,
    /// OpenRC, as on Alpine and Gentoo.
    OpenRc,
    /// Scripts in `/etc/init.d` and links in `/etc/rc?.d`.
    SysVinit,
    /// Nothing that pm knows, as in many containers.
    Unknown,
}

/// What calls the tick once a minute.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Schedule {
    /// A timer of systemd's.
    Timer,
    /// A file in `/etc/cron.d`.
    CronDirectory,
    /// A line in root's crontab, for a cron that reads nothing else, such as BusyBox's.
    Crontab(PathBuf),
    /// Nothing that pm knows.
    None,
}

/// What was seen of a host, as far as it matters here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// `/run/systemd/system` is a directory: systemd is not only installed, but runs.
    ///
    /// Source: sd_booted(3).
    pub systemd_runs: bool,
    /// There is `openrc-run`, the interpreter of OpenRC's scripts.
    pub openrc_run: bool,
    /// There are `/etc/init.d` and `/etc/rc2.d`. Packages make them in containers, too.
    pub rc_directories: bool,
    /// There is an `init`, and it is not systemd's or BusyBox's.
    pub sysv_init: bool,
    /// There is `/etc/cron.d`.
    pub cron_directory: bool,
    /// There is a cron that is not BusyBox's.
    pub full_cron: bool,
    /// There is BusyBox's cron.
    pub busybox_cron: bool,
    /// The directory of crontabs that is there: `/etc/crontabs` or below `/var/spool`.
    pub crontabs: Option<PathBuf>,
}

impl Facts {
    /// Returns what starts services.
    pub fn init(&self) -> Init {
        if self.systemd_runs {
            Init::Systemd
        } else if self.openrc_run {
            // Before sysvinit: Debian's OpenRC keeps the directories of that.
            Init::OpenRc
        } else if self.rc_directories && self.sysv_init {
            Init::SysVinit
        } else {
            Init::Unknown
        }
    }

    /// Returns what calls the tick.
    pub fn schedule(&self) -> Schedule {
        if self.systemd_runs {
            return Schedule::Timer;
        }
        // A directory alone proves nothing: packages put files there for a cron that is not installed.
        if self.cron_directory && self.full_cron {
            return Schedule::CronDirectory;
        }
        match &self.crontabs {
            Some(directory) if self.busybox_cron || self.full_cron => {
                Schedule::Crontab(directory.join("root"))
            }
            _ => Schedule::None,
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Systemd => "systemd",
            Self::OpenRc => "OpenRC",
            Self::SysVinit => "sysvinit",
            Self::Unknown => "-",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian() -> Facts {
        Facts {
            rc_directories: true,
            sysv_init: true,
            cron_directory: true,
            full_cron: true,
            crontabs: Some("/var/spool/cron/crontabs".into()),
            ..Facts::default()
        }
    }

    #[test]
    fn systemd_counts_where_it_runs() {
        let facts = Facts {
            systemd_runs: true,
            ..debian()
        };
        assert_eq!(
            (facts.init(), facts.schedule()),
            (Init::Systemd, Schedule::Timer)
        );
    }

    #[test]
    fn a_debian_without_systemd_has_cron_and_sysvinit() {
        let facts = debian();
        assert_eq!(
            (facts.init(), facts.schedule()),
            (Init::SysVinit, Schedule::CronDirectory)
        );
    }

    #[test]
    fn an_alpine_has_openrc_and_a_crontab_of_busybox() {
        let facts = Facts {
            openrc_run: true,
            busybox_cron: true,
            // Some package's; BusyBox does not read it.
            cron_directory: true,
            crontabs: Some("/etc/crontabs".into()),
            ..Facts::default()
        };
        assert_eq!(facts.init(), Init::OpenRc);
        assert_eq!(
            facts.schedule(),
            Schedule::Crontab("/etc/crontabs/root".into())
        );
    }

    #[test]
    fn a_container_may_have_nothing() {
        let facts = Facts {
            rc_directories: true,
            cron_directory: true,
            crontabs: Some("/var/spool/cron/crontabs".into()),
            ..Facts::default()
        };
        assert_eq!(
            (facts.init(), facts.schedule()),
            (Init::Unknown, Schedule::None)
        );
    }
}
