//! Who is told what happens.

mod add;
mod flags;
mod set;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use pm_core::config::{BotToken, ChannelName, WebUrl};
use pm_core::request::{NotifyChange, Request};

use super::secrets::Secrets;
use super::values::Text;
use super::{ChangeOptions, Reading, SafeOptions};
use crate::language::tr;

use add::Add;
use set::Set;

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    #[command(flatten)]
    Change(Change),
    #[command(about = tr!(
        "Show all channels, what waits for them, and since when one fails",
        "显示所有渠道、等待发送的消息，以及从何时起发送失败",
    ))]
    List(Reading),
    #[command(about = tr!(
        "Send a test message now, and show what the server says",
        "立即发送测试消息，并显示服务器的答复",
    ))]
    Test(Test),
    #[command(about = tr!(
        "Show the last messages and what became of them",
        "显示最近的消息和发送结果",
    ))]
    Log(Log),
    #[command(
        about = tr!(
            "List the chats that a Telegram bot has heard of, with their numbers",
            "列出 Telegram 机器人收到过消息的会话及其编号",
        ),
        long_about = tr!(
            "List the chats that a Telegram bot has heard of, with their numbers\n\n\
             Write anything to the bot first, or add it to a group and write `/start` there: it \
             sees what was written within the last day.",
            "列出 Telegram 机器人收到过消息的会话及其编号\n\n\
             请先给机器人发一条消息，或把它拉进群并在群里发 `/start`：它能看到最近一天内的消息。"
        )
    )]
    FindChat(FindChat),
}

/// What changes who is told.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    #[command(subcommand, about = tr!(
        "Add a channel: `pm notify add telegram --name ops --chat 12345 --token-file -`",
        "添加渠道：`pm notify add telegram --name ops --chat 12345 --token-file -`",
    ))]
    Add(Box<Add>),
    #[command(about = tr!(
        "Change a channel, or, without its name, what concerns all",
        "修改渠道；不写渠道名则修改全局设置",
    ))]
    Set(Box<Set>),
    #[command(about = tr!(
        "Remove a channel, and what waits for it",
        "删除渠道，连同等待发送给它的消息",
    ))]
    Del(Del),
}

#[derive(Args, Debug)]
pub(crate) struct Del {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = flags::name()
    )]
    name: ChannelName,
    #[command(flatten)]
    options: SafeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Test {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = tr!(
            "The channel's name [default: all that are on]",
            "渠道的名称 [默认：所有已开启的]",
        )
    )]
    pub(crate) name: Option<ChannelName>,
}

#[derive(Args, Debug)]
pub(crate) struct Log {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = tr!("Of this channel only", "只看这个渠道")
    )]
    pub(crate) name: Option<ChannelName>,
    #[arg(
        long,
        short = 'n',
        value_name = "N",
        default_value_t = 20,
        value_parser = lines,
        help = tr!("How many, the newest last", "显示几条，最新的在最后")
    )]
    pub(crate) lines: u32,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct FindChat {
    #[arg(
        long,
        value_name = tr!("FILE|-", "文件|-"),
        required_unless_present = "name",
        conflicts_with = "name",
        help = flags::token()
    )]
    token_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = tr!(
            "The channel whose bot it is, in the place of a token",
            "用这个渠道的机器人，代替令牌",
        )
    )]
    pub(crate) name: Option<ChannelName>,
    #[arg(
        long,
        value_name = tr!("URL", "地址"),
        value_parser = Text::<WebUrl>::new(),
        conflicts_with = "name",
        help = tr!(
            "A reverse proxy of the Bot API, which sees the token [default: \
             https://api.telegram.org]",
            "Bot API 的反向代理，它会看到令牌 [默认：https://api.telegram.org]",
        )
    )]
    pub(crate) api_base: Option<WebUrl>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Reads how many messages are shown.
fn lines(text: &str) -> Result<u32, String> {
    const MOST: u32 = 2_000;
    let lines = text.parse().ok().filter(|lines| (1..=MOST).contains(lines));
    lines.ok_or_else(|| tr!("write a number from 1 to {MOST}", "请写 1 到 {MOST} 的数"))
}

impl FindChat {
    /// Returns the token that is given; `None`: it is a channel's.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none.
    pub(crate) fn token(&self, secrets: &mut Secrets) -> Result<Option<BotToken>> {
        let path = self.token_file.as_deref();
        path.map(|path| secrets.read(path, &flags::the_token()))
            .transpose()
    }
}

impl Change {
    /// Returns what is asked for, and how it is to be carried out.
    ///
    /// # Errors
    ///
    /// A secret cannot be read, or is none.
    pub(crate) fn request(self, secrets: &mut Secrets) -> Result<(Request, ChangeOptions)> {
        let (change, options) = match self {
            Self::Add(add) => add.change(secrets)?,
            Self::Set(set) => set.change(secrets)?,
            Self::Del(Del { name, options }) => (NotifyChange::Delete { name }, options.into()),
        };
        Ok((Request::Notify(Box::new(change)), options))
    }
}
