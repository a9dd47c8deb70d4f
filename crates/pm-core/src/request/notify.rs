//! Changes of who is told what happens, and of the push.

mod display;
mod settings;
#[cfg(test)]
mod tests;

use crate::config::{
    Channel, ChannelName, Config, NotifyError, Push, ServerName, Thresholds, WebUrl,
};
use crate::holder::Holder;
use crate::secret::Secret;

use super::{Refusal, Selection};
use crate::port::PortList;

pub use settings::{ChannelSettings, changed_fields};

/// A change of who is told what happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotifyChange {
    /// Send messages to one more place.
    Add {
        /// What it is called.
        name: ChannelName,
        /// What it is.
        channel: Channel,
    },
    /// Change a channel.
    Set {
        /// Which.
        name: ChannelName,
        /// What is not set stays.
        settings: ChannelSettings,
    },
    /// Send nothing there any more, and forget it.
    Delete {
        /// Which.
        name: ChannelName,
    },
    /// Change what concerns all channels.
    General {
        /// What messages call this host; `Some(None)`: its host name.
        server_name: Option<Option<ServerName>>,
        /// At which parts of a quota its holder is warned of.
        thresholds: Option<Thresholds>,
    },
}

/// A change of the push.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushChange {
    /// Change where the state is pushed, and how.
    Set(PushSettings),
    /// Push it, or no longer.
    Enable(bool),
}

/// Settings of the push to be changed. The first time, address, node and secret are needed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PushSettings {
    /// The receiver's address.
    pub url: Option<WebUrl>,
    /// The node's name.
    pub node: Option<ServerName>,
    /// What the receiver calls the host; `Some(None)`: as the node's name.
    pub node_id: Option<Option<ServerName>>,
    /// What the push is signed with.
    pub secret: Option<Secret>,
    /// Whether the services' notes go with it.
    pub notes: Option<bool>,
}

/// Why a change of the channels or the push is not carried out. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotifyRefusal {
    /// A channel is named so already.
    #[error("there is a channel {0} already")]
    ChannelExists(ChannelName),
    /// No channel is named so.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelName),
    /// A setting that this kind of channel does not have.
    #[error("channel {name} is of the kind {kind}, which has no {field}")]
    NotOfKind {
        /// The channel.
        name: ChannelName,
        /// Its kind.
        kind: &'static str,
        /// The setting, as in `config.json`.
        field: &'static str,
    },
    /// Settings that do not go together.
    #[error(transparent)]
    Setting(#[from] NotifyError),
    /// A change request without a change.
    #[error("nothing to change was given")]
    Nothing {
        /// The command that changes such things, without `pm`.
        command: &'static str,
    },
    /// The push is not set up: what it lacks, as in `config.json`.
    #[error("the push needs {} the first time", listed(.0))]
    PushLacks(Vec<&'static str>),
    /// There is nothing to switch on or off.
    #[error("the push is not set up")]
    NoPush,
}

/// What there is to say where nothing is to change of channels.
const NOTHING: NotifyRefusal = NotifyRefusal::Nothing {
    command: "notify set",
};

fn listed(fields: &[&str]) -> String {
    match fields {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        fields => fields.join(", "),
    }
}

impl NotifyChange {
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), Refusal> {
        match self {
            Self::Add { name, channel } => {
                if config.notify.channels.contains_key(name) {
                    return Err(NotifyRefusal::ChannelExists(name.clone()).into());
                }
                channel.via.check().map_err(NotifyRefusal::from)?;
                check_services(channel, config)?;
                let channels = &mut config.notify.channels;
                channels.insert(name.clone(), channel.clone());
            }
            Self::Set { name, settings } => {
                if *settings == ChannelSettings::default() {
                    return Err(NOTHING.into());
                }
                let mut channel = channel(config, name)?.clone();
                settings.apply(name, &mut channel)?;
                if settings.services.is_some() {
                    check_services(&channel, config)?;
                }
                config.notify.channels.insert(name.clone(), channel);
            }
            Self::Delete { name } => {
                channel(config, name)?;
                config.notify.channels.remove(name);
            }
            Self::General {
                server_name: None,
                thresholds: None,
            } => return Err(NOTHING.into()),
            Self::General {
                server_name,
                thresholds,
            } => {
                let notify = &mut config.notify;
                if let Some(name) = server_name {
                    notify.server_name.clone_from(name);
                }
                if let Some(thresholds) = thresholds {
                    notify.thresholds = thresholds.clone();
                }
            }
        }
        Ok(())
    }
}

fn channel<'a>(config: &'a Config, name: &ChannelName) -> Result<&'a Channel, Refusal> {
    let channel = config.notify.channels.get(name);
    channel.ok_or_else(|| NotifyRefusal::NoSuchChannel(name.clone()).into())
}

/// Refuses a name that is nobody's: a typing error would be silence.
fn check_services(channel: &Channel, config: &Config) -> Result<(), Refusal> {
    for holder in channel.services.iter().flatten() {
        match holder {
            Holder::Service(ports) => {
                Selection::Ports(PortList::from(*ports)).resolve(config)?;
            }
            Holder::Group(name) if !config.groups.contains_key(name) => {
                return Err(Refusal::NoSuchGroup(name.clone()));
            }
            Holder::Group(_) => {}
        }
    }
    Ok(())
}

impl PushChange {
    pub(super) fn apply(&self, push: &mut Option<Push>) -> Result<(), Refusal> {
        match self {
            Self::Set(settings) if *settings == PushSettings::default() => {
                let command = "push set";
                return Err(NotifyRefusal::Nothing { command }.into());
            }
            Self::Set(settings) => *push = Some(settings.applied(push.take())?),
            Self::Enable(enabled) => {
                let push = push.as_mut().ok_or(NotifyRefusal::NoPush)?;
                push.enabled = *enabled;
            }
        }
        Ok(())
    }
}

impl PushSettings {
    fn applied(&self, push: Option<Push>) -> Result<Push, NotifyRefusal> {
        let mut push = match push {
            Some(push) => push,
            None => self.first()?,
        };
        push.url = self.url.clone().unwrap_or(push.url);
        push.node = self.node.clone().unwrap_or(push.node);
        push.node_id = self.node_id.clone().unwrap_or(push.node_id);
        push.secret = self.secret.clone().unwrap_or(push.secret);
        push.notes = self.notes.unwrap_or(push.notes);
        Ok(push)
    }

    /// Returns the push that is set up with what there must be.
    fn first(&self) -> Result<Push, NotifyRefusal> {
        let (Some(url), Some(node), Some(secret)) = (&self.url, &self.node, &self.secret) else {
            let needed = [
                ("url", self.url.is_some()),
                ("node", self.node.is_some()),
                ("secret", self.secret.is_some()),
            ];
            let lacking = needed.into_iter().filter(|&(_, is_there)| !is_there);
            let lacking = lacking.map(|(field, _)| field).collect();
            return Err(NotifyRefusal::PushLacks(lacking));
        };
        Ok(Push {
            enabled: true,
            url: url.clone(),
            node: node.clone(),
            node_id: None,
            secret: secret.clone(),
            notes: false,
        })
    }
}

/// Returns which fields of the push differ, as they are called in `config.json`.
pub fn changed_push_fields(from: &Push, to: &Push) -> Vec<&'static str> {
    let differs = [
        ("enabled", from.enabled != to.enabled),
        ("url", from.url != to.url),
        ("node", from.node != to.node),
        ("node_id", from.node_id != to.node_id),
        ("secret", from.secret != to.secret),
        ("notes", from.notes != to.notes),
    ];
    let fields = differs.into_iter().filter(|&(_, differs)| differs);
    fields.map(|(field, _)| field).collect()
}
