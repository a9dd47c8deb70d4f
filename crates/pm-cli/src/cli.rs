//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pm_core::calendar::ResetPolicy;
use pm_core::config::{Mode, Note, QuotaSize};
use pm_core::port::PortList;
use pm_core::request::{Selection, Settings};
use pm_core::units::Size;

/// Counts what every TCP/UDP port uses, and cuts it off at its quota.
///
/// Without a command, shows all services.
#[derive(Debug, Parser)]
#[command(name = "pm", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// Do the minute's tick (same as `pm monitor`)
    #[arg(long)]
    pub(crate) monitor: bool,

    #[command(flatten)]
    pub(crate) places: Places,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
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
    /// Monitor ports: `pm add 20000,30000-30100 --quota 100GB`
    Add(Add),
    /// Change services: `pm set 20000 --quota none`
    Set(Set),
    /// Stop monitoring ports
    Del(Change),
    /// Begin a new period now, at nothing used
    Reset(Change),
    /// Let nothing through
    Block(Change),
    /// Undo a block
    Unblock(Change),
    /// Show all services
    List(Reading),
    /// Show one service in full
    Show(Show),
    /// Show, check or change pm's own settings
    #[command(subcommand)]
    Config(Config),
    /// Do the minute's tick: account for what was counted, keep the rules as they must be
    Monitor,
    /// Put all rules into the kernel, at boot or after a teardown
    Restore,
    /// Take all rules out of the kernel and keep all data
    Teardown(Teardown),
    /// Check what could be wrong on this host
    Doctor(Reading),
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Ports and ranges, separated by commas: 20000,20001,30000-30100
    #[arg(value_name = "PORTS")]
    pub(crate) ports: PortList,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    /// Change those that are monitored already
    #[arg(long)]
    pub(crate) or_set: bool,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) ports: Ports,
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    /// What has been used in this period is to be this
    #[arg(long, value_name = "SIZE")]
    pub(crate) used: Option<Size>,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) ports: Ports,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Ports {
    /// Services, as they were added, separated by commas: 20000,30000-30100
    #[arg(value_name = "PORTS")]
    ports: Option<PortList>,
    /// Every service
    #[arg(long)]
    all: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ChangeOptions {
    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Even if it could lock you out of SSH
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SettingFlags {
    /// How much may be used in a period: 100GB (10⁹), 100GiB (2³⁰), 1.5TB, or `none`
    #[arg(long, value_name = "SIZE|none", value_parser = parse_quota)]
    quota: Option<QuotaFlag>,
    /// What counts: `both` (in and out) or `out`
    #[arg(long, value_name = "both|out")]
    mode: Option<Mode>,
    /// Day of the month on which a new period begins, or `never`
    #[arg(long, value_name = "1..31|never")]
    reset: Option<ResetPolicy>,
    /// A note for you, up to 200 characters
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<Note>,
}

/// A quota, or none. An `Option<Option<_>>` would mean something else to clap.
#[derive(Clone, Copy, Debug)]
struct QuotaFlag(Option<QuotaSize>);

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The service, as it was added
    #[arg(value_name = "PORT")]
    pub(crate) ports: PortList,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct Teardown {
    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show all settings
    Show(Reading),
    /// Show one setting
    Get {
        /// Its name, as `pm config show` writes it
        key: String,
        #[command(flatten)]
        reading: Reading,
    },
    /// Change one setting: `pm config set time_zone Asia/Shanghai`
    Set {
        /// Its name, as `pm config show` writes it
        key: String,
        /// Its new value
        value: String,
        #[command(flatten)]
        options: ChangeOptions,
    },
    /// Check a configuration file: the one in use, or another before it is put in place
    Check {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
}

impl Ports {
    /// Returns the services that are meant.
    pub(crate) fn selection(self) -> Selection {
        match self.ports {
            Some(ports) => Selection::Ports(ports),
            None => Selection::All,
        }
    }
}

impl SettingFlags {
    /// Returns the settings that were given.
    pub(crate) fn settings(self) -> Settings {
        Settings {
            quota: self.quota.map(|flag| flag.0),
            mode: self.mode,
            reset: self.reset,
            note: self.note,
        }
    }
}

fn parse_quota(text: &str) -> Result<QuotaFlag, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(QuotaFlag(None));
    }
    let size: Size = text
        .parse()
        .map_err(|error: pm_core::units::SizeError| error.to_string())?;
    let quota = QuotaSize::try_from(size).map_err(|error| error.to_string())?;
    Ok(QuotaFlag(Some(quota)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
