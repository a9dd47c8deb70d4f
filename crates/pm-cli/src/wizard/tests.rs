//! Questions and answers, line by line, without a terminal.

mod voice;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::rc::Rc;

use pm_core::config::Config;
use pm_core::language::Language;
use pm_core::request::Request;
use pm_engine::listeners::Listener;

use super::add;
use super::ui::{Answer, Stop, Ui};

/// What was said.
#[derive(Clone, Default)]
struct Said(Rc<RefCell<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn host() -> (Config, BTreeMap<u16, Listener>, BTreeSet<u16>) {
    let config = r#"{"schema": 1, "groups": {"vip": {"quota": "1TB"}}, "services": {"443": {}}}"#;
    let listener = |program: &str, container: &[&str]| Listener {
        tcp: true,
        udp: program == "ss-server",
        programs: [program.to_owned()].into(),
        containers: container.iter().map(|name| (*name).to_owned()).collect(),
    };
    let found = BTreeMap::from([
        (22, listener("sshd", &[])),
        (443, listener("nginx", &["web"])),
        (20000, listener("ss-server", &[])),
        (25565, listener("java\u{1b}[2J", &["minecraft"])),
    ]);
    (Config::parse(config).unwrap(), found, [22].into())
}

/// Answers the questions of adding; returns the request and all that was said.
fn add(language: Language, input: &str) -> (Answer<Request>, String) {
    crate::language::speak(language);
    let said = Said::default();
    let mut ui = Ui::scripted(io::Cursor::new(input.to_owned()), said.clone());
    let (config, found, ssh_ports) = host();
    let request = add::ask(&mut ui, &config, &found, &ssh_ports);
    drop(ui);
    let said = String::from_utf8(said.0.take()).unwrap();
    (request, said)
}

/// Every question of adding, with wrong answers in between, as a phone in Shanghai may send them.
const ANSWERS: &str = "443\n80x\n２００００，３００００－３０１００\r\n\
    9\n0\nmany\n１００\n2\n32\n1\n32\n15\n-5\n50\n\n 123 \n?\ny\n2\n\
    5\n100\n5\n60\n2027-13-01\n2027-01-31\ny\n";

#[test]
fn every_question_is_asked_in_both_languages() {
    for language in Language::ALL {
        let (request, said) = add(language, ANSWERS);
        assert_eq!(
            request.unwrap().to_string(),
            "pm add 20000,30000-30100 --quota 100GB --mode out --factor 2 --reset 15 --limit 50Mbps \
             --dynqos 100Mbps/5/5Mbps/60 --expires 2027-01-31 --routed yes --note '123'",
            "{said}"
        );
        insta::assert_snapshot!(format!("add-{language}"), said);
    }
}

#[test]
fn who_only_presses_enter_gets_what_was_stated() {
    let (request, _) = add(Language::English, "8080\n\n\n\n\n\n\n");
    assert_eq!(request.unwrap().to_string(), "pm add 8080");
    let (request, _) = add(Language::English, "8080\n0\n5GiB\n\n\n\n\n\n\n");
    assert_eq!(request.unwrap().to_string(), "pm add 8080 --quota 5GiB");
    let (request, _) = add(Language::English, "8080\n1\n\n\n\n\n");
    assert_eq!(request.unwrap().to_string(), "pm add 8080 --group vip");
}

/// Answers the question when a period ends, and returns that as it is typed in a command.
fn when(present: &str, input: &str) -> (String, String) {
    crate::language::speak(Language::Chinese);
    let said = Said::default();
    let mut ui = Ui::scripted(io::Cursor::new(input.to_owned()), said.clone());
    let chosen = super::when::ask(&mut ui, present.parse().unwrap());
    drop(ui);
    let said = String::from_utf8(said.0.take()).unwrap();
    (chosen.unwrap().to_string(), said)
}

#[test]
fn a_reset_is_chosen_with_numbers_and_dates_only() {
    let kept = "every 30 days from 2026-12-01";
    let months = "every 3 months on 15 from 2026-12";
    for (present, input, expected) in [
        (kept, "\n", kept),
        ("15", "1\n\n", "15"),
        (kept, "1\n\n", "1"),
        (kept, "1\n32\n３１日\n", "31"),
        ("1", "2\n\n\n", "every 30 days"),
        ("1", "2\n45天\n2027/1/5\n", "every 45 days from 2027-01-05"),
        (kept, "2\n\n\n", kept),
        (kept, "2\n7\n\n", "every 7 days"),
        (kept, "2\n\n2027-02-01\n", "every 30 days from 2027-02-01"),
        ("1", "3\n\n\n\n", "every 3 months on 1"),
        (months, "3\n\n\n\n", months),
        (months, "3\n\n20\n\n", "every 3 months on 20"),
        (
            months,
            "3\n6\n\n2027年2月\n",
            "every 6 months on 15 from 2027-02",
        ),
        ("1", "4\n\n", "yearly 01-01"),
        ("yearly 06-18", "4\n\n", "yearly 06-18"),
        ("1", "4\n2-30\n6月18日\n", "yearly 06-18"),
        ("1", "5\n\n2027-01-31\n", "once 2027-01-31"),
        ("once 2027-01-31", "5\n\n", "once 2027-01-31"),
        ("1", "0\n", "never"),
    ] {
        let (chosen, said) = when(present, input);
        assert_eq!(chosen, expected, "{present}, {input:?}: {said}");
    }
}

#[test]
fn a_reset_reads_as_chinese() {
    crate::language::speak(Language::Chinese);
    for (policy, shown) in [
        ("15", "每月 15 日"),
        ("every 30 days", "每 30 天"),
        (
            "every 30 days from 2026-12-01",
            "每 30 天（从 2026-12-01 起）",
        ),
        ("every 3 months on 15", "每 3 个月的 15 日"),
        ("yearly 06-18", "每年 6 月 18 日"),
        ("once 2027-01-31", "一次：2027-01-31"),
        ("never", "不重置"),
    ] {
        assert_eq!(super::when::show(&policy.parse().unwrap()), shown);
    }
}

#[test]
fn the_port_of_ssh_needs_a_second_word() {
    let (request, said) = add(Language::Chinese, "22\nn\n20000\n\n\n\n\n\n\n");
    assert_eq!(request.unwrap().to_string(), "pm add 20000", "{said}");
    let (request, said) = add(Language::Chinese, "22\ny\n\n\n\n\n\n\n");
    assert_eq!(request.unwrap().to_string(), "pm add 22", "{said}");
    assert!(said.contains("SSH"), "{said}");
}

/// Fault 6 of the tools before: a numeric note, or an empty one, changed which rule applied.
#[test]
fn a_note_of_any_kind_is_only_a_note() {
    for (note, line) in [
        ("", "pm add 80"),
        ("0", "pm add 80 --note '0'"),
        ("８０", "pm add 80 --note '８０'"),
        (
            "$(reboot) 'x' \"y\"",
            r#"pm add 80 --note '$(reboot) '\''x'\'' "y"'"#,
        ),
    ] {
        let (request, said) = add(Language::English, &format!("80\n\n\n\n\n{note}\n\n"));
        assert_eq!(request.unwrap().to_string(), line, "{said}");
    }
}

#[test]
fn whoever_leaves_early_has_asked_for_nothing() {
    let answers: Vec<&str> = ANSWERS.split_inclusive('\n').collect();
    for count in 0..answers.len() {
        for end in ["", "\u{3}", "1\u{3}"] {
            let input = answers[..count].concat() + end;
            let (request, said) = add(Language::English, &input);
            assert!(matches!(request, Err(Stop::Menu)), "{said}");
        }
    }
}

#[test]
fn what_listens_cannot_steer_the_terminal() {
    let (_, said) = add(Language::English, ANSWERS);
    assert!(!said.contains('\u{1b}'), "{said}");
}
