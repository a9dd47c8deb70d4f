mod policies;

use super::*;
use crate::strategies::{date, reset_choice, reset_policy};
use proptest::prelude::*;
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime, Time};

fn monthly(day: u8) -> ResetPolicy {
    ResetPolicy::Monthly(DayOfMonth::new(day).unwrap())
}

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

fn at(instant: OffsetDateTime) -> Timestamp {
    Timestamp::from_unix(instant.unix_timestamp())
}

/// Any policy, and a day that may be near to what it counts from.
fn policy_and_day() -> impl Strategy<Value = (ResetPolicy, Date)> {
    (reset_policy(), date(), -4_000i64..4_000).prop_map(|(policy, any, off)| {
        let near = match policy {
            ResetPolicy::EveryDays { from, .. } | ResetPolicy::Once(from) => from,
            ResetPolicy::EveryMonths { from, .. } => {
                Date::from_calendar_date(from.year(), from.month(), 1).unwrap()
            }
            _ => return (policy, any),
        };
        (policy, near.saturating_add(Duration::days(off)))
    })
}

/// The fewest and the most days that a period of a policy has.
fn lengths(policy: ResetPolicy) -> Option<(i64, i64)> {
    match policy {
        ResetPolicy::Monthly(_) => Some((28, 31)),
        ResetPolicy::EveryDays { every, .. } => Some((every.get().into(), every.get().into())),
        ResetPolicy::EveryMonths { every, .. } => {
            let months = i64::from(every.get());
            Some((28 * months, 31 * months))
        }
        ResetPolicy::Yearly(_) => Some((365, 366)),
        ResetPolicy::Once(_) | ResetPolicy::Never => None,
    }
}

/// A version 1 TZif file of one offset and no transition.
fn tzif(offset: i32) -> Vec<u8> {
    let mut bytes = b"TZif".to_vec();
    bytes.extend([0; 16]); // version 1, reserved
    bytes.extend([0; 16]); // no UT or standard indicators, leap seconds or transitions
    bytes.extend(1u32.to_be_bytes()); // local time types
    bytes.extend(4u32.to_be_bytes()); // bytes of designations
    bytes.extend(offset.to_be_bytes());
    bytes.extend([0, 0]); // not daylight saving, designation 0
    bytes.extend(b"XXX\0");
    bytes
}

/// The date that is `days` after 1970-01-01, by the arithmetic of
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[test]
fn an_instant_is_shown_in_rfc_3339() {
    let shown = |seconds| Timestamp::from_unix(seconds).to_string();
    assert_eq!(shown(0), "1970-01-01T00:00:00Z");
    assert_eq!(shown(-1), "1969-12-31T23:59:59Z");
    assert_eq!(shown(253_402_300_799), "9999-12-31T23:59:59Z");
    assert_eq!(shown(253_402_300_800), "@253402300800");
    assert_eq!(shown(-62_167_219_200), "0000-01-01T00:00:00Z");
    assert_eq!(shown(-62_167_219_201), "@-62167219201");
    assert_eq!(shown(i64::MIN), "@-9223372036854775808");
    assert_eq!(
        serde_json::to_string(&Timestamp::from_unix(-5)).unwrap(),
        "-5"
    );
}

#[test]
fn a_zone_is_known_by_any_case_of_its_name() {
    assert_eq!(zone("EUROPE/berlin").name(), "Europe/Berlin");
    assert_eq!(zone("utc"), Zone::utc());
    for name in tzdb::TZ_NAMES {
        assert_eq!(zone(name).name(), *name);
        assert_eq!(zone(&name.to_ascii_uppercase()), zone(name));
    }
    for name in [
        "",
        " ",
        "Europe",
        "Europe/Berlin ",
        "../../etc/passwd",
        "ß",
        "Mars/Phobos",
    ] {
        assert!(matches!(Zone::named(name), Err(ZoneError::Unknown(of)) if of == name));
    }
}

/// A second before each midnight is still the day before.
#[test]
fn a_day_begins_at_the_zones_midnight() {
    let midnights = [
        ("UTC", datetime!(2024-02-29 0:00 UTC), date!(2024 - 02 - 29)),
        ("UTC", datetime!(2025-01-01 0:00 UTC), date!(2025 - 01 - 01)),
        // Summer time starts on 31 March, and ends on 27 October.
        (
            "Europe/Berlin",
            datetime!(2024-03-30 23:00 UTC),
            date!(2024 - 03 - 31),
        ),
        (
            "Europe/Berlin",
            datetime!(2024-03-31 22:00 UTC),
            date!(2024 - 04 - 01),
        ),
        (
            "Europe/Berlin",
            datetime!(2024-10-26 22:00 UTC),
            date!(2024 - 10 - 27),
        ),
        (
            "Europe/Berlin",
            datetime!(2024-10-27 23:00 UTC),
            date!(2024 - 10 - 28),
        ),
        // By the rule at the end of the zone's data, not by its list of transitions.
        (
            "Europe/Berlin",
            datetime!(2500-06-30 22:00 UTC),
            date!(2500 - 07 - 01),
        ),
        (
            "Europe/Berlin",
            datetime!(2500-12-31 23:00 UTC),
            date!(2501 - 01 - 01),
        ),
        (
            "America/New_York",
            datetime!(2024-03-10 5:00 UTC),
            date!(2024 - 03 - 10),
        ),
        (
            "America/New_York",
            datetime!(2024-03-11 4:00 UTC),
            date!(2024 - 03 - 11),
        ),
        (
            "America/New_York",
            datetime!(2024-11-03 4:00 UTC),
            date!(2024 - 11 - 03),
        ),
        (
            "America/New_York",
            datetime!(2024-11-04 5:00 UTC),
            date!(2024 - 11 - 04),
        ),
        (
            "Asia/Shanghai",
            datetime!(2024-01-31 16:00 UTC),
            date!(2024 - 02 - 01),
        ),
        (
            "Asia/Shanghai",
            datetime!(2024-06-30 16:00 UTC),
            date!(2024 - 07 - 01),
        ),
        // Half an hour of summer time.
        (
            "Australia/Lord_Howe",
            datetime!(2024-04-06 13:00 UTC),
            date!(2024 - 04 - 07),
        ),
        (
            "Australia/Lord_Howe",
            datetime!(2024-04-07 13:30 UTC),
            date!(2024 - 04 - 08),
        ),
        (
            "Australia/Lord_Howe",
            datetime!(2024-10-05 13:30 UTC),
            date!(2024 - 10 - 06),
        ),
        (
            "Australia/Lord_Howe",
            datetime!(2024-10-06 13:00 UTC),
            date!(2024 - 10 - 07),
        ),
        // Summer time starts at midnight: the day begins at 1:00.
        (
            "America/Sao_Paulo",
            datetime!(2018-11-04 3:00 UTC),
            date!(2018 - 11 - 04),
        ),
        // Summer time ends at midnight: 23:00 to 24:00 comes twice.
        (
            "America/Sao_Paulo",
            datetime!(2018-02-18 3:00 UTC),
            date!(2018 - 02 - 18),
        ),
    ];
    for (name, midnight, day) in midnights {
        let (zone, midnight) = (zone(name), at(midnight));
        let before = Timestamp::from_unix(midnight.unix() - 1);
        let after = Timestamp::from_unix(midnight.unix() + 1);
        assert_eq!(zone.date_at(midnight), day, "{name}");
        assert_eq!(zone.date_at(after), day, "{name}");
        assert_eq!(Some(zone.date_at(before)), day.previous_day(), "{name}");
    }
}

#[test]
fn the_time_of_day_follows_summer_time() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(
        berlin.local(at(datetime!(2024-03-31 0:59:59 UTC))),
        datetime!(2024-03-31 1:59:59)
    );
    assert_eq!(
        berlin.local(at(datetime!(2024-03-31 1:00 UTC))),
        datetime!(2024-03-31 3:00)
    );
}

#[test]
fn a_reset_on_a_day_that_a_zone_skipped_is_due_on_the_next() {
    let apia = zone("Pacific/Apia");
    let midnight = at(datetime!(2011-12-30 10:00 UTC));
    let before = apia.date_at(Timestamp::from_unix(midnight.unix() - 1));
    assert_eq!(before, date!(2011 - 12 - 29));
    assert_eq!(apia.date_at(midnight), date!(2011 - 12 - 31));

    let (period, due) = Period::begin(monthly(30), before).advance(monthly(30), before);
    assert!(!due);
    let (period, due) = period.advance(monthly(30), apia.date_at(midnight));
    assert!(due);
    assert_eq!(period.next(), Some(date!(2012 - 01 - 30)));
}

#[test]
fn an_instant_without_a_date_is_at_the_end_of_the_calendar() {
    for name in ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12"] {
        let zone = zone(name);
        assert_eq!(zone.date_at(Timestamp::from_unix(i64::MAX)), Date::MAX);
        assert_eq!(zone.date_at(Timestamp::from_unix(i64::MIN)), Date::MIN);
    }
    // Past the last date in UTC, but not yet twelve hours behind it.
    let behind = zone("Etc/GMT+12").local(Timestamp::from_unix(253_402_300_800));
    assert_eq!(behind, datetime!(9999-12-31 12:00));
}

#[test]
fn a_zone_file_is_a_zone() {
    let berlin = tzdb::raw_tz_by_name("Europe/Berlin").unwrap();
    let file = Zone::from_tzif("localtime", berlin).unwrap();
    assert_eq!(file.name(), "localtime");
    let midnight = at(datetime!(2024-06-30 22:00 UTC));
    assert_eq!(file.date_at(midnight), date!(2024 - 07 - 01));

    for bytes in [&b""[..], b"TZif", b"#!/bin/sh", &berlin[..berlin.len() - 1]] {
        let error = Zone::from_tzif("localtime", bytes).unwrap_err();
        assert!(matches!(error, ZoneError::Malformed { ref name, .. } if name == "localtime"));
    }
}

/// Version 1 files end at their last transition.
#[test]
fn what_follows_the_last_transition_stays_as_it_was() {
    let mut bytes = tzif(0);
    bytes[35] = 1; // one transition
    bytes[39] = 2; // two local time types
    bytes.truncate(44);
    bytes.extend(1_000i32.to_be_bytes());
    bytes.push(1); // to type 1
    bytes.extend([0; 6]); // type 0: UTC
    bytes.extend(3_600i32.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(b"XXX\0");
    let zone = Zone::from_tzif("old", &bytes).unwrap();
    let hour = |seconds| zone.local(Timestamp::from_unix(seconds)).hour();
    assert_eq!((hour(999), hour(1_000), hour(2_000)), (0, 1, 1));
}

#[test]
fn a_reset_is_due_on_its_date_and_not_before() {
    let period = Period::begin(monthly(15), date!(2024 - 01 - 15));
    assert_eq!(period.next(), Some(date!(2024 - 02 - 15)));
    assert_eq!(
        period.advance(monthly(15), date!(2024 - 02 - 14)),
        (period, false)
    );
    let (next, due) = period.advance(monthly(15), date!(2024 - 02 - 15));
    assert!(due);
    assert_eq!(next.next(), Some(date!(2024 - 03 - 15)));
    assert_eq!(
        next.advance(monthly(15), date!(2024 - 02 - 15)),
        (next, false)
    );
}

#[test]
fn a_changed_policy_resets_nothing() {
    let period = Period::begin(monthly(15), date!(2024 - 01 - 20));
    for (policy, today, next) in [
        // Before, on and after the date that was set.
        (
            monthly(10),
            date!(2024 - 02 - 09),
            Some(date!(2024 - 02 - 10)),
        ),
        (
            monthly(10),
            date!(2024 - 02 - 15),
            Some(date!(2024 - 03 - 10)),
        ),
        (
            monthly(20),
            date!(2024 - 02 - 20),
            Some(date!(2024 - 03 - 20)),
        ),
        (ResetPolicy::Never, date!(2024 - 08 - 01), None),
    ] {
        let (changed, due) = period.advance(policy, today);
        assert!(!due);
        assert_eq!((changed.policy(), changed.next()), (policy, next));
    }
    let never = Period::begin(ResetPolicy::Never, date!(2024 - 01 - 20));
    let (changed, due) = never.advance(monthly(1), date!(2024 - 05 - 01));
    assert!(!due);
    assert_eq!(changed.next(), Some(date!(2024 - 06 - 01)));
}

#[test]
fn a_changed_interval_resets_nothing() {
    let today = date!(2026 - 11 - 22);
    let old: ResetPolicy = "every 30 days from 2026-10-23".parse().unwrap();
    let period = Period::begin(old, date!(2026 - 11 - 20));
    assert_eq!(period.next(), Some(today));
    for (text, next) in [
        ("every 30 days from 2026-10-24", Some(date!(2026 - 11 - 23))),
        ("every 31 days from 2026-10-22", Some(date!(2026 - 12 - 23))),
        ("every 30 days from 2030-01-01", Some(date!(2030 - 01 - 01))),
        (
            "every 3 months on 22 from 2026-11",
            Some(date!(2027 - 02 - 22)),
        ),
        ("yearly 11-22", Some(date!(2027 - 11 - 22))),
        ("once 2026-11-23", Some(date!(2026 - 11 - 23))),
        ("once 2026-11-22", None),
    ] {
        let policy: ResetPolicy = text.parse().unwrap();
        let (changed, due) = period.advance(policy, today);
        assert_eq!((changed.next(), due), (next, false), "{text}");
        assert_eq!(changed.advance(policy, today), (changed, false), "{text}");
    }
}

#[test]
fn missed_resets_of_an_interval_are_one() {
    for (text, next) in [
        ("every 7 days from 2026-01-01", date!(2026 - 11 - 26)),
        ("every 2 months on 31 from 2026-01", date!(2026 - 11 - 30)),
        ("yearly 06-18", date!(2027 - 06 - 18)),
    ] {
        let policy: ResetPolicy = text.parse().unwrap();
        let period = Period::begin(policy, date!(2020 - 01 - 01));
        let today = date!(2026 - 11 - 22);
        let (period, due) = period.advance(policy, today);
        assert_eq!((period.next(), due), (Some(next), true), "{text}");
        assert_eq!(period.advance(policy, today), (period, false), "{text}");
    }
}

#[test]
fn a_date_that_comes_once_resets_once() {
    let once = ResetPolicy::Once(date!(2027 - 01 - 31));
    let period = Period::begin(once, date!(2026 - 11 - 22));
    assert_eq!(period.next(), Some(date!(2027 - 01 - 31)));
    assert_eq!(period.advance(once, date!(2027 - 01 - 30)), (period, false));
    let (done, due) = period.advance(once, date!(2027 - 01 - 31));
    assert_eq!((done.next(), due), (None, true));
    // Missed, it comes late, and once.
    assert_eq!(period.advance(once, date!(2028 - 05 - 05)), (done, true));
    // Today, tomorrow, and by a clock that goes back by as much as a month.
    for today in [
        date!(2027 - 01 - 31),
        date!(2027 - 02 - 01),
        date!(2026 - 12 - 31),
    ] {
        assert_eq!(done.advance(once, today), (done, false), "{today}");
    }
    // The clock had been far ahead: the date is still to come.
    assert_eq!(done.advance(once, date!(2026 - 12 - 30)), (period, false));
    // No date but its own can have been saved.
    assert_eq!(Period::restore(once, Some(date!(2027 - 01 - 30))), done);
    assert_eq!(Period::restore(once, Some(date!(2027 - 01 - 31))), period);
}

#[test]
fn an_interval_set_by_a_clock_far_ahead_is_set_anew() {
    let policy: ResetPolicy = "every 30 days from 2026-12-01".parse().unwrap();
    let fresh = Period::begin(policy, date!(2026 - 11 - 22));
    for (next, kept) in [
        (date!(2026 - 12 - 31), true),
        (date!(2027 - 01 - 01), false),
        (date!(2090 - 01 - 01), false),
    ] {
        let saved = Period::restore(policy, Some(next));
        let expected = if kept { saved } else { fresh };
        assert_eq!(
            saved.advance(policy, date!(2026 - 11 - 22)),
            (expected, false)
        );
    }
}

#[test]
fn a_date_set_by_a_clock_far_ahead_is_set_anew() {
    let set = |next| Period::restore(monthly(1), next);
    let today = date!(2024 - 01 - 20);
    // The clock may have gone back by a day or by 58.
    let kept = set(Some(date!(2024 - 03 - 01)));
    assert_eq!(kept.advance(monthly(1), today), (kept, false));
    let fresh = Period::begin(monthly(1), today);
    for next in [
        Some(date!(2024 - 03 - 02)),
        Some(date!(2030 - 01 - 01)),
        None,
    ] {
        assert_eq!(set(next).advance(monthly(1), today), (fresh, false));
    }
}

#[test]
fn at_the_end_of_the_calendar_nothing_resets_twice() {
    let period = Period::begin(monthly(1), date!(9999 - 11 - 20));
    let (period, due) = period.advance(monthly(1), Date::MAX);
    assert_eq!((period.next(), due), (None, true));
    assert_eq!(period.advance(monthly(1), Date::MAX), (period, false));
    assert_eq!(
        period.advance(monthly(1), date!(9999 - 11 - 20)),
        (period, false)
    );
}

#[test]
fn a_policy_without_a_date_keeps_none() {
    let never = Period::restore(ResetPolicy::Never, Some(date!(2024 - 01 - 01)));
    assert_eq!(never.next(), None);
    let today = date!(2025 - 01 - 01);
    assert_eq!(never.advance(ResetPolicy::Never, today), (never, false));
}

#[test]
fn a_century_of_days_holds_a_reset_a_month() {
    for day in 1..=31 {
        let policy = monthly(day);
        let mut today = date!(1999 - 12 - 31);
        let mut period = Period::begin(policy, today);
        let mut resets = Vec::new();
        while today < date!(2100 - 12 - 31) {
            today = today.next_day().unwrap();
            let due;
            (period, due) = period.advance(policy, today);
            if due {
                resets.push((today.year(), u8::from(today.month())));
            }
        }
        let months = (2000..=2100).flat_map(|year| (1..=12).map(move |month| (year, month)));
        assert_eq!(resets, months.collect::<Vec<_>>(), "day {day}");
    }
}

proptest! {
    #[test]
    fn text_and_policy_round_trip(policy in reset_policy()) {
        prop_assert_eq!(policy.to_string().parse(), Ok(policy));
    }

    #[test]
    fn text_and_choice_round_trip(choice in reset_choice()) {
        prop_assert_eq!(choice.to_string().parse(), Ok(choice));
    }

    /// What is set today brings no reset today, and says the same when it is set again.
    #[test]
    fn a_choice_is_applied_once(choice in reset_choice(), today in date(), later in date()) {
        let policy = choice.applied(None, Some(today)).unwrap();
        prop_assert_eq!(choice.applied(Some(policy), Some(later)), Some(policy));
        prop_assert_eq!(policy.to_string().parse(), Ok(policy));
        if let (ResetChoice::EveryDays(every), Some(next)) = (choice, policy.next_after(today)) {
            prop_assert_eq!((next - today).whole_days(), i64::from(every.get()));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<ResetPolicy>();
        let _ = Zone::named(&text);
    }

    #[test]
    fn no_words_panic(words in prop::collection::vec(prop::sample::select(vec![
        "every", "1", "30", "99999", "days", "months", "on", "31", "from", "2026-12",
        "2026-12-01", "-9999-01-01", "yearly", "02-29", "once", "never",
    ]), 0..8)) {
        if let Ok(choice) = words.join(" ").parse::<ResetChoice>() {
            prop_assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }

    /// Every day from one reset to the day before the next looks forward to that
    /// next one: no gap, no overlap.
    #[test]
    fn periods_tile_the_calendar(
        (policy, from) in policy_and_day(),
        part in 0.0..1.0,
    ) {
        let Some(start) = policy.next_after(from) else { return Ok(()) };
        prop_assert!(start > from);
        let between = from + (start - from) * part;
        if between < start {
            prop_assert_eq!(policy.next_after(between), Some(start));
        }
        let Some(end) = policy.next_after(start) else { return Ok(()) };
        let (shortest, longest) = lengths(policy).unwrap();
        prop_assert!((shortest..=longest).contains(&(end - start).whole_days()));
        let mut day = start;
        while day < end {
            prop_assert_eq!(policy.next_after(day), Some(end));
            day = day.next_day().unwrap();
        }
    }

    #[test]
    fn resets_come_in_order_and_end_only_with_the_calendar((policy, from) in policy_and_day()) {
        let mut last = from;
        for _ in 0..100 {
            let Some(next) = policy.next_after(last) else {
                if let Some((_, longest)) = lengths(policy) {
                    prop_assert!((Date::MAX - last).whole_days() < longest);
                }
                break;
            };
            prop_assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn looked_at_day_by_day_each_date_resets_once((policy, from) in policy_and_day()) {
        let mut today = from;
        let mut period = Period::begin(policy, today);
        let mut coming = policy.next_after(today);
        for _ in 0..4_000 {
            let Some(day) = today.next_day() else { break };
            today = day;
            let due;
            (period, due) = period.advance(policy, today);
            prop_assert_eq!(due, coming == Some(today));
            if due {
                coming = policy.next_after(today);
            }
            prop_assert_eq!(period.next(), coming);
        }
    }

    #[test]
    fn each_month_has_its_reset(day in 1u8..=31, from in date()) {
        let Some(reset) = monthly(day).next_after(from) else { return Ok(()) };
        prop_assert_eq!(reset.day(), day.min(reset.month().length(reset.year())));
        let Some(next) = monthly(day).next_after(reset) else { return Ok(()) };
        prop_assert_eq!(next.month(), reset.month().next());
    }

    /// However rarely it is looked at, there is never more than the one reset that
    /// is due, and none is missed.
    #[test]
    fn a_reset_is_due_if_its_date_has_come(
        (policy, from) in policy_and_day(),
        skips in prop::collection::vec(0i64..400, 1..50),
    ) {
        let mut today = from;
        let mut period = Period::begin(policy, today);
        for skip in skips {
            let before = today;
            today = today.saturating_add(Duration::days(skip));
            let (next, due) = period.advance(policy, today);
            prop_assert_eq!(due, policy.next_after(before).is_some_and(|date| date <= today));
            prop_assert_eq!(next, Period::begin(policy, today));
            period = next;
        }
    }

    /// As long as what the clock says stays within four weeks, no date resets twice:
    /// the shortest period of these policies is that long.
    #[test]
    fn a_clock_that_goes_back_and_forth_resets_no_period_twice(
        (policy, from) in policy_and_day(),
        looks in prop::collection::vec((0i64..40, 0i64..=27), 1..200),
    ) {
        prop_assume!(lengths(policy).is_none_or(|(shortest, _)| shortest >= 28));
        let mut truth = from;
        let mut period = Period::begin(policy, truth);
        let mut last = None;
        for (passed, behind) in looks {
            truth = truth.saturating_add(Duration::days(passed));
            let set = period.next();
            let today = truth.saturating_sub(Duration::days(behind));
            let (next, due) = period.advance(policy, today);
            if due {
                prop_assert!(set > last, "{set:?} after {last:?}");
                last = set;
                prop_assert!(next.next().is_none_or(|next| Some(next) > set));
            } else {
                prop_assert!(next.next() >= set);
            }
            period = next;
        }
    }

    #[test]
    fn a_changed_policy_never_resets(
        old in reset_policy(),
        new in reset_policy(),
        saved in prop::option::of(date()),
        today in date(),
    ) {
        prop_assume!(old != new);
        let (period, due) = Period::restore(old, saved).advance(new, today);
        prop_assert!(!due);
        prop_assert_eq!(period, Period::begin(new, today));
    }

    /// Whatever was saved, the date ahead is at most two resets away.
    #[test]
    fn a_saved_date_heals(
        (policy, today) in policy_and_day(),
        saved in prop::option::of(date()),
    ) {
        let (period, _) = Period::restore(policy, saved).advance(policy, today);
        prop_assert_eq!(period.policy(), policy);
        if let Some(next) = period.next() {
            prop_assert!(next > today);
            let coming = policy.next_after(today);
            let second = coming.and_then(|coming| policy.next_after(coming));
            prop_assert!(second.is_none_or(|limit| next <= limit));
        }
        prop_assert_eq!(period.advance(policy, today), (period, false));
    }

    #[test]
    fn a_fixed_offset_is_plain_arithmetic(
        seconds in -300_000_000_000i64..300_000_000_000,
        offset in -86_400i32..=86_400,
    ) {
        let zone = Zone::from_tzif("fixed", &tzif(offset)).unwrap();
        let local = zone.local(Timestamp::from_unix(seconds));
        let shifted = seconds + i64::from(offset);
        let (year, month, day) = civil_from_days(shifted.div_euclid(86_400));
        if (-9999..=9999).contains(&year) {
            prop_assert_eq!(i64::from(local.year()), year);
            prop_assert_eq!(i64::from(u8::from(local.month())), month);
            prop_assert_eq!(i64::from(local.day()), day);
            let second = (local.time() - Time::MIDNIGHT).whole_seconds();
            prop_assert_eq!(second, shifted.rem_euclid(86_400));
        } else {
            prop_assert_eq!(local.date(), if year < 0 { Date::MIN } else { Date::MAX });
        }
    }

    #[test]
    fn no_zone_panics_at_any_instant(
        name in prop::sample::select(tzdb::TZ_NAMES),
        instant in any::<i64>(),
    ) {
        let instant = Timestamp::from_unix(instant);
        prop_assert_eq!(zone(name).local(instant).date(), zone(name).date_at(instant));
        let _ = instant.to_string();
    }

    #[test]
    fn no_zone_file_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        instant in any::<i64>(),
    ) {
        let mut bytes = tzdb::raw_tz_by_name("Europe/Berlin").unwrap().to_vec();
        for (index, value) in damage {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        if let Ok(zone) = Zone::from_tzif("damaged", &bytes) {
            let _ = zone.date_at(Timestamp::from_unix(instant));
            let _ = zone.date_at(Timestamp::from_unix(instant >> 30));
        }
    }
}
