//! Real traffic between the lab's two namespaces.
//!
//! Sockets are opened on a thread inside their namespace and used from here: a socket stays where it was made.
//! So there is nothing to wait for: a bound socket is ready, and a datagram has arrived when `recv` returns it.

mod rate;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::lab::{Family, Lab, PATIENCE};
use crate::namespace::Namespace;

/// Which way, seen from the VPS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// From the client to the service.
    In,
    /// From the service to the client.
    Out,
}

impl Way {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::In, Self::Out];
}

/// So many datagrams fit into the default receive buffer, whatever their size below a page.
const WINDOW: u64 = 32;

/// How long a windowed flood rests after each window: about 20,000 datagrams a second remain.
const BREATH: Duration = Duration::from_millis(1);

/// A pair of UDP sockets, the service's at its port and the client's.
#[derive(Debug)]
pub(crate) struct Udp {
    service: UdpSocket,
    client: UdpSocket,
}

impl Udp {
    /// Binds `port` in the VPS and a free port in the client, and connects the two.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub(crate) fn open(lab: &Lab, family: Family, port: u16) -> Result<Self> {
        let service = SocketAddr::new(family.vps(), port);
        Self::between(lab, family, (&lab.vps, service), service)
    }

    /// Binds a service's address in any namespace and a free port in the client, which sends to `target`. Where that
    /// is another address, somebody on the way must translate it, and knows the way back when one has gone there.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub(crate) fn between(
        lab: &Lab,
        family: Family,
        (namespace, service): (&Namespace, SocketAddr),
        target: SocketAddr,
    ) -> Result<Self> {
        let service = bind(namespace, service)?;
        let client = bind(&lab.client, SocketAddr::new(family.client(), 0))?;
        service.connect(client.local_addr()?)?;
        client.connect(target)?;
        Ok(Self { service, client })
    }

    /// Sends `count` datagrams of `payload` bytes one way and waits until each has arrived.
    ///
    /// # Errors
    ///
    /// When one does not arrive.
    pub(crate) fn send(&self, way: Way, count: u64, payload: usize) -> Result<()> {
        let (from, to) = self.ends(way);
        let (data, mut buffer) = (vec![0x5a; payload], vec![0; payload + 1]);
        let mut sent = 0;
        while sent < count {
            let batch = (count - sent).min(WINDOW);
            for _ in 0..batch {
                from.send(&data).context("cannot send a datagram")?;
            }
            for _ in 0..batch {
                let length = receive(to, &mut buffer).context("a datagram did not arrive")?;
                ensure!(
                    length == payload,
                    "a datagram of {payload} bytes arrived with {length}"
                );
            }
            sent += batch;
        }
        Ok(())
    }

    /// Sends `count` datagrams one way without waiting for any; they may be dropped on the way.
    ///
    /// # Errors
    ///
    /// When a socket is closed.
    pub(crate) fn push(&self, way: Way, count: u64, payload: usize) -> Result<()> {
        let (from, _) = self.ends(way);
        let data = vec![0x5a; payload];
        for _ in 0..count {
            send_lossy(from, &data)?;
        }
        Ok(())
    }

    fn ends(&self, way: Way) -> (&UdpSocket, &UdpSocket) {
        match way {
            Way::In => (&self.client, &self.service),
            Way::Out => (&self.service, &self.client),
        }
    }
}

/// How a flood treats its receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// Never more underway than fit into a receive buffer, with a breath after each window: nothing is lost on the
    /// wire, and the processors are left to what is tested.
    Windowed,
    /// As fast as the processor allows, whether it arrives or not: what a cut must withstand.
    Unchecked,
    /// So many bits a second of IP packets, whether they arrive or not.
    Steady(u64),
}

/// A stream of datagrams on threads of its own, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Mutex<Vec<JoinHandle<Result<()>>>>,
}

impl Flood {
    /// Starts one; it runs when this returns.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub(crate) fn start(
        lab: &Lab,
        family: Family,
        way: Way,
        port: u16,
        payload: usize,
        pace: Pace,
    ) -> Result<Self> {
        Self::over(Udp::open(lab, family, port)?, family, way, payload, pace)
    }

    /// As [`Flood::start`], between sockets that are open.
    ///
    /// # Errors
    ///
    /// When nothing can be sent.
    pub(crate) fn over(
        udp: Udp,
        family: Family,
        way: Way,
        payload: usize,
        pace: Pace,
    ) -> Result<Self> {
        let (from, to) = match way {
            Way::In => (udp.client, udp.service),
            Way::Out => (udp.service, udp.client),
        };
        to.set_read_timeout(Some(Duration::from_millis(20)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let sink = {
            let (stop, sent, received) =
                (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&received));
            thread::spawn(move || sink(&to, pace, &stop, &sent, &received))
        };
        let source = {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            let each = family.udp_length(payload) as f64 * 8.0;
            thread::spawn(move || {
                let data = vec![0x5a; payload];
                let started = Instant::now();
                while !stop.load(Ordering::Acquire) {
                    if let Pace::Steady(rate) = pace
                        && sent.load(Ordering::Acquire) as f64 * each
                            > started.elapsed().as_secs_f64() * rate as f64
                    {
                        thread::sleep(BREATH);
                        continue;
                    }
                    let underway = sent
                        .load(Ordering::Acquire)
                        .saturating_sub(received.load(Ordering::Acquire));
                    if pace == Pace::Windowed && underway >= WINDOW {
                        thread::yield_now();
                        continue;
                    }
                    if pace == Pace::Windowed && sent.load(Ordering::Acquire) % WINDOW == 0 {
                        thread::sleep(BREATH);
                    }
                    // Counted first: a datagram must not arrive before it is known to be underway.
                    sent.fetch_add(1, Ordering::AcqRel);
                    send_lossy(&from, &data)?;
                }
                Ok(())
            })
        };
        let flood = Self {
            stop,
            sent,
            threads: Mutex::new(vec![source, sink]),
        };
        flood.wait_for(1)?;
        Ok(flood)
    }

    /// Returns how many datagrams were handed to the kernel.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Waits until so many more datagrams were sent.
    ///
    /// # Errors
    ///
    /// When a flood stalls, which in [`Pace::Windowed`] means that a datagram was lost.
    pub(crate) fn wait_for(&self, more: u64) -> Result<()> {
        let goal = self.sent() + more;
        crate::lab::wait_until("the flood goes on", || {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = threads.iter().position(JoinHandle::is_finished) {
                join(threads.swap_remove(index))?;
                bail!("the flood has ended by itself");
            }
            Ok(self.sent() >= goal)
        })?;
        Ok(())
    }

    /// Stops it, waits until everything has arrived, and returns how many datagrams were sent.
    ///
    /// # Errors
    ///
    /// When a datagram of a [`Pace::Windowed`] flood did not arrive.
    pub(crate) fn stop(self) -> Result<u64> {
        self.end()?;
        Ok(self.sent())
    }

    fn end(&self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.into_iter().try_for_each(join)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread
        .join()
        .map_err(|_| anyhow!("a traffic thread panicked"))?
}

/// Makes one TCP connection to `port`: the client sends `upload` bytes, the service answers with `download` bytes,
/// both read to the end and close.
///
/// # Errors
///
/// When the connection fails or the bytes differ.
pub(crate) fn tcp_exchange(
    lab: &Lab,
    family: Family,
    port: u16,
    upload: u64,
    download: u64,
) -> Result<()> {
    let listener = listen(&lab.vps, SocketAddr::new(family.vps(), port))?;
    tcp_between(&lab.client, &listener, upload, download)
}

/// As [`tcp_exchange`], with a client in any namespace and a listener that is there already.
///
/// # Errors
///
/// As [`tcp_exchange`].
pub(crate) fn tcp_between(
    client: &Namespace,
    listener: &TcpListener,
    upload: u64,
    download: u64,
) -> Result<()> {
    tcp_through(client, listener.local_addr()?, listener, upload, download)
}

/// As [`tcp_between`], with a client that connects to another address, which somebody on the way translates.
///
/// # Errors
///
/// As [`tcp_exchange`].
pub(crate) fn tcp_through(
    client: &Namespace,
    target: SocketAddr,
    listener: &TcpListener,
    upload: u64,
    download: u64,
) -> Result<()> {
    let mut stream = client.enter(|| Ok(TcpStream::connect_timeout(&target, PATIENCE)?))?;
    let (mut accepted, _) = listener.accept()?;
    for end in [&stream, &accepted] {
        end.set_read_timeout(Some(PATIENCE))?;
        end.set_write_timeout(Some(PATIENCE))?;
    }
    thread::scope(|scope| {
        let service = scope.spawn(move || -> Result<()> {
            expect_bytes(&mut accepted, upload)?;
            send_bytes(&mut accepted, download)?;
            accepted.shutdown(Shutdown::Write)?;
            Ok(())
        });
        send_bytes(&mut stream, upload)?;
        stream.shutdown(Shutdown::Write)?;
        expect_bytes(&mut stream, download)?;
        service
            .join()
            .map_err(|_| anyhow!("a traffic thread panicked"))?
    })
}

/// A TCP connection that one side fills as fast as it can, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct TcpFlood {
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl TcpFlood {
    /// Connects to `port` of the VPS and starts sending one way.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub(crate) fn start(lab: &Lab, family: Family, way: Way, port: u16) -> Result<Self> {
        let listener = listen(&lab.vps, SocketAddr::new(family.vps(), port))?;
        let address = listener.local_addr()?;
        let client = lab
            .client
            .enter(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
        let (service, _) = listener.accept()?;
        let (mut from, mut to) = match way {
            Way::In => (client.try_clone()?, service.try_clone()?),
            Way::Out => (service.try_clone()?, client.try_clone()?),
        };
        // Both end when the sockets are shut down.
        let source = thread::spawn(move || {
            let data = vec![0x5a; 65_536];
            while from.write_all(&data).is_ok() {}
        });
        let sink = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while to.read(&mut buffer).is_ok_and(|length| length > 0) {}
        });
        Ok(Self {
            ends: [client, service],
            threads: vec![source, sink],
        })
    }
}

impl Drop for TcpFlood {
    fn drop(&mut self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Listens in a namespace.
///
/// # Errors
///
/// When the port is taken.
pub(crate) fn listen(namespace: &Namespace, address: SocketAddr) -> Result<TcpListener> {
    namespace
        .enter(|| TcpListener::bind(address).with_context(|| format!("cannot listen on {address}")))
}

/// Runs as a process that listens on `address` until standard input ends; prints `ready` once it does.
/// For tests that need a listener with a process name of its own.
///
/// # Errors
///
/// When the port is taken.
pub(crate) fn listen_until_eof(address: SocketAddr) -> Result<()> {
    let _listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn bind(namespace: &Namespace, address: SocketAddr) -> Result<UdpSocket> {
    let socket = namespace
        .enter(|| UdpSocket::bind(address).with_context(|| format!("cannot bind {address}")))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A receive with a time limit is not restarted by the kernel when something interrupts it.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A drop in the output hook is an error to the sender (EPERM); for a flood it is the point of the exercise.
/// ECONNREFUSED is an ICMP answer to an earlier datagram.
fn send_lossy(socket: &UdpSocket, data: &[u8]) -> Result<()> {
    match socket.send(data) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock => {
                Ok(())
            }
            _ => Err(error).context("cannot send a datagram"),
        },
    }
}

fn sink(
    socket: &UdpSocket,
    pace: Pace,
    stop: &AtomicBool,
    sent: &AtomicU64,
    received: &AtomicU64,
) -> Result<()> {
    let mut buffer = vec![0; 65_536];
    let mut idle = Duration::ZERO;
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => {
                received.fetch_add(1, Ordering::AcqRel);
                idle = Duration::ZERO;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                idle += Duration::from_millis(20);
                let all = sent.load(Ordering::Acquire) == received.load(Ordering::Acquire);
                if stop.load(Ordering::Acquire) && (all || pace != Pace::Windowed) {
                    return Ok(());
                }
                ensure!(
                    pace != Pace::Windowed || idle < PATIENCE || all,
                    "{} datagrams were sent and {} arrived",
                    sent.load(Ordering::Acquire),
                    received.load(Ordering::Acquire)
                );
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error).context("cannot receive a datagram"),
        }
    }
}

fn send_bytes(stream: &mut TcpStream, mut count: u64) -> Result<()> {
    let data = vec![0x5a; 65_536];
    while count > 0 {
        let length = usize::try_from(count).unwrap_or(usize::MAX).min(data.len());
        stream
            .write_all(&data[..length])
            .context("cannot send over TCP")?;
        count -= length as u64;
    }
    Ok(())
}

fn expect_bytes(stream: &mut TcpStream, count: u64) -> Result<()> {
    let received =
        std::io::copy(stream, &mut std::io::sink()).context("cannot receive over TCP")?;
    ensure!(
        received == count,
        "{count} bytes were sent over TCP and {received} arrived"
    );
    Ok(())
}
