//! Everything that happens is told, once, whatever happens to who tells it.

mod channels;
mod outage;
mod peer;
mod peers;
mod planted;
mod told;
mod trouble;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::tests;
use crate::lab::{Lab, wait_until};
use crate::outbox::{directory as outbox, hold, make, sql};
use crate::rng::Rng;

use channels::{
    commands_take_secrets_from_files_and_show_none, mails_are_collected_into_one,
    the_push_arrives_signed_and_says_how_it_goes,
    trouble_of_one_channel_is_told_to_the_others_once, what_happens_in_quiet_hours_waits,
    what_is_sent_at_once_is_not_sent_by_root, what_nobody_takes_for_a_day_is_given_up_and_said,
    what_was_not_tried_is_not_given_up,
};
use outage::{
    a_server_that_never_answers_holds_up_nobody,
    through_an_hour_of_outage_nothing_is_lost_or_sent_twice,
};
use peers::{
    a_bot_api_of_others_is_understood, a_strict_bot_api_gets_each_message_once,
    whom_the_host_trusts_gets_mails_and_pushes,
};
use planted::no_secret_is_anywhere_but_where_it_belongs;
use told::{
    a_channel_that_fails_is_found_and_says_what_it_drops,
    what_happens_to_several_at_once_is_one_message, what_waits_is_delivered_once_a_test_arrives,
};
use trouble::{
    a_clock_that_is_off_is_said_to_be, a_report_of_300_services_arrives_whole,
    what_is_no_news_any_more_is_not_told, what_was_lost_is_told_once_there_is_room,
    whatever_stands_in_the_outbox_is_only_text, who_is_no_server_is_known_for_what_he_is,
};

/// A program that these tests call, and the Debian package that has it.
pub(crate) const PROGRAMS: [(&str, &str); 4] = [
    ("faketime", "faketime"),
    ("openssl", "openssl"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

tests!["notify":
    a_bot_api_of_others_is_understood,
    a_strict_bot_api_gets_each_message_once,
    whom_the_host_trusts_gets_mails_and_pushes,
    through_an_hour_of_outage_nothing_is_lost_or_sent_twice,
    a_server_that_never_answers_holds_up_nobody,
    after_an_outage_every_event_arrives_once_and_in_order,
    what_comes_as_the_last_is_done_waits_for_no_tick,
    who_delivers_may_die_at_any_moment,
    a_tick_that_dies_between_its_two_commits_tells_nothing_twice,
    a_hostile_outbox_is_put_aside_and_costs_no_byte,
    what_is_no_news_any_more_is_not_told,
    what_was_lost_is_told_once_there_is_room,
    whatever_stands_in_the_outbox_is_only_text,
    who_is_no_server_is_known_for_what_he_is,
    a_clock_that_is_off_is_said_to_be,
    a_report_of_300_services_arrives_whole,
    no_secret_is_anywhere_but_where_it_belongs,
    no_secret_is_in_a_command_line_or_an_environment,
    the_push_arrives_signed_and_says_how_it_goes,
    what_happens_in_quiet_hours_waits,
    what_nobody_takes_for_a_day_is_given_up_and_said,
    what_was_not_tried_is_not_given_up,
    trouble_of_one_channel_is_told_to_the_others_once,
    mails_are_collected_into_one,
    commands_take_secrets_from_files_and_show_none,
    what_is_sent_at_once_is_not_sent_by_root,
    what_waits_is_delivered_once_a_test_arrives,
    what_happens_to_several_at_once_is_one_message,
    a_channel_that_fails_is_found_and_says_what_it_drops,
];

const PORT: u16 = 8_099;

/// What must be nowhere but in the configuration, the outbox and the request.
const PLANTED: &str = "planted-7Hq2";

/// A web hook's server in the VPS, as long as it lives.
struct Hook {
    titles: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    /// How many have connected.
    met: Arc<AtomicUsize>,
    /// Nobody is answered while a test holds it.
    gate: Arc<Mutex<()>>,
}

impl Hook {
    fn start(lab: &Lab) -> Result<Self> {
        Self::on(lab, PORT)
    }

    fn on(lab: &Lab, port: u16) -> Result<Self> {
        let listener = lab
            .vps
            .enter(|| Ok(TcpListener::bind(("127.0.0.1", port))?))?;
        let hook = Self {
            titles: Arc::default(),
            stop: Arc::default(),
            met: Arc::default(),
            gate: Arc::default(),
        };
        let (titles, stop) = (Arc::clone(&hook.titles), Arc::clone(&hook.stop));
        let (met, gate) = (Arc::clone(&hook.met), Arc::clone(&hook.gate));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                met.fetch_add(1, Ordering::Relaxed);
                // A client that was killed sends half of it.
                if let Ok(title) = serve(stream, &gate) {
                    titles
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(title);
                }
            }
        });
        Ok(hook)
    }

    fn titles(&self) -> Vec<String> {
        let titles = self.titles.lock();
        titles.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads a request, answers it, and returns the title of its message.
fn serve(mut stream: TcpStream, gate: &Mutex<()>) -> Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "it broke off");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    drop(gate.lock());
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    let title = body["title"].as_str().context("no title")?;
    let (_, title) = title.split_once("] ").context("no host's name")?;
    Ok(title.to_owned())
}

/// Makes a lab with one service, a channel to the hook, and an outbox of somebody's who is not root.
fn begin(lab: &Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let path = lab.config_dir().join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    let url = format!("http://127.0.0.1:{PORT}/{PLANTED}");
    config["notify"] = json!({"channels": {"hook": {"via": {"webhook": {"url": url}}}}});
    fs::write(&path, serde_json::to_string(&config)?)?;
    make(lab)
}

/// Blocks and unblocks in turn, with a tick after each; returns what is told of it.
fn events(lab: &Lab, count: usize) -> Result<Vec<&'static str>> {
    let mut told = Vec::new();
    for number in 0..count {
        let (verb, title) = match number % 2 {
            0 => ("block", "20000: blocked by the operator"),
            _ => ("unblock", "20000: no longer blocked by the operator"),
        };
        lab.ok(&[verb, "20000"])?;
        lab.ok(&["monitor"])?;
        told.push(title);
    }
    Ok(told)
}

fn arrive(hook: &Hook, told: &[&str]) -> Result<()> {
    wait_until("all messages", || Ok(hook.titles().len() >= told.len()))?;
    let titles = hook.titles();
    ensure!(titles == told, "{titles:?} arrived of {told:?}");
    Ok(())
}

/// Fault 19 of the tools that pm's users come from: what was not sent at once was never sent.
fn after_an_outage_every_event_arrives_once_and_in_order(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    // Nobody listens: the first attempt fails, and it goes on trying.
    let told = events(lab, 12)?;
    let hook = Hook::start(lab)?;
    arrive(&hook, &told)
}

/// Who delivers has just looked for the last time, again and again.
fn what_comes_as_the_last_is_done_waits_for_no_tick(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let hook = Hook::start(lab)?;
    let mut rng = Rng::new(lab.seed());
    let mut told = Vec::new();
    for _ in 0..12 {
        let gate = hook.gate.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend(events(lab, 1)?);
        lab.ok(&["unblock", "20000"])?;
        told.push("20000: no longer blocked by the operator");
        let mut tick = lab.pm_command(&["monitor"]).spawn()?;
        let moment = rng.moment(Duration::from_millis(60));
        let started = Instant::now();
        while started.elapsed() < moment {
            std::hint::spin_loop();
        }
        drop(gate);
        ensure!(tick.wait()?.success(), "the tick failed");
        arrive(&hook, &told)?;
    }
    Ok(())
}

fn who_delivers_may_die_at_any_moment(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let held = hold(lab)?;
    let told = events(lab, 16)?;
    drop(held);
    let hook = Hook::start(lab)?;
    let mut rng = Rng::new(lab.seed());
    let mut kills = 0;
    // Each run gets a little longer, so that some day all is delivered.
    while hook.titles().len() < told.len() || kills < 10 {
        let mut child = lab
            .pm_command(&["deliver"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let moment = rng.moment(Duration::from_micros(20_000 + 2_000 * kills));
        let started = Instant::now();
        while started.elapsed() < moment {
            std::hint::spin_loop();
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
        // Whoever died is not followed at once.
        sql(lab, "UPDATE channel SET next_try = 0;")?;
        ensure!(kills < 400, "only {:?} after {kills} kills", hook.titles());
    }
    lab.ok(&["deliver"])?;
    let mut titles = hook.titles();
    let twice = titles.len().saturating_sub(told.len()) as u64;
    ensure!(twice <= kills, "{twice} more than once after {kills} kills");
    // What came twice came right after itself.
    titles.dedup();
    ensure!(titles == told, "{titles:?} arrived of {told:?}");
    Ok(())
}

/// strace kills the tick at each call that writes, some of them between the commit to the outbox and
/// the one that forgets what was copied.
fn a_tick_that_dies_between_its_two_commits_tells_nothing_twice(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let held = hold(lab)?;
    let mut told = Vec::new();
    for number in (1..=60).step_by(3) {
        told.extend(events(lab, 1)?.first().copied().map(|_| number));
        let inject = format!(
            "inject=fdatasync,fsync,unlink:signal=KILL:when={}",
            number % 20 + 1
        );
        let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        lab.ok(&["unblock", "20000"])?;
        let mut tick = lab.pm_command_under(&wrapper, &["monitor"]);
        tick.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    }
    lab.ok(&["monitor"])?;
    drop(held);
    let hook = Hook::start(lab)?;
    lab.ok(&["deliver"])?;
    let titles = hook.titles();
    let pair = [
        "20000: blocked by the operator",
        "20000: no longer blocked by the operator",
    ];
    let wanted = pair.repeat(told.len());
    ensure!(titles == wanted, "{titles:?}");
    Ok(())
}

fn a_hostile_outbox_is_put_aside_and_costs_no_byte(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let hook = Hook::start(lab)?;
    let told = events(lab, 1)?;
    arrive(&hook, &told)?;
    let held = hold(lab)?;
    let file = outbox(lab).join("outbox.db");
    fs::write(&file, [7; 30_000])?;
    let output = lab.pm(&["monitor"])?;
    ensure!(output.code == Some(0), "{output:?}");
    ensure!(output.stderr.contains("not as pm left it"), "{output:?}");
    // A link to what only root may write: nothing is written there.
    let target = lab.directory().join("roots-own");
    fs::write(&target, "root's own")?;
    fs::remove_file(&file)?;
    std::os::unix::fs::symlink(&target, &file)?;
    let output = lab.pm(&["monitor"])?;
    ensure!(output.code == Some(0), "{output:?}");
    ensure!(
        fs::read_to_string(&target)? == "root's own",
        "it was written to"
    );
    drop(held);
    lab.ok(&["monitor"])?;
    wait_until("the message that it was damaged", || {
        let titles = hook.titles();
        Ok(titles
            .iter()
            .any(|title| title.contains("outbox was damaged")))
    })
}

/// Fault 17 of the tools that pm's users come from: secrets on the command line.
fn no_secret_is_in_a_command_line_or_an_environment(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let hook = Hook::start(lab)?;
    lab.ok(&["block", "20000"])?;
    let trace = lab.directory().join("calls");
    let place = trace.to_string_lossy().into_owned();
    let wrapper = [
        "strace", "-f", "-v", "-s", "65536", "-e", "execve", "-o", &place,
    ];
    let tick = lab.pm_command_under(&wrapper, &["monitor"]).output()?;
    arrive(&hook, &["20000: blocked by the operator"])?;
    let calls = fs::read_to_string(&trace)?;
    ensure!(
        calls.contains("\"deliver\""),
        "nothing was started: {calls}"
    );
    let said = [tick.stdout, tick.stderr].concat();
    for text in [calls, String::from_utf8_lossy(&said).into_owned()] {
        ensure!(!text.contains(PLANTED), "{text}");
    }
    // Whoever is neither root nor him cannot read it.
    let mode = fs::metadata(outbox(lab).join("outbox.db"))?
        .permissions()
        .mode();
    ensure!(mode & 0o777 == 0o600, "mode {mode:o}");
    Ok(())
}
