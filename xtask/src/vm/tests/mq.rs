//! A network card with several queues is given back with all of them.

use anyhow::{Result, ensure};
use pm_tc::Classifier;

use super::tc::{Shaper, operators_mq, qdiscs, shape, tc};
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};

tests!["mq":
    the_kernels_own_mq_comes_back,
    an_operators_mq_comes_back_with_its_queues,
];

/// A pair of the lab's has an `mq` only where somebody chose it; other cards come with one.
fn the_kernels_own_mq_comes_back(lab: &mut Lab) -> Result<String> {
    lab.vps
        .ip("link add many numtxqueues 4 type ifb\nlink set many up\n")?;
    let shown = come_and_go(lab, "many")?;
    // Its queues cannot be changed, so there is nothing more to bring back.
    ensure!(tc(lab, "qdisc replace dev many parent :1 pfifo limit 77").is_err());
    lab.vps.ip("link del many\n")?;
    Ok(shown)
}

fn an_operators_mq_comes_back_with_its_queues(lab: &mut Lab) -> Result<String> {
    operators_mq(lab)?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::Out, 10, 100)?;
    let shown = come_and_go(lab, "eth0")?;
    udp.send(Way::Out, 10, 100)?;
    Ok(shown)
}

/// Takes the root of a card and gives it back, and returns what stood there.
fn come_and_go(lab: &Lab, card: &'static str) -> Result<String> {
    let before = qdiscs(lab, card)?;
    ensure!(
        before.contains("qdisc mq "),
        "this is no card with queues: {before}"
    );
    let mut shaper = Shaper::new(card)?;
    shaper.apply(&shape(&[(1, "5M")], Classifier::Priority)?)?;
    let taken = qdiscs(lab, card)?;
    ensure!(
        !taken.contains("qdisc mq "),
        "pm did not take the root: {taken}"
    );
    shaper.withdraw()?;
    let after = qdiscs(lab, card)?;
    ensure!(after == before, "before:\n{before}after:\n{after}");
    let kinds = before.lines().map(|line| {
        let words: Vec<_> = line.split(' ').skip(1).take(2).collect();
        words.join(" ")
    });
    Ok(kinds.collect::<Vec<_>>().join(", "))
}
