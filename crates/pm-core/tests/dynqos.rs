//! DynQoS: who is judged by what, and how fast he may be then.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::time::Duration;

use pm_core::config::{Config, Limit, Service};
use pm_core::dynqos::{DynQos, DynQosError, Hog, Minutes, Verdict};
use pm_core::event::Event;
use pm_core::ledger::Ledger;
use pm_core::request::{Request, Settings};
use pm_core::ruleset::{Direction, RoomId, Variant};
use pm_core::shaping::{Rates, classes};
use pm_core::strategies::{dynqos, service};
use pm_core::units::BitRate;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, do_now, ports, set, these};

const SECOND: Duration = Duration::from_secs(1);

fn rule(text: &str) -> DynQos {
    text.parse().unwrap()
}

fn ruled(text: &str) -> Settings {
    Settings {
        dynqos: Some(Some(rule(text))),
        ..Settings::default()
    }
}

/// Returns pm with a rule for 80 and none for 90, after its first tick.
fn running(text: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    let service = format!(r#"{{"80":{{"dynqos":"{text}"}},"90":{{}}}}"#);
    pm.config = Config::parse(&format!(r#"{{"schema":1,"services":{service}}}"#)).unwrap();
    tick_after(&mut pm, &mut kernel, 0, 0);
    (kernel, pm)
}

/// Sends at a rate for some time, does a tick, and returns what it tells.
fn tick_after(pm: &mut Pm, kernel: &mut Kernel, bits: u64, seconds: u64) -> Vec<Event> {
    flow(pm, kernel, bits, seconds);
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
    std::mem::take(&mut pm.events)
}

/// Lets time pass in which 80 sends half of a rate and receives the other half.
fn flow(pm: &mut Pm, kernel: &mut Kernel, bits: u64, seconds: u64) {
    kernel.since_boot += Duration::from_secs(seconds);
    pm.time += i64::try_from(seconds).unwrap();
    let bytes = bits / 8 * seconds;
    for (direction, bytes) in [
        (Direction::In, bytes / 2),
        (Direction::Out, bytes - bytes / 2),
    ] {
        if bytes > 0 {
            kernel.packet(ports("80"), direction, bytes);
        }
    }
}

fn punished(text: &str) -> Event {
    Event::Punished {
        ports: ports("80"),
        rule: rule(text),
    }
}

fn restored() -> Event {
    Event::Restored { ports: ports("80") }
}

/// What the rules of 80 let through, in bytes a second.
fn policed(kernel: &Kernel) -> (Option<u64>, Option<u64>) {
    let installed = kernel.installed();
    let rooms = Variant::BOTH.map(|variant| RoomId {
        ports: ports("80"),
        variant,
    });
    let rooms = rooms.iter().filter_map(|room| installed.rooms.get(room));
    let policing = rooms.map(|room| room.intact.as_ref().unwrap().policing);
    let policing: Vec<_> = policing.collect();
    assert_eq!(policing.len(), 1);
    (policing[0].incoming, policing[0].outgoing)
}

/// Fault 3 of the scripts pm replaces: rates were what had passed over 60 seconds, whatever time
/// it had taken: after a pause of nine minutes, 20 Mbit/s was punished as 180.
#[test]
fn a_pause_between_two_ticks_makes_no_rate_higher() {
    let (mut kernel, mut pm) = running("100M/1/5M/60");
    for _ in 0..3 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 20_000_000, 60), []);
        assert_eq!(tick_after(&mut pm, &mut kernel, 20_000_000, 540), []);
    }
    // Nor is one tick right after the other a reason.
    assert_eq!(tick_after(&mut pm, &mut kernel, 20_000_000, 1), []);
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 0), []);
    // One minute above it is, were it measured in ten.
    let events = tick_after(&mut pm, &mut kernel, 101_000_000, 600);
    assert_eq!(events, [punished("100M/1/5M/60")]);
}

#[test]
fn the_trigger_itself_is_not_above_it() {
    let (mut kernel, mut pm) = running("8M/2/1M/1");
    for _ in 0..5 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 8_000_000, 60), []);
    }
    // One byte more.
    kernel.packet(ports("80"), Direction::In, 1);
    assert_eq!(tick_after(&mut pm, &mut kernel, 8_000_000, 60), []);
    kernel.packet(ports("80"), Direction::In, 1);
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 8_000_000, 60),
        [punished("8M/2/1M/1")]
    );
}

#[test]
fn a_quiet_minute_begins_it_all_over() {
    let (mut kernel, mut pm) = running("8M/3/1M/2");
    for _ in 0..3 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 60), []);
        assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 60), []);
        assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
    }
    for _ in 0..2 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 60), []);
    }
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 16_000_000, 60),
        [punished("8M/3/1M/2")]
    );
    // It runs its full length, whatever passes, and is told once.
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 16_000_000, 60),
        [restored()]
    );
    assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 60), []);
}

#[test]
fn a_timer_may_be_a_little_early() {
    let (mut kernel, mut pm) = running("8M/3/1M/2");
    for _ in 0..2 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 59), []);
    }
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 16_000_000, 59),
        [punished("8M/3/1M/2")]
    );
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 59), []);
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 59), [restored()]);
}

#[test]
fn looks_of_a_few_seconds_are_added_up() {
    let (mut kernel, mut pm) = running("8M/1/1M/2");
    // A burst of one second, and nothing for the rest of the minute.
    assert_eq!(tick_after(&mut pm, &mut kernel, 400_000_000, 1), []);
    for _ in 0..11 {
        assert_eq!(tick_after(&mut pm, &mut kernel, 0, 5), []);
    }
    // A quarter of a minute each, of which every other is quiet: 16 Mbit/s all in all.
    let mut events = Vec::new();
    for quarter in 0..5 {
        let bits = if quarter % 2 == 0 { 32_000_000 } else { 0 };
        events.extend(tick_after(&mut pm, &mut kernel, bits, 15));
    }
    assert_eq!(events, [punished("8M/1/1M/2")]);
}

/// A service that a request did not read would seem to be at rest.
#[test]
fn who_was_not_read_is_not_judged() {
    let (mut kernel, mut pm) = running("8M/2/1M/1");
    pm.reads_all = false;
    tick_after(&mut pm, &mut kernel, 0, 60);
    for _ in 0..3 {
        flow(&mut pm, &mut kernel, 16_000_000, 50);
        let note = Settings {
            note: Some(pm.time.to_string().parse().unwrap()),
            ..Settings::default()
        };
        do_now(&mut pm, &mut kernel, &set("90", note));
        assert_eq!(
            pm.saved.ledgers[&ports("80")].hog.sample,
            0,
            "it was not read"
        );
        flow(&mut pm, &mut kernel, 16_000_000, 10);
    }
    let events = tick_after(&mut pm, &mut kernel, 16_000_000, 0);
    assert_eq!(events, [punished("8M/2/1M/1")]);
    // What the request itself read is not lost for the next judgement.
    tick_after(&mut pm, &mut kernel, 0, 60);
    let above = |pm: &Pm| pm.saved.ledgers[&ports("80")].hog.above;
    flow(&mut pm, &mut kernel, 16_000_000, 45);
    do_now(&mut pm, &mut kernel, &set("80", ruled("8M/2/2M/1")));
    assert_eq!(above(&pm), Duration::ZERO);
    tick_after(&mut pm, &mut kernel, 16_000_000, 15);
    assert_eq!(above(&pm), 60 * SECOND);
}

/// A minute's tick may come a few seconds after somebody else's.
#[test]
fn a_punishment_ends_on_time_whoever_has_read_before() {
    let (mut kernel, mut pm) = running("1M/1/100K/2");
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 2_000_000, 60),
        [punished("1M/1/100K/2")]
    );
    for seconds in [60, 33] {
        assert_eq!(tick_after(&mut pm, &mut kernel, 0, seconds), []);
    }
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 27), [restored()]);
    assert_eq!(policed(&kernel), (None, None));
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
}

#[test]
fn a_restart_ends_no_punishment_and_begins_none() {
    let (mut kernel, mut pm) = running("8M/2/1M/2");
    tick_after(&mut pm, &mut kernel, 16_000_000, 60);
    kernel.reboot();
    // How long the host was off, and what passed meanwhile, nobody knows.
    kernel.since_boot = 90 * SECOND;
    let events = tick_after(&mut pm, &mut kernel, 0, 600);
    assert!(matches!(events[..], [Event::Restarted { .. }]));
    assert_eq!(tick_after(&mut pm, &mut kernel, 16_000_000, 60), []);
    assert_eq!(
        tick_after(&mut pm, &mut kernel, 16_000_000, 60),
        [punished("8M/2/1M/2")]
    );
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
    kernel.reboot();
    let events = tick_after(&mut pm, &mut kernel, 0, 3_600);
    assert!(matches!(events[..], [Event::Restarted { .. }]));
    assert_eq!(
        policed(&kernel).0,
        Some(125_000),
        "it is in force in the new boot"
    );
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 50), []);
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 50), [restored()]);
    assert_eq!(policed(&kernel), (None, None));
}

#[test]
fn who_has_no_rule_any_more_is_free_at_once() {
    let (mut kernel, mut pm) = running("8M/1/1M/600");
    tick_after(&mut pm, &mut kernel, 16_000_000, 60);
    assert!(policed(&kernel).0.is_some());
    // Even where nothing is judged now.
    pm.reads_all = false;
    let free = Settings {
        dynqos: Some(None),
        ..Settings::default()
    };
    do_now(&mut pm, &mut kernel, &set("80", free));
    assert_eq!(std::mem::take(&mut pm.events), [restored()]);
    assert_eq!(policed(&kernel), (None, None));
    assert!(classes(&pm.config, &pm.saved).is_empty());
    // Who has one again begins again.
    do_now(&mut pm, &mut kernel, &set("80", ruled("8M/1/1M/600")));
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
}

#[test]
fn a_milder_rule_is_milder_at_once_and_a_harder_one_too() {
    let (mut kernel, mut pm) = running("8M/1/1M/600");
    tick_after(&mut pm, &mut kernel, 16_000_000, 60);
    do_now(&mut pm, &mut kernel, &set("80", ruled("8M/1/2M/600")));
    assert_eq!(policed(&kernel).0, Some(250_000));
    do_now(&mut pm, &mut kernel, &set("80", ruled("8M/1/16K/2")));
    assert_eq!(policed(&kernel).0, Some(2_000));
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), []);
    assert_eq!(tick_after(&mut pm, &mut kernel, 0, 60), [restored()]);
}

/// Fault 15 of the scripts pm replaces: a punishment above the limit made a port faster.
#[test]
fn nobody_is_punished_into_speed() {
    let limit = |text: &str| {
        Some(Some(
            Limit::try_from(text.parse::<BitRate>().unwrap()).unwrap(),
        ))
    };
    for (limits, free, slow) in [
        (["", ""], (None, None), (Some(625_000), Some(781_250))),
        (
            ["1M", ""],
            (None, Some(156_250)),
            (Some(625_000), Some(156_250)),
        ),
        (
            ["", "2M"],
            (Some(250_000), None),
            (Some(250_000), Some(781_250)),
        ),
        (
            ["100M", "100M"],
            (Some(12_500_000), Some(15_625_000)),
            (Some(625_000), Some(781_250)),
        ),
    ] {
        let (mut kernel, mut pm) = running("8M/1/5M/1");
        let [out, into] = limits.map(|text| if text.is_empty() { None } else { limit(text) });
        let settings = Settings {
            limit: Some(out.flatten()),
            limit_in: Some(into.flatten()),
            ..Settings::default()
        };
        do_now(&mut pm, &mut kernel, &set("80", settings));
        assert_eq!(policed(&kernel), free);
        assert_eq!(
            tick_after(&mut pm, &mut kernel, 16_000_000, 60),
            [punished("8M/1/5M/1")]
        );
        assert_eq!(policed(&kernel), slow);
        // The class has the rate itself, the rules a quarter more.
        let class = classes(&pm.config, &pm.saved)[&80].bytes_per_second();
        assert_eq!(slow.1, Some(class * 5 / 4));
        assert_eq!(
            tick_after(&mut pm, &mut kernel, 16_000_000, 60),
            [restored()]
        );
        assert_eq!(policed(&kernel), free);
    }
}

#[test]
fn a_rule_is_four_parts_in_their_bounds() {
    for (text, shown) in [
        ("100M/5/5M/60", "100Mbps/5/5Mbps/60"),
        (" 1Gbps / 1 / 8K / 10080 ", "1Gbps/1/8Kbps/10080"),
        ("8000/10080/8000/1", "8Kbps/10080/8Kbps/1"),
    ] {
        assert_eq!(rule(text).to_string(), shown);
    }
    let refused = |text: &str| text.parse::<DynQos>().unwrap_err();
    for text in ["", "100M", "100M/5/5M", "100M/5/5M/60/1", "100M,5,5M,60"] {
        assert_eq!(refused(text), DynQosError::Form(text.to_owned()));
    }
    for minutes in [
        "0",
        "10081",
        "",
        "-1",
        "+5",
        "5.5",
        "5m",
        "99999999999999999999",
        "５",
    ] {
        let error = DynQosError::Minutes(minutes.to_owned());
        assert_eq!(refused(&format!("100M/{minutes}/5M/60")), error);
        assert_eq!(refused(&format!("100M/5/5M/{minutes}")), error);
    }
    assert!(matches!(refused("100MB/5/5M/60"), DynQosError::Rate(_)));
    assert!(matches!(refused("0/5/5M/60"), DynQosError::Rate(_)));
    assert!(matches!(refused("100M/5/7999/60"), DynQosError::Limit(_)));
    let too_low = "7999".parse().unwrap();
    assert_eq!(refused("7999/5/5M/60"), DynQosError::TriggerTooLow(too_low));
}

/// What happens between two judgements.
#[derive(Clone, Debug)]
enum Step {
    Tick(u64),
    /// A request about another service, which reads that one alone.
    Elsewhere(u64),
    Reboot,
    PmIsOff,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Tick(60)),
        3 => (0u64..120).prop_map(Step::Tick),
        2 => (0u64..3_000).prop_map(Step::Tick),
        1 => (0u64..50).prop_map(Step::Elsewhere),
        1 => Just(Step::Reboot),
        1 => Just(Step::PmIsOff),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Fault 3 of the scripts pm replaces: a source of a constant rate is punished if it is above
    /// the trigger, after the time that the rule says, and else never: whenever ticks come.
    #[test]
    fn a_constant_rate_is_judged_by_itself_whenever_ticks_come(
        trigger in 1u64..200,
        rate in 1u64..200,
        (long, slow) in (1u16..8, 1u16..8),
        steps in vec(step(), 1..60),
    ) {
        let text = format!("{}/{long}/8K/{slow}", trigger * 8_000);
        let (mut kernel, mut pm) = running(&text);
        pm.reads_all = false;
        let bits = rate * 8_000;
        // A timer may be that much early.
        let slack = Duration::from_secs(5);
        let (mut above, mut punished_for) = (Duration::ZERO, None);
        let mut waiting = Duration::ZERO;
        for (number, step) in steps.into_iter().enumerate() {
            let events = match step {
                Step::Tick(seconds) => {
                    waiting += Duration::from_secs(seconds);
                    tick_after(&mut pm, &mut kernel, bits, seconds)
                }
                Step::Elsewhere(seconds) => {
                    waiting += Duration::from_secs(seconds);
                    flow(&mut pm, &mut kernel, bits, seconds);
                    let request = match number % 2 {
                        0 => Request::Block { ports: these("90") },
                        _ => Request::Unblock { ports: these("90") },
                    };
                    let _ = pm.request(&mut kernel, &mut Quiet, usize::MAX, &request);
                    std::mem::take(&mut pm.events)
                }
                Step::Reboot => {
                    kernel.reboot();
                    kernel.since_boot = 40 * SECOND;
                    (waiting, above) = (Duration::ZERO, Duration::ZERO);
                    let events = tick_after(&mut pm, &mut kernel, 0, 100);
                    let is_of_dynqos = |event: &Event| !matches!(event, Event::Restarted { .. });
                    events.into_iter().filter(is_of_dynqos).collect()
                }
                Step::PmIsOff => {
                    waiting += 600 * SECOND;
                    flow(&mut pm, &mut kernel, bits, 600);
                    Vec::new()
                }
            };
            let judged = pm.saved.judged_at == Some(kernel.since_boot);
            if judged {
                let known = std::mem::take(&mut waiting);
                match &mut punished_for {
                    Some(time) => *time += known,
                    None if rate > trigger => above += known,
                    None => {}
                }
            }
            // A tick ends what is over, however short the time since the last judgement.
            let ticked = !matches!(step, Step::Elsewhere(_) | Step::PmIsOff);
            match &events[..] {
                [] => {
                    let minutes = |minutes: u16| Duration::from_secs(u64::from(minutes) * 60);
                    match punished_for {
                        Some(time) => {
                            prop_assert!(time + waiting + slack < minutes(slow) || !ticked);
                        }
                        None => prop_assert!(above + slack < minutes(long)),
                    }
                }
                [Event::Punished { .. }] => {
                    prop_assert!(rate > trigger && punished_for.is_none());
                    prop_assert!(above + slack >= Duration::from_secs(u64::from(long) * 60));
                    (above, punished_for) = (Duration::ZERO, Some(Duration::ZERO));
                }
                [Event::Restored { .. }] => {
                    let time = punished_for.take().unwrap() + waiting;
                    prop_assert!(time + slack >= Duration::from_secs(u64::from(slow) * 60));
                }
                events => prop_assert!(false, "{events:?}"),
            }
            prop_assert_eq!(policed(&kernel).0.is_some(), punished_for.is_some());
        }
    }

    /// Fault 15 of the scripts pm replaces: whatever the rule and the limits, a punishment makes
    /// nobody faster, and is what it says where the limits are higher.
    #[test]
    fn a_punishment_is_the_lower_of_rule_and_limit(mut service in service(), rule in dynqos()) {
        service.dynqos = Some(rule);
        let mut ledger = Ledger::new(None, account());
        let free = Rates::of(&service, &ledger);
        prop_assert_eq!(free.outgoing, service.limit.map(Limit::rate));
        prop_assert_eq!(free.incoming, service.limit_in.map(Limit::rate));
        ledger.hog.punished = Some(SECOND);
        let slow = Rates::of(&service, &ledger);
        for (free, slow) in [(free.outgoing, slow.outgoing), (free.incoming, slow.incoming)] {
            let slow = slow.unwrap();
            prop_assert!(slow <= rule.punish.rate());
            prop_assert!(free.is_none_or(|free| slow <= free));
            prop_assert!(slow == rule.punish.rate() || Some(slow) == free);
        }
        let without = Service { dynqos: None, ..service };
        prop_assert_eq!(Rates::of(&without, &ledger), free);
    }

    #[test]
    fn a_rule_reads_as_it_is_written(rule in dynqos()) {
        prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        prop_assert_eq!(Minutes::new(rule.punish_minutes.get()), Some(rule.punish_minutes));
    }

    #[test]
    fn no_rule_text_panics(text in "[0-9a-zA-Z/. +-]{0,30}") {
        let _ = text.parse::<DynQos>();
    }

    /// However long the looks and whatever was saved, nothing overflows.
    #[test]
    fn no_judgement_panics(
        rule in proptest::option::of(dynqos()),
        sample: u64,
        above: Duration,
        punished: Option<Duration>,
        elapsed: Option<Duration>,
    ) {
        let mut hog = Hog { sample, above, punished };
        let was = hog.punished.is_some();
        let verdict = hog.judge(rule, elapsed);
        prop_assert_eq!(hog.sample, 0);
        let is = hog.punished.is_some();
        let expected = match (was, is) {
            (false, true) => Some(Verdict::Punished),
            (true, false) => Some(Verdict::Restored),
            _ => None,
        };
        prop_assert_eq!(verdict, expected);
    }
}

fn account() -> pm_core::ledger::Account {
    use pm_core::calendar::{Period, ResetPolicy};
    let period = Period::restore(ResetPolicy::Never, None);
    pm_core::ledger::Account::new(Default::default(), period, None)
}
