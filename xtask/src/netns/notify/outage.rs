//! Servers that are away for long, in a time of their own: libfaketime moves pm's wall clock, and a second of waiting
//! takes a twentieth of one.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::channels::{DEAD, add_hook};
use super::{Hook, arrive, begin, events};
use crate::lab::{Lab, wait_until};
use crate::namespace::{Output, run};
use crate::outbox::{directory as outbox, hold};

/// How long nobody answers, in minutes.
const OUTAGE: u64 = 60;

/// How long it is waited at most between two attempts, in minutes.
const LONGEST_WAIT: u64 = 15;

/// Runs pm so many minutes from now.
fn later(lab: &Lab, minute: u64, args: &[&str]) -> Result<String> {
    let output = at(lab, &format!("+{minute}m"), args)?.success();
    output.with_context(|| format!("pm {} in minute {minute}", args.join(" ")))
}

/// Delivers what is due in that minute; whatever is waited for takes a twentieth of the time.
pub(super) fn deliver(lab: &Lab, minute: u64) -> Result<()> {
    let when = format!("+{minute}m x20");
    loop {
        let output = at(lab, &when, &["deliver"])?;
        // That is waited for, too, which a slow disk does not know.
        if !output.stderr.contains("is in use") {
            return output.success().map(drop);
        }
    }
}

fn at(lab: &Lab, when: &str, args: &[&str]) -> Result<Output> {
    // faketime leaves some of its own behind; what is measured, such as how long a server may take, goes on as it is.
    let private = r#"mount -t tmpfs tmpfs /dev/shm && exec "$@""#;
    let wrapper = ["unshare", "--mount", "sh", "-c", private, "sh"];
    let faketime = ["faketime", "--exclude-monotonic", "-f", when];
    let mut command = lab.pm_command_under(&[&wrapper[..], &faketime].concat(), args);
    run(&mut command, None)
}

/// Returns the processes that deliver what is in the lab's outbox.
pub(super) fn deliverers(lab: &Lab) -> Result<Vec<PathBuf>> {
    let outbox = outbox(lab);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // Most of /proc is no process, and a process may end meanwhile.
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        if words.any(|word| word == outbox.as_os_str().as_bytes()) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Ticks in that minute; who is started to deliver finds it held and goes, because his clock shows the present.
pub(super) fn tick(lab: &Lab, minute: u64) -> Result<()> {
    let held = hold(lab)?;
    later(lab, minute, &["monitor"])?;
    wait_until(
        "who was started is gone",
        || Ok(deliverers(lab)?.is_empty()),
    )?;
    drop(held);
    Ok(())
}

fn channel(lab: &Lab, minute: u64, name: &str) -> Result<Value> {
    let listed = later(lab, minute, &["notify", "list", "--json"])?;
    let listed: Value = serde_json::from_str(&listed)?;
    let mut channels = listed["channels"].as_array().into_iter().flatten();
    let found = channels.find(|it| it["name"] == name);
    found.cloned().with_context(|| format!("no {name}"))
}

/// Fault 19 of the tools that pm's users come from: what was not sent at once was never sent.
pub(super) fn through_an_hour_of_outage_nothing_is_lost_or_sent_twice(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    add_hook(lab, "dead", DEAD, &[])?;
    let hook = Hook::start(lab)?;
    let trouble = "messages to dead do not arrive";
    let mut told = Vec::new();
    for minute in 0..OUTAGE {
        if minute % 4 == 0 {
            let (verb, title) = match minute % 8 {
                0 => ("block", "20000: blocked by the operator"),
                _ => ("unblock", "20000: no longer blocked by the operator"),
            };
            later(lab, minute, &[verb, "20000"])?;
            told.push(title);
        }
        tick(lab, minute)?;
        deliver(lab, minute)?;
        // Whoever is there is told in the same minute.
        let mut titles = hook.titles();
        titles.retain(|title| title != trouble);
        ensure!(titles == told, "minute {minute}: {titles:?} of {told:?}");
    }
    let troubles = hook.titles().iter().filter(|it| *it == trouble).count();
    ensure!(troubles == 1, "told {troubles} times of its trouble");
    let dead = channel(lab, OUTAGE, "dead")?;
    ensure!(dead["waiting"] == told.len(), "{dead}");

    let back = Hook::on(lab, DEAD)?;
    for minute in OUTAGE..=OUTAGE + LONGEST_WAIT {
        tick(lab, minute)?;
        deliver(lab, minute)?;
    }
    arrive(&back, &told)?;
    let dead = channel(lab, OUTAGE + LONGEST_WAIT, "dead")?;
    let is_well = dead["waiting"] == 0 && dead["failing_since"].is_null();
    ensure!(is_well, "{dead}");
    let again = "messages to dead arrive again";
    let again = hook.titles().iter().filter(|it| *it == again).count();
    ensure!(again == 1, "told {again} times that its trouble is over");
    Ok(())
}

pub(super) fn a_server_that_never_answers_holds_up_nobody(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let [hook, silent] = [Hook::start(lab)?, Hook::on(lab, DEAD)?];
    add_hook(lab, "silent", DEAD, &[])?;
    let gate = silent.gate.lock().unwrap_or_else(PoisonError::into_inner);
    let told = events(lab, 6)?;
    arrive(&hook, &told)?;
    // All of this, ticks included, while it waited for the first answer.
    let met = silent.met.load(Ordering::Relaxed);
    ensure!(met == 1 && !deliverers(lab)?.is_empty(), "{met} attempts");
    drop(gate);
    arrive(&silent, &told)
}
