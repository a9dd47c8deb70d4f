//! What is told, to whom, and how often: each cause once.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::news::News;
use pm_core::notice::{Deed, What};
use pm_core::request::Request;
use pm_core::ruleset::Direction;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, add, cases, do_now, ports, quota, set_used, these};
use time::OffsetDateTime;
use time::macros::datetime;

const HOOK: &str = r#""via":{"webhook":{"url":"https://hook.example/x"}}"#;

fn running(config: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    configure(&mut pm, config);
    tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:00 UTC));
    (kernel, pm)
}

fn configure(pm: &mut Pm, config: &str) {
    pm.config = Config::parse(&format!(r#"{{"schema":1,{config}}}"#)).unwrap();
}

fn tick_at(pm: &mut Pm, kernel: &mut Kernel, now: OffsetDateTime) -> Vec<Event> {
    pm.time = now.unix_timestamp();
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
    std::mem::take(&mut pm.events)
}

fn reached(events: &[Event]) -> Vec<u16> {
    let percents = events.iter().filter_map(|event| match event {
        Event::Reached { percent, .. } => Some(*percent),
        Event::Spent { .. } => Some(100),
        _ => None,
    });
    percents.collect()
}

/// Returns what is told since the last look, and which channels hear of it.
fn told(pm: &mut Pm) -> Vec<(News, Vec<String>)> {
    let news = std::mem::take(&mut pm.saved.news);
    let heard = news.into_iter().map(|news| {
        let channels = news.channels(&pm.config).map(|it| it.to_string()).collect();
        (news, channels)
    });
    heard.collect()
}

proptest! {
    #![proptest_config(cases(64))]

    /// However usage grows and is corrected: a threshold is told when it is reached, the highest
    /// one only, and never again before usage was below it.
    #[test]
    fn a_threshold_is_told_once_each_time_it_is_reached(
        steps in vec((0u64..400, prop::option::weighted(0.2, 0u64..1_100)), 1..20),
    ) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        do_now(&mut pm, &mut kernel, &add("80", quota(1_000)));
        let mut known = 0u16;
        for (bytes, corrected) in steps {
            if let Some(used) = corrected {
                do_now(&mut pm, &mut kernel, &set_used("80", used));
            } else {
                kernel.packet(ports("80"), Direction::In, bytes);
                pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
            }
            let events = std::mem::take(&mut pm.events);
            let billed = pm.account(ports("80")).billed();
            let is_spent = pm.is_spent(ports("80"));
            let now = [100, 80, 50].into_iter().find(|&percent| {
                billed * 100 >= u64::from(percent) * 1_000 || (percent == 100 && is_spent)
            });
            let now = now.unwrap_or(0);
            let wanted: Vec<_> = Some(now).filter(|&now| now > known).into_iter().collect();
            // Who was cut off, and still is by a better quota, is told so again by that alone.
            let said = reached(&events);
            prop_assert!(said == wanted || said == [100], "{said:?} at {billed}, after {known}");
            known = now;
        }
    }
}

#[test]
fn other_thresholds_tell_nothing_again() {
    let (mut kernel, mut pm) = running(r#""services":{"80":{"quota":"1KB"}}"#);
    kernel.packet(ports("80"), Direction::In, 600);
    let mut minute = 0;
    let mut told_by = |thresholds: &str, used: u64| {
        minute += 1;
        configure(
            &mut pm,
            &format!(
                r#""services":{{"80":{{"quota":"1KB"}}}},"notify":{{"thresholds":[{thresholds}]}}"#
            ),
        );
        kernel.packet(ports("80"), Direction::In, used);
        let now = datetime!(2027-01-15 12:00 UTC) + time::Duration::minutes(minute);
        reached(&tick_at(&mut pm, &mut kernel, now))
    };
    assert_eq!(told_by("50,80", 0), [50]);
    assert_eq!(told_by("", 0), [0u16; 0]);
    assert_eq!(told_by("50,80", 0), [0u16; 0]);
    assert_eq!(told_by("40", 0), [0u16; 0]);
    assert_eq!(told_by("50,80", 200), [80]);
    assert_eq!(told_by("", 0), [0u16; 0]);
    assert_eq!(told_by("50,80", 0), [0u16; 0]);
}

#[test]
fn a_quota_that_is_used_up_is_told_once_to_who_wants_either() {
    let (mut kernel, mut pm) = running(&format!(
        r#""services":{{"80":{{"quota":"1KB"}}}},
           "notify":{{"channels":{{
             "any":{{{HOOK}}},
             "cuts":{{{HOOK},"events":["blocked"]}},
             "off":{{{HOOK},"enabled":false}},
             "others":{{{HOOK},"services":["81"]}},
             "parts":{{{HOOK},"events":["quota"]}},
             "resets":{{{HOOK},"events":["reset"]}}}}}}"#
    ));
    told(&mut pm);
    kernel.packet(ports("80"), Direction::In, 600);
    let events = tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:01 UTC));
    assert_eq!(reached(&events), [50]);
    let news = told(&mut pm);
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].1, ["any", "parts"]);
    kernel.packet(ports("80"), Direction::In, 400);
    tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:02 UTC));
    let news = told(&mut pm);
    assert_eq!(news.len(), 1, "{news:?}");
    assert_eq!(news[0].1, ["any", "cuts", "parts"]);
    // A new period: one message of both that it began and that the port is open again.
    tick_at(&mut pm, &mut kernel, datetime!(2027-02-01 00:00 UTC));
    let news = told(&mut pm);
    assert_eq!(news.len(), 1, "{news:?}");
    assert_eq!(news[0].1, ["any", "resets"]);
    assert!(matches!(
        &news[0].0,
        News::Notice(notice) if matches!(notice.what, What::Reset { reopened: true, .. })
    ));
}

#[test]
fn without_a_channel_nothing_is_kept() {
    let (mut kernel, mut pm) = running(r#""services":{"80":{"quota":"1KB"}}"#);
    kernel.packet(ports("80"), Direction::In, 900);
    let events = tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:01 UTC));
    assert_eq!(reached(&events), [80]);
    assert_eq!(told(&mut pm), []);
}

#[test]
fn a_last_day_is_told_three_days_before_once_and_again_when_it_is_another() {
    let (mut kernel, mut pm) = running(r#""services":{"80":{"expires":"2027-01-19"}}"#);
    let mut days = |now| {
        let events = tick_at(&mut pm, &mut kernel, now);
        let near = events.iter().filter_map(|event| match event {
            Event::Expiring { days, .. } => Some(*days),
            _ => None,
        });
        near.collect::<Vec<_>>()
    };
    assert_eq!(days(datetime!(2027-01-15 23:59 UTC)), [0u16; 0]);
    assert_eq!(days(datetime!(2027-01-16 00:00 UTC)), [3]);
    assert_eq!(days(datetime!(2027-01-18 00:00 UTC)), [0u16; 0]);
    configure(&mut pm, r#""services":{"80":{"expires":"2027-01-21"}}"#);
    let events = tick_at(&mut pm, &mut kernel, datetime!(2027-01-19 00:00 UTC));
    assert!(
        matches!(events[..], [Event::Expiring { days: 2, .. }]),
        "{events:?}"
    );
}

#[test]
fn what_the_operator_does_is_one_message_however_many_it_concerns() {
    let (mut kernel, mut pm) = running(&format!(
        r#""services":{{"80":{{}},"81":{{}},"82":{{"blocked":true}}}},
           "notify":{{"channels":{{"any":{{{HOOK}}}}}}}"#
    ));
    told(&mut pm);
    for (request, deed) in [
        (
            Request::Block {
                ports: these("80,81"),
            },
            Deed::Blocked,
        ),
        (
            Request::Unblock {
                ports: these("80,82"),
            },
            Deed::Unblocked,
        ),
        (
            Request::Reset {
                ports: these("80,81"),
            },
            Deed::Reset,
        ),
    ] {
        // The support's pm judges and saves; what is told of a request is the engine's to add.
        let before = pm.config.clone();
        do_now(&mut pm, &mut kernel, &request);
        let closed = std::mem::take(&mut pm.history);
        let news = pm_core::request::news_of(
            &before,
            &pm.config,
            &closed,
            pm_core::calendar::Timestamp::from_unix(1),
        );
        let [News::Notice(notice)] = &news[..] else {
            panic!("{news:?}");
        };
        let What::Done {
            deed: done,
            holders,
        } = &notice.what
        else {
            panic!("{notice:?}");
        };
        assert_eq!((*done, holders.len()), (deed, 2), "{request}");
    }
}

/// Fault 19 of the scripts pm replaces: what was not sent at its minute was never sent.
#[test]
fn a_report_is_due_once_also_after_a_time_without_ticks() {
    let (mut kernel, mut pm) = running(&format!(
        r#""notify":{{"channels":{{
             "hours":{{{HOOK},"report":"every 60m"}},
             "mornings":{{{HOOK},"report":"at 08:00"}}}}}}"#
    ));
    let mut due = |now| {
        tick_at(&mut pm, &mut kernel, now);
        let reports = told(&mut pm)
            .into_iter()
            .filter_map(|(news, heard)| match news {
                News::Report { channel, .. } => {
                    assert_eq!(heard, [channel.as_str()]);
                    Some(channel.to_string())
                }
                News::Notice(_) => None,
            });
        reports.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(due(datetime!(2027-01-15 12:59 UTC)), "");
    assert_eq!(due(datetime!(2027-01-15 13:00 UTC)), "hours");
    assert_eq!(due(datetime!(2027-01-15 13:01 UTC)), "");
    assert_eq!(due(datetime!(2027-01-18 09:10 UTC)), "hours mornings");
    assert_eq!(due(datetime!(2027-01-18 09:11 UTC)), "");
    // A clock that goes back says nothing twice; one that was years ahead stops nothing.
    assert_eq!(due(datetime!(2027-01-18 08:30 UTC)), "");
    assert_eq!(due(datetime!(2037-01-18 08:30 UTC)), "hours mornings");
    assert_eq!(due(datetime!(2027-01-18 10:30 UTC)), "");
    assert_eq!(due(datetime!(2027-01-18 11:00 UTC)), "hours");
}
