//! How long a packet waits in the queue of a service that sends all it can.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::flows::Flows;
use super::{PORT, seconds};
use crate::bench::{Effort, Row};
use crate::lab::{Family, Lab, PATIENCE};
use crate::traffic::Way;

/// Sends small datagrams from the service's own port, behind eight TCP flows, and times them.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Row> {
    let lab = Lab::new(pm, 0)?;
    lab.ok(&["add", &PORT.to_string(), "--limit", "5M"])?;
    let flows = Flows::start(&lab, Family::V4, Way::Out, PORT, 8)?;
    flows.rate(Duration::from_secs(3))?;
    let mut delays = probe(&lab, seconds(effort, 8))?;
    delays.sort();
    let at = |share: usize| delays.get(delays.len() * share / 100);
    let (half, most) = (
        at(50).context("no probe arrived")?,
        at(95).context("no probe arrived")?,
    );
    Ok(Row::goal(
        "delay behind a saturated service of 5 Mbps, 8 flows, leaf without fq_codel: 95 of 100 packets",
        "≤ 300 ms",
        format!(
            "≤ {} ms (half of them ≤ {} ms)",
            most.as_millis(),
            half.as_millis()
        ),
        *most <= Duration::from_millis(300),
    ))
}

fn probe(lab: &Lab, time: Duration) -> Result<Vec<Duration>> {
    let bind = |address: SocketAddr| move || Ok(UdpSocket::bind(address)?);
    let service = lab
        .vps
        .enter(bind(SocketAddr::new(Family::V4.vps(), PORT)))?;
    let client = lab
        .client
        .enter(bind(SocketAddr::new(Family::V4.client(), 0)))?;
    service.connect(client.local_addr()?)?;
    client.set_read_timeout(Some(Duration::from_millis(50)))?;
    let (epoch, done) = (Instant::now(), AtomicBool::new(false));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (mut delays, mut stamp) = (Vec::new(), [0; 8]);
            let mut last = Instant::now();
            // Those that are still queued when the last was sent count, too.
            while !done.load(Ordering::Acquire) || last.elapsed() < PATIENCE / 20 {
                if client.recv(&mut stamp).is_ok() {
                    let sent = Duration::from_nanos(u64::from_ne_bytes(stamp));
                    delays.push(epoch.elapsed().saturating_sub(sent));
                    last = Instant::now();
                }
            }
            delays
        });
        while epoch.elapsed() < time {
            let stamp = u64::try_from(epoch.elapsed().as_nanos())?;
            // What the queue drops has no delay.
            let _ = service.send(&stamp.to_ne_bytes());
            thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Release);
        receiver
            .join()
            .map_err(|_| anyhow!("the probes' receiver panicked"))
    })
}
