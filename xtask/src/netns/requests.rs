//! Commands do what they say, or refuse and change nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Udp, Way};
use crate::truth::Bytes;

tests!["requests":
    a_dry_run_changes_nothing,
    impossible_ports_and_quotas_are_refused_and_change_nothing,
    overlapping_services_are_refused,
    a_request_for_several_ports_is_done_whole_or_not_at_all,
    every_text_is_a_note,
    a_note_that_is_too_long_is_refused_with_the_limit,
    a_reset_empties_one_service_and_no_other,
    a_deleted_service_comes_back_empty,
    all_means_every_service,
    add_or_set_changes_what_is_there,
    teardown_leaves_a_foreign_ruleset_byte_identical_and_keeps_data,
    applying_twice_changes_nothing,
    concurrent_commands_all_take_effect,
    every_reading_command_prints_json,
];

/// Every file of the lab's configuration and state with its content, and all that the kernel holds.
pub(super) fn everything(lab: &Lab) -> Result<(BTreeMap<PathBuf, Vec<u8>>, String)> {
    let mut files = BTreeMap::new();
    let mut directories = vec![lab.config_dir(), lab.state_dir()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            // SQLite's shared index comes and goes with readers; it holds nothing of its own.
            if path
                .extension()
                .is_some_and(|extension| extension == "db-shm")
            {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                let content = std::fs::read(&path)?;
                // An empty write-ahead log is the same as none.
                if !content.is_empty() {
                    files.insert(path, content);
                }
            }
        }
    }
    let mut kernel = lab.table()?;
    kernel += &lab.vps.tc(&["qdisc", "show"])?;
    kernel += &lab.vps.tc(&["class", "show", "dev", "eth0"])?;
    Ok((files, kernel))
}

/// Runs pm, which must refuse, and checks that neither a file nor the kernel has changed.
pub(super) fn refused_whole(lab: &Lab, args: &[&str], words: &[&str]) -> Result<()> {
    let before = everything(lab)?;
    lab.refused(args, words)?;
    ensure!(
        everything(lab)? == before,
        "`pm {}` was refused but has changed something",
        args.join(" ")
    );
    Ok(())
}

fn a_dry_run_changes_nothing(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["monitor"])?;
    let before = everything(lab)?;
    for (args, words) in [
        (&["add", "20001", "--quota", "1GB"][..], "20001"),
        (&["set", "20000", "--quota", "7GB"], "7"),
        (&["reset", "20000"], "20000"),
        (&["block", "20000"], "20000"),
        (&["del", "20000"], "20000"),
    ] {
        let mut args = args.to_vec();
        args.push("--dry-run");
        let output = lab.pm(&args)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        output.success().with_context(|| args.join(" "))?;
        ensure!(
            said.contains(words),
            "`pm {}` does not say what would change: {said}",
            args.join(" ")
        );
        ensure!(
            everything(lab)? == before,
            "`pm {}` has changed something",
            args.join(" ")
        );
    }
    Ok(())
}

fn impossible_ports_and_quotas_are_refused_and_change_nothing(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    for port in [
        "0",
        "65536",
        "99999999999999999999",
        "-1",
        "abc",
        "",
        "200-100",
        "1-",
        "-",
        "1-2-3",
        "0-5",
        "２００",
    ] {
        refused_whole(lab, &["add", "--", port], &[]).with_context(|| format!("port {port:?}"))?;
    }
    for quota in [
        "0",
        "0GB",
        "1e30GB",
        "-1GB",
        "abc",
        "",
        "NaN",
        "99999999999999999999GB",
        "1XB",
        "inf",
    ] {
        refused_whole(lab, &["set", "20000", &format!("--quota={quota}")], &[])
            .with_context(|| format!("quota {quota:?}"))?;
    }
    for args in [
        ["--reset", "32"],
        ["--reset", "0"],
        ["--reset", "every 0 days"],
        ["--reset", "yearly 02-30"],
        ["--mode", "sideways"],
        ["--used", "-5GB"],
    ] {
        refused_whole(lab, &["set", "20000", &args.join("=")], &[])
            .with_context(|| args.join(" "))?;
    }
    for command in ["set", "del", "reset", "block", "unblock", "show"] {
        refused_whole(lab, &[command, "20009"], &[])
            .with_context(|| format!("{command} of an unknown port"))?;
    }
    Ok(())
}

fn overlapping_services_are_refused(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,30000-30100"])?;
    for port in [
        "20000",
        "30000",
        "30100",
        "30050",
        "29000-31000",
        "30100-30200",
        "29999-30000",
        "19999-20000",
    ] {
        refused_whole(lab, &["add", port], &[]).with_context(|| format!("port {port}"))?;
    }
    refused_whole(lab, &["add", "40000-40010,40005"], &[])?;
    lab.ok(&["add", "29999,30101"])?;
    Ok(())
}

fn a_request_for_several_ports_is_done_whole_or_not_at_all(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    refused_whole(lab, &["add", "21000,20000,22000"], &["20000"])?;
    refused_whole(lab, &["del", "20000,22000"], &["22000"])?;
    refused_whole(lab, &["set", "20000,22000", "--quota", "1GB"], &["22000"])?;
    lab.ok(&["add", "20001,30000-30100"])?;
    let ports: Vec<_> = lab
        .list()?
        .into_iter()
        .map(|service| service.port)
        .collect();
    ensure!(ports == ["20000", "20001", "30000-30100"], "{ports:?}");
    Ok(())
}

/// Fault 6 of the scripts pm replaces: an empty note, or one that is only digits, shifted the columns that the
/// script parsed, and another rule applied. Fault 5: text from the configuration ran as shell code.
fn every_text_is_a_note(lab: &mut Lab) -> Result<()> {
    let marker = lab.directory().join("executed");
    let shell = format!("$(touch {0}) `touch {0}`; touch {0}", marker.display());
    let notes = [
        "",
        "0",
        "100",
        "true",
        "null",
        "--quota 1",
        "it's \"quoted\" and \\escaped\\",
        "tab\there",
        "two\nlines\n",
        "老王的 Snell",
        "🚀 emoji 👩‍👩‍👧",
        "{\"json\": [1]}",
        "a,b|c:d=e % &",
        " spaces around ",
        shell.as_str(),
    ];
    lab.ok(&["add", "20000", "--quota", "5GB", "--mode", "out"])?;
    lab.ok(&["add", "20001", "--quota", "6GB"])?;
    let table = lab.table()?;
    for note in notes {
        lab.ok(&["set", "20000", &format!("--note={note}")])
            .with_context(|| format!("note {note:?}"))?;
        lab.ok(&["monitor"])?;
        let service = lab.service("20000")?;
        ensure!(
            service.note == note,
            "note {note:?} came back as {:?}",
            service.note
        );
        ensure!(
            service.quota_bytes == Some(5_000_000_000)
                && service.mode == "out"
                && service.state == "ok",
            "note {note:?} changed a rule: {service:?}"
        );
        let other = lab.service("20001")?;
        ensure!(
            other.note.is_empty() && other.quota_bytes == Some(6_000_000_000),
            "note {note:?} changed {other:?}"
        );
        ensure!(
            lab.table()? == table,
            "note {note:?} changed the kernel's rules"
        );
        let rows = lab.ok(&["list"])?;
        ensure!(
            rows.contains("20001"),
            "note {note:?} breaks the table: {rows}"
        );
    }
    ensure!(!marker.exists(), "a note was executed");
    Ok(())
}

fn a_note_that_is_too_long_is_refused_with_the_limit(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", "short"])?;
    refused_whole(
        lab,
        &["set", "20000", "--note", &"長".repeat(10_000)],
        &["characters"],
    )?;
    let said = lab.refused(&["add", "20001", "--note", &"x".repeat(10_000)], &[])?;
    ensure!(said.len() < 1000, "the error repeats the whole note");
    let limit = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<usize>().ok())
        .find(|number| (16..10_000).contains(number))
        .with_context(|| format!("the error names no limit: {said}"))?;
    lab.ok(&["set", "20000", "--note", &"長".repeat(limit)])?;
    lab.refused(&["set", "20000", "--note", &"長".repeat(limit + 1)], &[])?;
    Ok(())
}

/// Fault 7 of the scripts pm replaces: deleting or resetting one port rebuilt the whole table and lost what the
/// other ports had counted since the last collection.
fn a_reset_empties_one_service_and_no_other(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20001", "20002"])?;
    lab.ok(&["add", "20000,20001,20002,20003"])?;
    lab.ok(&["block", "20002"])?;
    lab.ok(&["unblock", "20002"])?;
    for port in [20000, 20001, 20002, 20003] {
        Udp::open(lab, Family::V4, port)?.send(Way::In, 20, 500)?;
    }
    lab.ok(&["block", "20003"])?;
    lab.ok(&["reset", "20000"])?;
    lab.exact(&["20001", "20002"])?;
    ensure!(
        lab.service("20000")?.bytes() == Bytes::default(),
        "a reset left something"
    );
    lab.ok(&["del", "20000"])?;
    lab.exact(&["20001", "20002"])?;
    ensure!(
        lab.service("20003")?.blocked_by.as_deref() == Some("operator"),
        "another service's block was lifted"
    );
    lab.ok(&["monitor"])?;
    lab.exact(&["20001", "20002"])
}

fn a_deleted_service_comes_back_empty(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB", "--note", "old"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 20, 500)?;
    lab.ok(&["del", "20000"])?;
    ensure!(lab.list()?.is_empty(), "it is still listed");
    ensure!(
        !lab.table()?.contains("20000"),
        "it is still in the kernel:\n{}",
        lab.table()?
    );
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let service = lab.service("20000")?;
    ensure!(
        service.bytes() == Bytes::default()
            && service.note.is_empty()
            && service.quota_bytes.is_none()
    );
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 7, 300)?;
    lab.exact(&["20000"])?;
    lab.ok(&["monitor"])?;
    lab.exact(&["20000"])
}

fn all_means_every_service(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,20001,30000-30100"])?;
    Udp::open(lab, Family::V4, 20001)?.send(Way::In, 5, 500)?;
    lab.ok(&["set", "--all", "--quota", "5GB"])?;
    ensure!(
        lab.list()?
            .iter()
            .all(|service| service.quota_bytes == Some(5_000_000_000))
    );
    lab.ok(&["block", "--all"])?;
    ensure!(lab.list()?.iter().all(|service| service.state == "blocked"));
    lab.ok(&["unblock", "--all"])?;
    // What is cut off by something else does not keep the others closed.
    lab.ok(&["block", "20001"])?;
    lab.ok(&["set", "20000", "--used", "5GB"])?;
    let output = lab.pm(&["unblock", "--all"])?;
    let warning = "20000 stays cut off, because its quota is spent";
    ensure!(output.stderr.contains(warning), "{}", output.stderr);
    output.success()?;
    let states: Vec<_> = lab.list()?.into_iter().map(|one| one.state).collect();
    ensure!(states == ["blocked", "ok", "ok"], "{states:?}");
    lab.ok(&["reset", "--all"])?;
    ensure!(
        lab.list()?
            .iter()
            .all(|service| service.billed_bytes == 0 && service.state == "ok")
    );
    lab.ok(&["del", "--all"])?;
    ensure!(lab.list()?.is_empty());
    Ok(())
}

fn add_or_set_changes_what_is_there(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB", "--note", "alice"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    for _ in 0..2 {
        lab.ok(&["add", "20000", "--or-set", "--quota", "6GB"])?;
        let service = lab.service("20000")?;
        ensure!(
            service.quota_bytes == Some(6_000_000_000) && service.note == "alice",
            "{service:?}"
        );
        lab.exact(&["20000"])?;
    }
    lab.ok(&["add", "20001", "--or-set"])?;
    ensure!(lab.list()?.len() == 2);
    Ok(())
}

fn teardown_leaves_a_foreign_ruleset_byte_identical_and_keeps_data(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.vps.nft_load(
        "table inet filter {
            set allowed { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.7 } }
            counter seen { packets 5 bytes 500 }
            chain input { type filter hook input priority filter; policy accept; ip saddr @allowed accept; tcp dport 22 accept; }
        }
        table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept; oifname \"wan\" masquerade; }
        }
        table inet port_monitor_backup { chain c { }
        }",
    )?;
    let foreign = lab.vps.nft(&["list", "ruleset"])?;
    lab.ok(&["add", "20000,30000-30100", "--quota", "5GB"])?;
    ensure!(
        lab.vps.nft(&["list", "ruleset"])? != foreign,
        "pm added nothing"
    );
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    lab.ok(&["block", "30000-30100"])?;
    lab.ok(&["monitor"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    for _ in 0..2 {
        lab.ok(&["teardown"])?;
        let left = lab.vps.nft(&["list", "ruleset"])?;
        ensure!(left == foreign, "teardown left:\n{left}");
    }
    lab.exact(&["20000"])?;
    lab.ok(&["restore"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    lab.exact(&["20000"])?;
    ensure!(
        lab.service("30000-30100")?.blocked_by.as_deref() == Some("operator"),
        "the block is forgotten"
    );
    Ok(())
}

fn applying_twice_changes_nothing(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000,30000-30100,20001", "--quota", "5GB"])?;
    lab.ok(&["block", "20001"])?;
    let table = lab.table()?;
    for args in [
        &["restore"][..],
        &["monitor"],
        &["--monitor"],
        &["block", "20001"],
        &["set", "20000", "--quota", "5GB"],
    ] {
        lab.ok(args)?;
        let again = lab.table()?;
        ensure!(
            again == table,
            "`pm {}` changed the table:\n{table}\n{again}",
            args.join(" ")
        );
    }
    Ok(())
}

fn concurrent_commands_all_take_effect(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    let mut running = Vec::new();
    for index in 0..6 {
        let port = (21000 + index).to_string();
        for args in [
            &["add", port.as_str(), "--quota", "5GB"][..],
            &["monitor"],
            &["list", "--json"],
        ] {
            let mut command = lab.pm_command(args);
            command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped());
            running.push((args.join(" "), command.spawn()?));
        }
    }
    udp.send(Way::In, 500, 500)?;
    for (what, child) in running {
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "`pm {what}`: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    lab.ok(&["monitor"])?;
    ensure!(
        lab.list()?.len() == 7,
        "a command was lost: {:?}",
        lab.list()?
    );
    for index in 0..6 {
        ensure!(
            lab.table()?.contains(&format!("in_{}", 21000 + index)),
            "a command is not in force"
        );
    }
    lab.exact(&["20000"])
}

fn every_reading_command_prints_json(lab: &mut Lab) -> Result<()> {
    // An escape sequence could hide a row from who reads the table.
    refused_whole(
        lab,
        &["add", "20000", "--note", "\u{1b}[31mred"],
        &["control character"],
    )?;
    lab.ok(&["add", "20000", "--note", "two\nlines\t\"x\""])?;
    for args in [
        &["list", "--json"][..],
        &["show", "20000", "--json"],
        &["config", "show", "--json"],
        &["config", "history", "--json"],
        &["config", "diff", "--json"],
        &["doctor", "--json"],
    ] {
        let output = lab.pm(args)?;
        serde_json::from_str::<serde_json::Value>(&output.stdout).with_context(|| {
            format!(
                "`pm {}` printed {}{}",
                args.join(" "),
                output.stdout,
                output.stderr
            )
        })?;
    }
    Ok(())
}
