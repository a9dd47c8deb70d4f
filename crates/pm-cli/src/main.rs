//! The `pm` command: parses flags into requests, calls the engine, prints what it says.

mod cli;
mod commands;
mod language;
mod output;
mod wizard;

use std::process::ExitCode;

use pm_store::config_file;
use pm_store::paths::Paths;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    speak(None);
    let cli = cli::Cli::read();
    speak(Some(&cli));
    output::grid::use_ascii(!language::is_utf8(|name| std::env::var(name).ok()));
    let filter = EnvFilter::try_from_env("PM_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    match commands::run(cli) {
        Ok(code) => code,
        // A reader that leaves (`pm list | head -1`) has seen what he wanted.
        Err(error) if output::errors::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::errors::print(&error);
            ExitCode::FAILURE
        }
    }
}

/// Speaks the language that is asked for: by the command line as it stands, before it is parsed.
fn speak(cli: Option<&cli::Cli>) {
    let asked = match cli {
        Some(cli) => cli.lang,
        None => language::asked(std::env::args_os().filter_map(|word| word.into_string().ok())),
    };
    let paths = match cli {
        Some(cli) => commands::paths(&cli.places),
        None => Paths::new(
            std::env::var_os("PM_CONFIG_DIR").map(Into::into),
            None,
            None,
        ),
    };
    let configured = asked.or_else(|| config_file::language(&paths));
    language::speak(language::choose(asked, configured, |name| {
        std::env::var(name).ok()
    }));
}
