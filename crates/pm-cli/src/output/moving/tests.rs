//! What is taken over, on a terminal and on none.

use unicode_width::UnicodeWidthStr;

use super::*;
use crate::language::in_chinese;
use pm_core::calendar::{Timestamp, Zone};
use pm_legacy::{Context, Counter, Files, Kernel, Overuse, Table, Tool, read};

/// 2026-03-01 21:20 in UTC.
const MARCH: i64 = 1_772_400_000;

const CONFIG: &str = r#"{"config_version": 2, "ports": {
  "443": {"quota_gb": 100, "quota_mode": "in_out", "limit_mbps": 100, "reset_day": 1,
    "comment": "Snell 老王\tand a note that is longer than the terminal has room for",
    "last_reset_ts": 1772323200, "stats": {"acc_in": 4509715660, "acc_out": 3865470566},
    "ip_limit": {"enable": true, "max_ips": 3, "action": "block"}},
  "8443": {"quota_gb": 1, "quota_mode": "out_only", "reset_day": 31, "comment": "10086",
    "stats": {"acc_in": 1, "acc_out": 2147483648}},
  "20000": {"quota_gb": 5, "quota_mode": "in_out", "group_id": "vip", "reset_day": 15,
    "last_reset_ts": 1772323200, "stats": {"acc_in": 1048576, "acc_out": 1048576}},
  "20001": {"quota_gb": 8, "quota_mode": "out_only", "group_id": "vip", "reset_day": 15,
    "last_reset_ts": 1772323200, "stats": {"acc_in": 1048576, "acc_out": 1048576},
    "ip_limit": {"enable": true, "max_ips": 3, "action": "block"}},
  "30000": {"comment": "\u001b[31m"},
  "0": {}},
 "telegram": {"enable": true, "bot_token": "", "chat_id": "-100123"}}"#;

fn imported() -> Imported {
    let mut files = Files::default();
    files.insert("config.json", CONFIG);
    let mut table = Table::default();
    table.blocked.insert(30_000);
    let counter = Counter {
        bytes: 5,
        ..Counter::default()
    };
    for port in ["443", "8443", "20000", "20001", "30000"] {
        for end in ["in", "out"] {
            let name = format!("cnt_{end}_{port}");
            table.counters.insert(name, counter.clone());
        }
    }
    let kernel = Kernel { table: Some(table) };
    let context = Context {
        now: Timestamp::from_unix(MARCH),
        zone: &Zone::utc(),
        accounting: None,
    };
    read(Tool::PmSh, &files, &kernel, &context).unwrap()
}

fn shown(width: u16) -> String {
    let imported = imported();
    let (table, doubts) = (
        table(&imported, Some(width)),
        doubts(&imported, Some(width)),
    );
    for line in table.lines().chain(doubts.lines()) {
        assert!(line.width() <= width.into(), "{line}");
    }
    format!("{table}\n\n{doubts}")
}

#[test]
fn before_and_after_stand_side_by_side() {
    insta::assert_snapshot!(shown(80));
}

#[test]
fn before_and_after_stand_side_by_side_zh() {
    insta::assert_snapshot!(in_chinese(|| shown(80)));
}

#[test]
fn nothing_is_lost_on_a_narrow_terminal_but_columns() {
    let narrow = shown(50);
    for what in ["443", "8443", "group vip", "USED", "AFTER", "QUOTA"] {
        assert!(narrow.contains(what), "{narrow}");
    }
}

#[test]
fn who_is_forgiven_is_billed_nothing() {
    let mut imported = imported();
    assert!(doubts(&imported, None).starts_with("1. 8443: 2 GiB of a quota of 1 GiB"));
    imported.settle(Overuse::Forgive);
    let table = table(&imported, None);
    let line = table.lines().find(|line| line.starts_with("8443"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[..6], ["8443", "2", "GiB", "0", "B", "1GiB"]);
    assert!(!doubts(&imported, None).contains("quota of 1 GiB"));
}

#[test]
fn many_with_the_same_doubt_are_told_together() {
    let ports: Vec<String> = (1..=300)
        .map(|port| format!(r#""{port}": {{"quota_gb": 1}}"#))
        .collect();
    let mut files = Files::default();
    files.insert(
        "config.json",
        format!(r#"{{"ports": {{{}}}}}"#, ports.join(",")),
    );
    let context = Context {
        now: Timestamp::from_unix(MARCH),
        zone: &Zone::utc(),
        accounting: None,
    };
    let imported = read(Tool::PmSh, &files, &Kernel::default(), &context).unwrap();
    let told = doubts(&imported, None);
    assert_eq!(
        told,
        "1. 1, 2, 3, 4, 5 and 295 more: nothing says what it has used: it begins at nothing"
    );
}

#[test]
fn an_empty_tool_says_so() {
    let imported = {
        let mut files = Files::default();
        files.insert("config.json", r#"{"ports": {}}"#);
        let context = Context {
            now: Timestamp::from_unix(MARCH),
            zone: &Zone::utc(),
            accounting: None,
        };
        read(Tool::PmSh, &files, &Kernel::default(), &context).unwrap()
    };
    assert_eq!(table(&imported, Some(80)), "There is no port to take over.");
    assert_eq!(doubts(&imported, Some(80)), "");
}
