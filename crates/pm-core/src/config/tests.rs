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
            "line 3, column 21: there is no day 32 in a month: write a day from 1 to 31",
        ),
        (
            r#"{"reset": "every 30 days"}"#,
            "line 3, column 32: `every 30 days` does not say from when: write `every 30 days \
             from 2026-12-01`, for example",
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
    assert_eq!(
        policy(r#"{"reset": "every 3 months on 15 from 2026-12"}"#),
        "every 3 months on 15 from 2026-12"
    );
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

#[test]
fn a_note_cannot_turn_or_break_the_line_it_is_printed_in() {
    for c in ['\u{202E}', '\u{2066}', '\u{2028}'] {
        let note = format!("a{c}b").parse::<Note>();
        assert_eq!(note, Err(ValueError::NoteControl(c.into())));
    }
    assert!(
        "🏴‍☠️ مرحبا".parse::<Note>().is_ok(),
        "joiners and right-to-left letters are text"
    );
}
