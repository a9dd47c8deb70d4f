//! Members of groups: they join, leave, are refused what the group decides, and outlive whatever happens to the rules.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::groups::{
    MB, PACKET, PAYLOAD, PORTS, check_closed, check_cut, flood_all, make, megabytes, passed,
};
use super::history::{Period, periods, sum};
use super::requests::refused_whole;
use super::tests;
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["members":
    who_joins_brings_nothing_and_who_leaves_takes_nothing,
    terms_that_change_under_traffic_lose_and_double_nothing,
    what_the_group_decides_is_refused_to_its_members,
    a_group_outlives_ticks_deaths_flushes_and_restarts,
];

/// Returns what a service used while it was in this group, by the order of its memberships.
fn share(periods: &[Period], place: usize, of: usize) -> Bytes {
    sum(periods.iter().skip(place).step_by(of))
}

fn who_joins_brings_nothing_and_who_leaves_takes_nothing(lab: &mut Lab) -> Result<()> {
    const MOVING: [&str; 2] = ["20001", "20002"];
    lab.watch(&["20000", "20001", "20002"])?;
    lab.ok(&["group", "add", "vip", "--quota", "900GB"])?;
    lab.ok(&[
        "group", "add", "other", "--quota", "700GB", "--mode", "max", "--factor", "2",
    ])?;
    lab.ok(&["add", "20000", "--group", "vip"])?;
    lab.ok(&["add", "20001"])?;
    lab.ok(&["add", "20002", "--quota", "800GB", "--mode", "out"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 700, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20001, 400, Pace::Windowed)?,
        Flood::start(lab, Family::V4, Way::Out, 20002, 300, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::In, 20002, 600, Pace::Windowed)?,
    ];
    for round in 0..9 {
        // In none, in one, in the other, and again.
        let group = ["none", "vip", "other"][(round + 1) % 3];
        for port in MOVING {
            lab.ok(&["set", port, "--group", group])?;
            // A packet that is lost stalls its flood.
            for flood in &floods {
                flood.wait_for(100).with_context(|| {
                    format!(
                        "with {port} in group {group}:\n{}",
                        lab.table().unwrap_or_default()
                    )
                })?;
            }
        }
        lab.ok(&["monitor"])?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&["20000"])?;
    let mut vip = lab.truth(Place::Client, "20000")?;
    let mut other = Bytes::default();
    for port in MOVING {
        let (periods, truth) = (periods(lab, port)?, lab.truth(Place::Client, port)?);
        ensure!(
            periods.len() == 10 && sum(&periods) == truth,
            "{truth:?} of {port} on the wire, in periods {periods:?}"
        );
        vip = vip + share(&periods, 1, 3);
        other = other + share(&periods, 2, 3);
    }
    for (name, bytes) in [("vip", vip), ("other", other)] {
        let group = lab.group(name)?;
        ensure!(
            group.bytes() == bytes,
            "{bytes:?} were used by members of {group:?}"
        );
    }
    // And the kernel knows it, too.
    lab.ok(&["set", "20001", "--group", "vip"])?;
    let quota = lab.group("vip")?.billed_bytes + 2 * MB;
    lab.watch_cut(&["20000", "20001"])?;
    lab.ok(&["group", "set", "vip", "--quota", &megabytes(quota)])?;
    for port in [20000, 20001] {
        Udp::open(lab, Family::V4, port)?.push(Way::Out, 1500, PAYLOAD)?;
    }
    let through = lab.truth(Place::Passed, "20000")? + lab.truth(Place::Passed, "20001")?;
    check_cut("after all that", through.sum(), 2 * MB, PACKET)
}

fn terms_that_change_under_traffic_lose_and_double_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&PORTS)?;
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "500GB"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 800, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20000, 400, Pace::Windowed)?,
        Flood::start(lab, Family::V4, Way::Out, 20001, 100, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::In, 30003, 500, Pace::Windowed)?,
    ];
    for change in [
        &["--mode", "out"][..],
        &["--mode", "max"],
        &["--quota", "400GB", "--factor", "0.5"],
        &["--quota", "none"],
        &["--mode", "both"],
        &["--quota", "600GB", "--mode", "max", "--factor", "1.5"],
        &["--used", "10GB"],
        &["--quota", "none", "--mode", "out"],
        &[
            "--quota", "700GB", "--mode", "both", "--factor", "1", "--used", "0",
        ],
    ] {
        let mut args = vec!["group", "set", "vip"];
        args.extend(change);
        lab.ok(&args)?;
        for flood in &floods {
            flood.wait_for(50).with_context(|| {
                format!(
                    "after `pm {}`:\n{}",
                    args.join(" "),
                    lab.table().unwrap_or_default()
                )
            })?;
        }
        lab.ok(&["monitor"])?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&PORTS)?;
    let (group, before) = (lab.group("vip")?, passed(lab)?);
    ensure!(group.bytes() == before, "{before:?} passed of {group:?}");
    let quota = group.billed_bytes + 2 * MB;
    lab.ok(&["group", "set", "vip", "--quota", &megabytes(quota)])?;
    flood_all(lab, 2000)?;
    check_cut(
        "after all that",
        (passed(lab)? - before).sum(),
        2 * MB,
        PACKET,
    )
}

fn what_the_group_decides_is_refused_to_its_members(lab: &mut Lab) -> Result<()> {
    make(lab, &["--quota", "5GB"])?;
    lab.ok(&["add", "20002", "--quota", "1GB"])?;
    for args in [
        &["set", "20000", "--quota", "1GB"][..],
        &["set", "20000", "--quota", "none"],
        &["set", "20000", "--mode", "out"],
        &["set", "20000", "--factor", "2"],
        &["set", "20000", "--reset", "7"],
        &["set", "20000", "--used", "1GB"],
        &["set", "20002", "--group", "vip", "--quota", "1GB"],
        &["set", "--all", "--quota", "1GB"],
        &["add", "20003", "--group", "vip", "--quota", "1GB"],
        &["add", "20001", "--or-set", "--mode", "max"],
        &["reset", "20000"],
        &["reset", "20002,20000"],
    ] {
        refused_whole(lab, args, &["group vip", "hint: ", "pm group set vip"])?;
    }
    for (args, words) in [
        (&["group", "del", "vip"][..], &["20000", "--group none"][..]),
        (&["group", "add", "vip"], &["vip", "--or-set"]),
        (
            &["set", "20002", "--group", "nobody"],
            &["nobody", "pm group add"],
        ),
        (&["group", "reset", "nobody"], &["nobody"]),
        (
            &["set", "20000", "--group", "none", "--used", "1GB"],
            &["nothing used"],
        ),
        (&["group", "add", "a,b"], &[]),
        (&["group", "add", ""], &[]),
        (&["group", "add", "none"], &[]),
    ] {
        refused_whole(lab, args, words)?;
    }
    // What is a member's own.
    lab.ok(&["set", "20000", "--limit-in", "50M", "--note", "own"])?;
    lab.ok(&["block", "20000"])?;
    ensure!(lab.service("20000")?.blocked_by.as_deref() == Some("operator"));
    ensure!(
        lab.service("20001")?.state == "ok",
        "a member's block blocked another"
    );
    Ok(())
}

fn a_group_outlives_ticks_deaths_flushes_and_restarts(lab: &mut Lab) -> Result<()> {
    lab.watch(&PORTS)?;
    make(lab, &["--quota", "600MB", "--mode", "max"])?;
    let mut rng = Rng::new(lab.seed());
    for round in 0..4 {
        let floods = [
            Flood::start(lab, Family::V4, Way::In, 20000, 300, Pace::Windowed)?,
            Flood::start(lab, Family::V6, Way::Out, 30003, 500, Pace::Windowed)?,
        ];
        for _ in 0..6 {
            let mut tick = lab
                .pm_command(&["monitor"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            thread::sleep(rng.moment(Duration::from_millis(30)));
            tick.kill()?;
            tick.wait()?;
            for flood in &floods {
                flood.wait_for(20)?;
            }
        }
        for flood in floods {
            flood.stop()?;
        }
        lab.ok(&["monitor"])?;
        match round {
            0 => drop(lab.vps.nft(&["flush", "ruleset"])?),
            1 => lab.restart_vps()?,
            2 => drop(lab.ok(&["teardown"])?),
            _ => {}
        }
        lab.ok(&["restore"])?;
        lab.exact(&PORTS)?;
        let (group, all) = (lab.group("vip")?, lab.list()?);
        let members = all
            .iter()
            .fold(Bytes::default(), |sum, service| sum + service.bytes());
        ensure!(
            group.bytes() == members,
            "in round {round}, members used {members:?} of {group:?}"
        );
    }
    lab.watch_cut(&PORTS)?;
    let used = lab.group("vip")?.bytes();
    let left = MB / 2;
    let quota = used.inbound.max(used.outbound) + left;
    lab.ok(&["group", "set", "vip", "--quota", &megabytes(quota)])?;
    flood_all(lab, 3000)?;
    let through = passed(lab)?;
    let spent = used + through;
    let most = spent.inbound.max(spent.outbound);
    check_cut("in the end", most, quota, PACKET)?;
    ensure!(spent.inbound.min(spent.outbound) <= quota, "{spent:?}");
    check_closed(lab)?;
    for damage in ["flush", "restart"] {
        match damage {
            "flush" => drop(lab.vps.nft(&["flush", "ruleset"])?),
            _ => lab.restart_vps()?,
        }
        lab.ok(&["restore"])?;
        lab.watch_cut(&PORTS)?;
        flood_all(lab, 200)?;
        ensure!(
            passed(lab)? == Bytes::default(),
            "a {damage} opened a spent group"
        );
    }
    Ok(())
}
