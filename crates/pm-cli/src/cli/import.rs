//! Moving in: from another host, or from the tools that were here before.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use pm_legacy::{Accounting, Tool};

use super::ChangeOptions;
use crate::language::tr;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").args(["from", "undo", "path"]).required(true).multiple(true))]
pub(crate) struct Import {
    #[arg(
        long,
        value_enum,
        value_name = tr!("TOOL", "工具"),
        help = tr!(
            "Take over from this tool: its services, what they used, its settings",
            "从这个工具接管：它的服务、已用流量和设置",
        )
    )]
    pub(crate) from: Option<From>,
    #[arg(
        value_name = tr!("FILE", "文件"),
        help = tr!(
            "What `pm export` wrote, `-`: from stdin; with --from, the directory of the tool's \
             configuration, if it is not where it usually is",
            "`pm export` 写出的文件，`-` 为标准输入；用 --from 时，是旧工具的配置目录，如果不在默认位置",
        )
    )]
    pub(crate) path: Option<PathBuf>,
    #[arg(
        long,
        conflicts_with_all = ["from", "path"],
        help = tr!(
            "Give the host back to the tool that was taken over last",
            "把主机还给上次接管的那个工具",
        )
    )]
    pub(crate) undo: bool,
    #[arg(long, help = tr!("Without asking", "不询问"))]
    pub(crate) yes: bool,
    #[arg(
        long,
        value_enum,
        requires = "from",
        help = tr!(
            "What becomes of those who are over their quota, where the tool let them pass: \
             block them, or bill them nothing so far",
            "对已超配额而旧工具放行的：block 切断，forgive 之前的不计费",
        )
    )]
    pub(crate) overuse: Option<Overuse>,
    #[arg(
        long,
        requires = "from",
        value_name = tr!("RELEASE", "版本"),
        value_parser = accounting,
        help = tr!(
            "Which release of port-traffic-dog counted, where that cannot be told: 1.2.3, 1.2.4, \
             1.2.4.3, 1.2.5a, 1.2.5b or fork",
            "无法判断时，指明是哪一版 port-traffic-dog 计的数：1.2.3、1.2.4、1.2.4.3、1.2.5a、1.2.5b 或 fork",
        )
    )]
    pub(crate) accounting: Option<Accounting>,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

/// A tool, as it is called on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum From {
    #[value(name = "pm.sh")]
    PmSh,
    #[value(name = "port-traffic-dog", alias = "dog")]
    Dog,
    #[value(name = "traffic-dog")]
    TrafficDog,
}

/// What becomes of those over their quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Overuse {
    /// They are cut off.
    Block,
    /// What they used so far is not billed.
    Forgive,
}

impl Import {
    /// Returns the flags of `pm import --from` without any other.
    pub(crate) fn of(tool: Tool) -> Self {
        Self {
            from: Some(match tool {
                Tool::PmSh => From::PmSh,
                Tool::Dog => From::Dog,
                Tool::TrafficDog => From::TrafficDog,
            }),
            path: None,
            undo: false,
            yes: false,
            overuse: None,
            accounting: None,
            options: ChangeOptions::default(),
        }
    }
}

impl From {
    /// Returns the tool.
    pub(crate) fn tool(self) -> Tool {
        match self {
            Self::PmSh => Tool::PmSh,
            Self::Dog => Tool::Dog,
            Self::TrafficDog => Tool::TrafficDog,
        }
    }
}

impl Overuse {
    /// Returns its name, as it is noted.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Forgive => "forgive",
        }
    }
}

fn accounting(text: &str) -> Result<Accounting, String> {
    Accounting::named(text).ok_or_else(|| {
        let names: Vec<_> = Accounting::ALL.iter().map(|known| known.name()).collect();
        let names = names.join(", ");
        tr!("it is one of {names}", "可选：{names}")
    })
}
