//! What is changed of a channel.

use pm_core::config::{Channel, Config, Email, Preset, Via};
use pm_core::request::ChannelSettings;

use super::channel::{recipients, security};
use super::{ask, some, telegram};
use crate::language::tr;
use crate::wizard::ui::{Answer, Entry, Ui};

/// Something that can be changed.
#[derive(Clone, Copy, Debug)]
enum Setting {
    Enabled,
    Events,
    Services,
    Quiet,
    Report,
    Language,
    ServerName,
    Token,
    Chat,
    ApiBase,
    Url,
    Secret,
    Body,
    Server,
    Login,
    From,
    To,
    Digest,
}

/// What every channel has.
const COMMON: [Setting; 7] = [
    Setting::Enabled,
    Setting::Events,
    Setting::Services,
    Setting::Quiet,
    Setting::Report,
    Setting::Language,
    Setting::ServerName,
];

/// Asks what is to be changed of a channel, and for that; `None`: the user goes back.
pub(in crate::wizard) fn change(
    ui: &mut Ui,
    config: &Config,
    present: &Channel,
    find: &telegram::Find<'_>,
) -> Answer<Option<ChannelSettings>> {
    let all: Vec<Setting> = COMMON.into_iter().chain(own(&present.via)).collect();
    let entry = |(index, setting): (usize, &Setting)| Entry::new(index + 1, setting.text(present));
    let mut entries: Vec<Entry> = all.iter().enumerate().map(entry).collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let title = tr!("Change what?", "修改哪一项？");
    let chosen = ui.choose(&title, &tr!("back", "返回"), &entries)?;
    let Some(setting) = chosen.and_then(|index| all.get(index)) else {
        return Ok(None);
    };
    let mut settings = ChannelSettings::default();
    match setting {
        Setting::Enabled => settings.enabled = Some(!present.enabled),
        Setting::Events => {
            let events = some::events(ui, present.events.as_ref())?;
            settings.events = anew(events, &present.events);
        }
        Setting::Services => {
            let services = some::services(ui, config, present.services.as_ref())?;
            settings.services = anew(services, &present.services);
        }
        Setting::Quiet => {
            let quiet = ask::quiet(ui, present.quiet)?;
            settings.quiet = anew(quiet, &present.quiet);
        }
        Setting::Report => {
            let report = ask::report(ui, present.report.as_ref())?;
            settings.report = anew(report, &present.report);
        }
        Setting::Language => {
            let language = ask::language(ui, present.language)?;
            settings.language = language.and_then(|it| anew(it, &present.language));
        }
        Setting::ServerName => {
            let name = ask::server_name(ui, present.server_name.as_ref())?;
            settings.server_name = anew(name, &present.server_name);
        }
        own => ask_own(ui, *own, &present.via, find, &mut settings)?,
    }
    Ok(Some(settings))
}

/// Returns what is asked for where it is something else than before.
fn anew<T: PartialEq>(asked: T, present: &T) -> Option<T> {
    (asked != *present).then_some(asked)
}

/// Returns what channels of this kind have.
fn own(via: &Via) -> Vec<Setting> {
    match via {
        Via::Telegram(_) => vec![Setting::Token, Setting::Chat, Setting::ApiBase],
        Via::WeCom(_) => vec![Setting::Url],
        Via::Webhook(hook) => {
            let secret = hook.preset.is_signed().then_some(Setting::Secret);
            let body = (hook.preset == Preset::Generic).then_some(Setting::Body);
            let settings = [Some(Setting::Url), secret, body];
            settings.into_iter().flatten().collect()
        }
        Via::Email(_) => vec![
            Setting::Server,
            Setting::Login,
            Setting::From,
            Setting::To,
            Setting::Digest,
        ],
    }
}

/// Asks for a setting that not every channel has.
fn ask_own(
    ui: &mut Ui,
    setting: Setting,
    via: &Via,
    find: &telegram::Find<'_>,
    settings: &mut ChannelSettings,
) -> Answer<()> {
    match (via, setting) {
        (Via::Telegram(_), Setting::Token) => settings.token = Some(telegram::token(ui)?),
        (Via::Telegram(present), Setting::ApiBase) => {
            let base = telegram::api_base(ui, present.api_base.as_ref())?;
            settings.api_base = anew(base, &present.api_base);
        }
        (Via::Telegram(present), _) => {
            let mut bot = telegram::Bot {
                token: present.token.clone(),
                api_base: present.api_base.clone(),
            };
            let (chat, thread) = telegram::chat(ui, &mut bot, find)?;
            settings.token = anew(bot.token, &present.token);
            settings.api_base = anew(bot.api_base, &present.api_base);
            settings.chat = anew(chat, &present.chat);
            settings.thread = anew(thread, &present.thread);
        }
        (Via::Webhook(present), Setting::Secret) => {
            let title = tr!("Secret to sign with", "签名密钥");
            settings.secret = ask::new_secret(ui, title, present.secret.is_some())?;
        }
        (Via::Webhook(present), Setting::Body) => {
            let body = ask::body(ui, present.body.as_ref())?;
            settings.body = anew(body, &present.body);
        }
        (Via::WeCom(_) | Via::Webhook(_), _) => {
            settings.url = Some(ask::secret(ui, tr!("Address", "地址"))?);
        }
        (Via::Email(present), Setting::Server) => {
            let server = ask::server(ui, Some(&present.server))?;
            let security = security(ui, &server, present.security)?;
            settings.server = anew(server, &present.server);
            settings.security = anew(security, &present.security);
        }
        (Via::Email(present), Setting::Login) => login(ui, present, settings)?,
        (Via::Email(present), Setting::From) => {
            let from = ask::sender(ui, Some(&present.from))?;
            settings.from = anew(from, &present.from);
        }
        (Via::Email(present), Setting::Digest) => {
            let digest = ask::digest(ui, present.digest)?;
            settings.digest = anew(digest, &present.digest);
        }
        (Via::Email(present), _) => {
            settings.to = anew(recipients(ui, present)?, &present.to);
        }
    }
    Ok(())
}

/// Asks for user and password, which belong together.
fn login(ui: &mut Ui, present: &Email, settings: &mut ChannelSettings) -> Answer<()> {
    let user = ask::user(ui, present.user.as_ref())?;
    let is_same = user == present.user;
    if user.is_some() {
        let title = tr!("Keep the password as it is?", "密码保持不变？");
        let keeps = is_same && ui.confirm(title, true)?;
        if !keeps {
            settings.password = Some(ask::secret(ui, tr!("Password", "密码"))?);
        }
    }
    settings.user = anew(user, &present.user);
    Ok(())
}

impl Setting {
    /// Returns what the menu calls it.
    fn text(self, present: &Channel) -> String {
        match self {
            Self::Enabled if present.enabled => tr!("switch it off", "关闭"),
            Self::Enabled => tr!("switch it on", "开启"),
            Self::Events => tr!("which events", "通知哪些事件"),
            Self::Services => tr!("of which services", "通知哪些端口和分组"),
            Self::Quiet => tr!("quiet hours", "免打扰时段"),
            Self::Report => tr!("summary of all services", "所有服务的汇总"),
            Self::Language => tr!("language", "消息语言"),
            Self::ServerName => tr!("what it calls this host", "消息里的主机名称"),
            Self::Token => tr!("token of the bot", "机器人的令牌"),
            Self::Chat => tr!("chat", "会话"),
            Self::ApiBase => tr!(
                "reverse proxy of api.telegram.org",
                "api.telegram.org 的反向代理"
            ),
            Self::Url => match present.via {
                Via::WeCom(_) => tr!("address of the robot", "机器人的地址"),
                _ => tr!("address of the hook", "Webhook 地址"),
            },
            Self::Secret => tr!("secret to sign with", "签名密钥"),
            Self::Body => tr!("what is posted", "发送的内容"),
            Self::Server => tr!("mail server and encryption", "邮件服务器和加密"),
            Self::Login => tr!("user and password", "用户名和密码"),
            Self::From => tr!("sender", "发件人"),
            Self::To => tr!("recipients", "收件人"),
            Self::Digest => tr!("mails in one", "合并邮件"),
        }
    }
}
