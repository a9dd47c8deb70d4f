//! What channels are asked for by commands, and what the push's receiver gets.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Hook, PLANTED, PORT, arrive, begin, events};
use crate::lab::{Lab, wait_until};
use crate::namespace::run;
use crate::outbox::{DELIVERER, directory as outbox, hold, make, sql};

/// Where nobody listens.
pub(super) const DEAD: u16 = 8_098;

const MAIL: u16 = 8_097;

/// The node and the secret that the receiver knows.
pub(super) const NODE: &str = "hk-01";
pub(super) const SECRET: &str = "pLaNtEd 密";

/// Runs pm with what it is to read from standard input; returns what it printed.
pub(super) fn typed(lab: &Lab, args: &[&str], input: &str) -> Result<String> {
    run(&mut lab.pm_command(args), Some(input))?.success()
}

pub(super) fn json(lab: &Lab, args: &[&str]) -> Result<Value> {
    let args = [args, &["--json"]].concat();
    Ok(serde_json::from_str(&lab.ok(&args)?)?)
}

/// Waits for what deliverers there are, and has another do what is due.
pub(super) fn deliver(lab: &Lab) -> Result<()> {
    drop(hold(lab)?);
    lab.ok(&["deliver"]).map(drop)
}

pub(super) fn add_hook(lab: &Lab, name: &str, port: u16, more: &[&str]) -> Result<()> {
    let args = [
        "notify",
        "add",
        "webhook",
        "--name",
        name,
        "--url-file",
        "-",
    ];
    let url = format!("http://127.0.0.1:{port}/{PLANTED}\n");
    typed(lab, &[&args, more].concat(), &url).map(drop)
}

/// Receives pushes in the lab's VPS, written from the protocol's description alone.
struct Receiver {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: String,
}

impl Receiver {
    fn start(lab: &Lab, ahead: &str) -> Result<Self> {
        let program = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/pm-notify/tests/servers/receiver.py"
        );
        let mut command = lab.vps.command("python3");
        let mut child = command
            .args([program, ahead])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut port = String::new();
        lines.read_line(&mut port)?;
        let port = port.trim().to_owned();
        Ok(Self { child, lines, port })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/push", self.port)
    }

    /// Returns the next request, as it was judged.
    fn next(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.lines.read_line(&mut line)? > 0, "the receiver ended");
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn the_push_arrives_signed_and_says_how_it_goes(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", "alice-private"])?;
    make(lab)?;
    let mut receiver = Receiver::start(lab, "0")?;
    let set = ["push", "set", "--url", &receiver.url(), "--node", NODE];
    let set = [&set[..], &["--secret-file", "-"]].concat();
    typed(lab, &set, &format!("{SECRET}\n"))?;
    let said = lab.ok(&["push", "now"])?;
    ensure!(said.contains("took the state"), "{said}");
    lab.ok(&["monitor"])?;
    for _ in 0..2 {
        let pushed = receiver.next()?;
        ensure!(pushed["status"] == 200, "{pushed}");
        let body = pushed["body"].as_str().context("no body")?;
        for secret in ["alice-private", "pLaNtEd", "127.0.0.1"] {
            ensure!(!body.contains(secret), "{body}");
        }
        let body: Value = serde_json::from_str(body)?;
        // The one with the default route, though nothing is shaped.
        let routes = run(
            lab.vps
                .command("ip")
                .args(["-j", "route", "show", "default"]),
            None,
        )?;
        let routes: Value = serde_json::from_str(&routes.success()?)?;
        let uplink = routes[0]["dev"].as_str().unwrap_or_default();
        ensure!(body["interface"] == uplink, "{body} is not of {uplink}");
    }
    wait_until("the receipt", || {
        Ok(json(lab, &["push", "status"])?["accepted"].is_string())
    })?;
    let status = json(lab, &["push", "status"])?;
    ensure!(status["push"]["secret"] == "set", "{status}");
    ensure!(status["failing_since"].is_null(), "{status}");
    // What is pushed at once counts, and nothing is left to be pushed.
    let failing = "UPDATE push SET sent = 9, attempts = 9, next_try = unixepoch() + 900,
                       failing_since = unixepoch() - 60, error = 'nobody answers there';";
    sql(lab, failing)?;
    lab.ok(&["push", "now"])?;
    let pushed = receiver.next()?;
    ensure!(pushed["status"] == 200, "{pushed}");
    let status = json(lab, &["push", "status"])?;
    let is_noted = status["failing_since"].is_null() && status["next_try"].is_null();
    let accepted = status["accepted"].as_str().unwrap_or_default();
    ensure!(is_noted && accepted > "2026", "{status}");
    // What is off is pushed no more, and what is refused is explained.
    lab.ok(&["push", "off"])?;
    lab.ok(&["monitor"])?;
    lab.ok(&["push", "on"])?;
    typed(lab, &["push", "set", "--secret-file", "-"], "wrong\n")?;
    lab.refused(&["push", "now"], &["the token, key or password is wrong"])?;
    let late = Receiver::start(lab, "-600")?;
    typed(
        lab,
        &["push", "set", "--url", &late.url(), "--secret-file", "-"],
        SECRET,
    )?;
    lab.refused(&["push", "now"], &["this host's clock is", "s ahead"])?;
    Ok(())
}

/// Fails where a tick has had something delivered: who delivers leaves his lock's file behind.
fn nobody_was_started(lab: &Lab) -> Result<()> {
    for file in ["wake", "deliver.lock"] {
        let path = outbox(lab).join(file);
        ensure!(!path.exists(), "there is {}", path.display());
    }
    Ok(())
}

pub(super) fn what_happens_in_quiet_hours_waits(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    lab.ok(&["config", "set", "time_zone", "UTC"])?;
    // All day but a minute, which is far from now.
    let hour = super::super::seed_from_clock() / 3_600 % 24;
    let quiet = if hour < 12 {
        "00:00-23:59"
    } else {
        "12:00-11:59"
    };
    lab.ok(&["notify", "set", "hook", "--quiet", quiet])?;
    let hook = Hook::start(lab)?;
    let told = events(lab, 3)?;
    nobody_was_started(lab)?;
    deliver(lab)?;
    ensure!(hook.titles().is_empty(), "{:?}", hook.titles());
    let listed = json(lab, &["notify", "list"])?;
    ensure!(listed["channels"][0]["waiting"] == 3, "{listed}");
    lab.ok(&["notify", "set", "hook", "--quiet", "none"])?;
    lab.ok(&["monitor"])?;
    arrive(&hook, &told)
}

/// What lay there while the host was off, or its clock behind, was never tried.
pub(super) fn what_was_not_tried_is_not_given_up(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let held = hold(lab)?;
    let told = events(lab, 4)?;
    let older = "UPDATE message SET time = time - 90000;
                 UPDATE channel SET attempts = 9, error = 'nobody answers',
                     failing_since = unixepoch() - 90000, failed = unixepoch() - 90000,
                     next_try = unixepoch() + 90000;";
    sql(lab, older)?;
    let hook = Hook::start(lab)?;
    drop(held);
    // The next try is of a clock that was ahead: the tick has it made.
    lab.ok(&["monitor"])?;
    arrive(&hook, &told)
}

/// Fault 19 of the tools that pm's users come from: what was not sent was forgotten without a word.
pub(super) fn what_nobody_takes_for_a_day_is_given_up_and_said(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let held = hold(lab)?;
    events(lab, 2)?;
    let older = "UPDATE message SET time = time - 90000;
                 UPDATE channel SET attempts = 9, error = 'nobody answers',
                     failing_since = unixepoch() - 90000, failed = unixepoch() - 900,
                     tried_for = 86000, next_try = 0;";
    sql(lab, older)?;
    let listed = lab.ok(&["notify", "list"])?;
    ensure!(listed.contains("failing since"), "{listed}");
    let told = events(lab, 4)?;
    drop(held);
    // It is tried once more before anything is given up.
    deliver(lab)?;
    let hook = Hook::start(lab)?;
    sql(lab, "UPDATE channel SET next_try = 0;")?;
    deliver(lab)?;
    let note = "2 messages could not be delivered here and were given up";
    arrive(&hook, &[&[note], &told[..]].concat())?;
    let log = json(lab, &["notify", "log"])?;
    let states: Vec<_> = log["messages"].as_array().into_iter().flatten().collect();
    let count = |state: &str| states.iter().filter(|it| it["state"] == state).count();
    ensure!((count("given_up"), count("delivered")) == (2, 4), "{log}");
    Ok(())
}

pub(super) fn trouble_of_one_channel_is_told_to_the_others_once(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let hook = Hook::start(lab)?;
    // It is told nothing but this, so that nothing else waits for it.
    add_hook(lab, "dead", DEAD, &["--events", "delivery"])?;
    lab.ok(&["notify", "set", "hook", "--events", "delivery"])?;
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    let failing = "UPDATE channel SET attempts = 5, error = 'nobody answers there',
                       failing_since = unixepoch() - 400, next_try = unixepoch() + 3600
                   WHERE name = 'dead';";
    sql(lab, failing)?;
    for _ in 0..4 {
        lab.ok(&["monitor"])?;
    }
    let told = ["messages to dead do not arrive"];
    arrive(&hook, &told)?;
    for _ in 0..2 {
        lab.ok(&["monitor"])?;
        deliver(lab)?;
    }
    arrive(&hook, &told)?;
    // That it has cost the first messages is told once more, how many more it costs is not.
    for lost in [3, 4] {
        sql(
            lab,
            &format!("UPDATE channel SET lost = {lost} WHERE name = 'dead';"),
        )?;
        for _ in 0..3 {
            lab.ok(&["monitor"])?;
        }
        deliver(lab)?;
        arrive(&hook, &[told, told].concat())?;
    }
    // What waits for it now is not due for an hour.
    let over = "UPDATE channel SET error = NULL, failing_since = NULL, delivered = unixepoch()
                WHERE name = 'dead';";
    sql(lab, over)?;
    for _ in 0..3 {
        lab.ok(&["monitor"])?;
    }
    deliver(lab)?;
    let again = ["messages to dead arrive again"];
    arrive(&hook, &[told, told, again].concat())
}

/// Takes mails in the lab's VPS, and counts them.
fn take_mails(lab: &Lab) -> Result<Arc<AtomicUsize>> {
    let listener = lab
        .vps
        .enter(|| Ok(TcpListener::bind(("127.0.0.1", MAIL))?))?;
    let count = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever hangs up has sent none.
            let _ = take_mail(stream, &taken);
        }
    });
    Ok(count)
}

/// Source: RFC 5321, appendix D.1.
fn take_mail(mut stream: TcpStream, taken: &AtomicUsize) -> Result<()> {
    let reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 lab\r\n")?;
    let mut is_text = false;
    for line in reader.lines() {
        let line = line?;
        if is_text {
            if line == "." {
                is_text = false;
                taken.fetch_add(1, Ordering::Relaxed);
                stream.write_all(b"250 taken\r\n")?;
            }
            continue;
        }
        let answer = match &line.to_ascii_uppercase()[..] {
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 lab",
        };
        is_text = line.eq_ignore_ascii_case("data");
        stream.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

pub(super) fn mails_are_collected_into_one(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    let server = format!("127.0.0.1:{MAIL}");
    let add = ["notify", "add", "email", "--name", "billing", "--server"];
    let more = [
        &server[..],
        "--security",
        "none",
        "--from",
        "pm@example.org",
    ];
    let to = ["--to", "ops@example.org", "--digest", "60"];
    lab.ok(&[&add[..], &more, &to].concat())?;
    let mails = take_mails(lab)?;
    events(lab, 4)?;
    nobody_was_started(lab)?;
    deliver(lab)?;
    ensure!(mails.load(Ordering::Relaxed) == 0, "it did not wait");
    sql(lab, "UPDATE message SET time = time - 3601;")?;
    deliver(lab)?;
    ensure!(mails.load(Ordering::Relaxed) == 1, "not one mail");
    let log = json(lab, &["notify", "log", "billing"])?;
    let messages = log["messages"].as_array().context("no messages")?;
    ensure!(messages.len() == 4, "{log}");
    let all_arrived = messages.iter().all(|it| it["state"] == "delivered");
    ensure!(all_arrived, "{log}");
    Ok(())
}

/// Fault 17 of the tools that pm's users come from: secrets where others read them.
pub(super) fn commands_take_secrets_from_files_and_show_none(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    let file = lab.directory().join("token");
    fs::write(&file, format!("123456:AA{PLANTED}\n"))?;
    let token = file.to_string_lossy().into_owned();
    let add = ["notify", "add", "telegram", "--name", "ops", "--chat=-100"];
    let base = format!("http://127.0.0.1:{DEAD}");
    let more = ["--token-file", &token, "--api-base", &base];
    let mut said = lab.ok(&[&add[..], &more].concat())?;
    add_hook(lab, "hook", PORT, &["--report", "at 08:00"])?;
    typed(
        lab,
        &[
            "push",
            "set",
            "--url",
            &base,
            "--node",
            NODE,
            "--secret-file",
            "-",
        ],
        PLANTED,
    )?;
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    deliver_once(lab)?;
    for args in [
        &["notify", "list"][..],
        &["notify", "list", "--json"],
        &["notify", "log"],
        &["notify", "log", "--json"],
        &["push", "status"],
        &["push", "status", "--json"],
        &["config", "show", "--json"],
        &["config", "history"],
        &["config", "diff", "--json"],
    ] {
        said.push_str(&lab.ok(args)?);
    }
    for args in [
        &["notify", "test"][..],
        &["notify", "find-chat", "--name", "ops"],
        &["push", "now"],
        &["notify", "set", "ops", "--token-file", "/nowhere"],
        &["notify", "set", "hook", "--token-file", &token],
        &["notify", "del", "nobody"],
    ] {
        let output = lab.pm(args)?;
        ensure!(output.code == Some(1), "{output:?}");
        said.push_str(&output.stdout);
        said.push_str(&output.stderr);
    }
    ensure!(said.contains("nobody answers there"), "{said}");
    ensure!(!said.contains(PLANTED), "{said}");
    Ok(())
}

/// Lets what is due fail once.
pub(super) fn what_is_sent_at_once_is_not_sent_by_root(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let base = format!("http://127.0.0.1:{PORT}");
    let push = ["push", "set", "--url", &base, "--node", NODE];
    typed(lab, &[&push[..], &["--secret-file", "-"]].concat(), SECRET)?;
    let find = ["notify", "find-chat", "--token-file", "-", "--api-base"];
    for (args, input) in [
        (&["notify", "test", "hook"][..], ""),
        (&["push", "now"], ""),
        (&[&find[..], &[&base]].concat(), "123456:AA-token"),
    ] {
        let listener = lab
            .vps
            .enter(|| Ok(TcpListener::bind(("127.0.0.1", PORT))?))?;
        let user = thread::scope(|scope| {
            let user = scope.spawn(|| -> Result<u32> {
                let (mut stream, peer) = listener.accept()?;
                let user = lab.vps.enter(|| user_of(peer.port()));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
                user
            });
            // What it makes of the answer is another test's.
            run(&mut lab.pm_command(args), Some(input))?;
            user.join()
                .map_err(|_| anyhow::anyhow!("the server panicked"))?
        })?;
        ensure!(user == DELIVERER, "{args:?}: user {user} was at it");
    }
    Ok(())
}

/// Returns whose the local socket with this port is.
///
/// Source: proc(5), `/proc/net/tcp`.
fn user_of(port: u16) -> Result<u32> {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/tcp")?;
    let local = format!(":{port:04X}");
    let fields = sockets.lines().map(|line| line.split_ascii_whitespace());
    let mut rows = fields.map(|fields| fields.collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1).is_some_and(|it| it.ends_with(&local)));
    let user = row.context("no such socket")?[7].parse()?;
    Ok(user)
}

pub(super) fn deliver_once(lab: &Lab) -> Result<()> {
    wait_until("the first attempt", || {
        let listed = json(lab, &["notify", "list"])?;
        let channels = listed["channels"]
            .as_array()
            .context("no channels")?
            .clone();
        Ok(channels.iter().all(|it| it["failing_since"].is_string()))
    })
}
