//! What pm has counted, written into a tool's files as the tool itself would have.

use std::collections::BTreeMap;

use pm_legacy::Tool;
use serde_json::{Map, Value, json};

use crate::journal::Journal;

/// Bytes in and out by first and last port.
pub(crate) type Counted = BTreeMap<(u16, u16), (u64, u64)>;

/// A file, by its path in the tool's directory, and its new text.
pub(crate) type Changed = BTreeMap<String, String>;

/// Returns the files that hold what was used, changed so that they hold `counted`. `text` reads one as it was kept. With
/// its counters at zero, as when its table is made anew, the tool then goes on from there.
pub(crate) fn changed(
    tool: Tool,
    counted: &Counted,
    journal: &Journal,
    text: &dyn Fn(&str) -> Option<String>,
) -> Changed {
    match tool {
        Tool::PmSh => pm_sh(counted, text),
        Tool::Dog => dog(counted, journal, text),
        Tool::TrafficDog => traffic_dog(counted, text),
    }
}

/// The name that a tool has for ports.
fn key(&(first, last): &(u16, u16)) -> String {
    match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    }
}

fn pm_sh(counted: &Counted, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let mut changed = Changed::new();
    let config = text("config.json").and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let mut config = config.unwrap_or_default();
    for (ports, &(incoming, outgoing)) in counted {
        let path = format!("state/{}.txt", key(ports));
        if let Some(state) = text(&path) {
            let figures = [
                ("s_acc_in", incoming),
                ("s_acc_out", outgoing),
                ("s_last_k_in", 0),
                ("s_last_k_out", 0),
            ];
            changed.insert(path, with_assignments(&state, &figures));
        } else if let Some(port) = config.pointer_mut(&format!("/ports/{}", key(ports)))
            && let Some(port) = port.as_object_mut()
        {
            let figures = json!({
                "acc_in": incoming, "acc_out": outgoing, "last_kernel_in": 0, "last_kernel_out": 0
            });
            port.insert("stats".to_owned(), figures);
            changed.insert("config.json".to_owned(), String::new());
        }
    }
    if let Some(text) = changed.get_mut("config.json") {
        *text = pretty(&config);
    }
    changed
}

/// Returns the text with other figures in its assignments; those it lacks come last.
fn with_assignments(text: &str, figures: &[(&str, u64)]) -> String {
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
fn dog(counted: &Counted, journal: &Journal, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let kept = text("traffic_data.json").and_then(|text| serde_json::from_str(&text).ok());
    let mut all: Map<String, Value> = kept.unwrap_or_default();
    for (ports, &(incoming, outgoing)) in counted {
        let name = key(ports);
        let prefix = format!("port_{}", name.replace('-', "_"));
        let times = |way: &str, chain: &str| {
            let rules = journal.live.table.as_ref().and_then(|table| {
                let chains = table.rules.get(&format!("{prefix}_{way}"))?;
                chains.get(chain).map(|rules| rules.tcp)
            });
            u64::from(rules.unwrap_or(1).max(1))
        };
        let entry = json!({
            "input": incoming.saturating_mul(times("in", "input")),
            "output": outgoing.saturating_mul(times("out", "output")),
        });
        let place = all.entry(name).or_insert_with(|| json!({}));
        if let (Some(place), Value::Object(entry)) = (place.as_object_mut(), entry) {
            place.extend(entry);
        }
    }
    [("traffic_data.json".to_owned(), pretty(&Value::Object(all)))].into()
}

/// A line is ports, bytes in, bytes out and the time of the last reset.
fn traffic_dog(counted: &Counted, text: &dyn Fn(&str) -> Option<String>) -> Changed {
    let state = text("state").unwrap_or_default();
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = counted
            .iter()
            .find(|(ports, _)| words.first() == Some(&&*key(ports)));
        match (found, words.as_slice()) {
            (Some((_, (incoming, outgoing))), [name, _, _, rest @ ..]) => {
                let mut line = format!("{name} {incoming} {outgoing}");
                for word in rest {
                    line.push(' ');
                    line.push_str(word);
                }
                line + "\n"
            }
            _ => format!("{line}\n"),
        }
    };
    [("state".to_owned(), state.lines().map(line).collect())].into()
}

fn pretty(value: &Value) -> String {
    // A value that was read can be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_nft::other::{OtherTable, Rules};
    use std::path::Path;

    fn counted() -> Counted {
        [((443, 443), (10, 20)), ((100, 200), (30, 40))].into()
    }

    fn journal(tool: Tool) -> Journal {
        Journal::new(tool, Path::new(tool.directory()), 0)
    }

    #[test]
    fn pm_sh_goes_on_from_what_was_counted() {
        let text = |path: &str| match path {
            "state/443.txt" => Some("s_acc_in=1\ns_last_k_in=7\ns_note=x\n".to_owned()),
            "config.json" => Some(r#"{"ports":{"100-200":{"stats":{"acc_in":1}}}}"#.to_owned()),
            _ => None,
        };
        let changed = changed(Tool::PmSh, &counted(), &journal(Tool::PmSh), &text);
        assert_eq!(
            changed["state/443.txt"],
            "s_acc_in=10\ns_acc_out=20\ns_last_k_in=0\ns_last_k_out=0\ns_note=x\n"
        );
        let config: Value = serde_json::from_str(&changed["config.json"]).unwrap();
        assert_eq!(
            config.pointer("/ports/100-200/stats/acc_out"),
            Some(&json!(40))
        );
    }

    #[test]
    fn a_dog_is_given_back_what_its_counters_would_show() {
        let mut journal = journal(Tool::Dog);
        let rules = |chain: &str| [(chain.to_owned(), Rules { tcp: 2, all: 4 })].into();
        journal.live.table = Some(OtherTable {
            rules: [
                ("port_443_in".to_owned(), rules("input")),
                ("port_443_out".to_owned(), rules("output")),
            ]
            .into(),
            ..OtherTable::default()
        });
        let text = |_: &str| Some(r#"{"443":{"input":1,"backup_time":"x"},"9":{}}"#.to_owned());
        let changed = changed(Tool::Dog, &counted(), &journal, &text);
        let data: Value = serde_json::from_str(&changed["traffic_data.json"]).unwrap();
        assert_eq!(
            data["443"],
            json!({"input": 20, "output": 40, "backup_time": "x"})
        );
        assert_eq!(data["100-200"], json!({"input": 30, "output": 40}));
    }

    #[test]
    fn a_traffic_dog_keeps_its_other_lines() {
        let text = |_: &str| Some("443 1 2 2026-07-06T20:00:00+0800\n80 5 6 x\n".to_owned());
        let changed = changed(
            Tool::TrafficDog,
            &counted(),
            &journal(Tool::TrafficDog),
            &text,
        );
        assert_eq!(
            changed["state"],
            "443 10 20 2026-07-06T20:00:00+0800\n80 5 6 x\n"
        );
    }
}
