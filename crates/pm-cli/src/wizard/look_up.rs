//! What only looks: earlier periods, the self-check.

use anyhow::Result;
use std::process::ExitCode;

use super::Desk;
use super::ui::look::Paint;
use super::ui::{Answer, Entry};
use crate::cli::{By, History, Reading};
use crate::commands;
use crate::language::tr;
use crate::output::errors;

/// Shows what earlier periods or days used.
pub(super) fn history(desk: &mut Desk<'_>) -> Answer<()> {
    let entries = [
        Entry::new(
            1,
            tr!(
                "by period: what was billed, and why it ended",
                "按周期：计费流量与结束原因"
            ),
        ),
        Entry::new(2, tr!("by day", "按天")),
        Entry::new(0, tr!("back", "返回")),
    ];
    let title = tr!("History", "历史用量");
    let enter = tr!("by period", "按周期");
    let (by, line) = match desk.ui.choose(&title, &enter, &entries)? {
        None | Some(0) => (By::Period, "pm history"),
        Some(1) => (By::Day, "pm history --by day"),
        Some(_) => return Ok(()),
    };
    let shown = commands::history::run(desk.places, &History::of_all(by));
    told(desk, shown, line)
}

/// Checks what could be wrong on this host.
pub(super) fn doctor(desk: &mut Desk<'_>) -> Answer<()> {
    let shown = commands::doctor::run(desk.places, Reading { json: false });
    told(desk, shown, "pm doctor")
}

fn told(desk: &mut Desk<'_>, shown: Result<ExitCode>, line: &str) -> Answer<()> {
    if let Err(error) = shown {
        desk.ui.note(&errors::text(&error), Paint::Bad)?;
    }
    let flags = desk.places.as_flags();
    let line = format!("{line}{flags}");
    desk.ui
        .quote(&tr!("The same as a command: {line}", "等效命令：{line}"))
}
