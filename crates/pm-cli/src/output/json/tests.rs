//! The schema that other programs are promised, to the letter.

use super::*;
use crate::output::samples;

#[test]
fn a_service_has_every_field_in_order() {
    let report = samples::report("30000-30100");
    assert_eq!(
        services(&[report], &[]).unwrap(),
        concat!(
            r#"{"version":1,"services":[{"port":"30000-30100","note":"","group":null,"#,
            r#""mode":"both","factor":1.0,"in_bytes":0,"out_bytes":0,"adjust_bytes":0,"#,
            r#""billed_bytes":0,"quota_bytes":null,"state":"ok","blocked_by":null,"#,
            r#""limit_out_bps":null,"limit_in_bps":null,"ceil_bps":null,"ceil_in_bps":null,"#,
            r#""dynqos":null,"punished_seconds":null,"expires":null,"routed":false,"#,
            r#""reset":"never","next_reset":null}],"groups":[]}"#
        )
    );
    let nothing = r#"{"version":1,"services":[],"groups":[]}"#;
    assert_eq!(services(&[], &[]).unwrap(), nothing);
}

#[test]
fn a_group_has_every_field_in_order() {
    let group = samples::group("vip", "5GB", 0, 0);
    assert_eq!(
        groups(&[group]).unwrap(),
        concat!(
            r#"{"version":1,"groups":[{"name":"vip","members":[],"mode":"both","factor":1.0,"#,
            r#""in_bytes":0,"out_bytes":0,"adjust_bytes":0,"billed_bytes":0,"#,
            r#""quota_bytes":5000000000,"state":"ok","blocked_by":null,"reset":"1","#,
            r#""next_reset":"2026-12-01"}]}"#
        )
    );
    assert_eq!(groups(&[]).unwrap(), r#"{"version":1,"groups":[]}"#);
}

#[test]
fn values_are_bytes_dates_and_words() {
    let text = services(&samples::reports(), &samples::groups()).unwrap();
    insta::assert_snapshot!(
        text.replace("},{", "},\n{")
            .replace("\"groups\"", "\n\"groups\"")
    );
}

#[test]
fn every_factor_is_exact_as_text() {
    for thousandths in 1..=1_000_000 {
        let typed = pm_core::config::Factor::from_thousandths(thousandths).unwrap();
        let number = serde_json::to_string(&factor(typed)).unwrap();
        let exact = number.strip_suffix(".0").unwrap_or(&number);
        assert_eq!(exact, typed.to_string());
    }
}

#[test]
fn a_text_is_a_json_string() {
    assert_eq!(text("a\"b\n").unwrap(), r#""a\"b\n""#);
    assert_eq!(
        checked_config(3).unwrap(),
        r#"{"version":1,"valid":true,"services":3}"#
    );
}

/// Fault 17 of the scripts pm replaces: secrets where others read them.
#[test]
fn a_difference_says_that_a_secret_changed_and_not_which() {
    let config = |secret: &str| {
        let text = format!(
            r#"{{"schema":1,"services":{{}},"push":{{"url":"https://w.example","node":"n","secret":"{secret}"}}}}"#
        );
        pm_core::config::Config::parse(&text).unwrap()
    };
    let then = (3, config("planted one"));
    let said = differences(Some(&then), &config("planted two")).unwrap();
    assert!(!said.contains("planted"), "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["changes"][0]["setting"], "push");
    assert_eq!(said["changes"][0]["after"]["secret"], "set");
    let none = differences(Some(&then), &then.1).unwrap();
    assert!(none.contains(r#""changes":[]"#), "{none}");
}
