//! What it costs to look: the table and its JSON, beyond what any process costs.

use std::path::Path;

use anyhow::Result;

use super::loads::lab_with;
use super::measure::{Cost, cost, median};
use super::{Effort, Row};

/// What is looked at, how, and at most how many milliseconds of the processor that may take.
const VIEWS: [(&str, &[&str], f64); 3] = [
    ("`pm`, the table", &[], 20.0),
    ("`pm list` in Chinese", &["list", "--lang", "zh"], 20.0),
    ("`pm list --json`", &["list", "--json"], 10.0),
];

/// Measures the views of 100 services, and a pm that does nothing.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = lab_with(pm, 100)?;
    let mut starts: Vec<Cost> = Vec::new();
    let mut costs: [Vec<Cost>; VIEWS.len()] = Default::default();
    for _ in 0..effort.rounds(31) {
        starts.push(cost(&lab, &["--version"])?);
        for (costs, (_, args, _)) in costs.iter_mut().zip(VIEWS) {
            costs.push(cost(&lab, args)?);
        }
    }
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu_ms()));
    let start = cpu(&starts);
    let mut rows = vec![Row::beside(
        "the start of a process (`pm --version`)",
        format!("{start:.1} ms CPU"),
    )];
    for (costs, (what, _, goal)) in costs.iter().zip(VIEWS) {
        let beyond = cpu(costs) - start;
        rows.push(Row::goal(
            format!("{what}, 100 services, beyond the start of a process"),
            format!("≤ {goal} ms CPU"),
            format!("{beyond:.1} ms CPU"),
            beyond <= goal,
        ));
    }
    Ok(rows)
}
