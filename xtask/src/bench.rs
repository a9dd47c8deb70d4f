//! `cargo xtask bench`: the figures of the README, measured in network namespaces of its own.
//!
//! - Other programs run on the same processors, so nothing is judged by a single run or by wall time alone: costs
//!   are CPU time, and what is compared is measured in turns, in one run, with the median of many.
//! - The table goes to standard output, progress to standard error.

mod cuts;
mod install;
mod loads;
mod measure;
mod notify;
mod packets;
mod shaping;
mod ticks;
mod views;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};

pub(crate) use measure::child;

use crate::cleanup;
use crate::lab;
use crate::netns;
use crate::test;

/// One line of the table.
#[derive(Debug)]
struct Row {
    what: String,
    goal: String,
    measured: String,
    met: bool,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
struct Effort {
    quick: bool,
}

impl Effort {
    /// Returns how often to repeat what is worth `rounds` repetitions.
    fn rounds(self, rounds: usize) -> usize {
        if self.quick {
            rounds.div_ceil(5)
        } else {
            rounds
        }
    }
}

impl Row {
    /// A figure with a goal.
    fn goal(
        what: impl Into<String>,
        goal: impl Into<String>,
        measured: impl Into<String>,
        met: bool,
    ) -> Self {
        Self {
            what: what.into(),
            goal: goal.into(),
            measured: measured.into(),
            met,
        }
    }

    /// A figure to compare with.
    fn beside(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self::goal(what, "", measured, true)
    }
}

/// Measures everything and prints the table.
///
/// # Errors
///
/// Without root, or when something could not be measured. A missed goal is marked in the table and is no error:
/// on a busy machine it may be the machine's.
pub(crate) fn run(quick: bool, only: Option<&str>, pm: Option<PathBuf>) -> Result<()> {
    lab::require_root()?;
    cleanup::on_interrupt()?;
    test::install_missing(&lab::PROGRAMS, true)?;
    test::install_missing(&netns::installer::PROGRAMS, true)?;
    let pm = pm.map_or_else(test::build_pm, Ok)?;
    let effort = Effort { quick };
    let mut rows = Vec::new();
    for (name, part) in [
        ("packets", packets::measure as fn(_, _) -> _),
        ("ticks", ticks::measure),
        ("views", views::measure),
        ("loads", loads::measure),
        ("cuts", cuts::measure),
        ("shaping", shaping::measure),
        ("notify", notify::measure),
        ("install", install::measure),
    ] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let started = Instant::now();
        eprint!("measuring {name} ... ");
        let part: Vec<Row> = part(&pm, effort)?;
        eprintln!("{:.0?}", started.elapsed());
        rows.push(part);
    }
    ensure!(!rows.is_empty(), "no part is called like that");
    println!("{}", table(&rows.into_iter().flatten().collect::<Vec<_>>()));
    println!("{}", machine());
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | goal | measured |\n|---|---|---|\n");
    for row in rows {
        let missed = if row.met { "" } else { " **(missed)**" };
        text += &format!(
            "| {} | {} | {}{missed} |\n",
            row.what, row.goal, row.measured
        );
    }
    text
}

/// Returns a sentence about where this was measured.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let processors = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!(
        "Measured by `cargo xtask bench` on Linux {}, {processors} x {model}; medians of interleaved rounds.",
        read("/proc/sys/kernel/osrelease").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_marked() {
        let rows = [
            Row::goal("tick", "<= 10 ms", "12 ms", false),
            Row::beside("counter", "1.02x"),
        ];
        let text = table(&rows);
        assert!(text.contains("| tick | <= 10 ms | 12 ms **(missed)** |\n| counter |  | 1.02x |"));
    }
}
