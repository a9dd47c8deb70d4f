//! What is said of several at once, of who is open again, and of a channel that does not get through.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::channels::{DEAD, add_hook, deliver_once};
use super::{Hook, arrive, begin};
use crate::lab::Lab;
use crate::outbox::{make, sql};

pub(super) fn what_happens_to_several_at_once_is_one_message(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    lab.ok(&["add", "20001,20002", "--note", "alice"])?;
    let hook = Hook::start(lab)?;
    lab.ok(&["reset", "--all"])?;
    lab.ok(&["monitor"])?;
    let mut told = vec!["3 services: the operator began a new period"];
    arrive(&hook, &told)?;
    lab.ok(&["set", "20001", "--quota", "1MB", "--used", "2MB"])?;
    lab.ok(&["monitor"])?;
    told.push("20001 (alice): blocked, the quota is used up");
    arrive(&hook, &told)?;
    lab.ok(&["set", "20001", "--used", "1KB"])?;
    lab.ok(&["monitor"])?;
    told.push("20001 (alice): open again");
    arrive(&hook, &told)
}

pub(super) fn a_channel_that_fails_is_found_and_says_what_it_drops(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    add_hook(lab, "dead", DEAD, &["--server-name", "hk-01"])?;
    lab.ok(&["notify", "set", "dead", "--server-name", "none"])?;
    let config = fs::read_to_string(lab.config_dir().join("config.json"))?;
    let config: Value = serde_json::from_str(&config)?;
    let dead = &config["notify"]["channels"]["dead"];
    ensure!(dead["via"].is_object(), "{config}");
    ensure!(dead["server_name"].is_null(), "{config}");
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    deliver_once(lab)?;
    let says = "notifications: dead has not got through for 6 min: nobody answers there";
    let found = lab.pm(&["doctor"])?;
    ensure!(!found.stdout.contains("got through"), "{found:?}");
    sql(
        lab,
        "UPDATE channel SET failing_since = failing_since - 360 WHERE name = 'dead';",
    )?;
    let found = lab.pm(&["doctor"])?;
    ensure!(found.stdout.contains(says), "{found:?}");
    let nobody = lab.pm(&["notify", "log", "nobody"])?;
    ensure!(nobody.code == Some(1), "{nobody:?}");
    ensure!(nobody.stderr.contains("nobody"), "{nobody:?}");
    let would = lab.pm(&["notify", "del", "dead", "--dry-run"])?;
    let off = lab.pm(&["notify", "set", "dead", "--enabled", "no"])?;
    let says = "dead: 1 message waiting for it will not be sent";
    ensure!(off.code == Some(0), "{off:?}");
    ensure!(off.stdout.contains(says), "{off:?}");
    ensure!(would.stdout.contains(says), "{would:?}");
    Ok(())
}

/// An operator who sees the test arrive does not wait for a quarter of an hour for the rest.
pub(super) fn what_waits_is_delivered_once_a_test_arrives(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    lab.ok(&["block", "20000"])?;
    lab.ok(&["monitor"])?;
    deliver_once(lab)?;
    sql(
        lab,
        "UPDATE channel SET attempts = 9, next_try = unixepoch() + 900;",
    )?;
    let hook = Hook::start(lab)?;
    lab.ok(&["notify", "test", "hook"])?;
    arrive(&hook, &["this is a test", "20000: blocked by the operator"])
}
