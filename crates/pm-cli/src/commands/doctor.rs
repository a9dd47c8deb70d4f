//! `pm doctor`: each check says what was found, why it matters and what to do.

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::doctor::Severity;
use pm_setup::check::{self, Check};
use pm_setup::tools::HostTools;

use super::premises::{self, Premises};
use crate::cli::{Places, Reading};
use crate::output::diagnosis::{self, Diagnosis, schedule};
use crate::output::wrap::hanging;
use crate::output::{json, say};

/// Checks everything; fails when a check does.
pub(crate) fn run(places: &Places, reading: Reading) -> Result<ExitCode> {
    let findings = super::engine_regardless(places)?.doctor();
    let check = check(places)?;
    let diagnoses = || -> Vec<Diagnosis> {
        let of_engine = findings.iter().map(diagnosis::of);
        of_engine.chain(check.as_ref().map(schedule::of)).collect()
    };
    let shown = diagnoses();
    if reading.json {
        say!("{}", json::checks(diagnoses)?);
    } else {
        for diagnosis in &shown {
            for line in diagnosis.to_string().lines() {
                say!("{}", hanging(line, diagnosis::indent()));
            }
        }
    }
    let failed = shown
        .iter()
        .any(|diagnosis| diagnosis.severity() == Severity::Failure);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Compares what setup wrote with what it would write; `None`: pm's files are elsewhere, where
/// setup has no part.
fn check(places: &Places) -> Result<Option<Check>> {
    if !premises::are_usual(places) {
        return Ok(None);
    }
    let premises = Premises::look()?;
    let wanted = premises.calling();
    let check = check::check(&premises.root, &mut HostTools, &premises.host, &wanted);
    Ok(Some(check))
}
