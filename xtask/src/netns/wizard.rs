//! The wizard, as somebody uses it: real keys in a real terminal, and what pm's configuration is then.

mod entries;
mod leave;
mod size;
mod voice;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use pm_core::config::Config;

use super::tests;
use crate::lab::{Family, Lab, wait_until};
use crate::terminal::{END, INTERRUPT, Terminal};
use crate::traffic::{Udp, Way};
use crate::truth::Place;

use entries::{every_entry_works_in_chinese, every_entry_works_in_english};
use leave::whoever_leaves_a_question_has_changed_nothing;
use size::{
    a_long_table_is_turned_page_by_page, a_new_size_is_painted_without_a_key,
    a_terminal_that_changes_its_size_is_painted_anew,
};
use voice::{
    a_secret_is_not_shown_by_a_terminal_of_lines_either,
    channels_and_the_push_are_set_up_in_the_menu,
};

tests!["wizard":
    every_entry_works_in_chinese,
    every_entry_works_in_english,
    without_a_terminal_the_table_is_printed,
    the_language_is_asked_only_where_nobody_has_said_it,
    whoever_leaves_a_question_has_changed_nothing,
    the_terminal_is_as_before_whichever_way_it_ends,
    a_terminal_that_goes_leaves_nothing_half_done,
    a_terminal_that_changes_its_size_is_painted_anew,
    a_long_table_is_turned_page_by_page,
    a_new_size_is_painted_without_a_key,
    what_can_do_no_more_than_lines_gets_lines,
    what_somebody_else_changed_meanwhile_is_told_and_kept,
    a_second_wizard_is_told_of_the_first,
    who_deletes_everything_at_a_terminal_is_asked,
    ssh_is_cut_off_only_by_who_insists,
    a_paste_is_text_however_long_it_is,
    what_waits_for_a_lock_says_so_and_takes_no_keys,
    a_terminal_that_stops_reading_hinders_no_end,
    a_terminal_that_was_given_away_is_set_up_again,
    channels_and_the_push_are_set_up_in_the_menu,
    a_secret_is_not_shown_by_a_terminal_of_lines_either,
    fault_2_an_open_menu_stops_no_tick,
    fault_6_a_note_or_a_group_of_any_kind_changes_nothing_else,
];

/// Enter.
const ENTER: &str = "\r";

/// Returns what is configured.
fn config(lab: &Lab) -> Result<Config> {
    let text = fs::read_to_string(lab.config_dir().join("config.json"))?;
    Ok(Config::parse(&text)?)
}

/// Returns a service as it is configured, as JSON.
fn service(lab: &Lab, port: &str) -> Result<String> {
    let config = config(lab)?;
    let service = config.services.get(&port.parse()?);
    Ok(serde_json::to_string(
        service.with_context(|| format!("there is no {port}"))?,
    )?)
}

/// Returns the process that has the menu open.
fn process_of_wizard(lab: &Lab) -> Result<u32> {
    let text = fs::read_to_string(lab.run_dir().join("edit.lock"))?;
    let number = text
        .split("(process ")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    Ok(number
        .with_context(|| format!("no process in {text:?}"))?
        .parse()?)
}

/// Whether a process has ended, waited for or not.
fn is_gone(process: u32) -> bool {
    match fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    }
}

fn without_a_terminal_the_table_is_printed(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", "alice"])?;
    let printed = lab.ok(&[])?;
    ensure!(printed == lab.ok(&["list"])?, "{printed}");
    Ok(())
}

fn the_language_is_asked_only_where_nobody_has_said_it(lab: &mut Lab) -> Result<()> {
    let open = |environment: &[(&str, &str)]| {
        let mut command = lab.pm_command(&[]);
        command
            .env("TERM", "xterm")
            .envs(environment.iter().copied());
        Terminal::open(command)
    };
    for (language, first) in [(None, "Language / 语言"), (Some("zh"), "要监控哪些端口")] {
        let mut wizard = open(language.map(|language| ("PM_LANG", language)).as_slice())?;
        wizard.answer(first, INTERRUPT)?;
        wizard.keys(INTERRUPT)?;
        wizard.keys(INTERRUPT)?;
        ensure!(wizard.ends()? == 0, "it failed");
        let is_asked = wizard.text().contains("Language / 语言");
        ensure!(is_asked == language.is_none(), "{}", wizard.text());
    }
    lab.ok(&["config", "set", "language", "zh"])?;
    let mut wizard = open(&[])?;
    wizard.answer("要监控哪些端口", "80\r")?;
    for _ in 0..5 {
        wizard.keys(ENTER)?;
    }
    wizard.see("pm add 80")?;
    wizard.keys(INTERRUPT)?;
    wizard.answer("请选择", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    ensure!(lab.list()?.is_empty(), "something was added");
    Ok(())
}

/// Runs the wizard in a shell that shows what it leaves of the terminal.
fn in_shell(lab: &Lab, environment: &[(&str, &str)]) -> Result<Terminal> {
    let pm = lab.pm_path().display().to_string();
    let script =
        format!("stty sane; stty -a; {pm} --lang en; echo \"code $?\"; stty -a; echo over");
    let mut command = lab.pm_command_under(&["sh", "-c", &script], &[]);
    command
        .env("TERM", "xterm-256color")
        .envs(environment.iter().copied());
    Terminal::open(command)
}

fn the_terminal_is_as_before_whichever_way_it_ends(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    for environment in [&[][..], &[("TERM", "dumb")]] {
        for (keys, code) in [
            ("0\r", "code 0"),
            (INTERRUPT, "code 0"),
            (END, "code 0"),
            ("kill -TERM", "code 143"),
            ("kill -HUP", "code 129"),
            ("kill -INT", "code 130"),
        ] {
            let mut shell = in_shell(lab, environment)?;
            shell.see("What next?")?;
            match keys.strip_prefix("kill ") {
                Some(signal) => {
                    let process = process_of_wizard(lab)?.to_string();
                    let killed = Command::new("kill").args([signal, &process]).status()?;
                    ensure!(killed.success(), "kill {signal} {process}");
                }
                None => shell.keys(keys)?,
            }
            shell
                .see(code)
                .with_context(|| format!("{keys:?} in {environment:?}"))?;
            shell.see("over")?;
            let text = shell.text();
            let modes: Vec<&str> = text.lines().filter(|line| line.contains("isig")).collect();
            ensure!(
                modes.len() == 2 && modes[0] == modes[1],
                "after {keys:?}: {modes:#?}"
            );
            ensure!(modes[0].contains("isig icanon"), "{modes:?}");
            let control: Vec<&str> = text
                .lines()
                .filter(|line| line.contains("eol = "))
                .collect();
            ensure!(
                control.len() == 2 && control[0] == control[1],
                "after {keys:?}: {control:#?}"
            );
            let raw = String::from_utf8_lossy(shell.raw()).into_owned();
            let last = |code: &str| raw.rfind(code);
            ensure!(
                last("\x1b[?2004h") <= last("\x1b[?2004l"),
                "pastes stay bracketed after {keys:?}"
            );
            ensure!(!raw.contains("\x1b[?25l"), "the cursor was hidden");
        }
    }
    Ok(())
}

fn a_terminal_that_goes_leaves_nothing_half_done(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let before = fs::read(lab.config_dir().join("config.json"))?;
    const ENGLISH: [&str; 4] = ["en", "What next?", "Stop monitoring which?", "Do it?"];
    const CHINESE: [&str; 4] = ["zh", "请选择", "删除哪些端口", "确认执行"];
    for (term, [language, menu, which, confirm]) in [
        ("xterm", ENGLISH),
        ("dumb", CHINESE),
        ("xterm", CHINESE),
        ("dumb", ENGLISH),
    ] {
        for is_in_question in [false, true] {
            // The terminal that goes is the inner one, with the process that holds its other end.
            let pm = format!("{} --lang {language}", lab.pm_path().display());
            let script = format!("exec script -qec '{pm}' /dev/null");
            let mut command = lab.pm_command_under(&["sh", "-c", &script], &[]);
            command.env("TERM", term);
            let mut outer = Terminal::open(command)?;
            outer.see(menu)?;
            if is_in_question {
                outer.keys("3\r")?;
                outer.answer(which, "all\r")?;
                outer.see(confirm)?;
                outer.keys("y")?;
            }
            let wizard = process_of_wizard(lab)?;
            drop(outer);
            wait_until("the wizard ends with its terminal", || Ok(is_gone(wizard)))?;
            let now = fs::read(lab.config_dir().join("config.json"))?;
            ensure!(now == before, "{term}, in a question: {is_in_question}");
            lab.ok(&["monitor"])?;
            lab.service("20000")?;
        }
    }
    Ok(())
}

fn what_can_do_no_more_than_lines_gets_lines(lab: &mut Lab) -> Result<()> {
    for (index, (key, value)) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("LC_ALL", "C")]
        .into_iter()
        .enumerate()
    {
        let port = 20000 + index;
        let mut command = lab.pm_command(&["--lang", "en"]);
        command.env("TERM", "xterm-256color").env(key, value);
        let mut wizard = Terminal::open(command)?;
        if index > 0 {
            wizard.answer("What next?", "1\r\n")?;
        }
        wizard.answer("Which ports?", &format!("{port}x\n{port}\n"))?;
        wizard.see("is not a port")?;
        for _ in 0..5 {
            wizard.keys("\n")?;
        }
        wizard.answer("Do it?", "y\n")?;
        wizard.see("Done.")?;
        wizard.answer("What next?", "3\n")?;
        wizard.answer("Stop monitoring which?", INTERRUPT)?;
        wizard.answer("What next?", "0\n")?;
        ensure!(wizard.ends()? == 0, "it failed");
        let raw = wizard.raw();
        ensure!(
            !raw.contains(&0x1b),
            "{key} and an escape: {}",
            wizard.text()
        );
        ensure!(
            raw.is_ascii(),
            "{key} and more than ASCII: {}",
            wizard.text()
        );
        lab.service(&port.to_string())?;
    }
    Ok(())
}

fn what_somebody_else_changed_meanwhile_is_told_and_kept(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    for (still, quota) in [("n", "6GB"), ("y", "9GB")] {
        wizard.answer("What next?", "2\r")?;
        wizard.answer("Configure which?", "20000\r")?;
        wizard.answer("What to change", "1\r")?;
        wizard.see("Quota of a period")?;
        lab.ok(&["set", "20000", "--quota", "6GB"])?;
        lab.ok(&[
            "set",
            "20000",
            "--note",
            &format!("{still} by somebody else"),
        ])?;
        wizard.keys("9\r")?;
        wizard.see("Somebody else changed the configuration or a figure")?;
        wizard.see("6 GB")?;
        wizard.see("pm set 20000 --quota 9GB")?;
        wizard.answer("Still do it?", &format!("{still}\r"))?;
        wizard.answer("What to change", "0\r")?;
        wizard.answer("back to the menu", ENTER)?;
        let now = service(lab, "20000")?;
        ensure!(now.contains(&format!("\"{quota}\"")), "{now}");
        ensure!(now.contains("by somebody else"), "{now}");
    }
    Ok(())
}

fn a_second_wizard_is_told_of_the_first(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let mut first = Terminal::pm(lab, &["--lang", "en"])?;
    first.see("What next?")?;
    let process = process_of_wizard(lab)?;
    for (language, who, key, menu) in [
        (
            "en",
            "open in another terminal already, by `pm`, process ",
            "back to the menu",
            "What next?",
        ),
        ("zh", "在另一个终端中打开（`pm`，进程 ", "任意键", "请选择"),
    ] {
        let mut second = Terminal::pm(lab, &["--lang", language])?;
        second.see(&format!("{who}{process}"))?;
        second.see(&format!("kill {process}"))?;
        second.answer(key, ENTER)?;
        second.answer(menu, "0\r")?;
        second.ends()?;
    }
    first.answer("", "0\r")?;
    first.ends()?;
    let mut third = Terminal::pm(lab, &["--lang", "en"])?;
    third.answer("What next?", "0\r")?;
    third.ends()?;
    ensure!(
        !third.text().contains("another terminal"),
        "{}",
        third.text()
    );
    Ok(())
}

fn who_deletes_everything_at_a_terminal_is_asked(lab: &mut Lab) -> Result<()> {
    for (language, count, question, nothing) in [
        ("en", "3 services", "Do it?", "Nothing was changed."),
        ("zh", "3 个服务", "确认执行", "未做任何改动"),
    ] {
        lab.ok(&["add", "20000,20001,30000-30100"])?;
        let args = ["--lang", language, "del", "--all"];
        for keys in [ENTER, "maybe\rn\r", END, "y\r"] {
            let mut asked = Terminal::pm(lab, &args)?;
            asked.see(count)?;
            asked.see("`pm undo`")?;
            asked.answer(question, keys)?;
            let is_meant = keys == "y\r";
            if keys.starts_with("maybe") {
                asked.see("maybe")?;
                asked.see(question)?;
            }
            if !is_meant {
                asked.see(nothing)?;
            }
            ensure!(asked.ends()? == i32::from(!is_meant), "{}", asked.text());
            ensure!(lab.list()?.is_empty() == is_meant, "{}", asked.text());
        }
        lab.ok(&["undo"])?;
        let mut forced = Terminal::pm(lab, &[&args[..], &["--force"]].concat())?;
        ensure!(forced.ends()? == 0, "{}", forced.text());
        ensure!(!forced.text().contains(question), "{}", forced.text());
        lab.ok(&["undo"])?;
        let mut rehearsed = Terminal::pm(lab, &[&args[..], &["--dry-run"]].concat())?;
        ensure!(rehearsed.ends()? == 0, "{}", rehearsed.text());
        ensure!(lab.list()?.len() == 3, "a dry run has deleted something");
        // A script goes on as ever.
        lab.ok(&["del", "--all"])?;
        ensure!(lab.list()?.is_empty(), "they are still there");
    }
    Ok(())
}

fn ssh_is_cut_off_only_by_who_insists(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let mut command = lab.pm_command(&["--lang", "en"]);
    command
        .env("TERM", "xterm")
        .env("SSH_CONNECTION", "10.77.0.2 50000 10.77.0.1 2222");
    let mut wizard = Terminal::open(command)?;
    wizard.answer("What next?", "1\r")?;
    wizard.answer("Which ports?", "2222\r")?;
    wizard.answer("Monitor it all the same?", ENTER)?;
    wizard.answer("Which ports?", "2222\r")?;
    wizard.answer("Monitor it all the same?", "y\r")?;
    wizard.answer("Quota of a period", "5\r")?;
    for question in [
        "What counts",
        "a new period",
        "it sends",
        "it receives",
        "Note",
        "More settings",
    ] {
        wizard.answer(question, ENTER)?;
    }
    wizard.see("it could lock you out")?;
    wizard.answer("To go on, type the SSH port", "y\r")?;
    ensure!(!wizard.text().contains("hint:"), "{}", wizard.text());
    wizard.answer("that is not 2222", "2222\r")?;
    wizard.see("pm add 2222 --quota 5GB --force")?;
    wizard.answer("Do it?", ENTER)?;
    wizard.answer("back to the menu", ENTER)?;
    wizard.answer("What next?", "9\r")?;
    wizard.answer("Block or unblock?", "1\r")?;
    wizard.answer("Block which?", "2222\r")?;
    wizard.answer("To go on, type the SSH port", ENTER)?;
    wizard.answer("back to the menu", ENTER)?;
    wizard.answer("What next?", "0\r")?;
    wizard.ends()?;
    let now = lab.service("2222")?;
    ensure!(
        now.quota_bytes == Some(5_000_000_000) && now.state == "ok",
        "{now:?}"
    );
    Ok(())
}

fn a_paste_is_text_however_long_it_is(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,20001"])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    let paste = "x".repeat(70_000) + "\r3\rall\ry\r";
    wizard.answer("What next?", &format!("\x1b[200~{paste}\x1b[201~3\r"))?;
    wizard.answer(
        "Stop monitoring which?",
        &format!("\x1b[200~{paste}\x1b[201~\r"),
    )?;
    wizard.see("✘")?;
    wizard.keys(INTERRUPT)?;
    wizard.answer("What next?", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    ensure!(!wizard.text().contains("Do it?"), "it was asked for");
    ensure!(lab.list()?.len() == 2, "something was deleted");
    Ok(())
}

fn what_waits_for_a_lock_says_so_and_takes_no_keys(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,20001"])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    wizard.answer("What next?", "3\r")?;
    wizard.see("Stop monitoring which?")?;
    let mut holder = Command::new("flock")
        .arg(lab.run_dir().join("write.lock"))
        .args(["sh", "-c", "echo locked; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let said = holder.stdout.take().context("no stdout")?;
    BufReader::new(said).read_line(&mut line)?;
    wizard.keys("all\r")?;
    wizard.see("Waiting")?;
    wizard.keys("y\r\x1b[200~y\r")?;
    drop(holder.stdin.take());
    holder.wait()?;
    wizard.answer("Do it?", "\x1b[201~\r")?;
    wizard.see("Nothing was changed.")?;
    wizard.answer("back to the menu", ENTER)?;
    // What is typed before something is to be read does not take it away.
    wizard.answer("What next?", "12\rx")?;
    wizard.answer("back to the menu", "0")?;
    wizard.answer("What next?", ENTER)?;
    wizard.answer("What next?", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    ensure!(lab.list()?.len() == 2, "something was deleted");
    Ok(())
}

fn signal(process: u32, signal: &str) -> Result<()> {
    let process = process.to_string();
    let killed = Command::new("kill").args([signal, &process]).status()?;
    ensure!(killed.success(), "kill {signal} {process}");
    Ok(())
}

fn a_terminal_that_stops_reading_hinders_no_end(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    for name in ["-TERM", "-HUP"] {
        let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
        wizard.see("What next?")?;
        let process = process_of_wizard(lab)?;
        // More than the terminal holds, of which nothing is read.
        wizard.keys(&ENTER.repeat(200))?;
        let place = format!("/proc/{process}/wchan");
        wait_until("the wizard waits for its terminal", || {
            // Where n_tty_write waits for room.
            Ok(fs::read_to_string(&place)?.contains("wait_woken"))
        })?;
        signal(process, name)?;
        wait_until("the wizard ends", || Ok(is_gone(process)))?;
    }
    Ok(())
}

fn a_terminal_that_was_given_away_is_set_up_again(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    wizard.see("What next?")?;
    let process = process_of_wizard(lab)?;
    signal(process, "-STOP")?;
    // As a shell does whose job it is.
    let terminal = format!("/proc/{process}/fd/0");
    let stty = |what: &str| Command::new("stty").args(["-F", &terminal, what]).output();
    ensure!(stty("sane")?.status.success(), "stty sane");
    signal(process, "-CONT")?;
    wizard.see("What next?")?;
    let modes = String::from_utf8(stty("-a")?.stdout)?;
    ensure!(modes.contains("-icanon"), "{modes}");
    wizard.keys("0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    Ok(())
}

/// Fault 2 of the tools before: an open menu stopped accounting, blocking and resets.
fn fault_2_an_open_menu_stops_no_tick(lab: &mut Lab) -> Result<()> {
    let [west, east] = super::calendar_days::clocks();
    lab.ok(&["config", "set", "time_zone", &west.zone])?;
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20001"])?;
    lab.ok(&["add", "20000"])?;
    lab.ok(&["add", "20001", "--quota", "1MB"])?;
    lab.ok(&[
        "add",
        "20002",
        "--quota",
        "5GB",
        "--reset",
        &format!("once {}", east.today),
    ])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    wizard.answer("What next?", "2\r")?;
    wizard.answer("Configure which?", "20000\r")?;
    wizard.answer("What to change", "8\r")?;
    wizard.see("Note")?;
    wizard.keys("half a no")?;
    let found = lab.pm(&["doctor", "--lang", "en"])?.stdout;
    ensure!(found.contains("menu: open, by `pm`, process "), "{found}");
    // Ticks account, to the byte.
    let udp = Udp::open(lab, Family::V4, 20000)?;
    for _ in 0..3 {
        udp.send(Way::In, 50, 500)?;
        udp.send(Way::Out, 50, 500)?;
        lab.ok(&["monitor"])?;
        lab.exact(&["20000"])?;
    }
    // They block.
    let udp = Udp::open(lab, Family::V4, 20001)?;
    udp.push(Way::In, 3000, 1000)?;
    lab.ok(&["monitor"])?;
    let spent = lab.service("20001")?;
    ensure!(spent.blocked_by.as_deref() == Some("quota"), "{spent:?}");
    ensure!(
        lab.truth(Place::Passed, "20001")?.sum() <= 1_000_000,
        "too much passed"
    );
    // They reset.
    Udp::open(lab, Family::V4, 20002)?.send(Way::In, 5, 500)?;
    lab.ok(&["monitor"])?;
    ensure!(
        lab.service("20002")?.billed_bytes > 0,
        "nothing was counted"
    );
    lab.ok(&["config", "set", "time_zone", &east.zone])?;
    lab.ok(&["monitor"])?;
    let reset = lab.service("20002")?;
    ensure!(reset.billed_bytes == 0, "{reset:?}");
    // Other commands change what they like, and the wizard goes on from there.
    wizard.keys("te\r")?;
    wizard.see("Somebody else changed the configuration or a figure")?;
    wizard.answer("Still do it?", "y\r")?;
    wizard.answer("What to change", "0\r")?;
    wizard.answer("back to the menu", ENTER)?;
    wizard.answer("What next?", "0\r")?;
    wizard.ends()?;
    let noted = lab.service("20000")?;
    ensure!(noted.note == "half a note", "{noted:?}");
    lab.exact(&["20000"])
}

/// Fault 6 of the tools before: an empty or numeric note, or an empty group, changed which rule applied.
fn fault_6_a_note_or_a_group_of_any_kind_changes_nothing_else(lab: &mut Lab) -> Result<()> {
    lab.ok(&["group", "add", "7", "--quota", "1TB"])?;
    lab.ok(&["group", "add", "empty"])?;
    lab.ok(&[
        "add", "20000", "--quota", "5GB", "--mode", "out", "--limit", "50M", "--note", "x",
    ])?;
    lab.ok(&["add", "20001", "--group", "7", "--note", "20000"])?;
    let without_note = |text: &str| -> Result<serde_json::Value> {
        let mut value: serde_json::Value = serde_json::from_str(text)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("note");
        }
        Ok(value)
    };
    let before = without_note(&service(lab, "20000")?)?;
    let other = service(lab, "20001")?;
    let rules = lab.table()?;
    let mut wizard = Terminal::pm(lab, &["--lang", "en"])?;
    for (typed, note) in [
        ("0", "0"),
        ("-", ""),
        ("20001", "20001"),
        ("１２", "１２"),
        ("-5 100GB none", "-5 100GB none"),
        ("a'b\"$(c)`d`\\ |,", "a'b\"$(c)`d`\\ |,"),
        ("租户 🐙", "租户 🐙"),
    ] {
        wizard.answer("What next?", "2\r")?;
        wizard.answer("Configure which?", "1\r")?;
        wizard.answer("What to change", "8\r")?;
        wizard.answer("Note", &format!("{typed}\r"))?;
        wizard.answer("What to change", "0\r")?;
        wizard.answer("back to the menu", ENTER)?;
        let now = lab.service("20000")?;
        ensure!(now.note == note, "{typed:?}: {now:?}");
        let now = without_note(&service(lab, "20000")?)?;
        ensure!(now == before, "{typed:?}: {now} was {before}");
        ensure!(
            service(lab, "20001")? == other,
            "{typed:?}: the other one changed"
        );
        ensure!(lab.table()? == rules, "{typed:?}: the rules changed");
    }
    // An empty group, and one whose name is a number, are chosen by their place or name, and only that.
    wizard.answer("What next?", "10\r")?;
    wizard.answer("Groups:", "2\r")?;
    wizard.answer("Change which group?", "empty\r")?;
    wizard.answer("What to change", "1\r")?;
    wizard.answer("Quota of a period", "3\r")?;
    wizard.answer("What to change", "0\r")?;
    wizard.answer("back to the menu", ENTER)?;
    wizard.answer("What next?", "0\r")?;
    wizard.ends()?;
    let config = config(lab)?;
    let quotas: Vec<String> = config
        .groups
        .values()
        .map(|group| {
            group
                .quota
                .map_or(String::new(), |quota| quota.size().to_string())
        })
        .collect();
    ensure!(quotas == ["1TB", "3GB"], "{quotas:?}");
    ensure!(service(lab, "20001")? == other, "the other one changed");
    if !wizard.text().contains("pm group set empty --quota 3GB") {
        bail!("the command was not shown: {}", wizard.text());
    }
    Ok(())
}
