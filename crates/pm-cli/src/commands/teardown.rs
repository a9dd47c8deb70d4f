//! `pm teardown`: out of the kernel, all data kept.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Places;
use crate::commands::monitor::report_move;
use crate::output::say;
use crate::output::words;

/// Takes all rules out of the kernel after a last reading.
pub(crate) fn run(places: &Places, dry_run: bool) -> Result<ExitCode> {
    let mut engine = super::engine(places)?;
    if dry_run {
        let services = engine.view()?.reports.len();
        say!(
            "Nothing was changed. `pm teardown` would read the counters of {} a last time and \
             delete table inet port_monitor.",
            words::services(services)
        );
        return Ok(ExitCode::SUCCESS);
    }
    let moved = engine.teardown()?;
    let code = report_move(&moved);
    say!(
        "pm is out of the kernel: nothing is counted or cut off any more. All data is kept; \
         `pm restore` puts everything back."
    );
    Ok(code)
}
