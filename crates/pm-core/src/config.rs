//! What the operator wants: the content of `config.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::calendar::{DayOfMonth, ResetPolicy};
use crate::port::PortRange;
use crate::ruleset::Metered;
use crate::units::Size;

/// The schema this version reads and writes.
pub const SCHEMA: u32 = 1;

/// The longest note, in characters.
pub const MAX_NOTE_CHARS: usize = 200;

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
/// assert_eq!(service.reset_policy().to_string(), "1");
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
    /// The services, none of which overlap.
    #[serde(default, deserialize_with = "separate_services")]
    pub services: BTreeMap<PortRange, Service>,
}

/// One monitored port or range.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The operator's words.
    #[serde(default, skip_serializing_if = "Note::is_empty")]
    pub note: Note,
    /// What counts against the quota.
    #[serde(default)]
    pub mode: Mode,
    /// What may be used in a period; `None`: as much as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSize>,
    /// When a period ends; `None`: on day 1 where there is a quota, else never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetPolicy>,
    /// Whether the operator blocks it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

/// Which bytes count against a quota.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What comes in and what goes out.
    #[default]
    Both,
    /// What goes out.
    Out,
}

/// Text of the operator's: any characters but control characters, at most
/// [`MAX_NOTE_CHARS`] of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Note(String);

/// A quota: a [`Size`] of at least one byte.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Size", into = "Size")]
pub struct QuotaSize(Size);

/// The IANA name of a time zone that the built-in data knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

/// Why a value is not one that a setting can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// A note that is too long.
    #[error("the note has {0} characters: the most is {MAX_NOTE_CHARS}")]
    NoteTooLong(usize),
    /// A note with a control character other than tab and newline.
    #[error("the note holds the control character U+{0:04X}: leave it out")]
    NoteControl(u32),
    /// A quota of nothing.
    #[error(
        "a quota of 0 would let nothing through: block the port instead (`pm block`), or write `none` for no quota"
    )]
    QuotaZero,
    /// A mode that does not exist.
    #[error(
        "`{0}` is not a mode: write `both` (in and out count) or `out` (only what the port sends counts)"
    )]
    Mode(String),
    /// A zone that the built-in data does not know.
    #[error("time zone `{0}` is not known: write an IANA name such as Asia/Shanghai, or `system`")]
    Zone(String),
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
            services: BTreeMap::new(),
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
        if config.schema > SCHEMA {
            return Err(ConfigError::NewerSchema {
                found: config.schema.into(),
            });
        }
        Ok(config)
    }

    /// Returns the text that [`parse`](Self::parse) reads back to the same configuration.
    pub fn emit(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_else(|error| {
            unreachable!("strings as keys, numbers and strings as values: {error}")
        });
        text.push('\n');
        text
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
        Self::Invalid {
            line: error.line(),
            column: error.column(),
            reason: reason.to_owned(),
        }
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

impl Service {
    /// Returns when its periods end, the default applied.
    pub fn reset_policy(&self) -> ResetPolicy {
        self.reset.unwrap_or(match self.quota {
            Some(_) => ResetPolicy::Monthly(DayOfMonth::FIRST),
            None => ResetPolicy::Never,
        })
    }

    /// Whether it can come to let nothing through.
    pub fn can_cut_off(&self) -> bool {
        self.blocked || self.quota.is_some()
    }
}

impl Mode {
    /// Returns the bytes that count, of what came in and what went out.
    pub fn count(self, incoming: u64, outgoing: u64) -> u64 {
        match self {
            Self::Both => incoming.saturating_add(outgoing),
            Self::Out => outgoing,
        }
    }

    /// Returns what a kernel quota of this mode counts.
    pub fn metered(self) -> Metered {
        Metered {
            incoming: self == Self::Both,
            outgoing: true,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Both => "both",
            Self::Out => "out",
        })
    }
}

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.to_ascii_lowercase().as_str() {
            "both" => Ok(Self::Both),
            "out" => Ok(Self::Out),
            _ => Err(ValueError::Mode(text.to_owned())),
        }
    }
}

impl Note {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Note {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let chars = text.chars().count();
        if chars > MAX_NOTE_CHARS {
            return Err(ValueError::NoteTooLong(chars));
        }
        // They would reach the terminal of whoever lists it, and there change more than the note.
        let control = text.chars().find(|&c| {
            let turns_text_around = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
            (c.is_control() && !matches!(c, '\t' | '\n')) || turns_text_around || breaks_lines
        });
        match control {
            Some(control) => Err(ValueError::NoteControl(control.into())),
            None => Ok(Self(text)),
        }
    }
}

impl From<Note> for String {
    fn from(note: Note) -> Self {
        note.0
    }
}

impl QuotaSize {
    /// Returns the quota as it was typed.
    pub fn size(self) -> Size {
        self.0
    }

    /// Returns the quota in bytes, at least 1.
    pub fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl TryFrom<Size> for QuotaSize {
    type Error = ValueError;

    fn try_from(size: Size) -> Result<Self, ValueError> {
        if size.bytes() == 0 {
            Err(ValueError::QuotaZero)
        } else {
            Ok(Self(size))
        }
    }
}

impl From<QuotaSize> for Size {
    fn from(quota: QuotaSize) -> Self {
        quota.0
    }
}

impl ZoneName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ZoneName {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        match crate::calendar::Zone::named(&name) {
            Ok(zone) => Ok(Self(zone.name().to_owned())),
            Err(_) => Err(ValueError::Zone(name)),
        }
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests;
