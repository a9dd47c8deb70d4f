//! How close limits come to their rates, and what they do to everything else.
//!
//! TCP is judged by what the receiving program reads: a rate counts Ethernet frames, so of each 1514 bytes 1448 are
//! the program's with IPv4 and 1428 with IPv6.

mod delay;
mod flows;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::flows::{Flows, pace};
use super::measure::median;
use super::{Effort, Row};
use crate::lab::{Family, Lab};
use crate::namespace::run;
use crate::traffic::Way;
use crate::truth::Place;

const PORT: u16 = 20_000;
const OTHER: u16 = 20_001;

/// Of a full Ethernet frame, the part that is the program's.
fn payload_share(family: Family) -> f64 {
    match family {
        Family::V4 => 1448.0 / 1514.0,
        Family::V6 => 1428.0 / 1514.0,
    }
}

/// Measures all of it.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    rows.extend(out_limits(pm, effort)?);
    rows.extend(in_limits(pm, effort)?);
    rows.push(unlimited(pm, effort)?);
    rows.extend(two_at_once(pm, effort)?);
    rows.extend(changed_rate(pm, effort)?);
    rows.push(delay::measure(pm, effort)?);
    rows.push(billed_flood(pm, effort)?);
    Ok(rows)
}

fn seconds(effort: Effort, seconds: u64) -> Duration {
    Duration::from_secs(if effort.quick {
        seconds.div_ceil(4)
    } else {
        seconds
    })
}

fn out_limits(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        let lab = Lab::new(pm, 0)?;
        lab.ok(&["add", &PORT.to_string()])?;
        for mbit in [1, 5, 20, 100, 500] {
            lab.ok(&["set", &PORT.to_string(), "--limit", &format!("{mbit}M")])?;
            let time = seconds(effort, if mbit == 1 { 20 } else { 10 });
            let flows = Flows::start(&lab, family, Way::Out, PORT, 1)?;
            let ratio = flows.rate(time)? / (mbit as f64 * 1e6 * payload_share(family));
            rows.push(Row::goal(
                format!("goodput of a service limited to {mbit} Mbps out, {family:?}, TCP, 1 flow, against what fits"),
                "0.97–1.03",
                format!("{ratio:.3}"),
                (0.97..=1.03).contains(&ratio),
            ));
        }
    }
    Ok(rows)
}

fn in_limits(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(pm, 0)?;
    lab.ok(&["add", &PORT.to_string()])?;
    let mut rows = Vec::new();
    for mbit in [5, 20, 100] {
        lab.ok(&["set", &PORT.to_string(), "--limit-in", &format!("{mbit}M")])?;
        let flows = Flows::start(&lab, Family::V4, Way::In, PORT, 1)?;
        // What a bucket holds of one second passes at once, whatever the limit.
        flows.rate(Duration::from_secs(2))?;
        let rate = flows.rate(seconds(effort, 10))?;
        // Policed are IP packets, without their Ethernet headers.
        let ratio = rate / (mbit as f64 * 1e6 * 1448.0 / 1500.0);
        rows.push(Row::goal(
            format!(
                "goodput of a service limited to {mbit} Mbps in, TCP, 1 flow, against what fits"
            ),
            "0.93–1.07",
            format!("{ratio:.3}"),
            (0.93..=1.07).contains(&ratio),
        ));
    }
    Ok(rows)
}

/// TCP that no limit is meant for, with and without pm's tree at the interface.
fn unlimited(pm: &Path, effort: Effort) -> Result<Row> {
    let limited: Vec<String> = (21_000..21_100).map(|port: u16| port.to_string()).collect();
    let shaped = Lab::new(pm, 0)?;
    shaped.ok(&["add", &limited.join(","), "--limit", "5M"])?;
    let plain = Lab::new(pm, 0)?;
    let ratios = (0..effort.rounds(11))
        .map(|round| {
            let rate = |lab: &Lab| {
                let flows = Flows::start(lab, Family::V4, Way::Out, PORT, 1)?;
                flows.rate(Duration::from_millis(1500))
            };
            // In turns, and each of them first as often.
            let (with, without) = if round % 2 == 0 {
                (rate(&shaped)?, rate(&plain)?)
            } else {
                let without = rate(&plain)?;
                (rate(&shaped)?, without)
            };
            Ok(with / without)
        })
        .collect::<Result<Vec<f64>>>()?;
    let ratio = median(ratios);
    Ok(Row::goal(
        "unlimited TCP beside 100 limited services, against no qdisc",
        "≥ 0.85",
        format!("{ratio:.2}"),
        ratio >= 0.85,
    ))
}

fn two_at_once(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(pm, 0)?;
    lab.ok(&["add", &format!("{PORT},{OTHER}"), "--limit", "20M"])?;
    let one = Flows::start(&lab, Family::V4, Way::Out, PORT, 1)?;
    let eight = Flows::start(&lab, Family::V4, Way::Out, OTHER, 8)?;
    let wanted = 20e6 * payload_share(Family::V4);
    let rates = flows::rates(&[&one, &eight], seconds(effort, 10))?;
    Ok(rates
        .into_iter()
        .zip(["1 flow", "8 flows"])
        .map(|(rate, flows)| {
            let ratio = rate / wanted;
            Row::goal(
                format!(
                    "one of two services limited to 20 Mbps at once, {flows}, against what fits"
                ),
                "0.95–1.05",
                format!("{ratio:.3}"),
                (0.95..=1.05).contains(&ratio),
            )
        })
        .collect())
}

fn changed_rate(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(pm, 0)?;
    lab.ok(&["add", &PORT.to_string(), "--limit", "50M"])?;
    let flows = Flows::start(&lab, Family::V4, Way::Out, PORT, 1)?;
    let time = seconds(effort, 8);
    let bins = |change: bool| -> Result<(u64, f64)> {
        let dropped = drops(&lab)?;
        let (mut lowest, mut rates) = (f64::INFINITY, [20, 100, 50].into_iter().cycle());
        let started = Instant::now();
        while started.elapsed() < time {
            if let (true, Some(mbit)) = (change, rates.next()) {
                lab.ok(&["set", &PORT.to_string(), "--limit", &format!("{mbit}M")])?;
            }
            lowest = lowest.min(flows.rate(Duration::from_millis(500))?);
        }
        Ok((drops(&lab)? - dropped, lowest))
    };
    // The flow fills its queue first.
    flows.rate(Duration::from_secs(1))?;
    let (steady, _) = bins(false)?;
    let (changing, lowest) = bins(true)?;
    Ok(vec![
        Row::goal(
            "packets dropped while a rate under load is changed twice a second, beyond those with a steady one",
            "0",
            format!(
                "{} ({changing} and {steady})",
                changing.saturating_sub(steady)
            ),
            changing <= steady,
        ),
        Row::goal(
            "… and the slowest half second, at rates of 20, 50 and 100 Mbps",
            "no stall",
            format!("{:.1} Mbps", lowest / 1e6),
            lowest > 10e6,
        ),
    ])
}

/// Returns what the service's class and its leaf have dropped.
fn drops(lab: &Lab) -> Result<u64> {
    let text = run(
        lab.vps
            .command("tc")
            .args(["-s", "qdisc", "show", "dev", "eth0"]),
        None,
    )?
    .success()?;
    let dropped = text.split("dropped ").skip(1).filter_map(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    });
    // The root sums up what its leaves drop.
    dropped.max().context("tc shows no drops")
}

/// What is billed of a flood of which most is dropped.
fn billed_flood(pm: &Path, effort: Effort) -> Result<Row> {
    let lab = Lab::new(pm, 0)?;
    let port = PORT.to_string();
    lab.ok(&["add", &port, "--limit", "5M"])?;
    lab.watch(&[&port])?;
    pace(&lab, PORT, 50_000_000, seconds(effort, 8))?;
    let billed = lab.service(&port)?.billed_bytes;
    let left = lab.truth(Place::Client, &port)?.outbound;
    let ratio = billed as f64 / left as f64;
    Ok(Row::goal(
        "billed of a UDP flood at 10 times its limit of 5 Mbps, against what left",
        "≤ 1.5",
        format!("{ratio:.2}"),
        ratio <= 1.5,
    ))
}
