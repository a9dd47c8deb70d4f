//! What the operator wants: the content of `config.json`.

mod backup;
mod names;
mod notify;
mod push;
mod service;
mod shown;
mod values;
mod wanted;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use backup::{Backup, NoBackup};
pub use names::{GroupName, MAX_GROUP_BYTES, MAX_NOTE_CHARS, Note, ZoneName};
pub(crate) use names::{is_unprintable, printable};
pub use notify::{
    BotToken, Channel, ChannelName, ChatId, DigestMinutes, Email, EventKind, MAX_NAME_BYTES,
    MAX_TEMPLATE_BYTES, MAX_URL_BYTES, MailAddress, MailServer, Notify, NotifyError, Placeholder,
    Preset, QuietHours, ReportMinutes, Schedule, SecretUrl, Security, ServerName, Telegram,
    Template, Thresholds, TimeOfDay, Via, WeCom, WebUrl, Webhook,
};
pub use push::Push;
pub use service::{Contract, Group, Service};
pub use values::{Factor, Limit, Mode, QuotaSize, Tariff, ValueError};
pub use wanted::Wanted;

use crate::language::Language;
use crate::port::PortRange;
use crate::shaping::Classifier;

/// The schema this version reads and writes.
pub const SCHEMA: u32 = 1;

/// Everything the operator wants.
///
/// # Examples
///
/// ```
/// use pm_core::config::Config;
///
/// let config = Config::parse(r#"{"schema":1,"services":{"20000":{"quota":"5GB"}}}"#)?;
/// let service = &config.services[&"20000".parse()?];
/// assert_eq!(service.quota.map(|quota| quota.bytes()), Some(5_000_000_000));
/// assert_eq!(config.contract(service).reset_policy().to_string(), "1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this format.
    #[serde(deserialize_with = "schema")]
    pub schema: u32,
    /// Counts the changes, so that who edits an older one can be told.
    #[serde(default)]
    pub revision: u64,
    /// The IANA name of the zone whose dates count; `None`: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<ZoneName>,
    /// The language in which pm speaks; `None`: that of the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// How packets find the class that shapes them.
    #[serde(default, skip_serializing_if = "Classifier::is_priority")]
    pub classifier: Classifier,
    /// How often everything is written into an archive; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// The groups that services are in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<GroupName, Group>,
    /// The services, none of which overlap.
    #[serde(default, deserialize_with = "separate_services")]
    pub services: BTreeMap<PortRange, Service>,
    /// Who is told what happens.
    #[serde(default, skip_serializing_if = "Notify::is_default")]
    pub notify: Notify,
    /// Where the state is pushed; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
}

/// Why a text is not a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a value in it is not allowed.
    #[error("line {line}, column {column}: {reason}")]
    Invalid {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// What is wrong, in words.
        reason: String,
    },
    /// Made by a newer pm.
    #[error("it has schema {found}, and this pm reads up to {SCHEMA}: update pm")]
    NewerSchema {
        /// The schema it says it has.
        found: u64,
    },
    /// Two services with a port in common.
    #[error("services {0} and {1} overlap: a port can belong to one service only")]
    Overlap(PortRange, PortRange),
    /// A service in a group that there is not.
    #[error("service {ports} is in group {group}, which is not among the groups")]
    NoSuchGroup {
        /// The service.
        ports: PortRange,
        /// The group that it names.
        group: GroupName,
    },
    /// Made by pm.sh.
    #[error("it belongs to pm.sh: pm leaves it alone until it is imported")]
    PmSh,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            revision: 0,
            time_zone: None,
            language: None,
            classifier: Classifier::default(),
            backup: None,
            groups: BTreeMap::new(),
            services: BTreeMap::new(),
            notify: Notify::default(),
            push: None,
        }
    }
}

impl Config {
    /// Returns the configuration that `text` describes, checked whole.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], with line and reason.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(text).map_err(|error| {
            // Only a text that does not fit is looked at again, for a better reason.
            explain(text).unwrap_or_else(|| ConfigError::invalid(&error))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what one value alone does not show.
    ///
    /// # Errors
    ///
    /// `NewerSchema`, `Overlap` or `NoSuchGroup`.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.schema > SCHEMA {
            return Err(ConfigError::NewerSchema {
                found: self.schema.into(),
            });
        }
        let mut before: Option<PortRange> = None;
        for (&ports, service) in &self.services {
            if let Some(before) = before.filter(|before| before.overlaps(ports)) {
                return Err(ConfigError::Overlap(before, ports));
            }
            before = Some(ports);
            if let Some(group) = &service.group
                && !self.groups.contains_key(group)
            {
                let group = group.clone();
                return Err(ConfigError::NoSuchGroup { ports, group });
            }
        }
        Ok(())
    }

    /// Returns the text that [`parse`](Self::parse) reads back to the same configuration, where
    /// [`check`](Self::check) has nothing against it.
    pub fn emit(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_else(|error| {
            unreachable!("strings as keys, numbers and strings as values: {error}")
        });
        text.push('\n');
        text
    }

    /// Whether both ask for the same, whatever their revisions.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let Self {
            schema: _,
            revision: _,
            time_zone,
            language,
            classifier,
            backup,
            groups,
            services,
            notify,
            push,
        } = self;
        *time_zone == other.time_zone
            && *language == other.language
            && *classifier == other.classifier
            && *backup == other.backup
            && *groups == other.groups
            && *services == other.services
            && *notify == other.notify
            && *push == other.push
    }

    /// Returns the contract that counts for a service: its group's, or its own.
    pub fn contract(&self, service: &Service) -> Contract {
        let group = service
            .group
            .as_ref()
            .and_then(|name| self.groups.get(name));
        group.map_or_else(|| service.contract(), Group::contract)
    }

    /// Returns the services of a group.
    pub fn members(&self, group: &GroupName) -> impl Iterator<Item = PortRange> {
        self.services
            .iter()
            .filter(move |(_, service)| service.group.as_ref() == Some(group))
            .map(|(&ports, _)| ports)
    }

    /// Whether a service can come to let nothing through.
    pub fn can_cut_off(&self, service: &Service) -> bool {
        service.blocked || service.expires.is_some() || self.contract(service).quota.is_some()
    }

    /// Returns the service that shares a port with `range`, where there is one.
    pub fn overlapping(&self, range: PortRange) -> Option<PortRange> {
        overlapping(&self.services, range)
    }
}

/// Looks only at the neighbours: services do not overlap each other.
fn overlapping(services: &BTreeMap<PortRange, Service>, range: PortRange) -> Option<PortRange> {
    let before = services.range(..=range).next_back();
    let after = services.range(range..).next();
    let neighbours = [before, after].into_iter().flatten();
    neighbours
        .map(|(&service, _)| service)
        .find(|service| service.overlaps(range))
}

impl ConfigError {
    fn invalid(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // serde_json ends its message with the place, which stands in front here.
        let reason = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(reason, _)| reason);
        // The name of a field that nobody knows is told as it is.
        let reason = names::printable(&without_text(reason));
        Self::Invalid {
            line: error.line(),
            column: error.column(),
            reason,
        }
    }
}

/// Leaves a text out that stands where none is expected: it may be a secret.
fn without_text(reason: &str) -> String {
    let quoted = reason.strip_prefix("invalid type: string \"");
    match quoted.and_then(|rest| rest.rsplit_once("\", expected ")) {
        Some((_, expected)) => format!("invalid type: string, expected {expected}"),
        None => reason.to_owned(),
    }
}

/// Returns why a text that is JSON, but no configuration of this schema, may be so.
fn explain(text: &str) -> Option<ConfigError> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    if value.get("ports").is_some() && value.get("schema").is_none() {
        return Some(ConfigError::PmSh);
    }
    let found = value.get("schema")?.as_u64()?;
    (found > u64::from(SCHEMA)).then_some(ConfigError::NewerSchema { found })
}

fn schema<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("there is no schema 0")),
        schema => Ok(schema),
    }
}

/// Reads the services and refuses a port that two of them name, were it the same name: JSON
/// would let the last one win.
fn separate_services<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<PortRange, Service>, D::Error> {
    struct Services;

    impl<'de> serde::de::Visitor<'de> for Services {
        type Value = BTreeMap<PortRange, Service>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object from ports to services")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut services: BTreeMap<PortRange, Service> = BTreeMap::new();
            while let Some(range) = map.next_key::<PortRange>()? {
                // Judged before the value is read, so that the error names the port's own line.
                if let Some(other) = overlapping(&services, range) {
                    return Err(serde::de::Error::custom(if other == range {
                        format!("service {range} is there twice")
                    } else {
                        format!(
                            "services {other} and {range} overlap: a port can belong to one \
                             service only"
                        )
                    }));
                }
                services.insert(range, map.next_value()?);
            }
            Ok(services)
        }
    }

    deserializer.deserialize_map(Services)
}

#[cfg(test)]
mod tests;
