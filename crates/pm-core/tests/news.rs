//! What is told, to whom, and how often: each cause once.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_core::news::News;
use pm_core::notice::{Deed, Ended, What};
use pm_core::request::{Request, Settings, Side, news_of};
use pm_core::ruleset::Direction;
use pm_core::tick::Now;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, add, cases, do_now, ports, quota, set, set_used, these};
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
        News::Notice(notice) if matches!(notice.what, What::Reset(Ended { reopened: true, .. }))
    ));
}

/// A month begins for all services at once: each channel gets one message, of those of whom it
/// hears.
#[test]
fn what_the_calendar_does_to_many_is_one_message() {
    let services: Vec<_> = (0..300)
        .map(|it| {
            format!(
                r#""{}":{{"quota":"1KB","expires":"2027-02-02"}}"#,
                20_000 + it
            )
        })
        .collect();
    let (mut kernel, mut pm) = running(&format!(
        r#""services":{{{}}},"notify":{{"channels":{{
             "any":{{{HOOK}}},
             "opened":{{{HOOK},"events":["unblocked"]}},
             "some":{{{HOOK},"services":["20000","20001"]}}}}}}"#,
        services.join(",")
    ));
    kernel.packet(ports("20000"), Direction::In, 1_000);
    tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:01 UTC));
    told(&mut pm);
    for (now, messages) in [
        (
            datetime!(2027-01-31 00:00 UTC),
            &["expiring: any 300, some 2"][..],
        ),
        (
            datetime!(2027-02-01 00:00 UTC),
            &["reset: any 300, opened 1, some 2"],
        ),
        (
            datetime!(2027-02-03 00:00 UTC),
            &["expired: any 300, some 2"],
        ),
    ] {
        tick_at(&mut pm, &mut kernel, now);
        let news: Vec<_> = (1..).zip(std::mem::take(&mut pm.saved.news)).collect();
        let said = pm_core::news::messages(&news).into_iter().map(|(_, news)| {
            let heard = pm.config.notify.channels.keys().filter_map(|name| {
                let count = news.iter().filter(|it| it.is_for(name, &pm.config)).count();
                (count > 0).then(|| format!("{name} {count}"))
            });
            let heard: Vec<_> = heard.collect();
            let News::Notice(notice) = news[0] else {
                panic!("{news:?}");
            };
            format!("{}: {}", notice.what.kind().name(), heard.join(", "))
        });
        assert_eq!(said.collect::<Vec<_>>(), messages);
    }
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

/// Returns what is told of a request that is carried out, with the channels that hear of it.
fn told_of(
    pm: &mut Pm,
    kernel: &mut Kernel,
    request: &Request,
    past: &State,
) -> Vec<(What, String)> {
    let before = pm.config.clone();
    // The support's pm judges and saves; what is told of a request is the engine's to add.
    do_now(pm, kernel, request);
    let mut state = past.clone();
    let now = Now {
        time: Timestamp::from_unix(pm.time),
        since_boot: kernel.since_boot,
        zone: &Zone::utc(),
        not_before: Timestamp::from_unix(0),
        next_epoch: state.next_epoch,
    };
    request.apply_to_usage(&pm.config, &mut state, &[], now);
    let known = past.closed.len();
    let [was, is] =
        [(&before, past), (&pm.config, &state)].map(|(config, state)| Side { config, state });
    let mut news = news_of(was, is, &state.closed[known..], now.time);
    news.extend(std::mem::take(&mut pm.saved.news));
    let heard = news.into_iter().map(|news| {
        let channels: Vec<_> = news.channels(&pm.config).map(|it| it.as_str()).collect();
        let channels = channels.join(" ");
        match news {
            News::Notice(notice) => (notice.what, channels),
            News::Report { .. } => panic!("{news:?}"),
        }
    });
    heard.collect()
}

#[test]
fn what_the_operator_blocks_is_one_message_however_many_it_concerns() {
    let (mut kernel, mut pm) = running(&format!(
        r#""services":{{"80":{{"note":"alice"}},"81":{{}},"82":{{"blocked":true}}}},
           "notify":{{"channels":{{"any":{{{HOOK}}}}}}}"#
    ));
    told(&mut pm);
    let block = Request::Block {
        ports: these("80,81"),
    };
    let unblock = Request::Unblock {
        ports: these("80,82"),
    };
    for (request, deed) in [(block, Deed::Blocked), (unblock, Deed::Unblocked)] {
        let past = pm.saved.clone();
        let told = told_of(&mut pm, &mut kernel, &request, &past);
        let [(What::Done { deed: done, whom }, _)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((*done, whom.len()), (deed, 2), "{request}");
        assert_eq!(whom[0].note.as_str(), "alice");
    }
}

/// Who was cut off hears that he is open again, whatever opened him.
#[test]
fn who_is_open_again_by_a_request_is_told_so_once() {
    let config = format!(
        r#""services":{{"80":{{"quota":"1KB"}},"81":{{"expires":"2027-01-10"}},
                "82":{{"quota":"1KB","blocked":true}},"83":{{"group":"vip"}}}},
               "groups":{{"vip":{{"quota":"1KB"}},"free":{{"quota":"1GB"}}}},
               "notify":{{"channels":{{"any":{{{HOOK}}},
                 "opened":{{{HOOK},"events":["blocked","unblocked"]}}}}}}"#
    );
    let vip = || "vip".parse().unwrap();
    let used = |ports: &str| set_used(ports, 1);
    let forgiven = Request::SetGroup {
        name: vip(),
        settings: Default::default(),
        used: Some("1B".parse().unwrap()),
    };
    let reset = |ports: &str| Request::Reset {
        ports: these(ports),
    };
    let raised = set("80", quota(5_000));
    let belongs = |ports: &str, group: Option<&str>| {
        let group = Some(group.map(|name| name.parse().unwrap()));
        let alone = Settings {
            group,
            ..Settings::default()
        };
        set(ports, alone)
    };
    let longer = set(
        "81",
        Settings {
            expires: Some(Some(time::macros::date!(2027 - 02 - 01))),
            ..Settings::default()
        },
    );
    for (request, wanted) in [
        (used("80"), &["80"][..]),
        (forgiven, &["group vip"]),
        (reset("80"), &["80"]),
        (Request::ResetGroup { name: vip() }, &["group vip"]),
        (raised, &["80"]),
        (longer, &["81"]),
        (belongs("80", Some("free")), &["80"]),
        (belongs("80", Some("vip")), &[]),
        (belongs("83", None), &["83"]),
        (belongs("83", Some("free")), &["83"]),
        // What the operator blocks as well is not open.
        (used("82"), &[]),
        (reset("82"), &[]),
    ] {
        let (mut kernel, mut pm) = running(&config);
        for port in ["80", "82", "83"] {
            kernel.packet(ports(port), Direction::In, 1_000);
        }
        tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:01 UTC));
        told(&mut pm);
        let past = pm.saved.clone();
        let told = told_of(&mut pm, &mut kernel, &request, &past);
        let opened: Vec<_> = told
            .iter()
            .filter(|(_, heard)| heard == "any opened")
            .map(|(what, _)| what.holders()[0].to_string())
            .collect();
        assert_eq!(opened, wanted, "{request}: {told:?}");
        let most = usize::from(matches!(
            request,
            Request::Reset { .. } | Request::ResetGroup { .. }
        ));
        assert!(told.len() <= wanted.len().max(most), "{request}: {told:?}");
    }
}

#[test]
fn a_reset_by_the_operator_is_told_with_note_and_usage() {
    let (mut kernel, mut pm) = running(&format!(
        r#""services":{{"80":{{"note":"alice","quota":"1KB","reset":"1"}}}},
           "notify":{{"channels":{{"any":{{{HOOK}}}}}}}"#
    ));
    kernel.packet(ports("80"), Direction::In, 700);
    tick_at(&mut pm, &mut kernel, datetime!(2027-01-15 12:01 UTC));
    told(&mut pm);
    let past = pm.saved.clone();
    let request = Request::Reset { ports: these("80") };
    let told = told_of(&mut pm, &mut kernel, &request, &past);
    let [(what, _)] = &told[..] else {
        panic!("{told:?}");
    };
    let What::Reset(Ended {
        whom,
        by_operator: true,
        incoming: 700,
        reopened: false,
        next_reset: Some(_),
        ..
    }) = what
    else {
        panic!("{what:?}");
    };
    assert_eq!(whom.note.as_str(), "alice");
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

/// What was due before clocks are put back was due again when they showed less than a day since.
#[test]
fn each_channel_gets_its_report_once_a_day_when_clocks_are_put_back() {
    let (mut kernel, mut pm) = running(&format!(
        r#""time_zone":"Europe/Berlin","notify":{{"channels":{{
             "early":{{{HOOK},"report":"at 02:30"}},
             "late":{{{HOOK},"report":"at 00:00,20:00"}},
             "off":{{{HOOK},"enabled":false,"report":"every 1m"}},
             "hours":{{{HOOK},"report":"every 60m"}}}}}}"#
    ));
    tick_at(&mut pm, &mut kernel, datetime!(2027-10-30 21:50 UTC));
    told(&mut pm);
    let mut counts = BTreeMap::<String, usize>::new();
    // A day of 25 hours, from midnight to midnight.
    let midnight = datetime!(2027-10-30 22:00 UTC);
    for minutes in (0..25 * 60).step_by(10) {
        tick_at(
            &mut pm,
            &mut kernel,
            midnight + time::Duration::minutes(minutes),
        );
        for (news, _) in told(&mut pm) {
            if let News::Report { channel, .. } = news {
                *counts.entry(channel.to_string()).or_default() += 1;
            }
        }
    }
    let expected = [("early", 1), ("hours", 25), ("late", 2)];
    assert_eq!(
        counts,
        expected.map(|(name, n)| (name.to_owned(), n)).into()
    );
}
