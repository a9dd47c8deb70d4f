//! What each period was billed, and why it ended.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, Tariff};
use pm_core::history::Why;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::units::approximate;
use pm_engine::History;

use super::family;
use crate::language::tr;
use crate::output::grid::{Column, render};
use crate::output::words;

/// A period, closed or running.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Whose it is.
    pub(crate) holder: Holder,
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
}

/// How a period ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Timestamp,
    pub(crate) why: Why,
}

/// Returns the periods of the services and groups that are wanted: services first, each one's
/// oldest first.
pub(crate) fn rows(history: &History, is_wanted: impl Fn(&Holder) -> bool) -> Vec<Row> {
    let closed = history.closed.iter().map(|period| Row {
        holder: period.holder.clone(),
        began: period.began,
        usage: period.usage,
        tariff: period.tariff,
        adjust: period.adjust,
        billed: period.billed(),
        end: Some(End {
            at: period.ended,
            why: period.why,
        }),
    });
    let running = history.running.iter().map(|period| Row {
        holder: period.holder.clone(),
        began: period.began,
        usage: period.usage,
        tariff: period.tariff,
        adjust: period.adjust,
        billed: period.billed(),
        end: None,
    });
    let rows = closed.chain(running).filter(|row| is_wanted(&row.holder));
    let mut rows: Vec<Row> = rows.collect();
    // Stable: those that were closed at the same second stay in their order.
    rows.sort_by(|a, b| {
        let end = |row: &Row| row.end.map_or((true, None), |end| (false, Some(end.at)));
        a.holder.cmp(&b.holder).then_with(|| end(a).cmp(&end(b)))
    });
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
    let mut lines: Vec<[String; 7]> = rows.iter().map(|row| line(row, config, zone)).collect();
    if rows.len() > 1 && rows.iter().all(|row| row.holder == first.holder) {
        lines.push(total(rows, config));
    }
    let cells = |index: usize| lines.iter().map(move |line| line[index].clone());
    let columns = vec![
        Column::names(tr!("PORT", "端口"), cells(0)),
        Column::words(tr!("BEGAN", "开始"), cells(1)),
        Column::words(tr!("ENDED", "结束"), cells(2)),
        Column::words(tr!("WHY", "原因"), cells(3)),
        Column::numbers(tr!("IN", "入站"), cells(4)),
        Column::numbers(tr!("OUT", "出站"), cells(5)),
        Column::numbers(tr!("BILLED", "计费"), cells(6)),
    ];
    render(columns, width)
}

/// Returns the word for why a period ended.
fn why(why: Why) -> String {
    match why {
        Why::Calendar => tr!("calendar", "按期"),
        Why::Operator => tr!("operator", "手动"),
        Why::Regrouped => tr!("regrouped", "换组"),
        Why::Deleted => tr!("deleted", "删除"),
    }
}

fn line(row: &Row, config: &Config, zone: &Zone) -> [String; 7] {
    let date = |time: Timestamp| zone.date_at(time).to_string();
    let size = |bytes| approximate(bytes, family(&row.holder, config));
    [
        words::holder(&row.holder),
        row.began.map_or("-".to_owned(), date),
        row.end
            .map_or_else(|| tr!("running", "进行中"), |end| date(end.at)),
        row.end.map_or("-".to_owned(), |end| why(end.why)),
        size(row.usage.incoming),
        size(row.usage.outgoing),
        size(row.billed),
    ]
}

fn total(rows: &[Row], config: &Config) -> [String; 7] {
    let holder = &rows[0].holder;
    let sum = |of: fn(&Row) -> u64| {
        let sum = rows.iter().map(of).fold(0, u64::saturating_add);
        approximate(sum, family(holder, config))
    };
    let nothing = String::new;
    [
        tr!("total", "合计"),
        nothing(),
        nothing(),
        nothing(),
        sum(|row| row.usage.incoming),
        sum(|row| row.usage.outgoing),
        sum(|row| row.billed),
    ]
}
