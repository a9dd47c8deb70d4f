//! Reset policies: when an interval begins, and which resets cannot come.

use super::*;

#[test]
fn an_interval_starts_on_the_day_it_is_set_and_keeps_its_start() {
    let mut config = monitoring("80");
    for (said, today, set_to) in [
        (
            "every 30 days",
            date!(2026 - 11 - 22),
            "every 30 days from 2026-11-22",
        ),
        // The same again, even by a clock that went back.
        (
            "every 30 days",
            date!(2027 - 01 - 05),
            "every 30 days from 2026-11-22",
        ),
        (
            "every 30 days",
            date!(2026 - 11 - 21),
            "every 30 days from 2026-11-22",
        ),
        (
            "every 30 days from 2026-12-01",
            date!(2027 - 01 - 05),
            "every 30 days from 2026-12-01",
        ),
        (
            "every 31 days",
            date!(2027 - 01 - 05),
            "every 31 days from 2027-01-05",
        ),
        (
            "every 3 months on 15",
            date!(2027 - 01 - 31),
            "every 3 months on 15 from 2027-01",
        ),
        (
            "every 3 months on 15",
            date!(2027 - 02 - 28),
            "every 3 months on 15 from 2027-01",
        ),
        (
            "every 3 months on 16",
            date!(2027 - 02 - 28),
            "every 3 months on 16 from 2027-02",
        ),
        (
            "every 4 months on 16",
            date!(2027 - 03 - 01),
            "every 4 months on 16 from 2027-03",
        ),
        ("yearly 06-18", date!(2027 - 03 - 01), "yearly 06-18"),
        (
            "every 4 months on 16",
            date!(2027 - 04 - 01),
            "every 4 months on 16 from 2027-04",
        ),
        ("31", date!(2027 - 04 - 01), "31"),
    ] {
        let request = add_or_set("80", reset(said));
        config = request.apply(&config, &on(today)).unwrap();
        let policy = config.services[&ports("80")].reset.unwrap();
        assert_eq!(policy.to_string(), set_to, "{said} on {today}");
        assert_eq!(Config::parse(&config.emit()).unwrap(), config);
    }
}

#[test]
fn without_a_clock_an_interval_must_say_its_start() {
    let config = monitoring("80");
    for said in ["every 30 days", "every 3 months on 15"] {
        let request = set(these("80"), reset(said));
        let refused = Refusal::NoToday(said.parse().unwrap());
        assert_eq!(apply(&request, &config), Err(refused));
    }
    for said in [
        "every 30 days from 2026-12-01",
        "every 3 months on 15 from 2026-12",
        "once 2027-01-31",
    ] {
        assert!(
            apply(&set(these("80"), reset(said)), &config).is_ok(),
            "{said}"
        );
    }
}

#[test]
fn a_reset_that_cannot_come_is_warned_about_once() {
    let before = monitoring("80");
    let warnings = |said: &str, today| {
        let request = set(these("80"), reset(said));
        let context = on(today);
        let after = request.apply(&before, &context).unwrap();
        let first = request.warnings(&before, &after, &context, None, &[]);
        assert_eq!(request.warnings(&after, &after, &context, None, &[]), []);
        first
    };
    let date = date!(2027 - 01 - 31);
    let passed = Warning::NoResetToCome {
        ports: ports("80"),
        date,
    };
    assert_eq!(warnings("once 2027-01-31", date!(2027 - 01 - 30)), []);
    assert_eq!(warnings("once 2027-01-31", date), [passed]);
    assert_eq!(warnings("yearly 01-31", date), []);
}
