//! What is changed of a channel, or of all.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap::error::ErrorKind;
use pm_core::config::{
    ChannelName, ChatId, DigestMinutes, MailAddress, MailServer, Preset, Security, Template,
    Thresholds, WebUrl,
};
use pm_core::request::{ChannelSettings, NotifyChange};

use super::flags::{self, Filters, Recipients, SecretFiles};
use crate::cli::secrets::Secrets;
use crate::cli::values::{OrEmpty, OrNone, Text};
use crate::cli::{ChangeOptions, SafeOptions, errors};
use crate::language::tr;

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[arg(
        value_name = tr!("NAME", "名称"),
        value_parser = Text::<ChannelName>::new(),
        help = tr!(
            "The channel's name; without it, only `--server-name` and `--thresholds`, of all, can \
             be changed",
            "渠道的名称；不写则只能修改全局的 `--server-name` 和 `--thresholds`",
        )
    )]
    name: Option<ChannelName>,
    #[arg(
        long,
        value_name = tr!("PERCENTAGES|none", "百分比|none"),
        conflicts_with = "name",
        value_parser = Text::<Thresholds>::new(),
        help = tr!(
            "At which parts of a quota its holder is warned of; `none`: never [while it is not \
             set: 50,80,100]",
            "配额用到百分之几时预警；`none`：不预警 [未设置时：50,80,100]",
        )
    )]
    thresholds: Option<Thresholds>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    kinds: Kinds,
    #[command(flatten)]
    options: SafeOptions,
}

/// What channels of one kind have.
#[derive(Args, Debug)]
struct Kinds {
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::token())]
    token_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = tr!("ID", "编号"),
        allow_hyphen_values = true,
        value_parser = Text::<ChatId>::new(),
        help = flags::chat()
    )]
    chat: Option<ChatId>,
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
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::url())]
    url_file: Option<PathBuf>,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::secret())]
    secret_file: Option<PathBuf>,
    #[arg(
        long,
        conflicts_with = "secret_file",
        help = tr!("Sign messages no longer", "不再签名")
    )]
    no_secret: bool,
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
    #[arg(
        long,
        value_name = tr!("HOST", "主机"),
        value_parser = Text::<MailServer>::new(),
        help = flags::server()
    )]
    server: Option<MailServer>,
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
        value_parser = Text::<OrEmpty<String>>::new(),
        help = flags::user()
    )]
    user: Option<OrEmpty<String>>,
    #[arg(long, value_name = tr!("FILE|-", "文件|-"), help = flags::password())]
    password_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = tr!("ADDRESS", "地址"),
        allow_hyphen_values = true,
        value_parser = Text::<MailAddress>::new(),
        help = flags::from()
    )]
    from: Option<MailAddress>,
    #[arg(
        long,
        value_name = tr!("ADDRESSES", "地址"),
        allow_hyphen_values = true,
        value_parser = Text::<Recipients>::new(),
        help = flags::to()
    )]
    to: Option<Recipients>,
    #[arg(
        long,
        value_name = tr!("MINUTES|none", "分钟|none"),
        value_parser = Text::<OrNone<DigestMinutes>>::new(),
        help = flags::digest()
    )]
    digest: Option<OrNone<DigestMinutes>>,
}

impl Kinds {
    fn is_blank(&self) -> bool {
        let Self {
            token_file,
            chat,
            thread,
            api_base,
            url_file,
            secret_file,
            no_secret,
            preset,
            body,
            server,
            security,
            user,
            password_file,
            from,
            to,
            digest,
        } = self;
        let files = [token_file, url_file, secret_file, password_file];
        files.into_iter().all(Option::is_none)
            && chat.is_none()
            && thread.is_none()
            && api_base.is_none()
            && !no_secret
            && preset.is_none()
            && body.is_none()
            && server.is_none()
            && security.is_none()
            && user.is_none()
            && from.is_none()
            && to.is_none()
            && digest.is_none()
    }

    fn put(self, secrets: &mut Secrets, settings: &mut ChannelSettings) -> Result<()> {
        let files = SecretFiles {
            token: self.token_file,
            url: self.url_file,
            secret: self.secret_file,
            password: self.password_file,
        };
        files.read(secrets, settings)?;
        if self.no_secret {
            settings.secret = Some(None);
        }
        settings.chat = self.chat;
        settings.thread = self.thread.map(OrNone::into);
        settings.api_base = self.api_base.map(OrNone::into);
        settings.preset = self.preset;
        settings.body = self.body.map(OrNone::into);
        settings.server = self.server;
        settings.security = self.security;
        settings.user = self.user.map(|user| user.0);
        settings.from = self.from;
        settings.to = self.to.map(|to| to.0);
        settings.digest = self.digest.map(OrNone::into);
        Ok(())
    }
}

impl Set {
    /// Returns what is asked for, and how it is to be carried out; ends the process where it is of a
    /// channel that is not named.
    pub(super) fn change(self, secrets: &mut Secrets) -> Result<(NotifyChange, ChangeOptions)> {
        let change = match self.name {
            Some(name) => {
                let mut settings = self.filters.settings();
                self.kinds.put(secrets, &mut settings)?;
                NotifyChange::Set { name, settings }
            }
            None => {
                if !self.filters.is_blank() || !self.kinds.is_blank() {
                    let message = tr!(
                        "which channel? Write its name: `pm notify set NAME ...`",
                        "哪个渠道？请写名称：`pm notify set 名称 ...`"
                    );
                    let kind = ErrorKind::MissingRequiredArgument;
                    errors::refuse(&["notify", "set"], kind, &message);
                }
                NotifyChange::General {
                    server_name: self.filters.server_name.map(|name| name.0),
                    thresholds: self.thresholds,
                }
            }
        };
        Ok((change, self.options.into()))
    }
}
