//! How the versions are shown, in both languages.

use super::*;
use crate::language::speak;
use crate::output::json;
use pm_core::language::Language;
use pm_store::StoreError;

/// Three versions: one before a service was limited, one before others came, one that is damaged.
pub(crate) fn past() -> Past {
    let config = |services: &str| {
        let text = format!(r#"{{"schema": 1, "groups": {{"vip": {{}}}}, "services": {services}}}"#);
        Config::parse(&text).unwrap()
    };
    let version = |number, minute: i64, config| PastVersion {
        number,
        revision: Some(number + 3),
        replaced: Some(Timestamp::from_unix(1_800_000_000 + minute * 60)),
        config,
    };
    let unusable = StoreError::VersionUnusable {
        path: "/etc/port_monitor/versions/config-000001.json".into(),
        why: Config::parse("{").unwrap_err(),
    };
    let mut damaged = version(1, 0, Err(unusable));
    (damaged.revision, damaged.replaced) = (None, None);
    Past {
        config: config(r#"{"80": {"limit": "5Mbps"}, "81": {}, "82": {"quota": "5GB"}}"#),
        stale_config: None,
        zone: Zone::named("Asia/Shanghai").unwrap(),
        versions: vec![
            version(
                4,
                99,
                Ok(config(r#"{"80": {}, "81": {}, "82": {"quota": "5GB"}}"#)),
            ),
            version(
                3,
                98,
                Ok(config(r#"{"80": {}, "81": {}, "82": {"quota": "5GB"}}"#)),
            ),
            version(2, 5, Ok(config(r#"{"80": {"note": "老王"}}"#))),
            damaged,
        ],
        dir: "/etc/port_monitor/versions".into(),
    }
}

#[test]
fn versions_are_listed_with_what_was_changed_then() {
    for language in Language::ALL {
        speak(language);
        let nothing = Past {
            versions: Vec::new(),
            ..past()
        };
        let texts = [
            table(&past(), Some(80)),
            table(&past(), Some(40)),
            table(&nothing, Some(80)),
        ];
        insta::assert_snapshot!(format!("versions-{language}"), texts.join("\n\n"));
    }
}

#[test]
fn what_has_changed_since_is_said() {
    for language in Language::ALL {
        speak(language);
        let past = past();
        let mut said = String::new();
        for version in &past.versions {
            if let Ok(then) = &version.config {
                let number = version.number;
                said += &format!("$ pm config diff {number}\n");
                said += &since(number, then, &past.config).join("\n");
                said += "\n\n";
            }
        }
        said += &since(9, &past.config, &past.config).join("\n");
        insta::assert_snapshot!(format!("since-{language}"), said);
    }
}

#[test]
fn the_last_change_is_the_one_that_made_a_difference() {
    let mut past = past();
    assert_eq!(past.last().unwrap().number, 4);
    // As a request that was rolled back leaves it.
    past.versions[0].config = Ok(past.config.clone());
    assert_eq!(past.last().unwrap().number, 3);
    past.versions.truncate(1);
    assert!(past.last().is_none());
    let error = past.take(9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no version 9 in /etc/port_monitor/versions"
    );
}

#[test]
fn programs_get_what_was_before_and_what_is_now() {
    speak(Language::English);
    let past = past();
    let then = past.versions[2].config.as_ref().unwrap().clone();
    let now = Config {
        language: Some(Language::Chinese),
        groups: Default::default(),
        ..past.config.clone()
    };
    let texts = [
        json::versions(&past).unwrap(),
        json::differences(Some(&(2, then)), &now).unwrap(),
        json::differences(None, &now).unwrap(),
    ];
    insta::assert_snapshot!(texts.join("\n").replace("},{", "},\n{"));
}

#[test]
fn versions_fit_a_phone() {
    use unicode_width::UnicodeWidthStr;
    for language in Language::ALL {
        speak(language);
        let shown = table(&past(), Some(40));
        for line in shown.lines() {
            assert!(line.width() <= 40, "{line}");
        }
        insta::assert_snapshot!(format!("phone-{language}"), shown);
    }
}
