//! `pm teardown`: out of the kernel, all data kept.

use std::process::ExitCode;

use anyhow::Result;
use pm_setup::{Root, data};

use super::premises;
use crate::cli::Places;
use crate::commands::monitor::report_move;
use crate::language::tr;
use crate::output::say;
use crate::output::words;

/// Takes all rules out of the kernel after a last reading.
pub(crate) fn run(places: &Places, dry_run: bool) -> Result<ExitCode> {
    let mut engine = super::engine(places)?;
    if dry_run {
        let services = engine.view()?.reports.len();
        let services = words::services(services);
        say!(
            "{}",
            tr!(
                "Nothing was changed. `pm teardown` would read the counters of {services} a last \
                 time and delete table inet port_monitor.",
                "没有做任何改动。`pm teardown` 会最后读一次 {services}的计数器，然后删除表 inet \
                 port_monitor。"
            )
        );
        return Ok(ExitCode::SUCCESS);
    }
    let moved = engine.teardown()?;
    if premises::are_usual(places) {
        // The operator wants them out now, whoever took them out before.
        data::forget_kept(&Root::of_host())?;
    }
    let code = report_move(&moved);
    say!(
        "{}",
        tr!(
            "pm is out of the kernel: nothing is counted or cut off any more. All data is kept; \
             `pm restore` puts everything back.",
            "pm 已移出内核：不再计数，也不再切断。数据全部保留；运行 `pm restore` 重新装入。"
        )
    );
    Ok(code)
}
