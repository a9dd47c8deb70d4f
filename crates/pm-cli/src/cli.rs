//! The command line.

mod archive;
mod change;
mod config;
#[cfg(test)]
mod docs;
mod errors;
mod group;
mod help;
mod history;
mod import;
mod notify;
mod push;
pub(crate) mod secrets;
mod settings;
mod setup;
#[cfg(test)]
mod tests;
mod tips;
mod update;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Error, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use pm_core::language::Language;
use pm_core::port::PortList;
use pm_core::request::Selection;

use crate::language::{self, tr};
use crate::output::errors::sentence;

pub(crate) use archive::{Apply, Export};
pub(crate) use change::{Change, ChangeOptions, SafeOptions};
pub(crate) use config::Config;
pub(crate) use group::Group;
pub(crate) use history::{By, History};
pub(crate) use import::{Import, Overuse};
pub(crate) use notify::{FindChat, Log as NotifyLog, Notify};
pub(crate) use push::Push;
pub(crate) use setup::{Log, Messages, Monitor, Setup, Uninstall};
pub(crate) use update::Update;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "pm",
    version,
    about = about(),
    long_about = tr!(
        en: "{}.\n\nWithout a command, opens the menu on a terminal, and else shows all services.", about();
        zh: "{}。\n\n不带命令时，在终端上打开菜单，否则显示所有服务。", about()
    )
)]
pub(crate) struct Cli {
    #[arg(
        long,
        help = tr!("Do the minute's tick (same as `pm monitor`)", "做每分钟的 tick（同 `pm monitor`）")
    )]
    pub(crate) monitor: bool,

    #[arg(
        long,
        global = true,
        value_name = "en|zh",
        help = tr!("Speak English or Chinese, whatever is configured", "用英文还是中文，不管怎么配置的")
    )]
    pub(crate) lang: Option<Language>,

    #[command(flatten)]
    pub(crate) places: Places,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Returns the command line, or ends the process with what is wrong about it.
    pub(crate) fn read() -> Self {
        let cli = Self::of(std::env::args_os()).unwrap_or_else(|error| errors::exit(&error));
        if cli.monitor && cli.command.is_some() {
            let message = tr!(
                "'--monitor' is a command of its own: leave the other one out",
                "'--monitor' 本身就是命令：去掉另一个"
            );
            errors::refuse(&[], ErrorKind::ArgumentConflict, &message);
        }
        cli
    }

    /// Returns the command line that `words` are.
    fn of(words: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let words: Vec<OsString> = words.collect();
        let matches = Self::command().try_get_matches_from(&words);
        let matches = matches.map_err(tips::with_tip);
        let matches = matches.or_else(|error| match error.kind() {
            // Only now: to write the help of every command takes longer than most commands.
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Self::spoken().try_get_matches_from(&words)
            }
            _ => Err(error),
        })?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))
    }

    /// Returns commands with what describes them in the language that is spoken, for man pages and
    /// shells.
    pub(crate) fn described(mut command: clap::Command) -> clap::Command {
        // So that commands know what comes before them, and which options they share.
        command.build();
        match language::current() {
            Language::English => command,
            Language::Chinese => help::own_words(command),
        }
    }

    /// Returns all commands, with their help in the language that is spoken.
    pub(crate) fn spoken() -> clap::Command {
        match language::current() {
            Language::English => Self::command(),
            Language::Chinese => help::in_chinese(Self::command(), help::width()),
        }
    }
}

/// Where pm's files are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = tr!("Places", "文件位置"))]
pub(crate) struct Places {
    #[arg(
        long,
        global = true,
        value_name = tr!("DIR", "目录"),
        env = "PM_CONFIG_DIR",
        hide_env_values = true,
        help = tr!(
            "Directory of config.json [default: /etc/port_monitor]",
            "config.json 所在的目录 [默认：/etc/port_monitor]",
        )
    )]
    pub(crate) config_dir: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = tr!("DIR", "目录"),
        env = "PM_STATE_DIR",
        hide_env_values = true,
        help = tr!(
            "Directory of state.db [default: /var/lib/port_monitor]",
            "state.db 所在的目录 [默认：/var/lib/port_monitor]",
        )
    )]
    pub(crate) state_dir: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = tr!("DIR", "目录"),
        env = "PM_RUN_DIR",
        hide_env_values = true,
        help = tr!(
            "Directory of the locks [default: /run/port_monitor]",
            "锁文件所在的目录 [默认：/run/port_monitor]",
        )
    )]
    pub(crate) run_dir: Option<PathBuf>,
}

impl Places {
    /// Returns what a command needs to find the same files, with a space before each flag.
    pub(crate) fn as_flags(&self) -> String {
        let flags = [
            ("--config-dir", &self.config_dir),
            ("--state-dir", &self.state_dir),
            ("--run-dir", &self.run_dir),
        ];
        let flag = |(name, dir): (&str, &Option<PathBuf>)| {
            let dir = dir.as_ref()?.to_string_lossy().replace('\'', r"'\''");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            Some(match dir.chars().all(is_plain) {
                true => format!(" {name}={dir}"),
                false => format!(" {name}='{dir}'"),
            })
        };
        flags.into_iter().filter_map(flag).collect()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Change(Change),
    #[command(subcommand, about = tr!("Let services share a quota", "组：让几个服务共享一份配额"))]
    Group(Group),
    #[command(about = tr!(
        "Show all services and groups; what does not fit the terminal is left out",
        "显示所有服务和组；终端放不下的列会省去",
    ))]
    List(Reading),
    #[command(about = tr!("Show services in full", "显示服务的全部信息"))]
    Show(Show),
    #[command(about = tr!("Show what earlier periods or days used", "显示以前各周期或各天的用量"))]
    History(History),
    #[command(
        subcommand,
        about = tr!("Show, check or change pm's own settings", "显示、检查或修改 pm 自身的设置")
    )]
    Config(Config),
    #[command(subcommand, about = tr!(
        "Tell people what happens: Telegram, WeCom, mail, web hooks",
        "通知：Telegram、企业微信、邮件、webhook",
    ))]
    Notify(Notify),
    #[command(subcommand, about = tr!(
        "Push the state of all services to a receiver each minute",
        "云端推送：每分钟把所有服务的状态推送到接收端",
    ))]
    Push(Push),
    #[command(
        about = tr!("Take the last change of the configuration back", "撤销最近一次配置改动"),
        long_about = tr!(
            "Take the last change of the configuration back\n\n\
             The same as `pm config restore` with the latest version that differs from what is now. \
             What is replaced is kept as a version in turn, so a second `pm undo` does again what \
             the first one took back; `pm config history` and `pm config restore N` go further \
             back.\n\n\
             It concerns the configuration only: a reset or a correction of what was used is not \
             undone. A service or group that was deleted comes back with what it had used then, or \
             at nothing used if its period is over by now.",
            "撤销最近一次配置改动\n\n\
             等同于用 `pm config restore` 恢复最近一个与当前不同的版本。被替换的配置也会存为新版本，\
             所以再执行一次 `pm undo` 即重做；要回到更早，用 `pm config history` 和 \
             `pm config restore N`。\n\n\
             只涉及配置：重置和对已用流量的更正不会撤销。恢复的端口和分组沿用删除时的已用流量；\
             如果周期已结束，则从零开始。"
        )
    )]
    Undo(ChangeOptions),
    #[command(
        about = tr!(
            "Make services and groups as a file says",
            "按文件设定服务和组",
        ),
        long_about = tr!(
            "Make services and groups as a file says\n\n\
             Each service and group in it is as it says, whatever it was before; what it leaves \
             out of one has its default. Those that it does not name stay, unless `--prune`. All \
             of it is done, or nothing. Doing it again changes nothing.\n\n\
             Exit code: 0, it was so already; 3, something was changed, or would be with \
             `--dry-run`; 1, it failed, and nothing was changed; 2, a wrong command line.",
            "按文件设定服务和组\n\n\
             文件里的每个服务和组都会变成文件所写的样子，没写的设置取默认值。文件里没有的服务和组保持\
             不变，除非加 `--prune`。要么全部完成，要么什么都不改。再执行一次不会有任何改动。\n\n\
             退出码：0 表示已经是这样；3 表示做了改动（用 `--dry-run` 时表示将有改动）；1 表示失败，\
             没有做任何改动；2 表示命令行有误。"
        )
    )]
    Apply(Apply),
    #[command(
        about = tr!(
            "Write configuration, usage and history into one file",
            "把配置、用量和历史写入一个文件",
        ),
        long_about = tr!(
            "Write configuration, usage and history into one file\n\n\
             The file is for its owner only, and never written through a link. `pm import` reads it, \
             here or on another host.",
            "把配置、用量和历史写入一个文件\n\n\
             文件只有属主可读，也不会经由链接写入。在本机或别的主机上用 `pm import` 读入。"
        )
    )]
    Export(Export),
    #[command(about = tr!(
        "Do the minute's tick: account for what was counted, keep the rules as they must be",
        "做每分钟的 tick：给计到的流量记账，保持规则应有的样子",
    ))]
    Monitor(Monitor),
    #[command(hide = true, about = tr!("Send what waits to be sent", "发送等待中的通知"))]
    Deliver {
        #[arg(
            long,
            value_name = "DIR",
            help = tr!("Where it waits", "通知所在的目录"),
        )]
        outbox: Option<PathBuf>,
        #[arg(
            long,
            conflicts_with = "outbox",
            help = tr!("Send what standard input says", "发送标准输入给出的内容"),
        )]
        errand: bool,
    },
    #[command(about = tr!(
        "Put all rules into the kernel, at boot or after a teardown",
        "把全部规则装入内核：开机时，或 teardown 之后",
    ))]
    Restore {
        #[arg(
            long,
            help = tr!(
                "Begin at nothing used where the usage (state.db) is gone",
                "用量（state.db）丢失时，从零用量开始",
            )
        )]
        anew: bool,
        #[arg(
            long,
            hide = true,
            help = tr!("Leave out what was taken out on purpose", "有意移出的不再装入")
        )]
        boot: bool,
        #[command(flatten)]
        messages: Messages,
    },
    #[command(about = tr!(
        "Take all rules out of the kernel and keep all data",
        "把全部规则移出内核，数据全部保留",
    ))]
    Teardown(Teardown),
    #[command(about = tr!(
        "Check what could be wrong on this host",
        "自检：这台主机可能有什么问题",
    ))]
    Doctor(Reading),
    #[command(about = tr!(
        "Show what the ticks said: the journal, or the log file where there is none",
        "显示 tick 的日志：来自 systemd 日志；没有它时来自日志文件",
    ))]
    Log(Log),
    #[command(
        about = tr!(
            "Settle on this host: the minute's tick, boot and shutdown, man pages, completions",
            "安装到这台主机：每分钟的 tick、开机和关机、man 手册页、命令补全",
        ),
        long_about = tr!(
            "Settle on this host: the minute's tick, boot and shutdown, man pages, completions\n\n\
             With systemd these are units; without it, cron and a boot script for OpenRC or \
             sysvinit. Doing it again changes nothing, but renews what an older pm wrote. What pm \
             did not write, it does not touch; what somebody has edited stays, unless `--force`. \
             `pm uninstall` takes everything away again.",
            "安装到这台主机：每分钟的 tick、开机和关机、man 手册页、命令补全\n\n\
             有 systemd 就用它的单元；没有则用 cron，加上 OpenRC 或 sysvinit 的启动脚本。再执行一次不会\
             改变什么，只会更新旧版 pm 写的文件。不是 pm 写的，pm 不碰；被人改过的会保留，除非加 \
             `--force`。`pm uninstall` 会全部去除。"
        )
    )]
    Setup(Setup),
    #[command(
        about = tr!(
            "Move in: from another host's archive, or from pm.sh, port-traffic-dog or traffic-dog",
            "迁入：读入别的主机的归档，或从 pm.sh、port-traffic-dog、traffic-dog 接管",
        ),
        long_about = tr!(
            "Move in: from another host's archive, or from pm.sh, port-traffic-dog or traffic-dog\n\n\
             FILE, which `pm export` wrote, takes the place of everything. It is checked whole \
             before anything changes, and all of it is taken over, or nothing. Usage goes on from \
             where it was, periods end when they would have, and the history is there; what this \
             host has counted itself is replaced, and kept in before-import beside state.db.\n\n\
             --from takes over from an older tool on this host. It says first what is taken over, \
             what is not as it was, and what goes; then it asks. The tool's ports are held for \
             some milliseconds while they change hands, and not a byte is lost or counted twice. \
             Everything that the tool had is kept, and --undo gives the host back to it. Nothing \
             that it wrote is ever executed. Where it is interrupted, the same command completes it.",
            "迁入：读入别的主机的归档，或从 pm.sh、port-traffic-dog、traffic-dog 接管\n\n\
             `pm export` 写出的 FILE 替换全部内容：先检查整个文件，再做改动；要么全部接管，要么什么都不改。\
             用量接着累计，周期在原定的日子结束，历史也都在；本机自己的计数会被替换，保存在 state.db 旁边的 \
             before-import 里。\n\n\
             --from 从本机的旧工具接管：先说明接管什么、哪些与原来不同、会移除什么，再询问。切换时端口会暂停\
             几毫秒，不丢一个字节，也不重复计数。旧工具的一切都会备份，--undo 把主机还给它。它写的任何内容都\
             不会被执行。中断之后，再执行同一条命令即可完成。"
        )
    )]
    Import(Import),
    #[command(
        about = tr!("Replace pm by its newest release", "把 pm 更新到最新版本"),
        long_about = tr!(
            "Replace pm by its newest release\n\n\
             The release must be signed by the key that this pm was built with, newer than it, and \
             for this machine. Before it takes the old one's place the new pm must take over \
             config.json and state.db and do a tick; where it does not, both go back to what they \
             were, and not a byte is lost or counted twice.",
            "把 pm 更新到最新版本\n\n\
             新版本必须由编译时给定的密钥签名，比当前版本新，并且适用于本机。替换之前，新的 pm 要先\
             接管 config.json 和 state.db 并完成一次 tick；做不到就一切还原，不丢一个字节，也不重复计数。"
        )
    )]
    Update(Update),
    #[command(hide = true, about = tr!("Run a program that ends with its parent", "运行一个随父进程结束的程序"))]
    UpdateTrial {
        #[arg(help = tr!("The parent's process id", "父进程号"))]
        parent: i32,
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            help = tr!("The program and its arguments", "程序及其参数")
        )]
        command: Vec<OsString>,
    },
    #[command(
        about = tr!(
            "Leave this host without a trace",
            "从这台主机彻底卸载",
        ),
        long_about = tr!(
            "Leave this host without a trace\n\n\
             Says first what will go, and asks. Rules and limits go, and the host's own queueing \
             disciplines come back; then timers, scripts and pm's own cron lines, its user, man \
             pages and completions, configuration, usage, history and logs, at last the program. \
             What pm did not write stays. Where a step fails, the same command goes on from there.",
            "从这台主机彻底卸载\n\n\
             先说明会删什么，再询问。先去掉规则和限速，主机自己的队列规则恢复原样；然后是定时器、脚本、\
             pm 自己的 cron 行、它的用户、man 手册页、命令补全、配置、用量、历史和日志，最后是程序本身。\
             不是 pm 写的都保留。哪一步失败了，再执行同一条命令即可继续。"
        )
    )]
    Uninstall(Uninstall),
    #[command(about = tr!("Print what lets a shell complete pm's commands", "输出 shell 的命令补全脚本"))]
    Completions {
        #[arg(
            value_enum,
            help = tr!(
                "The shell: `pm completions bash > /usr/share/bash-completion/completions/pm`",
                "哪种 shell：`pm completions bash > /usr/share/bash-completion/completions/pm`"
            )
        )]
        shell: Shell,
    },
    #[command(hide = true, about = tr!("Write the man pages", "写出 man 手册页"))]
    Man {
        #[arg(help = tr!(
            "Where: DIR/man1, and DIR/zh_CN/man1 for the Chinese ones",
            "写到哪里：DIR/man1；中文的在 DIR/zh_CN/man1"
        ))]
        dir: PathBuf,
    },
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Reading {
    #[arg(long, help = tr!("As JSON", "以 JSON 输出"))]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    #[arg(value_name = tr!("PORTS", "端口"), required = true, help = services())]
    ports: Vec<PortList>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct Teardown {
    #[arg(long, help = tr!("Only say what would change", "只说明会改什么，不真改"))]
    pub(crate) dry_run: bool,
}

impl Show {
    /// Returns the services that are meant.
    pub(crate) fn selection(self) -> Selection {
        Selection::Ports(merge(&self.ports))
    }
}

fn about() -> String {
    tr!(
        "Counts what every TCP/UDP port uses, cuts it off at its quota and limits its speed",
        "统计每个 TCP/UDP 端口的流量，用完配额就切断，还能限速"
    )
}

/// Returns how services are named.
fn services() -> String {
    tr!(
        "Services, as they were added: 20000,30000-30100",
        "服务，按添加时的写法：20000,30000-30100"
    )
}

/// Returns several lists as one, or ends the process where two of them overlap.
fn merge(lists: &[PortList]) -> PortList {
    let ranges = lists.iter().flat_map(PortList::iter).collect();
    PortList::new(ranges)
        .unwrap_or_else(|error| errors::refuse(&[], ErrorKind::ValueValidation, &sentence(&error)))
}
