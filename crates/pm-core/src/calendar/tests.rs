use super::*;
use crate::strategies::{date, reset_policy};
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
fn a_policy_is_a_day_or_never() {
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
        "there is no day 32 in a month: write a day from 1 to 31, or `never`"
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
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<ResetPolicy>();
        let _ = Zone::named(&text);
    }

    /// Every day from one reset to the day before the next looks forward to that
    /// next one: no gap, no overlap.
    #[test]
    fn periods_tile_the_calendar(policy in reset_policy(), from in date()) {
        let Some(start) = policy.next_after(from) else { return Ok(()) };
        prop_assert!(start > from);
        let Some(end) = policy.next_after(start) else { return Ok(()) };
        prop_assert!((28..=31).contains(&(end - start).whole_days()));
        let mut day = start;
        while day < end {
            prop_assert_eq!(policy.next_after(day), Some(end));
            day = day.next_day().unwrap();
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
        day in 1u8..=31,
        from in 0i64..40_000,
        skips in prop::collection::vec(0i64..400, 1..50),
    ) {
        let policy = monthly(day);
        let mut today = OffsetDateTime::UNIX_EPOCH.date() + Duration::days(from);
        let mut period = Period::begin(policy, today);
        for skip in skips {
            let before = today;
            today += Duration::days(skip);
            let (next, due) = period.advance(policy, today);
            prop_assert_eq!(due, policy.next_after(before).is_some_and(|date| date <= today));
            prop_assert_eq!(next, Period::begin(policy, today));
            period = next;
        }
    }

    /// As long as what the clock says stays within four weeks, no date resets twice:
    /// the shortest period is that long.
    #[test]
    fn a_clock_that_goes_back_and_forth_resets_no_period_twice(
        day in 1u8..=31,
        from in 0i64..40_000,
        looks in prop::collection::vec((0i64..40, 0i64..=27), 1..200),
    ) {
        let policy = monthly(day);
        let mut truth = OffsetDateTime::UNIX_EPOCH.date() + Duration::days(from);
        let mut period = Period::begin(policy, truth);
        let mut last = None;
        for (passed, behind) in looks {
            truth += Duration::days(passed);
            let set = period.next();
            let (next, due) = period.advance(policy, truth - Duration::days(behind));
            if due {
                prop_assert!(set > last, "{set:?} after {last:?}");
                last = set;
            }
            prop_assert!(next.next() >= set);
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
        policy in reset_policy(),
        saved in prop::option::of(date()),
        today in date(),
    ) {
        let (period, _) = Period::restore(policy, saved).advance(policy, today);
        prop_assert_eq!(period.policy(), policy);
        if let Some(next) = period.next() {
            prop_assert!(next > today && (next - today).whole_days() <= 62);
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
