//! The minute's tick, and putting everything back at boot.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use pm_core::backend::BackendError;
use pm_core::event::Event;
use pm_engine::{EngineError, Moved, Ticked};
use pm_setup::{Root, predecessor, program};
use pm_store::{StoreError, config_file};
use pm_update::trial::WITH_PROBLEMS;

use crate::cli::{Messages, Monitor, Places};
use crate::language::tr;
use crate::output::{self, errors, words};
use crate::output::{say, tell};

/// Does one tick. Silent unless something happened; leaves at once when another pm is at it, unless
/// it is to wait.
pub(crate) fn tick(places: &Places, flags: Monitor) -> Result<ExitCode> {
    redirect(flags.messages);
    let mut engine = super::engine_regardless(places)?;
    let ticked = match flags.wait {
        true => engine.tick_after_others(),
        false => engine.tick(),
    };
    // At shutdown there is no time for it.
    if let (
        Ok(Ticked::Done {
            backup: Some(schedule),
            ..
        }),
        false,
    ) = (&ticked, flags.wait)
        && let Err(error) = engine.back_up_if_due(*schedule, env!("CARGO_PKG_VERSION"))
    {
        tell!("{}", errors::no_backup(&error));
    }
    tell_of(ticked)
}

/// Does what `pm --monitor` means: a tick, unless it comes from pm.sh's own line in a crontab.
///
/// That line names this program since `install.sh` has moved pm.sh aside. As long as the configuration is pm.sh's, it
/// does its own minute: what it has to save before a reboot, and whom it has to cut off, does not wait for the takeover.
pub(crate) fn tick_from_pm_shs_cron(places: &Places) -> Result<ExitCode> {
    match pm_sh(places) {
        Some(script) => Err(Command::new(&script).arg("--monitor").exec())
            .with_context(|| script.display().to_string()),
        None => tick(places, Monitor::default()),
    }
}

/// Returns pm.sh's program, where it is kept beside this one and still in charge.
fn pm_sh(places: &Places) -> Option<PathBuf> {
    let root = Root::of_host();
    let pm = std::env::current_exe().and_then(|path| path.canonicalize());
    let script = predecessor::of(&root, &pm.ok()?)?;
    let loaded = config_file::load(&super::paths(places));
    let is_in_charge = matches!(loaded, Err(StoreError::ConfigOfPmSh { .. }));
    let is_its = || root.text(&script).contains("port_monitor");
    // Nothing that somebody but root can change is run by root.
    let is_safe = || program::check(&root, &script).is_ok();
    (is_in_charge && is_safe() && is_its()).then_some(script)
}

/// Does what of a tick leaves the kernel alone, for an update that tries a new pm. It fails where
/// another pm is at it: nothing was tried then.
pub(crate) fn account(places: &Places) -> Result<ExitCode> {
    match super::engine(places)?.account() {
        Ok(Ticked::Busy) => Ok(ExitCode::FAILURE),
        done => tell_of(done),
    }
}

fn tell_of(ticked: Result<Ticked, EngineError>) -> Result<ExitCode> {
    let ticked = match ticked {
        Err(error) if is_pm_shs(&error) => {
            errors::print(&error.into());
            return Ok(ExitCode::from(WITH_PROBLEMS));
        }
        ticked => ticked?,
    };
    match ticked {
        Ticked::Busy => Ok(ExitCode::SUCCESS),
        Ticked::Done {
            events,
            leftover,
            problems,
            untold,
            stale_config,
            backup: _,
        } => {
            if let Some(error) = &untold {
                tell!("{}", errors::untold(error));
            }
            Ok(report(&events, &leftover, &problems, stale_config.as_ref()))
        }
    }
}

/// Whether all that keeps pm from its work is pm.sh's, which is left alone until it is taken over.
fn is_pm_shs(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Store(StoreError::ConfigOfPmSh { .. })
            | EngineError::Kernel(BackendError::ForeignTable)
    )
}

/// Puts all rules into the kernel; at `boot`, unless they were taken out on purpose.
pub(crate) fn restore(
    places: &Places,
    anew: bool,
    boot: bool,
    messages: Messages,
) -> Result<ExitCode> {
    redirect(messages);
    let mut engine = super::engine_regardless(places)?;
    if boot {
        // Nobody is there to be told that all is well.
        let moved = engine.restore_at_boot()?;
        return Ok(moved.map_or(ExitCode::SUCCESS, |moved| report_move(&moved)));
    }
    let moved = engine.restore(anew)?;
    let code = report_move(&moved);
    let services = words::services(moved.services);
    say!(
        "{}",
        tr!("In the kernel: {services}.", "已装入内核：{services}。")
    );
    Ok(code)
}

fn redirect(messages: Messages) {
    if messages.log_to_file {
        output::tell_log_file();
    }
}

/// Logs what happened on the way into the kernel, or out of it.
pub(crate) fn report_move(moved: &Moved) -> ExitCode {
    report(
        &moved.events,
        &moved.leftover,
        &moved.problems,
        moved.stale_config.as_ref(),
    )
}

/// Logs what happened. Limits that are not in force have an exit code of their own, and so has a
/// configuration that cannot be used, although everything was done by the last good one: somebody
/// must mend it.
fn report(
    events: &[Event],
    leftover: &[EngineError],
    problems: &[EngineError],
    stale_config: Option<&StoreError>,
) -> ExitCode {
    for event in events {
        tell!("{}", words::event(event));
    }
    for error in leftover {
        tell!("{}", errors::leftover(error));
    }
    for error in problems {
        tell!("{}", errors::problem(error));
    }
    if let Some(error) = stale_config {
        tell!("{}", errors::stale_config(error));
    }
    // Before the network is up there is no route, and nothing to mend.
    let is_failure = |problem: &EngineError| !matches!(problem, EngineError::NoUplink);
    if stale_config.is_some() || problems.iter().any(is_failure) {
        ExitCode::from(WITH_PROBLEMS)
    } else {
        ExitCode::SUCCESS
    }
}
