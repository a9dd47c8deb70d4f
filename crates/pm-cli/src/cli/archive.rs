//! What comes from a file, or goes into one.

use std::path::PathBuf;

use clap::Args;

use super::ChangeOptions;
use crate::language::tr;

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[arg(value_name = tr!("FILE", "文件"), help = tr!("Where to; `-`: to stdout", "写到哪里；`-` 为标准输出"))]
    pub(crate) file: PathBuf,
    #[arg(
        long,
        help = tr!(
            "With tokens, passwords and keys of notifications and the push: keep it to yourself",
            "包括通知和推送的令牌、密码和密钥：请妥善保管",
        )
    )]
    pub(crate) with_secrets: bool,
    #[arg(long, help = tr!("Even if the file is there already", "文件已存在也覆盖"))]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Apply {
    #[arg(
        value_name = tr!("FILE", "文件"),
        help = tr!(
            "JSON with `services` and `groups` as config.json has them; `-`: from stdin",
            "JSON 文件，`services` 和 `groups` 的写法同 config.json；`-` 为标准输入",
        )
    )]
    pub(crate) file: PathBuf,
    #[arg(
        long,
        help = tr!(
            "Delete services and groups that it does not name",
            "删除文件里没有的服务和组",
        )
    )]
    pub(crate) prune: bool,
    #[arg(long, help = tr!("As JSON", "以 JSON 输出"))]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}
