//! pm's own settings.

use std::path::PathBuf;

use clap::Subcommand;

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
                 `fwmark/0xffff0000` (these bits of it)",
                "新的值：`time_zone` 为 IANA 名称或 `system` [默认]；`language` 为 `en`、`zh` 或 \
                 `system` [默认]；`classifier` 为数据包怎样找到自己的限速：`priority` [默认]、\
                 `fwmark`（标记的高半部分）或 `fwmark/0xffff0000`（标记的这些位）",
            )
        )]
        value: String,
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
        "Its name: `time_zone`, `language` or `classifier`",
        "名称：`time_zone`、`language` 或 `classifier`"
    )
}
