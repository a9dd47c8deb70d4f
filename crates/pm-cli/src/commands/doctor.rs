//! `pm doctor`: each check says what was found, why it matters and what to do.

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::doctor::Severity;

use crate::cli::{Places, Reading};
use crate::output::wrap::hanging;
use crate::output::{diagnosis, json, say};

/// Checks everything; fails when a check does.
pub(crate) fn run(places: &Places, reading: Reading) -> Result<ExitCode> {
    let findings = super::engine(places)?.doctor();
    if reading.json {
        say!("{}", json::checks(&findings)?);
    } else {
        for finding in &findings {
            let text = diagnosis::of(finding).to_string();
            for line in text.lines() {
                say!("{}", hanging(line, diagnosis::indent()));
            }
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
