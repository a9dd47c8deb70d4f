//! Whom a tool tells what, as it was set up.

use std::fmt;

/// Whom a tool tells what; nothing that it has no settings for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Messages {
    /// The shares of a quota at which somebody is told, in percent.
    pub thresholds: Option<Vec<u32>>,
    /// Telegram.
    pub telegram: Option<Telegram>,
    /// WeCom.
    pub wecom: Option<WeCom>,
    /// The receiver that figures are pushed to.
    pub push: Option<Push>,
}

/// Telegram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Telegram {
    /// Whether it is on.
    pub enabled: bool,
    /// The bot's token.
    pub token: Secret,
    /// The chat.
    pub chat: String,
    /// The server instead of Telegram's own.
    pub api_base: Option<String>,
    /// What the host is called; empty: nothing else than it is.
    pub server_name: String,
    /// How many minutes lie between two reports; `None`: there are none.
    pub report_minutes: Option<u32>,
}

/// A robot of WeCom's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WeCom {
    /// Whether it is on.
    pub enabled: bool,
    /// Its address, which is a secret.
    pub url: Secret,
    /// What the host is called; empty: nothing else than it is.
    pub server_name: String,
    /// How many minutes lie between two reports; `None`: there are none.
    pub report_minutes: Option<u32>,
}

/// A receiver that figures are pushed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Push {
    /// Whether it is on.
    pub enabled: bool,
    /// Its address.
    pub url: String,
    /// What the node is known by there.
    pub node: String,
    /// What the node is called.
    pub node_id: String,
    /// What pushes are signed with.
    pub secret: Secret,
}

/// A text that no log and no error shows.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret of a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, for the one place that it belongs in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "not set" } else { "set" })
    }
}
