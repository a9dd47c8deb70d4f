//! The guest's side: runs the tests one by one, each in a lab of its own, and reports on standard output.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::MARKER;
use super::job::Event;
use super::tests::{self, Test};
use crate::lab::Lab;

/// Runs a step of each of the tests called `names`; the first is 0.
///
/// # Errors
///
/// Outside of a test machine: a lab makes free with the machine it is in. When the report cannot be written.
pub(crate) fn run(pm: &Path, step: usize, names: &[String]) -> Result<()> {
    ensure!(
        Path::new(MARKER).exists(),
        "this changes the rules of the machine it runs on, and is for the machines of `cargo xtask vm-test` only"
    );
    let chosen = tests::all().filter(|test| names.contains(&test.name()));
    for test in chosen {
        report(&Event::Begun { test: test.name() })?;
        let started = Instant::now();
        let outcome = in_lab(test, step, pm).map_err(|error| {
            // An error may quote a whole log; its beginning says what it is.
            format!("{error:#}").chars().take(3000).collect()
        });
        report(&Event::Ended {
            test: test.name(),
            seconds: started.elapsed().as_secs_f64(),
            outcome,
        })?;
    }
    Ok(())
}

fn in_lab(test: &Test, step: usize, pm: &Path) -> Result<String> {
    let run = test.steps.get(step).context("no such step")?;
    run(&mut Lab::on_this_machine(pm)?)
}

fn report(event: &Event) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(event)?)?;
    output.flush()?;
    Ok(())
}
