//! The push.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use pm_core::config::{ServerName, WebUrl};
use pm_core::request::{PushChange, PushSettings, Request};

use super::secrets::Secrets;
use super::values::{self, OrEmpty, Text};
use super::{ChangeOptions, Reading, SafeOptions};
use crate::language::tr;

#[derive(Debug, Subcommand)]
pub(crate) enum Push {
    #[command(flatten)]
    Change(Change),
    #[command(about = tr!(
        "Push the state now, and show what the receiver says",
        "立即推送，并显示接收端的答复",
    ))]
    Now,
    #[command(about = tr!(
        "Show where the state is pushed, and how that goes",
        "显示推送到哪里，情况如何",
    ))]
    Status(Reading),
}

/// What changes the push.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    #[command(about = tr!(
        "Say where to push and how; the first time, URL, node and secret are needed",
        "设置推送到哪里、怎样推送；第一次要写地址、节点和密钥",
    ))]
    Set(Set),
    #[command(about = tr!("Push the state each minute", "每分钟推送"))]
    On(SafeOptions),
    #[command(about = tr!("Push no longer; the settings stay", "不再推送，设置保留"))]
    Off(SafeOptions),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[arg(
        long,
        value_name = tr!("URL", "地址"),
        value_parser = Text::<WebUrl>::new(),
        help = tr!(
            "The receiver's address, which usually ends in /api/push",
            "接收端的地址，通常以 /api/push 结尾",
        )
    )]
    url: Option<WebUrl>,
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        allow_hyphen_values = true,
        value_parser = Text::<ServerName>::new(),
        help = tr!("The node's name, by which the receiver tells hosts apart", "节点名，接收端用它区分主机")
    )]
    node: Option<ServerName>,
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        allow_hyphen_values = true,
        value_parser = Text::<OrEmpty<ServerName>>::new(),
        help = tr!(
            "What the receiver calls this host; empty: as the node",
            "接收端显示的主机名称；留空：与节点名相同",
        )
    )]
    node_id: Option<OrEmpty<ServerName>>,
    #[arg(
        long,
        value_name = tr!("FILE|-", "文件|-"),
        help = tr!(
            "The file with what the push is signed with; `-`: a line of standard input",
            "签名密钥所在的文件；`-`：标准输入的一行",
        )
    )]
    secret_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "yes|no",
        value_parser = values::yes_or_no,
        help = tr!(
            "Whether notes and the names of groups go with it [a new one's: no]",
            "是否带上备注和组名 [新建默认：no]",
        )
    )]
    notes: Option<bool>,
    #[command(flatten)]
    options: SafeOptions,
}

impl Change {
    /// Returns what is asked for, and how it is to be carried out.
    ///
    /// # Errors
    ///
    /// The secret cannot be read, or is none.
    pub(crate) fn request(self, secrets: &mut Secrets) -> Result<(Request, ChangeOptions)> {
        let (change, options) = match self {
            Self::Set(set) => {
                let secret = set.secret_file.as_deref();
                let secret = secret.map(|path| secrets.read(path, &tr!("secret", "密钥")));
                let settings = PushSettings {
                    url: set.url,
                    node: set.node,
                    node_id: set.node_id.map(|id| id.0),
                    secret: secret.transpose()?,
                    notes: set.notes,
                };
                (PushChange::Set(settings), set.options)
            }
            Self::On(options) => (PushChange::Enable(true), options),
            Self::Off(options) => (PushChange::Enable(false), options),
        };
        Ok((Request::Push(Box::new(change)), options.into()))
    }
}
