//! Groups: many services, one quota, and the kernel cuts all of them off at its last byte.

use anyhow::{Result, ensure};

use super::tests;
use crate::lab::{Family, Lab, Service};
use crate::traffic::{Flood, Pace, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["groups":
    members_share_one_quota_to_the_byte_in_both_directions,
    what_all_members_send_is_cut_and_what_they_receive_is_not,
    the_larger_of_both_directions_counts,
    a_factor_moves_the_cut_to_the_byte,
    raising_a_spent_quota_gives_all_members_the_exact_rest,
    a_reset_opens_all_members_for_exactly_one_more,
    fault_6_a_group_of_one_behaves_like_none,
];

/// One MB.
pub(super) const MB: u64 = 1_000_000;
/// The length of the floods' datagrams.
pub(super) const PAYLOAD: usize = 1000;
/// That of the longest packet with one.
pub(super) const PACKET: u64 = 1048;
/// Its services.
pub(super) const PORTS: [&str; 3] = ["20000", "20001", "30000-30010"];

/// Makes a group of [`PORTS`].
pub(super) fn make(lab: &Lab, settings: &[&str]) -> Result<()> {
    let mut args = vec!["group", "add", "vip"];
    args.extend(settings);
    lab.ok(&args)?;
    lab.ok(&["add", &PORTS.join(","), "--group", "vip"])?;
    Ok(())
}

/// Sends to and from all members at once, as fast as it goes.
pub(super) fn flood_all(lab: &Lab, packets: u64) -> Result<()> {
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

/// Returns what passed all of them.
pub(super) fn passed(lab: &Lab) -> Result<Bytes> {
    let all = PORTS.map(|port| lab.truth(Place::Passed, port));
    all.into_iter()
        .try_fold(Bytes::default(), |sum, one| Ok(sum + one?))
}

/// Checks that a quota was used up to its last packet, and no further.
pub(super) fn check_cut(what: &str, passed: u64, quota: u64, packet: u64) -> Result<()> {
    ensure!(
        passed <= quota && passed + packet > quota,
        "{what}: {passed} bytes passed a quota of {quota}"
    );
    Ok(())
}

/// Checks that every member is cut off, and stays so.
pub(super) fn check_closed(lab: &Lab) -> Result<()> {
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
pub(super) fn megabytes(bytes: u64) -> String {
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
