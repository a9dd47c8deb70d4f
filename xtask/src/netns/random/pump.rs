//! Steady traffic that can be stopped at an instant, and that knows what became of each datagram.
//!
//! - What arrives for a port has passed pm when the service's socket returns it; what a port sends has passed
//!   when `send` succeeds: a packet that the output hook drops is an error to its sender, and what a queue drops
//!   behind the hook is no error and has passed.
//! - All is sent by one thread on one processor. A veth pair hands packets over through a queue of that processor,
//!   first in, first out: once a last datagram, to a port that nobody monitors, has arrived, all before it have
//!   arrived or are dropped. So a pump that is stopped has nothing underway that would still be counted.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::lab::{Family, Lab, PATIENCE};
use crate::rng::Rng;
use crate::truth::Bytes;

/// The largest payload: no packet is longer than [`LONGEST_PACKET`].
const LARGEST: u64 = 1200;

/// The longest packet of the pump, in bytes of IP.
pub(super) const LONGEST_PACKET: u64 = 1200 + 48;

/// How long the pump rests after each round.
const BREATH: Duration = Duration::from_micros(700);

/// A port that nobody monitors.
const UNMONITORED: u16 = 9;

/// What became of the datagrams of one port, as bytes of IP packets since the pump began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Note {
    /// What was sent to the port and by it.
    pub(super) tried: Bytes,
    /// What of that passed pm.
    pub(super) passed: Bytes,
}

/// What is known of each port.
pub(super) type Notes = BTreeMap<u16, Note>;

/// The pump: stopped when it is made, ended when it is dropped.
#[derive(Debug)]
pub(super) struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    state: State,
    rounds: u64,
    flows: Vec<Flow>,
    marker: Option<Flow>,
    notes: Notes,
    rng: Rng,
    failure: Option<anyhow::Error>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Running,
    Stopping,
    Stopped,
    Ended,
}

/// Both ends of the traffic of one port in one family.
#[derive(Debug)]
struct Flow {
    port: u16,
    family: Family,
    service: UdpSocket,
    client: UdpSocket,
}

impl Pump {
    /// Makes one for these ports; it has no sockets yet.
    ///
    /// # Errors
    ///
    /// When its thread cannot be bound to a processor.
    pub(super) fn new(seed: u64) -> Result<Self> {
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: State::Stopped,
                rounds: 0,
                flows: Vec::new(),
                marker: None,
                notes: Notes::new(),
                rng: Rng::new(seed),
                failure: None,
            }),
            changed: Condvar::new(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Opens a socket at each port, in both namespaces; a stopped pump only.
    ///
    /// # Errors
    ///
    /// When a port is taken.
    pub(super) fn open(&self, lab: &Lab, flows: &[(u16, Family)]) -> Result<()> {
        let mut inner = self.lock();
        ensure!(inner.state == State::Stopped, "the pump is running");
        for &(port, family) in flows {
            inner.flows.push(Flow::open(lab, family, port)?);
            inner.notes.entry(port).or_default();
        }
        let marker = Flow::open(lab, Family::V4, UNMONITORED)?;
        marker.service.set_nonblocking(false)?;
        marker.service.set_read_timeout(Some(PATIENCE))?;
        inner.marker = Some(marker);
        Ok(())
    }

    /// Closes all sockets; what is known of the ports stays.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.flows.clear();
        inner.marker = None;
    }

    /// Lets it run.
    pub(super) fn start(&self) {
        let mut inner = self.lock();
        if inner.state == State::Stopped {
            inner.state = State::Running;
        }
        self.shared.changed.notify_all();
    }

    /// Waits until it has done so many more rounds.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub(super) fn wait(&self, rounds: u64) -> Result<()> {
        let mut inner = self.lock();
        let goal = inner.rounds + rounds;
        let started = Instant::now();
        while inner.rounds < goal && inner.failure.is_none() {
            ensure!(started.elapsed() < PATIENCE, "the pump stands still");
            inner = self.sleep(inner);
        }
        inner.failed()
    }

    /// Stops it and returns what is known once nothing is underway any more.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub(super) fn stop(&self) -> Result<Notes> {
        let mut inner = self.lock();
        if inner.state == State::Running {
            inner.state = State::Stopping;
            self.shared.changed.notify_all();
        }
        while inner.state == State::Stopping {
            inner = self.sleep(inner);
        }
        inner.failed()?;
        Ok(inner.notes.clone())
    }

    /// Notes what passed beside its own traffic.
    pub(super) fn add(&self, port: u16, bytes: Bytes) {
        let mut inner = self.lock();
        let note = inner.notes.entry(port).or_default();
        (note.tried, note.passed) = (note.tried + bytes, note.passed + bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock()
    }

    fn sleep<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        let waited = self.shared.changed.wait_timeout(inner, PATIENCE);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.lock().state = State::Ended;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        if let Err(error) = bind_to_one_processor() {
            self.lock().failure = Some(error);
        }
        loop {
            let mut inner = self.lock();
            while inner.state == State::Stopped {
                inner = self
                    .changed
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let worked = match inner.state {
                State::Ended => return,
                State::Running if inner.failure.is_none() => inner.round(),
                _ => {
                    let drained = inner.drain();
                    inner.state = State::Stopped;
                    drained
                }
            };
            inner.rounds += 1;
            if let Err(error) = worked {
                inner.failure.get_or_insert(error);
            }
            let running = inner.state == State::Running;
            drop(inner);
            self.changed.notify_all();
            if running {
                thread::sleep(BREATH);
            }
        }
    }
}

impl Inner {
    fn failed(&mut self) -> Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Sends a datagram or two through every flow in each direction.
    fn round(&mut self) -> Result<()> {
        let Self {
            flows, notes, rng, ..
        } = self;
        for flow in &*flows {
            let note = notes.entry(flow.port).or_default();
            for _ in 0..rng.between(1, 2) {
                flow.send_in(rng.between(0, LARGEST), note)?;
            }
            for _ in 0..rng.between(1, 2) {
                flow.send_out(rng.between(0, LARGEST), note)?;
            }
            flow.receive(note)?;
        }
        Ok(())
    }

    /// Waits until nothing is underway to the services, and notes what has arrived.
    fn drain(&mut self) -> Result<()> {
        let Some(marker) = &self.marker else {
            return Ok(());
        };
        marker.client.send(&[0])?;
        let mut buffer = [0; 16];
        marker
            .service
            .recv(&mut buffer)
            .context("the last datagram did not arrive")?;
        for flow in &self.flows {
            flow.receive(self.notes.entry(flow.port).or_default())?;
        }
        Ok(())
    }
}

impl Flow {
    fn open(lab: &Lab, family: Family, port: u16) -> Result<Self> {
        let bind = |namespace: &crate::namespace::Namespace, address: SocketAddr| {
            let bound = namespace.enter(|| Ok(UdpSocket::bind(address)?));
            bound.with_context(|| format!("cannot bind {address}"))
        };
        let service = bind(&lab.vps, SocketAddr::new(family.vps(), port))?;
        let client = bind(&lab.client, SocketAddr::new(family.client(), 0))?;
        service.connect(client.local_addr()?)?;
        client.connect(service.local_addr()?)?;
        service.set_nonblocking(true)?;
        client.set_nonblocking(true)?;
        Ok(Self {
            port,
            family,
            service,
            client,
        })
    }

    fn send_in(&self, payload: u64, note: &mut Note) -> Result<()> {
        let (data, length) = self.datagram(payload)?;
        if sent(self.client.send(&data))? {
            note.tried.inbound += length;
        }
        Ok(())
    }

    fn send_out(&self, payload: u64, note: &mut Note) -> Result<()> {
        let (data, length) = self.datagram(payload)?;
        match self.service.send(&data) {
            // The queue is full: nothing has been made of it yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => {
                note.tried.outbound += length;
                if sent(result)? {
                    note.passed.outbound += length;
                }
            }
        }
        Ok(())
    }

    /// Takes what has arrived at both ends.
    fn receive(&self, note: &mut Note) -> Result<()> {
        let mut buffer = [0; 2048];
        while let Some(payload) = received(&self.service, &mut buffer)? {
            note.passed.inbound += self.family.udp_length(payload);
        }
        while received(&self.client, &mut buffer)?.is_some() {}
        Ok(())
    }

    fn datagram(&self, payload: u64) -> Result<(Vec<u8>, u64)> {
        let payload = usize::try_from(payload)?;
        Ok((vec![0x5a; payload], self.family.udp_length(payload)))
    }
}

/// Whether a datagram is on its way. A drop in the output hook is EPERM; ECONNREFUSED answers an earlier one.
fn sent(result: std::io::Result<usize>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ConnectionRefused => Ok(false),
            _ => Err(error).context("cannot send a datagram"),
        },
    }
}

fn received(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<usize>> {
    loop {
        match socket.recv(buffer) {
            Ok(length) => return Ok(Some(length)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Ok(None),
                ErrorKind::Interrupted | ErrorKind::ConnectionRefused => {}
                _ => return Err(error).context("cannot receive a datagram"),
            },
        }
    }
}

fn bind_to_one_processor() -> Result<()> {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this)?;
    let one = (0..CpuSet::count())
        .find(|&cpu| all.is_set(cpu).unwrap_or(false))
        .ok_or_else(|| anyhow!("no processor to run on"))?;
    let mut only = CpuSet::new();
    only.set(one)?;
    sched_setaffinity(this, &only)?;
    Ok(())
}
