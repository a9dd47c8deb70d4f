//! The `pm` command: parses flags into requests, calls the engine, prints what it says.

mod cli;
mod commands;
mod output;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = cli::Cli::read();
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
