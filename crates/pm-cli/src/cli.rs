//! The command line.

mod change;
mod config;
mod group;
mod history;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use pm_core::language::Language;
use pm_core::port::PortList;
use pm_core::request::Selection;

pub(crate) use change::{Change, ChangeOptions};
pub(crate) use config::Config;
pub(crate) use group::Group;
pub(crate) use history::{By, History};

/// Counts what every TCP/UDP port uses, cuts it off at its quota and limits its speed.
///
/// Without a command, shows all services.
#[derive(Debug, Parser)]
#[command(name = "pm", version)]
pub(crate) struct Cli {
    /// Do the minute's tick (same as `pm monitor`)
    #[arg(long)]
    pub(crate) monitor: bool,

    /// Speak English or Chinese, whatever is configured
    #[arg(long, global = true, value_name = "en|zh")]
    pub(crate) lang: Option<Language>,

    #[command(flatten)]
    pub(crate) places: Places,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Returns the command line, or ends the process with what is wrong about it.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        if cli.monitor && cli.command.is_some() {
            let message = "'--monitor' is a command of its own: leave the other one out";
            Self::command()
                .error(ErrorKind::ArgumentConflict, message)
                .exit();
        }
        cli
    }
}

/// Where pm's files are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Places")]
pub(crate) struct Places {
    /// Directory of config.json [default: /etc/port_monitor]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PM_CONFIG_DIR",
        hide_env_values = true
    )]
    pub(crate) config_dir: Option<PathBuf>,
    /// Directory of state.db [default: /var/lib/port_monitor]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PM_STATE_DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// Directory of the locks [default: /run/port_monitor]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PM_RUN_DIR",
        hide_env_values = true
    )]
    pub(crate) run_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Change(Change),
    /// Let services share a quota
    #[command(subcommand)]
    Group(Group),
    /// Show all services and groups; what does not fit the terminal is left out
    List(Reading),
    /// Show services in full
    Show(Show),
    /// Show what earlier periods or days used
    History(History),
    /// Show, check or change pm's own settings
    #[command(subcommand)]
    Config(Config),
    /// Do the minute's tick: account for what was counted, keep the rules as they must be
    Monitor,
    /// Put all rules into the kernel, at boot or after a teardown
    Restore {
        /// Begin at nothing used where the usage (state.db) is gone
        #[arg(long)]
        anew: bool,
    },
    /// Take all rules out of the kernel and keep all data
    Teardown(Teardown),
    /// Check what could be wrong on this host
    Doctor(Reading),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Services, as they were added: 20000,30000-30100
    #[arg(value_name = "PORTS", required = true)]
    ports: Vec<PortList>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct Teardown {
    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Show {
    /// Returns the services that are meant.
    pub(crate) fn selection(self) -> Selection {
        Selection::Ports(merge(&self.ports))
    }
}

/// Returns several lists as one, or ends the process where two of them overlap.
fn merge(lists: &[PortList]) -> PortList {
    let ranges = lists.iter().flat_map(PortList::iter).collect();
    PortList::new(ranges).unwrap_or_else(|error| {
        Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit()
    })
}
