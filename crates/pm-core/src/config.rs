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
        match text {
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
        // Escape sequences in a note would reach the terminal of whoever lists it.
        let control = text
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\t' | '\n'));
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
mod tests {
    use super::*;
    use crate::strategies::{config, note, port_range};
    use proptest::prelude::*;

    fn refusal(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    fn with_service(port: &str, service: &str) -> String {
        format!("{{\"schema\": 1,\n\"services\": {{\n\"{port}\": {service}\n}}\n}}")
    }

    fn parse_service(port: &str, service: &str) -> Service {
        let config = Config::parse(&with_service(port, service)).unwrap();
        config.services[&port.parse().unwrap()].clone()
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "line 1, column 0: EOF while parsing a value"),
            ("\0\0\0", "line 1, column 1: expected value"),
            ("port=80\n", "line 1, column 1: expected value"),
            (
                "{\"schema\": 1,\n\"services\": {\"80\": {\"note\": \"a",
                "line 2, column 30: EOF while parsing a string",
            ),
            ("{\"schema\": 1,\n}", "line 2, column 1: trailing comma"),
            (
                "{\"schema\": 1}\n{\"schema\": 1}",
                "line 2, column 1: trailing characters",
            ),
            (
                "[]",
                "line 1, column 2: invalid length 0, expected struct Config with 4 elements",
            ),
        ] {
            assert_eq!(refusal(text), expected, "{text}");
        }
    }

    #[test]
    fn no_truncated_file_passes_for_a_whole_one() {
        let text = Config::parse(&with_service("80", r#"{"note": "a", "quota": "5GB"}"#))
            .unwrap()
            .emit();
        for end in 0..text.trim_end().len() {
            assert!(
                matches!(
                    Config::parse(&text[..end]),
                    Err(ConfigError::Invalid { .. })
                ),
                "{}",
                &text[..end]
            );
        }
    }

    #[test]
    fn what_is_not_a_setting_is_refused_with_its_place() {
        for (service, expected) in [
            (
                r#"{"qouta": "5GB"}"#,
                "line 3, column 14: unknown field `qouta`, expected one of `note`, `mode`, \
                 `quota`, `reset`, `blocked`",
            ),
            (
                r#"{"quota": "5GB at line 7"}"#,
                "line 3, column 32: `5GB at line 7` is not a size: `GB at line 7` is no unit; use \
                 B, KB, MB, GB, TB or PB (powers of 1000), or KiB, MiB, GiB, TiB or PiB (powers \
                 of 1024)",
            ),
            (
                r#"{"quota": 5}"#,
                "line 3, column 17: invalid type: integer `5`, expected a string",
            ),
            (
                r#"{"quota": "0GB"}"#,
                "line 3, column 22: a quota of 0 would let nothing through: block the port \
                 instead (`pm block`), or write `none` for no quota",
            ),
            (
                r#"{"quota": "1e30GB"}"#,
                "line 3, column 25: `1e30GB` has an exponent: write the number out with a unit, \
                 such as 100GB",
            ),
            (
                r#"{"mode": "max"}"#,
                "line 3, column 20: unknown variant `max`, expected `both` or `out`",
            ),
            (
                r#"{"reset": "32"}"#,
                "line 3, column 21: there is no day 32 in a month: write a day from 1 to 31, or \
                 `never`",
            ),
            (
                r#"{"note": "\u001b[31m"}"#,
                "line 3, column 28: the note holds the control character U+001B: leave it out",
            ),
            (
                "null",
                "line 3, column 10: invalid type: null, expected struct Service",
            ),
        ] {
            assert_eq!(refusal(&with_service("80", service)), expected);
        }
        let long = format!(r#"{{"note": "{}"}}"#, "量".repeat(201));
        assert!(
            refusal(&with_service("80", &long))
                .ends_with(": the note has 201 characters: the most is 200")
        );
        assert_eq!(
            refusal(r#"{"schema": 1, "time_zone": "Mars/Olympus"}"#),
            "line 1, column 42: time zone `Mars/Olympus` is not known: write an IANA name such as \
             Asia/Shanghai, or `system`"
        );
    }

    #[test]
    fn a_port_belongs_to_one_service() {
        for (port, expected) in [
            (
                "0",
                "line 3, column 3: port 0 does not exist: ports run from 1 to 65535",
            ),
            (
                "65536",
                "line 3, column 7: port 65536 does not exist: ports run from 1 to 65535",
            ),
            (
                "90-80",
                "line 3, column 7: range 90-80 is backwards: write 80-90",
            ),
        ] {
            assert_eq!(refusal(&with_service(port, "{}")), expected);
        }
        assert_eq!(
            refusal(&with_service("80", "{},\n\"80-80\": {}")),
            "line 4, column 7: service 80 is there twice"
        );
        // Fault 21 of the scripts pm replaces: overlapping ranges were taken and counted twice.
        assert_eq!(
            refusal(&with_service("85", "{},\n\"9\": {},\n\"80-90\": {}")),
            "line 5, column 7: services 85 and 80-90 overlap: a port can belong to one service only"
        );
        assert!(Config::parse(&with_service("80", "{},\n\"8080\": {},\n\"81-90\": {}")).is_ok());
    }

    #[test]
    fn another_schema_is_not_guessed_at() {
        for text in [
            r#"{"schema": 2}"#,
            r#"{"schema": 2, "groups": {}, "services": []}"#,
        ] {
            assert_eq!(
                refusal(text),
                "it has schema 2, and this pm reads up to 1: update pm"
            );
        }
        assert_eq!(
            refusal(r#"{"schema": 18446744073709551615}"#),
            "it has schema 18446744073709551615, and this pm reads up to 1: update pm"
        );
        assert_eq!(
            refusal("{\n\"schema\": 0}"),
            "line 2, column 12: there is no schema 0"
        );
        assert_eq!(
            refusal(r#"{"services": {}}"#),
            "line 1, column 16: missing field `schema`"
        );
    }

    #[test]
    fn the_file_of_pm_sh_is_recognised() {
        let text = r#"{
  "global": {"billing_mode": "double"},
  "ports": {"20000": {"name": "端口20000", "enabled": true, "quota": {"monthly_limit": "100GB"}}},
  "nftables": {"table_name": "port_monitor", "family": "inet"}
}"#;
        assert!(matches!(Config::parse(text), Err(ConfigError::PmSh)));
    }

    #[test]
    fn a_quota_resets_on_day_1_where_nothing_else_is_said() {
        let policy = |service| parse_service("80", service).reset_policy().to_string();
        assert_eq!(policy("{}"), "never");
        assert_eq!(policy(r#"{"quota": "5GB"}"#), "1");
        assert_eq!(policy(r#"{"quota": "5GB", "reset": "never"}"#), "never");
        assert_eq!(policy(r#"{"reset": "31"}"#), "31");
        assert_eq!(parse_service("80", "{}"), Service::default());
        assert_eq!(Service::default().mode, Mode::Both);
    }

    /// Fault 21 of the scripts pm replaces: port 65534 was refused, there was no port without a
    /// quota, and no quota but whole GiB.
    #[test]
    fn the_last_ports_no_quota_and_odd_quotas_are_settings_like_others() {
        for port in ["65534", "65535", "65534-65535", "1-65535"] {
            assert_eq!(parse_service(port, "{}").quota, None);
        }
        for (quota, bytes) in [("1B", 1), ("1.5GB", 1_500_000_000), ("100GiB", 100 << 30)] {
            let service = parse_service("65534", &format!(r#"{{"quota": "{quota}"}}"#));
            assert_eq!(service.quota.unwrap().bytes(), bytes);
            assert_eq!(service.quota.unwrap().size().to_string(), quota);
        }
    }

    /// Fault 6 of the scripts pm replaces: a note that was empty or a number shifted the columns
    /// that rules were read from.
    #[test]
    fn a_note_is_only_text() {
        let plain = parse_service("80", r#"{"quota": "5GB"}"#);
        for text in [
            "",
            "0",
            "20000",
            "5GB",
            "null",
            "true",
            "\"",
            "'; rm -rf /",
            "$(id)",
            "a\tb\nc",
            "{\"quota\": null}",
            "流量 监控",
            "🐙🐙",
            "-",
            "\\",
        ] {
            let note = serde_json::to_string(text).unwrap();
            let service = parse_service("80", &format!(r#"{{"note": {note}, "quota": "5GB"}}"#));
            assert_eq!(service.note.as_str(), text);
            let unnoted = Service {
                note: Note::default(),
                ..service
            };
            assert_eq!(unnoted, plain);
        }
    }

    #[test]
    fn a_note_has_at_most_200_characters_and_no_control() {
        let longest = "🐙".repeat(MAX_NOTE_CHARS);
        assert_eq!(longest.parse::<Note>().unwrap().as_str(), longest);
        assert_eq!(
            "x".repeat(201).parse::<Note>(),
            Err(ValueError::NoteTooLong(201))
        );
        for control in ['\0', '\r', '\x1b', '\x7f', '\u{9b}'] {
            assert_eq!(
                format!("a{control}b").parse::<Note>(),
                Err(ValueError::NoteControl(control.into()))
            );
        }
    }

    #[test]
    fn a_zone_is_kept_as_iana_spells_it() {
        let zone: ZoneName = "asia/shanghai".parse().unwrap();
        assert_eq!(zone.as_str(), "Asia/Shanghai");
        assert_eq!("".parse::<ZoneName>(), Err(ValueError::Zone(String::new())));
    }

    proptest! {
        #[test]
        fn an_overlap_is_found_wherever_it_is(config in config(), range in port_range()) {
            let overlaps: Vec<_> = config.services.keys().filter(|s| s.overlaps(range)).collect();
            let found = config.overlapping(range);
            prop_assert_eq!(found.is_some(), !overlaps.is_empty());
            prop_assert!(found.is_none_or(|found| overlaps.contains(&&found)));
        }

        #[test]
        fn text_and_configuration_round_trip(config in config()) {
            let text = config.emit();
            prop_assert_eq!(Config::parse(&text).unwrap(), config);
            prop_assert!(text.ends_with('\n'));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), note in note()) {
            let _ = Config::parse(&text);
            let _ = Config::parse(&with_service(&text, "{}"));
            let _ = Config::parse(&with_service("80", note.as_str()));
        }

        #[test]
        fn no_damaged_file_panics(
            config in config(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = config.emit().into_bytes();
            for (index, value) in damage {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            let _ = Config::parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
