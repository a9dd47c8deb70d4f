//! What a tick costs as a whole process: start, reading the kernel, bookkeeping, saving, end.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use anyhow::Result;

use super::loads::{FIRST, lab_with};
use super::measure::{Cost, cost, median};
use super::{Effort, Row};
use crate::lab::Family;

/// Measures ticks with 100 and with 10,000 services.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (services, shown, cpu_goal, peak_goal) in
        [(100, "100", 10.0, 16.0), (10_000, "10,000", 250.0, 64.0)]
    {
        let lab = lab_with(pm, services)?;
        let client = lab
            .client
            .enter(|| Ok(UdpSocket::bind(SocketAddr::new(Family::V4.client(), 0))?))?;
        // All of them is the worst that can happen; a tenth and none are more usual.
        let shares = [
            ("all with new traffic", services),
            ("a tenth with new traffic", services / 10),
            ("none with new traffic", 0),
        ];
        let mut costs: [Vec<Cost>; 3] = Default::default();
        cost(&lab, &["monitor"])?;
        for _ in 0..effort.rounds(11) {
            for (costs, (_, changed)) in costs.iter_mut().zip(shares) {
                touch(&client, changed)?;
                costs.push(cost(&lab, &["monitor"])?);
            }
        }
        for (costs, (which, _)) in costs.iter().zip(shares) {
            let cpu = median(costs.iter().map(|cost| cost.cpu_ms()));
            let wall = median(costs.iter().map(|cost| cost.wall_ms()));
            let peak = costs.iter().map(|cost| cost.peak_mb()).fold(0.0, f64::max);
            rows.push(Row::goal(
                format!("one tick as a whole process, {shown} services, {which}"),
                format!("≤ {cpu_goal} ms CPU, ≤ {peak_goal} MB"),
                format!("{cpu:.1} ms CPU ({wall:.1} ms wall), {peak:.1} MB"),
                cpu <= cpu_goal && peak <= peak_goal,
            ));
        }
    }
    Ok(rows)
}

/// Sends a datagram to each of the first `count` services. Nobody listens there, and the counters do not mind.
fn touch(client: &UdpSocket, count: u16) -> Result<()> {
    for port in FIRST..FIRST + count {
        client.send_to(&[0; 64], SocketAddr::new(Family::V4.vps(), port))?;
    }
    Ok(())
}
