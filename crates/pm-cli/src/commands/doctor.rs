//! `pm doctor`: each check says what was found, why it matters and what to do.

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::doctor::Severity;

use crate::cli::{Places, Reading};
use crate::output::say;
use crate::output::{diagnosis, json};

/// Checks everything; fails when a check does.
pub(crate) fn run(places: &Places, reading: Reading) -> Result<ExitCode> {
    let findings = super::engine(places)?.doctor();
    if reading.json {
        say!("{}", json::checks(&findings)?);
    } else {
        for finding in &findings {
            say!("{}", diagnosis::of(finding).to_string().trim_end());
        }
    }
    let failed = findings
        .iter()
        .any(|finding| finding.severity() == Severity::Failure);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
