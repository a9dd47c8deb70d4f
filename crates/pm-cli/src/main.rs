//! The `pm` command: parses flags into requests, calls the engine, prints what it says.

mod cli;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // A reader that leaves (`pm list | head`) ends pm quietly, as it ends other programs.
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_from_env("PM_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::errors::print(&error);
            ExitCode::FAILURE
        }
    }
}
