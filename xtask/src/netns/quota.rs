//! The quota cuts in the kernel: never a byte more, at most one packet less.

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab, wait_until};
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["quota":
    a_udp_flood_is_cut_at_the_byte_in_both_directions_without_a_tick,
    a_tcp_flood_is_cut_at_the_byte_in_both_directions,
    both_directions_share_one_quota,
    out_mode_cuts_what_is_sent_and_leaves_what_arrives,
    a_range_shares_one_quota,
    a_spent_quota_is_shown_and_stays_spent_over_ticks,
    a_spent_quota_stays_spent_after_a_flush_and_a_restart,
    raising_a_spent_quota_gives_the_exact_rest,
    lowering_a_quota_below_what_is_used_cuts_at_once,
    a_quota_added_in_mid_flood_counts_what_was_used_before,
    changes_with_little_left_bill_exactly_what_passed,
    a_quota_set_under_two_way_traffic_is_exact,
    a_changed_mode_moves_the_cut_to_the_new_sum,
    mode_and_quota_changes_under_traffic_lose_and_double_nothing,
    a_reset_opens_a_spent_quota_for_exactly_one_more,
    a_correction_moves_the_cut,
    block_stops_both_directions_and_unblock_lets_them_through,
    a_blocked_service_keeps_what_it_had_used,
    unblocking_a_spent_quota_is_refused_with_the_ways_out,
];

/// One MB.
const MB: u64 = 1_000_000;
/// The length of the flood's packets.
const PAYLOAD: usize = 1000;
/// The largest TCP super-packet, with room for GSO's 64 kB limit.
const SUPER_PACKET: u64 = 65_600;

/// Floods one way until far more than `bytes` was tried, as seen in front of pm.
fn flood(lab: &Lab, family: Family, way: Way, port: u16, bytes: u64) -> Result<()> {
    let flood = Flood::start(lab, family, way, port, PAYLOAD, Pace::Unchecked)?;
    flood.wait_for(bytes / PAYLOAD as u64)?;
    flood.stop()?;
    Ok(())
}

fn check_cut(what: &str, passed: u64, quota: u64, packet: u64) -> Result<()> {
    ensure!(
        passed <= quota,
        "{what}: {passed} bytes passed a quota of {quota}"
    );
    ensure!(
        passed + packet > quota,
        "{what}: only {passed} bytes of a quota of {quota} passed"
    );
    Ok(())
}

fn passed(lab: &Lab, port: &str) -> Result<Bytes> {
    lab.truth(Place::Passed, port)
}

fn a_udp_flood_is_cut_at_the_byte_in_both_directions_without_a_tick(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000", "20001", "20002", "20003"])?;
    lab.ok(&["add", "20000,20001,20002,20003", "--quota", "2MB"])?;
    let mut port = 20000;
    for family in Family::ALL {
        for way in Way::ALL {
            flood(lab, family, way, port, 6 * MB)?;
            let name = port.to_string();
            let tried = lab.truth(Place::Tried, &name)?;
            ensure!(tried.sum() > 4 * MB, "the flood was too thin: {tried:?}");
            check_cut(
                &format!("{family:?} {way:?}"),
                passed(lab, &name)?.sum(),
                2 * MB,
                family.udp_length(PAYLOAD),
            )?;
            port += 1;
        }
    }
    Ok(())
}

fn a_tcp_flood_is_cut_at_the_byte_in_both_directions(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001", "--quota", "10MB"])?;
    for (way, port) in [(Way::In, 20000), (Way::Out, 20001)] {
        let name = port.to_string();
        let tcp = TcpFlood::start(lab, Family::V4, way, port)?;
        // What was tried is read first, so a difference is a drop. One is enough: after it TCP backs off.
        wait_until("packets are dropped", || {
            Ok(lab.truth(Place::Tried, &name)?.sum() > passed(lab, &name)?.sum())
        })?;
        drop(tcp);
        check_cut(
            &format!("{way:?}"),
            passed(lab, &name)?.sum(),
            10 * MB,
            SUPER_PACKET,
        )?;
    }
    Ok(())
}

fn both_directions_share_one_quota(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "3MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 1000, PAYLOAD)?;
    udp.send(Way::Out, 1000, PAYLOAD)?;
    udp.push(Way::In, 3000, PAYLOAD)?;
    udp.push(Way::Out, 3000, PAYLOAD)?;
    check_cut(
        "in and out",
        passed(lab, "20000")?.sum(),
        3 * MB,
        Family::V4.udp_length(PAYLOAD),
    )
}

fn out_mode_cuts_what_is_sent_and_leaves_what_arrives(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB", "--mode", "out"])?;
    let udp = Udp::open(lab, Family::V6, 20000)?;
    udp.send(Way::In, 3000, PAYLOAD)?;
    udp.push(Way::Out, 3000, PAYLOAD)?;
    udp.send(Way::In, 10, PAYLOAD)?;
    let bytes = passed(lab, "20000")?;
    check_cut("out", bytes.outbound, MB, Family::V6.udp_length(PAYLOAD))?;
    ensure!(
        bytes.inbound == 3010 * Family::V6.udp_length(PAYLOAD),
        "what arrives was cut: {bytes:?}"
    );
    Ok(())
}

fn a_range_shares_one_quota(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["30000-30100"])?;
    lab.ok(&["add", "30000-30100", "--quota", "1MB"])?;
    Udp::open(lab, Family::V4, 30000)?.send(Way::In, 400, PAYLOAD)?;
    Udp::open(lab, Family::V4, 30100)?.send(Way::Out, 400, PAYLOAD)?;
    Udp::open(lab, Family::V4, 30050)?.push(Way::In, 1000, PAYLOAD)?;
    check_cut(
        "range",
        passed(lab, "30000-30100")?.sum(),
        MB,
        Family::V4.udp_length(PAYLOAD),
    )
}

fn a_spent_quota_is_shown_and_stays_spent_over_ticks(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.push(Way::In, 2000, PAYLOAD)?;
    for _ in 0..3 {
        let service = lab.service("20000")?;
        ensure!(
            service.state == "blocked" && service.blocked_by.as_deref() == Some("quota"),
            "a spent quota is shown as {service:?}"
        );
        lab.ok(&["monitor"])?;
        // Small packets: some would still fit into the rest if the kernel's state were not remembered.
        udp.push(Way::In, 100, 1)?;
        udp.push(Way::Out, 100, 1)?;
    }
    let before = passed(lab, "20000")?;
    udp.push(Way::In, 1000, PAYLOAD)?;
    ensure!(
        passed(lab, "20000")? == before,
        "packets passed a spent quota"
    );
    ensure!(before.sum() <= MB, "{before:?} passed");
    Ok(())
}

fn a_spent_quota_stays_spent_after_a_flush_and_a_restart(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    flood(lab, Family::V4, Way::In, 20000, 3 * MB)?;
    lab.ok(&["monitor"])?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.ok(&["monitor"])?;
    lab.watch_cut(&["20000"])?;
    flood(lab, Family::V4, Way::Out, 20000, 2 * MB)?;
    ensure!(
        passed(lab, "20000")? == Bytes::default(),
        "a flush opened a spent quota"
    );
    lab.restart_vps()?;
    lab.ok(&["restore"])?;
    lab.watch_cut(&["20000"])?;
    flood(lab, Family::V4, Way::In, 20000, 2 * MB)?;
    ensure!(
        passed(lab, "20000")? == Bytes::default(),
        "a restart opened a spent quota"
    );
    Ok(())
}

fn raising_a_spent_quota_gives_the_exact_rest(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    // Keeps flooding through the change: what was dropped meanwhile must not be billed to the new quota.
    let flood = Flood::start(lab, Family::V4, Way::In, 20000, PAYLOAD, Pace::Unchecked)?;
    flood.wait_for(10_000)?;
    check_cut(
        "1 MB",
        passed(lab, "20000")?.sum(),
        MB,
        Family::V4.udp_length(PAYLOAD),
    )?;
    for quota in [3, 4] {
        lab.ok(&["set", "20000", "--quota", &format!("{quota}MB")])?;
        flood.wait_for(10_000)?;
        check_cut(
            &format!("{quota} MB"),
            passed(lab, "20000")?.sum(),
            quota * MB,
            Family::V4.udp_length(PAYLOAD),
        )?;
    }
    flood.stop()?;
    Ok(())
}

fn lowering_a_quota_below_what_is_used_cuts_at_once(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::Out, 2000, PAYLOAD)?;
    lab.ok(&["set", "20000", "--quota", "1MB"])?;
    let before = passed(lab, "20000")?;
    udp.push(Way::Out, 200, PAYLOAD)?;
    udp.push(Way::In, 200, 1)?;
    ensure!(
        passed(lab, "20000")? == before,
        "packets passed a quota that was lowered below what is used"
    );
    ensure!(lab.service("20000")?.blocked_by.as_deref() == Some("quota"));
    Ok(())
}

fn a_quota_added_in_mid_flood_counts_what_was_used_before(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let flood = Flood::start(lab, Family::V4, Way::In, 20000, 200, Pace::Unchecked)?;
    flood.wait_for(1000)?;
    let quota = passed(lab, "20000")?.sum() + 100 * MB;
    lab.ok(&["set", "20000", "--quota", &megabytes(quota)])?;
    ensure!(
        passed(lab, "20000")?.sum() < quota - MB,
        "this machine is too fast for this test"
    );
    lab.ok(&["monitor"])?;
    let packet = Family::V4.udp_length(200);
    wait_until("the quota is spent", || {
        Ok(passed(lab, "20000")?.sum() + packet > quota)
    })?;
    flood.wait_for(5000)?;
    flood.stop()?;
    check_cut("in mid-flood", passed(lab, "20000")?.sum(), quota, packet)
}

/// With little left, pm stops a service for the moment in which its objects change. What passed before and after
/// is billed to the byte, and what was stopped is not.
fn changes_with_little_left_bill_exactly_what_passed(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 100, Pace::Unchecked)?,
        Flood::start(lab, Family::V6, Way::Out, 20000, 100, Pace::Unchecked)?,
    ];
    for change in [
        &["--quota", "2GB"][..],
        &["--mode", "out"],
        &["--quota", "none"],
        &["--quota", "3GB", "--mode", "both"],
        &["--quota", "4GB", "--used", "1GB"],
        &["--quota", "none", "--mode", "out"],
    ] {
        let mut args = vec!["set", "20000"];
        args.extend(change);
        lab.ok(&args)?;
        floods[0].wait_for(500)?;
        lab.ok(&["monitor"])?;
        floods[1].wait_for(500)?;
    }
    for flood in floods {
        flood.stop()?;
    }
    let (service, passed) = (lab.service("20000")?, passed(lab, "20000")?);
    ensure!(
        service.state == "ok",
        "this machine is too fast for this test: {service:?}"
    );
    ensure!(
        service.bytes() == passed,
        "pm says {:?}, {passed:?} passed",
        service.bytes()
    );
    Ok(())
}

/// A quota that joins counters in use has an offset to them, which is found while packets pass; a cut much later
/// shows whether it is right.
fn a_quota_set_under_two_way_traffic_is_exact(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    {
        let _inbound = Flood::start(lab, Family::V4, Way::In, 20000, 100, Pace::Windowed)?;
        let _outbound = Flood::start(lab, Family::V6, Way::Out, 20000, 900, Pace::Windowed)?;
        lab.ok(&["set", "20000", "--quota", "900GB", "--mode", "out"])?;
        lab.ok(&["set", "20000", "--quota", "800GB"])?;
        lab.ok(&["set", "20000", "--mode", "both"])?;
        lab.ok(&["set", "20000", "--quota", "700GB"])?;
    }
    lab.ok(&["monitor"])?;
    let quota = passed(lab, "20000")?.sum() + 3 * MB;
    lab.ok(&["set", "20000", "--quota", &megabytes(quota)])?;
    flood(lab, Family::V4, Way::Out, 20000, 6 * MB)?;
    check_cut(
        "after two-way traffic",
        passed(lab, "20000")?.sum(),
        quota,
        Family::V4.udp_length(PAYLOAD),
    )
}

/// Writes a size to the byte.
fn megabytes(bytes: u64) -> String {
    format!("{}.{:06}MB", bytes / MB, bytes % MB)
}

fn a_changed_mode_moves_the_cut_to_the_new_sum(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000", "20001"])?;
    lab.ok(&["add", "20000", "--quota", "3MB", "--mode", "out"])?;
    lab.ok(&["add", "20001", "--quota", "3MB", "--mode", "both"])?;
    let packet = Family::V4.udp_length(PAYLOAD);
    let out_first = Udp::open(lab, Family::V4, 20000)?;
    out_first.send(Way::In, 1000, PAYLOAD)?;
    out_first.send(Way::Out, 1000, PAYLOAD)?;
    lab.ok(&["set", "20000", "--mode", "both"])?;
    out_first.push(Way::Out, 3000, PAYLOAD)?;
    check_cut(
        "out, then both",
        passed(lab, "20000")?.sum(),
        3 * MB,
        packet,
    )?;
    let both_first = Udp::open(lab, Family::V4, 20001)?;
    both_first.send(Way::In, 1000, PAYLOAD)?;
    both_first.send(Way::Out, 1000, PAYLOAD)?;
    lab.ok(&["set", "20001", "--mode", "out"])?;
    both_first.push(Way::Out, 5000, PAYLOAD)?;
    check_cut(
        "both, then out",
        passed(lab, "20001")?.outbound,
        3 * MB,
        packet,
    )
}

fn mode_and_quota_changes_under_traffic_lose_and_double_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001", "--quota", "500GB"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 800, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20000, 400, Pace::Windowed)?,
        Flood::start(lab, Family::V4, Way::Out, 20001, 100, Pace::Windowed)?,
    ];
    for change in [
        &["--mode", "out"][..],
        &["--quota", "400GB"],
        &["--quota", "none"],
        &["--mode", "both"],
        &["--quota", "600GB", "--mode", "out"],
        &["--quota", "10GB", "--mode", "both", "--used", "0"],
        &["--quota", "none"],
        &["--quota", "700GB"],
    ] {
        let mut args = vec!["set", "20000"];
        args.extend(change);
        lab.ok(&args)?;
        // A packet that was dropped stalls its flood.
        let stalled = || {
            format!(
                "after `pm {}`: {:?}\n{}",
                args.join(" "),
                lab.service("20000"),
                lab.table().unwrap_or_default()
            )
        };
        floods[0].wait_for(200).with_context(stalled)?;
        lab.ok(&["monitor"])?;
        floods[1].wait_for(200).with_context(stalled)?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&["20000", "20001"])?;
    lab.ok(&["monitor"])?;
    lab.exact(&["20000", "20001"])
}

fn a_reset_opens_a_spent_quota_for_exactly_one_more(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    let packet = Family::V4.udp_length(PAYLOAD);
    flood(lab, Family::V4, Way::In, 20000, 3 * MB)?;
    let before = passed(lab, "20000")?;
    check_cut("first period", before.sum(), MB, packet)?;
    lab.ok(&["reset", "20000"])?;
    let service = lab.service("20000")?;
    ensure!(
        service.billed_bytes == 0 && service.state == "ok",
        "after a reset: {service:?}"
    );
    flood(lab, Family::V4, Way::Out, 20000, 3 * MB)?;
    check_cut(
        "second period",
        (passed(lab, "20000")? - before).sum(),
        MB,
        packet,
    )
}

fn a_correction_moves_the_cut(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "3MB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 500, PAYLOAD)?;
    lab.ok(&["set", "20000", "--used", "2MB"])?;
    let service = lab.service("20000")?;
    let counted = 500 * Family::V4.udp_length(PAYLOAD);
    ensure!(
        service.billed_bytes == 2 * MB,
        "{} billed after --used 2MB",
        service.billed_bytes
    );
    ensure!(
        service.in_bytes == counted && service.adjust_bytes == 2_000_000 - counted as i64,
        "the correction hides what was counted: {service:?}"
    );
    udp.push(Way::Out, 3000, PAYLOAD)?;
    check_cut(
        "corrected",
        passed(lab, "20000")?.sum(),
        MB + counted,
        Family::V4.udp_length(PAYLOAD),
    )
}

fn block_stops_both_directions_and_unblock_lets_them_through(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000", "20001"])?;
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000,20001"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 10, 100)?;
    lab.ok(&["block", "20000"])?;
    let before = passed(lab, "20000")?;
    udp.push(Way::In, 10, 100)?;
    udp.push(Way::Out, 10, 100)?;
    ensure!(
        passed(lab, "20000")? == before,
        "a blocked service is reachable"
    );
    ensure!(
        lab.truth(Place::Tried, "20000")?.sum() > before.sum(),
        "nothing was tried"
    );
    ensure!(lab.service("20000")?.blocked_by.as_deref() == Some("operator"));
    Udp::open(lab, Family::V4, 20001)?.send(Way::In, 10, 100)?;
    lab.ok(&["unblock", "20000"])?;
    udp.send(Way::In, 10, 100)?;
    udp.send(Way::Out, 10, 100)?;
    ensure!(lab.service("20000")?.state == "ok");
    Ok(())
}

fn a_blocked_service_keeps_what_it_had_used(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    tcp_exchange(lab, Family::V4, 20000, 300_000, 100_000)?;
    lab.exact(&["20000"])?;
    for args in [&["block", "20000"][..], &["monitor"], &["unblock", "20000"]] {
        lab.ok(args)?;
        lab.exact(&["20000"])?;
    }
    tcp_exchange(lab, Family::V6, 20000, 100_000, 300_000)?;
    lab.exact(&["20000"])
}

fn unblocking_a_spent_quota_is_refused_with_the_ways_out(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    flood(lab, Family::V4, Way::In, 20000, 3 * MB)?;
    lab.ok(&["monitor"])?;
    lab.refused(
        &["unblock", "20000"],
        &["20000", "pm reset", "--quota", "--used"],
    )?;
    ensure!(
        lab.service("20000")?.blocked_by.as_deref() == Some("quota"),
        "a refused unblock lifted the cut"
    );
    Ok(())
}
