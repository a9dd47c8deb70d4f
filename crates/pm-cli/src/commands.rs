//! One module a subcommand; each parses its flags into a request, calls the engine and prints.

mod change;
mod config;
mod doctor;
mod list;
mod monitor;
mod teardown;

use std::process::ExitCode;

use anyhow::Result;
use pm_core::request::Request;
use pm_engine::Engine;
use pm_nft::Nftables;
use pm_store::paths::Paths;

use crate::cli::{Cli, Command, Places, Reading};

/// Runs what the command line says.
///
/// # Errors
///
/// Whatever failed; nothing was printed to stdout about it.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let places = cli.places;
    let command = match cli.command {
        Some(command) => command,
        None if cli.monitor => Command::Monitor,
        None => Command::List(Reading { json: false }),
    };
    match command {
        Command::Add(add) => {
            let settings = add.settings.settings();
            let request = Request::Add {
                ports: add.ports,
                settings,
                or_set: add.or_set,
            };
            change::run(&places, &request, add.options)
        }
        Command::Set(set) => {
            let ports = set.ports.selection();
            let settings = set.settings.settings();
            change::run(
                &places,
                &Request::Set {
                    ports,
                    settings,
                    used: set.used,
                },
                set.options,
            )
        }
        Command::Del(flags) => {
            let request = Request::Delete {
                ports: flags.ports.selection(),
            };
            change::run(&places, &request, flags.options)
        }
        Command::Reset(flags) => {
            let request = Request::Reset {
                ports: flags.ports.selection(),
            };
            change::run(&places, &request, flags.options)
        }
        Command::Block(flags) => {
            let request = Request::Block {
                ports: flags.ports.selection(),
            };
            change::run(&places, &request, flags.options)
        }
        Command::Unblock(flags) => {
            let request = Request::Unblock {
                ports: flags.ports.selection(),
            };
            change::run(&places, &request, flags.options)
        }
        Command::List(reading) => list::all(&places, reading),
        Command::Show(show) => list::one(&places, &show.ports, show.reading),
        Command::Config(command) => config::run(&places, command),
        Command::Monitor => monitor::tick(&places),
        Command::Restore => monitor::restore(&places),
        Command::Teardown(flags) => teardown::run(&places, flags.dry_run),
        Command::Doctor(reading) => doctor::run(&places, reading),
    }
}

/// Returns pm on this host.
fn engine(places: &Places) -> Result<Engine<Nftables>> {
    Ok(Engine::new(paths(places), Nftables::open()?))
}

fn paths(places: &Places) -> Paths {
    Paths::new(
        places.config_dir.clone(),
        places.state_dir.clone(),
        places.run_dir.clone(),
    )
}
