//! A job: some tests for one boot, with all they need on a disk of its own.
//!
//! All tests that need no more share a boot; each of the others has a machine with a disk that lasts.
//!
//! Host and guest run the same program, `xtask`. The guest's writes an [`Event`] a line.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::image::{Image, System, file_system, missing_is_fine};
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

/// Runs `tests` on machines made of the images that `image_of` returns, and prints a line about each; `directory` is for the machines' files.
///
/// # Errors
///
/// When there is no machine to be had. A machine that ends or falls silent fails the tests that had not ended.
pub(super) fn run_all(
    image_of: impl Fn(System) -> Result<Image>,
    pm: &Path,
    tests: &[&Test],
    directory: &Path,
) -> Result<Tally> {
    let (quick, long): (Vec<_>, Vec<_>) = tests.iter().partition(|test| test.is_quick());
    let mut tally = Tally::default();
    if !quick.is_empty() {
        let job = Job {
            image: &image_of(System::Systemd)?,
            pm,
            tests: &quick,
            step: 0,
            directory,
        };
        tally = job.run(None)?;
    }
    for test in &long {
        let image = image_of(test.system)?;
        let disk = image.copy(directory)?;
        let mut failed = 0;
        for step in 0..test.steps.len() {
            println!(
                "boot {} of {} for {}",
                step + 1,
                test.steps.len(),
                test.name()
            );
            let job = Job {
                image: &image,
                pm,
                tests: slice::from_ref(test),
                step,
                directory,
            };
            failed = job.run(Some(&disk))?.failed;
            if failed > 0 {
                break;
            }
        }
        tally.failed += failed;
        tally.passed += 1 - failed;
    }
    Ok(tally)
}

/// Some tests for one boot.
struct Job<'a> {
    image: &'a Image,
    pm: &'a Path,
    tests: &'a [&'a Test],
    step: usize,
    directory: &'a Path,
}

impl Job<'_> {
    /// Boots a machine and runs the tests. One with a disk of its own is shut down in order.
    fn run(&self, own: Option<&Path>) -> Result<Tally> {
        let started = Instant::now();
        let disk = self.pack(own.is_some())?;
        let machine = Machine::boot(self.image, own, &disk, self.directory)?;
        let mut tally = Tally::default();
        let mut running: Option<String> = None;
        while tally.passed + tally.failed < self.tests.len() {
            let patience = match running {
                Some(_) => TEST_PATIENCE,
                None => BOOT_PATIENCE,
            };
            let event = machine.line(patience).and_then(|line| {
                let line = line.context("the machine has ended")?;
                serde_json::from_str(&line)
                    .with_context(|| format!("the report has a line {line:?}"))
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
                    let missing = self.tests.len() - tally.passed - tally.failed;
                    tally.failed += missing;
                    let place = running.as_deref().unwrap_or("boot");
                    println!("FAILED  {missing} tests, at {place}: {error:#}");
                    println!("{}", machine.last_words());
                    return Ok(tally);
                }
            }
        }
        if own.is_some() {
            let line = machine.line(BOOT_PATIENCE)?;
            ensure!(line.is_none(), "the report has a line too many: {line:?}");
        }
        Ok(tally)
    }

    /// Makes the job's disk and returns where it is.
    fn pack(&self, orderly: bool) -> Result<PathBuf> {
        let content = self.directory.join("job");
        fs::create_dir(&content)?;
        let this = std::env::current_exe()?;
        let mut length = 0;
        for (program, name) in [(self.pm, "pm"), (&this, "xtask")] {
            length += fs::copy(program, content.join(name))
                .with_context(|| format!("cannot copy {}", program.display()))?;
        }
        let mut line = format!(
            "exec /run/job/xtask guest-test --pm /run/job/pm --step {}",
            self.step
        );
        for test in self.tests {
            // Names of functions have nothing in them that a shell would read otherwise.
            line = line + " " + &test.name();
        }
        fs::write(content.join("run"), line + "\n")?;
        if orderly {
            fs::write(content.join("orderly"), "")?;
        }
        let disk = self.directory.join("job.img");
        fs::remove_file(&disk).or_else(missing_is_fine)?;
        // In KiB, with room for the file system itself.
        file_system(
            &content,
            &disk,
            &format!("{}", length / 1024 * 5 / 4 + 4096),
        )?;
        fs::remove_dir_all(content)?;
        Ok(disk)
    }
}

fn colon(shown: &str) -> &'static str {
    if shown.is_empty() { "" } else { ": " }
}
