//! That nothing of pm's is left in English.

use super::*;
use crate::output::errors::sentence;
use pm_core::backend::{BackendError, ShapingError};
use pm_core::calendar::{ResetPolicy, Zone};
use pm_core::config::{Config, Factor, GroupName, Limit, Mode, Note, QuotaSize, ZoneName};
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::port::{PortList, PortRange};
use pm_core::shaping::Classifier;
use pm_core::units::{BitRate, Size};
use pm_netlink::{Malformed, Rejection};
use pm_store::StoreError;
use pm_store::action::{Action, Expected};
use pm_store::locks::{LockKind, UNKNOWN_HOLDER};
use proptest::prelude::*;
use std::fmt::Write;
use std::str::FromStr;

/// Whether a text says something in Chinese.
fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{4E00}'..='\u{9FFF}'))
}

/// Adds what is said of each text that is refused.
fn refuse<T: FromStr<Err: Error + 'static>>(said: &mut String, texts: &[&str]) {
    for text in texts {
        let Err(error) = text.parse::<T>() else {
            panic!("{text} is not refused");
        };
        let chinese = of(&error).unwrap();
        assert!(is_chinese(&chinese), "{chinese}");
        assert!(error.to_string().is_ascii(), "{error}");
        writeln!(said, "{text:?}: {chinese}").unwrap();
    }
}

#[test]
fn refused_values_are_explained() {
    let mut said = String::new();
    refuse::<PortList>(&mut said, &["", "http", "0", "65536", "90-80", "80,79-81"]);
    let sizes = ["five", "-5GB", "1e3GB", "5XB", "5", "1.5B", "9999PB"];
    refuse::<Size>(&mut said, &sizes);
    let rates = [
        "fast", "-5M", "1e3M", "5X", "5MBps", "0.5bps", "0", "11Tbps",
    ];
    refuse::<BitRate>(&mut said, &rates);
    refuse::<Mode>(&mut said, &["in"]);
    refuse::<Factor>(&mut said, &["0"]);
    refuse::<GroupName>(&mut said, &["none"]);
    refuse::<Note>(&mut said, &[&"x".repeat(201), "\u{1b}"]);
    refuse::<ZoneName>(&mut said, &["Mars"]);
    refuse::<DynQos>(
        &mut said,
        &["5M", "x/5/5M/60", "5M/0/5M/60", "5M/5/5/60", "5/5/5M/60"],
    );
    refuse::<Classifier>(&mut said, &["mark", "fwmark/0xff"]);
    refuse::<Language>(&mut said, &["de"]);
    refuse::<Holder>(&mut said, &["http"]);
    let policies = [
        "32",
        "once tomorrow",
        "every 3 months on 1 from 2026",
        "yearly 02-30",
        "every 0 days",
        "every 121 months on 1",
        "every 30 days",
        "every",
        "monthly",
    ];
    refuse::<ResetPolicy>(&mut said, &policies);
    let zones = [Zone::named("Mars"), Zone::from_tzif("Mars", b"")];
    for error in zones.map(Result::unwrap_err) {
        writeln!(said, "{}", of(&error).unwrap()).unwrap();
    }
    let zero: Size = "0B".parse().unwrap();
    let low: BitRate = "5bps".parse().unwrap();
    for error in [
        QuotaSize::try_from(zero).unwrap_err(),
        Limit::try_from(low).unwrap_err(),
    ] {
        writeln!(said, "{}", of(&error).unwrap()).unwrap();
    }
    insta::assert_snapshot!(said);
}

fn reason(config: &str) -> String {
    of(&Config::parse(config).unwrap_err()).unwrap()
}

#[test]
fn what_is_wrong_in_a_channel_is_explained() {
    let channel = |via: &str| {
        reason(&format!(
            r#"{{"schema": 1, "notify": {{"channels": {{"ops": {{"via": {via}}}}}}}}}"#
        ))
    };
    let filtered = |more: &str| {
        channel(&format!(
            r#"{{"telegram": {{"token": "1:AA-example", "chat": "1"}}}}, {more}"#
        ))
    };
    let email = |more: &str| channel(&format!(r#"{{"email": {{"from": "a@b", {more}}}}}"#));
    let hook = |more: &str| channel(&format!(r#"{{"webhook": {{"url": "https://a", {more}}}}}"#));
    let general = |section: &str| reason(&format!(r#"{{"schema": 1, "notify": {{{section}}}}}"#));
    let long = "x".repeat(5000);
    let said = [
        channel(r#"{"telegram": {"token": "x", "chat": "1"}}"#),
        channel(r#"{"telegram": {"token": "", "chat": "1"}}"#),
        channel(r#"{"telegram": {"token": 1, "chat": "1"}}"#),
        channel(r#"{"telegram": {"token": "1:AA-example", "chat": "x"}}"#),
        channel(
            r#"{"telegram": {"token": "1:AA-example", "chat": "1", "api_base": "http://a.example"}}"#,
        ),
        channel(r#"{"telegram": {"token": "1:AA-example", "chat": "1", "api_base": "tg"}}"#),
        channel(r#"{"wecom": {"url": "http://a.example/planted"}}"#),
        filtered(r#""events": ["spent"]"#),
        filtered(r#""services": ["http"]"#),
        filtered(r#""quiet": "23:00-23:00""#),
        filtered(r#""quiet": "25:00-23:00""#),
        filtered(r#""report": "hourly""#),
        filtered(r#""server_name": " a""#),
        email(r#""server": "a b", "to": ["a@b"]"#),
        email(r#""server": "a", "to": []"#),
        email(r#""server": "a", "to": ["b"]"#),
        email(r#""server": "a", "to": ["a@b"], "security": "ssl""#),
        email(r#""server": "a", "to": ["a@b"], "security": "none""#),
        email(r#""server": "a", "to": ["a@b"], "user": "u""#),
        email(r#""server": "a", "to": ["a@b"], "digest": 0"#),
        hook(r#""preset": "teams""#),
        hook(r#""preset": "slack", "body": "{}""#),
        hook(r#""preset": "slack", "secret": "s""#),
        hook(r#""secret": "s ""#),
        hook(r#""secret": "s\ns""#),
        hook(&format!(r#""secret": "{long}""#)),
        hook(&format!(r#""body": "{long}""#)),
        hook(r#""body": "{{text}}""#),
        hook(r#""body": "{{token}}""#),
        general(r#""thresholds": [0]"#),
        general(r#""channels": {"all": {}}"#),
        general(r#""channels": {"a": {"via": {"wecom": {"url": "https://a"}}}, "a": {}}"#),
    ];
    for text in &said {
        let own = text.split_once('：').unwrap_or(("", text)).1;
        assert!(is_chinese(own), "{text}");
        assert!(!text.contains("planted"), "{text}");
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_wrong_in_a_configuration_is_explained() {
    let service = |settings: &str| {
        reason(&format!(
            r#"{{"schema": 1, "services": {{"80": {{{settings}}}}}}}"#
        ))
    };
    let note = "x".repeat(201);
    let said = [
        service(r#""quota": "5XB""#),
        service(r#""quota": "0B""#),
        service(r#""factor": "0""#),
        service(r#""reset": "32""#),
        service(r#""reset": "every 30 days""#),
        service(r#""limit": "fast""#),
        service(r#""limit": "5bps""#),
        service(r#""limit_in": "0""#),
        service(r#""dynqos": "5M""#),
        service(r#""dynqos": "5M/5/5/60""#),
        service(r#""dynqos": "5/5/5M/60""#),
        service(r#""expires": "tomorrow""#),
        service(r#""group": "a,b""#),
        service(&format!(r#""note": "{note}""#)),
        service(r#""note": "\u001b""#),
        reason(r#"{"schema": 1, "time_zone": "Mars"}"#),
        reason(r#"{"schema": 1, "classifier": "mark"}"#),
        reason(r#"{"schema": 1, "language": "de"}"#),
        reason(r#"{"schema": 0}"#),
        reason(r#"{"schema": 2}"#),
        reason(r#"{"ports": {}}"#),
        reason(r#"{"schema": 1, "services": {"http": {}}}"#),
        reason(r#"{"schema": 1, "services": {"0": {}}}"#),
        reason(r#"{"schema": 1, "services": {"80": {}, "80": {}}}"#),
        reason(r#"{"schema": 1, "services": {"80": {}, "79-81": {}}}"#),
        reason(r#"{"schema": 1, "services": {"80": {"group": "vip"}}}"#),
    ];
    for text in &said {
        let own = text.split_once('：').unwrap_or(("", text)).1;
        assert!(is_chinese(own), "{text}");
    }
    let serde = [
        reason("{"),
        reason(r#"{"schema": "1"}"#),
        service(r#""mode": "in""#),
    ];
    insta::assert_snapshot!(said.into_iter().chain(serde).collect::<Vec<_>>().join("\n"));
}

fn netlink() -> Vec<pm_netlink::Error> {
    use pm_netlink::{Errno, Error};
    let rejection = |index, text: Option<&str>| Rejection {
        index,
        errno: Errno::EINVAL,
        text: text.map(str::to_owned),
        offset: None,
    };
    vec![
        Error::PermissionDenied,
        Error::SubsystemMissing,
        Error::GenerationChanged,
        Error::NotFound,
        Error::Rejected(vec![]),
        Error::Rejected(vec![rejection(None, None)]),
        Error::Rejected(vec![
            rejection(Some(3), Some("text")),
            rejection(None, None),
        ]),
        Error::DumpInterrupted,
        Error::TooLong { bytes: 70_000 },
        Error::Malformed(Malformed("a short attribute")),
        Error::ReplyLost,
        Error::Io(std::io::Error::from_raw_os_error(105)),
    ]
}

fn traffic_control() -> Vec<pm_tc::Error> {
    use pm_netlink::Error::NotFound;
    use pm_tc::Error;
    let refused = |request: &str| Error::Refused {
        interface: "eth0".into(),
        request: request.into(),
        source: NotFound,
    };
    let read = |what: &str| Error::Read {
        what: what.into(),
        source: NotFound,
    };
    vec![
        Error::NoSuchInterface("eth0".into()),
        Error::ForeignQdisc {
            interface: "eth0".into(),
            kind: "tbf".into(),
        },
        Error::Unsupported(NotFound),
        Error::NoFwClassifier(NotFound),
        Error::Permission(NotFound),
        Error::Raced,
        Error::Clock(None),
        refused("create qdisc htb 1:"),
        refused("set class 1:50"),
        refused("delete filters"),
        refused("do something new"),
        read("read the routes"),
        read("read the qdiscs of interface eth0"),
        read("find interface eth0"),
    ]
}

#[test]
fn what_the_kernel_refuses_is_explained() {
    let kernel = |context: &str| BackendError::Kernel {
        context: context.into(),
        source: Box::new(pm_netlink::Error::NotFound),
    };
    let mut errors: Vec<Box<dyn Error>> = vec![
        Box::new(kernel("cannot add a rule to chain in_80")),
        Box::new(kernel("cannot delete quota 80")),
        Box::new(kernel("cannot open a netlink socket")),
        Box::new(BackendError::Permission(Box::new(
            pm_netlink::Error::PermissionDenied,
        ))),
        Box::new(ShapingError::Kernel(Box::new(pm_tc::Error::Raced))),
        Box::new(EngineError::RolledBack {
            why: Box::new(BackendError::Raced.into()),
            left: None,
        }),
        Box::new(EngineError::Changed),
        Box::new(pm_tc::ShapeError::Minor(0)),
        Box::new(pm_tc::ShapeError::MarkTooNarrow {
            minor: 0x100,
            mask: 0xff,
        }),
    ];
    errors.extend(netlink().into_iter().map(|error| Box::new(error) as _));
    errors.extend(
        traffic_control()
            .into_iter()
            .map(|error| Box::new(error) as _),
    );
    let said = errors.iter().map(|error| {
        let chinese = of(&**error).unwrap();
        assert!(is_chinese(&chinese), "{chinese}");
        chinese
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_gone_or_in_the_way_is_explained() {
    let path = || "/etc/port_monitor/config.json".into();
    let errors = [
        StoreError::ConfigGone {
            path: path(),
            versions: "/etc/port_monitor/versions".into(),
            state: "/var/lib/port_monitor/state.db".into(),
        },
        StoreError::ConfigChanged { path: path() },
        StoreError::StateGone { path: path() },
        StoreError::ReadOnly {
            action: Action::Save,
            path: path(),
        },
        StoreError::Exists { path: path() },
        StoreError::TooLarge {
            path: path(),
            most: 1 << 20,
        },
        StoreError::NotAFile { path: path() },
        StoreError::NotThere {
            action: Action::Read,
            path: path(),
        },
        StoreError::WrongKind {
            path: path(),
            expected: Expected::Directory,
        },
        StoreError::Held {
            kind: LockKind::Write,
            path: "/run/port_monitor/write.lock".into(),
            holder: UNKNOWN_HOLDER.into(),
            waited: std::time::Duration::ZERO,
        },
        StoreError::Held {
            kind: LockKind::Edit,
            path: "/run/port_monitor/edit.lock".into(),
            holder: "somebody".into(),
            waited: std::time::Duration::ZERO,
        },
    ];
    let said = errors.iter().map(|error| of(error).unwrap());
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"));
}

#[test]
fn whatever_was_being_done_is_named() {
    for action in Action::ALL {
        let error = StoreError::Io {
            action,
            path: "/x".into(),
            why: "why".into(),
        };
        let chinese = of(&error).unwrap();
        assert!(chinese.starts_with("无法"), "{chinese}");
        assert!(!chinese.contains(&action.to_string()), "{chinese}");
    }
}

#[test]
fn english_is_what_the_libraries_say() {
    let error = pm_netlink::Error::NotFound;
    assert_eq!(sentence(&error), error.to_string());
    let chinese = crate::language::in_chinese(|| sentence(&error));
    assert!(is_chinese(&chinese));
}

proptest! {
    /// What is refused of a configuration's values is found again in serde's text.
    #[test]
    fn no_refused_value_stays_english(text in "[0-9a-zA-Z./-]{0,12}") {
        if text.parse::<PortRange>().is_err() {
            let config = format!(r#"{{"schema": 1, "services": {{"{text}": {{}}}}}}"#);
            prop_assert!(!reason(&config).contains("write"), "{}", reason(&config));
        }
        for field in ["quota", "limit", "mode", "factor", "reset", "dynqos", "expires"] {
            let config = format!(
                r#"{{"schema": 1, "services": {{"80": {{"{field}": "{text}"}}}}}}"#
            );
            if let Err(error) = Config::parse(&config) {
                let chinese = of(&error).unwrap();
                prop_assert!(!chinese.contains("write"), "{}", chinese);
            }
        }
    }
}
