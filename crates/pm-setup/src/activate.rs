//! Starting what setup wrote, and stopping it before it is removed.

use crate::error::SetupError;
use crate::init::Init;
use crate::openrc;
use crate::root::Root;
use crate::systemd;
use crate::sysvinit;
use crate::tools::Tools;

/// Starts what was written for `init`: the rules are in the kernel, and the minutes begin. `changed`: something of
/// it is new.
///
/// # Errors
///
/// What the host's own program says.
pub fn start(
    root: &Root,
    tools: &mut impl Tools,
    init: Init,
    pm: &str,
    changed: bool,
) -> Result<(), SetupError> {
    match init {
        Init::Systemd => {
            // Always: an earlier run may have written the files and got no further.
            tools.run("systemctl", &["daemon-reload"])?;
            let verb = if changed { "restart" } else { "start" };
            tools.run("systemctl", &[verb, systemd::MAIN])?;
            tools.run("systemctl", &["restart", systemd::WAKE])?;
            tools.run("systemctl", &["restart", systemd::TIMER])
        }
        Init::OpenRc if openrc_runs(root) => tools.run("rc-service", &[openrc::NAME, "start"]),
        Init::SysVinit => tools.run(sysvinit::FILE, &["start"]),
        Init::OpenRc | Init::Unknown => tools.run(pm, &["restore", "--boot"]),
    }
}

/// Does one tick as the timer will. In its sandbox it may fail where pm itself does not: a container may not allow it.
///
/// # Errors
///
/// What systemd says; the timer goes on trying.
pub fn try_tick(tools: &mut impl Tools, init: Init) -> Result<(), SetupError> {
    match init {
        Init::Systemd => tools.run("systemctl", &["start", systemd::TICK]),
        Init::OpenRc | Init::SysVinit | Init::Unknown => Ok(()),
    }
}

/// Stops what calls pm, as far as it is there; a last tick is done where the host would do one at shutdown.
///
/// # Errors
///
/// All there were: each is tried.
pub fn stop(root: &Root, tools: &mut impl Tools, init: Init) -> Result<(), Vec<SetupError>> {
    let mut errors = Vec::new();
    match init {
        Init::Systemd => {
            // The timer first, so that nothing starts again.
            for unit in [
                systemd::TIMER,
                systemd::TICK,
                systemd::ONLINE,
                systemd::MAIN,
                systemd::WAKE,
                systemd::DELIVERY,
            ] {
                let is_there = root.has_file(format!("{}/{unit}", systemd::DIRECTORY));
                if is_there {
                    errors.extend(tools.run("systemctl", &["stop", unit]).err());
                }
            }
        }
        Init::OpenRc if openrc_runs(root) && root.has_file(openrc::FILE) => {
            errors.extend(tools.run("rc-service", &[openrc::NAME, "stop"]).err());
        }
        Init::OpenRc | Init::SysVinit | Init::Unknown => {}
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Lets the host forget what was removed.
///
/// # Errors
///
/// What the host's own program says.
pub fn forget(tools: &mut impl Tools, init: Init) -> Result<(), SetupError> {
    match init {
        Init::Systemd => {
            tools.run("systemctl", &["daemon-reload"])?;
            // Fails where none has failed, or is known any more.
            let _ = tools.run("systemctl", &["reset-failed", "port-monitor*"]);
            Ok(())
        }
        Init::OpenRc | Init::SysVinit | Init::Unknown => Ok(()),
    }
}

/// Whether OpenRC is what runs, and not only installed.
fn openrc_runs(root: &Root) -> bool {
    root.has_file("/run/openrc/softlevel")
}
