//! The versions of the configuration, for people.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_engine::{Past, PastVersion};

use super::grid::{Column, render};
use super::words;
use super::wrap::{terminal, wrap};
use crate::language::tr;

/// Below this, a date goes without its year.
const NARROW: u16 = 60;

/// Returns the table of all versions, the latest first.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn table(past: &Past, width: Option<u16>) -> String {
    if past.versions.is_empty() {
        return none();
    }
    let versions = || past.versions.iter();
    let columns = width.or_else(|| terminal().map(|(_, columns)| columns));
    let is_narrow = columns.is_some_and(|columns| columns < NARROW);
    // Where there is no room for the year, what was changed matters more.
    let when = |version| {
        let when = when(version, &past.zone);
        match when.split_once('-') {
            Some((_, rest)) if is_narrow && !rest.is_empty() => rest.to_owned(),
            _ => when,
        }
    };
    let (number, replaced) = if is_narrow {
        ("#".to_owned(), tr!("REPLACED", "替换时间"))
    } else {
        (tr!("VERSION", "版本"), tr!("REPLACED", "被替换的时间"))
    };
    let mut shown = vec![
        Column::numbers(number, versions().map(|version| version.number.to_string())),
        Column::words(replaced, versions().map(when)),
        Column::numbers(
            tr!("REVISION", "修订号"),
            versions().map(|version| version.revision.map_or("-".to_owned(), |it| it.to_string())),
        )
        .rank(1),
        Column::prose(
            tr!("WHAT WAS CHANGED THEN", "当时的改动"),
            versions().map(|version| what(version, past)),
        ),
    ];
    if is_narrow {
        shown.remove(2);
    }
    let explained = tr!(
        "`pm config restore N` goes back to how it was before that change; `pm undo`: before the last.",
        "`pm config restore 版本` 恢复到该次改动之前；`pm undo` 撤销最近一次改动。"
    );
    let explained = match columns {
        Some(columns) => wrap(&explained, columns.into()).join("\n"),
        None => explained,
    };
    format!("{}\n{explained}", render(shown, width))
}

/// Returns when a version was replaced, in the zone whose dates count.
pub(crate) fn when(version: &PastVersion, zone: &Zone) -> String {
    version
        .replaced
        .map_or("-".to_owned(), |time| local(time, zone))
}

fn local(time: Timestamp, zone: &Zone) -> String {
    let local = zone.local(time);
    format!("{} {:02}:{:02}", local.date(), local.hour(), local.minute())
}

/// Returns what was changed when a version was replaced, on one line.
pub(crate) fn what(version: &PastVersion, past: &Past) -> String {
    let lines = match changes(version, past) {
        Some(lines) => lines,
        None if version.config.is_err() => return tr!("(cannot be read)", "（无法读取）"),
        None => return tr!("(what came next cannot be read)", "（之后的版本无法读取）"),
    };
    match lines.split_first() {
        None => tr!("nothing", "无改动"),
        Some((first, [])) => first.clone(),
        Some((first, rest)) => {
            let more = rest.len();
            tr!("{first}, and {more} more", "{first}，另有 {more} 处")
        }
    }
}

/// Returns what was changed when a version was replaced, a line each; `None`: it cannot be told.
pub(crate) fn changes(version: &PastVersion, past: &Past) -> Option<Vec<String>> {
    let then = version.config.as_ref().ok()?;
    let next = past.successor(version.number)?;
    Some(words::between(then, next))
}

/// Returns what has changed since a version, a line each.
pub(crate) fn since(number: u64, then: &Config, now: &Config) -> Vec<String> {
    let lines = words::between(then, now);
    if lines.is_empty() {
        return vec![tr!(
            "Nothing has changed since version {number}.",
            "与版本 {number} 相比没有改动。"
        )];
    }
    lines
}

/// Returns that nothing was replaced yet.
pub(crate) fn none() -> String {
    tr!(
        "No earlier configuration is kept that differs from the present one.",
        "没有保存与当前配置不同的旧版本。"
    )
}

#[cfg(test)]
mod tests;
