//! Limits through pm itself: the class, its leaf and its filter, the rate, and the root that is given back.

use anyhow::{Result, ensure};
use pm_tc::DEFAULT_MINOR;

use super::shaping::{check_rate, measure};
use super::tc::{class, leaf, operators_mq, qdiscs, sent, tc};
use super::tests;
use crate::lab::{Family, Lab, check_refusal};
use crate::traffic::{Udp, Way};

tests!["limits":
    a_limited_service_has_a_class_at_its_rate,
    a_teardown_gives_back_an_operators_mq,
    an_operators_shaper_is_refused,
    by_mark_the_bits_of_others_stay,
    what_arrives_is_policed,
];

/// Port 20000; a service's class is numbered by its first port.
const MINOR: u16 = 20000;

fn a_limited_service_has_a_class_at_its_rate(lab: &mut Lab) -> Result<String> {
    let before = qdiscs(lab, "eth0")?;
    lab.ok(&["add", "20000,20001"])?;
    ensure!(qdiscs(lab, "eth0")? == before, "counting touched the root");
    lab.ok(&["set", "20000", "--limit", "5M"])?;
    check_class(lab, "rate 5Mbit ceil 5Mbit")?;
    let found = leaf(lab, "eth0", DEFAULT_MINOR)?;
    ensure!(
        found.starts_with("qdisc fq_codel "),
        "the default class has {found:?}"
    );
    let fast = check_rate(lab, 20000, 5e6)?;
    let free = measure(lab, 20001, 5e6)? / 1e6;
    ensure!(free > 7.0, "{free:.1} Mbit/s are left without a limit");
    lab.ok(&["set", "20000", "--limit", "1M"])?;
    check_class(lab, "rate 1Mbit ceil 1Mbit")?;
    let slow = check_rate(lab, 20000, 1e6)?;
    lab.ok(&["set", "20000", "--limit", "none"])?;
    // The root is kept for some ticks, in case a limit comes back.
    let mut ticks = 0;
    while qdiscs(lab, "eth0")? != before {
        ensure!(
            ticks < 5,
            "without a limit there is {}",
            qdiscs(lab, "eth0")?
        );
        lab.ok(&["monitor"])?;
        ticks += 1;
    }
    Ok(format!(
        "{fast:.3} of 5M, {slow:.3} of 1M, {free:.0} Mbit/s without a limit; the root is back after {ticks} ticks"
    ))
}

fn a_teardown_gives_back_an_operators_mq(lab: &mut Lab) -> Result<String> {
    let before = operators_mq(lab)?;
    lab.ok(&["add", "20000", "--limit", "5M"])?;
    for _ in 0..2 {
        check_class(lab, "rate 5Mbit ceil 5Mbit")?;
        lab.ok(&["monitor"])?;
        lab.ok(&["teardown"])?;
        let after = qdiscs(lab, "eth0")?;
        ensure!(after == before, "before:\n{before}after:\n{after}");
        lab.ok(&["restore"])?;
    }
    lab.ok(&["teardown"])?;
    let after = qdiscs(lab, "eth0")?;
    ensure!(after == before, "before:\n{before}after:\n{after}");
    Ok("three times".to_owned())
}

/// cake is taken and put back as long as it does not shape.
fn an_operators_shaper_is_refused(lab: &mut Lab) -> Result<String> {
    lab.ok(&["add", "20000"])?;
    let (plain, shaping, kind) = ("cake", "cake bandwidth 20mbit", "cake with a bandwidth");
    tc(
        lab,
        &format!("qdisc replace dev eth0 root handle 7: {shaping}"),
    )?;
    let before = qdiscs(lab, "eth0")?;
    let output = lab.pm(&["set", "20000", "--limit", "5M"])?;
    check_refusal(&output, &["eth0", kind])?;
    let after = qdiscs(lab, "eth0")?;
    ensure!(after == before, "before:\n{before}after:\n{after}");
    tc(lab, "qdisc del dev eth0 root")?;
    tc(
        lab,
        &format!("qdisc replace dev eth0 root handle 7: {plain}"),
    )?;
    lab.ok(&["set", "20000", "--limit", "5M"])?;
    check_class(lab, "rate 5Mbit ceil 5Mbit")?;
    let found = leaf(lab, "eth0", DEFAULT_MINOR)?;
    ensure!(
        found.starts_with(&format!("qdisc {plain} ")),
        "the default class has {found:?}"
    );
    lab.ok(&["set", "20000", "--limit", "none"])?;
    lab.ok(&["teardown"])?;
    tc(lab, "qdisc del dev eth0 root")?;
    lab.ok(&["restore"])?;
    Ok("cake".to_owned())
}

fn by_mark_the_bits_of_others_stay(lab: &mut Lab) -> Result<String> {
    let before = qdiscs(lab, "eth0")?;
    lab.ok(&["config", "set", "classifier", "fwmark"])?;
    lab.ok(&["add", "20000", "--limit", "5M"])?;
    check_class(lab, "rate 5Mbit ceil 5Mbit")?;
    let filters = tc(lab, "filter show dev eth0 parent 706d:")?;
    ensure!(
        filters.contains(" fw ")
            && filters.contains("handle 0x4e200000/0xffff0000 classid 706d:4e20"),
        "the filters are {filters}"
    );
    // Others mark before pm: bits of their own, and some of pm's.
    lab.vps.nft_load(
        "table inet others {\n\
         chain before { type filter hook output priority -10; meta mark set 0x77778042; }\n\
         chain after { type filter hook postrouting priority 300;\n\
         udp sport 20000 meta mark 0x4e208042 counter\n\
         udp sport 20000 meta mark 0x77778042 counter\n\
         udp sport 20001 meta mark 0x77778042 counter\n}\n}\n",
    )?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 20, 86)?;
    Udp::open(lab, Family::V4, 20001)?.send(Way::Out, 30, 86)?;
    check_marks(lab, [20, 0, 30])?;
    // 86 bytes, their headers, and Ethernet's.
    let found = sent(lab, "eth0", MINOR)?;
    ensure!(found == (20 * 128, 20), "the class has sent {found:?}");
    let share = check_rate(lab, 20000, 5e6)?;
    lab.ok(&["config", "set", "classifier", "priority"])?;
    let filters = tc(lab, "filter show dev eth0 parent 706d:")?;
    ensure!(filters.is_empty(), "the filters are {filters}");
    let (_, packets) = sent(lab, "eth0", MINOR)?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 10, 86)?;
    let (_, more) = sent(lab, "eth0", MINOR)?;
    ensure!(
        more == packets + 10,
        "the class has sent {packets}, then {more}"
    );
    lab.ok(&["teardown"])?;
    let after = qdiscs(lab, "eth0")?;
    ensure!(after == before, "before:\n{before}after:\n{after}");
    Ok(format!("0x77778042 becomes 0x4e208042; {share:.3} of 5M"))
}

fn what_arrives_is_policed(lab: &mut Lab) -> Result<String> {
    lab.ok(&["add", "20000", "--limit-in", "5M"])?;
    let payload = 1372;
    let frame = Family::V4.udp_length(payload) as f64;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    // A kernel's limit may let through what it saved in a second at rest.
    let rest = (5e6 * 1.5 / 8.0 / frame) as u64;
    let count = (5e6 * 4.0 / 8.0 / frame) as u64;
    let share = udp.rate(Way::In, payload, rest, count)? / payload as f64 * frame / 5e6;
    ensure!((0.9..1.05).contains(&share), "{share:.3} of 5M arrive");
    Ok(format!("{share:.3} of 5M"))
}

/// Checks class and leaf of port 20000.
fn check_class(lab: &Lab, rate: &str) -> Result<()> {
    let found = class(lab, "eth0", MINOR)?;
    ensure!(found.contains(rate), "not {rate:?}: {found:?}");
    let found = leaf(lab, "eth0", MINOR)?;
    ensure!(
        found.starts_with("qdisc fq_codel "),
        "the class has {found:?}"
    );
    Ok(())
}

/// Checks how many packets each of the rules behind pm's has seen.
fn check_marks(lab: &Lab, packets: [u64; 3]) -> Result<()> {
    let seen = lab.vps.nft(&["list", "chain", "inet", "others", "after"])?;
    let found: Vec<_> = seen
        .split("counter packets ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .collect();
    ensure!(
        found == packets,
        "behind pm's rules are {found:?} packets: {seen}"
    );
    Ok(())
}
