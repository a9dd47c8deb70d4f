//! The dates of each policy at each of its boundaries, and its text.

use super::*;

fn policy(text: &str) -> ResetPolicy {
    text.parse().unwrap()
}

/// The first dates of a policy after `day`.
fn dates(text: &str, day: Date) -> Vec<Date> {
    let policy = policy(text);
    let after = |day: &Date| policy.next_after(*day);
    std::iter::successors(after(&day), after).take(5).collect()
}

#[test]
fn a_monthly_policy_is_a_day() {
    let parse = str::parse::<ResetPolicy>;
    assert_eq!(parse("1"), Ok(monthly(1)));
    assert_eq!(parse(" 31 "), Ok(monthly(31)));
    assert_eq!(parse("05"), Ok(monthly(5)));
    assert_eq!(parse("Never"), Ok(ResetPolicy::Never));
    for day in ["0", "00", "32", "256", "99999999999999999999"] {
        assert_eq!(parse(day), Err(ResetPolicyError::NoSuchDay(day.into())));
    }
    for text in ["", "-1", "+1", "1.5", "1st", "monthly", "never!", "１"] {
        assert_eq!(parse(text), Err(ResetPolicyError::NotAPolicy(text.into())));
    }
    assert_eq!(
        parse("32").unwrap_err().to_string(),
        "there is no day 32 in a month: write a day from 1 to 31"
    );
    assert_eq!(
        DayOfMonth::new(0),
        Err(ResetPolicyError::NoSuchDay("0".into()))
    );
    assert_eq!(DayOfMonth::new(31).map(DayOfMonth::get), Ok(31));
}

#[test]
fn a_policy_is_saved_as_text() {
    assert_eq!(serde_json::to_string(&monthly(7)).unwrap(), r#""7""#);
    let never: ResetPolicy = serde_json::from_str(r#""never""#).unwrap();
    assert_eq!(never, ResetPolicy::Never);
    assert!(serde_json::from_str::<ResetPolicy>(r#""32""#).is_err());
    assert!(serde_json::from_str::<ResetPolicy>(r#""every 30 days""#).is_err());
}

#[test]
fn a_short_month_resets_on_its_last_day() {
    let cases = [
        (1, date!(2023 - 12 - 31), date!(2024 - 01 - 01)),
        (1, date!(2024 - 01 - 01), date!(2024 - 02 - 01)),
        (15, date!(2023 - 12 - 15), date!(2024 - 01 - 15)),
        (15, date!(2024 - 01 - 14), date!(2024 - 01 - 15)),
        (28, date!(2023 - 02 - 27), date!(2023 - 02 - 28)),
        (28, date!(2024 - 02 - 28), date!(2024 - 03 - 28)),
        (29, date!(2023 - 01 - 29), date!(2023 - 02 - 28)),
        (29, date!(2024 - 01 - 29), date!(2024 - 02 - 29)),
        (29, date!(2024 - 02 - 28), date!(2024 - 02 - 29)),
        (29, date!(2024 - 02 - 29), date!(2024 - 03 - 29)),
        (30, date!(2023 - 02 - 27), date!(2023 - 02 - 28)),
        (30, date!(2023 - 02 - 28), date!(2023 - 03 - 30)),
        (30, date!(2024 - 01 - 30), date!(2024 - 02 - 29)),
        (31, date!(2023 - 01 - 31), date!(2023 - 02 - 28)),
        (31, date!(2024 - 01 - 31), date!(2024 - 02 - 29)),
        (31, date!(2024 - 02 - 29), date!(2024 - 03 - 31)),
        (31, date!(2024 - 03 - 31), date!(2024 - 04 - 30)),
        (31, date!(2024 - 04 - 30), date!(2024 - 05 - 31)),
        (31, date!(2024 - 12 - 30), date!(2024 - 12 - 31)),
        (31, date!(2024 - 12 - 31), date!(2025 - 01 - 31)),
        // No leap year, and a leap year again.
        (31, date!(2100 - 02 - 01), date!(2100 - 02 - 28)),
        (31, date!(2000 - 02 - 01), date!(2000 - 02 - 29)),
    ];
    for (day, from, next) in cases {
        assert_eq!(
            monthly(day).next_after(from),
            Some(next),
            "{day} after {from}"
        );
    }
}

#[test]
fn the_calendar_ends_without_a_reset() {
    assert_eq!(monthly(31).next_after(Date::MAX), None);
    assert_eq!(monthly(1).next_after(date!(9999 - 12 - 01)), None);
    assert_eq!(
        monthly(31).next_after(date!(9999 - 12 - 30)),
        Some(Date::MAX)
    );
    assert_eq!(
        monthly(1).next_after(Date::MIN),
        Some(date!(-9999 - 02 - 01))
    );
    assert_eq!(ResetPolicy::Never.next_after(date!(2024 - 01 - 01)), None);
}

#[test]
fn an_interval_of_days_counts_from_its_start() {
    // Set on a day, the first reset is a whole interval later.
    assert_eq!(
        dates("every 30 days from 2026-11-22", date!(2026 - 11 - 22)),
        [
            date!(2026 - 12 - 22),
            date!(2027 - 01 - 21),
            date!(2027 - 02 - 20),
            date!(2027 - 03 - 22),
            date!(2027 - 04 - 21),
        ]
    );
    for (text, day, next) in [
        // A start to come is the first reset, however far away.
        (
            "every 30 days from 2026-12-01",
            date!(2026 - 11 - 22),
            date!(2026 - 12 - 01),
        ),
        (
            "every 30 days from 2026-12-01",
            date!(2026 - 11 - 30),
            date!(2026 - 12 - 01),
        ),
        (
            "every 2 days from 2030-01-01",
            date!(2026 - 11 - 22),
            date!(2030 - 01 - 01),
        ),
        (
            "every 30 days from 2026-12-01",
            date!(2026 - 12 - 01),
            date!(2026 - 12 - 31),
        ),
        (
            "every 30 days from 2026-12-01",
            date!(2026 - 12 - 30),
            date!(2026 - 12 - 31),
        ),
        (
            "every 30 days from 2026-12-01",
            date!(2026 - 12 - 31),
            date!(2027 - 01 - 30),
        ),
        // A start long ago: 1461 days are four years.
        (
            "every 1461 days from 2000-02-29",
            date!(2024 - 02 - 28),
            date!(2024 - 02 - 29),
        ),
        (
            "every 1461 days from 2000-02-29",
            date!(2024 - 02 - 29),
            date!(2028 - 02 - 29),
        ),
        (
            "every 365 days from 2023-03-01",
            date!(2023 - 03 - 01),
            date!(2024 - 02 - 29),
        ),
        (
            "every 365 days from 2022-12-31",
            date!(2022 - 12 - 31),
            date!(2023 - 12 - 31),
        ),
        (
            "every 1 day from 2024-02-28",
            date!(2024 - 02 - 28),
            date!(2024 - 02 - 29),
        ),
        (
            "every 1 day from 2024-02-28",
            date!(2024 - 12 - 31),
            date!(2025 - 01 - 01),
        ),
        (
            "every 3650 days from 2020-01-01",
            date!(2020 - 01 - 01),
            date!(2029 - 12 - 29),
        ),
    ] {
        assert_eq!(
            policy(text).next_after(day),
            Some(next),
            "{text} after {day}"
        );
    }
}

#[test]
fn an_interval_of_months_keeps_its_day_where_the_month_has_it() {
    assert_eq!(
        dates("every 3 months on 31 from 2026-11", date!(2026 - 11 - 01)),
        [
            date!(2026 - 11 - 30),
            date!(2027 - 02 - 28),
            date!(2027 - 05 - 31),
            date!(2027 - 08 - 31),
            date!(2027 - 11 - 30),
        ]
    );
    let quarterly = "every 3 months on 15 from 2026-12";
    for (text, day, next) in [
        // A start to come, today and past.
        (quarterly, date!(2020 - 02 - 29), date!(2026 - 12 - 15)),
        (quarterly, date!(2026 - 11 - 30), date!(2026 - 12 - 15)),
        (quarterly, date!(2026 - 12 - 14), date!(2026 - 12 - 15)),
        (quarterly, date!(2026 - 12 - 15), date!(2027 - 03 - 15)),
        (quarterly, date!(2026 - 12 - 31), date!(2027 - 03 - 15)),
        (quarterly, date!(2027 - 03 - 14), date!(2027 - 03 - 15)),
        (quarterly, date!(2027 - 03 - 15), date!(2027 - 06 - 15)),
        // Months between, and the day has passed or not.
        (quarterly, date!(2027 - 04 - 20), date!(2027 - 06 - 15)),
        (quarterly, date!(2027 - 05 - 10), date!(2027 - 06 - 15)),
        (quarterly, date!(2050 - 12 - 31), date!(2051 - 03 - 15)),
        (
            "every 12 months on 29 from 2024-02",
            date!(2024 - 02 - 29),
            date!(2025 - 02 - 28),
        ),
        (
            "every 12 months on 29 from 2024-02",
            date!(2027 - 02 - 28),
            date!(2028 - 02 - 29),
        ),
        (
            "every 12 months on 29 from 2024-02",
            date!(2028 - 02 - 28),
            date!(2028 - 02 - 29),
        ),
        (
            "every 120 months on 1 from 2000-01",
            date!(2000 - 01 - 01),
            date!(2010 - 01 - 01),
        ),
        (
            "every 5 months on 31 from 2026-07",
            date!(2026 - 07 - 31),
            date!(2026 - 12 - 31),
        ),
        (
            "every 5 months on 31 from 2026-07",
            date!(2026 - 12 - 31),
            date!(2027 - 05 - 31),
        ),
    ] {
        assert_eq!(
            policy(text).next_after(day),
            Some(next),
            "{text} after {day}"
        );
    }
    // One month between is what a day of each month is.
    let mut day = date!(2023 - 01 - 01);
    while day < date!(2025 - 01 - 01) {
        let every = policy("every 1 month on 30 from 2020-01");
        assert_eq!(every.next_after(day), monthly(30).next_after(day), "{day}");
        day = day.next_day().unwrap();
    }
}

#[test]
fn a_day_of_the_year_comes_each_year() {
    for (text, day, next) in [
        ("yearly 06-18", date!(2026 - 06 - 17), date!(2026 - 06 - 18)),
        ("yearly 06-18", date!(2026 - 06 - 18), date!(2027 - 06 - 18)),
        ("yearly 01-01", date!(2026 - 12 - 31), date!(2027 - 01 - 01)),
        ("yearly 01-01", date!(2027 - 01 - 01), date!(2028 - 01 - 01)),
        ("yearly 12-31", date!(2026 - 12 - 30), date!(2026 - 12 - 31)),
        ("yearly 12-31", date!(2026 - 12 - 31), date!(2027 - 12 - 31)),
        ("yearly 02-28", date!(2028 - 02 - 28), date!(2029 - 02 - 28)),
    ] {
        assert_eq!(
            policy(text).next_after(day),
            Some(next),
            "{text} after {day}"
        );
    }
    // 2100 has no February 29.
    assert_eq!(
        dates("yearly 02-29", date!(2095 - 03 - 01)),
        [
            date!(2096 - 02 - 29),
            date!(2097 - 02 - 28),
            date!(2098 - 02 - 28),
            date!(2099 - 02 - 28),
            date!(2100 - 02 - 28),
        ]
    );
    let leap = policy("yearly 02-29");
    assert_eq!(
        leap.next_after(date!(2028 - 02 - 28)),
        Some(date!(2028 - 02 - 29))
    );
    assert_eq!(
        leap.next_after(date!(2027 - 02 - 28)),
        Some(date!(2028 - 02 - 29))
    );
}

#[test]
fn a_date_comes_once() {
    let date = date!(2027 - 01 - 31);
    let once = policy("once 2027-01-31");
    assert_eq!(once.next_after(Date::MIN), Some(date));
    assert_eq!(once.next_after(date!(2027 - 01 - 30)), Some(date));
    assert_eq!(once.next_after(date), None);
    assert_eq!(once.next_after(Date::MAX), None);
}

#[test]
fn no_policy_reaches_past_the_calendar() {
    for (text, day, next) in [
        (
            "every 3650 days from 9999-12-30",
            Date::MIN,
            Some(date!(9999 - 12 - 30)),
        ),
        (
            "every 3650 days from 9999-12-30",
            date!(9999 - 12 - 30),
            None,
        ),
        (
            "every 1 day from -9999-01-01",
            Date::MIN,
            Some(date!(-9999 - 01 - 02)),
        ),
        (
            "every 1 day from -9999-01-01",
            date!(9999 - 12 - 30),
            Some(Date::MAX),
        ),
        ("every 1 day from -9999-01-01", Date::MAX, None),
        (
            "every 120 months on 31 from 9999-12",
            Date::MIN,
            Some(Date::MAX),
        ),
        ("every 120 months on 31 from 9999-12", Date::MAX, None),
        (
            "every 1 month on 31 from -9999-01",
            Date::MIN,
            Some(date!(-9999 - 01 - 31)),
        ),
        ("every 1 month on 30 from -9999-01", Date::MAX, None),
        (
            "every 1 month on 31 from -9999-01",
            date!(9999 - 12 - 30),
            Some(Date::MAX),
        ),
        ("yearly 12-31", date!(9999 - 12 - 30), Some(Date::MAX)),
        ("yearly 12-31", Date::MAX, None),
        ("yearly 01-01", Date::MIN, Some(date!(-9998 - 01 - 01))),
        ("once 9999-12-31", Date::MIN, Some(Date::MAX)),
        ("once -9999-01-01", Date::MIN, None),
    ] {
        assert_eq!(policy(text).next_after(day), next, "{text} after {day}");
    }
}

#[test]
fn a_policy_is_written_in_one_way_and_read_in_several() {
    for (text, written) in [
        (
            " Every  30 DAYS\tfrom 2026-12-01 ",
            "every 30 days from 2026-12-01",
        ),
        (
            "every 01 days from 2026-12-01",
            "every 1 day from 2026-12-01",
        ),
        (
            "every 3650 day from 0000-01-01",
            "every 3650 days from 0000-01-01",
        ),
        (
            "every 1 day from -0001-01-01",
            "every 1 day from -0001-01-01",
        ),
        (
            "every 120 MONTH on 05 from 2026-12",
            "every 120 months on 5 from 2026-12",
        ),
        (
            "every 1 months on 31 from -0001-02",
            "every 1 month on 31 from -0001-02",
        ),
        ("YEARLY 02-29", "yearly 02-29"),
        ("yearly 12-31", "yearly 12-31"),
        ("Once 2027-01-31", "once 2027-01-31"),
        ("NEVER", "never"),
    ] {
        assert_eq!(policy(text).to_string(), written);
        assert_eq!(policy(written), policy(text));
    }
}

#[test]
fn a_refused_policy_is_told_what_it_may_be() {
    let error = |text: &str| text.parse::<ResetPolicy>().unwrap_err().to_string();
    let days = |given| {
        format!("there cannot be {given} days between two resets: write a number from 1 to 3650")
    };
    let months = |given| {
        format!("there cannot be {given} months between two resets: write a number from 1 to 120")
    };
    for given in ["0", "3651", "65536", "-1", "+1", "1.5", "thirty"] {
        assert_eq!(error(&format!("every {given} days")), days(given));
    }
    for given in ["0", "121", "257", "x"] {
        assert_eq!(error(&format!("every {given} months on 1")), months(given));
    }
    for given in ["0", "32", "x"] {
        assert_eq!(
            error(&format!("every 3 months on {given} from 2026-12")),
            format!("there is no day {given} in a month: write a day from 1 to 31")
        );
    }
    for given in [
        "2026-02-29",
        "2027-13-01",
        "27-01-31",
        "2027-1-31",
        "31.01.2027",
        "10000-01-01",
    ] {
        let expected =
            format!("`{given}` is not a date: write one as YYYY-MM-DD, such as 2027-01-31");
        assert_eq!(error(&format!("once {given}")), expected);
        assert_eq!(error(&format!("every 30 days from {given}")), expected);
    }
    for given in ["2026-13", "2026-00", "2026-12-01", "26-12", "2026"] {
        assert_eq!(
            error(&format!("every 3 months on 15 from {given}")),
            format!("`{given}` is not a month: write one as YYYY-MM, such as 2026-12")
        );
    }
    for given in [
        "02-30", "04-31", "13-01", "00-10", "6-18", "06-18-01", "june",
    ] {
        assert_eq!(
            error(&format!("yearly {given}")),
            format!("`{given}` is not a day of the year: write one as MM-DD, such as 06-18")
        );
    }
    assert_eq!(
        error("every 3 months on 15"),
        "`every 3 months on 15` does not say from when: write `every 3 months on 15 from \
         2026-12`, for example"
    );
    for given in ["every", "Yearly", "once"] {
        assert_eq!(
            error(given),
            format!(
                "`{}` is only the first word of a reset policy: put all of it in quotes",
                given.to_ascii_lowercase()
            )
        );
    }
    for given in ["every 30", "every 3 months", "every 30 days from", "daily"] {
        assert_eq!(
            error(given),
            format!(
                "`{given}` is not a reset policy: write a day of the month from 1 to 31, `every \
                 30 days`, `every 3 months on 15`, `yearly 06-18`, `once 2027-01-31` or `never`"
            )
        );
    }
}
