//! Faults of the scripts that pm replaces, each with a test that would catch it in pm. Those that belong to a theme
//! are tested there and cite their fault in the same words: 4 and 2 in `storage`, 5–7 in `requests`, 10 and 11 in
//! `recovery`.

use anyhow::{Context, Result, ensure};

use super::requests::refused_whole;
use super::tests;
use crate::lab::{Family, Lab, Service};
use crate::traffic::{Flood, Pace, Udp, Way, tcp_exchange};
use crate::truth::Place;

tests!["faults":
    fault_1_the_cut_does_not_wait_for_a_tick,
    fault_5_state_and_configuration_are_data_and_never_run,
    fault_6_a_service_with_an_empty_note_behaves_like_any_other,
    fault_7_deleting_one_service_under_traffic_keeps_the_others_bytes_and_blocks,
    fault_8_names_are_compared_whole,
    fault_10_usage_needs_no_orderly_exit_to_be_kept,
    fault_11_a_recreated_counter_that_has_passed_the_last_reading_hides_nothing,
    fault_21_sizes_are_exact_and_every_port_is_allowed,
    fault_22_packets_meet_one_rule_however_many_services,
    fault_22_a_tick_starts_no_other_program,
];

/// Fault 1 of the scripts pm replaces: the quota was checked once a minute, so a fast port got gigabytes more.
fn fault_1_the_cut_does_not_wait_for_a_tick(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "500KB"])?;
    // No command of pm runs between here and the check.
    let flood = Flood::start(lab, Family::V4, Way::Out, 20000, 1200, Pace::Unchecked)?;
    flood.wait_for(50_000)?;
    flood.stop()?;
    let (tried, passed) = (
        lab.truth(Place::Tried, "20000")?.sum(),
        lab.truth(Place::Passed, "20000")?.sum(),
    );
    ensure!(tried > 50_000_000, "the flood was too thin: {tried} bytes");
    ensure!(
        (500_000 - 1227..=500_000).contains(&passed),
        "{passed} of 500000 bytes passed"
    );
    Ok(())
}

/// Fault 5 of the scripts pm replaces: state files were sourced by a root shell, so text in them ran.
fn fault_5_state_and_configuration_are_data_and_never_run(lab: &mut Lab) -> Result<()> {
    let marker = lab.directory().join("executed");
    let note = format!(
        "';touch {0};' $(touch {0}) `touch {0}` | touch {0}",
        marker.display()
    );
    lab.ok(&["add", "20000", "--note", &note, "--quota", "1GB"])?;
    std::fs::write(
        lab.state_dir().join("20000.txt"),
        format!("s_acc_in=$(touch {})\n", marker.display()),
    )?;
    for args in [
        &["monitor"][..],
        &["list"],
        &["show", "20000"],
        &["config", "show"],
        &["reset", "20000"],
        &["doctor"],
    ] {
        lab.pm(args)?;
        ensure!(!marker.exists(), "`pm {}` executed text", args.join(" "));
    }
    ensure!(lab.service("20000")?.note == note);
    Ok(())
}

/// Fault 6 of the scripts pm replaces: an ungrouped port with an empty note was never blocked, because the columns
/// that the script read had shifted.
fn fault_6_a_service_with_an_empty_note_behaves_like_any_other(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "1MB", "--note", ""])?;
    lab.ok(&["add", "20001", "--quota", "1MB", "--note", "42"])?;
    lab.ok(&["add", "20002", "--quota", "1MB", "--note", "老王"])?;
    for port in [20000, 20001, 20002] {
        Udp::open(lab, Family::V4, port)?.push(Way::In, 1500, 1000)?;
    }
    lab.ok(&["monitor"])?;
    let figures = |service: &Service| {
        (
            service.billed_bytes,
            service.state.clone(),
            service.blocked_by.clone(),
            service.quota_bytes,
        )
    };
    let all = lab.list()?;
    ensure!(
        all.iter()
            .all(|service| figures(service) == figures(&all[0])),
        "notes change the rules: {all:?}"
    );
    ensure!(
        all[0].blocked_by.as_deref() == Some("quota"),
        "not blocked: {:?}",
        all[0]
    );
    Ok(())
}

/// Fault 7 of the scripts pm replaces: deleting or resetting one port lost the uncollected bytes of all others, or
/// lifted their blocks.
fn fault_7_deleting_one_service_under_traffic_keeps_the_others_bytes_and_blocks(
    lab: &mut Lab,
) -> Result<()> {
    lab.watch(&["20001", "30000-30100"])?;
    lab.ok(&["add", "20000,20001,30000-30100,20003"])?;
    lab.ok(&["block", "20003"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20001, 600, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 30050, 600, Pace::Windowed)?,
    ];
    for _ in 0..5 {
        lab.ok(&["del", "20000"])?;
        floods[0].wait_for(100)?;
        lab.ok(&["add", "20000", "--quota", "1GB"])?;
        lab.ok(&["reset", "20000"])?;
        floods[1].wait_for(100)?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&["20001", "30000-30100"])?;
    ensure!(
        lab.service("20003")?.state == "blocked",
        "a block was lifted"
    );
    Ok(())
}

/// Fault 8 of the scripts pm replaces: names were matched by prefix, so touching port 80 removed the reset of 8080,
/// the rules of 80-90 or the filter of 1080.
fn fault_8_names_are_compared_whole(lab: &mut Lab) -> Result<()> {
    const OTHERS: [&str; 5] = ["8080", "1080", "800-809", "8", "18000-18080"];
    lab.watch(&OTHERS)?;
    for port in OTHERS {
        lab.ok(&[
            "add", port, "--quota", "5GB", "--reset", "7", "--note", port,
        ])?;
    }
    lab.ok(&["add", "80", "--quota", "1GB"])?;
    for port in [8080, 1080, 805, 8, 18080] {
        tcp_exchange(lab, Family::V4, port, 5000, 10_000)?;
    }
    for args in [
        &["set", "80", "--quota", "2GB", "--reset", "never"][..],
        &["block", "80"],
        &["unblock", "80"],
        &["reset", "80"],
        &["del", "80"],
        &["add", "80-90", "--quota", "1GB"],
        &["reset", "80-90"],
        &["del", "80-90"],
        &["monitor"],
    ] {
        lab.ok(args)?;
        lab.exact(&OTHERS).with_context(|| args.join(" "))?;
        for port in OTHERS {
            let service = lab.service(port)?;
            ensure!(
                service.quota_bytes == Some(5_000_000_000)
                    && service.note == port
                    && service.state == "ok",
                "`pm {}` changed {service:?}",
                args.join(" ")
            );
        }
    }
    let table = lab.table()?;
    for port in [8080, 1080, 805, 8, 18080] {
        tcp_exchange(lab, Family::V6, port, 5000, 10_000)?;
    }
    lab.exact(&OTHERS)?;
    ensure!(
        !table.contains("in_80 ") && !table.contains("80-90"),
        "the deleted service is still there:\n{table}"
    );
    Ok(())
}

/// Fault 10 of the scripts pm replaces: counters were saved when the menu was left, so a reboot lost them.
fn fault_10_usage_needs_no_orderly_exit_to_be_kept(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 300, 1000)?;
    lab.ok(&["monitor"])?;
    lab.restart_vps()?;
    lab.exact(&["20000"])?;
    lab.ok(&["restore"])?;
    // Metered and cut although nobody has opened anything.
    lab.watch_cut(&["20000"])?;
    Udp::open(lab, Family::V4, 20000)?.push(Way::In, 3000, 1000)?;
    let passed = 300 * Family::V4.udp_length(1000) + lab.truth(Place::Passed, "20000")?.sum();
    ensure!(
        (1_000_000 - 1027..=1_000_000).contains(&passed),
        "{passed} bytes passed"
    );
    Ok(())
}

/// Fault 11 of the scripts pm replaces: only a counter smaller than the last reading was taken for a new one. One
/// that was recreated and had already passed that reading hid all it had counted up to there.
fn fault_11_a_recreated_counter_that_has_passed_the_last_reading_hides_nothing(
    lab: &mut Lab,
) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, 1000)?;
    lab.ok(&["monitor"])?;
    for round in 1..4 {
        lab.vps.nft(&["flush", "ruleset"])?;
        lab.ok(&["monitor"])?;
        Udp::open(lab, Family::V4, 20000)?.send(Way::In, 100 * round, 1000)?;
        lab.ok(&["monitor"])?;
        lab.exact(&["20000"])
            .with_context(|| format!("flush {round}"))?;
        lab.restart_vps()?;
        lab.ok(&["restore"])?;
        Udp::open(lab, Family::V4, 20000)?.send(Way::In, 1000 * round, 1000)?;
        lab.ok(&["monitor"])?;
        lab.exact(&["20000"])
            .with_context(|| format!("restart {round}"))?;
    }
    Ok(())
}

/// Fault 21 of the scripts pm replaces: whole GiB only, no port without a quota, port 65534 refused, overlapping
/// ranges accepted and counted twice.
fn fault_21_sizes_are_exact_and_every_port_is_allowed(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "65534"])?;
    ensure!(
        lab.service("65534")?.quota_bytes.is_none(),
        "a service without a quota has one"
    );
    for (size, bytes) in [
        ("1GB", 1_000_000_000_u64),
        ("1GiB", 1 << 30),
        ("1.5GB", 1_500_000_000),
        ("0.5GiB", 1 << 29),
        ("1MB", 1_000_000),
        ("2TB", 2_000_000_000_000),
        ("3TiB", 3 << 40),
    ] {
        lab.ok(&["set", "65534", "--quota", size])?;
        let quota = lab.service("65534")?.quota_bytes;
        ensure!(quota == Some(bytes), "{size} became {quota:?}");
    }
    lab.ok(&["set", "65534", "--quota", "none"])?;
    ensure!(lab.service("65534")?.quota_bytes.is_none());
    lab.ok(&["add", "1,65535,61440"])?;
    refused_whole(lab, &["add", "60000-65535"], &["61440"])?;
    refused_whole(lab, &["add", "65000-65534"], &["65534"])
}

/// Fault 22 of the scripts pm replaces: two to four rules a port, and each packet walked them all.
fn fault_22_packets_meet_one_rule_however_many_services(lab: &mut Lab) -> Result<()> {
    let base_rules = |table: &str| -> Vec<String> {
        let mut chain = "";
        let mut rules = Vec::new();
        for line in table.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("chain ") {
                chain = name.split(' ').next().unwrap_or_default();
            } else if line == "}" {
                chain = "";
            } else if ["input", "output"].contains(&chain) && !line.starts_with("type ") {
                rules.push(line.to_owned());
            }
        }
        rules
    };
    lab.ok(&["add", "1000", "--quota", "1GB"])?;
    let one = base_rules(&lab.table()?);
    ensure!(!one.is_empty() && one.len() <= 4, "{one:?}");
    let ports: Vec<_> = (0..200)
        .map(|index| (2000 + 2 * index).to_string())
        .collect();
    lab.ok(&["add", &ports.join(","), "--quota", "1GB"])?;
    lab.ok(&["add", "5000-5999", "--quota", "1GB"])?;
    let many = base_rules(&lab.table()?);
    ensure!(
        one == many,
        "a packet meets more rules with more services: {many:?}"
    );
    Ok(())
}

/// Fault 22 of the scripts pm replaces: a tick forked dozens of programs.
fn fault_22_a_tick_starts_no_other_program(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "1GB"])?;
    let log = lab.directory().join("strace");
    let path = log.to_string_lossy().into_owned();
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        &path,
        "-e",
        "trace=execve,execveat",
    ];
    for damage in [false, true] {
        if damage {
            lab.vps.nft(&["flush", "ruleset"])?;
        }
        lab.finish(&mut lab.pm_command_under(&strace, &["monitor"]))?
            .success()?;
        let text = std::fs::read_to_string(&log)?;
        let programs = text.lines().filter(|line| line.contains("execve")).count();
        ensure!(programs == 1, "a tick starts programs:\n{text}");
    }
    Ok(())
}
