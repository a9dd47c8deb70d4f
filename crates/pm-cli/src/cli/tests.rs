//! What the command line takes, and what it says to what it does not.

use super::*;
use crate::commands::config;
use clap::CommandFactory;
use pm_core::request::Request;
use pm_core::strategies::request;
use proptest::prelude::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Returns the words that a POSIX shell makes of a command line.
fn shell(line: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {line}");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.strip_suffix('\0').unwrap().split('\0');
    words.map(str::to_owned).collect()
}

fn parse(words: &[String]) -> Request {
    match Cli::try_parse_from(words).unwrap().command.unwrap() {
        Command::Change(change) => change.request().0,
        Command::Group(Group::Change(change)) => change.request().0,
        Command::Config(Config::Set { key, value, .. }) => config::request(&key, &value).unwrap(),
        other => panic!("{other:?} changes nothing"),
    }
}

proptest! {
    #[test]
    fn what_a_request_prints_asks_for_it_again(request in request()) {
        let line = request.to_string();
        prop_assert_eq!(parse(&shell(&line)), request, "{}", line);
    }
}

/// Returns what a wrong command line is answered with, and the exit code.
fn usage_error(line: &str) -> (String, i32) {
    let words = shell(&format!("pm {line}"));
    let error = Cli::try_parse_from(words).unwrap_err();
    (error.to_string(), error.exit_code())
}

#[test]
fn places_may_stand_before_the_command_and_after_it() {
    for line in ["pm --state-dir /s list", "pm list --state-dir /s"] {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(cli.places.state_dir, Some("/s".into()), "{line}");
    }
}

#[test]
fn wrong_usage_is_answered_with_what_is_right() {
    let mut text = String::new();
    for line in [
        "add",
        "add ''",
        "add 0",
        "add 65536",
        "add 80,http",
        "add 90-80",
        "add 20000,19000-21000",
        "add 80 --quota 0",
        "add 80 --quota 1e30GB",
        "add 80 --quota -5GB",
        "add 80 --quota 100Mbps",
        "add 80 --quota 9999PB",
        "add 80 --reset 0",
        "add 80 --reset 32",
        "add 80 --reset monthly",
        "add 80 --reset every 30 days",
        "add 80 --reset 'every 30'",
        "add 80 --reset 'every 0 days'",
        "add 80 --reset 'every 3651 days'",
        "add 80 --reset 'every 121 months on 1'",
        "add 80 --reset 'every 3 months on 32'",
        "add 80 --reset 'every 30 days from 2026-02-30'",
        "add 80 --reset 'every 3 months on 15 from 2026-12-01'",
        "add 80 --reset 'yearly 02-30'",
        "add 80 --reset 'once tomorrow'",
        "add 80 --mode in",
        "add 80 --factor 0",
        "add 80 --factor 1.0005",
        "add 80 --factor 1000.001",
        "add 80 --factor -1",
        "add 80 --factor x2",
        "add 80 --limit 5",
        "add 80 --limit 7999bps",
        "add 80 --limit 0",
        "add 80 --limit -5M",
        "add 80 --limit 5MBps",
        "add 80 --limit 5MiB",
        "add 80 --limit 11Tbps",
        "add 80 --limit-in 100",
        "add 80 --limit-in fast",
        "add 80 --dynqos 100M",
        "add 80 --dynqos 100/5/5M/60",
        "add 80 --dynqos 100M/5/5/60",
        "add 80 --dynqos 7999bps/5/5M/60",
        "add 80 --dynqos 100M/0/5M/60",
        "add 80 --dynqos 100M/5/5M/10081",
        "add 80 --dynqos 100M/5m/5M/60",
        "add 80 --dynqos 100MBps/5/5M/60",
        "add 80 --expires tomorrow",
        "add 80 --expires 2027-02-29",
        "add 80 --expires 31.01.2027",
        "add 80 --routed maybe",
        "add 80 --routed",
        "add 80 --group ''",
        "add 80 --group a,b",
        "add 80 --group -vip",
        "add 80 --group \"$(printf '%049d' 0)\"",
        "add 80 --group \"$(printf '%0999d' 0)\"",
        "add 80 --group \"$(printf 'a\\033[31m')\"",
        "add 80 --note \"$(printf '%0201d' 0)\"",
        "add 80 --note \"$(printf 'a\\033[31m')\"",
        "add 80 --qouta 5GB",
        "set",
        "set vip --quota 5GB",
        "set 80 --all",
        "set 80 --used lots",
        "del",
        "show",
        "lits",
        "config get",
        "group add",
        "group add none",
        "group add vip --limit 5M",
        "group add vip 20000",
        "group del a,b",
        "group set vip --used lots",
        "group list vip",
        "history http",
        "history 80 --group vip",
        "history --group none",
        "history --by month",
    ] {
        let (error, code) = usage_error(line);
        assert_eq!(code, 2, "{line}");
        text.push_str(&format!("$ pm {line}\n{error}\n"));
    }
    insta::assert_snapshot!(text);
}
