//! What the operator should know.

use super::guards::{add_group, done, group_request};
use super::*;

#[test]
fn ports_that_the_host_takes_for_itself_are_warned_about() {
    let overlap = |range: &str, reserved: &[&str]| {
        let reserved: Vec<_> = reserved.iter().map(|range| ports(range)).collect();
        ephemeral_overlap(ports(range), Some(&(32_768..=60_999)), &reserved)
            .map(|overlap| overlap.to_string())
    };
    for (range, reserved, expected) in [
        ("32767", &[][..], None),
        ("32768", &[], Some("32768")),
        ("60999", &[], Some("60999")),
        ("61000", &[], None),
        ("30000-33000", &[], Some("32768-33000")),
        ("1-65535", &[], Some("32768-60999")),
        ("40000-40010", &["40000-40010"], None),
        ("40000-40010", &["1-65535"], None),
        (
            "40000-40010",
            &["40000-40004", "40006-40010"],
            Some("40005"),
        ),
        ("40000-40010", &["40000", "40010"], Some("40001-40009")),
        // A gap in the middle is inside of what is named, and harmless to reserve twice.
        ("40000-40010", &["40005"], Some("40000-40010")),
    ] {
        assert_eq!(overlap(range, reserved).as_deref(), expected, "{range}");
    }
    assert_eq!(ephemeral_overlap(ports("40000"), None, &[]), None);

    let before = monitoring("40000");
    let warnings = |request: &Request| {
        let after = apply(request, &before).unwrap();
        request.warnings(
            &before,
            &after,
            &Context::default(),
            Some(32_768..=60_999),
            &[],
        )
    };
    assert_eq!(
        warnings(&add("80,50000-50001", Settings::default())),
        [Warning::Ephemeral {
            ports: ports("50000-50001"),
            overlap: ports("50000-50001")
        }]
    );
    assert_eq!(warnings(&set(these("40000"), quota("5GB"))), []);
}

#[test]
fn what_the_operator_should_know_of_limits_and_last_days() {
    let before = done(&monitoring("80"), &[add_group(Some("5GB"), false)]);
    let today = date!(2027 - 01 - 31);
    let warnings = |request: &Request| {
        let after = request.apply(&before, &on(today)).unwrap();
        let again = request.warnings(&after, &after, &on(today), None, &[]);
        assert_eq!(again, [], "{request}");
        request.warnings(&before, &after, &on(today), None, &[])
    };
    let yesterday = date!(2027 - 01 - 30);
    let past = Warning::PastExpiry {
        ports: ports("80"),
        last_day: yesterday,
    };
    assert_eq!(warnings(&set(these("80"), expires(yesterday))), [past]);
    assert_eq!(warnings(&set(these("80"), expires(today))), []);
    let both = |out, into| Settings {
        ..Settings {
            dynqos: rule("100M/5/5M/60").dynqos,
            ..limits(limit(out), limit(into))
        }
    };
    let nothing = [Warning::PunishesNothing(ports("80"))];
    let limited = set(these("80"), both("5M", "4M"));
    assert_eq!(warnings(&limited), nothing);
    for hardly in ["5M/5/100M/60", "5M/5/5M/60"] {
        assert_eq!(warnings(&set(these("80"), rule(hardly))), nothing);
    }
    assert_eq!(warnings(&set(these("80"), rule("5M/5/4999K/60"))), []);
    assert_eq!(warnings(&set(these("80"), both("5M", "5001K"))), []);
    assert_eq!(warnings(&set(these("80"), rule("100M/5/5M/60"))), []);
    let once = ContractSettings {
        reset: Some("once 2027-01-31".parse().unwrap()),
        ..ContractSettings::default()
    };
    let gone = Warning::NoGroupResetToCome {
        group: "vip".parse().unwrap(),
        date: today,
    };
    assert_eq!(warnings(&group_request(once, None)), [gone]);
}
