//! Every byte is counted once, for the right service, in the right direction.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use crate::traffic::{self, Flood, Pace, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["accounting":
    every_protocol_family_and_direction_is_counted_to_the_byte,
    a_range_counts_its_first_and_last_port_and_nothing_beside,
    the_lowest_and_highest_port_are_counted,
    the_hosts_own_loopback_traffic_is_not_billed,
    the_client_side_of_a_connection_is_not_billed_to_the_same_port,
    list_shows_uncollected_bytes_and_writes_nothing,
    many_ticks_under_traffic_lose_and_double_nothing,
    a_tick_without_traffic_changes_nothing,
    out_mode_bills_only_what_is_sent,
];

fn every_protocol_family_and_direction_is_counted_to_the_byte(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "30000-30100"])?;
    lab.ok(&["add", "20000,30000-30100"])?;
    let mut rng = Rng::new(lab.seed());
    for port in [20000, 30000, 30050, 30100] {
        for family in Family::ALL {
            let udp = Udp::open(lab, family, port)?;
            udp.send(Way::In, rng.between(1, 90), rng.between(0, 1400) as usize)?;
            udp.send(Way::Out, rng.between(1, 90), rng.between(0, 1400) as usize)?;
            if family == Family::V4 {
                udp.send(Way::In, 2, 9000)?;
            }
            tcp_exchange(
                lab,
                family,
                port,
                rng.between(1, 900_000),
                rng.between(1, 900_000),
            )?;
        }
    }
    lab.exact(&["20000", "30000-30100"])?;
    lab.ok(&["monitor"])?;
    lab.exact(&["20000", "30000-30100"])
}

fn a_range_counts_its_first_and_last_port_and_nothing_beside(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "30000-30100"])?;
    for port in [29999, 30101] {
        Udp::open(lab, Family::V4, port)?.send(Way::In, 5, 100)?;
        Udp::open(lab, Family::V4, port)?.send(Way::Out, 5, 100)?;
    }
    ensure!(
        lab.service("30000-30100")?.bytes() == Bytes::default(),
        "a neighbour's bytes were billed"
    );
    for port in [30000, 30100] {
        Udp::open(lab, Family::V4, port)?.send(Way::In, 5, 100)?;
        Udp::open(lab, Family::V4, port)?.send(Way::Out, 5, 100)?;
    }
    let expected = 10 * Family::V4.udp_length(100);
    let bytes = lab.service("30000-30100")?.bytes();
    ensure!(
        bytes
            == Bytes {
                inbound: expected,
                outbound: expected
            },
        "{bytes:?} instead of {expected} each way"
    );
    Ok(())
}

fn the_lowest_and_highest_port_are_counted(lab: &mut Lab) -> Result<()> {
    lab.watch(&["1", "65534", "65535"])?;
    lab.ok(&["add", "1,65534,65535"])?;
    for port in [1, 65534, 65535] {
        let udp = Udp::open(lab, Family::V6, port)?;
        udp.send(Way::In, 3, 10)?;
        udp.send(Way::Out, 4, 10)?;
    }
    lab.exact(&["1", "65534", "65535"])
}

fn the_hosts_own_loopback_traffic_is_not_billed(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    for address in ["127.0.0.1:20000", "[::1]:20000", "10.77.0.1:20000"] {
        let address: SocketAddr = address.parse()?;
        let listener = traffic::listen(&lab.vps, address)?;
        traffic::tcp_between(&lab.vps, &listener, 50_000, 50_000)?;
    }
    ensure!(
        lab.service("20000")?.bytes() == Bytes::default(),
        "loopback traffic was billed"
    );
    Ok(())
}

/// The VPS as a client of somebody's port 20000 is not the VPS's own service on 20000.
fn the_client_side_of_a_connection_is_not_billed_to_the_same_port(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let listener = traffic::listen(&lab.client, SocketAddr::new(Family::V4.client(), 20000))?;
    traffic::tcp_between(&lab.vps, &listener, 50_000, 50_000)?;
    ensure!(
        lab.service("20000")?.bytes() == Bytes::default(),
        "a download from another host's port was billed"
    );
    Ok(())
}

fn list_shows_uncollected_bytes_and_writes_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, 1000)?;
    let before = (
        std::fs::read(lab.state_dir().join("state.db"))?,
        lab.table()?,
    );
    lab.exact(&["20000"])?;
    lab.ok(&["show", "20000"])?;
    lab.ok(&["show", "20000", "--json"])?;
    lab.ok(&["list"])?;
    let after = (
        std::fs::read(lab.state_dir().join("state.db"))?,
        lab.table()?,
    );
    ensure!(
        before == after,
        "a reading command wrote to state.db or to the kernel"
    );
    Ok(())
}

fn many_ticks_under_traffic_lose_and_double_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001"])?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 700, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20001, 300, Pace::Windowed)?,
    ];
    for _ in 0..20 {
        lab.ok(&["monitor"])?;
        floods[0].wait_for(100)?;
    }
    for flood in floods {
        flood.stop()?;
    }
    lab.exact(&["20000", "20001"])?;
    lab.ok(&["monitor"])?;
    lab.exact(&["20000", "20001"])
}

fn a_tick_without_traffic_changes_nothing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 10, 1000)?;
    lab.ok(&["monitor"])?;
    let table = lab.table()?;
    for _ in 0..3 {
        lab.ok(&["monitor"])?;
        ensure!(
            lab.table()? == table,
            "a tick changed the table although nothing had happened"
        );
    }
    lab.exact(&["20000"])
}

fn out_mode_bills_only_what_is_sent(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB", "--mode", "out"])?;
    tcp_exchange(lab, Family::V4, 20000, 400_000, 100_000)?;
    lab.exact(&["20000"])?;
    let (service, truth) = (lab.service("20000")?, lab.truth(Place::Client, "20000")?);
    ensure!(
        service.billed_bytes == truth.outbound,
        "{} billed, {} sent",
        service.billed_bytes,
        truth.outbound
    );
    lab.ok(&["set", "20000", "--mode", "both"])?;
    let billed = lab.service("20000")?.billed_bytes;
    ensure!(
        billed == truth.sum(),
        "{billed} billed, {} both ways",
        truth.sum()
    );
    Ok(())
}
