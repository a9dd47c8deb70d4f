//! Periods of groups and the last days of services: what ends when, by the calendar that the
//! operator set and a clock that may be wrong.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::report::{BlockedBy, reports};
use pm_core::request::{Request, Selection};
use pm_core::ruleset::{Direction, Link};
use pm_core::strategies::reset_policy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::{Kernel, Pm, Quiet, add, alone, do_now, group, in_group, link, ports, set};
use time::OffsetDateTime;
use time::macros::datetime;

/// Before this, a clock is plainly wrong, as `support` has it.
const BUILT: OffsetDateTime = datetime!(2023-11-14 22:13:20 UTC);

fn running(config: &str, now: OffsetDateTime, zone: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    pm.zone = Zone::named(zone).unwrap();
    configure(&mut pm, config);
    assert_eq!(tick_at(&mut pm, &mut kernel, now), []);
    (kernel, pm)
}

fn configure(pm: &mut Pm, config: &str) {
    pm.config = Config::parse(&format!(r#"{{"schema":1,{config}}}"#)).unwrap();
}

/// Returns what happened, warnings apart: those are in `news.rs`.
fn events_of(pm: &mut Pm) -> Vec<Event> {
    let is_warning =
        |event: &Event| matches!(event, Event::Reached { .. } | Event::Expiring { .. });
    let events = pm.events.drain(..);
    events.filter(|event| !is_warning(event)).collect()
}

fn tick_at(pm: &mut Pm, kernel: &mut Kernel, now: OffsetDateTime) -> Vec<Event> {
    pm.time = now.unix_timestamp();
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
    events_of(pm)
}

fn received(incoming: u64) -> Usage {
    Usage {
        incoming,
        outgoing: 0,
    }
}

fn vip() -> Holder {
    group("vip").into()
}

/// What was closed since the last look: whose, in which group, why, and how much.
fn closed(pm: &mut Pm) -> Vec<(String, Why, u64)> {
    let line = |period: ClosedPeriod| {
        let group = period.group.as_ref();
        let group = group.map_or(String::new(), |name| format!(" of {name}"));
        let whose = format!("{}{group}", period.holder);
        (whose, period.why, period.billed())
    };
    pm.history.drain(..).map(line).collect()
}

fn line(holder: &str, why: Why, billed: u64) -> (String, Why, u64) {
    (holder.to_owned(), why, billed)
}

/// Fault 9 of the scripts pm replaces: members of a group were reset one by one, each on its own
/// day.
#[test]
fn a_group_resets_as_one() {
    let config = r#""groups":{"vip":{"quota":"10KB","reset":"20"}},
        "services":{"80":{"group":"vip"},"81":{"group":"vip"},"82":{"reset":"20"}}"#;
    let (mut kernel, mut pm) = running(config, datetime!(2026-01-15 12:00 UTC), "Asia/Shanghai");
    kernel.packet(ports("80"), Direction::In, 6_000);
    kernel.packet(ports("81"), Direction::In, 4_000);
    kernel.packet(ports("82"), Direction::In, 7);
    let spent = Event::Spent {
        holder: vip(),
        billed: 10_000,
    };
    let before = datetime!(2026-01-19 23:59:59 +8);
    assert_eq!(tick_at(&mut pm, &mut kernel, before), [spent]);
    assert_eq!(closed(&mut pm), []);
    let midnight = datetime!(2026-01-20 00:00 +8);
    let told = tick_at(&mut pm, &mut kernel, midnight);
    let ended = |holder, bytes| Event::PeriodEnded {
        holder,
        usage: received(bytes),
    };
    let renewed = Event::Renewed { holder: vip() };
    assert_eq!(
        told,
        [ended(vip(), 10_000), renewed, ended(ports("82").into(), 7)]
    );
    assert!(pm.history.iter().all(|period| {
        let at = Timestamp::from_unix(midnight.unix_timestamp());
        period.ended == at && period.began.is_some()
    }));
    let periods = [
        line("80 of vip", Why::Calendar, 6_000),
        line("81 of vip", Why::Calendar, 4_000),
        line("group vip", Why::Calendar, 10_000),
        line("82", Why::Calendar, 7),
    ];
    assert_eq!(closed(&mut pm), periods);
    // All of it is there for either.
    assert!(kernel.packet(ports("81"), Direction::In, 10_000));
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
}

#[test]
fn a_reset_by_hand_is_of_the_group_or_of_all() {
    let config = r#""groups":{"vip":{"quota":"10KB","reset":"20"}},
        "services":{"80":{"group":"vip"},"81":{"group":"vip"},"82":{}}"#;
    let (mut kernel, mut pm) = running(config, datetime!(2026-01-15 12:00 UTC), "UTC");
    let use_all = |kernel: &mut Kernel| {
        for (port, bytes) in [("80", 6_000), ("81", 4_000), ("82", 7)] {
            assert!(kernel.packet(ports(port), Direction::In, bytes));
        }
    };
    use_all(&mut kernel);
    do_now(
        &mut pm,
        &mut kernel,
        &Request::ResetGroup { name: group("vip") },
    );
    let periods = [
        line("80 of vip", Why::Operator, 6_000),
        line("81 of vip", Why::Operator, 4_000),
        line("group vip", Why::Operator, 10_000),
    ];
    assert_eq!(closed(&mut pm), periods);
    use_all(&mut kernel);
    let ports = Selection::All;
    do_now(&mut pm, &mut kernel, &Request::Reset { ports });
    let mut all = closed(&mut pm);
    all.sort_by(|one, other| one.0.cmp(&other.0));
    let mut expected = periods.to_vec();
    expected.insert(2, line("82", Why::Operator, 14));
    assert_eq!(all, expected);
    // The calendar goes on as it was.
    pm.events.clear();
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-01-19 23:59 UTC)),
        []
    );
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-01-20 00:00 UTC)).len(),
        1
    );
}

/// Fault 9 of the scripts pm replaces: a reset day moved into the past zeroed the usage at once,
/// and a reset was missed while the machine was off.
#[test]
fn another_reset_day_of_a_group_resets_nothing_and_none_is_missed() {
    let config = |reset: &str| {
        format!(
            r#""groups":{{"vip":{{"quota":"1KB","reset":"{reset}"}}}},"services":{{"80":{{"group":"vip"}}}}"#
        )
    };
    let now = datetime!(2026-01-15 12:00 UTC);
    for reset in ["1", "14", "15", "16", "31", "never"] {
        let (mut kernel, mut pm) = running(&config("20"), now, "UTC");
        kernel.packet(ports("80"), Direction::In, 1_000);
        tick_at(&mut pm, &mut kernel, now);
        configure(&mut pm, &config(reset));
        assert_eq!(tick_at(&mut pm, &mut kernel, now), [], "{reset}");
        assert!(pm.is_spent(ports("80")), "{reset}");
        assert_eq!(closed(&mut pm), [], "{reset}");
    }
    let (mut kernel, mut pm) = running(&config("20"), now, "UTC");
    kernel.packet(ports("80"), Direction::In, 1_000);
    tick_at(&mut pm, &mut kernel, now);
    kernel.reboot();
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-06-05 08:00 UTC));
    assert!(matches!(
        events[..],
        [
            Event::Restarted { .. },
            Event::PeriodEnded { .. },
            Event::Renewed { .. }
        ]
    ));
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-06-19 23:59 UTC)),
        []
    );
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-06-20 00:00 UTC)).len(),
        1
    );
}

/// Who joins or leaves on the way has periods of his own for the time in between.
#[test]
fn a_members_period_begins_when_it_joins_and_ends_when_it_leaves() {
    let config = r#""groups":{"vip":{"reset":"20"}},"services":{"80":{"reset":"18"}}"#;
    let (mut kernel, mut pm) = running(config, datetime!(2026-01-15 12:00 UTC), "UTC");
    let send = |kernel: &mut Kernel, bytes| {
        assert!(kernel.packet(ports("80"), Direction::In, bytes));
    };
    send(&mut kernel, 1);
    do_now(&mut pm, &mut kernel, &set("80", in_group("vip")));
    assert_eq!(closed(&mut pm), [line("80", Why::Regrouped, 1)]);
    send(&mut kernel, 20);
    // Its own day is nobody's any more.
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-01-18 12:00 UTC)),
        []
    );
    send(&mut kernel, 300);
    tick_at(&mut pm, &mut kernel, datetime!(2026-01-20 12:00 UTC));
    let periods = [
        line("80 of vip", Why::Calendar, 320),
        line("group vip", Why::Calendar, 320),
    ];
    assert_eq!(closed(&mut pm), periods);
    send(&mut kernel, 4_000);
    do_now(&mut pm, &mut kernel, &set("80", alone()));
    assert_eq!(closed(&mut pm), [line("80 of vip", Why::Regrouped, 4_000)]);
    assert_eq!(pm.group_usage("vip").incoming, 4_000);
    send(&mut kernel, 50_000);
    let gone = Request::Delete {
        ports: support::these("80"),
    };
    do_now(&mut pm, &mut kernel, &gone);
    assert_eq!(closed(&mut pm), [line("80", Why::Deleted, 50_000)]);
    do_now(
        &mut pm,
        &mut kernel,
        &Request::DeleteGroup { name: group("vip") },
    );
    assert_eq!(closed(&mut pm), [line("group vip", Why::Deleted, 4_000)]);
    // One of that name begins at nothing.
    do_now(&mut pm, &mut kernel, &add("80", support::no_quota()));
    assert_eq!(pm.usage(ports("80")), Usage::default());
    assert_eq!(pm.saved.ledgers[&ports("80")].total, Usage::default());
}

fn open_again() -> Event {
    Event::Renewed {
        holder: ports("80").into(),
    }
}

#[test]
fn a_service_is_open_through_its_last_day() {
    for (zone, last_second) in [
        ("Asia/Shanghai", datetime!(2026-02-28 23:59:59 +8)),
        ("America/Los_Angeles", datetime!(2026-02-28 23:59:59 -8)),
        ("UTC", datetime!(2026-02-28 23:59:59 UTC)),
    ] {
        let config = r#""services":{"80":{"expires":"2026-02-28"},"81":{}}"#;
        let (mut kernel, mut pm) = running(config, datetime!(2026-02-01 12:00 UTC), zone);
        assert_eq!(tick_at(&mut pm, &mut kernel, last_second), [], "{zone}");
        assert!(kernel.packet(ports("80"), Direction::In, 5));
        let over = last_second + time::Duration::SECOND;
        let expired = Event::Expired {
            ports: ports("80"),
            last_day: time::macros::date!(2026 - 02 - 28),
        };
        assert_eq!(tick_at(&mut pm, &mut kernel, over), [expired], "{zone}");
        assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
        assert_ne!(link(&kernel, ports("81")), Some(Link::Drop));
        assert_eq!(pm.usage(ports("80")).incoming, 5, "its last bytes count");
        assert_eq!(
            tick_at(&mut pm, &mut kernel, over + time::Duration::DAY),
            []
        );
        let blocked_by = reports(&pm.config, &pm.saved)[0].blocked_by;
        assert_eq!(blocked_by, Some(BlockedBy::Expiry));
        // Until somebody gives it another.
        configure(
            &mut pm,
            r#""services":{"80":{"expires":"2026-03-01"},"81":{}}"#,
        );
        assert_eq!(tick_at(&mut pm, &mut kernel, over), [open_again()]);
        assert!(kernel.packet(ports("80"), Direction::In, 5));
    }
}

#[test]
fn neither_a_new_period_nor_a_reset_opens_what_has_expired() {
    let config = r#""services":{"80":{"expires":"2026-01-31","quota":"1KB"}}"#;
    let (mut kernel, mut pm) = running(config, datetime!(2026-01-15 12:00 UTC), "UTC");
    kernel.packet(ports("80"), Direction::In, 1_000);
    tick_at(&mut pm, &mut kernel, datetime!(2026-01-31 12:00 UTC));
    let told = tick_at(&mut pm, &mut kernel, datetime!(2026-02-01 00:00 UTC));
    // Not that it is open again, because it is not.
    assert!(
        matches!(told[..], [Event::Expired { .. }, Event::PeriodEnded { .. }]),
        "{told:?}"
    );
    assert!(!pm.is_spent(ports("80")));
    assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
    let ports_of = Selection::All;
    do_now(&mut pm, &mut kernel, &Request::Reset { ports: ports_of });
    assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
}

#[test]
fn a_clock_that_is_wrong_expires_and_opens_nothing() {
    let config = r#""services":{"80":{"expires":"2026-01-31"}}"#;
    let wrong = datetime!(1970-01-01 00:00:30 UTC);
    let (mut kernel, mut pm) = running(config, wrong, "UTC");
    assert!(kernel.packet(ports("80"), Direction::In, 1));
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-02-01 00:00 UTC)).len(),
        1
    );
    assert_eq!(tick_at(&mut pm, &mut kernel, wrong), []);
    assert_eq!(
        link(&kernel, ports("80")),
        Some(Link::Drop),
        "it stays as it was"
    );
    // One that steps back to a day that can be is believed.
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-01-31 23:59 UTC)),
        [open_again()]
    );
    assert!(kernel.packet(ports("80"), Direction::In, 1));
}

fn times() -> impl Strategy<Value = Vec<OffsetDateTime>> {
    let near = (0i64..900_000_000, any::<bool>());
    let moment = near.prop_map(|(seconds, wrong)| match wrong && seconds % 5 == 0 {
        // Somewhere before pm was built.
        true => OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds),
        false => BUILT + time::Duration::seconds(seconds),
    });
    let step = prop_oneof![
        6 => (0i64..10 * 86_400).prop_map(Some),
        2 => (-40i64 * 86_400..0).prop_map(Some),
        1 => Just(None),
    ];
    (moment.clone(), vec((step, moment), 1..40)).prop_map(|(start, steps)| {
        let mut now = start;
        let mut times = vec![now];
        for (step, jump) in steps {
            now = match step {
                Some(seconds) => now + time::Duration::seconds(seconds),
                None => jump,
            };
            times.push(now.max(OffsetDateTime::UNIX_EPOCH));
        }
        times
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// However the clock jumps: a group and all of its members close their periods at the same
    /// ticks, as a service of that policy does, and never while the clock is plainly wrong.
    #[test]
    fn members_and_group_and_a_service_like_it_end_their_periods_together(
        policy in reset_policy(),
        times in times(),
    ) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        let config = format!(
            r#""groups":{{"vip":{{"reset":"{policy}"}}}},
            "services":{{"80":{{"group":"vip"}},"81":{{"group":"vip"}},"82":{{"reset":"{policy}"}}}}"#
        );
        configure(&mut pm, &config);
        let mut began = None;
        for now in times {
            for port in ["80", "81", "82"] {
                kernel.packet(ports(port), Direction::In, 100);
            }
            tick_at(&mut pm, &mut kernel, now);
            let time = Timestamp::from_unix(now.unix_timestamp());
            began.get_or_insert(time);
            let closed = std::mem::take(&mut pm.history);
            if closed.is_empty() {
                continue;
            }
            prop_assert!(now >= BUILT);
            let holders: Vec<_> = closed.iter().map(|period| period.holder.to_string()).collect();
            prop_assert_eq!(holders, ["80", "81", "group vip", "82"]);
            for period in &closed {
                prop_assert_eq!((period.began, period.ended), (began, time));
                prop_assert_eq!(period.why, Why::Calendar);
            }
            let used: Vec<_> = closed.iter().map(|period| period.usage.incoming).collect();
            prop_assert_eq!((used[0], used[1], used[2]), (used[3], used[3], 2 * used[3]));
            began = Some(time);
        }
        prop_assert_eq!(pm.account(vip()).period, pm.account(ports("82")).period);
    }

    /// A service is cut off by the last right clock alone.
    #[test]
    fn a_service_is_open_as_long_as_the_last_right_clock_says(
        days in 0i64..5_000,
        times in times(),
        zone in select(vec!["UTC", "Asia/Shanghai", "America/Los_Angeles"]),
    ) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        let zone = Zone::named(zone).unwrap();
        pm.zone = zone.clone();
        let last_day = BUILT.date() + time::Duration::days(days);
        configure(&mut pm, &format!(r#""services":{{"80":{{"expires":"{last_day}"}}}}"#));
        let mut is_open = true;
        for now in times {
            let told = tick_at(&mut pm, &mut kernel, now);
            let was_open = is_open;
            if now >= BUILT {
                let today = zone.date_at(Timestamp::from_unix(now.unix_timestamp()));
                is_open = today <= last_day;
            }
            prop_assert_eq!(link(&kernel, ports("80")) != Some(Link::Drop), is_open);
            let expired = Event::Expired { ports: ports("80"), last_day };
            let expected = match (was_open, is_open) {
                (true, false) => Some(expired),
                (false, true) => Some(open_again()),
                _ => None,
            };
            prop_assert_eq!(told, Vec::from_iter(expected));
        }
    }
}
