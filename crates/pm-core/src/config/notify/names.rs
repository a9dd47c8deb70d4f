//! What channels, hosts, chats and bots are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NotifyError, as_text};
use crate::config::names::is_unprintable;
use crate::secret::Secret;

/// The longest name of a channel or a host, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;

/// The name of a channel, the operator's: one word on a command line.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

/// What a host is called, in messages and in the push: one line of text.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

/// A chat of Telegram's: a number, negative for groups and channels, or `@NAME`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatId(String);

/// The token of a Telegram bot.
///
/// # Examples
///
/// ```
/// use pm_core::config::BotToken;
///
/// let token: BotToken = "123456:AA-example".parse()?;
/// assert_eq!(token.secret().expose(), "123456:AA-example");
/// assert!("123456".parse::<BotToken>().is_err());
/// # Ok::<(), pm_core::config::NotifyError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Secret", into = "Secret")]
pub struct BotToken(pub(in crate::config) Secret);

impl ChannelName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let is_word = text.len() <= MAX_NAME_BYTES
            && text.starts_with(char::is_alphanumeric)
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if !is_word || ["all", "none"].contains(&text.to_lowercase().as_str()) {
            return Err(NotifyError::ChannelName(text.escape_debug().to_string()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl ServerName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let has_length = (1..=MAX_NAME_BYTES).contains(&text.len());
        if !has_length || text.trim() != text || text.chars().any(is_unprintable) {
            return Err(NotifyError::Name(text.escape_debug().to_string()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl ChatId {
    /// Returns the chat as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChatId {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let is_id = text.parse::<i64>().is_ok_and(|id| id.to_string() == text) && text != "0";
        // Source: core.telegram.org/bots/api, sendMessage: `@channelusername`; user names have 4 to
        // 32 characters.
        let is_name = text.strip_prefix('@').is_some_and(|name| {
            (4..=32).contains(&name.len())
                && name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        });
        if is_id || is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotifyError::ChatId(text.escape_debug().to_string()))
        }
    }
}

impl BotToken {
    /// Returns the token.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl TryFrom<Secret> for BotToken {
    type Error = NotifyError;

    fn try_from(secret: Secret) -> Result<Self, NotifyError> {
        let is_token = secret.expose().split_once(':').is_some_and(|(id, key)| {
            let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_digit());
            let is_key = (4..=128).contains(&key.len())
                && key
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
            is_id && is_key
        });
        if is_token {
            Ok(Self(secret))
        } else {
            Err(NotifyError::BotToken)
        }
    }
}

impl FromStr for BotToken {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        Self::try_from(text.parse::<Secret>()?)
    }
}

impl From<BotToken> for Secret {
    fn from(token: BotToken) -> Self {
        token.0
    }
}

macro_rules! shown {
    ($($type:ty)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        as_text!($type);
    )*};
}

shown!(ChannelName ServerName ChatId);
