//! `pm group`: services that share a quota.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Group as Command, Places};
use crate::commands::{change, list};

/// Runs one of the subcommands of `group`.
pub(crate) fn run(places: &Places, command: Command) -> Result<ExitCode> {
    match command {
        Command::Change(command) => {
            let (request, options) = command.request();
            change::run(places, &request, options)
        }
        Command::List(reading) => list::groups(places, reading),
    }
}
