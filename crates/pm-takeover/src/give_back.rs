//! What pm has counted, written into a tool's files as the tool itself would have.

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone};
use pm_legacy::Tool;

use crate::journal::{Entry, Figure, Journal};
use crate::ordered::Ordered;

/// What the tool's entries have used, by its own names.
pub(crate) type Figures = BTreeMap<String, Figure>;

/// A file, by its path in the tool's directory, and its new text.
pub(crate) type Changed = BTreeMap<String, String>;

/// Returns the files that hold what was used, changed so that they hold the journal's figures. `text` reads one as it
/// was kept. With its counters at zero, as when its table is made anew, the tool then goes on from there.
pub(crate) fn changed(
    tool: Tool,
    journal: &Journal,
    text: &dyn Fn(&str) -> Option<String>,
) -> Changed {
    match tool {
        Tool::PmSh => pm_sh(&journal.figures, text),
        Tool::Dog => dog(journal, text),
        Tool::TrafficDog => traffic_dog(journal, text),
    }
}

fn pm_sh(figures: &Figures, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let mut changed = Changed::new();
    let config = text("config.json").and_then(|text| Ordered::parse(&text));
    let mut config = config.unwrap_or_default();
    for (key, figure) in figures {
        let path = format!("state/{key}.txt");
        if let Some(state) = text(&path) {
            let mut lines = vec![
                ("s_acc_in", figure.incoming.to_string()),
                ("s_acc_out", figure.outgoing.to_string()),
                ("s_last_k_in", "0".to_owned()),
                ("s_last_k_out", "0".to_owned()),
            ];
            let began = figure.began.filter(|began| *began > last_reset(&state));
            lines.extend(began.map(|began| ("s_last_reset_ts", began.to_string())));
            changed.insert(path, with_assignments(&state, &lines));
        } else if let Some(port) = config.object("ports").and_then(|ports| ports.object(key)) {
            if let Some(stats) = port.object_or_new("stats") {
                stats.set("acc_in", figure.incoming);
                stats.set("acc_out", figure.outgoing);
                stats.set("last_kernel_in", 0);
                stats.set("last_kernel_out", 0);
            }
            let last = port.number("last_reset_ts").unwrap_or(0);
            if let Some(began) = figure.began.filter(|began| *began > last) {
                port.set("last_reset_ts", began);
            }
            changed.insert("config.json".to_owned(), String::new());
        }
    }
    if let Some(text) = changed.get_mut("config.json") {
        *text = config.to_text();
    }
    changed
}

/// Returns when the tool began the period itself; pm may have closed that one since.
fn last_reset(state: &str) -> i64 {
    let mut lines = state.lines();
    let found = lines.find_map(|line| line.trim().strip_prefix("s_last_reset_ts="));
    found
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Returns the text with other figures in its assignments; those it lacks come last.
fn with_assignments(text: &str, figures: &[(&str, String)]) -> String {
    let assigns = |line: &str, name: &str| line.trim().split('=').next() == Some(name);
    let kept = text
        .lines()
        .filter(|line| !figures.iter().any(|(name, _)| assigns(line, name)));
    let kept = kept.map(str::to_owned);
    let new = figures
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    new.chain(kept).map(|line| line + "\n").collect()
}

/// Its file holds what its counters show, in which a byte may be several times.
fn dog(journal: &Journal, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let kept = text("traffic_data.json").and_then(|text| Ordered::parse(&text));
    let mut all = kept.unwrap_or_default();
    for Entry { key, times, .. } in &journal.origins {
        let Some(figure) = journal.figures.get(key) else {
            continue;
        };
        let Some(place) = all.object_or_new(key) else {
            continue;
        };
        let ways = [
            ("input", figure.incoming, times.0),
            ("output", figure.outgoing, times.1),
        ];
        for (field, bytes, times) in ways {
            // What it does not count, it does not look at either.
            if times > 0 {
                place.set(field, bytes.saturating_mul(times.into()));
            }
        }
    }
    [("traffic_data.json".to_owned(), all.to_text())].into()
}

/// A line is ports, bytes in, bytes out and the time of the last reset; in another file, ports and what counted against
/// a quota.
fn traffic_dog(journal: &Journal, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let state = with_lines(
        &text("state").unwrap_or_default(),
        journal,
        &|figure, rest| {
            let began = match rest.get(2) {
                Some(began) => (*began).to_owned(),
                None => timestamp(figure.began.unwrap_or(journal.read)),
            };
            format!("{} {} {began}", figure.incoming, figure.outgoing)
        },
    );
    let mut limited = journal.clone();
    let limits = text("limits").unwrap_or_default();
    let has_limit = |key: &String| limits.lines().any(|line| first(line) == Some(key));
    limited.figures.retain(|key, _| has_limit(key));
    let used = with_lines(&text("used").unwrap_or_default(), &limited, &|figure, _| {
        figure.billed.to_string()
    });
    let mut changed: Changed = [("state".to_owned(), state)].into();
    if !limited.figures.is_empty() {
        changed.insert("used".to_owned(), used);
    }
    changed
}

fn first(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// Returns the lines with what `says` of those that have a figure, from what stood behind their name; those that are
/// missing come last.
fn with_lines(text: &str, journal: &Journal, says: &dyn Fn(&Figure, &[&str]) -> String) -> String {
    let mut lines = Vec::new();
    let mut missing = journal.figures.clone();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words
            .split_first()
            .and_then(|(key, rest)| Some((key, rest, missing.remove(*key)?)))
        {
            Some((key, rest, figure)) => lines.push(format!("{key} {}", says(&figure, rest))),
            None => lines.push(line.to_owned()),
        }
    }
    let missing = missing.iter();
    lines.extend(missing.map(|(key, figure)| format!("{key} {}", says(figure, &[]))));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Returns a time as that tool writes it.
fn timestamp(unix: i64) -> String {
    let at = Zone::utc().local(Timestamp::from_unix(unix));
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = time.as_hms();
    format!("{date}T{hour:02}:{minute:02}:{second:02}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::path::Path;

    fn journal(tool: Tool, entries: &[(&str, (u32, u32))]) -> Journal {
        let mut journal = Journal::new(tool, Path::new(tool.directory()), 1_772_000_000);
        for (at, &(key, times)) in (1..).zip(entries) {
            journal.origins.push(Entry {
                key: key.to_owned(),
                ports: None,
                group: None,
                times,
            });
            let figure = Figure {
                incoming: 10 * at,
                outgoing: 20 * at,
                billed: 30 * at,
                began: Some(1_772_000_001),
            };
            journal.figures.insert(key.to_owned(), figure);
        }
        journal
    }

    #[test]
    fn pm_sh_goes_on_from_what_was_counted() {
        let text = |path: &str| match path {
            "state/443.txt" => {
                Some("s_acc_in=1\ns_last_k_in=7\ns_last_reset_ts=5\ns_note=x\n".to_owned())
            }
            "state/80.txt" => Some("s_last_reset_ts=1772000002\n".to_owned()),
            "config.json" => Some(r#"{"ports":{"90":{"stats":{"acc_in":1}}}}"#.to_owned()),
            _ => None,
        };
        let entries = [("443", (1, 1)), ("90", (1, 1)), ("80", (1, 1))];
        let changed = changed(Tool::PmSh, &journal(Tool::PmSh, &entries), &text);
        assert_eq!(
            changed["state/443.txt"],
            "s_acc_in=10\ns_acc_out=20\ns_last_k_in=0\ns_last_k_out=0\ns_last_reset_ts=1772000001\ns_note=x\n"
        );
        // A period that pm has not closed is the tool's own.
        assert!(changed["state/80.txt"].ends_with("s_last_k_out=0\ns_last_reset_ts=1772000002\n"));
        let config: Value = serde_json::from_str(&changed["config.json"]).unwrap();
        let stats = config.pointer("/ports/90/stats/acc_out");
        assert_eq!(stats, Some(&json!(40)));
    }

    #[test]
    fn a_dog_is_given_back_what_its_counters_would_show() {
        let entries = [("443", (2, 2)), ("80,8080", (1, 1)), ("5", (0, 1))];
        let text = |_: &str| {
            Some(r#"{"443":{"input":1,"backup_time":"x"},"9":{},"5":{"input":7}}"#.to_owned())
        };
        let changed = changed(Tool::Dog, &journal(Tool::Dog, &entries), &text);
        let data: Value = serde_json::from_str(&changed["traffic_data.json"]).unwrap();
        let expected = json!({
            "443": {"input": 20, "output": 40, "backup_time": "x"},
            "80,8080": {"input": 20, "output": 40},
            "5": {"input": 7, "output": 60},
            "9": {},
        });
        assert_eq!(data, expected);
        // In the order in which it was.
        let order = ["443", "9", "5", "80,8080"].map(|key| format!("  \"{key}\": {{"));
        let places = order.map(|key| changed["traffic_data.json"].find(&key));
        assert!(places.is_sorted() && places[0].is_some(), "{changed:?}");
    }

    #[test]
    fn a_traffic_dog_gets_every_line_and_keeps_its_others() {
        let entries = [("443", (1, 1)), ("100-200", (1, 1))];
        let text = |path: &str| match path {
            "state" => Some("443 1 2 2026-07-06T20:00:00+0800\n80 5 6 x\n".to_owned()),
            "limits" => Some("443 1000\n".to_owned()),
            _ => None,
        };
        let changed = changed(
            Tool::TrafficDog,
            &journal(Tool::TrafficDog, &entries),
            &text,
        );
        assert_eq!(
            changed["state"],
            "443 10 20 2026-07-06T20:00:00+0800\n80 5 6 x\n100-200 20 40 2026-02-25T06:13:21+0000\n"
        );
        assert_eq!(changed["used"], "443 30\n");
    }
}
