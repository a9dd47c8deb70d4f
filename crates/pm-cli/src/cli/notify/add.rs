//! A new channel, a command for each kind.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use pm_core::config::{
    Channel, ChannelName, ChatId, DigestMinutes, Email, MailAddress, MailServer, Preset, Security,
    Telegram, Template, Via, WeCom, WebUrl, Webhook,
};
use pm_core::request::NotifyChange;

use super::flags::{self, Filters, Recipients};
use crate::cli::secrets::Secrets;
use crate::cli::values::{OrEmpty, OrNone, Text};
use crate::cli::{ChangeOptions, SafeOptions};
use crate::language::tr;

/// What is added.
#[derive(Debug, Subcommand)]
pub(crate) enum Add {
    #[command(about = tr!("A Telegram bot", "Telegram 机器人"))]
    Telegram(AddTelegram),
    #[command(about = tr!("A robot in a group of WeCom's", "企业微信群机器人"))]
    Wecom(AddWeCom),
    #[command(about = tr!("Mail", "邮件"))]
    Email(AddEmail),
    #[command(about = tr!(
        "A web hook: Slack, Discord, DingTalk, Feishu, ntfy, Bark, or any that takes JSON",
        "Webhook：Slack、Discord、钉钉、飞书、ntfy、Bark，或任何接受 JSON 的服务",
    ))]
    Webhook(AddWebhook),
}

#[derive(Args, Debug)]
struct Named {
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = flags::new_name()
    )]
    name: ChannelName,
}

#[derive(Args, Debug)]
pub(crate) struct AddTelegram {
    #[command(flatten)]
    named: Named,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::token())]
    token_file: PathBuf,
    #[arg(
        long,
        value_name = tr!("ID", "编号"),
        allow_hyphen_values = true,
        value_parser = Text::<ChatId>::new(),
        help = flags::chat()
    )]
    chat: ChatId,
    #[arg(
        long,
        value_name = tr!("ID|none", "编号|none"),
        allow_hyphen_values = true,
        value_parser = flags::topic,
        help = flags::thread()
    )]
    thread: Option<OrNone<i64>>,
    #[arg(
        long,
        value_name = tr!("URL|none", "地址|none"),
        value_parser = Text::<OrNone<WebUrl>>::new(),
        help = flags::api_base()
    )]
    api_base: Option<OrNone<WebUrl>>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    options: SafeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct AddWeCom {
    #[command(flatten)]
    named: Named,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::url())]
    url_file: PathBuf,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    options: SafeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct AddEmail {
    #[command(flatten)]
    named: Named,
    #[arg(
        long,
        value_name = tr!("HOST", "主机"),
        value_parser = Text::<MailServer>::new(),
        help = flags::server()
    )]
    server: MailServer,
    #[arg(
        long,
        value_name = "tls|starttls|none",
        value_parser = Text::<Security>::new(),
        help = flags::security()
    )]
    security: Option<Security>,
    #[arg(
        long,
        value_name = tr!("NAME", "名称"),
        allow_hyphen_values = true,
        requires = "password_file",
        value_parser = Text::<OrEmpty<String>>::new(),
        help = flags::user()
    )]
    user: Option<OrEmpty<String>>,
    #[arg(
        long,
        value_name = tr!("FILE|-", "文件|-"),
        requires = "user",
        help = flags::password()
    )]
    password_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = tr!("ADDRESS", "地址"),
        allow_hyphen_values = true,
        value_parser = Text::<MailAddress>::new(),
        help = flags::from()
    )]
    from: MailAddress,
    #[arg(
        long,
        value_name = tr!("ADDRESSES", "地址"),
        allow_hyphen_values = true,
        value_parser = Text::<Recipients>::new(),
        help = flags::to()
    )]
    to: Recipients,
    #[arg(
        long,
        value_name = tr!("MINUTES|none", "分钟|none"),
        value_parser = Text::<OrNone<DigestMinutes>>::new(),
        help = flags::digest()
    )]
    digest: Option<OrNone<DigestMinutes>>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    options: SafeOptions,
}

#[derive(Args, Debug)]
pub(crate) struct AddWebhook {
    #[command(flatten)]
    named: Named,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::url())]
    url_file: PathBuf,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::secret())]
    secret_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = Preset::list().replace(", ", "|"),
        value_parser = Text::<Preset>::new(),
        help = flags::preset()
    )]
    preset: Option<Preset>,
    #[arg(
        long,
        value_name = "JSON|none",
        value_parser = Text::<OrNone<Template>>::new(),
        help = flags::body()
    )]
    body: Option<OrNone<Template>>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    options: SafeOptions,
}

impl Add {
    /// Returns what is asked for, and how it is to be carried out.
    pub(super) fn change(self, secrets: &mut Secrets) -> Result<(NotifyChange, ChangeOptions)> {
        let (name, via, filters, options) = match self {
            Self::Telegram(add) => {
                let via = Via::Telegram(Telegram {
                    token: flags::read_token(secrets, &add.token_file)?,
                    chat: add.chat,
                    thread: add.thread.and_then(OrNone::into),
                    api_base: add.api_base.and_then(OrNone::into),
                });
                (add.named.name, via, add.filters, add.options)
            }
            Self::Wecom(add) => {
                let url = flags::read_url(secrets, &add.url_file)?;
                let via = Via::WeCom(WeCom { url });
                (add.named.name, via, add.filters, add.options)
            }
            Self::Email(add) => {
                let password = add.password_file.as_deref();
                let password = password.map(|path| flags::read_password(secrets, path));
                let via = Via::Email(Email {
                    server: add.server,
                    security: add.security.unwrap_or_default(),
                    user: add.user.and_then(|user| user.0),
                    password: password.transpose()?,
                    from: add.from,
                    to: add.to.0,
                    digest: add.digest.and_then(OrNone::into),
                });
                (add.named.name, via, add.filters, add.options)
            }
            Self::Webhook(add) => {
                let url = flags::read_url(secrets, &add.url_file)?;
                let secret = add.secret_file.as_deref();
                let secret = secret.map(|path| flags::read_secret(secrets, path));
                let via = Via::Webhook(Webhook {
                    url,
                    secret: secret.transpose()?,
                    preset: add.preset.unwrap_or_default(),
                    body: add.body.and_then(OrNone::into),
                });
                (add.named.name, via, add.filters, add.options)
            }
        };
        let chosen = filters.settings();
        let channel = Channel {
            enabled: chosen.enabled.unwrap_or(true),
            via,
            events: chosen.events.flatten(),
            services: chosen.services.flatten(),
            quiet: chosen.quiet.flatten(),
            language: chosen.language.flatten(),
            server_name: chosen.server_name.flatten(),
            report: chosen.report.flatten(),
        };
        Ok((NotifyChange::Add { name, channel }, options.into()))
    }
}
