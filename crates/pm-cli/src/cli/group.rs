//! Groups.

use clap::{Args, Subcommand};
use pm_core::config::GroupName;
use pm_core::request::Request;
use pm_core::units::Size;

use super::settings::ContractFlags;
use super::values::Text;
use super::{ChangeOptions, Reading};
use crate::language::tr;

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    #[command(flatten)]
    Change(Change),
    #[command(about = tr!("Show all groups", "显示所有组"))]
    List(Reading),
}

/// What changes groups.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    #[command(about = tr!(
        "Make a group: `pm group add vip --quota 1TB`, then `pm set 20000 --group vip`",
        "建立组：`pm group add vip --quota 1TB`，然后 `pm set 20000 --group vip`",
    ))]
    Add(Add),
    #[command(about = tr!("Change a group", "修改组"))]
    Set(Set),
    #[command(about = tr!(
        "Remove a group that has no services any more",
        "删除已经没有服务的组",
    ))]
    Del(Chosen),
    #[command(about = tr!(
        "Begin a new period of a group and its services now, at nothing used",
        "立即重置组和组内服务：开始新周期，已用流量归零",
    ))]
    Reset(Chosen),
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<GroupName>::new(),
        help = tr!(
            "Its name: up to 48 bytes of text without commas",
            "组名：最多 48 字节的文字，不含逗号",
        )
    )]
    name: GroupName,
    #[command(flatten)]
    contract: ContractFlags,
    #[arg(long, help = tr!("Change it if it is there already", "已有这个组则修改"))]
    or_set: bool,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<GroupName>::new(),
        help = tr!("Its name", "组名")
    )]
    name: GroupName,
    #[command(flatten)]
    contract: ContractFlags,
    #[arg(
        long,
        value_name = tr!("SIZE", "大小"),
        allow_hyphen_values = true,
        help = tr!(
            "What its services have used in this period is to be this, together; another mode or \
             factor then leaves it as it is and counts from then on only",
            "把组内服务本周期合计的已用流量更正为这么多；此后再改模式或倍率不会改动它，只从那时起生效",
        )
    )]
    used: Option<Size>,
    #[command(flatten)]
    options: ChangeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Chosen {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<GroupName>::new(),
        help = tr!("Its name", "组名")
    )]
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
