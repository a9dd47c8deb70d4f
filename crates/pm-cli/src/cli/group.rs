//! Groups.

use clap::{Args, Subcommand};
use pm_core::config::GroupName;
use pm_core::request::Request;
use pm_core::units::Size;

use super::settings::ContractFlags;
use super::values::Text;
use super::{ChangeOptions, Reading};

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    #[command(flatten)]
    Change(Change),
    /// Show all groups
    List(Reading),
}

/// What changes groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Make a group: `pm group add vip --quota 1TB`, then `pm set 20000 --group vip`
    Add(Add),
    /// Change a group
    Set(Set),
    /// Remove a group that has no services any more
    Del(Chosen),
    /// Begin a new period of a group and its services now, at nothing used
    Reset(Chosen),
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Its name: up to 48 bytes of text without commas
    #[arg(value_parser = Text::<GroupName>::new())]
    name: GroupName,
    #[command(flatten)]
    contract: ContractFlags,
    /// Change it if it is there already
    #[arg(long)]
    or_set: bool,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Its name
    #[arg(value_parser = Text::<GroupName>::new())]
    name: GroupName,
    #[command(flatten)]
    contract: ContractFlags,
    /// What its services have used in this period is to be this, together
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    used: Option<Size>,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Chosen {
    /// Its name
    #[arg(value_parser = Text::<GroupName>::new())]
    name: GroupName,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Change {
    /// Returns what is asked for, and how it is to be carried out.
    pub(crate) fn request(self) -> (Request, ChangeOptions) {
        match self {
            Self::Add(Add {
                name,
                contract,
                or_set,
                options,
            }) => {
                let settings = contract.settings();
                let request = Request::AddGroup {
                    name,
                    settings,
                    or_set,
                };
                (request, options)
            }
            Self::Set(Set {
                name,
                contract,
                used,
                options,
            }) => {
                let settings = contract.settings();
                let request = Request::SetGroup {
                    name,
                    settings,
                    used,
                };
                (request, options)
            }
            Self::Del(Chosen { name, options }) => (Request::DeleteGroup { name }, options),
            Self::Reset(Chosen { name, options }) => (Request::ResetGroup { name }, options),
        }
    }
}
