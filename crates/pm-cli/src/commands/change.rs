//! Everything that changes services, groups or pm's own settings.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::config::Config;
use pm_core::request::Request;
use pm_engine::{EngineError, Executed, Options, Seen};

use crate::cli::{ChangeOptions, Places};
use crate::language::tr;
use crate::output::errors;
use crate::output::words;
use crate::output::{say, tell};

/// Carries out `request` and says what changed. A limit that was asked for and is not in force
/// makes it a failure, though the rest was done.
pub(crate) fn run(places: &Places, request: &Request, options: ChangeOptions) -> Result<ExitCode> {
    run_and_say(places, request, options, |_| Vec::new())
}

/// The same, and says what else comes of it, a line each.
pub(crate) fn run_and_say(
    places: &Places,
    request: &Request,
    options: ChangeOptions,
    else_comes: impl FnOnce(&Executed) -> Vec<String>,
) -> Result<ExitCode> {
    let options = engine_options(options);
    let executed = super::engine(places)?.execute(request, options)?;
    let code = tell(request, options, &executed)?;
    for line in else_comes(&executed) {
        say!("{line}");
    }
    Ok(code)
}

/// The same, if the configuration is still the one that the request was made for.
pub(crate) fn run_on(
    places: &Places,
    config: &Config,
    request: &Request,
    options: ChangeOptions,
) -> Result<ExitCode> {
    let options = engine_options(options);
    let seen = Seen {
        config,
        state: None,
    };
    let executed = super::engine(places)?.execute_on(seen, request, options)?;
    tell(request, options, &executed)
}

/// The same, and says only what is amiss.
pub(crate) fn quietly_on(
    places: &Places,
    config: &Config,
    request: &Request,
    options: ChangeOptions,
) -> Result<ExitCode> {
    let options = engine_options(options);
    let seen = Seen {
        config,
        state: None,
    };
    let executed = super::engine(places)?.execute_on(seen, request, options)?;
    tell_what_is_amiss(&executed);
    Ok(code(request, &executed))
}

fn engine_options(options: ChangeOptions) -> Options {
    Options {
        force: options.force,
        dry_run: options.dry_run,
    }
}

fn tell_what_is_amiss(executed: &Executed) {
    for event in executed.events.iter().filter(|event| words::is_news(event)) {
        tell!("{}", words::event(event));
    }
    for warning in &executed.warnings {
        tell!("{}", words::warning(warning));
    }
    for error in &executed.leftover {
        tell!("{}", errors::leftover(error));
    }
    for error in &executed.problems {
        tell!("{}", errors::problem(error));
    }
    if executed.torn_down {
        tell!("{}", words::not_in_force());
    }
}

fn tell(request: &Request, options: Options, executed: &Executed) -> Result<ExitCode> {
    tell_what_is_amiss(executed);
    if options.dry_run {
        say!(
            "{}",
            tr!(
                "Nothing was changed. `{request}` would do this:",
                "没有做任何改动。`{request}` 会这样改："
            )
        );
    }
    for line in words::changes(request, executed) {
        say!("{line}");
    }
    let is_restored = executed.before != executed.after || executed.stale_config.is_some();
    if let Request::Restore { .. } = request
        && !options.dry_run
        && is_restored
    {
        say!("{}", words::way_back());
    }
    Ok(code(request, executed))
}

/// Limits that were asked for and are not in force make it a failure.
fn code(request: &Request, executed: &Executed) -> ExitCode {
    let is_about_limits = request.needs_shaping(&executed.before)
        || executed.before.classifier != executed.after.classifier
        || matches!(request, Request::SetClassifier(_));
    let is_failure = |problem: &EngineError| !matches!(problem, EngineError::NoUplink);
    if is_about_limits && executed.problems.iter().any(is_failure) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
