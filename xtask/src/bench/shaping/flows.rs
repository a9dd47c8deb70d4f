//! TCP flows that are as fast as they may be, and a UDP sender of a given rate.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBufForce;

use crate::lab::{Family, Lab, PATIENCE, wait_until};
use crate::traffic::{Way, listen};

/// The payload of a paced datagram, and room for many of them.
const PAYLOAD: usize = 1_200;
const SEND_BUFFER: usize = 8 << 20;

/// Some connections to one port, filled until they are dropped.
#[derive(Debug)]
pub(super) struct Flows {
    received: Arc<AtomicU64>,
    ends: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Flows {
    /// Connects and starts to send one way; the first bytes have arrived when this returns.
    ///
    /// # Errors
    ///
    /// When a connection fails or nothing arrives.
    pub(super) fn start(
        lab: &Lab,
        family: Family,
        way: Way,
        port: u16,
        count: usize,
    ) -> Result<Self> {
        let listener = listen(&lab.vps, SocketAddr::new(family.vps(), port))?;
        let address = listener.local_addr()?;
        let mut flows = Self {
            received: Arc::default(),
            ends: Vec::new(),
            threads: Vec::new(),
        };
        for _ in 0..count {
            let client = lab
                .client
                .enter(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
            let (service, _) = listener.accept()?;
            let (mut from, mut to) = match way {
                Way::In => (client.try_clone()?, service.try_clone()?),
                Way::Out => (service.try_clone()?, client.try_clone()?),
            };
            let received = Arc::clone(&flows.received);
            // Both end when the sockets are shut down.
            flows.threads.push(thread::spawn(move || {
                let data = vec![0x5a; 65_536];
                while from.write_all(&data).is_ok() {}
            }));
            flows.threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 262_144];
                while let Ok(length @ 1..) = to.read(&mut buffer) {
                    received.fetch_add(length as u64, Ordering::Relaxed);
                }
            }));
            flows.ends.extend([client, service]);
        }
        wait_until("the first bytes arrive", || Ok(flows.received() > 0))?;
        Ok(flows)
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns what arrives in `time`, in bits a second.
    ///
    /// # Errors
    ///
    /// When nothing does.
    pub(super) fn rate(&self, time: Duration) -> Result<f64> {
        let rates = rates(&[self], time)?;
        ensure!(rates[0] > 0.0, "nothing arrived in {time:?}");
        Ok(rates[0])
    }
}

/// Returns what arrives of each in the same `time`, in bits a second.
pub(super) fn rates(flows: &[&Flows], time: Duration) -> Result<Vec<f64>> {
    let before: Vec<u64> = flows.iter().map(|flows| flows.received()).collect();
    let started = Instant::now();
    thread::sleep(time);
    let elapsed = started.elapsed().as_secs_f64();
    let arrived = flows.iter().zip(before);
    Ok(arrived
        .map(|(flows, before)| (flows.received() - before) as f64 * 8.0 / elapsed)
        .collect())
}

impl Drop for Flows {
    fn drop(&mut self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Sends datagrams from the service at a rate of IP bits a second, whether they arrive or not.
///
/// # Errors
///
/// When the port is taken.
pub(super) fn pace(lab: &Lab, port: u16, rate: u64, time: Duration) -> Result<()> {
    let service = lab
        .vps
        .enter(|| Ok(UdpSocket::bind(SocketAddr::new(Family::V4.vps(), port))?))?;
    service.connect(SocketAddr::new(Family::V4.client(), port))?;
    service.set_nonblocking(true)?;
    // Else the socket, not the class, would hold back what is too much.
    setsockopt(&service, SndBufForce, &SEND_BUFFER)?;
    let data = [0x5a; PAYLOAD];
    let each = Family::V4.udp_length(PAYLOAD) * 8;
    let (started, mut sent) = (Instant::now(), 0);
    while started.elapsed() < time {
        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        let missing = (due / each).saturating_sub(sent);
        for _ in 0..missing {
            // Most of them are dropped: that is what is measured.
            let _ = service.send(&data);
        }
        sent += missing;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
