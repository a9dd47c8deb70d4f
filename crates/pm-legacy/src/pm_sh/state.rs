//! What pm.sh noted of a port at its last tick.
//!
//! A state file is shell, which the tool executes. Here it is text: `name=value`, of the names that
//! the tool writes, and of values that are a number, a flag or a list of addresses. Whatever else
//! stands there is a doubt, and what it would have set counts as missing.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use serde_json::Value;

use crate::doubt::Trouble;
use crate::json::{MAX_BYTES, at, flag, instant, is_absent, number, number_in, text};
use crate::text::shown;

/// What matters of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct State {
    /// What was added up; `None`: it is not said.
    pub(super) acc_in: Option<u64>,
    pub(super) acc_out: Option<u64>,
    /// What the counters showed at the last look; `None`: it is not said.
    pub(super) last_in: Option<u64>,
    pub(super) last_out: Option<u64>,
    /// When it was reset.
    pub(super) last_reset: Option<Timestamp>,
    /// Until when it is slowed down; `None`: it is not.
    pub(super) punished_until: Option<Timestamp>,
}

/// Names, and what their values can be.
const NAMES: [(&str, Kind); 13] = [
    ("s_acc_in", Kind::Number),
    ("s_acc_out", Kind::Number),
    ("s_last_k_in", Kind::Number),
    ("s_last_k_out", Kind::Number),
    ("s_last_reset_ts", Kind::Number),
    ("s_strike", Kind::Number),
    ("s_is_punished", Kind::Flag),
    ("s_punish_end_ts", Kind::Number),
    ("s_quota_level", Kind::Number),
    ("s_punish_notified", Kind::Flag),
    ("s_recover_notified", Kind::Flag),
    ("s_last_alert_ts", Kind::Number),
    ("s_last_alert_ips", Kind::Addresses),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Number,
    Flag,
    Addresses,
}

impl Kind {
    /// Whether a value is one, or none at all.
    fn fits(self, value: &str) -> bool {
        let is_address = |c: u8| c.is_ascii_hexdigit() || b".:,".contains(&c);
        value.is_empty()
            || match self {
                Self::Number => number_in(value).is_some(),
                Self::Flag => ["true", "false"].contains(&value),
                Self::Addresses => value.bytes().all(is_address),
            }
    }
}

impl State {
    /// Reads a state file.
    pub(super) fn of_file(file: &str, doubt: &mut dyn FnMut(Trouble)) -> Self {
        let values = assignments(file, doubt);
        let value = |name: &str| values.get(name).copied().filter(|value| !value.is_empty());
        let mut bytes = |name: &'static str| {
            let bytes = value(name).and_then(number_in);
            if bytes.is_none() {
                doubt(Trouble::StateLacks(name));
            }
            bytes
        };
        let (acc_in, acc_out) = (bytes("s_acc_in"), bytes("s_acc_out"));
        let (last_in, last_out) = (bytes("s_last_k_in"), bytes("s_last_k_out"));
        let instant = |name: &str| value(name).and_then(number_in).and_then(timestamp);
        let is_punished = value("s_is_punished") == Some("true");
        Self {
            acc_in,
            acc_out,
            last_in,
            last_out,
            last_reset: instant("s_last_reset_ts"),
            punished_until: instant("s_punish_end_ts").filter(|_| is_punished),
        }
    }

    /// Reads what the configuration says, which is all there is before version 3; `is_old`: it has
    /// been in a state file since, which is not there.
    pub(super) fn of_config(port: &Value, is_old: bool, doubt: &mut dyn FnMut(Trouble)) -> Self {
        let stats = at(port, &["stats"]);
        if is_absent(stats) {
            doubt(Trouble::NothingCounted);
        } else if is_old {
            doubt(Trouble::StateMissing);
        }
        let mut bytes = |name: &'static str| {
            let value = at(stats, &[name]);
            if is_absent(value) {
                return None;
            }
            let bytes = number(value);
            if bytes.is_none() {
                let value = shown(&text(value));
                doubt(Trouble::NotBytes { field: name, value });
            }
            bytes
        };
        let rule = at(port, &["dyn_limit"]);
        let is_punished = flag(at(rule, &["is_punished"])) == Some(true);
        let timestamp = |value: &Value| instant(value).map(Timestamp::from_unix);
        Self {
            acc_in: bytes("acc_in"),
            acc_out: bytes("acc_out"),
            last_in: bytes("last_kernel_in"),
            last_out: bytes("last_kernel_out"),
            last_reset: timestamp(at(port, &["last_reset_ts"])),
            punished_until: timestamp(at(rule, &["punish_end_ts"])).filter(|_| is_punished),
        }
    }
}

/// Returns the values that a file assigns, the last of each name.
fn assignments<'a>(file: &'a str, doubt: &mut dyn FnMut(Trouble)) -> BTreeMap<&'a str, &'a str> {
    let mut values = BTreeMap::new();
    for (index, line) in file.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, "="));
        let value = unquoted(value);
        let kind = NAMES.iter().find(|(known, _)| *known == name);
        if kind.is_some_and(|(_, kind)| kind.fits(value)) {
            values.insert(name, value);
        } else {
            values.remove(name);
            doubt(Trouble::StateLine {
                line: index + 1,
                text: shown(line),
            });
        }
    }
    values
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    let is_set = (1..=MAX_BYTES).contains(&seconds);
    let seconds = i64::try_from(seconds).ok().filter(|_| is_set)?;
    Some(Timestamp::from_unix(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(file: &str) -> (State, Vec<Trouble>) {
        let mut troubles = Vec::new();
        let state = State::of_file(file, &mut |trouble| troubles.push(trouble));
        (state, troubles)
    }

    fn line(line: usize, text: &str) -> Trouble {
        let text = text.to_owned();
        Trouble::StateLine { line, text }
    }

    /// Guards against fault 5 of the old tools: state files executed as shell.
    #[test]
    fn shell_in_a_state_file_is_text_and_counts_as_missing() {
        let file = "s_acc_in=$(rm -rf /)\ns_acc_out=12; reboot\ns_last_k_in=`id`\ns_last_k_out=3\n\
                    curl evil | sh\nPATH=/tmp\ns_last_alert_ips=1.2.3.4 & halt\n";
        let (state, troubles) = read(file);
        assert_eq!((state.acc_in, state.acc_out), (None, None));
        assert_eq!((state.last_in, state.last_out), (None, Some(3)));
        assert_eq!(
            troubles,
            [
                line(1, "s_acc_in=$(rm -rf /)"),
                line(2, "s_acc_out=12; reboot"),
                line(3, "s_last_k_in=`id`"),
                line(5, "curl evil | sh"),
                line(6, "PATH=/tmp"),
                line(7, "s_last_alert_ips=1.2.3.4 & halt"),
                Trouble::StateLacks("s_acc_in"),
                Trouble::StateLacks("s_acc_out"),
                Trouble::StateLacks("s_last_k_in"),
            ]
        );
    }

    #[test]
    fn a_name_that_is_set_again_to_something_else_is_missing() {
        let (state, troubles) = read("s_acc_in=5\ns_acc_in=$((1 << 40))\n");
        assert_eq!(state.acc_in, None);
        assert_eq!(troubles[0], line(2, "s_acc_in=$((1 << 40))"));
    }

    #[test]
    fn floats_quotes_and_line_ends_of_another_system_are_read() {
        let file = "s_acc_in=4.5e9\r\ns_acc_out=\"7.9\"\r\ns_last_k_in='0'\r\ns_last_k_out=0\r\n\
                    s_is_punished=true\r\ns_punish_end_ts=1772323200\r\n\
                    s_last_alert_ips=203.0.113.7,2001:db8::5\r\ns_last_reset_ts=\r\n";
        let (state, troubles) = read(file);
        assert_eq!(
            (state.acc_in, state.acc_out),
            (Some(4_500_000_000), Some(7))
        );
        assert_eq!(
            state.punished_until,
            Some(Timestamp::from_unix(1_772_323_200))
        );
        assert_eq!(state.last_reset, None);
        assert_eq!(troubles, []);
    }

    proptest! {
        #[test]
        fn no_file_panics(file in "(s_(acc|last_k)_(in|out)=.{0,8}\n|.{0,8}\n){0,8}") {
            read(&file);
        }
    }
}
