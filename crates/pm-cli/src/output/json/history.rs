//! What was used before.

use pm_core::config::GroupName;
use pm_core::history::DayTotal;
use pm_core::holder::Holder;
use serde::Serialize;

use super::{VERSION, factor};
use crate::output::history::periods::Row;

#[derive(Serialize)]
struct Periods<'a> {
    version: u32,
    periods: Vec<Period<'a>>,
}

#[derive(Serialize)]
struct Period<'a> {
    port: Option<String>,
    group: Option<&'a str>,
    began: Option<String>,
    ended: Option<String>,
    why: Option<&'static str>,
    in_bytes: u64,
    out_bytes: u64,
    mode: String,
    factor: f64,
    adjust_bytes: i64,
    billed_bytes: u64,
    continued: bool,
}

#[derive(Serialize)]
struct Days {
    version: u32,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Day {
    date: String,
    port: String,
    in_bytes: u64,
    out_bytes: u64,
    sum_bytes: u64,
}

/// Returns the document of `pm history --json`.
pub(crate) fn periods(rows: &[Row]) -> serde_json::Result<String> {
    serde_json::to_string(&Periods {
        version: VERSION,
        periods: rows.iter().map(period).collect(),
    })
}

/// Returns the document of `pm history --by day --json`.
pub(crate) fn days(days: &[DayTotal]) -> serde_json::Result<String> {
    serde_json::to_string(&Days {
        version: VERSION,
        days: days.iter().map(day).collect(),
    })
}

fn period(row: &Row) -> Period<'_> {
    let (port, group) = match &row.holder {
        Holder::Service(ports) => (Some(ports.to_string()), row.group.as_ref()),
        Holder::Group(name) => (None, Some(name)),
    };
    Period {
        port,
        group: group.map(GroupName::as_str),
        began: row.began.map(|time| time.to_string()),
        ended: row.end.map(|end| end.at.to_string()),
        why: row.end.map(|end| end.why.as_str()),
        in_bytes: row.usage.incoming,
        out_bytes: row.usage.outgoing,
        mode: row.tariff.mode.to_string(),
        factor: factor(row.tariff.factor),
        adjust_bytes: row.adjust,
        billed_bytes: row.billed,
        continued: row.is_continued,
    }
}

fn day(day: &DayTotal) -> Day {
    Day {
        date: day.date.to_string(),
        port: day.ports.to_string(),
        in_bytes: day.usage.incoming,
        out_bytes: day.usage.outgoing,
        sum_bytes: day.usage.incoming.saturating_add(day.usage.outgoing),
    }
}
