//! What is done to one service, and what fails for it, leaves every other as it was.

use anyhow::{Result, ensure};

use super::tests;
use crate::lab::{Family, Lab, Service};
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::Place;

tests!["crosstalk":
    commands_on_another_service_let_nothing_past_a_quota,
    a_chain_that_another_program_holds_on_to_costs_nothing,
    a_change_that_cannot_be_made_leaves_usage_and_configuration_as_they_were,
];

/// The length of a datagram's payload.
const PAYLOAD: usize = 1000;

/// A tick in mid-flood saves a quota and counters that were not read at one instant. Commands about another service
/// must not take these for being at rest.
fn commands_on_another_service_let_nothing_past_a_quota(lab: &mut Lab) -> Result<()> {
    const QUOTA: u64 = 200_000_000;
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "30000"])?;
    for round in 0..3 {
        lab.ok(&["add", "20000", "--quota", "200MB"])?;
        let before = lab.truth(Place::Passed, "20000")?.sum();
        let flood = Flood::start(lab, Family::V4, Way::In, 20000, PAYLOAD, Pace::Unchecked)?;
        for step in 0..4 {
            flood.wait_for(10_000)?;
            lab.ok(&["monitor"])?;
            lab.ok(&["set", "30000", "--note", &format!("{round}.{step}")])?;
            ensure!(
                !lab.table()?.contains("in_20000_b"),
                "round {round}.{step}: 20000 was moved for a note on 30000"
            );
        }
        flood.wait_for(2 * QUOTA / PAYLOAD as u64)?;
        lab.ok(&["set", "30000", "--note", "after the cut"])?;
        lab.ok(&["restore"])?;
        flood.wait_for(20_000)?;
        flood.stop()?;
        let passed = lab.truth(Place::Passed, "20000")?.sum() - before;
        ensure!(
            passed <= QUOTA,
            "round {round}: {passed} bytes passed a quota of {QUOTA}"
        );
        lab.ok(&["del", "20000"])?;
    }
    Ok(())
}

/// Makes a rule of another program's that leads into a chain of pm's, which then cannot be deleted.
fn hold_on_to(lab: &Lab, chain: &str) -> Result<()> {
    lab.vps
        .nft(&["add", "chain", "inet", "port_monitor", "mine"])?;
    lab.vps
        .nft(&["add", "rule", "inet", "port_monitor", "mine", "goto", chain])?;
    Ok(())
}

fn a_chain_that_another_program_holds_on_to_costs_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001", "--quota", "1GB"])?;
    hold_on_to(lab, "in_20000")?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 10, PAYLOAD)?;
    let moved = lab.pm(&["set", "20000", "--mode", "out"])?;
    ensure!(moved.stderr.contains("in_20000"), "{}", moved.stderr);
    udp.send(Way::In, 10, PAYLOAD)?;
    udp.send(Way::Out, 10, PAYLOAD)?;
    lab.exact(&["20000", "20001"])?;
    lab.ok(&["del", "20001"])?;
    lab.vps
        .nft(&["delete", "chain", "inet", "port_monitor", "mine"])?;
    let healed = lab.pm(&["monitor"])?;
    ensure!(!healed.stderr.contains("warning"), "{}", healed.stderr);
    udp.send(Way::Out, 10, PAYLOAD)?;
    lab.exact(&["20000"])
}

/// A chain of the name that pm needs next, with a rule that pm did not write there, is in the way of every change.
fn a_change_that_cannot_be_made_leaves_usage_and_configuration_as_they_were(
    lab: &mut Lab,
) -> Result<()> {
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001", "--quota", "1GB"])?;
    lab.ok(&["set", "20001", "--used", "2GB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 100, PAYLOAD)?;
    let before = (lab.service("20000")?, lab.service("20001")?);
    // Both names that its next room could have are held on to.
    hold_on_to(lab, "in_20000")?;
    lab.vps
        .nft(&["add", "chain", "inet", "port_monitor", "in_20000_b"])?;
    lab.vps.nft(&[
        "add",
        "rule",
        "inet",
        "port_monitor",
        "mine",
        "goto",
        "in_20000_b",
    ])?;
    let refused = lab.pm(&["set", "20000", "--mode", "out", "--used", "10MB"])?;
    ensure!(
        refused.code == Some(1),
        "exit code {:?}: {}",
        refused.code,
        refused.stderr
    );
    let after = (lab.service("20000")?, lab.service("20001")?);
    for (before, after) in [(&before.0, &after.0), (&before.1, &after.1)] {
        let figures = |of: &Service| (of.mode.clone(), of.billed_bytes, of.state.clone());
        ensure!(
            figures(before) == figures(after),
            "{before:?} became {after:?}"
        );
    }
    lab.vps
        .nft(&["delete", "chain", "inet", "port_monitor", "mine"])?;
    lab.ok(&["monitor"])?;
    udp.send(Way::In, 100, PAYLOAD)?;
    udp.send(Way::Out, 100, PAYLOAD)?;
    lab.exact(&["20000"])
}
