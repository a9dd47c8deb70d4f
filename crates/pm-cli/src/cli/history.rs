//! What was used before.

use clap::{Args, ValueEnum};
use pm_core::config::GroupName;
use pm_core::port::PortList;

use super::values::Text;
use super::{Reading, merge};

#[derive(Args, Debug)]
pub(crate) struct History {
    /// Services, as they were added: 20000,30000-30100 [default: all services and groups]
    #[arg(value_name = "PORTS")]
    ports: Vec<PortList>,
    /// Only this group and the services that are in it now
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "ports",
        allow_hyphen_values = true,
        value_parser = Text::<GroupName>::new()
    )]
    pub(crate) group: Option<GroupName>,
    /// A line for each `period`, the running one too (what was billed, and why it ended), or for
    /// each `day` (of services only)
    #[arg(
        long,
        value_enum,
        value_name = "period|day",
        hide_possible_values = true,
        default_value_t = By::Period
    )]
    pub(crate) by: By,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What has a line of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum By {
    Period,
    Day,
}

impl History {
    /// Returns the one that shows all services and groups.
    pub(crate) fn of_all(by: By) -> Self {
        Self {
            ports: Vec::new(),
            group: None,
            by,
            reading: Reading { json: false },
        }
    }

    /// Returns the services that were named; `None`: none was.
    pub(crate) fn ports(&self) -> Option<PortList> {
        match self.ports.as_slice() {
            [] => None,
            ports => Some(merge(ports)),
        }
    }
}
