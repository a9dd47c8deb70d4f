//! The ways to reach people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    BotToken, ChatId, DigestMinutes, MailAddress, MailServer, NotifyError, SecretUrl, Security,
    Template, WebUrl, as_text,
};
use crate::secret::Secret;

/// The most recipients of one channel.
const MAX_RECIPIENTS: usize = 20;

/// How a channel is reached.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A Telegram bot.
    Telegram(Telegram),
    /// A robot in a group of WeCom's.
    WeCom(WeCom),
    /// Mail.
    Email(Email),
    /// A web hook.
    Webhook(Webhook),
}

/// A Telegram bot, and the chat in which it speaks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telegram {
    /// What @BotFather gave.
    pub token: BotToken,
    /// Where it speaks.
    pub chat: ChatId,
    /// The topic of a forum in which it speaks; `None`: the general one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
    /// Where the Bot API is reached; `None`: at Telegram's.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "without_query"
    )]
    pub api_base: Option<WebUrl>,
}

/// A robot in a group of WeCom's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WeCom {
    /// The robot's address, which ends in its key.
    pub url: SecretUrl,
}

/// Mail.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "EmailFields")]
pub struct Email {
    /// The server that takes the mail.
    pub server: MailServer,
    /// How the way there is secured.
    #[serde(skip_serializing_if = "Security::is_tls")]
    pub security: Security,
    /// Who logs in there, with `password`; `None`: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What he logs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Who it is from.
    pub from: MailAddress,
    /// Who it is for: 1 to 20.
    pub to: Vec<MailAddress>,
    /// For how long messages are collected into one mail; `None`: each is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestMinutes>,
}

/// A web hook.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "WebhookFields")]
pub struct Webhook {
    /// Where messages are posted.
    pub url: SecretUrl,
    /// What they are signed with; `None`: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// What its server understands.
    #[serde(skip_serializing_if = "Preset::is_generic")]
    pub preset: Preset,
    /// What is posted, for [`Preset::Generic`]; `None`: its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
}

/// What a web hook's server understands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Preset {
    /// A body of pm's or the operator's, signed as the push is.
    #[default]
    Generic,
    /// Slack's incoming web hooks.
    Slack,
    /// Discord's web hooks.
    Discord,
    /// DingTalk's robots.
    DingTalk,
    /// Feishu's robots.
    Feishu,
    /// A topic of ntfy's.
    Ntfy,
    /// A device of Bark's.
    Bark,
}

/// As it is written; what belongs together is checked afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailFields {
    server: MailServer,
    #[serde(default)]
    security: Security,
    user: Option<String>,
    password: Option<Secret>,
    from: MailAddress,
    to: Vec<MailAddress>,
    digest: Option<DigestMinutes>,
}

/// As it is written; what belongs together is checked afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFields {
    url: SecretUrl,
    secret: Option<Secret>,
    #[serde(default)]
    preset: Preset,
    body: Option<Template>,
}

impl Via {
    /// Returns the kind's name in `config.json` and on the command line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Telegram(_) => "telegram",
            Self::WeCom(_) => "wecom",
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
        }
    }

    /// Checks what one value alone does not show.
    ///
    /// # Errors
    ///
    /// As [`Email::check`] and [`Webhook::check`]; as [`Telegram::check_base`].
    pub fn check(&self) -> Result<(), NotifyError> {
        match self {
            Self::Email(email) => email.check(),
            Self::Webhook(webhook) => webhook.check(),
            Self::Telegram(telegram) => telegram
                .api_base
                .as_ref()
                .map_or(Ok(()), Telegram::check_base),
            Self::WeCom(_) => Ok(()),
        }
    }
}

fn without_query<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<WebUrl>, D::Error> {
    let base = Option::<WebUrl>::deserialize(deserializer)?;
    if let Some(base) = &base {
        Telegram::check_base(base).map_err(serde::de::Error::custom)?;
    }
    Ok(base)
}

impl Telegram {
    /// Checks where the Bot API is reached: its methods follow the address, which a query would swallow.
    ///
    /// # Errors
    ///
    /// `Query`.
    pub fn check_base(base: &WebUrl) -> Result<(), NotifyError> {
        match base.as_str().contains('?') {
            true => Err(NotifyError::Query(base.to_string())),
            false => Ok(()),
        }
    }
}

impl Email {
    /// Checks what one value alone does not show.
    ///
    /// # Errors
    ///
    /// `Recipients`, `Login`, as [`Security::check`] and [`Email::check_user`].
    pub fn check(&self) -> Result<(), NotifyError> {
        if !(1..=MAX_RECIPIENTS).contains(&self.to.len()) {
            return Err(NotifyError::Recipients);
        }
        self.security.check(&self.server)?;
        if self.user.is_some() != self.password.is_some() {
            return Err(NotifyError::Login);
        }
        self.user.as_deref().map_or(Ok(()), Self::check_user)
    }

    /// Checks who logs in.
    ///
    /// # Errors
    ///
    /// `Name` for what is no line of text, of 1 to 256 bytes.
    pub fn check_user(user: &str) -> Result<(), NotifyError> {
        if user.is_empty() || user.len() > 256 || user.chars().any(char::is_control) {
            return Err(NotifyError::Name(
                user.chars().take(80).flat_map(char::escape_debug).collect(),
            ));
        }
        Ok(())
    }
}

impl TryFrom<EmailFields> for Email {
    type Error = NotifyError;

    fn try_from(fields: EmailFields) -> Result<Self, NotifyError> {
        let EmailFields {
            server,
            security,
            user,
            password,
            from,
            to,
            digest,
        } = fields;
        let email = Self {
            server,
            security,
            user,
            password,
            from,
            to,
            digest,
        };
        email.check()?;
        Ok(email)
    }
}

impl Webhook {
    /// Checks what one value alone does not show.
    ///
    /// # Errors
    ///
    /// `TemplateOfPreset`, `SecretOfPreset`.
    pub fn check(&self) -> Result<(), NotifyError> {
        if self.body.is_some() && self.preset != Preset::Generic {
            return Err(NotifyError::TemplateOfPreset);
        }
        if self.secret.is_some() && !self.preset.is_signed() {
            return Err(NotifyError::SecretOfPreset(self.preset));
        }
        Ok(())
    }
}

impl TryFrom<WebhookFields> for Webhook {
    type Error = NotifyError;

    fn try_from(fields: WebhookFields) -> Result<Self, NotifyError> {
        let WebhookFields {
            url,
            secret,
            preset,
            body,
        } = fields;
        let webhook = Self {
            url,
            secret,
            preset,
            body,
        };
        webhook.check()?;
        Ok(webhook)
    }
}

impl Preset {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Generic,
        Self::Slack,
        Self::Discord,
        Self::DingTalk,
        Self::Feishu,
        Self::Ntfy,
        Self::Bark,
    ];

    /// Whether it is the default.
    pub fn is_generic(&self) -> bool {
        *self == Self::Generic
    }

    /// Whether its messages can be signed, or need a token beside the address.
    pub fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Generic | Self::DingTalk | Self::Feishu | Self::Ntfy
        )
    }

    /// Returns its name in `config.json` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::DingTalk => "dingtalk",
            Self::Feishu => "feishu",
            Self::Ntfy => "ntfy",
            Self::Bark => "bark",
        }
    }

    /// Returns all names, for saying which there are.
    pub fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let mut all = Self::ALL.into_iter();
        all.find(|preset| preset.name() == text)
            .ok_or_else(|| NotifyError::Preset(text.escape_debug().to_string()))
    }
}

as_text!(Preset);
