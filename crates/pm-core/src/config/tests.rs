use super::*;
use crate::strategies::{config, factor, group_name, note, port_range};
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
            "line 1, column 2: invalid length 0, expected struct Config with 10 elements",
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
            "line 3, column 14: unknown field `qouta`, expected one of `note`, \
             `group`, `mode`, `factor`, `quota`, `reset`, `limit`, `limit_in`, `dynqos`, \
             `expires`, `routed`, `blocked`",
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
            r#"{"mode": "in"}"#,
            "line 3, column 19: unknown variant `in`, expected one of `both`, `out`, `max`",
        ),
        (
            r#"{"factor": "0"}"#,
            "line 3, column 21: `0` is not a factor: write a number from 0.001 to 1000 with up \
             to three decimals",
        ),
        (
            r#"{"factor": 2}"#,
            "line 3, column 18: invalid type: integer `2`, expected a string",
        ),
        (
            r#"{"group": "none"}"#,
            "line 3, column 23: `none` cannot be a group's name: write 1 to 48 bytes of text \
             without commas and line breaks, not `none` and not with `-` first",
        ),
        (
            r#"{"limit": "7999"}"#,
            "line 3, column 23: a limit of 7.999Kbps would let next to nothing through: write at \
             least 8Kbps, or `M` behind a number of megabits",
        ),
        (
            r#"{"limit_in": "100.001Gbps"}"#,
            "line 3, column 33: a limit of 100.001Gbps is too high: the highest rate is 100Gbps",
        ),
        (
            r#"{"limit_in": "5MB/s"}"#,
            "line 3, column 27: `5MB/s` may mean bytes: rates are in bits; write 100Mbps for \
             bits, or 8Mbps for each megabyte a second",
        ),
        (
            r#"{"dynqos": "100M/5/5M"}"#,
            "line 3, column 29: `100M/5/5M` is not a DynQoS rule: write \
             TRIGGER/MINUTES/PUNISH/MINUTES, such as 100M/5/5M/60: above 100 Mbps for 5 \
             minutes, slowed down to 5 Mbps for 60",
        ),
        (
            r#"{"dynqos": "7999/5/5M/60"}"#,
            "line 3, column 32: a trigger of 7.999Kbps would slow down next to everybody: write \
             at least 8Kbps, or `M` behind a number of megabits",
        ),
        (
            r#"{"dynqos": "100M/0/5M/60"}"#,
            "line 3, column 32: `0` is not a number of minutes: write one from 1 to 10080",
        ),
        (
            r#"{"expires": "2027-02-29"}"#,
            "line 3, column 31: `2027-02-29` is not a date: write one as YYYY-MM-DD, such as \
             2027-01-31",
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
        refusal("{\"schema\": 1,\n\"classifier\": \"fwmark/0xff\"}"),
        "line 2, column 28: the mask `0xff` cannot tell 65535 ports apart: write 16 or more bits \
         in a row, such as 0xffff0000"
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
fn a_service_is_in_a_group_that_there_is() {
    let text = |groups| {
        format!(r#"{{"schema": 1, "groups": {groups}, "services": {{"80": {{"group": "vip"}}}}}}"#)
    };
    for groups in ["{}", r#"{"VIP": {}}"#, r#"{"vip 2": {}}"#] {
        assert_eq!(
            refusal(&text(groups)),
            "service 80 is in group vip, which is not among the groups"
        );
    }
    let config = Config::parse(&text(r#"{"vip": {"quota": "5GB"}}"#)).unwrap();
    let service = &config.services[&"80".parse().unwrap()];
    let quota = config.contract(service).quota;
    assert_eq!(quota.map(|quota| quota.bytes()), Some(5_000_000_000));
    assert_eq!(service.quota, None);
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
    let policy = |service| {
        let contract = parse_service("80", service).contract();
        contract.reset_policy().to_string()
    };
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

/// Fault 6 of the scripts pm replaces: an empty group, or one with a number for a name, changed
/// which rule applied.
#[test]
fn a_groups_name_is_only_text() {
    for name in [
        "0",
        "80",
        "80-90",
        "b",
        "null",
        "all",
        "租户 甲",
        "🐙",
        "a'b\"c`$(id)\\",
        "{}",
        "=",
        "a -b",
        "nothing",
        &"x".repeat(MAX_GROUP_BYTES),
    ] {
        let quoted = serde_json::to_string(name).unwrap();
        let text = format!(
            r#"{{"schema": 1, "groups": {{{quoted}: {{"quota": "5GB"}}}},
            "services": {{"80": {{"group": {quoted}}}, "5": {{}}}}}}"#
        );
        let config = Config::parse(&text).unwrap();
        let group: GroupName = name.parse().unwrap();
        assert_eq!(group.to_string(), name);
        assert!(config.members(&group).eq(["80".parse().unwrap()]), "{name}");
        assert_eq!(Config::parse(&config.emit()).unwrap(), config);
    }
    for name in [
        "",
        " ",
        "a ",
        "\u{3000}a",
        "none",
        "None",
        "-a",
        "--all",
        "a,b",
        "a\nb",
        "a\tb",
        "\u{202e}a",
        &"x".repeat(MAX_GROUP_BYTES + 1),
        &"量".repeat(17),
    ] {
        let refused = ValueError::GroupName(name.escape_debug().to_string());
        assert_eq!(name.parse::<GroupName>(), Err(refused));
    }
}

#[test]
fn a_factor_has_three_decimals_and_bounds() {
    for (text, thousandths, shown) in [
        ("1", 1_000, "1"),
        ("2.0", 2_000, "2"),
        ("0.001", 1, "0.001"),
        ("1.50", 1_500, "1.5"),
        (" 1000 ", 1_000_000, "1000"),
        ("0.3330000", 333, "0.333"),
    ] {
        let factor: Factor = text.parse().unwrap();
        assert_eq!(factor.thousandths(), thousandths, "{text}");
        assert_eq!(factor.to_string(), shown);
        assert_eq!(factor.is_one(), thousandths == 1_000);
    }
    for text in [
        "", "0", "0.0001", "1000.001", "-1", "+1", "1e3", "1,5", "2x", "x", ".5", "1.", "١",
    ] {
        let refused = ValueError::Factor(text.to_owned());
        assert_eq!(text.parse::<Factor>(), Err(refused));
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
    /// What a check lets pass can be loaded again, and nothing else.
    #[test]
    fn what_is_checked_can_be_read_back(
        ranges in prop::collection::vec((1_u16..60, 0_u16..4), 0..8),
        stranger in prop::option::weighted(0.2, prop::sample::select(vec!["vip", "free"])),
    ) {
        let mut config = Config::default();
        config.groups.insert("vip".parse().unwrap(), Group::default());
        for (first, more) in ranges {
            let ports = PortRange::new(first, first + more).unwrap();
            config.services.insert(ports, Service::default());
        }
        if let (Some(name), Some(service)) = (stranger, config.services.values_mut().next()) {
            service.group = Some(name.parse().unwrap());
        }
        let read = Config::parse(&config.emit());
        prop_assert_eq!(config.check().is_ok(), read.is_ok(), "{:?}", read);
    }

    #[test]
    fn an_overlap_is_found_wherever_it_is(config in config(), range in port_range()) {
        let overlaps: Vec<_> = config.services.keys().filter(|s| s.overlaps(range)).collect();
        let found = config.overlapping(range);
        prop_assert_eq!(found.is_some(), !overlaps.is_empty());
        prop_assert!(found.is_none_or(|found| overlaps.contains(&&found)));
    }

    /// The most bytes that count for at most so much, and not one more.
    #[test]
    fn a_factor_divides_as_it_multiplies(factor in factor(), billed in -(1i64 << 50)..1 << 50) {
        let cost = |bytes: i64| i128::from(bytes) * i128::from(factor.thousandths());
        let most = factor.within(billed);
        prop_assert!(cost(most) <= i128::from(billed) * 1_000);
        prop_assert!(cost(most + 1) > i128::from(billed) * 1_000);
        if let Ok(bytes) = u64::try_from(most) {
            prop_assert!(i128::from(factor.of(bytes)) <= i128::from(billed));
        }
        prop_assert_eq!(factor.to_string().parse(), Ok(factor));
    }

    #[test]
    fn a_groups_name_reads_as_it_is_written(name in group_name(), text in any::<String>()) {
        prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
        if let Ok(name) = text.parse::<GroupName>() {
            prop_assert_eq!(name.as_str(), text);
        }
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
