//! What each service used on each day.

use pm_core::config::Config;
use pm_core::history::{DayTotal, UNDATED};
use pm_core::ledger::Usage;
use pm_core::units::{SizeFamily, approximate};
use pm_engine::{History, Whose};
use time::Date;

use super::family;
use crate::language::tr;
use crate::output::grid::{Column, render};

/// Returns the days that are asked for, the oldest first.
pub(crate) fn rows(history: &History, whose: &Whose) -> Vec<DayTotal> {
    let days = history.days.iter().copied();
    let mut rows: Vec<_> = days
        .filter(|day| whose.has_days(day.ports, &history.config))
        .collect();
    rows.sort_by_key(|day| (day.date, day.ports));
    rows
}

/// Returns a day as it is shown; what was counted before the clock was right has none.
fn shown(date: Date) -> String {
    if date == UNDATED {
        tr!("unknown", "未知")
    } else {
        date.to_string()
    }
}

/// Returns the table of `rows`, with their sum where there are several.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn table(rows: &[DayTotal], config: &Config, width: Option<u16>) -> String {
    if rows.is_empty() {
        return tr!(
            "Nothing was counted on any day yet.",
            "还没有任何一天的统计。"
        );
    }
    let families: Vec<SizeFamily> = rows
        .iter()
        .map(|day| family(&day.ports.into(), config))
        .collect();
    let mut lines: Vec<[String; 5]> = Vec::new();
    for (day, &family) in rows.iter().zip(&families) {
        lines.push(line(
            shown(day.date),
            day.ports.to_string(),
            day.usage,
            family,
        ));
    }
    if rows.len() > 1 {
        let uniform = families.iter().all(|family| *family == families[0]);
        let family = if uniform {
            families[0]
        } else {
            SizeFamily::Decimal
        };
        lines.push(line(tr!("total", "合计"), String::new(), sum(rows), family));
    }
    let cells = |index: usize| lines.iter().map(move |line| line[index].clone());
    let columns = vec![
        Column::words(tr!("DATE", "日期"), cells(0)),
        Column::words(tr!("PORT", "端口"), cells(1)),
        Column::numbers(tr!("IN", "入站"), cells(2)),
        Column::numbers(tr!("OUT", "出站"), cells(3)),
        Column::numbers(tr!("SUM", "合计"), cells(4)),
    ];
    render(columns, width)
}

fn line(date: String, ports: String, usage: Usage, family: SizeFamily) -> [String; 5] {
    let size = |bytes| approximate(bytes, family);
    let Usage { incoming, outgoing } = usage;
    let all = incoming.saturating_add(outgoing);
    [date, ports, size(incoming), size(outgoing), size(all)]
}

fn sum(rows: &[DayTotal]) -> Usage {
    rows.iter().fold(Usage::default(), |sum, day| Usage {
        incoming: sum.incoming.saturating_add(day.usage.incoming),
        outgoing: sum.outgoing.saturating_add(day.usage.outgoing),
    })
}
