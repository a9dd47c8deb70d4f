//! What changes cost: all rules from nothing, and one service among many.

use std::path::Path;

use anyhow::Result;

use super::measure::{Cost, cost, median};
use super::{Effort, Row};
use crate::lab::Lab;

/// The first service's port.
pub(super) const FIRST: u16 = 1000;

/// Makes a lab with so many services, each with a quota, its rules loaded.
///
/// # Errors
///
/// When pm fails.
pub(super) fn lab_with(pm: &Path, services: u16) -> Result<Lab> {
    let lab = Lab::new(pm, 0)?;
    let ports: Vec<String> = (FIRST..FIRST + services)
        .map(|port| port.to_string())
        .collect();
    cost(&lab, &["add", &ports.join(","), "--quota", "100TB"])?;
    Ok(lab)
}

/// Measures `restore`, and changes of one service.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (services, shown, wall_goal) in [(100, "100", 50.0), (5000, "5,000", 1000.0)] {
        let lab = lab_with(pm, services)?;
        let mut costs = Vec::new();
        for _ in 0..effort.rounds(11) {
            lab.vps.nft(&["flush", "ruleset"])?;
            costs.push(cost(&lab, &["restore"])?);
        }
        rows.push(wall_row(
            format!("all rules from nothing, {shown} services"),
            wall_goal,
            &costs,
        ));
        if services == 5000 {
            rows.extend(single_changes(&lab, effort)?);
        }
    }
    Ok(rows)
}

fn single_changes(lab: &Lab, effort: Effort) -> Result<Vec<Row>> {
    let port = (FIRST + 2500).to_string();
    let mut quotas = Vec::new();
    let mut blocks = Vec::new();
    for _ in 0..effort.rounds(11) {
        for quota in ["200TB", "300TB"] {
            quotas.push(cost(lab, &["set", &port, "--quota", quota])?);
        }
        for command in ["block", "unblock"] {
            blocks.push(cost(lab, &[command, &port])?);
        }
    }
    Ok(vec![
        cpu_row("one changed quota among 5,000 services", &quotas),
        cpu_row("one block or unblock among 5,000 services", &blocks),
    ])
}

fn wall_row(what: String, goal: f64, costs: &[Cost]) -> Row {
    let (cpu, wall) = medians(costs);
    let goal_shown = if goal >= 1000.0 {
        format!("≤ {} s", goal / 1000.0)
    } else {
        format!("≤ {goal} ms")
    };
    Row::goal(
        what,
        goal_shown,
        format!("{wall:.1} ms ({cpu:.1} ms CPU)"),
        wall <= goal,
    )
}

fn cpu_row(what: &str, costs: &[Cost]) -> Row {
    let (cpu, wall) = medians(costs);
    Row::goal(
        what,
        "≤ 60 ms CPU",
        format!("{cpu:.1} ms CPU ({wall:.1} ms wall)"),
        cpu <= 60.0,
    )
}

fn medians(costs: &[Cost]) -> (f64, f64) {
    (
        median(costs.iter().map(|cost| cost.cpu_ms())),
        median(costs.iter().map(|cost| cost.wall_ms())),
    )
}
