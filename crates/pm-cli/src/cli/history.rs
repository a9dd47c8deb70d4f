//! What was used before.

use clap::{Args, ValueEnum};
use pm_core::config::GroupName;
use pm_core::port::PortList;

use super::values::Text;
use super::{Reading, merge};
use crate::language::tr;

#[derive(Args, Debug)]
pub(crate) struct History {
    #[arg(
        value_name = tr!("PORTS", "端口"),
        help = tr!(
            "Services, as they were added: 20000,30000-30100 [default: all services and groups]",
            "服务，按添加时的写法：20000,30000-30100 [默认：所有服务和组]",
        )
    )]
    ports: Vec<PortList>,
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        conflicts_with = "ports",
        allow_hyphen_values = true,
        value_parser = Text::<GroupName>::new(),
        help = tr!(
            "Only this group, and its services as long as they were in it (by `day`: those that are \
             in it now, and all of their days)",
            "只看这个组，以及各服务在组内期间的周期（`day`：现在组内的服务，它们的所有日子）",
        )
    )]
    pub(crate) group: Option<GroupName>,
    #[arg(
        long,
        value_enum,
        value_name = "period|day",
        hide_possible_values = true,
        default_value_t = By::Period,
        help = tr!(
            "A line for each `period`, the running one too (what was billed, and why it ended), or \
             for each `day` (of services only)",
            "每个周期一行（`period`，含进行中的：计费多少，为何结束），或每天一行（`day`，只有服务）",
        )
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
