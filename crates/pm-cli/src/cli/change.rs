//! What changes services.

use clap::{Args, Subcommand};
use pm_core::port::PortList;
use pm_core::request::{Request, Selection};
use pm_core::units::Size;

use super::merge;
use super::settings::SettingFlags;

/// What changes services.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Monitor ports: `pm add 20000,30000-30100 --quota 100GB`
    Add(Add),
    /// Change services: `pm set 20000 --limit 50M`
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

impl Change {
    /// Returns what is asked for, and how it is to be carried out.
    pub(crate) fn request(self) -> (Request, ChangeOptions) {
        match self {
            Self::Add(add) => {
                let request = Request::Add {
                    ports: merge(&add.ports),
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
        match self.ports.as_slice() {
            [] => Selection::All,
            ports => Selection::Ports(merge(ports)),
        }
    }
}
