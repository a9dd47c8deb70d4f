//! A new channel.

use pm_core::config::{
    Channel, ChannelName, Config, Email, MailAddress, MailServer, Preset, Security, Via, WeCom,
    Webhook,
};
use pm_core::request::NotifyRefusal;

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
    let server = ask::server(ui, None)?;
    let security = security(ui, &server, Security::default())?;
    let user = ask::user(ui, None)?;
    let password = match user {
        Some(_) => Some(ask::secret(ui, tr!("Password", "密码"))?),
        None => None,
    };
    let from = ask::sender(ui, None)?;
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

/// Asks how the way to `server` is secured, until it may be so; Enter alone is `present`.
pub(super) fn security(ui: &mut Ui, server: &MailServer, present: Security) -> Answer<Security> {
    let name = |security| match security {
        Security::Tls => tr!("TLS, usually port 465", "TLS，通常是 465 端口"),
        Security::StartTls => tr!("STARTTLS, usually port 587", "STARTTLS，通常是 587 端口"),
        Security::None => tr!("none, to this host only", "不加密，只能发给本机"),
    };
    let entries: Vec<Entry> = Security::ALL
        .iter()
        .enumerate()
        .map(|(index, security)| Entry::new(index + 1, name(*security)))
        .collect();
    let title = tr!("How is the connection secured?", "连接怎样加密？");
    loop {
        let chosen = ui.choose(&title, &name(present), &entries)?;
        let security = chosen.and_then(|index| Security::ALL.get(index));
        let security = security.copied().unwrap_or(present);
        match security.check(server) {
            Ok(()) => return Ok(security),
            Err(error) => ui.note(&text::why(&error), Paint::Bad)?,
        }
    }
}

/// Asks who gets the mail; Enter alone is who does now.
pub(super) fn recipients(ui: &mut Ui, email: &Email) -> Answer<Vec<MailAddress>> {
    let show = |to: &Vec<MailAddress>| {
        let to: Vec<_> = to.iter().map(ToString::to_string).collect();
        to.join(", ")
    };
    let hint = tr!("up to 20, separated by commas", "最多 20 个，用逗号分隔");
    let present = (!email.to.is_empty()).then(|| show(&email.to));
    let question = Question::new(
        tr!("Recipients' addresses", "收件人地址"),
        ask::with_enter(hint, present),
    );
    let read = |typed: &str| {
        let typed = text::tidy(typed).replace([';', ' '], ",");
        if typed.is_empty() && !email.to.is_empty() {
            return Ok(email.to.clone());
        }
        let parts = typed.split(',').filter(|part| !part.is_empty());
        let to: Vec<MailAddress> = parts.map(ask::read).collect::<Result<_, _>>()?;
        let whole = Email {
            to: to.clone(),
            ..email.clone()
        };
        whole.check().map_err(|error| text::why(&error))?;
        Ok(to)
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
