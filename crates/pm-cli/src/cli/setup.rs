//! Settling on a host, leaving it, and what the ticks said.

use clap::Args;

use crate::language::tr;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Setup {
    #[arg(long, help = tr!("Only say what would be written", "只说明会写什么，不真写"))]
    pub(crate) dry_run: bool,
    #[arg(
        long,
        help = tr!(
            "Replace files of pm's that somebody has edited, too",
            "被人改过的 pm 文件也覆盖",
        )
    )]
    pub(crate) force: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Uninstall {
    #[arg(long, help = tr!("Do not ask", "不再询问"))]
    pub(crate) yes: bool,
    #[arg(
        long,
        help = tr!(
            "Keep configuration, usage, history and logs",
            "保留配置、用量、历史和日志",
        )
    )]
    pub(crate) keep_data: bool,
    #[arg(long, help = tr!("Only say what would go", "只说明会删什么，不真删"))]
    pub(crate) dry_run: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Log {
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 50,
        value_parser = super::values::lines,
        help = tr!("How many lines", "显示多少行")
    )]
    pub(crate) lines: usize,
    #[arg(short, long, help = tr!("Go on with what comes", "继续显示新的内容"))]
    pub(crate) follow: bool,
}

/// How a tick is done for units and scripts.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Monitor {
    #[arg(
        long,
        hide = true,
        help = tr!("Wait for another pm instead of leaving", "等别的 pm 做完，而不是退出")
    )]
    pub(crate) wait: bool,
    #[arg(
        long,
        hide = true,
        conflicts_with = "wait",
        help = tr!(
            "Account and save only; the kernel is left as it is",
            "只记账和保存，不动内核",
        )
    )]
    pub(crate) account_only: bool,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

/// Where messages go.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Messages {
    #[arg(
        long,
        hide = true,
        help = tr!(
            "Write messages to the log file instead of stderr",
            "消息写入日志文件，而不是标准错误"
        )
    )]
    pub(crate) log_to_file: bool,
}
