//! What one run of pm costs, and medians.
//!
//! The kernel sums up the resources of finished children and keeps only the largest of their peaks, so each run has
//! a parent of its own: `xtask measure`, which starts the program inside the namespace and prints its cost.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::lab::Lab;
use crate::namespace::run;

/// What a process cost, from its start to its end.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Cost {
    wall_us: u64,
    cpu_us: u64,
    peak_kib: u64,
}

impl Cost {
    /// Returns the wall time in milliseconds.
    pub(super) fn wall_ms(self) -> f64 {
        self.wall_us as f64 / 1000.0
    }

    /// Returns the CPU time, user and system, in milliseconds.
    pub(super) fn cpu_ms(self) -> f64 {
        self.cpu_us as f64 / 1000.0
    }

    /// Returns the largest resident set in MB.
    pub(super) fn peak_mb(self) -> f64 {
        self.peak_kib as f64 * 1024.0 / 1e6
    }
}

/// Runs pm in the lab, which must succeed, and returns what it cost.
///
/// # Errors
///
/// When it fails.
pub(super) fn cost(lab: &Lab, args: &[&str]) -> Result<Cost> {
    let this = std::env::current_exe()?;
    let this = this.to_str().context("the path of xtask is not UTF-8")?;
    let mut command = lab.pm_command_under(&[this, "measure"], args);
    let printed = run(&mut command, None)?
        .success()
        .with_context(|| format!("pm {}", args.join(" ")))?;
    serde_json::from_str(&printed).context("`xtask measure` printed no cost")
}

/// The hidden command `measure`: runs a program without its output and prints what it cost.
///
/// # Errors
///
/// When the program fails.
pub(crate) fn child(command: &[OsString]) -> Result<()> {
    let (program, args) = command.split_first().context("no program")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .status()?;
    let wall = started.elapsed();
    ensure!(status.success(), "{status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time() + usage.system_time();
    let cost = Cost {
        wall_us: u64::try_from(wall.as_micros())?,
        cpu_us: u64::try_from(cpu.num_microseconds())?,
        peak_kib: u64::try_from(usage.max_rss())?,
    };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}

/// Returns the median; 0 of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_the_median() {
        assert_eq!(median([3.0, 1.0, 900.0]), 3.0);
    }
}
