//! Services for people: the table of all, and the page of one.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use pm_core::config::{Mode, Note};
use pm_core::report::{BlockedBy, Report};
use pm_core::units::{SizeFamily, approximate};

/// Returns the table of all services.
pub(crate) fn services(reports: &[Report]) -> String {
    if reports.is_empty() {
        return "No port is monitored yet. Begin with `pm add PORT --quota 100GB`.".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "PORT", "COUNTS", "USED", "QUOTA", "IN", "OUT", "RESET", "STATE", "NOTE",
        ]);
    for report in reports {
        let family = family(report);
        table.add_row([
            report.ports.to_string(),
            mode(report.mode).to_owned(),
            approximate(report.billed, family),
            report
                .quota
                .map_or("-".to_owned(), |quota| quota.size().to_string()),
            approximate(report.usage.incoming, family),
            approximate(report.usage.outgoing, family),
            report
                .next_reset
                .map_or("-".to_owned(), |date| date.to_string()),
            state(report).to_owned(),
            one_line(&report.note),
        ]);
    }
    for column in [2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Returns the page of one service.
pub(crate) fn service(report: &Report) -> String {
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name:<12} {value}");
    };
    line("Port", report.ports.to_string());
    if !report.note.is_empty() {
        line("Note", one_line(&report.note));
    }
    line("State", state(report).to_owned());
    let quota = report.quota.map_or("none".to_owned(), |quota| {
        format!("{} ({} bytes)", quota.size(), quota.bytes())
    });
    line("Quota", quota);
    line("Counts", mode(report.mode).to_owned());
    line("Used", exact(report.billed, report));
    line("In", exact(report.usage.incoming, report));
    line("Out", exact(report.usage.outgoing, report));
    if report.adjust != 0 {
        line("Correction", format!("{:+} bytes", report.adjust));
    }
    line(
        "Next reset",
        report
            .next_reset
            .map_or("never".to_owned(), |date| date.to_string()),
    );
    page
}

fn exact(bytes: u64, report: &Report) -> String {
    format!("{} ({bytes} bytes)", approximate(bytes, family(report)))
}

fn family(report: &Report) -> SizeFamily {
    report
        .quota
        .map_or(SizeFamily::Decimal, |quota| quota.size().unit().family())
}

/// Returns a mode for people.
pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Both => "in+out",
        Mode::Out => "out",
    }
}

fn state(report: &Report) -> &'static str {
    match report.blocked_by {
        None => "ok",
        Some(BlockedBy::Quota) => "blocked: quota spent",
        Some(BlockedBy::Operator) => "blocked by you",
    }
}

/// Returns a note as one line of a table.
fn one_line(note: &Note) -> String {
    note.as_str()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
