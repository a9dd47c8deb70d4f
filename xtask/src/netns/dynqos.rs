//! DynQoS over real minutes, for which nobody waits: pm runs in time namespaces, in which its boot clock is ahead.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab, Service};
use crate::speed::{AHEAD, classes, measure};
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way};
use crate::truth::Place;

tests!["dynqos":
    who_hogs_the_line_is_slowed_down_both_ways_and_restored_in_time,
    fault_3_a_long_pause_is_not_taken_for_a_minute,
    only_minutes_without_a_break_are_punished,
    fault_15_a_punishment_speeds_nobody_up,
    a_punishment_outlives_whatever_happens_to_the_rules,
    a_milder_rule_is_milder_at_once,
    without_its_rule_a_service_is_free_at_once,
];

const KBIT: u64 = 1_000;

/// Sends this part of what the trigger of all rules here, 100 Kbps, lets pass in one minute; in and out together, as
/// one packet of 1 kB after the other, so that none waits for a limit.
fn use_up(lab: &Lab, port: u16, minutes: f64) -> Result<()> {
    const LENGTH: usize = 1_000;
    let bytes = minutes * 60.0 * 100_000.0 / 8.0;
    let each = Family::V4.udp_length(LENGTH) as f64;
    let count = (bytes / each).round() as u64;
    let udp = Udp::open(lab, Family::V4, port)?;
    udp.send(Way::In, count / 2, LENGTH)?;
    udp.send(Way::Out, count - count / 2, LENGTH)
}

/// Does a tick so many minutes after the lab was made. Returns what it said.
fn tick_at(lab: &mut Lab, minutes: u64) -> Result<String> {
    let lab = lab.aged(Duration::from_secs(60 * minutes));
    let output = lab.pm(&["monitor"])?;
    let said = format!("{}{}", output.stdout, output.stderr);
    output
        .success()
        .with_context(|| format!("in minute {minutes}"))?;
    Ok(said)
}

fn is_punished(lab: &Lab, port: &str) -> Result<bool> {
    Ok(lab.service(port)?.state == "punished")
}

/// A port and at which rates it sends and receives; `None`: as fast as the line.
type Rates<'a> = (&'a str, Option<u64>, Option<u64>);

/// Checks the rates of services: what pm says, the classes, and the limits in the rules.
fn check_rates(lab: &Lab, rates: &[Rates<'_>]) -> Result<()> {
    let (services, classes, table) = (lab.list()?, classes(lab, "eth0")?, lab.table()?);
    for &(port, out, incoming) in rates {
        let service = services.iter().find(|service| service.port == port);
        let shown = service.map(|service| (service.ceil_bps, service.ceil_in_bps));
        ensure!(
            shown == Some((out, incoming)),
            "{out:?} out and {incoming:?} in were to be the rates of {service:?}"
        );
        let class = classes.get(&port.parse()?).copied();
        ensure!(
            class.map(|class| class.rate) == out,
            "{port} was to send at {out:?}, and has class {class:?}"
        );
        // What is sent may be a quarter ahead of its class before it is dropped unbilled.
        for (chain, rate, quarters) in [("in", incoming, 4), ("out", out, 5)] {
            let bytes = rate.map(|rate| (rate * quarters / 32).to_string());
            let name = format!("limit l_{chain}_{port}_");
            let mut limits = table
                .lines()
                .filter_map(|line| line.trim().strip_prefix(&name)?.strip_suffix(" {"));
            let found = (limits.next(), limits.next());
            ensure!(
                found == (bytes.as_deref(), None),
                "the limits of {chain}_{port} are {found:?} instead of {bytes:?}:\n{table}"
            );
        }
    }
    Ok(())
}

fn who_hogs_the_line_is_slowed_down_both_ways_and_restored_in_time(lab: &mut Lab) -> Result<()> {
    const PUNISH: u64 = 4_000 * KBIT;
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20001"])?;
    let rule = "100K/2/4M/10";
    lab.ok(&["add", "20000,20002", "--dynqos", rule])?;
    lab.ok(&[
        "add",
        "20001",
        "--dynqos",
        rule,
        "--limit",
        "20M",
        "--limit-in",
        "10M",
    ])?;
    lab.ok(&["add", "20003"])?;
    tick_at(lab, 0)?;
    for minute in [1, 2] {
        for port in ["20000", "20001", "20002"] {
            ensure!(
                !is_punished(lab, port)?,
                "{port} is punished before minute {minute} is over"
            );
        }
        for port in [20000, 20001, 20003] {
            use_up(lab, port, 1.1)?;
        }
        let said = tick_at(lab, minute)?;
        ensure!(
            said.contains("20000") == (minute == 2),
            "in minute {minute}, the tick said {said:?}"
        );
    }
    for port in ["20000", "20001"] {
        ensure!(
            lab.service(port)?.punished_seconds == Some(600),
            "{:?}",
            lab.service(port)?
        );
    }
    let punished = Some(PUNISH);
    // Neither who is quiet nor who has no rule.
    check_rates(
        lab,
        &[
            ("20000", punished, punished),
            ("20001", punished, punished),
            ("20002", None, None),
            ("20003", None, None),
        ],
    )?;
    {
        let _out = TcpFlood::start(lab, Family::V4, Way::Out, 20000)?;
        let pace = Pace::Steady(2 * PUNISH);
        let _in = Flood::start(lab, Family::V6, Way::In, 20001, 1000, pace)?;
        let out = measure(lab, Place::Client, Way::Out, &["20000"], 600_000)?;
        let bucket = PUNISH / 8 + 65_536;
        let incoming = measure(lab, Place::Passed, Way::In, &["20001"], 600_000)?;
        out.iter()
            .try_for_each(|speed| speed.check(PUNISH, AHEAD))?;
        incoming
            .iter()
            .try_for_each(|speed| speed.check(PUNISH, bucket + AHEAD))?;
    }
    tick_at(lab, 11)?;
    let Service {
        punished_seconds, ..
    } = lab.service("20000")?;
    ensure!(
        punished_seconds.is_some_and(|left| (50..=70).contains(&left)),
        "a minute before its end, the punishment has {punished_seconds:?} s to go"
    );
    check_rates(lab, &[("20001", punished, punished)])?;
    let said = tick_at(lab, 12)?;
    ensure!(said.contains("20000"), "the tick said {said:?}");
    let (out, incoming) = (Some(20_000 * KBIT), Some(10_000 * KBIT));
    check_rates(lab, &[("20000", None, None), ("20001", out, incoming)])?;
    // It begins anew.
    use_up(lab, 20000, 1.1)?;
    tick_at(lab, 13)?;
    ensure!(!is_punished(lab, "20000")?, "punished again for one minute");
    Ok(())
}

/// Fault 3 of the scripts pm replaces: what passed since the last tick was divided by 60 s, however long that was. So
/// 20 Mbit/s became 180 where somebody had kept the menu open for nine minutes, and was punished.
fn fault_3_a_long_pause_is_not_taken_for_a_minute(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--dynqos", "100K/1/50K/10"])?;
    lab.ok(&["add", "20001", "--dynqos", "100K/9/50K/10"])?;
    tick_at(lab, 0)?;
    use_up(lab, 20000, 9.0 * 0.9)?;
    use_up(lab, 20001, 9.0 * 1.1)?;
    tick_at(lab, 9)?;
    ensure!(
        !is_punished(lab, "20000")?,
        "nine minutes below the trigger are punished"
    );
    ensure!(
        is_punished(lab, "20001")?,
        "nine minutes above the trigger are not"
    );
    // The same bytes in one minute are nine times as fast.
    use_up(lab, 20000, 9.0 * 0.9)?;
    tick_at(lab, 10)?;
    ensure!(is_punished(lab, "20000")?, "a minute far above is not");
    Ok(())
}

fn only_minutes_without_a_break_are_punished(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--dynqos", "100K/2/50K/10"])?;
    tick_at(lab, 0)?;
    for minute in [1, 3, 5] {
        use_up(lab, 20000, 1.5)?;
        // Ticks do not count, time does.
        for _ in 0..3 {
            tick_at(lab, minute)?;
        }
        ensure!(
            !is_punished(lab, "20000")?,
            "one minute is punished as two, in minute {minute}"
        );
        tick_at(lab, minute + 1)?;
    }
    for minute in [7, 8] {
        use_up(lab, 20000, 1.5)?;
        tick_at(lab, minute)?;
    }
    ensure!(is_punished(lab, "20000")?, "two minutes are not punished");
    Ok(())
}

/// Fault 15 of the scripts pm replaces: the punishing rate took the place of the limit, and who was limited to less
/// was sped up.
fn fault_15_a_punishment_speeds_nobody_up(lab: &mut Lab) -> Result<()> {
    let rule = "100K/1/50M/10";
    for (port, limits) in [
        ("20000", &["--limit", "20M", "--limit-in", "30M"][..]),
        ("20001", &["--limit", "20M"]),
        ("20002", &["--limit-in", "30M"]),
        ("20003", &["--limit", "80M", "--limit-in", "90M"]),
        ("20004", &["--limit", "50M", "--limit-in", "50M"]),
    ] {
        let mut args = vec!["add", port, "--dynqos", rule];
        args.extend(limits);
        let output = lab.pm(&args)?;
        // A punishment above its own trigger is one to be warned of.
        let warned = output.stderr.contains("may never slow down");
        output.success()?;
        ensure!(warned, "nobody is told what the rule of {port} comes to");
    }
    tick_at(lab, 0)?;
    for port in 20000..=20004 {
        use_up(lab, port, 1.1)?;
    }
    tick_at(lab, 1)?;
    let mbit = |number: u64| Some(number * 1000 * KBIT);
    let all = lab.list()?;
    ensure!(
        all.iter().all(|service| service.state == "punished"),
        "not all are punished: {all:?}"
    );
    check_rates(
        lab,
        &[
            ("20000", mbit(20), mbit(30)),
            ("20001", mbit(20), mbit(50)),
            ("20002", mbit(50), mbit(30)),
            ("20003", mbit(50), mbit(50)),
            ("20004", mbit(50), mbit(50)),
        ],
    )?;
    // A limit that is lowered below the punishment holds at once, and one that is raised does not.
    lab.ok(&["set", "20003", "--limit", "10M", "--limit-in", "600M"])?;
    check_rates(lab, &[("20003", mbit(10), mbit(50))])?;
    tick_at(lab, 11)?;
    check_rates(
        lab,
        &[
            ("20000", mbit(20), mbit(30)),
            ("20001", mbit(20), None),
            ("20002", None, mbit(30)),
            ("20003", mbit(10), mbit(600)),
        ],
    )
}

fn a_punishment_outlives_whatever_happens_to_the_rules(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--dynqos", "100K/1/5M/10"])?;
    tick_at(lab, 0)?;
    use_up(lab, 20000, 1.1)?;
    tick_at(lab, 1)?;
    let holds = |lab: &Lab, when: &str| {
        let punished = Some(5_000 * KBIT);
        check_rates(lab, &[("20000", punished, punished)]).with_context(|| format!("after {when}"))
    };
    holds(lab, "the verdict")?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.vps.tc(&["qdisc", "del", "dev", "eth0", "root"])?;
    tick_at(lab, 2)?;
    holds(lab, "a flush of everything")?;
    lab.vps.tc(&[
        "class",
        "change",
        "dev",
        "eth0",
        "classid",
        "706d:4e20",
        "htb",
        "rate",
        "9gbit",
    ])?;
    tick_at(lab, 3)?;
    holds(lab, "somebody's help")?;
    lab.ok(&["teardown"])?;
    lab.ok(&["restore"])?;
    holds(lab, "a teardown")?;
    lab.restart_vps()?;
    lab.ok(&["restore"])?;
    holds(lab, "a restart")?;
    tick_at(lab, 10)?;
    holds(lab, "nine minutes of ten")?;
    tick_at(lab, 11)?;
    check_rates(lab, &[("20000", None, None)])
}

fn a_milder_rule_is_milder_at_once(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--dynqos", "100K/1/1M/60"])?;
    tick_at(lab, 0)?;
    use_up(lab, 20000, 1.1)?;
    tick_at(lab, 1)?;
    check_rates(lab, &[("20000", Some(1_000 * KBIT), Some(1_000 * KBIT))])?;
    lab.ok(&["set", "20000", "--dynqos", "100K/1/3M/60"])?;
    check_rates(lab, &[("20000", Some(3_000 * KBIT), Some(3_000 * KBIT))])?;
    lab.ok(&["set", "20000", "--dynqos", "100K/1/3M/2"])?;
    tick_at(lab, 2)?;
    ensure!(is_punished(lab, "20000")?, "two minutes are over after one");
    tick_at(lab, 3)?;
    check_rates(lab, &[("20000", None, None)])
}

fn without_its_rule_a_service_is_free_at_once(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,20001", "--dynqos", "100K/1/1M/60"])?;
    tick_at(lab, 0)?;
    for port in [20000, 20001] {
        use_up(lab, port, 1.1)?;
    }
    tick_at(lab, 1)?;
    lab.ok(&["set", "20000", "--dynqos", "none"])?;
    check_rates(lab, &[("20000", None, None)])?;
    ensure!(!is_punished(lab, "20000")?, "punished without a rule");
    lab.ok(&["del", "20001"])?;
    lab.ok(&["add", "20001", "--dynqos", "100K/1/1M/60"])?;
    check_rates(lab, &[("20001", None, None)])?;
    // A rule that comes back finds no old guilt.
    lab.ok(&["set", "20000", "--dynqos", "100K/1/1M/60"])?;
    tick_at(lab, 2)?;
    for port in ["20000", "20001"] {
        ensure!(!is_punished(lab, port)?, "{port} is punished for its past");
    }
    Ok(())
}
