//! pm's own settings.

use std::path::PathBuf;

use clap::Subcommand;

use super::values;
use super::{ChangeOptions, Reading};
use crate::language::tr;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    #[command(about = tr!("Show all settings", "显示全部设置"))]
    Show(Reading),
    #[command(about = tr!("Show one setting", "显示一项设置"))]
    Get {
        #[arg(value_name = tr!("KEY", "设置"), help = key())]
        key: String,
        #[command(flatten)]
        reading: Reading,
    },
    #[command(about = tr!(
        "Change one setting: `pm config set time_zone Asia/Shanghai`",
        "修改一项设置：`pm config set time_zone Asia/Shanghai`",
    ))]
    Set {
        #[arg(value_name = tr!("KEY", "设置"), help = key())]
        key: String,
        #[arg(
            value_name = tr!("VALUE", "值"),
            help = tr!(
                "Its new value: for `time_zone` an IANA name or `system` [default]; for `language` \
                 `en`, `zh` or `system` [default]; for `classifier` how packets find the class \
                 that shapes them: `priority` [default], `fwmark` (the upper half of their mark) or \
                 `fwmark/0xffff0000` (these bits of it); for `backup` `off` [default] or such as \
                 `every 1d keep 7`",
                "新的值：`time_zone` 为 IANA 名称或 `system` [默认]；`language` 为 `en`、`zh` 或 \
                 `system` [默认]；`classifier` 为数据包怎样找到自己的限速：`priority` [默认]、\
                 `fwmark`（标记的高半部分）或 `fwmark/0xffff0000`（标记的这些位）；`backup` 为 `off` [默认] 或 \
                 `every 1d keep 7` 这样的",
            )
        )]
        value: String,
        #[command(flatten)]
        options: ChangeOptions,
    },
    #[command(about = tr!(
        "Show the versions of the configuration that were replaced, and what was changed then",
        "显示以前的各版配置，以及当时改了什么"
    ))]
    History(Reading),
    #[command(about = tr!("Show what has changed since a version", "显示自某个版本以来改了什么"))]
    Diff {
        #[arg(
            value_name = tr!("N", "版本"),
            value_parser = values::version,
            help = tr!(
                "Its number, see `pm config history` [default: the last one that differs]",
                "版本号，见 `pm config history` [默认：最近一个不同的版本]"
            )
        )]
        version: Option<u64>,
        #[command(flatten)]
        reading: Reading,
    },
    #[command(
        about = tr!("Go back to a version of the configuration", "恢复某个版本的配置"),
        long_about = tr!(
            "Go back to a version of the configuration; the present one is kept as a version in \
             turn\n\n\
             It concerns the configuration only: a reset or a correction of what was used is not \
             undone. A service or group that was deleted comes back with what it had used then, or \
             at nothing used if its period is over by now.",
            "恢复某个版本的配置；当前配置也会存为新版本\n\n\
             只涉及配置：重置和对已用流量的更正不会撤销。恢复的端口和分组沿用删除时的已用流量；\
             如果周期已结束，则从零开始。"
        )
    )]
    Restore {
        #[arg(
            value_name = tr!("N", "版本"),
            value_parser = values::version,
            help = tr!(
                "Its number, see `pm config history` [default: the last good one, where the \
                 present one cannot be used]",
                "版本号，见 `pm config history` [默认：当前配置不能用时，上一份可用的]"
            )
        )]
        version: Option<u64>,
        #[command(flatten)]
        options: ChangeOptions,
    },
    #[command(about = tr!(
        "Check a configuration file: the one in use, or another before it is put in place",
        "检查配置文件：正在用的，或准备换上的",
    ))]
    Check {
        #[arg(
            value_name = tr!("FILE", "文件"),
            help = tr!("The file [default: the one in use]", "要检查的文件 [默认：正在用的]")
        )]
        file: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
}

fn key() -> String {
    tr!(
        "Its name: `time_zone`, `language`, `classifier` or `backup`",
        "名称：`time_zone`、`language`、`classifier` 或 `backup`"
    )
}
