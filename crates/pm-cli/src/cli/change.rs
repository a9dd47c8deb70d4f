//! What changes services.

use clap::{Args, Subcommand};
use pm_core::port::PortList;
use pm_core::request::{Request, Selection};
use pm_core::units::Size;

use super::merge;
use super::settings::SettingFlags;
use crate::language::tr;

/// What changes services.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    #[command(about = tr!(
        "Monitor ports: `pm add 20000,30000-30100 --quota 100GB`",
        "监控端口：`pm add 20000,30000-30100 --quota 100GB`",
    ))]
    Add(Add),
    #[command(about = tr!(
        "Change services: `pm set 20000 --limit 50M`",
        "修改服务：`pm set 20000 --limit 50M`",
    ))]
    Set(Set),
    #[command(about = tr!(
        "Stop monitoring ports; at a terminal, `--all` asks first, unless with `--force`",
        "停止监控端口；在终端上用 `--all` 会先询问，加 `--force` 则不问",
    ))]
    Del(Chosen),
    #[command(about = tr!(
        "Begin a new period now, at nothing used",
        "立即重置：开始新周期，已用流量归零",
    ))]
    Reset(Chosen),
    #[command(about = tr!("Let nothing through", "阻断：什么都不放行"))]
    Block(Chosen),
    #[command(about = tr!("Undo a block", "解除阻断"))]
    Unblock(Chosen),
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    #[arg(
        value_name = tr!("PORTS", "端口"),
        required = true,
        help = tr!(
            "Ports and ranges: 20000,20001,30000-30100",
            "端口和端口段：20000,20001,30000-30100",
        )
    )]
    ports: Vec<PortList>,
    #[command(flatten)]
    settings: SettingFlags,
    #[arg(long, help = tr!("Change those that are monitored already", "已在监控的则修改"))]
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
    #[arg(
        long,
        value_name = tr!("SIZE", "大小"),
        allow_hyphen_values = true,
        help = tr!(
            "What has been used in this period is to be this; another mode or factor then leaves it \
             as it is and counts from then on only",
            "把本周期的已用流量更正为这么多；此后再改模式或倍率不会改动它，只从那时起生效",
        )
    )]
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
    #[arg(value_name = tr!("PORTS", "端口"), help = super::services())]
    ports: Vec<PortList>,
    #[arg(long, help = tr!("Every service", "所有服务"))]
    all: bool,
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct ChangeOptions {
    #[arg(long, help = dry_run())]
    pub(crate) dry_run: bool,
    #[arg(long, help = force())]
    pub(crate) force: bool,
}

/// The same for what can lock nobody out: `--force` is taken, and not spoken of.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct SafeOptions {
    #[arg(long, help = dry_run())]
    dry_run: bool,
    #[arg(long, hide = true, help = force())]
    force: bool,
}

fn dry_run() -> String {
    tr!("Only say what would change", "只说明会改什么，不真改")
}

fn force() -> String {
    tr!(
        "Even if it could lock you out of SSH",
        "即使可能把你锁在 SSH 之外"
    )
}

impl From<SafeOptions> for ChangeOptions {
    fn from(SafeOptions { dry_run, force }: SafeOptions) -> Self {
        Self { dry_run, force }
    }
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
