//! Classes and leaves as the distribution's kernel makes them.

use anyhow::{Result, bail, ensure};
use pm_tc::{Classifier, DEFAULT_MINOR, class_id};

use super::tc::{Shaper, leaf, qdiscs, sent, shape, tc};
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};

tests!["shaping":
    classes_have_fq_codel_and_the_default_class_has_the_hosts_own,
    a_class_sends_at_its_rate_and_slows_nobody_else,
];

const PAYLOAD: usize = 1372;

fn classes_have_fq_codel_and_the_default_class_has_the_hosts_own(lab: &mut Lab) -> Result<String> {
    lab.vps.ip("link add one type ifb\nlink set one up\n")?;
    let wanted = shape(&[(1, "5M"), (0x10, "20M")], Classifier::Priority)?;
    let mut shown = Vec::new();
    for (interface, chosen, own) in [
        ("one", None, "fq_codel limit 10240p flows 1024"),
        ("one", Some("fq limit 999 maxrate 77mbit"), "fq limit 999p"),
        (
            "one",
            Some("fq_codel limit 777 flows 64"),
            "fq_codel limit 777p flows 64",
        ),
        ("one", Some("pfifo limit 33"), "pfifo limit 33p"),
        // A pair has no queue at all: net.core.default_qdisc stands in.
        ("eth0", None, "fq_codel limit 10240p flows 1024"),
        ("eth0", Some("mq"), "fq_codel limit 10240p flows 1024"),
    ] {
        if let Some(chosen) = chosen {
            // The kernel changes no kind under one handle.
            let handle = 0x10 + shown.len();
            let line = format!("qdisc replace dev {interface} root handle {handle:x}: {chosen}");
            tc(lab, &line)?;
        }
        let before = qdiscs(lab, interface)?;
        let mut shaper = Shaper::new(interface)?;
        shaper.apply(&wanted)?;
        for minor in [1, 0x10] {
            let found = leaf(lab, interface, minor)?;
            ensure!(
                found.starts_with("qdisc fq_codel "),
                "class {minor:x} has {found:?}"
            );
        }
        let found = leaf(lab, interface, DEFAULT_MINOR)?;
        let (kind, options) = own.split_once(' ').unwrap_or((own, ""));
        ensure!(
            found.starts_with(&format!("qdisc {kind} ")) && found.contains(options),
            "for {chosen:?} the default class has {found:?}"
        );
        shaper.withdraw()?;
        let after = qdiscs(lab, interface)?;
        ensure!(after == before, "before:\n{before}after:\n{after}");
        shown.push(own);
    }
    lab.vps.ip("link del one\n")?;
    Ok(shown.join(", "))
}

fn a_class_sends_at_its_rate_and_slows_nobody_else(lab: &mut Lab) -> Result<String> {
    let mut shaper = Shaper::new("eth0")?;
    shaper.apply(&shape(&[(1, "5M"), (2, "1M")], Classifier::Priority)?)?;
    let id = |minor| format!("{:x}:{minor:x}", class_id(minor) >> 16);
    lab.vps.nft_load(&format!(
        "table inet sort {{ chain output {{ type filter hook output priority 0;\n\
         udp sport 20000 meta priority set {}\n\
         udp sport 20001 meta priority set {}\n}}\n}}\n",
        id(1),
        id(2),
    ))?;
    let fast = check_rate(lab, 20000, 5e6)?;
    let slow = check_rate(lab, 20001, 1e6)?;
    let free = measure(lab, 20002, 5e6)? / 1e6;
    ensure!(free > 7.0, "{free:.1} Mbit/s are left without a class");
    for minor in [1, 2, DEFAULT_MINOR] {
        let (_, packets) = sent(lab, "eth0", minor)?;
        ensure!(packets > 100, "{packets} packets in class {minor:x}");
    }
    Ok(format!(
        "{fast:.3} of 5M, {slow:.3} of 1M, {free:.0} Mbit/s without a class"
    ))
}

/// Checks that what `port` sends goes at `rate` bits a second, by its frames, and returns what share of it it was.
///
/// A processor that others use takes time from the sender and from the clock's reader, but not three times.
pub(super) fn check_rate(lab: &Lab, port: u16, rate: f64) -> Result<f64> {
    let mut last = 0.0;
    for _ in 0..3 {
        last = measure(lab, port, rate)? / rate;
        if (0.95..1.02).contains(&last) {
            return Ok(last);
        }
    }
    bail!("port {port} has {last:.3} of its {rate} bits a second")
}

/// Sends from `port` for as long as four seconds' worth at `rate` takes, and returns at how many bits a second its
/// frames go.
pub(super) fn measure(lab: &Lab, port: u16, rate: f64) -> Result<f64> {
    let udp = Udp::open(lab, Family::V4, port)?;
    let frame = (Family::V4.udp_length(PAYLOAD) + 14) as f64;
    let count = (rate * 4.0 / 8.0 / frame) as u64;
    Ok(udp.rate(Way::Out, PAYLOAD, 50, count)? / PAYLOAD as f64 * frame)
}
