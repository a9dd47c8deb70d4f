//! The command line.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use pm_core::calendar::ResetChoice;
use pm_core::config::{Mode, Note, QuotaSize, ValueError};
use pm_core::port::PortList;
use pm_core::request::{Request, Selection, Settings};
use pm_core::units::Size;

/// Counts what every TCP/UDP port uses, and cuts it off at its quota.
///
/// Without a command, shows all services.
#[derive(Debug, Parser)]
#[command(name = "pm", version)]
pub(crate) struct Cli {
    /// Do the minute's tick (same as `pm monitor`)
    #[arg(long)]
    pub(crate) monitor: bool,

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

/// What changes services.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Monitor ports: `pm add 20000,30000-30100 --quota 100GB`
    Add(Add),
    /// Change services: `pm set 20000 --quota none`
    Set(Set),
    /// Stop monitoring ports
    Del(Chosen),
    /// Begin a new period now, at nothing used
    Reset(Chosen),
    /// Let nothing through
    Block(Chosen),
    /// Undo a block
    Unblock(Chosen),
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Ports and ranges: 20000,20001,30000-30100
    #[arg(value_name = "PORTS", required = true)]
    ports: Vec<PortList>,
    #[command(flatten)]
    settings: SettingFlags,
    /// Change those that are monitored already
    #[arg(long)]
    or_set: bool,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[command(flatten)]
    ports: Ports,
    #[command(flatten)]
    settings: SettingFlags,
    /// What has been used in this period is to be this
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    used: Option<Size>,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Chosen {
    #[command(flatten)]
    ports: Ports,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Ports {
    /// Services, as they were added: 20000,30000-30100
    #[arg(value_name = "PORTS")]
    ports: Vec<PortList>,
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
struct SettingFlags {
    /// How much may be used in a period: 100GB (10⁹), 100GiB (2³⁰), 1.5TB, or `none` [a new
    /// service's: none]
    #[arg(long, value_name = "SIZE|none", value_parser = parse_quota, allow_hyphen_values = true)]
    quota: Option<QuotaFlag>,
    /// What counts: `both` (in and out) or `out` [a new service's: both]
    #[arg(long, value_name = "both|out", allow_hyphen_values = true)]
    mode: Option<Mode>,
    /// When a new period begins: on a day of each month (1..31), "every 30 days", "every 3
    /// months on 15" (both from now on, or "… from 2026-12-01", "… from 2026-12"), "yearly
    /// 06-18", "once 2027-01-31", or `never` [a new service's: 1 with a quota, else never]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    reset: Option<ResetChoice>,
    /// A note for you, up to 200 characters
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = NoteParser)]
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

impl Change {
    /// Returns what is asked for, and how it is to be carried out.
    pub(crate) fn request(self) -> (Request, ChangeOptions) {
        match self {
            Self::Add(add) => {
                let request = Request::Add {
                    ports: merge(add.ports),
                    settings: add.settings.settings(),
                    or_set: add.or_set,
                };
                (request, add.options)
            }
            Self::Set(set) => {
                let request = Request::Set {
                    ports: set.ports.selection(),
                    settings: set.settings.settings(),
                    used: set.used,
                };
                (request, set.options)
            }
            Self::Del(chosen) => chosen.request(|ports| Request::Delete { ports }),
            Self::Reset(chosen) => chosen.request(|ports| Request::Reset { ports }),
            Self::Block(chosen) => chosen.request(|ports| Request::Block { ports }),
            Self::Unblock(chosen) => chosen.request(|ports| Request::Unblock { ports }),
        }
    }
}

impl Chosen {
    fn request(self, of: impl FnOnce(Selection) -> Request) -> (Request, ChangeOptions) {
        (of(self.ports.selection()), self.options)
    }
}

impl Ports {
    fn selection(self) -> Selection {
        match Some(self.ports)
            .filter(|ports| !ports.is_empty())
            .map(merge)
        {
            Some(ports) => Selection::Ports(ports),
            None => Selection::All,
        }
    }
}

impl Show {
    /// Returns the services that are meant.
    pub(crate) fn selection(self) -> Selection {
        Selection::Ports(merge(self.ports))
    }
}

impl SettingFlags {
    fn settings(self) -> Settings {
        Settings {
            quota: self.quota.map(|flag| flag.0),
            mode: self.mode,
            reset: self.reset,
            note: self.note,
        }
    }
}

/// Returns several lists as one, or ends the process where two of them overlap.
fn merge(lists: Vec<PortList>) -> PortList {
    let ranges = lists.iter().flat_map(PortList::iter).collect();
    PortList::new(ranges).unwrap_or_else(|error| {
        Cli::command()
            .error(ErrorKind::ValueValidation, error)
            .exit()
    })
}

/// Reads a note. clap's own way would repeat a note that is refused, all 10,000 characters of it.
#[derive(Clone)]
struct NoteParser;

impl TypedValueParser for NoteParser {
    type Value = Note;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Note, clap::Error> {
        let refuse = |reason: String| {
            let message = format!("invalid value for '--note <TEXT>': {reason}");
            clap::Error::raw(ErrorKind::ValueValidation, message + "\n").with_cmd(command)
        };
        let text = value
            .to_str()
            .ok_or_else(|| refuse("it is not UTF-8".to_owned()))?;
        text.parse()
            .map_err(|error: ValueError| refuse(error.to_string()))
    }
}

fn parse_quota(text: &str) -> Result<QuotaFlag, String> {
    if ["none", "unlimited"]
        .iter()
        .any(|none| text.eq_ignore_ascii_case(none))
    {
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
    use crate::commands::config;
    use pm_core::strategies::request;
    use proptest::prelude::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Returns the words that a POSIX shell makes of a command line.
    fn shell(line: &str) -> Vec<String> {
        let script = format!("printf '%s\\0' {line}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}");
        let text = String::from_utf8(output.stdout).unwrap();
        let words = text.strip_suffix('\0').unwrap().split('\0');
        words.map(str::to_owned).collect()
    }

    fn parse(words: &[String]) -> Request {
        match Cli::try_parse_from(words).unwrap().command.unwrap() {
            Command::Change(change) => change.request().0,
            Command::Config(Config::Set { key, value, .. }) => {
                config::request(&key, &value).unwrap()
            }
            other => panic!("{other:?} changes nothing"),
        }
    }

    proptest! {
        #[test]
        fn what_a_request_prints_asks_for_it_again(request in request()) {
            let line = request.to_string();
            prop_assert_eq!(parse(&shell(&line)), request, "{}", line);
        }
    }

    /// Returns what a wrong command line is answered with, and the exit code.
    fn usage_error(line: &str) -> (String, i32) {
        let words = shell(&format!("pm {line}"));
        let error = Cli::try_parse_from(words).unwrap_err();
        (error.to_string(), error.exit_code())
    }

    #[test]
    fn places_may_stand_before_the_command_and_after_it() {
        for line in ["pm --state-dir /s list", "pm list --state-dir /s"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.places.state_dir, Some("/s".into()), "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_answered_with_what_is_right() {
        let mut text = String::new();
        for line in [
            "add",
            "add ''",
            "add 0",
            "add 65536",
            "add 80,http",
            "add 90-80",
            "add 20000,19000-21000",
            "add 80 --quota 0",
            "add 80 --quota 1e30GB",
            "add 80 --quota -5GB",
            "add 80 --quota 100Mbps",
            "add 80 --quota 9999PB",
            "add 80 --reset 0",
            "add 80 --reset 32",
            "add 80 --reset monthly",
            "add 80 --reset every 30 days",
            "add 80 --reset 'every 30'",
            "add 80 --reset 'every 0 days'",
            "add 80 --reset 'every 3651 days'",
            "add 80 --reset 'every 121 months on 1'",
            "add 80 --reset 'every 3 months on 32'",
            "add 80 --reset 'every 30 days from 2026-02-30'",
            "add 80 --reset 'every 3 months on 15 from 2026-12-01'",
            "add 80 --reset 'yearly 02-30'",
            "add 80 --reset 'once tomorrow'",
            "add 80 --mode max",
            "add 80 --note \"$(printf '%0201d' 0)\"",
            "add 80 --note \"$(printf 'a\\033[31m')\"",
            "add 80 --qouta 5GB",
            "set",
            "set 80 --all",
            "set 80 --used lots",
            "del",
            "show",
            "lits",
            "config get",
        ] {
            let (error, code) = usage_error(line);
            assert_eq!(code, 2, "{line}");
            text.push_str(&format!("$ pm {line}\n{error}\n"));
        }
        insta::assert_snapshot!(text);
    }
}
