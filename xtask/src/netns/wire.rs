//! The lab itself: what the other tests take for granted. None of these runs pm.

use anyhow::{Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["wire":
    both_ends_see_the_same_lengths,
    a_datagram_is_counted_with_its_ip_header,
    a_hand_written_quota_is_seen_to_cut,
    a_windowed_flood_loses_nothing,
    the_ruleset_check_can_fail,
    a_restarted_vps_is_empty_and_connected,
];

/// The truth in the client's namespace equals what a rule in the VPS counts: for datagrams, for IPv4 fragments, and
/// for TCP with its super-packets, in both directions and both families.
fn both_ends_see_the_same_lengths(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20000"])?;
    for family in Family::ALL {
        let udp = Udp::open(lab, family, 20000)?;
        for way in Way::ALL {
            udp.send(way, 100, 1)?;
            udp.send(way, 100, 1400)?;
            if family == Family::V4 {
                udp.send(way, 3, 5000)?;
            }
        }
        tcp_exchange(lab, family, 20000, 3_000_000, 5_000_000)?;
    }
    crate::lab::wait_until("both ends agree", || {
        Ok(lab.truth(Place::Client, "20000")? == lab.truth(Place::Passed, "20000")?)
    })?;
    let truth = lab.truth(Place::Client, "20000")?;
    ensure!(
        truth.inbound > 6_000_000 && truth.outbound > 10_000_000,
        "too little was counted: {truth:?}"
    );
    Ok(())
}

/// Pins the truth to arithmetic: otherwise both ends could be wrong alike.
fn a_datagram_is_counted_with_its_ip_header(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    let mut expected = Bytes::default();
    for family in Family::ALL {
        let udp = Udp::open(lab, family, 20000)?;
        udp.send(Way::In, 40, 100)?;
        udp.send(Way::Out, 7, 1000)?;
        expected.inbound += 40 * family.udp_length(100);
        expected.outbound += 7 * family.udp_length(1000);
    }
    let truth = lab.truth(Place::Client, "20000")?;
    ensure!(truth == expected, "{truth:?} instead of {expected:?}");
    Ok(())
}

/// The layout that pm builds, written by hand, shows the cut tests' own tools at work.
fn a_hand_written_quota_is_seen_to_cut(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.vps.nft_load(
        "table inet by_hand {
            quota q { over 1000000 bytes }
            chain in_20000 { quota name q drop; }
            map ingress { type inet_service : verdict; flags interval; elements = { 20000 : goto in_20000 } }
            chain input { type filter hook input priority filter + 20; policy accept;
                iif != lo meta l4proto { tcp, udp } th dport vmap @ingress; }
        }",
    )?;
    let flood = Flood::start(lab, Family::V4, Way::In, 20000, 1000, Pace::Unchecked)?;
    flood.wait_for(3000)?;
    flood.stop()?;
    let (tried, passed) = (
        lab.truth(Place::Tried, "20000")?,
        lab.truth(Place::Passed, "20000")?,
    );
    ensure!(
        tried.inbound > 2_000_000,
        "the flood was too thin: {tried:?}"
    );
    ensure!(
        (998_972..=1_000_000).contains(&passed.inbound),
        "{passed:?} passed"
    );
    let tcp = TcpFlood::start(lab, Family::V4, Way::Out, 20001)?;
    drop(tcp);
    lab.check_ruleset()?;
    Ok(())
}

fn a_windowed_flood_loses_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.watch_cut(&["20000"])?;
    let flood = Flood::start(lab, Family::V6, Way::Out, 20000, 500, Pace::Windowed)?;
    flood.wait_for(20_000)?;
    let sent = flood.stop()?;
    let truth = lab.truth(Place::Client, "20000")?;
    ensure!(
        truth.outbound == sent * Family::V6.udp_length(500),
        "{sent} datagrams were sent: {truth:?}"
    );
    ensure!(truth == lab.truth(Place::Passed, "20000")?);
    Ok(())
}

/// The check that runs after every pm command must see a ruleset that does not load elsewhere.
fn the_ruleset_check_can_fail(lab: &mut Lab) -> Result<()> {
    lab.check_ruleset()?;
    lab.vps
        .nft_load("table inet needs_eth0 { chain c { iif eth0 accept; }\n}")?;
    ensure!(
        lab.check_ruleset().is_err(),
        "a ruleset that does not load elsewhere passed the check"
    );
    Ok(())
}

fn a_restarted_vps_is_empty_and_connected(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.vps.nft_load("table inet old { }")?;
    lab.restart_vps()?;
    ensure!(
        lab.check_ruleset()?.is_empty(),
        "the new namespace has the old ruleset"
    );
    for family in Family::ALL {
        Udp::open(lab, family, 20000)?.send(Way::In, 10, 100)?;
    }
    let expected = 10 * (Family::V4.udp_length(100) + Family::V6.udp_length(100));
    ensure!(
        lab.truth(Place::Client, "20000")?.inbound == expected,
        "the client's truth did not go on"
    );
    Ok(())
}
