//! A job: some tests for one boot, with all they need on a disk of its own.
//!
//! Host and guest run the same program, `xtask`. The guest's writes an [`Event`] a line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::image::{Image, file_system};
use super::machine::Machine;
use super::tests::Test;

/// How long a machine may take to come up.
const BOOT_PATIENCE: Duration = Duration::from_secs(300);
/// How long a test may take. Emulated and on a busy machine it is slow without being wrong.
const TEST_PATIENCE: Duration = Duration::from_secs(300);

/// What the guest tells.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// A test has begun.
    Begun {
        /// Its name.
        test: String,
    },
    /// A test has ended.
    Ended {
        /// Its name.
        test: String,
        /// How long it took.
        seconds: f64,
        /// What it showed, or why it failed.
        outcome: Result<String, String>,
    },
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Passed.
    pub(super) passed: usize,
    /// Failed, or never ended.
    pub(super) failed: usize,
}

/// Runs `tests` in one boot of `image` and prints a line about each; `directory` is for the machine's files.
///
/// # Errors
///
/// When there is no machine to be had. A machine that ends or falls silent fails the tests that had not ended.
pub(super) fn run(image: &Image, pm: &Path, tests: &[&Test], directory: &Path) -> Result<Tally> {
    let started = Instant::now();
    let disk = pack(pm, tests, directory)?;
    let machine = Machine::boot(image, &disk, directory)?;
    let mut tally = Tally::default();
    let mut running: Option<String> = None;
    while tally.passed + tally.failed < tests.len() {
        let patience = match running {
            Some(_) => TEST_PATIENCE,
            None => BOOT_PATIENCE,
        };
        let event = machine.line(patience).and_then(|line| {
            let line = line.context("the machine has ended")?;
            serde_json::from_str(&line).with_context(|| format!("the report has a line {line:?}"))
        });
        match event {
            Ok(Event::Begun { test }) => {
                if running.replace(test).is_none() {
                    println!("booted in {:.0} s", started.elapsed().as_secs_f64());
                }
            }
            Ok(Event::Ended {
                test,
                seconds,
                outcome: Ok(shown),
            }) => {
                tally.passed += 1;
                println!("ok      {test} ({seconds:.1} s){}{shown}", colon(&shown));
            }
            Ok(Event::Ended {
                test,
                seconds,
                outcome: Err(error),
            }) => {
                tally.failed += 1;
                println!("FAILED  {test} ({seconds:.1} s): {error}");
            }
            Err(error) => {
                let missing = tests.len() - tally.passed - tally.failed;
                tally.failed += missing;
                let place = running.as_deref().unwrap_or("boot");
                println!("FAILED  {missing} tests, at {place}: {error:#}");
                println!("{}", machine.last_words());
            }
        }
    }
    Ok(tally)
}

/// Makes the job's disk and returns where it is.
fn pack(pm: &Path, tests: &[&Test], directory: &Path) -> Result<PathBuf> {
    let content = directory.join("job");
    fs::create_dir(&content)?;
    let this = std::env::current_exe()?;
    let mut length = 0;
    for (program, name) in [(pm, "pm"), (&this, "xtask")] {
        length += fs::copy(program, content.join(name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
    }
    let mut line = String::from("exec /run/job/xtask guest-test --pm /run/job/pm");
    for test in tests {
        // Names of functions have nothing in them that a shell would read otherwise.
        line = line + " " + &test.name();
    }
    fs::write(content.join("run"), line + "\n")?;
    let disk = directory.join("job.img");
    // In KiB, with room for the file system itself.
    file_system(
        &content,
        &disk,
        &format!("{}", length / 1024 * 5 / 4 + 4096),
    )?;
    Ok(disk)
}

fn colon(shown: &str) -> &'static str {
    if shown.is_empty() { "" } else { ": " }
}
