use proptest::prelude::*;

use super::*;
use crate::calendar::{Timestamp, Zone};
use crate::strategies::{PLANTED, config, notify, push, quiet_hours, schedule};

fn with_channel(channel: &str) -> String {
    format!("{{\"schema\": 1,\n\"notify\": {{\"channels\": {{\n\"ops\": {channel}\n}}}}\n}}")
}

fn refusal(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

fn parsed(channel: &str) -> Channel {
    let mut config = Config::parse(&with_channel(channel)).unwrap();
    config.notify.channels.pop_first().unwrap().1
}

const TELEGRAM: &str = r#""via": {"telegram": {"token": "123456:AA-example", "chat": "-100123"}}"#;

#[test]
fn a_channel_needs_only_where_it_goes() {
    for (channel, kind) in [
        (format!("{{{TELEGRAM}}}"), "telegram"),
        (
            r#"{"via": {"wecom": {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k"}}}"#.into(),
            "wecom",
        ),
        (
            r#"{"via": {"email": {"server": "smtp.example.org", "from": "pm@example.org",
                "to": ["ops@example.org"]}}}"#
                .into(),
            "email",
        ),
        (
            r#"{"via": {"webhook": {"url": "https://ntfy.sh/t", "preset": "ntfy"}}}"#.into(),
            "webhook",
        ),
    ] {
        let channel = parsed(&channel);
        assert_eq!(channel.via.kind(), kind);
        assert_eq!(channel, Channel::new(channel.via.clone()));
        assert!(EventKind::ALL.iter().all(|&kind| channel.wants(kind)));
    }
}

#[test]
fn what_is_no_setting_of_a_channel_is_refused_with_its_place() {
    let telegram = |more: &str| format!(r#"{{{TELEGRAM}, {more}}}"#);
    let via = |via: &str| format!(r#"{{"via": {via}}}"#);
    for (channel, expected) in [
        (
            telegram(r#""event": []"#),
            "unknown field `event`, expected one of",
        ),
        (
            telegram(r#""events": ["spent"]"#),
            "`spent` is not a kind of event: write one of quota, ",
        ),
        (
            telegram(r#""services": ["80-"]"#),
            "`80-` is neither a port, a range nor `group` and a name",
        ),
        (
            telegram(r#""quiet": "23:00-23:00""#),
            "`23:00-23:00` is not a span of the day",
        ),
        (
            telegram(r#""quiet": "23:00""#),
            "`23:00` is not a span of the day",
        ),
        (
            telegram(r#""quiet": "24:00-07:00""#),
            "`24:00` is not a time of day",
        ),
        (
            telegram(r#""report": "every 0m""#),
            "`every 0m` does not say when",
        ),
        (
            telegram(r#""report": "every 1441m""#),
            "`every 1441m` does not say when",
        ),
        (
            telegram(r#""report": "hourly""#),
            "`hourly` does not say when",
        ),
        (telegram(r#""report": "at 8""#), "`8` is not a time of day"),
        (
            telegram(r#""language": "de""#),
            "`de` is not a language of pm's",
        ),
        (
            telegram(r#""server_name": "a\r\nb""#),
            "`a\\r\\nb` cannot be a name",
        ),
        ("{}".into(), "missing field `via`"),
        (via(r#"{"sms": {}}"#), "unknown variant `sms`"),
        (
            via(r#"{"telegram": {"token": "1:AA-example", "chat": "12a"}}"#),
            "`12a` is not a chat",
        ),
        (
            via(r#"{"telegram": {"token": "1:AA-example", "chat": "0"}}"#),
            "`0` is not a chat",
        ),
        (
            via(r#"{"telegram": {"token": "1:AA-example", "chat": "@a/b?c"}}"#),
            "`@a/b?c` is not a chat",
        ),
        (
            via(
                r#"{"telegram": {"token": "1:AA-example", "chat": "1", "api_base": "http://tg.example"}}"#,
            ),
            "`http://tg.example` would be reached without encryption",
        ),
        (
            via(
                r#"{"telegram": {"token": "1:AA-example", "chat": "1", "api_base": "https://tg/?a="}}"#,
            ),
            "`https://tg/?a=` has a query",
        ),
        (
            via(
                r#"{"telegram": {"token": "1:AA-example", "chat": "1", "api_base": "https://u:p@tg"}}"#,
            ),
            "`…` is not an address",
        ),
        (
            via(r#"{"email": {"server": "smtp.example.org:0", "from": "a@b", "to": ["a@b"]}}"#),
            "`smtp.example.org:0` is not a mail server",
        ),
        (
            via(r#"{"email": {"server": "smtp", "from": "a@b\r\nBcc: c@d", "to": ["a@b"]}}"#),
            "`a@b\\r\\nBcc: c@d` is not a mail address",
        ),
        (
            via(r#"{"email": {"server": "smtp", "from": "a@b", "to": []}}"#),
            "mail needs 1 to 20 recipients",
        ),
        (
            via(
                r#"{"email": {"server": "smtp", "security": "none", "from": "a@b", "to": ["a@b"]}}"#,
            ),
            "mail to smtp needs encryption",
        ),
        (
            via(
                r#"{"email": {"server": "smtp", "security": "ssl", "from": "a@b", "to": ["a@b"]}}"#,
            ),
            "`ssl` does not say how mail is secured",
        ),
        (
            via(r#"{"email": {"server": "smtp", "user": "u", "from": "a@b", "to": ["a@b"]}}"#),
            "a mail server's user and password belong together",
        ),
        (
            via(r#"{"email": {"server": "smtp", "digest": 1441, "from": "a@b", "to": ["a@b"]}}"#),
            "`1441` is not a number of minutes",
        ),
        (
            via(r#"{"webhook": {"url": "https://a", "preset": "teams"}}"#),
            "`teams` is not a kind of web hook",
        ),
        (
            via(r#"{"webhook": {"url": "https://a", "preset": "slack", "secret": "s"}}"#),
            "web hooks of the kind slack are not signed",
        ),
        (
            via(r#"{"webhook": {"url": "https://a", "preset": "slack", "body": "{}"}}"#),
            "only web hooks of the kind generic have a body",
        ),
        (
            via(r#"{"webhook": {"url": "https://a", "body": "{\"a\": {{text}}}"}}"#),
            "the body is not JSON",
        ),
        (
            via(r#"{"webhook": {"url": "https://a", "body": "{\"a\": \"{{token}}\"}"}}"#),
            "nothing stands for {{token}} in a body",
        ),
    ] {
        let said = refusal(&with_channel(&channel));
        let (place, reason) = said.split_once(": ").unwrap();
        assert!(place.starts_with("line "), "{said}");
        assert!(reason.starts_with(expected), "{channel}\n{said}");
    }
    for (section, expected) in [
        (r#""thresholds": [0]"#, "`0` is not a list of thresholds"),
        (
            r#""thresholds": [1001]"#,
            "`1001` is not a list of thresholds",
        ),
        (
            r#""channels": {"all": {}}"#,
            "`all` cannot be a channel's name",
        ),
        (
            r#""channels": {"-x": {}}"#,
            "`-x` cannot be a channel's name",
        ),
        (
            r#""channels": {"a b": {}}"#,
            "`a b` cannot be a channel's name",
        ),
    ] {
        let said = refusal(&format!("{{\"schema\": 1, \"notify\": {{{section}}}}}"));
        assert!(said.contains(expected), "{said}");
    }
    let twice = with_channel(&format!("{{{TELEGRAM}}}, \"ops\": {{{TELEGRAM}}}"));
    assert!(refusal(&twice).ends_with("channel ops is there twice"));
}

/// Fault 17 of the scripts pm replaces: secrets where others read them.
#[test]
fn no_refusal_repeats_a_secret() {
    let push = |secret: &str| {
        format!(r#"{{"schema":1,"push":{{"url":"https://a","node":"n","secret":{secret}}}}}"#)
    };
    let via = |via: &str| with_channel(&format!(r#"{{"via": {via}}}"#));
    for text in [
        push(r#""planted\n""#),
        push(r#""planted ""#),
        push("{\"planted\": 1}"),
        push("12345678").replace("12345678", "8675309"),
        via(r#"{"telegram": {"token": "planted", "chat": "1"}}"#),
        via(r#"{"telegram": "planted"}"#),
        via(r#""planted\" expected ""#),
        via(r#"{"wecom": {"url": "http://example.org/planted"}}"#),
        via(r#"{"wecom": "planted"}"#),
        via(r#"{"webhook": {"url": "planted"}}"#),
        via(r#"{"webhook": {"url": "https://u:planted@example.org/"}}"#),
        with_channel("\"planted\""),
    ] {
        let said = refusal(&text);
        let shown = said.contains("planted") || said.contains("8675309");
        // A variant's name is no place for a secret.
        assert!(!shown || said.contains("unknown"), "{text}\n{said}");
    }
}

#[test]
fn addresses_are_of_https_or_of_this_host() {
    for good in [
        "https://api.telegram.org",
        "https://tg.example.org:8443/a/b?c=d&e=%20",
        "https://10.0.0.1/x",
        "http://127.0.0.1:8081",
        "http://127.9.9.9",
        "http://localhost/x",
    ] {
        assert_eq!(good.parse::<WebUrl>().unwrap().as_str(), good);
        assert!(good.parse::<SecretUrl>().is_ok());
    }
    for bad in [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "https:///x",
        "https://a b",
        "https://exämple.org",
        "https://example.org/\r\nHost: evil",
        "https://example.org/#a",
        "https://user:password@example.org",
        "https://example.org:0",
        "https://example.org:65536",
        "https://example.org:x",
        "https://[::1",
        "https://[2001:db8::1]:443/",
        "http://[::1]:8787/api/push",
        "https://[zz]",
        "https://-a.example",
        "http://example.org",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://127.1",
        "http://[::ffff:127.0.0.1]",
    ] {
        assert!(bad.parse::<WebUrl>().is_err(), "{bad}");
        assert!(bad.parse::<SecretUrl>().is_err(), "{bad}");
    }
    let url: SecretUrl = "https://hooks.example:8443?key=secret".parse().unwrap();
    assert_eq!(url.origin(), "https://hooks.example:8443");
    let long = format!("https://example.org/{}", "a".repeat(MAX_URL_BYTES));
    assert!(long.parse::<WebUrl>().is_err());
}

#[test]
fn a_mail_server_has_a_host_and_maybe_a_port() {
    for (text, host, port) in [
        ("smtp.example.org", "smtp.example.org", None),
        ("smtp.example.org:587", "smtp.example.org", Some(587)),
        ("[::1]:25", "::1", Some(25)),
    ] {
        let server: MailServer = text.parse().unwrap();
        assert_eq!((server.host(), server.port()), (host, port));
        assert_eq!(server.to_string(), text);
        assert_eq!(server.is_this_host(), host == "::1");
    }
    for bad in ["", ":25", "a b", "smtp:", "smtp:65536", "u@smtp", "::1"] {
        assert!(bad.parse::<MailServer>().is_err(), "{bad}");
    }
}

#[test]
fn a_channel_hears_of_its_services_their_groups_and_their_members() {
    let config = Config::parse(
        r#"{"schema":1,"groups":{"vip":{}},"services":{"80":{},"443":{"group":"vip"},"444":{"group":"vip"}}}"#,
    )
    .unwrap();
    let holder = |text: &str| text.parse::<Holder>().unwrap();
    let told = |services: &str| {
        let channel = parsed(&format!(r#"{{{TELEGRAM}, "services": [{services}]}}"#));
        ["80", "443", "444", "group vip"].map(|text| channel.concerns(&holder(text), &config))
    };
    assert_eq!(told(r#""80""#), [true, false, false, false]);
    assert_eq!(told(r#""443""#), [false, true, false, true]);
    assert_eq!(told(r#""group vip""#), [false, true, true, true]);
    assert_eq!(told(""), [false; 4]);
}

#[test]
fn thresholds_are_sorted_and_told_once() {
    let thresholds: Thresholds = "100, 80%,80,1000".parse().unwrap();
    assert_eq!(thresholds.percents(), [80, 100, 1000]);
    assert_eq!(thresholds.to_string(), "80,100,1000");
    assert_eq!("none".parse::<Thresholds>().unwrap().percents(), [0u16; 0]);
    for bad in [
        "",
        "0",
        "1001",
        "-1",
        "fifty",
        "50;80",
        &"1,2,3,4,5,6,7,8,9,10,".repeat(3),
    ] {
        assert!(bad.parse::<Thresholds>().is_err(), "{bad}");
    }
}

#[test]
fn a_report_is_due_at_its_times() {
    let utc = Zone::utc();
    let midnight = 1_700_006_400; // 2023-11-15
    let due = |schedule: &str, second: i64| {
        let schedule: Schedule = schedule.parse().unwrap();
        schedule
            .last_due(Timestamp::from_unix(midnight + second), &utc)
            .unix()
            - midnight
    };
    assert_eq!(due("every 60m", 3_599), 0);
    assert_eq!(due("every 60m", 3_600), 3_600);
    assert_eq!(due("every 24h", 86_399), 0);
    assert_eq!(due("every 7m", 86_399), (1_439 / 7) * 7 * 60);
    assert_eq!(due("at 08:00,20:00", 8 * 3_600 - 1), -4 * 3_600);
    assert_eq!(due("at 08:00,20:00", 8 * 3_600), 8 * 3_600);
    assert_eq!(due("at 0:00", 5), 0);
}

/// Clocks that are put back, put forward, by half an hour, at midnight, and over a whole day.
const CHANGES: [(&str, i64); 6] = [
    ("Europe/Berlin", 1_824_944_400),       // 2027-10-31, back at 03:00
    ("Europe/Berlin", 1_806_195_600),       // 2027-03-28, on at 02:00
    ("Australia/Lord_Howe", 1_806_764_400), // 2027-04-04, back by half an hour
    ("America/Sao_Paulo", 1_541_300_400),   // 2018-11-04, on at 00:00
    ("America/Sao_Paulo", 1_550_368_800),   // 2019-02-17, back at 00:00
    ("Pacific/Apia", 1_325_239_200),        // 2011-12-30 was no day
];

/// Returns when reports are due by a tick a minute, from two days before an instant to two days after.
fn all_due(schedule: &str, zone: &Zone, around: i64) -> Vec<i64> {
    let schedule: Schedule = schedule.parse().unwrap();
    let minutes = (around - 2 * 86_400..around + 2 * 86_400).step_by(60);
    let mut due = Vec::new();
    for now in minutes {
        let last = schedule.last_due(Timestamp::from_unix(now), zone).unix();
        assert!(last <= now, "{schedule} in {}", zone.name());
        assert!(due.last().is_none_or(|before| *before <= last), "{due:?}");
        due.push(last);
    }
    due.dedup();
    due
}

#[test]
fn a_time_of_day_is_due_once_a_day_also_where_clocks_are_changed() {
    for (name, around) in CHANGES {
        let zone = Zone::named(name).unwrap();
        for time in [
            "00:00", "01:30", "02:15", "02:30", "08:00", "20:00", "23:59",
        ] {
            let due = all_due(&format!("at {time}"), &zone, around);
            let dates: BTreeSet<_> = due
                .iter()
                .map(|it| zone.date_at(Timestamp::from_unix(*it)))
                .collect();
            // What a skipped day had is due when the next one begins.
            let has_no_day = name == "Pacific/Apia" && time != "00:00";
            let days = dates.len() + usize::from(has_no_day);
            assert_eq!(due.len(), days, "{time} in {name}: {due:?}");
            let shown = due.iter().filter(|it| {
                let local = zone.local(Timestamp::from_unix(**it)).time();
                let (hour, minute, _) = local.as_hms();
                format!("{hour:02}:{minute:02}") == time
            });
            assert!(shown.count() + 1 >= due.len(), "{time} in {name}: {due:?}");
        }
    }
}

#[test]
fn intervals_are_no_shorter_where_clocks_are_put_back() {
    for (name, around) in CHANGES {
        let zone = Zone::named(name).unwrap();
        for minutes in [1, 5, 15, 30, 60, 120, 360, 1_440] {
            let due = all_due(&format!("every {minutes}m"), &zone, around);
            let is_put_back = matches!(around, 1_824_944_400 | 1_550_368_800);
            let shortest = due.windows(2).map(|it| it[1] - it[0]).min().unwrap();
            assert!(
                !is_put_back || shortest >= minutes * 60,
                "{minutes} in {name}: {shortest}"
            );
            let longest = due.windows(2).map(|it| it[1] - it[0]).max().unwrap();
            let most = match name {
                "Pacific/Apia" => 2 * minutes * 60,
                _ => minutes * 60 + 3_600,
            };
            assert!(longest <= most, "{minutes} in {name}: {longest}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_back(notify in notify(), push in proptest::option::of(push())) {
        let config = Config { notify, push, ..Config::default() };
        prop_assert_eq!(Config::parse(&config.emit()).unwrap(), config);
    }

    #[test]
    fn no_secret_is_shown(config in config()) {
        let shown = format!("{:?} {:#?}", config.notify, config.push);
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
        let written = config.emit().contains(PLANTED);
        let has_secrets = config.push.is_some()
            || config.notify.channels.values().any(|channel| match &channel.via {
                Via::Email(email) => email.password.is_some(),
                _ => true,
            });
        prop_assert_eq!(written, has_secrets);
    }

    #[test]
    fn times_are_read_back(quiet in quiet_hours(), schedule in schedule()) {
        prop_assert_eq!(quiet.to_string().parse(), Ok(quiet));
        prop_assert_eq!(schedule.to_string().parse(), Ok(schedule));
    }

    #[test]
    fn quiet_hours_end_when_they_say(quiet in quiet_hours(), now in 1_600_000_000i64..1_700_000_000) {
        let zone = Zone::utc();
        if let Some(left) = quiet.left(Timestamp::from_unix(now), &zone) {
            prop_assert!(left.as_secs() > 0);
            let left = i64::try_from(left.as_secs()).unwrap();
            let end = Timestamp::from_unix(now + left);
            prop_assert_eq!(quiet.left(end, &zone), None);
            prop_assert!(quiet.left(Timestamp::from_unix(now + left - 1), &zone).is_some());
        }
    }

    #[test]
    fn a_report_is_due_once(schedule in schedule(), now in 1_600_000_000i64..1_700_000_000) {
        let zone = Zone::utc();
        let due = schedule.last_due(Timestamp::from_unix(now), &zone);
        prop_assert!(due.unix() <= now && due.unix() > now - 86_400);
        prop_assert_eq!(schedule.last_due(due, &zone), due);
    }

    #[test]
    fn a_report_is_due_once_wherever_clocks_are_turned(
        schedule in schedule(),
        zone in prop::sample::select(vec![
            "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Shanghai", "UTC",
        ]),
        // When clocks were turned in Berlin; elsewhere they are within ten days of it.
        turned in prop::sample::select(vec![1_603_587_600i64, 1_616_893_200]),
        after in -900_000i64..900_000,
    ) {
        let now = turned + after;
        let zone = Zone::named(zone).unwrap();
        let due = schedule.last_due(Timestamp::from_unix(now), &zone);
        prop_assert!(due.unix() <= now && due.unix() > now - 2 * 86_400);
        prop_assert_eq!(schedule.last_due(due, &zone), due);
        let later = schedule.last_due(Timestamp::from_unix(now + 60), &zone);
        prop_assert!(later >= due);
        if let (Schedule::At(times), true) = (&schedule, later > due) {
            let local = zone.local(later);
            let minutes = u16::from(local.hour()) * 60 + u16::from(local.minute());
            let is_named = times.iter().any(|time| time.minutes() == minutes);
            let is_turned = zone.local(Timestamp::from_unix(later.unix() - 86_400)).time() != local.time();
            prop_assert!(is_named || is_turned, "{} at {}", schedule, local);
        }
    }

    #[test]
    fn a_filled_template_is_json(text in any::<String>()) {
        let template: Template = r#"{"a": ["{{title}}/{{text}}"], "b": {"c": {"d": "{{event}}"}}}"#.parse().unwrap();
        let body: serde_json::Value = serde_json::from_str(&template.fill(|_| text.clone())).unwrap();
        prop_assert_eq!(&body["a"][0], &format!("{text}/{text}"));
        prop_assert_eq!(&body["b"]["c"]["d"], &text);
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<WebUrl>();
        let _ = format!("https://{text}").parse::<SecretUrl>();
        let _ = text.parse::<MailServer>();
        let _ = text.parse::<MailAddress>();
        let _ = text.parse::<Schedule>();
        let _ = text.parse::<QuietHours>();
        let _ = text.parse::<Thresholds>();
        let _ = text.parse::<Template>();
        let _ = format!("{{{{{text}}}}}").parse::<Template>();
        let _ = text.parse::<ChatId>();
        let _ = text.parse::<ChannelName>();
        let _ = text.parse::<BotToken>();
    }
}
