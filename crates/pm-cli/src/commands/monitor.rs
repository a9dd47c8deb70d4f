//! The minute's tick, and putting everything back at boot.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::event::Event;
use pm_engine::{EngineError, Ticked};
use pm_store::StoreError;

use crate::cli::Places;
use crate::output::{errors, words};
use crate::output::{say, tell};

/// Does one tick. Silent unless something happened; leaves at once when another pm is at it.
pub(crate) fn tick(places: &Places) -> Result<ExitCode> {
    match super::engine(places)?.tick()? {
        Ticked::Busy => Ok(ExitCode::SUCCESS),
        Ticked::Done {
            events,
            leftover,
            stale_config,
        } => Ok(report(&events, &leftover, stale_config.as_ref())),
    }
}

/// Puts all rules into the kernel.
pub(crate) fn restore(places: &Places, anew: bool) -> Result<ExitCode> {
    let moved = super::engine(places)?.restore(anew)?;
    let code = report(&moved.events, &moved.leftover, moved.stale_config.as_ref());
    say!("In the kernel: {}.", words::services(moved.services));
    Ok(code)
}

/// Logs what happened. A configuration that cannot be used makes the run a failed one, although
/// everything was done by the last good one: somebody must mend it.
pub(crate) fn report(
    events: &[Event],
    leftover: &[EngineError],
    stale_config: Option<&StoreError>,
) -> ExitCode {
    for event in events {
        tell!("{}", words::event(event));
    }
    for error in leftover {
        tell!("{}", errors::leftover(error));
    }
    match stale_config {
        Some(error) => {
            errors::warn_stale_config(error);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
