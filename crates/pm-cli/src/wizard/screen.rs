//! The first thing that is seen: title and table, at any width.

mod layout;
mod rows;

use std::cell::Cell;

use pm_core::report::{GroupReport, Report};

use unicode_width::UnicodeWidthStr;

use super::ui::Size;
use super::ui::look::{Look, Paint, fit};
use crate::language::tr;
use layout::{Column, SHORTEST_NAME, fits, render};
pub(super) use rows::spaced;
use rows::{Row, rows};

/// A terminal that is narrower breaks the lines itself.
const NARROWEST: usize = 28;

/// From here on there is room for figures beside the usage.
const WIDE: usize = 100;

/// The widest table: beyond, eyes lose the line.
const WIDEST: usize = 132;

/// The lines that are left to services and groups, however low the terminal is.
const LOWEST: usize = 4;

/// The part of a long table that is on the screen.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Where it begins.
    first: Cell<usize>,
    /// How many entries it shows.
    shown: Cell<usize>,
    /// How many there are.
    all: Cell<usize>,
}

impl Page {
    /// Goes on to the next page, or back; after the last comes the first.
    pub(super) fn turn(&self, forward: bool) {
        let (first, shown, all) = (self.first.get(), self.shown.get().max(1), self.all.get());
        self.first.set(match forward {
            true if first + shown < all => first + shown,
            true => 0,
            false if first == 0 => all.saturating_sub(1) / shown * shown,
            false => first.saturating_sub(shown),
        });
    }
}

/// Returns the screen. Where not all of it fits, it shows a `page`.
pub(super) fn screen(
    reports: &[Report],
    groups: &[GroupReport],
    room: Size,
    page: &Page,
    look: Look,
) -> String {
    let width = room.columns.clamp(NARROWEST, WIDEST);
    let rule = |line: &str| look.paint(&line.repeat(width), Paint::Dim);
    let mut lines = vec![rule("="), title(width, look), rule("=")];
    let rows = rows(reports, groups, look);
    if rows.is_empty() {
        lines.push(tr!(" No port is monitored yet.", " 还没有监控任何端口。"));
    } else {
        // Three lines stand above the header, a rule below it, and one below all.
        let most = room.rows.saturating_sub(6).max(LOWEST);
        let columns = columns(&rows, width);
        if fits(&columns, width) {
            let mut table = render(columns, width, look).into_iter();
            lines.extend(table.next());
            lines.push(rule("-"));
            lines.extend(cut(
                table.map(|line| vec![line]).collect(),
                most,
                page,
                look,
            ));
        } else {
            let (header, table) = narrow(&rows, width, look);
            lines.extend([header, rule("-")]);
            lines.extend(cut(table, most, page, look));
        }
    }
    lines.push(rule("="));
    lines.join("\n")
}

/// Returns at most so many lines. Where those of each entry do not fit, each gets its first; where
/// these do not either, those of one page.
fn cut(entries: Vec<Vec<String>>, most: usize, page: &Page, look: Look) -> Vec<String> {
    let all = entries.len();
    page.all.set(all);
    page.shown.set(all);
    if entries.iter().map(Vec::len).sum::<usize>() <= most {
        return entries.concat();
    }
    let firsts = entries
        .into_iter()
        .filter_map(|lines| lines.into_iter().next());
    if all <= most {
        return firsts.collect();
    }
    let room = most - 1;
    page.shown.set(room);
    if page.first.get() >= all {
        page.first.set(0);
    }
    let before = page.first.get();
    let mut lines: Vec<String> = firsts.skip(before).take(room).collect();
    let (sign, first, last) = (look.sign("…", "..."), before + 1, before + lines.len());
    let text = tr!(
        " {sign} {first}-{last} of {all}; + and - turn the page",
        " {sign} 第 {first}-{last} 项，共 {all} 项；按 + 和 - 翻页"
    );
    lines.push(look.paint(&text, Paint::Dim));
    lines
}

fn title(width: usize, look: Look) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let short = tr!(
        "Linux Port Traffic Manager (v{version})",
        "Linux 端口流量管理 (v{version})"
    );
    let long = tr!(
        "{short} - refreshed every minute",
        "{short} - 后台每分钟刷新"
    );
    let whole = long.width() + 3;
    let (indent, text) = if whole <= width {
        ("   ", long)
    } else {
        (" ", short)
    };
    look.paint(
        &format!(
            "{indent}{}",
            fit(&text, width - indent.len(), look).trim_end()
        ),
        Paint::Bold,
    )
}

fn columns(rows: &[Row], width: usize) -> Vec<Column> {
    // What is seen at a glance goes last where there is little room, figures where there is much.
    let (bar, figures) = if width < WIDE { (2, 3) } else { (3, 2) };
    let has = |cell: fn(&Row) -> bool| rows.iter().any(cell);
    let mut columns = vec![
        Column::new("ID".to_owned(), rows, |row| &row.id),
        Column::new(tr!("Port", "端口"), rows, |row| &row.name).name(),
        Column::new(tr!("Mode", "模式"), rows, |row| &row.mode),
        Column::new(
            tr!("Used / Quota", "已用流量 / 总配额"),
            rows,
            |row| &row.usage,
        ),
    ];
    if has(|row| !row.bar.text.is_empty()) {
        columns.push(Column::new(String::new(), rows, |row| &row.bar).rank(bar));
    }
    columns.push(Column::new(tr!("In", "入站"), rows, |row| &row.incoming).rank(figures));
    columns.push(Column::new(tr!("Out", "出站"), rows, |row| &row.outgoing).rank(figures));
    columns.push(Column::new(tr!("Limit out", "出站限速"), rows, |row| {
        &row.limit
    }));
    if width >= WIDE && has(|row| row.has_limit_in) {
        columns.push(Column::new(tr!("Limit in", "入站限速"), rows, |row| &row.limit_in).rank(1));
    }
    columns.push(Column::new(tr!("Note", "备注"), rows, |row| &row.note).prose());
    columns
}

/// Returns the header, and for each row a line and what is worth a second one.
fn narrow(rows: &[Row], width: usize, look: Look) -> (String, Vec<Vec<String>>) {
    let longest = |cell: fn(&Row) -> &str| rows.iter().map(|row| cell(row).width()).max();
    let name = longest(|row| &row.name.text).unwrap_or(0);
    let names = longest(|row| &row.id.text).unwrap_or(0) + name.min(SHORTEST_NAME);
    let room = width.saturating_sub(names + 3);
    let rows: Vec<Row> = rows.iter().map(|row| row.clone().within(room)).collect();
    let columns = vec![
        Column::new("ID".to_owned(), &rows, |row| &row.id),
        Column::new(tr!("Port", "端口"), &rows, |row| &row.name).name(),
        Column::new(
            tr!("Used / Quota", "已用流量 / 总配额"),
            &rows,
            |row| &row.usage,
        ),
    ];
    let mut table = render(columns, width, look).into_iter();
    let header = table.next().unwrap_or_default();
    let entry = |(line, row): (String, &Row)| {
        let details = row.details();
        let mut lines = vec![line];
        if !details.is_empty() {
            let text = fit(&format!("    {details}"), width, look);
            lines.push(look.paint(text.trim_end(), Paint::Dim));
        }
        lines
    };
    (header, table.zip(&rows).map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use pm_core::language::Language;

    const PLAIN: Look = Look { rich: false };

    /// The picture of the script that pm replaces, as pm draws it.
    fn picture() -> Vec<Report> {
        use pm_core::config::{Mode, Tariff};
        use pm_core::report::BlockedBy;
        let note = |text: &str| text.parse().unwrap();
        vec![
            Report {
                note: note("Snell"),
                limit: samples::limit("100M"),
                ..samples::metered("10086", "10GB", 200_000_000, 4_000_000_000)
            },
            Report {
                note: note("SS"),
                tariff: Tariff {
                    mode: Mode::Out,
                    ..Tariff::default()
                },
                blocked_by: Some(BlockedBy::Quota),
                is_spent: true,
                reset: pm_core::calendar::ResetPolicy::Never,
                next_reset: None,
                ..samples::metered("20000", "5GB", 0, 5_000_000_000)
            },
            Report {
                note: note("VMess"),
                dynqos: Some("100M/5/5M/60".parse().unwrap()),
                punished: Some(std::time::Duration::from_secs(60)),
                reset: pm_core::calendar::ResetPolicy::Never,
                next_reset: None,
                ..samples::metered("30000", "10GB", 500_000_000, 6_000_000_000)
            },
        ]
    }

    fn high(columns: usize) -> Size {
        Size { columns, rows: 99 }
    }

    fn shown(language: Language, width: usize, look: Look) -> String {
        crate::language::speak(language);
        let room = high(width);
        let old = screen(&picture(), &[], room, &Page::default(), look);
        let all = screen(
            &samples::reports(),
            &samples::groups(),
            room,
            &Page::default(),
            look,
        );
        let none = screen(&[], &[], room, &Page::default(), look);
        format!("{old}\n\n{all}\n\n{none}")
    }

    #[test]
    fn the_screen_at_every_width_in_every_language() {
        for language in Language::ALL {
            for width in [40, 60, 72, 80, 120] {
                let shown = shown(language, width, PLAIN);
                insta::assert_snapshot!(format!("screen-{language}-{width}"), shown);
            }
        }
    }

    #[test]
    fn the_picture_has_the_words_of_the_script() {
        crate::language::speak(Language::Chinese);
        for width in [80, 120] {
            let shown = screen(&picture(), &[], high(width), &Page::default(), PLAIN);
            for words in [
                concat!(
                    "Linux 端口流量管理 (v",
                    env!("CARGO_PKG_VERSION"),
                    ") - 后台每分钟刷新"
                ),
                "ID",
                "端口",
                "模式",
                "已用流量 / 总配额",
                "出站限速",
                "备注",
                "[双向]",
                "4.2 GB / 10 GB [R1]",
                "100 Mbps",
                "Snell",
                "[仅出站]",
                "[已阻断] / 5 GB",
                "无限制",
                "5Mbps(惩罚中)",
            ] {
                assert!(shown.contains(words), "{words} at {width}:\n{shown}");
            }
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for language in Language::ALL {
            for width in NARROWEST..140 {
                for line in shown(language, width, PLAIN).lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        for (language, of) in [(Language::English, " of "), (Language::Chinese, "共 ")] {
            crate::language::speak(language);
            for (columns, rows, count, shown, hidden) in [
                (40, 11, 6, 4, 2),
                (40, 12, 6, 6, 0),
                (40, 18, 6, 6, 0),
                (80, 17, 12, 10, 2),
                (80, 17, 500, 10, 490),
                (80, 5, 12, 3, 9),
            ] {
                let room = Size { columns, rows };
                let text = screen(&many(count), &[], room, &Page::default(), PLAIN);
                let lines = text.lines().count();
                assert!(lines <= rows.max(10), "{columns}x{rows}: {lines}\n{text}");
                let ports = text.matches(" / 5 GB").count();
                assert_eq!(ports, shown, "{columns}x{rows}:\n{text}");
                let counted = text.contains(&format!("{of}{count}"));
                assert_eq!(counted, hidden > 0, "{columns}x{rows}:\n{text}");
            }
            let all = screen(
                &many(6),
                &[],
                Size {
                    columns: 40,
                    rows: 18,
                },
                &Page::default(),
                PLAIN,
            );
            assert_eq!(all.matches("a note").count(), 6, "{all}");
        }
    }

    #[test]
    fn every_entry_is_on_one_page() {
        crate::language::speak(Language::English);
        for (columns, rows, count) in [(40, 11, 6), (80, 17, 12), (80, 17, 500), (80, 5, 7)] {
            let (room, page) = (Size { columns, rows }, Page::default());
            let ports = |page: &Page| -> Vec<String> {
                let text = screen(&many(count), &[], room, page, PLAIN);
                let lines = text.lines().filter(|line| line.contains(" / 5 GB"));
                let port = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
                lines.filter_map(port).collect()
            };
            let first = ports(&page);
            let mut seen = first.clone();
            page.turn(true);
            while page.first.get() > 0 {
                seen.extend(ports(&page));
                page.turn(true);
            }
            let all: Vec<String> = (1..=count).map(|port| port.to_string()).collect();
            assert_eq!(seen, all);
            assert_eq!(ports(&page), first);
            page.turn(false);
            assert_eq!(ports(&page).last(), all.last());
        }
    }

    fn many(count: u16) -> Vec<Report> {
        let report = |port: u16| Report {
            note: "a note".parse().unwrap(),
            ..samples::metered(&port.to_string(), "5GB", 0, 1_000_000_000)
        };
        (1..=count).map(report).collect()
    }

    /// A column of which nothing can be read was shown at 60 to 75 columns, under `出站限…`.
    #[test]
    fn no_header_is_cut_short() {
        for language in Language::ALL {
            for width in 40..140 {
                for line in shown(language, width, PLAIN).lines() {
                    let is_header = line.trim_start().starts_with("ID ");
                    assert!(!is_header || !line.contains('~'), "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn colours_and_signs_change_no_column() {
        let rich = Look { rich: true };
        for language in Language::ALL {
            let painted = shown(language, 120, rich);
            let widths = |text: &str| {
                text.lines()
                    .map(console::measure_text_width)
                    .collect::<Vec<_>>()
            };
            let bare = console::strip_ansi_codes(&painted).into_owned();
            assert_eq!(widths(&painted), widths(&bare));
            insta::assert_snapshot!(format!("screen-{language}-120-rich"), bare);
        }
    }
}
