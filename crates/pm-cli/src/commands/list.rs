//! `pm list`, `pm show` and `pm group list`: the saved usage plus what the kernel counted since.

use std::process::ExitCode;

use anyhow::Result;
use pm_core::request::Selection;
use pm_engine::View;

use crate::cli::{Places, Reading};
use crate::output::{errors, json, page, table, words};
use crate::output::{say, tell};

/// Shows every service and group.
pub(crate) fn all(places: &Places, reading: Reading) -> Result<ExitCode> {
    let view = super::engine(places)?.view()?;
    caveats(&view);
    if reading.json {
        say!("{}", json::services(&view.reports, &view.groups)?);
    } else {
        say!("{}", table::services(&view.reports, &view.groups, None));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows every group.
pub(crate) fn groups(places: &Places, reading: Reading) -> Result<ExitCode> {
    let view = super::engine(places)?.view()?;
    caveats(&view);
    if reading.json {
        say!("{}", json::groups(&view.groups)?);
    } else {
        say!("{}", table::groups(&view.groups, None));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows some services in full.
pub(crate) fn some(places: &Places, services: &Selection, reading: Reading) -> Result<ExitCode> {
    let view = super::engine(places)?.view()?;
    caveats(&view);
    let selected = services
        .resolve(&view.config)
        .map_err(pm_engine::EngineError::from)?;
    let reports: Vec<_> = view
        .reports
        .into_iter()
        .filter(|report| selected.contains(&report.ports))
        .collect();
    if reading.json {
        let mut groups = view.groups;
        groups.retain(|group| {
            reports
                .iter()
                .any(|report| report.group.as_ref() == Some(&group.name))
        });
        say!("{}", json::services(&reports, &groups)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            say!("");
        }
        let group = view
            .groups
            .iter()
            .find(|group| report.group.as_ref() == Some(&group.name));
        say!("{}", page::service(report, group).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Says, beside what is shown, what makes it less than it seems.
fn caveats(view: &View) {
    for caveat in all_caveats(view) {
        tell!("{caveat}");
    }
}

/// Returns what makes what is shown less than it seems.
pub(crate) fn all_caveats(view: &View) -> Vec<String> {
    let stale = view.stale_config.as_ref().map(errors::stale_config);
    let torn_down = view.state.torn_down.then(|| words::torn_down().to_owned());
    let lost = (!view.lost.is_empty()).then(|| words::lost(&view.lost));
    [stale, torn_down, lost].into_iter().flatten().collect()
}
