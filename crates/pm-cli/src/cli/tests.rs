//! What the command line takes, and what it says to what it does not.

use super::*;
use crate::commands::config;
use crate::language::in_chinese;
use clap::CommandFactory;
use pm_core::request::{ChannelSettings, NotifyChange, PushChange, Request};
use pm_core::strategies::request;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::Cursor;
use unicode_width::UnicodeWidthStr;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Returns the words that a POSIX shell makes of a command line.
pub(super) fn shell(line: &str) -> Vec<String> {
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

fn parse(words: &[String], secrets: Vec<String>) -> Request {
    let mut secrets = secrets::Secrets::from_lines(Cursor::new(secrets.join("\n")));
    match Cli::try_parse_from(words).unwrap().command.unwrap() {
        Command::Notify(Notify::Change(change)) => change.request(&mut secrets).unwrap().0,
        Command::Push(Push::Change(change)) => change.request(&mut secrets).unwrap().0,
        Command::Change(change) => change.request().0,
        Command::Group(Group::Change(change)) => change.request().0,
        Command::Config(Config::Set { key, value, .. }) => config::request(&key, &value).unwrap(),
        other => panic!("{other:?} changes nothing"),
    }
}

/// Returns what is read from standard input where the command line has `-`.
fn secrets(request: &Request) -> Vec<String> {
    let settings = match request {
        Request::Notify(change) => match &**change {
            NotifyChange::Add { channel, .. } => ChannelSettings::of(channel),
            NotifyChange::Set { settings, .. } => settings.clone(),
            _ => return Vec::new(),
        },
        Request::Push(change) => match &**change {
            PushChange::Set(settings) => {
                let secret = settings.secret.iter();
                return secret.map(|secret| secret.expose().to_owned()).collect();
            }
            PushChange::Enable(_) => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let all = [
        settings.token.as_ref().map(|token| token.secret()),
        settings.url.as_ref().map(|url| url.secret()),
        settings.secret.as_ref().and_then(Option::as_ref),
        settings.password.as_ref(),
    ];
    let secrets = all.into_iter().flatten();
    secrets.map(|secret| secret.expose().to_owned()).collect()
}

proptest! {
    #[test]
    fn what_a_request_prints_asks_for_it_again(request in request()) {
        let line = request.to_string();
        if let Request::Restore { version, .. } = request {
            // What the version says is read where it is kept.
            let parsed = Cli::try_parse_from(shell(&line)).unwrap().command.unwrap();
            prop_assert!(
                matches!(parsed, Command::Config(Config::Restore { version: same, .. }) if same == version),
                "{}",
                line
            );
            return Ok(());
        }
        prop_assert_eq!(parse(&shell(&line), secrets(&request)), request, "{}", line);
    }
}

/// Returns what a wrong command line is answered with, and the exit code.
fn usage_error(line: &str) -> (String, i32) {
    let words = shell(&format!("pm {line}"));
    let error = Cli::of(words.into_iter().map(Into::into)).unwrap_err();
    (errors::text(&error), error.exit_code())
}

#[test]
fn places_may_stand_before_the_command_and_after_it() {
    for line in ["pm --state-dir /s list", "pm list --state-dir /s"] {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(cli.places.state_dir, Some("/s".into()), "{line}");
    }
}

fn wrong_usage() -> String {
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
        "add 80 --limit-in 100.1G",
        "add 80 --limit-in fast",
        "add 80 --dynqos 100M",
        "add 80 --dynqos 100/5/5M/60",
        "add 80 --dynqos 100M/5/5/60",
        "add 80 --dynqos 7999bps/5/5M/60",
        "add 80 --dynqos 101G/5/5M/60",
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
        "config diff latest",
        "config restore latest",
        "config restore -1",
        "undo 3",
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
        "notify add telegram --name ops",
        "notify add telegram --name all --token-file - --chat 5",
        "notify add telegram --name a --token-file - --chat http://t.me/x",
        "notify add telegram --name a --token-file - --chat 5 --thread x",
        "notify add telegram --name a --token 1:AA --chat 5",
        "notify add wecom --name a --url https://qyapi.weixin.qq.com/x",
        "notify add email --name a --server smtp --from a@b --to a,b",
        "notify add email --name a --server smtp --from a@b --to a@b --user u",
        "notify add webhook --name a --url-file - --preset teams",
        "notify add webhook --name a --url-file - --body '{{who}}'",
        "notify set a --thresholds 80",
        "notify set --thresholds eighty",
        "notify set a --events lost",
        "notify set a --services vip",
        "notify set a --quiet 23:00",
        "notify set a --report daily",
        "notify set a --language fr",
        "notify set a --enabled on",
        "notify add slack --name a",
        "notify add mail --name a",
        "notify set a --name b",
        "notify set a --nam b",
        "notify del a b",
        "notify del a --all",
        "notify find-chat",
        "notify find-chat --name a --token-file -",
        "notify log -n 0",
        "push set --url http://w.example/api/push --secret-file -",
        "push set --secret planted",
    ] {
        let (error, code) = usage_error(line);
        assert_eq!(code, 2, "{line}");
        text.push_str(&format!("$ pm {line}\n{error}\n"));
    }
    text
}

#[test]
fn wrong_usage_is_answered_with_what_is_right() {
    insta::assert_snapshot!(wrong_usage());
}

#[test]
fn wrong_usage_is_answered_with_what_is_right_zh() {
    let text = in_chinese(wrong_usage);
    for english in ["error:", "Usage", "tip:", "invalid", "OPTIONS", "COMMAND"] {
        assert!(!text.contains(english), "{english}");
    }
    insta::assert_snapshot!(text);
}

/// Returns all that a command and those below it say in help, each with its place.
fn said_by(command: &clap::Command, path: &str) -> Vec<(String, String)> {
    let path = format!("{path} {}", command.get_name());
    let about = [command.get_about(), command.get_long_about()];
    let mut said: Vec<(String, String)> = Vec::new();
    let first = about[0].map(ToString::to_string).unwrap_or_default();
    said.push((path.clone(), first));
    said.extend(about[1].map(|long| (path.clone(), long.to_string())));
    for argument in command.get_arguments() {
        let help = argument.get_help().map(ToString::to_string);
        let long = argument.get_long_help().map(ToString::to_string);
        let place = format!("{path} {}", argument.get_id());
        said.push((place.clone(), help.unwrap_or_default()));
        said.extend(long.map(|long| (place, long)));
    }
    let below = command.get_subcommands();
    said.extend(below.flat_map(|subcommand| said_by(subcommand, &path)));
    said
}

fn has_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{4E00}'..='\u{9FFF}'))
}

#[test]
fn every_help_is_there_in_both_languages() {
    let mut english = Cli::spoken();
    english.build();
    let chinese = in_chinese(Cli::spoken);
    let (english, chinese) = (said_by(&english, ""), said_by(&chinese, ""));
    assert!(english.len() > 200);
    for (place, text) in &english {
        assert!(!text.is_empty() && !has_chinese(text), "{place}: {text}");
    }
    for (place, text) in &chinese {
        assert!(has_chinese(text), "{place}: {text}");
    }
    let places = |said: &[(String, String)]| {
        let places = said.iter().map(|(place, _)| place.clone());
        places.collect::<BTreeSet<_>>()
    };
    assert_eq!(places(&english), places(&chinese));
}

/// Returns the help of a command line.
fn help(line: &str) -> String {
    let words = line.split(' ').map(Into::into);
    Cli::of(words).unwrap_err().to_string()
}

#[test]
fn help_is_chinese_and_fits_the_terminal_zh() {
    let widths = [40, 80];
    let helps = in_chinese(|| {
        let mut text = String::new();
        for width in widths {
            let commands = help::in_chinese(Cli::command(), width);
            for line in [
                "pm --help",
                "pm add -h",
                "pm help config set",
                "pm history -h",
            ] {
                let error = commands
                    .clone()
                    .try_get_matches_from(line.split(' '))
                    .unwrap_err();
                assert_eq!(error.exit_code(), 0);
                let help = error.to_string();
                for line in help.lines() {
                    assert!(line.width() <= width || width < 80, "{line}");
                }
                text.push_str(&format!("$ {line}    # {width}\n{help}\n"));
            }
        }
        text
    });
    insta::assert_snapshot!(helps);
}

#[test]
fn help_is_in_the_language_that_is_spoken() {
    assert!(help("pm group --help").starts_with("Let services share a quota\n\nUsage: pm group "));
    let chinese = in_chinese(|| help("pm group --help"));
    assert!(
        chinese.contains("\n\n用法：pm group [选项] <命令>\n"),
        "{chinese}"
    );
    for line in ["pm group", "pm notify add"] {
        let chinese = in_chinese(|| {
            let words = line.split(' ').map(Into::into);
            errors::text(&Cli::of(words).unwrap_err())
        });
        assert!(chinese.contains("用法：pm"), "{chinese}");
        assert!(!chinese.contains("错误"), "{chinese}");
    }
    for line in ["pm --version", "pm -V"] {
        assert_eq!(in_chinese(|| help(line)), help(line));
    }
}

#[test]
fn a_command_that_is_shown_finds_the_same_files() {
    for line in [
        "pm",
        "pm --config-dir=/a/b --state-dir=/c_d --run-dir=/e.f",
        "pm --run-dir='/a b'",
    ] {
        let words = line.replace('\'', "").replace("a b", "a\u{a0}b");
        let words: Vec<String> = words
            .split(' ')
            .map(|word| word.replace('\u{a0}', " "))
            .collect();
        let places = Cli::parse_from(&words).places;
        assert_eq!(format!("pm{}", places.as_flags()), line);
    }
}
