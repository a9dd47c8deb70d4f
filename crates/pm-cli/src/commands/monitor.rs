//! The minute's tick, and putting everything back at boot.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::event::Event;
use pm_engine::{EngineError, Moved, Ticked};
use pm_store::StoreError;

use crate::cli::{Messages, Monitor, Places};
use crate::language::tr;
use crate::output::{self, errors, words};
use crate::output::{say, tell};

/// Does one tick. Silent unless something happened; leaves at once when another pm is at it, unless
/// it is to wait.
pub(crate) fn tick(places: &Places, flags: Monitor) -> Result<ExitCode> {
    redirect(flags.messages);
    let mut engine = super::engine_regardless(places)?;
    tell_of(match flags.wait {
        true => engine.tick_after_others()?,
        false => engine.tick()?,
    })
}

/// Does what of a tick leaves the kernel alone, for an update that tries a new pm. It fails where
/// another pm is at it: nothing was tried then.
pub(crate) fn account(places: &Places) -> Result<ExitCode> {
    match super::engine(places)?.account()? {
        Ticked::Busy => Ok(ExitCode::FAILURE),
        done => tell_of(done),
    }
}

fn tell_of(ticked: Ticked) -> Result<ExitCode> {
    match ticked {
        Ticked::Busy => Ok(ExitCode::SUCCESS),
        Ticked::Done {
            events,
            leftover,
            problems,
            untold,
            stale_config,
        } => {
            if let Some(error) = &untold {
                tell!("{}", errors::untold(error));
            }
            Ok(report(&events, &leftover, &problems, stale_config.as_ref()))
        }
    }
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

/// Logs what happened. Limits that are not in force make the run a failed one, and so does a
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
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
