//! The tick at its boundaries: the last byte of a quota, the first second of a period, and every
//! event told once.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::calendar::Zone;
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::Usage;
use pm_core::request::Request;
use pm_core::ruleset::{Direction, Link};
use support::{Kernel, Pm, Quiet, link, ports};
use time::OffsetDateTime;
use time::macros::datetime;

/// Returns pm with this configuration in force, and the kernel it runs on.
fn running(services: &str) -> (Kernel, Pm) {
    running_at(services, datetime!(2026-01-15 12:00 UTC), "UTC")
}

fn running_at(services: &str, now: OffsetDateTime, zone: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    pm.config = Config::parse(&format!(r#"{{"schema":1,"services":{services}}}"#)).unwrap();
    pm.zone = Zone::named(zone).unwrap();
    pm.time = now.unix_timestamp();
    tick(&mut pm, &mut kernel);
    (kernel, pm)
}

/// Returns what happened, warnings apart: those are in `news.rs`.
fn events_of(pm: &mut Pm) -> Vec<Event> {
    let is_warning =
        |event: &Event| matches!(event, Event::Reached { .. } | Event::Expiring { .. });
    let events = pm.events.drain(..);
    events.filter(|event| !is_warning(event)).collect()
}

/// Does a tick and returns what it tells.
fn tick(pm: &mut Pm, kernel: &mut Kernel) -> Vec<Event> {
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
    events_of(pm)
}

fn tick_at(pm: &mut Pm, kernel: &mut Kernel, now: OffsetDateTime) -> Vec<Event> {
    pm.time = now.unix_timestamp();
    tick(pm, kernel)
}

fn carry_out(pm: &mut Pm, kernel: &mut Kernel, request: &Request) -> Vec<Event> {
    pm.request(kernel, &mut Quiet, usize::MAX, request).unwrap();
    events_of(pm)
}

fn set_used(text: &str) -> Request {
    Request::Set {
        ports: pm_core::request::Selection::All,
        settings: Default::default(),
        used: Some(text.parse().unwrap()),
    }
}

fn configure(pm: &mut Pm, services: &str) {
    pm.config = Config::parse(&format!(r#"{{"schema":1,"services":{services}}}"#)).unwrap();
}

fn incoming(pm: &Pm, service: &str) -> u64 {
    pm.usage(ports(service)).incoming
}

fn ended(service: &str, incoming: u64) -> Event {
    Event::PeriodEnded {
        holder: ports(service).into(),
        usage: Usage {
            incoming,
            outgoing: 0,
        },
    }
}

#[test]
fn a_quota_is_spent_with_its_last_byte() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"10000B"}}"#);
    assert!(kernel.packet(ports("80"), Direction::In, 9_999));
    assert_eq!(tick(&mut pm, &mut kernel), []);
    assert!(!pm.is_spent(ports("80")));
    assert!(kernel.packet(ports("80"), Direction::Out, 1));
    let spent = Event::Spent {
        holder: ports("80").into(),
        billed: 10_000,
    };
    assert_eq!(tick(&mut pm, &mut kernel), [spent]);
    assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
}

#[test]
fn the_kernels_word_counts_where_the_last_packet_did_not_fit() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"10000B"}}"#);
    assert!(kernel.packet(ports("80"), Direction::In, 9_000));
    assert!(!kernel.packet(ports("80"), Direction::In, 1_500));
    let spent = Event::Spent {
        holder: ports("80").into(),
        billed: 9_000,
    };
    assert_eq!(tick(&mut pm, &mut kernel), [spent]);
    assert_eq!(tick(&mut pm, &mut kernel), []);
    assert!(pm.is_spent(ports("80")));
}

#[test]
fn only_what_counts_spends_a_quota() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"10000B","mode":"out"}}"#);
    assert!(kernel.packet(ports("80"), Direction::In, 1 << 40));
    assert!(kernel.packet(ports("80"), Direction::Out, 9_999));
    tick(&mut pm, &mut kernel);
    assert!(!pm.is_spent(ports("80")));
    assert!(kernel.packet(ports("80"), Direction::Out, 1));
    tick(&mut pm, &mut kernel);
    assert!(pm.is_spent(ports("80")));
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
}

#[test]
fn a_correction_cuts_off_and_opens_at_the_byte() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"10000B"}}"#);
    kernel.packet(ports("80"), Direction::In, 5_000);
    let (port, spent) = (ports("80"), |billed| Event::Spent {
        holder: ports("80").into(),
        billed,
    });
    assert_eq!(carry_out(&mut pm, &mut kernel, &set_used("9999B")), []);
    assert!(kernel.packet(port, Direction::In, 1));
    assert!(!kernel.packet(port, Direction::In, 1));
    assert_eq!(tick(&mut pm, &mut kernel), [spent(10_000)]);

    let opened = carry_out(&mut pm, &mut kernel, &set_used("9000B"));
    assert_eq!(opened, []);
    assert!(!pm.is_spent(port));
    assert!(kernel.packet(port, Direction::In, 1_000));
    assert!(!kernel.packet(port, Direction::In, 1));
    assert_eq!(incoming(&pm, "80"), 5_001);

    assert_eq!(
        carry_out(&mut pm, &mut kernel, &set_used("10000B")),
        [spent(10_000)]
    );
    assert_eq!(incoming(&pm, "80"), 6_001);
    assert_eq!(pm.account(port).billed(), 10_000);
}

#[test]
fn the_largest_quota_is_never_spent_by_accident() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"9223372036854775807B"}}"#);
    assert!(kernel.packet(ports("80"), Direction::In, 1 << 62));
    assert_eq!(tick(&mut pm, &mut kernel), []);
    assert!(!pm.is_spent(ports("80")));
    assert_eq!(
        link(&kernel, ports("80")).map(|link| link != Link::Drop),
        Some(true)
    );
}

#[test]
fn a_new_period_opens_what_its_quota_had_cut_off() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"1KB"}}"#);
    kernel.packet(ports("80"), Direction::In, 1_000);
    tick(&mut pm, &mut kernel);
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-01-31 23:59:59 UTC)),
        []
    );
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-02-01 00:00 UTC));
    let renewed = Event::Renewed {
        holder: ports("80").into(),
    };
    assert_eq!(events, [ended("80", 1_000), renewed]);
    assert!(kernel.packet(ports("80"), Direction::In, 1_000));
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
}

#[test]
fn a_new_period_does_not_open_what_the_operator_blocks() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"1KB"}}"#);
    kernel.packet(ports("80"), Direction::In, 1_000);
    tick(&mut pm, &mut kernel);
    configure(&mut pm, r#"{"80":{"quota":"1KB","blocked":true}}"#);
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-02-01 00:00 UTC));
    assert_eq!(events, [ended("80", 1_000)], "it is not open again");
    assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
    configure(&mut pm, r#"{"80":{"quota":"1KB"}}"#);
    tick(&mut pm, &mut kernel);
    assert!(kernel.packet(ports("80"), Direction::In, 1_000));
}

#[test]
fn bytes_up_to_the_first_tick_of_a_period_belong_to_the_one_before() {
    let (mut kernel, mut pm) = running(r#"{"80":{"reset":"1"}}"#);
    kernel.packet(ports("80"), Direction::In, 700);
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-02-01 00:00:30 UTC));
    assert_eq!(events, [ended("80", 700)]);
    kernel.packet(ports("80"), Direction::In, 42);
    tick(&mut pm, &mut kernel);
    assert_eq!(incoming(&pm, "80"), 42);
}

/// Fault 9 of the scripts pm replaces: days 29 to 31 never came in short months.
#[test]
fn a_short_month_resets_on_its_last_day() {
    for (day, from, last) in [
        (
            29,
            datetime!(2026-02-27 12:00 UTC),
            datetime!(2026-02-28 00:00 UTC),
        ),
        (
            30,
            datetime!(2026-02-27 12:00 UTC),
            datetime!(2026-02-28 00:00 UTC),
        ),
        (
            31,
            datetime!(2026-02-27 12:00 UTC),
            datetime!(2026-02-28 00:00 UTC),
        ),
        (
            31,
            datetime!(2026-04-29 12:00 UTC),
            datetime!(2026-04-30 00:00 UTC),
        ),
        // 2028 is a leap year.
        (
            29,
            datetime!(2028-02-28 12:00 UTC),
            datetime!(2028-02-29 00:00 UTC),
        ),
        (
            31,
            datetime!(2028-02-28 12:00 UTC),
            datetime!(2028-02-29 00:00 UTC),
        ),
    ] {
        let service = format!(r#"{{"80":{{"reset":"{day}"}}}}"#);
        let (mut kernel, mut pm) = running_at(&service, from, "UTC");
        kernel.packet(ports("80"), Direction::In, 1);
        let before = last - time::Duration::SECOND;
        assert_eq!(tick_at(&mut pm, &mut kernel, before), [], "{day} {last}");
        assert_eq!(
            tick_at(&mut pm, &mut kernel, last),
            [ended("80", 1)],
            "{day} {last}"
        );
    }
}

/// Fault 9 of the scripts pm replaces: the day on the screen was not the scheduler's day.
#[test]
fn a_period_ends_at_midnight_in_the_configured_zone() {
    for (zone, midnight) in [
        ("Asia/Shanghai", datetime!(2026-02-01 00:00 +8)),
        ("America/Los_Angeles", datetime!(2026-02-01 00:00 -8)),
        ("Asia/Kathmandu", datetime!(2026-02-01 00:00 +5:45)),
    ] {
        let from = datetime!(2026-01-15 12:00 UTC);
        let (mut kernel, mut pm) = running_at(r#"{"80":{"reset":"1"}}"#, from, zone);
        let before = midnight - time::Duration::SECOND;
        assert_eq!(tick_at(&mut pm, &mut kernel, before), [], "{zone}");
        assert_eq!(
            tick_at(&mut pm, &mut kernel, midnight),
            [ended("80", 0)],
            "{zone}"
        );
    }
}

#[test]
fn a_day_whose_clock_jumps_resets_once() {
    // Berlin: 02:00 to 03:00 does not exist on 29 March 2026, and is there twice on 25 October.
    for (day, midnight) in [
        (29, datetime!(2026-03-29 00:00 +1)),
        (25, datetime!(2026-10-25 00:00 +2)),
    ] {
        let service = format!(r#"{{"80":{{"reset":"{day}"}}}}"#);
        let from = midnight - time::Duration::DAY;
        let (mut kernel, mut pm) = running_at(&service, from, "Europe/Berlin");
        let mut resets = Vec::new();
        for minute in 0..3 * 24 * 60 {
            let now = from + time::Duration::minutes(minute);
            if !tick_at(&mut pm, &mut kernel, now).is_empty() {
                resets.push(now);
            }
        }
        assert_eq!(resets, [midnight]);
    }
    // In Santiago midnight itself does not exist on 6 September 2026: the day begins at 01:00.
    let from = datetime!(2026-09-05 12:00 -4);
    let (mut kernel, mut pm) = running_at(r#"{"80":{"reset":"6"}}"#, from, "America/Santiago");
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-09-06 03:59:59 UTC)),
        []
    );
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-09-06 04:00 UTC));
    assert_eq!(events, [ended("80", 0)]);
}

/// Fault 9 of the scripts pm replaces: a reset was missed while the machine was off.
#[test]
fn what_was_due_while_the_host_was_off_happens_once() {
    let (mut kernel, mut pm) = running(r#"{"80":{"reset":"1"}}"#);
    kernel.packet(ports("80"), Direction::In, 9);
    tick(&mut pm, &mut kernel);
    kernel.reboot();
    let events = tick_at(&mut pm, &mut kernel, datetime!(2026-07-20 08:00 UTC));
    assert!(matches!(
        events[..],
        [Event::Restarted { .. }, Event::PeriodEnded { .. }]
    ));
    kernel.packet(ports("80"), Direction::In, 5);
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-07-31 08:00 UTC)),
        []
    );
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-08-01 08:00 UTC)),
        [ended("80", 5)]
    );
}

/// Fault 9 of the scripts pm replaces: a reset day moved into the past zeroed the usage at once.
#[test]
fn another_reset_day_resets_nothing_at_once() {
    for reset in ["1", "10", "14", "15", "16", "31", "never"] {
        let (mut kernel, mut pm) = running(r#"{"80":{"quota":"1KB","reset":"20"}}"#);
        kernel.packet(ports("80"), Direction::In, 1_000);
        tick(&mut pm, &mut kernel);
        configure(
            &mut pm,
            &format!(r#"{{"80":{{"quota":"1KB","reset":"{reset}"}}}}"#),
        );
        assert_eq!(tick(&mut pm, &mut kernel), [], "{reset}");
        assert!(pm.is_spent(ports("80")), "{reset}");
        assert_eq!(incoming(&pm, "80"), 1_000, "{reset}");
    }
}

#[test]
fn a_clock_that_steps_resets_no_period_twice() {
    let (mut kernel, mut pm) = running(r#"{"80":{"reset":"1"}}"#);
    let at = |pm: &mut Pm, kernel: &mut Kernel, now| tick_at(pm, kernel, now).len();
    assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-02-01 00:01 UTC)), 1);
    // Back over midnight and forward again.
    for _ in 0..3 {
        assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-01-31 23:50 UTC)), 0);
        assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-02-01 00:02 UTC)), 0);
    }
    // Far ahead: one period ends, and the next ends when its date comes after the clock is right.
    assert_eq!(at(&mut pm, &mut kernel, datetime!(2031-06-10 00:00 UTC)), 1);
    assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-02-03 00:00 UTC)), 0);
    assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-02-28 23:59 UTC)), 0);
    assert_eq!(at(&mut pm, &mut kernel, datetime!(2026-03-01 00:00 UTC)), 1);
}

#[test]
fn a_clock_that_is_plainly_wrong_ends_no_period() {
    // Before the time that pm was built, as `support` has it.
    let wrong = datetime!(1970-01-01 00:00:30 UTC);
    let (mut kernel, mut pm) = running_at(r#"{"80":{"reset":"1"}}"#, wrong, "UTC");
    kernel.packet(ports("80"), Direction::In, 9);
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2001-05-05 00:00 UTC)),
        []
    );
    assert_eq!(incoming(&pm, "80"), 9, "it counts all the same");
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-05-05 00:00 UTC)),
        []
    );
    assert_eq!(tick_at(&mut pm, &mut kernel, wrong), []);
    assert_eq!(
        tick_at(&mut pm, &mut kernel, datetime!(2026-06-01 00:00 UTC)),
        [ended("80", 9)]
    );
}

/// A date that comes once and was not set must not be taken for one that has been.
#[test]
fn a_clock_that_was_plainly_wrong_loses_no_date() {
    let wrong = datetime!(1970-01-01 00:00:30 UTC);
    for reset in [
        "once 2026-05-20",
        "every 90 days from 2026-05-20",
        "yearly 05-20",
    ] {
        let service = format!(r#"{{"80":{{"reset":"{reset}"}}}}"#);
        let (mut kernel, mut pm) = running_at(&service, wrong, "UTC");
        kernel.packet(ports("80"), Direction::In, 9);
        for now in [
            wrong,
            datetime!(2026-05-05 00:00 UTC),
            datetime!(2026-05-19 23:59 UTC),
        ] {
            assert_eq!(tick_at(&mut pm, &mut kernel, now), [], "{reset}");
        }
        assert_eq!(
            tick_at(&mut pm, &mut kernel, datetime!(2026-05-20 00:00 UTC)),
            [ended("80", 9)],
            "{reset}"
        );
    }
}

#[test]
fn each_loss_is_told_once() {
    type Disaster = fn(&mut Kernel);
    let reboot: Disaster = Kernel::reboot;
    let flush: Disaster = Kernel::flush;
    let unlink: Disaster = |kernel| kernel.unlink(ports("80"));
    let damage: Disaster = |kernel| kernel.damage(ports("80"));
    let reload: Disaster = |kernel| {
        let file = kernel.table.clone();
        kernel.load(&file);
    };
    let since = Some(pm_core::calendar::Timestamp::from_unix(
        datetime!(2026-01-15 12:00 UTC).unix_timestamp(),
    ));
    let lost = |names: &[&str]| Event::RulesLost {
        ports: names.iter().map(|name| ports(name)).collect(),
        since,
    };
    for (disaster, expected) in [
        (reboot, Event::Restarted { since }),
        (flush, lost(&["80", "90"])),
        (unlink, lost(&["80"])),
        (damage, lost(&["80"])),
        (
            reload,
            Event::CountersReplaced {
                ports: vec![ports("80"), ports("90")],
                since,
            },
        ),
    ] {
        let (mut kernel, mut pm) = running(r#"{"80":{"quota":"5GB"},"90":{}}"#);
        kernel.packet(ports("80"), Direction::In, 1_000);
        disaster(&mut kernel);
        let later = datetime!(2026-01-15 12:01 UTC);
        assert_eq!(tick_at(&mut pm, &mut kernel, later), [expected]);
        for _ in 0..3 {
            assert_eq!(tick(&mut pm, &mut kernel), []);
        }
    }
}

#[test]
fn what_pm_does_itself_is_no_loss() {
    let (mut kernel, mut pm) = running(r#"{"80":{},"90":{"quota":"5GB"}}"#);
    for services in [
        r#"{"80":{"quota":"5GB"},"90":{}}"#,
        r#"{"80":{"blocked":true},"90":{}}"#,
        r#"{"80":{},"90":{},"100-200":{}}"#,
        r#"{"80":{},"90":{},"150":{}}"#,
    ] {
        configure(&mut pm, services);
        let events = tick(&mut pm, &mut kernel);
        let told = |event: &Event| !matches!(event, Event::Closed { .. });
        assert!(!events.iter().any(told), "{services}: {events:?}");
    }
    pm.saved.torn_down = true;
    assert_eq!(tick(&mut pm, &mut kernel), []);
    pm.saved.torn_down = false;
    assert_eq!(tick(&mut pm, &mut kernel), []);
}

#[test]
fn a_deleted_service_is_closed_once_with_its_last_bytes() {
    let (mut kernel, mut pm) = running(r#"{"80":{},"8080":{}}"#);
    kernel.packet(ports("80"), Direction::In, 5);
    tick(&mut pm, &mut kernel);
    kernel.packet(ports("80"), Direction::In, 2);
    configure(&mut pm, r#"{"8080":{}}"#);
    let closed = Event::Closed {
        holder: ports("80").into(),
        usage: Usage {
            incoming: 7,
            outgoing: 0,
        },
    };
    assert_eq!(tick(&mut pm, &mut kernel), [closed]);
    assert_eq!(tick(&mut pm, &mut kernel), []);
    assert_eq!(link(&kernel, ports("80")), None);
}
