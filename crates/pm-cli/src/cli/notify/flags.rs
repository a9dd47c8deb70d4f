//! Flags that several commands have, and how lists are read.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use pm_core::config::{
    BotToken, EventKind, MailAddress, NotifyError, QuietHours, Schedule, SecretUrl, ServerName,
};
use pm_core::holder::{Holder, NoHolder};
use pm_core::language::{Language, LanguageError};
use pm_core::request::ChannelSettings;
use pm_core::secret::Secret;

use crate::cli::secrets::Secrets;
use crate::cli::values::{self, OrEmpty, OrNone, Text};
use crate::language::tr;

/// What every channel has: of what, of whom and when it is told.
#[derive(Args, Debug)]
pub(super) struct Filters {
    #[arg(
        long,
        value_name = tr!("KINDS|all|none", "类型|all|none"),
        value_parser = Text::<OrAll<EventKind>>::new(),
        help = tr!(
            en: "What is told there: some of {} [a new one's: all]", EventKind::list();
            zh: "通知哪些事件：{} 中的一些 [新建默认：all]", EventKind::list()
        )
    )]
    events: Option<OrAll<EventKind>>,
    #[arg(
        long,
        value_name = tr!("NAMES|all|none", "名称|all|none"),
        value_parser = Text::<OrAll<Holder>>::new(),
        help = tr!(
            "Of which services and groups: \"20000,30000-30100,group vip\" [a new one's: all]",
            "通知哪些服务和组：\"20000,30000-30100,group vip\" [新建默认：all]",
        )
    )]
    services: Option<OrAll<Holder>>,
    #[arg(
        long,
        value_name = tr!("FROM-TO|none", "起-止|none"),
        value_parser = Text::<OrNone<QuietHours>>::new(),
        help = tr!(
            "When messages wait: 23:00-07:00 [a new one's: none]",
            "免打扰时段，消息留到之后发送：23:00-07:00 [新建默认：none]",
        )
    )]
    quiet: Option<OrNone<QuietHours>>,
    #[arg(
        long,
        value_name = "en|zh|system",
        value_parser = Text::<OrSystem>::new(),
        help = tr!(
            "The language of its messages [a new one's: system, as pm's]",
            "消息用什么语言 [新建默认：system，与 pm 相同]",
        )
    )]
    language: Option<OrSystem>,
    #[arg(
        long,
        value_name = tr!("TEXT|none", "文字|none"),
        allow_hyphen_values = true,
        value_parser = Text::<OrEmpty<ServerName>>::new(),
        help = tr!(
            "What its messages call this host; `none`: as everywhere",
            "消息里这台主机的名称；`none`：与别处相同",
        )
    )]
    pub(super) server_name: Option<OrEmpty<ServerName>>,
    #[arg(
        long,
        value_name = tr!("WHEN|none", "时间|none"),
        value_parser = Text::<OrNone<Schedule>>::new(),
        help = tr!(
            "When it gets a summary of all services: \"every 60m\" (1m to 24h) or \"at \
             08:00,20:00\" [a new one's: none]",
            "何时发送所有服务的汇总：\"every 60m\"（1m 到 24h）或 \"at 08:00,20:00\" [新建默认：none]",
        )
    )]
    report: Option<OrNone<Schedule>>,
    #[arg(
        long,
        value_name = "yes|no",
        value_parser = values::yes_or_no,
        help = tr!("Whether anything is sent there [a new one's: yes]", "是否开启 [新建默认：yes]")
    )]
    enabled: Option<bool>,
}

impl Filters {
    /// Whether none of them is set but the name of the host, which is not a channel's alone.
    pub(super) fn is_blank(&self) -> bool {
        self.events.is_none()
            && self.services.is_none()
            && self.quiet.is_none()
            && self.language.is_none()
            && self.report.is_none()
            && self.enabled.is_none()
    }

    /// Returns what is to be changed.
    pub(super) fn settings(self) -> ChannelSettings {
        ChannelSettings {
            enabled: self.enabled,
            events: self.events.map(|it| it.0),
            services: self.services.map(|it| it.0),
            quiet: self.quiet.map(OrNone::into),
            language: self.language.map(|it| it.0),
            server_name: self.server_name.map(|it| it.0),
            report: self.report.map(OrNone::into),
            ..ChannelSettings::default()
        }
    }
}

pub(super) fn name() -> String {
    tr!("The channel's name", "渠道的名称")
}

pub(super) fn new_name() -> String {
    tr!("What you call it", "给渠道起的名称")
}

pub(super) fn token() -> String {
    tr!(
        "The file with the bot's token, as @BotFather gave it; `-`: a line of standard input",
        "机器人令牌所在的文件，令牌由 @BotFather 给出；`-`：标准输入的一行",
    )
}

pub(super) fn chat() -> String {
    tr!(
        "Where it speaks: the chat's number, as `pm notify find-chat` lists it, or @NAME of a \
         public channel",
        "在哪个会话发言：会话编号，`pm notify find-chat` 会列出；或公开频道的 @名称",
    )
}

pub(super) fn thread() -> String {
    tr!(
        "The topic of a forum in which it speaks [a new one's: none, the general one]",
        "在论坛的哪个话题发言 [新建默认：none，即常规话题]",
    )
}

pub(super) fn api_base() -> String {
    tr!(
        "A reverse proxy of the Bot API, which sees the token [a new one's: none, \
         https://api.telegram.org]",
        "Bot API 的反向代理，它会看到令牌 [新建默认：none，即 https://api.telegram.org]",
    )
}

pub(super) fn url() -> String {
    tr!(
        "The file with the robot's or hook's address, which is secret; `-`: a line of standard input",
        "机器人或 webhook 地址所在的文件，地址须保密；`-`：标准输入的一行",
    )
}

pub(super) fn secret() -> String {
    tr!(
        "The file with what messages are signed with; `-`: a line of standard input, after that of \
         the address",
        "签名密钥所在的文件；`-`：标准输入的一行，在地址那一行之后",
    )
}

pub(super) fn preset() -> String {
    tr!(
        "What its server understands [a new one's: generic]",
        "对方是哪种服务 [新建默认：generic]"
    )
}

pub(super) fn body() -> String {
    tr!(
        "What a generic one is posted: JSON with {{{{text}}}}, {{{{title}}}}, {{{{server}}}}, \
         {{{{event}}}} and {{{{time}}}} inside quotes [a new one's: none, pm's own]",
        "generic 类发送的正文：JSON，引号内可写 {{{{text}}}}、{{{{title}}}}、{{{{server}}}}、\
         {{{{event}}}}、{{{{time}}}} [新建默认：none，即 pm 自己的]",
    )
}

pub(super) fn server() -> String {
    tr!(
        "The mail server: HOST or HOST:PORT",
        "邮件服务器：主机 或 主机:端口",
    )
}

pub(super) fn security() -> String {
    tr!(
        "How the way there is secured; `none` to this host only [a new one's: tls]",
        "连接怎样加密；`none` 只能发给本机 [新建默认：tls]",
    )
}

pub(super) fn user() -> String {
    tr!(
        "Who logs in there; empty: nobody",
        "登录的用户名；留空：不登录",
    )
}

pub(super) fn password() -> String {
    tr!(
        "The file with his password; `-`: a line of standard input",
        "登录密码所在的文件；`-`：标准输入的一行",
    )
}

pub(super) fn from() -> String {
    tr!("The sender's address", "发件人地址")
}

pub(super) fn to() -> String {
    tr!(
        "The recipients' addresses, up to 20: ops@example.org,boss@example.org",
        "收件人地址，最多 20 个：ops@example.org,boss@example.org",
    )
}

pub(super) fn digest() -> String {
    tr!(
        "For how many minutes messages are collected into one mail [a new one's: none]",
        "把多少分钟内的消息合成一封邮件 [新建默认：none]",
    )
}

/// Reads the number of a topic.
pub(super) fn topic(text: &str) -> Result<OrNone<i64>, String> {
    text.parse().map_err(|_| {
        tr!(
            "write its number, such as 7, or `none`",
            "请写话题编号，例如 7，或写 `none`"
        )
    })
}

pub(super) fn the_token() -> String {
    tr!("token", "令牌")
}

/// The files that a channel's secrets are in, each in the order in which `-` takes its line.
#[derive(Debug, Default)]
pub(super) struct SecretFiles {
    pub(super) token: Option<PathBuf>,
    pub(super) url: Option<PathBuf>,
    pub(super) secret: Option<PathBuf>,
    pub(super) password: Option<PathBuf>,
}

impl SecretFiles {
    /// Puts what stands in them into `settings`.
    pub(super) fn read(self, secrets: &mut Secrets, settings: &mut ChannelSettings) -> Result<()> {
        if let Some(path) = &self.token {
            settings.token = Some(read_token(secrets, path)?);
        }
        if let Some(path) = &self.url {
            settings.url = Some(read_url(secrets, path)?);
        }
        if let Some(path) = &self.secret {
            settings.secret = Some(Some(read_secret(secrets, path)?));
        }
        if let Some(path) = &self.password {
            settings.password = Some(read_password(secrets, path)?);
        }
        Ok(())
    }
}

pub(super) fn read_token(secrets: &mut Secrets, path: &Path) -> Result<BotToken> {
    secrets.read(path, &the_token())
}

pub(super) fn read_url(secrets: &mut Secrets, path: &Path) -> Result<SecretUrl> {
    secrets.read(path, &tr!("address", "地址"))
}

pub(super) fn read_secret(secrets: &mut Secrets, path: &Path) -> Result<Secret> {
    secrets.read(path, &tr!("secret", "密钥"))
}

pub(super) fn read_password(secrets: &mut Secrets, path: &Path) -> Result<Secret> {
    secrets.read(path, &tr!("password", "密码"))
}

/// Some, separated by commas; `all` has no list, `none` an empty one.
#[derive(Clone, Debug)]
pub(super) struct OrAll<T>(Option<BTreeSet<T>>);

/// A language; `system`: none.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrSystem(Option<Language>);

/// Mail addresses, separated by commas.
#[derive(Clone, Debug)]
pub(super) struct Recipients(pub(super) Vec<MailAddress>);

fn list<T: FromStr, L: FromIterator<T>>(text: &str) -> Result<L, T::Err> {
    text.split(',').map(|part| part.trim().parse()).collect()
}

fn or_all<T: FromStr + Ord, E>(text: &str) -> Result<OrAll<T>, E>
where
    E: Error + From<T::Err>,
{
    Ok(OrAll(match text {
        "all" => None,
        "none" => Some(BTreeSet::new()),
        text => Some(list(text)?),
    }))
}

impl FromStr for OrAll<EventKind> {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        or_all(text)
    }
}

impl FromStr for OrAll<Holder> {
    type Err = NoHolder;

    fn from_str(text: &str) -> Result<Self, NoHolder> {
        or_all(text)
    }
}

impl FromStr for OrSystem {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        Ok(Self(match text {
            "system" => None,
            text => Some(text.parse()?),
        }))
    }
}

impl FromStr for Recipients {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        list(text).map(Self)
    }
}
