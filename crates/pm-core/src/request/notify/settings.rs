//! What is to be changed of a channel.

use std::collections::BTreeSet;

use super::NotifyRefusal;
use crate::config::{
    BotToken, Channel, ChannelName, ChatId, DigestMinutes, EventKind, MailAddress, MailServer,
    Preset, QuietHours, Schedule, SecretUrl, Security, ServerName, Template, Via, WebUrl,
};
use crate::holder::Holder;
use crate::language::Language;
use crate::secret::Secret;

/// Settings of a channel to be changed. Those of another kind than the channel's are refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelSettings {
    /// Whether anything is sent there.
    pub enabled: Option<bool>,
    /// What is told there; `Some(None)`: everything.
    pub events: Option<Option<BTreeSet<EventKind>>>,
    /// Of whom; `Some(None)`: of all.
    pub services: Option<Option<BTreeSet<Holder>>>,
    /// When messages wait; `Some(None)`: never.
    pub quiet: Option<Option<QuietHours>>,
    /// The language; `Some(None)`: the configuration's.
    pub language: Option<Option<Language>>,
    /// What this host is called there; `Some(None)`: as everywhere.
    pub server_name: Option<Option<ServerName>>,
    /// When it gets a summary; `Some(None)`: never.
    pub report: Option<Option<Schedule>>,
    /// Telegram: the bot's token.
    pub token: Option<BotToken>,
    /// Telegram: the chat.
    pub chat: Option<ChatId>,
    /// Telegram: the topic; `Some(None)`: the general one.
    pub thread: Option<Option<i64>>,
    /// Telegram: where the Bot API is reached; `Some(None)`: at Telegram's.
    pub api_base: Option<Option<WebUrl>>,
    /// WeCom, web hook: the address.
    pub url: Option<SecretUrl>,
    /// Web hook: what is signed with; `Some(None)`: nothing is.
    pub secret: Option<Option<Secret>>,
    /// Web hook: what its server understands.
    pub preset: Option<Preset>,
    /// Web hook: what is posted; `Some(None)`: pm's own.
    pub body: Option<Option<Template>>,
    /// Mail: the server.
    pub server: Option<MailServer>,
    /// Mail: how the way there is secured.
    pub security: Option<Security>,
    /// Mail: who logs in; `Some(None)`: nobody, and there is no password.
    pub user: Option<Option<String>>,
    /// Mail: what he logs in with.
    pub password: Option<Secret>,
    /// Mail: who it is from.
    pub from: Option<MailAddress>,
    /// Mail: who it is for.
    pub to: Option<Vec<MailAddress>>,
    /// Mail: for how long messages are collected; `Some(None)`: each is one mail.
    pub digest: Option<Option<DigestMinutes>>,
}

impl ChannelSettings {
    /// Returns the settings that make the channel what it is; what has its default is left out.
    pub fn of(channel: &Channel) -> Self {
        let mut settings = Self {
            enabled: (!channel.enabled).then_some(false),
            events: channel.events.clone().map(Some),
            services: channel.services.clone().map(Some),
            quiet: channel.quiet.map(Some),
            language: channel.language.map(Some),
            server_name: channel.server_name.clone().map(Some),
            report: channel.report.clone().map(Some),
            ..Self::default()
        };
        match channel.via.clone() {
            Via::Telegram(telegram) => {
                settings.token = Some(telegram.token);
                settings.chat = Some(telegram.chat);
                settings.thread = telegram.thread.map(Some);
                settings.api_base = telegram.api_base.map(Some);
            }
            Via::WeCom(wecom) => settings.url = Some(wecom.url),
            Via::Email(email) => {
                settings.server = Some(email.server);
                settings.security = Some(email.security).filter(|it| !it.is_tls());
                settings.user = email.user.map(Some);
                settings.password = email.password;
                settings.from = Some(email.from);
                settings.to = Some(email.to);
                settings.digest = email.digest.map(Some);
            }
            Via::Webhook(webhook) => {
                settings.url = Some(webhook.url);
                settings.secret = webhook.secret.map(Some);
                settings.preset = Some(webhook.preset).filter(|it| !it.is_generic());
                settings.body = webhook.body.map(Some);
            }
        }
        settings
    }

    pub(super) fn apply(
        &self,
        name: &ChannelName,
        channel: &mut Channel,
    ) -> Result<(), NotifyRefusal> {
        let kind = channel.via.kind();
        if let Some(field) = self.foreign(&channel.via) {
            let name = name.clone();
            return Err(NotifyRefusal::NotOfKind { name, kind, field });
        }
        channel.enabled = self.enabled.unwrap_or(channel.enabled);
        put(&mut channel.events, &self.events);
        put(&mut channel.services, &self.services);
        put(&mut channel.quiet, &self.quiet);
        put(&mut channel.language, &self.language);
        put(&mut channel.server_name, &self.server_name);
        put(&mut channel.report, &self.report);
        match &mut channel.via {
            Via::Telegram(telegram) => {
                put(&mut telegram.token, &self.token);
                put(&mut telegram.chat, &self.chat);
                put(&mut telegram.thread, &self.thread);
                put(&mut telegram.api_base, &self.api_base);
            }
            Via::WeCom(wecom) => put(&mut wecom.url, &self.url),
            Via::Email(email) => {
                put(&mut email.server, &self.server);
                put(&mut email.security, &self.security);
                put(&mut email.user, &self.user);
                put(&mut email.password, &self.password.clone().map(Some));
                if self.user == Some(None) {
                    email.password = None;
                }
                put(&mut email.from, &self.from);
                put(&mut email.to, &self.to);
                put(&mut email.digest, &self.digest);
            }
            Via::Webhook(webhook) => {
                put(&mut webhook.url, &self.url);
                put(&mut webhook.secret, &self.secret);
                put(&mut webhook.preset, &self.preset);
                put(&mut webhook.body, &self.body);
            }
        }
        channel.via.check()?;
        Ok(())
    }

    /// Returns a setting that channels of this kind do not have.
    fn foreign(&self, via: &Via) -> Option<&'static str> {
        let (telegram, mail, hook) = (
            matches!(via, Via::Telegram(_)),
            matches!(via, Via::Email(_)),
            matches!(via, Via::Webhook(_)),
        );
        let has_url = hook || matches!(via, Via::WeCom(_));
        let settings = [
            ("token", self.token.is_some(), telegram),
            ("chat", self.chat.is_some(), telegram),
            ("thread", self.thread.is_some(), telegram),
            ("api_base", self.api_base.is_some(), telegram),
            ("url", self.url.is_some(), has_url),
            ("secret", self.secret.is_some(), hook),
            ("preset", self.preset.is_some(), hook),
            ("body", self.body.is_some(), hook),
            ("server", self.server.is_some(), mail),
            ("security", self.security.is_some(), mail),
            ("user", self.user.is_some(), mail),
            ("password", self.password.is_some(), mail),
            ("from", self.from.is_some(), mail),
            ("to", self.to.is_some(), mail),
            ("digest", self.digest.is_some(), mail),
        ];
        let mut foreign = settings.into_iter().filter(|&(_, set, own)| set && !own);
        foreign.next().map(|(field, ..)| field)
    }
}

fn put<T: Clone>(place: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        place.clone_from(value);
    }
}

/// Returns which fields of a channel differ, as they are called in `config.json`: their names
/// only, since some are secret.
pub fn changed_fields(from: &Channel, to: &Channel) -> Vec<&'static str> {
    let (a, b) = (ChannelSettings::of(from), ChannelSettings::of(to));
    let differs = [
        ("via", from.via.kind() != to.via.kind()),
        ("enabled", a.enabled != b.enabled),
        ("events", a.events != b.events),
        ("services", a.services != b.services),
        ("quiet", a.quiet != b.quiet),
        ("language", a.language != b.language),
        ("server_name", a.server_name != b.server_name),
        ("report", a.report != b.report),
        ("token", a.token != b.token),
        ("chat", a.chat != b.chat),
        ("thread", a.thread != b.thread),
        ("api_base", a.api_base != b.api_base),
        ("url", a.url != b.url),
        ("secret", a.secret != b.secret),
        ("preset", a.preset != b.preset),
        ("body", a.body != b.body),
        ("server", a.server != b.server),
        ("security", a.security != b.security),
        ("user", a.user != b.user),
        ("password", a.password != b.password),
        ("from", a.from != b.from),
        ("to", a.to != b.to),
        ("digest", a.digest != b.digest),
    ];
    let fields = differs.into_iter().filter(|&(_, differs)| differs);
    fields.map(|(field, _)| field).collect()
}
