//! Groups: many services, one quota, and the kernel cuts all of them off at its last byte.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::history::{Period, periods, sum};
use super::requests::refused_whole;
use super::tests;
use crate::lab::{Family, Lab, Service};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["groups":
    members_share_one_quota_to_the_byte_in_both_directions,
    what_all_members_send_is_cut_and_what_they_receive_is_not,
    the_larger_of_both_directions_counts,
    a_factor_moves_the_cut_to_the_byte,
    who_joins_brings_nothing_and_who_leaves_takes_nothing,
    terms_that_change_under_traffic_lose_and_double_nothing,
    raising_a_spent_quota_gives_all_members_the_exact_rest,
    a_reset_opens_all_members_for_exactly_one_more,
    fault_6_a_group_of_one_behaves_like_none,
    what_the_group_decides_is_refused_to_its_members,
    a_group_outlives_ticks_deaths_flushes_and_restarts,
];

const KB: u64 = 1_000;
const MB: u64 = 1_000_000;
/// The length of the floods' datagrams.
const PAYLOAD: usize = 1000;
/// That of the longest packet with one.
const PACKET: u64 = 1048;
const PORTS: [&str; 3] = ["20000", "20001", "30000-30010"];

/// Makes a group of [`PORTS`].
fn make(lab: &Lab, settings: &[&str]) -> Result<()> {
    let mut args = vec!["group", "add", "vip"];
    args.extend(settings);
    lab.ok(&args)?;
    lab.ok(&["add", &PORTS.join(","), "--group", "vip"])?;
    Ok(())
}

/// Sends to and from all members at once, as fast as it goes.
fn flood_all(lab: &Lab, packets: u64) -> Result<()> {
    let floods = [
        (20000, Way::In, Family::V4),
        (20001, Way::Out, Family::V6),
        (30003, Way::In, Family::V6),
        (30010, Way::Out, Family::V4),
    ]
    .map(|(port, way, family)| Flood::start(lab, family, way, port, PAYLOAD, Pace::Unchecked));
    let floods = floods.into_iter().collect::<Result<Vec<_>>>()?;
    for flood in &floods {
        flood.wait_for(packets)?;
    }
    for flood in floods {
        flood.stop()?;
    }
    Ok(())
}

fn passed(lab: &Lab) -> Result<Bytes> {
    let all = PORTS.map(|port| lab.truth(Place::Passed, port));
    all.into_iter()
        .try_fold(Bytes::default(), |sum, one| Ok(sum + one?))
}

fn check_cut(what: &str, passed: u64, quota: u64, packet: u64) -> Result<()> {
    ensure!(
        passed <= quota && passed + packet > quota,
        "{what}: {passed} bytes passed a quota of {quota}"
    );
    Ok(())
}

/// Checks that every member is cut off, and stays so.
fn check_closed(lab: &Lab) -> Result<()> {
    let before = passed(lab)?;
    for round in 0..2 {
        for port in PORTS {
            let service = lab.service(port)?;
            ensure!(
                service.blocked_by.as_deref() == Some("quota"),
                "not blocked in round {round}: {service:?}"
            );
        }
        lab.ok(&["monitor"])?;
        for port in [20000, 20001, 30000, 30010] {
            let udp = Udp::open(lab, Family::V4, port)?;
            Way::ALL.iter().try_for_each(|way| udp.push(*way, 20, 1))?;
        }
    }
    ensure!(lab.group("vip")?.state == "blocked");
    ensure!(passed(lab)? == before, "packets passed a spent quota");
    Ok(())
}

/// Writes a size to the byte.
fn megabytes(bytes: u64) -> String {
    format!("{}.{:06}MB", bytes / MB, bytes % MB)
}

fn members_share_one_quota_to_the_byte_in_both_directions(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "4MB"])?;
    let table = lab.table()?;
    let quotas = table.matches("over 4000000 bytes").count();
    let rules = table.matches("quota name \"q_group_vip\" drop").count();
    ensure!(
        (quotas, rules) == (1, 2 * PORTS.len()),
        "not one quota for all:\n{table}"
    );
    // No command of pm runs until it is spent.
    flood_all(lab, 4000)?;
    let total = passed(lab)?;
    check_cut("together", total.sum(), 4 * MB, PACKET)?;
    for port in PORTS {
        let (service, passed) = (lab.service(port)?, lab.truth(Place::Passed, port)?);
        ensure!(
            service.bytes() == passed
                && service.billed_bytes == passed.sum()
                && service.group.as_deref() == Some("vip"),
            "{passed:?} passed of {service:?}"
        );
    }
    let group = lab.group("vip")?;
    ensure!(
        group.bytes() == total && group.billed_bytes == total.sum() && group.members == PORTS,
        "{total:?} passed of {group:?}"
    );
    check_closed(lab)
}

fn what_all_members_send_is_cut_and_what_they_receive_is_not(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "2MB", "--mode", "out"])?;
    let before = passed(lab)?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 3000, PAYLOAD)?;
    flood_all(lab, 3000)?;
    Udp::open(lab, Family::V6, 30000)?.send(Way::In, 50, PAYLOAD)?;
    let total = passed(lab)? - before;
    check_cut("sent", total.outbound, 2 * MB, PACKET)?;
    ensure!(total.inbound > 9 * MB, "what arrived was cut: {total:?}");
    ensure!(lab.group("vip")?.billed_bytes == total.outbound);
    check_closed(lab)
}

fn the_larger_of_both_directions_counts(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "2MB", "--mode", "max"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 1500, PAYLOAD)?;
    Udp::open(lab, Family::V4, 30003)?.send(Way::Out, 1800, PAYLOAD)?;
    let group = lab.group("vip")?;
    ensure!(
        group.billed_bytes == 1800 * Family::V4.udp_length(PAYLOAD),
        "not the larger is billed of {group:?}"
    );
    flood_all(lab, 3000)?;
    let total = passed(lab)?;
    check_cut("received", total.inbound, 2 * MB, PACKET)?;
    check_cut("sent", total.outbound, 2 * MB, PACKET)?;
    let group = lab.group("vip")?;
    ensure!(
        group.bytes() == total && group.billed_bytes == total.inbound.max(total.outbound),
        "{total:?} passed of {group:?}"
    );
    check_closed(lab)?;
    // One direction alone spends it, and both are closed then.
    lab.ok(&["group", "reset", "vip"])?;
    let before = passed(lab)?;
    Udp::open(lab, Family::V4, 20000)?.push(Way::In, 3000, PAYLOAD)?;
    let total = passed(lab)? - before;
    check_cut("received alone", total.inbound, 2 * MB, PACKET)?;
    lab.ok(&["monitor"])?;
    check_closed(lab)
}

fn a_factor_moves_the_cut_to_the_byte(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000", "20001", "20002"])?;
    // Of 30,001 bytes: how many bytes may pass.
    for (factor, allowance) in [("1.5", 20_000), ("0.5", 60_002), ("0.007", 4_285_857)] {
        lab.ok(&[
            "group",
            "add",
            "vip",
            "--quota",
            "0.030001MB",
            "--factor",
            factor,
        ])?;
        lab.ok(&["add", "20000,20001", "--group", "vip"])?;
        lab.ok(&["add", "20002", "--quota", "0.030001MB", "--factor", factor])?;
        let table = lab.table()?;
        ensure!(
            table.matches(&format!("over {allowance} bytes")).count() == 2,
            "{allowance} bytes were to be left with factor {factor}:\n{table}"
        );
        // Small packets, so that nearly every byte counts.
        let payload = if allowance > MB { PAYLOAD } else { 1 };
        let packet = Family::V4.udp_length(payload);
        let count = allowance / packet + 20;
        let before = ["20000", "20001", "20002"].map(|port| lab.truth(Place::Passed, port));
        let shared = [20000, 20001].map(|port| Udp::open(lab, Family::V4, port));
        for udp in shared {
            udp?.push(Way::Out, count * 3 / 5, payload)?;
        }
        Udp::open(lab, Family::V4, 20002)?.push(Way::In, count, payload)?;
        let mut through = Vec::new();
        for (port, before) in ["20000", "20001", "20002"].into_iter().zip(before) {
            through.push((lab.truth(Place::Passed, port)? - before?).sum());
        }
        let what = format!("factor {factor}");
        check_cut(&what, through[0] + through[1], allowance, packet)?;
        check_cut(&what, through[2], allowance, packet)?;
        for (name, billed) in [
            ("group", lab.group("vip")?.billed_bytes),
            ("service", lab.service("20002")?.billed_bytes),
        ] {
            ensure!(
                billed <= 30_001 && billed + 3 * packet > 30_001,
                "{billed} bytes of 30001 are billed to the {name} with factor {factor}"
            );
        }
        lab.ok(&["del", "20000,20001,20002"])?;
        lab.ok(&["group", "del", "vip"])?;
    }
    Ok(())
}

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

fn raising_a_spent_quota_gives_all_members_the_exact_rest(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "1MB"])?;
    // They go on through the changes: what is dropped meanwhile must not be billed.
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, PAYLOAD, Pace::Unchecked)?,
        Flood::start(lab, Family::V6, Way::Out, 30010, PAYLOAD, Pace::Unchecked)?,
    ];
    let spend = |quota: u64| -> Result<()> {
        for flood in &floods {
            flood.wait_for(4000)?;
        }
        check_cut(
            &format!("{quota} MB"),
            passed(lab)?.sum(),
            quota * MB,
            PACKET,
        )
    };
    spend(1)?;
    for quota in [3, 4] {
        lab.ok(&["group", "set", "vip", "--quota", &format!("{quota}MB")])?;
        spend(quota)?;
    }
    lab.ok(&["group", "set", "vip", "--quota", "2MB"])?;
    lab.ok(&["group", "set", "vip", "--quota", "4MB"])?;
    spend(4)
}

fn a_reset_opens_all_members_for_exactly_one_more(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&PORTS)?;
    make(lab, &["--quota", "1MB"])?;
    for round in 1..=2 {
        let before = passed(lab)?;
        for (port, way) in [(20000, Way::In), (20001, Way::Out), (30000, Way::In)] {
            Udp::open(lab, Family::V4, port)?.send(way, 50, PAYLOAD)?;
        }
        flood_all(lab, 1000)?;
        let through = passed(lab)? - before;
        check_cut(&format!("round {round}"), through.sum(), MB, PACKET)?;
        check_closed(lab)?;
        // A service that is no member is nobody's business.
        lab.ok(&["group", "reset", "vip"])?;
        let (group, all) = (lab.group("vip")?, lab.list()?);
        ensure!(
            group.state == "ok"
                && group.billed_bytes == 0
                && all
                    .iter()
                    .all(|one| one.state == "ok" && one.billed_bytes == 0),
            "after a reset: {group:?}, {all:?}"
        );
    }
    Ok(())
}

/// Fault 6 of the scripts pm replaces: an ungrouped port was never blocked, and an empty group changed which rule
/// applied.
fn fault_6_a_group_of_one_behaves_like_none(lab: &mut Lab) -> Result<()> {
    const ALL: [&str; 4] = ["20000", "20001", "20002", "20003"];
    lab.watch_cut(&ALL)?;
    lab.ok(&["group", "add", "one", "--quota", "1MB"])?;
    lab.ok(&["group", "add", "empty", "--quota", "1KB"])?;
    lab.ok(&["group", "add", "老王 & \"co\"", "--quota", "1MB"])?;
    lab.ok(&["add", "20000,20003", "--quota", "1MB"])?;
    lab.ok(&["add", "20001", "--group", "one"])?;
    lab.ok(&["add", "20002", "--group", "老王 & \"co\""])?;
    lab.ok(&["set", "20003", "--group", "empty"])?;
    lab.ok(&["set", "20003", "--group", "none", "--quota", "1MB"])?;
    let figures = |port: &str| -> Result<_> {
        let Service {
            in_bytes,
            out_bytes,
            billed_bytes,
            state,
            blocked_by,
            ..
        } = lab.service(port)?;
        let figures = (in_bytes, out_bytes, billed_bytes, state, blocked_by);
        Ok((figures, lab.truth(Place::Passed, port)?))
    };
    let all_alike = |when: &str| -> Result<()> {
        let first = figures(ALL[0])?;
        for port in ALL {
            let found = figures(port)?;
            ensure!(
                found == first,
                "{when}, {port} is {found:?} and {} is {first:?}",
                ALL[0]
            );
        }
        Ok(())
    };
    let use_up = |count: u64| -> Result<()> {
        for port in 20000..=20003 {
            let udp = Udp::open(lab, Family::V4, port)?;
            udp.push(Way::In, count, PAYLOAD)?;
            udp.push(Way::Out, count, PAYLOAD)?;
        }
        Ok(())
    };
    use_up(300)?;
    all_alike("in the middle")?;
    use_up(300)?;
    all_alike("spent")?;
    ensure!(lab.service("20001")?.blocked_by.as_deref() == Some("quota"));
    lab.ok(&["monitor"])?;
    use_up(10)?;
    all_alike("a tick later")?;
    lab.ok(&["reset", "20000,20003"])?;
    lab.ok(&["group", "reset", "one"])?;
    lab.ok(&["group", "reset", "老王 & \"co\""])?;
    use_up(600)?;
    all_alike("after a reset")
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
    let left = 500 * KB;
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
