//! A new channel, and what is changed of one.

use pm_core::config::{
    Channel, ChannelName, Config, Email, MailAddress, MailServer, Preset, Security, Via, WeCom,
    Webhook,
};
use pm_core::request::{ChannelSettings, NotifyRefusal};

use super::{ask, telegram};
use crate::language::tr;
use crate::wizard::text;
use crate::wizard::ui::look::Paint;
use crate::wizard::ui::{Answer, Entry, Question, Ui};

/// Asks for all that a new channel takes.
pub(in crate::wizard) fn new(
    ui: &mut Ui,
    config: &Config,
    find: &telegram::Find<'_>,
) -> Answer<(ChannelName, Channel)> {
    let entries = [
        Entry::new(1, "Telegram".to_owned()),
        Entry::new(2, tr!("WeCom", "企业微信")),
        Entry::new(3, tr!("mail", "邮件")),
        Entry::new(
            4,
            tr!(
                "web hook: Slack, Discord, DingTalk, Feishu, ntfy, Bark, ...",
                "Webhook：Slack、Discord、钉钉、飞书、ntfy、Bark 等"
            ),
        ),
    ];
    let title = tr!("What kind of channel?", "添加哪种渠道？");
    let via = match ui.choose(&title, "Telegram", &entries)? {
        None | Some(0) => Via::Telegram(telegram::new(ui, find)?),
        Some(1) => {
            ui.say(&tr!(
                "In WeCom: group settings, group robots, add; copy its address.",
                "在企业微信群里：群设置 → 群机器人 → 添加，复制它的地址。"
            ))?;
            let url = ask::secret(ui, tr!("Address of the robot", "机器人的地址"))?;
            Via::WeCom(WeCom { url })
        }
        Some(2) => Via::Email(email(ui)?),
        Some(_) => Via::Webhook(webhook(ui)?),
    };
    let name = name(ui, config, via.kind())?;
    let quiet = ask::quiet(ui, None)?;
    let report = ask::report(ui, None)?;
    let channel = Channel {
        quiet,
        report,
        ..Channel::new(via)
    };
    Ok((name, channel))
}

/// Asks what the channel is called; Enter alone is its kind, where no other is called so.
fn name(ui: &mut Ui, config: &Config, kind: &str) -> Answer<ChannelName> {
    let taken = &config.notify.channels;
    let suggested = (1..).find_map(|number: u32| {
        let name = match number {
            1 => kind.to_owned(),
            number => format!("{kind}{number}"),
        };
        let name: ChannelName = name.parse().ok()?;
        (!taken.contains_key(&name)).then_some(name)
    });
    let enter = suggested.map_or(String::new(), |name| name.to_string());
    let question = Question::new(
        tr!("Name of the channel", "渠道名称"),
        tr!(
            "letters, digits, - _ and .; Enter: {enter}",
            "文字、数字、- _ 和 .；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| {
        let typed = if typed.trim().is_empty() {
            &enter
        } else {
            typed
        };
        let name: ChannelName = text::name(typed)?;
        if taken.contains_key(&name) {
            return Err(text::why(&NotifyRefusal::ChannelExists(name)));
        }
        Ok(name)
    };
    ui.ask(&question, read, ChannelName::to_string)
}

fn email(ui: &mut Ui) -> Answer<Email> {
    let server = ask::needed(
        ui,
        tr!("Mail server", "邮件服务器"),
        tr!(
            "such as smtp.example.org or smtp.example.org:587",
            "如 smtp.example.org 或 smtp.example.org:587"
        ),
    )?;
    let security = security(ui, &server)?;
    let user: Option<String> = ask::optional(
        ui,
        tr!("User to log in as", "登录用户名"),
        tr!("often the address", "通常是邮箱地址"),
    )?;
    let password = match user {
        Some(_) => Some(ask::secret(ui, tr!("Password", "密码"))?),
        None => None,
    };
    let from = ask::needed(
        ui,
        tr!("Sender's address", "发件人地址"),
        tr!("such as pm@example.org", "如 pm@example.org"),
    )?;
    let email = Email {
        server,
        security,
        user,
        password,
        from,
        to: Vec::new(),
        digest: None,
    };
    let to = recipients(ui, &email)?;
    Ok(Email { to, ..email })
}

/// Asks how the way to `server` is secured, until it may be so.
fn security(ui: &mut Ui, server: &MailServer) -> Answer<Security> {
    let entries = [
        Entry::new(1, tr!("TLS, usually port 465", "TLS，通常是 465 端口")),
        Entry::new(
            2,
            tr!("STARTTLS, usually port 587", "STARTTLS，通常是 587 端口"),
        ),
        Entry::new(3, tr!("none, to this host only", "不加密，只能发给本机")),
    ];
    let title = tr!("How is the connection secured?", "连接怎样加密？");
    loop {
        let security = match ui.choose(&title, "TLS", &entries)? {
            None | Some(0) => Security::Tls,
            Some(1) => Security::StartTls,
            Some(_) => Security::None,
        };
        match security.check(server) {
            Ok(()) => return Ok(security),
            Err(error) => ui.note(&text::why(&error), Paint::Bad)?,
        }
    }
}

/// Asks who gets the mail; what else is wrong with it is said here, too.
fn recipients(ui: &mut Ui, email: &Email) -> Answer<Vec<MailAddress>> {
    let question = Question::new(
        tr!("Recipients' addresses", "收件人地址"),
        tr!("up to 20, separated by commas", "最多 20 个，用逗号分隔"),
    );
    let read = |typed: &str| {
        let typed = text::tidy(typed).replace([';', ' '], ",");
        let parts = typed.split(',').filter(|part| !part.is_empty());
        let to: Vec<MailAddress> = parts.map(ask::read).collect::<Result<_, _>>()?;
        let whole = Email {
            to: to.clone(),
            ..email.clone()
        };
        whole.check().map_err(|error| text::why(&error))?;
        Ok(to)
    };
    let show = |to: &Vec<MailAddress>| {
        let to: Vec<_> = to.iter().map(ToString::to_string).collect();
        to.join(", ")
    };
    ui.ask(&question, read, show)
}

fn webhook(ui: &mut Ui) -> Answer<Webhook> {
    let entries: Vec<Entry> = Preset::ALL
        .iter()
        .enumerate()
        .map(|(index, preset)| Entry::new(index + 1, preset.to_string()))
        .collect();
    let title = tr!("What does its server understand?", "对方是哪种服务？");
    let chosen = ui.choose(&title, Preset::default().name(), &entries)?;
    let preset = chosen.and_then(|index| Preset::ALL.get(index));
    let preset = preset.copied().unwrap_or_default();
    let url = ask::secret(ui, tr!("Address of the hook", "Webhook 地址"))?;
    let is_signed = preset.is_signed() && {
        let title = tr!("Is there a secret to sign with?", "要填写签名密钥吗？");
        ui.confirm(title, false)?
    };
    let secret = match is_signed {
        true => Some(ask::secret(ui, tr!("Secret", "密钥"))?),
        false => None,
    };
    Ok(Webhook {
        url,
        secret,
        preset,
        body: None,
    })
}

/// Asks what is to be changed of a channel; nothing: the user goes back.
pub(in crate::wizard) fn change(
    ui: &mut Ui,
    config: &Config,
    present: &Channel,
    find: &telegram::Find<'_>,
) -> Answer<ChannelSettings> {
    let on = if present.enabled {
        tr!("switch it off", "关闭")
    } else {
        tr!("switch it on", "开启")
    };
    let mut entries = vec![
        Entry::new(1, on),
        Entry::new(2, tr!("which events", "通知哪些事件")),
        Entry::new(3, tr!("quiet hours", "免打扰时段")),
        Entry::new(4, tr!("summary of all services", "端口汇总")),
    ];
    let (secret, place) = match &present.via {
        Via::Telegram(_) => (
            Some(tr!("token of the bot", "机器人的 Token")),
            Some(tr!("chat", "会话")),
        ),
        Via::WeCom(_) => (Some(tr!("address of the robot", "机器人的地址")), None),
        Via::Webhook(_) => (Some(tr!("address of the hook", "Webhook 地址")), None),
        Via::Email(email) => (
            email.user.as_ref().map(|_| tr!("password", "密码")),
            Some(tr!("recipients", "收件人")),
        ),
    };
    entries.extend(secret.map(|text| Entry::new(5, text)));
    entries.extend(place.map(|text| Entry::new(6, text)));
    entries.push(Entry::new(
        7,
        tr!("of which services", "通知哪些端口和分组"),
    ));
    entries.push(Entry::new(8, tr!("language", "消息语言")));
    entries.push(Entry::new(
        9,
        tr!("what it calls this host", "消息里的主机名称"),
    ));
    match &present.via {
        Via::Email(_) => entries.push(Entry::new(10, tr!("mails in one", "合并邮件"))),
        Via::Webhook(_) => entries.push(Entry::new(10, tr!("what is posted", "发送的内容"))),
        Via::Telegram(_) | Via::WeCom(_) => {}
    }
    entries.push(Entry::new(0, tr!("back", "返回")));
    let title = tr!("Change what?", "修改哪一项？");
    let chosen = ui.choose(&title, &tr!("back", "返回"), &entries)?;
    let number = chosen.and_then(|index| entries.get(index));
    let mut settings = ChannelSettings::default();
    match number.map_or(0, |entry| entry.number) {
        1 => settings.enabled = Some(!present.enabled),
        2 => settings.events = Some(ask::events(ui)?),
        3 => settings.quiet = Some(ask::quiet(ui, present.quiet)?),
        4 => settings.report = Some(ask::report(ui, present.report.as_ref())?),
        5 => new_secret(ui, &present.via, &mut settings)?,
        6 => new_place(ui, &present.via, find, &mut settings)?,
        7 => settings.services = Some(ask::services(ui, config)?),
        8 => settings.language = ask::language(ui, present.language)?,
        9 => settings.server_name = Some(ask::server_name(ui, present.server_name.as_ref())?),
        10 => new_form(ui, &present.via, &mut settings)?,
        _ => {}
    }
    Ok(settings)
}

fn new_secret(ui: &mut Ui, via: &Via, settings: &mut ChannelSettings) -> Answer<()> {
    match via {
        Via::Telegram(_) => {
            let title = tr!("Token of the bot", "机器人的 Token");
            settings.token = Some(ask::secret(ui, title)?);
        }
        Via::WeCom(_) | Via::Webhook(_) => {
            settings.url = Some(ask::secret(ui, tr!("Address", "地址"))?);
        }
        Via::Email(_) => settings.password = Some(ask::secret(ui, tr!("Password", "密码"))?),
    }
    Ok(())
}

/// Asks in what form messages are sent.
fn new_form(ui: &mut Ui, via: &Via, settings: &mut ChannelSettings) -> Answer<()> {
    match via {
        Via::Email(present) => settings.digest = Some(ask::digest(ui, present.digest)?),
        Via::Webhook(present) => settings.body = Some(ask::body(ui, present.body.as_ref())?),
        Via::Telegram(_) | Via::WeCom(_) => {}
    }
    Ok(())
}

fn new_place(
    ui: &mut Ui,
    via: &Via,
    find: &telegram::Find<'_>,
    settings: &mut ChannelSettings,
) -> Answer<()> {
    match via {
        Via::Telegram(present) => {
            let mut bot = telegram::Bot {
                token: present.token.clone(),
                api_base: present.api_base.clone(),
            };
            let (chat, thread) = telegram::chat(ui, &mut bot, find)?;
            settings.token = Some(bot.token).filter(|token| *token != present.token);
            settings.api_base = Some(bot.api_base).filter(|base| *base != present.api_base);
            settings.chat = Some(chat);
            settings.thread = Some(thread);
        }
        Via::Email(present) => settings.to = Some(recipients(ui, present)?),
        Via::WeCom(_) | Via::Webhook(_) => {}
    }
    Ok(())
}
