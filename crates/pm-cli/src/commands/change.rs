//! Everything that changes services: `add`, `set`, `del`, `reset`, `block`, `unblock`.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::request::Request;
use pm_engine::Options;

use crate::cli::{ChangeOptions, Places};
use crate::output::errors;
use crate::output::words;
use crate::output::{say, tell};

/// Carries out `request` and says what changed.
pub(crate) fn run(places: &Places, request: &Request, options: ChangeOptions) -> Result<ExitCode> {
    let options = Options {
        force: options.force,
        dry_run: options.dry_run,
    };
    let executed = super::engine(places)?.execute(request, options)?;
    for event in executed.events.iter().filter(|event| words::is_news(event)) {
        tell!("{}", words::event(event));
    }
    for warning in &executed.warnings {
        tell!("{}", words::warning(warning));
    }
    for error in &executed.leftover {
        tell!("{}", errors::leftover(error));
    }
    if executed.torn_down {
        tell!("{}", words::not_in_force());
    }
    if options.dry_run {
        say!("Nothing was changed. `{request}` would do this:");
    }
    for line in words::changes(&executed) {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}
