//! `pm push`: the state of all services, sent to a receiver each minute.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::request::{NotifyRefusal, Refusal};
use pm_engine::EngineError;
use pm_notify::Outcome;

use crate::cli::secrets::Secrets;
use crate::cli::{Places, Push as Command, Reading};
use crate::commands::{change, config, notify};
use crate::output::{json, push as shown, say, tell};

/// Runs one of the subcommands of `push`.
pub(crate) fn run(places: &Places, command: Command) -> Result<ExitCode> {
    match command {
        Command::Change(command) => {
            let (request, options) = command.request(&mut Secrets::of_process())?;
            change::run(places, &request, options)
        }
        Command::Now => now(places),
        Command::Status(reading) => status(places, reading),
    }
}

fn now(places: &Places) -> Result<ExitCode> {
    let mut engine = super::engine(places)?;
    let view = engine.view()?;
    let push = view.config.push.clone().ok_or_else(|| {
        let refusal: Refusal = NotifyRefusal::NoPush.into();
        EngineError::from(refusal)
    })?;
    let outcome = engine.push_now(&push, &view)?;
    if !push.enabled {
        tell!("{}", shown::is_off());
    }
    let said = shown::pushed(&push, &outcome);
    if let Outcome::Delivered { .. } = outcome {
        say!("{said}");
        return Ok(ExitCode::SUCCESS);
    }
    tell!("{said}");
    Ok(ExitCode::FAILURE)
}

fn status(places: &Places, reading: Reading) -> Result<ExitCode> {
    let config = config::current(places)?;
    let standing = notify::standing(places, &config).push;
    if reading.json {
        say!("{}", json::push(&config, standing.as_ref())?);
    } else {
        let zone = pm_engine::zone(&config);
        let push = config.push.as_ref();
        say!("{}", shown::status(push, standing.as_ref(), &zone));
    }
    Ok(ExitCode::SUCCESS)
}
