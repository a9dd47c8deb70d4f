//! What each period was billed, and why it ended.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, GroupName, Tariff};
use pm_core::history::Why;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::units::{SizeFamily, approximate};
use pm_engine::{History, Whose};

use super::family;
use crate::language::tr;
use crate::output::grid::{Column, render};
use crate::output::table::mode;
use crate::output::words;

/// A period, closed or running.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Whose it is.
    pub(crate) holder: Holder,
    /// The group that a service was in throughout.
    pub(crate) group: Option<GroupName>,
    /// When it began; `None`: before anybody noted it.
    pub(crate) began: Option<Timestamp>,
    /// What it used.
    pub(crate) usage: Usage,
    /// How that becomes what is billed.
    pub(crate) tariff: Tariff,
    /// The operator's correction of that, in bytes.
    pub(crate) adjust: i64,
    /// What is billed, in bytes.
    pub(crate) billed: u64,
    /// How it ended; `None`: it is running.
    pub(crate) end: Option<End>,
    /// Whether it ended by a deletion that was undone: the next one goes on with its bill.
    pub(crate) is_continued: bool,
}

/// How a period ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) why: Why,
}

/// Returns the periods that are asked for: those of services first, each one's oldest first.
pub(crate) fn rows(history: &History, whose: &Whose) -> Vec<Row> {
    let closed = history.closed.iter().map(|period| Row {
        holder: period.holder.clone(),
        group: period.group.clone(),
        began: period.began,
        usage: period.usage,
        tariff: period.tariff,
        adjust: period.adjust,
        billed: period.billed(),
        end: Some(End {
            at: period.ended,
            why: period.why,
        }),
        is_continued: false,
    });
    let running = history.running.iter().map(|period| Row {
        holder: period.holder.clone(),
        group: period.group.clone(),
        began: period.began,
        usage: period.usage,
        tariff: period.tariff,
        adjust: period.adjust,
        billed: period.billed(),
        end: None,
        is_continued: false,
    });
    let rows = closed
        .chain(running)
        .filter(|row| whose.has_period(&row.holder, row.group.as_ref()));
    let mut rows: Vec<Row> = rows.collect();
    // Stable: those that were closed at the same second stay in their order.
    rows.sort_by(|a, b| {
        let end = |row: &Row| row.end.map_or((true, None), |end| (false, Some(end.at)));
        a.holder.cmp(&b.holder).then_with(|| end(a).cmp(&end(b)))
    });
    for index in 1..rows.len() {
        let (row, next) = (&rows[index - 1], &rows[index]);
        rows[index - 1].is_continued = row.holder == next.holder && is_continued(row, next);
    }
    rows
}

/// Returns the table of `rows`, with dates in `zone`, and with their sum where they are several of
/// one service or group: what a group was billed includes what its services were.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn table(rows: &[Row], config: &Config, zone: &Zone, width: Option<u16>) -> String {
    let Some(first) = rows.first() else {
        return tr!(
            "No period is known yet: the next tick (`pm monitor`) begins the first.",
            "还没有周期：第一个周期从下一次 tick（`pm monitor`）开始。"
        );
    };
    let mut lines: Vec<Line> = rows.iter().map(|row| line(row, config, zone)).collect();
    if rows.len() > 1 && rows.iter().all(|row| row.holder == first.holder) {
        lines.push(total(rows, config));
    }
    let cells = |cell: fn(&Line) -> &String| lines.iter().map(cell).cloned();
    let has_tariffs = rows.iter().any(|row| row.tariff != Tariff::default());
    let has_corrections = rows.iter().any(|row| row.adjust != 0);
    let mut began = Column::words(tr!("BEGAN", "开始"), cells(|line| &line.began));
    let mut why = Column::words(tr!("WHY", "原因"), cells(|line| &line.why));
    if has_tariffs || has_corrections {
        // How in and out became what was billed matters more.
        (why, began) = (why.rank(0), began.rank(1));
    }
    let mut columns = vec![
        Column::names(tr!("PORT", "端口"), cells(|line| &line.name)),
        began,
        Column::words(tr!("ENDED", "结束"), cells(|line| &line.ended)),
        why,
        Column::numbers(tr!("IN", "入站"), cells(|line| &line.incoming)).vital(3),
        Column::numbers(tr!("OUT", "出站"), cells(|line| &line.outgoing)).vital(3),
    ];
    if has_tariffs {
        columns.push(Column::words(tr!("MODE", "模式"), cells(|line| &line.mode)).vital(2));
    }
    if has_corrections {
        let corrected = cells(|line| &line.corrected);
        columns.push(Column::numbers(tr!("CORRECTED", "更正"), corrected).vital(4));
    }
    columns.push(Column::numbers(
        tr!("BILLED", "计费"),
        cells(|line| &line.billed),
    ));
    render(columns, width)
}

/// One line of the table.
#[derive(Default)]
struct Line {
    name: String,
    began: String,
    ended: String,
    why: String,
    incoming: String,
    outgoing: String,
    mode: String,
    corrected: String,
    billed: String,
}

/// Returns why a period ended, for people.
fn why(why: Why) -> String {
    match why {
        Why::Calendar => tr!("calendar", "按期"),
        Why::Operator => tr!("reset by hand", "手动重置"),
        Why::Regrouped => tr!("regrouped", "换组"),
        Why::Deleted => tr!("deleted", "删除"),
    }
}

fn line(row: &Row, config: &Config, zone: &Zone) -> Line {
    let date = |time: Timestamp| zone.date_at(time).to_string();
    let family = family(&row.holder, config);
    let size = |bytes| approximate(bytes, family);
    Line {
        name: words::holder(&row.holder),
        began: row.began.map_or("-".to_owned(), date),
        ended: row
            .end
            .map_or_else(|| tr!("running", "进行中"), |end| date(end.at)),
        why: match row.end {
            _ if row.is_continued => tr!("deleted, undone", "删除后恢复"),
            end => end.map_or("-".to_owned(), |end| why(end.why)),
        },
        incoming: size(row.usage.incoming),
        outgoing: size(row.usage.outgoing),
        mode: mode(row.tariff),
        corrected: corrected(row.adjust, family),
        billed: size(row.billed),
    }
}

/// Returns a correction as what is to be added.
fn corrected(adjust: i64, family: SizeFamily) -> String {
    let size = approximate(adjust.unsigned_abs(), family);
    match adjust {
        0 => "-".to_owned(),
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}

/// Whether a service or group was deleted and came back with what it had been billed: the next
/// period, which began when this one did, is corrected by that.
fn is_continued(row: &Row, next: &Row) -> bool {
    let is_deleted = row.end.is_some_and(|end| end.why == Why::Deleted);
    is_deleted && row.began.is_some() && next.began == row.began
}

/// Returns the sum of one's periods. A bill that went on is in it once.
fn total(rows: &[Row], config: &Config) -> Line {
    let family = family(&rows[0].holder, config);
    let sum = |of: fn(&Row) -> u64| {
        let sum = rows.iter().map(of).fold(0, u64::saturating_add);
        approximate(sum, family)
    };
    let continued = rows.iter().filter(|row| row.is_continued);
    let continued = continued.fold(0u64, |sum, row| sum.saturating_add(row.billed));
    let adjusts = rows.iter().map(|row| i128::from(row.adjust));
    let adjust = adjusts.sum::<i128>() - i128::from(continued);
    let billed = rows.iter().map(|row| row.billed);
    let billed = billed
        .fold(0, u64::saturating_add)
        .saturating_sub(continued);
    Line {
        name: tr!("total", "合计"),
        incoming: sum(|row| row.usage.incoming),
        outgoing: sum(|row| row.usage.outgoing),
        corrected: corrected(i64::try_from(adjust).unwrap_or(i64::MAX), family),
        billed: approximate(billed, family),
        ..Line::default()
    }
}
