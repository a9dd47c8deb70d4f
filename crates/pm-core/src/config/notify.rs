//! Who is told what happens, and how.

mod address;
mod channels;
mod error;
mod filter;
mod names;
mod security;
mod template;
#[cfg(test)]
mod tests;
mod times;
mod via;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use address::{MAX_URL_BYTES, MailAddress, MailServer, SecretUrl, WebUrl};
pub use error::NotifyError;
pub use filter::EventKind;
pub use names::{BotToken, ChannelName, ChatId, MAX_NAME_BYTES, ServerName};
pub use security::Security;
pub use template::{MAX_TEMPLATE_BYTES, Placeholder, Template};
pub use times::{DigestMinutes, QuietHours, ReportMinutes, Schedule, Thresholds, TimeOfDay};
pub use via::{Email, Preset, Telegram, Via, WeCom, Webhook};

use super::Config;
use crate::holder::Holder;
use crate::language::Language;

/// Gives a type that is read from text and shown as it the same form in `config.json`.
macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = $crate::config::NotifyError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(in crate::config) use as_text;

/// What is told, and to whom.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// What messages call this host; `None`: its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<ServerName>,
    /// At which parts of a quota its holder is warned of.
    #[serde(default, skip_serializing_if = "Thresholds::is_default")]
    pub thresholds: Thresholds,
    /// Where messages go, by the operator's names.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::distinct"
    )]
    pub channels: BTreeMap<ChannelName, Channel>,
}

/// One place where messages go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Whether anything is sent there.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// How it is reached.
    pub via: Via,
    /// What is told there; `None`: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeSet<EventKind>>,
    /// Of whom it is told there; `None`: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<BTreeSet<Holder>>,
    /// When messages wait; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// The language of its messages; `None`: the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// What its messages call this host; `None`: what all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<ServerName>,
    /// When it gets a summary of all services; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Schedule>,
}

impl Notify {
    /// Whether it is what an absent section means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Channel {
    /// Returns a channel that is told everything at any time.
    pub fn new(via: Via) -> Self {
        Self {
            enabled: true,
            via,
            events: None,
            services: None,
            quiet: None,
            language: None,
            server_name: None,
            report: None,
        }
    }

    /// Whether it is told of events of this kind.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.events
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Whether it is told of this holder: where it names him, his group, or one of his members.
    pub fn concerns(&self, holder: &Holder, config: &Config) -> bool {
        let Some(chosen) = &self.services else {
            return true;
        };
        if chosen.contains(holder) {
            return true;
        }
        match holder {
            Holder::Service(ports) => {
                let service = config.services.get(ports);
                let group = service.and_then(|service| service.group.clone());
                group.is_some_and(|group| chosen.contains(&Holder::Group(group)))
            }
            Holder::Group(group) => config
                .members(group)
                .any(|ports| chosen.contains(&Holder::Service(ports))),
        }
    }
}

fn yes() -> bool {
    true
}

/// `serde` passes a reference.
fn is_yes(value: &bool) -> bool {
    *value
}
