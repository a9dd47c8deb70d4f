//! Going back to an earlier configuration, under traffic and after failures.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::guards::Impostor;
use super::requests::{everything, refused_whole};
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["undo":
    undoing_under_traffic_loses_and_doubles_nothing_of_what_stays,
    a_service_that_comes_back_has_its_bill_and_is_cut_at_the_byte,
    a_second_undo_does_it_again,
    any_kept_version_comes_back_and_none_other,
    what_could_lock_the_operator_out_is_refused_whole,
];

/// Returns the configuration as JSON, without what counts its changes.
fn asked(lab: &Lab) -> Result<Value> {
    let mut config: Value = serde_json::from_str(&lab.ok(&["config", "show", "--json"])?)?;
    if let Some(fields) = config.as_object_mut() {
        fields.remove("revision");
    }
    Ok(config)
}

/// Returns the numbers of the versions, the latest first.
fn versions(lab: &Lab) -> Result<Vec<u64>> {
    let versions: Value = serde_json::from_str(&lab.ok(&["config", "history", "--json"])?)?;
    let versions = versions["versions"].as_array().context("no versions")?;
    let number = |version: &Value| version["number"].as_u64().context("no number");
    versions.iter().map(number).collect()
}

fn undoing_under_traffic_loses_and_doubles_nothing_of_what_stays(lab: &mut Lab) -> Result<()> {
    const STAYING: [&str; 2] = ["20000", "30000-30100"];
    lab.watch(&STAYING)?;
    lab.ok(&["add", "20000", "--quota", "500GB"])?;
    lab.ok(&["add", "30000-30100"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 800, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20000, 400, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::In, 30003, 500, Pace::Windowed)?,
    ];
    for change in [
        &["set", "20000", "--mode", "out"][..],
        &["set", "30000-30100", "--quota", "700GB", "--mode", "max"],
        &["add", "20001", "--quota", "1GB"],
        &["set", "20000", "--quota", "none"],
        &["set", "20000", "--routed", "yes"],
        &["set", "30000-30100", "--note", "老王"],
    ] {
        lab.ok(change)?;
        // Undone, done again, undone.
        for _ in 0..3 {
            for flood in &floods {
                flood.wait_for(50).with_context(|| {
                    format!("after {change:?}: {}", lab.table().unwrap_or_default())
                })?;
            }
            lab.ok(&["undo"])?;
        }
        lab.ok(&["monitor"])?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&STAYING)?;
    lab.check_ruleset()?;
    let listed = lab.service("20000")?;
    ensure!(listed.note.is_empty(), "{listed:?}");
    Ok(())
}

fn a_service_that_comes_back_has_its_bill_and_is_cut_at_the_byte(lab: &mut Lab) -> Result<()> {
    const QUOTA: u64 = 1_000_000;
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20000"])?;
    // Nothing ends its period at midnight.
    lab.ok(&["add", "20000", "--quota", "1MB", "--reset", "never"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::Out, 100, 1000)?;
    lab.exact(&["20000"])?;
    let before = lab.truth(Place::Client, "20000")?;
    let deleted = asked(lab)?;
    lab.ok(&["del", "20000"])?;
    udp.send(Way::Out, 10, 1000)?;
    let earlier = lab.truth(Place::Client, "20000")?;
    let rehearsed = lab.ok(&["undo", "--dry-run"])?;
    let said = lab.ok(&["undo"])?;
    for said in [rehearsed, said] {
        ensure!(
            said.contains("used already, as when it was deleted"),
            "{said}"
        );
    }
    ensure!(asked(lab)? == deleted, "it came back otherwise");
    let back = lab.service("20000")?;
    ensure!(back.bytes() == Bytes::default(), "it came back with bytes");
    ensure!(
        back.billed_bytes == before.sum(),
        "{back:?} after {before:?}"
    );
    let past = lab.ok(&["history", "20000", "--json"])?;
    let past: Value = serde_json::from_str(&past)?;
    let ended = past["periods"][0]["out_bytes"].as_u64();
    ensure!(ended == Some(before.outbound), "{before:?} in {past}");
    udp.send(Way::Out, 20, 1000)?;
    lab.exact_since("20000", earlier)?;
    let passed = lab.truth(Place::Passed, "20000")?;
    udp.push(Way::Out, 3000, 1000)?;
    let all = lab.truth(Place::Passed, "20000")? - passed;
    let used = lab.service("20000")?.billed_bytes;
    ensure!(used <= QUOTA && used + 1100 > QUOTA, "{used} were billed");
    ensure!(all.sum() + before.sum() < QUOTA, "{all:?} passed");
    lab.ok(&["monitor"])?;
    let cut = lab.service("20000")?;
    ensure!(cut.blocked_by.as_deref() == Some("quota"), "{cut:?}");
    // Deleted and back, nothing of it is forgiven.
    lab.ok(&["del", "20000"])?;
    lab.ok(&["undo"])?;
    let cut = lab.service("20000")?;
    ensure!(cut.billed_bytes == used, "{cut:?}, not {used}");
    Ok(())
}

fn a_second_undo_does_it_again(lab: &mut Lab) -> Result<()> {
    refused_whole(lab, &["undo"], &["nothing to undo"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    // What was there before the first change was never a file.
    refused_whole(lab, &["undo"], &["nothing to undo"])?;
    let one = asked(lab)?;
    lab.ok(&["set", "20000", "--limit", "50M"])?;
    let two = asked(lab)?;
    let before = everything(lab)?;
    let said = lab.ok(&["undo", "--dry-run"])?;
    ensure!(said.contains("as fast as the line"), "{said}");
    ensure!(
        everything(lab)? == before,
        "a dry run has changed something"
    );
    for expected in [&one, &two, &one] {
        let said = lab.ok(&["undo"])?;
        ensure!(said.contains("`pm undo` takes this back"), "{said}");
        ensure!(
            asked(lab)? == *expected,
            "{} is not {expected}",
            asked(lab)?
        );
        let (ceil, limited) = (lab.service("20000")?.ceil_bps, *expected == two);
        ensure!(ceil.is_some() == limited, "{ceil:?} is in force");
        lab.ok(&["monitor"])?;
    }
    // A reset is nothing that is undone.
    lab.ok(&["reset", "20000"])?;
    lab.ok(&["undo"])?;
    ensure!(asked(lab)? == two, "{} is not {two}", asked(lab)?);
    Ok(())
}

fn any_kept_version_comes_back_and_none_other(lab: &mut Lab) -> Result<()> {
    let mut asked_for = Vec::new();
    for port in 20000..20030 {
        lab.ok(&["add", &port.to_string()])?;
        asked_for.push(asked(lab)?);
    }
    let numbers = versions(lab)?;
    ensure!(numbers.len() == 20, "{numbers:?}");
    let gone = numbers[19] - 1;
    for number in [gone, 999] {
        refused_whole(
            lab,
            &["config", "restore", &number.to_string()],
            &["there is no version", "pm config history"],
        )?;
    }
    // The last one that is listed was there when the ninth was made.
    for (index, number) in [(19, numbers[19]), (10, numbers[10]), (0, numbers[0])] {
        if !versions(lab)?.contains(&number) {
            continue;
        }
        lab.ok(&["config", "restore", &number.to_string()])?;
        let expected = &asked_for[28 - index];
        ensure!(asked(lab)? == *expected, "{number}: {}", asked(lab)?);
        lab.check_ruleset()?;
        let services = lab.list()?.len();
        ensure!(services == 29 - index, "{number}: {services} services");
        let diff = lab.ok(&["config", "diff", &versions(lab)?[0].to_string(), "--json"])?;
        let diff: Value = serde_json::from_str(&diff)?;
        ensure!(
            diff["changes"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{diff}"
        );
    }
    let table = lab.ok(&["config", "history"])?;
    ensure!(table.contains("no longer monitored"), "{table}");
    Ok(())
}

fn what_could_lock_the_operator_out_is_refused_whole(lab: &mut Lab) -> Result<()> {
    let _sshd = Impostor::start(lab, "sshd", "0.0.0.0:2222")?;
    lab.ok(&["add", "2222"])?;
    lab.ok(&["block", "2222", "--force"])?;
    lab.ok(&["unblock", "2222"])?;
    refused_whole(lab, &["undo"], &["2222", "SSH", "--force"])?;
    ensure!(lab.service("2222")?.state == "ok", "it is blocked");
    lab.ok(&["undo", "--force"])?;
    ensure!(lab.service("2222")?.state != "ok", "it is not blocked");
    // To open it again needs no force.
    lab.ok(&["undo"])?;
    ensure!(lab.service("2222")?.state == "ok", "it is still blocked");
    Ok(())
}
