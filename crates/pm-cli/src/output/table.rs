//! Services for people: the table of all, and the page of one.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use pm_core::calendar::ResetPolicy;
use pm_core::config::{Mode, Note};
use pm_core::report::{BlockedBy, Report};
use pm_core::units::{SizeFamily, approximate};

use crate::output::words::when;

/// The columns that hold numbers.
const NUMBERS: [usize; 4] = [1, 2, 3, 4];

/// What is left for the note at least, where the terminal is narrow.
const NOTE_WIDTH: u16 = 8;

/// Returns the table of all services: a line each, in which a note that does not fit is cut
/// short.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn services(reports: &[Report], width: Option<u16>) -> String {
    if reports.is_empty() {
        return "No port is monitored yet. Begin with `pm add PORT --quota 100GB`.".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…")
        .set_header(one_high(Row::from([
            "PORT", "USED", "QUOTA", "IN", "OUT", "RESET", "STATE", "NOTE",
        ])));
    if let Some(width) = width {
        table.set_width(width);
    }
    for report in reports {
        let family = family(report);
        let row = Row::from([
            report.ports.to_string(),
            approximate(report.billed, family),
            quota(report),
            approximate(report.usage.incoming, family),
            approximate(report.usage.outgoing, family),
            report
                .next_reset
                .map_or("-".to_owned(), |date| date.to_string()),
            state_word(report).to_owned(),
            one_line(&report.note),
        ]);
        table.add_row(one_high(row));
    }
    let last = table.column_count() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        if index == last {
            column.set_padding((0, 0));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(NOTE_WIDTH)));
        } else {
            column.set_padding((0, 2));
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if NUMBERS.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn one_high(mut row: Row) -> Row {
    row.max_height(1);
    row
}

/// Returns a quota for the table, with what counts against it where that is not everything.
fn quota(report: &Report) -> String {
    match (report.quota, report.mode) {
        (None, _) => "-".to_owned(),
        (Some(quota), Mode::Both) => quota.size().to_string(),
        (Some(quota), Mode::Out) => format!("{} out", quota.size()),
    }
}

fn state_word(report: &Report) -> &'static str {
    match report.blocked_by {
        None => "ok",
        Some(BlockedBy::Quota) => "spent",
        Some(BlockedBy::Operator) => "blocked",
    }
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
    line("Next reset", next_reset(report));
    page
}

fn next_reset(report: &Report) -> String {
    let date = report
        .next_reset
        .map_or("never".to_owned(), |date| date.to_string());
    match report.reset {
        ResetPolicy::Never => date,
        policy => format!("{date} ({})", when(policy)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn without_a_service_the_first_step_is_named() {
        insta::assert_snapshot!(services(&[], Some(80)));
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let table = services(&samples::reports(), Some(80));
        insta::assert_snapshot!(table);
    }

    #[test]
    fn where_there_is_no_terminal_notes_are_whole() {
        let table = services(&samples::reports(), None);
        assert!(table.contains(&samples::long_note()));
        assert!(table.lines().all(|line| line == line.trim()));
    }

    #[test]
    fn a_page_says_all_there_is_of_a_service() {
        let pages: Vec<_> = samples::reports().iter().map(service).collect();
        insta::assert_snapshot!(pages.join("\n"));
    }
}
