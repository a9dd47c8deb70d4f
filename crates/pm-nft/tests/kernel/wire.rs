//! More namespaces, wires between them, and counters of nobody's to judge by.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce() + Send>;

/// Another network namespace, which goes with this. What is opened in it stays of it.
pub(crate) struct Namespace {
    thread: Pid,
    jobs: Option<Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = channel::<Job>();
        let (send, receive) = channel();
        let handle = spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            send.send(gettid()).unwrap();
            queue.iter().for_each(|job| job());
        });
        Self {
            thread: receive.recv().unwrap(),
            jobs: Some(jobs),
            handle: Some(handle),
        }
    }

    /// Runs `job` in the namespace and returns what it returns.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, receive) = channel();
        let job = Box::new(move || send.send(job()).unwrap());
        self.jobs.as_ref().unwrap().send(job).unwrap();
        receive.recv().unwrap()
    }

    /// Connects the caller's namespace with this one: a device each, by that name, with addresses
    /// in 24 bits. Both know each other's hardware address, so that no packet waits for it.
    pub(crate) fn connect(&self, device: &'static str, near: &'static str, far: &'static str) {
        let thread = self.thread;
        ip(&format!(
            "link add {device} address 02:00:00:00:00:01 type veth \
             peer name {device} address 02:00:00:00:00:02 netns {thread}"
        ));
        let setup = move |own: &str, other: &str, hardware: &str| {
            ip("link set lo up");
            ip(&format!("address add {own}/24 dev {device}"));
            ip(&format!("link set {device} up"));
            ip(&format!("neigh add {other} lladdr {hardware} dev {device}"));
        };
        setup(near, far, "02:00:00:00:00:02");
        self.run(move || {
            setup(far, near, "02:00:00:00:00:01");
            ip(&format!("route add default via {near}"));
            wait_for_carrier(device);
        });
        wait_for_carrier(device);
    }
}

/// Until the kernel has noticed that the other end is up, it throws packets away.
fn wait_for_carrier(device: &str) {
    let start = Instant::now();
    while !run("ip", &format!("link show dev {device}")).contains("state UP") {
        assert!(start.elapsed() < PATIENCE, "{device} has no carrier");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        let _ = self.handle.take().map(JoinHandle::join);
    }
}

/// Runs a program of `ip`'s or `tc`'s kind and returns what it prints.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_ascii_whitespace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

/// A socket that sends and receives datagrams, and does not wait for ever.
pub(crate) fn udp(address: &str) -> UdpSocket {
    let start = Instant::now();
    let socket = loop {
        match UdpSocket::bind(address) {
            Ok(socket) => break socket,
            // A program that another test is starting holds all sockets for a moment.
            Err(error) if error.kind() == ErrorKind::AddrInUse && start.elapsed() < PATIENCE => {}
            Err(error) => panic!("{address}: {error}"),
        }
    };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends `count` datagrams whose packets, with their headers, are of 1,000 bytes. Those that a
/// rule of the sender's own host drops are errors here, and pass for sent.
pub(crate) fn send(socket: &UdpSocket, to: &str, count: usize) {
    for _ in 0..count {
        match socket.send_to(&[0; 972], to) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => panic!("send to {to}: {error}"),
        }
    }
}

/// Makes a table called `judge`, of counters of nobody's and chains that count with them.
pub(crate) fn judge(chains: &str) {
    nft(&format!("table inet judge {{\n{chains}\n}}\n"));
}

/// What one of the judge's counters shows: packets, and bytes.
pub(crate) fn judged(counter: &str) -> (u64, u64) {
    let listing = nft(&format!("list counter inet judge {counter}\n"));
    let words: Vec<&str> = listing.split_ascii_whitespace().collect();
    let number = |after| {
        let place = words.iter().position(|word| *word == after).unwrap();
        words[place + 1].parse().unwrap()
    };
    (number("packets"), number("bytes"))
}

/// Waits until the judge has seen so many packets.
pub(crate) fn wait_for(counter: &str, packets: u64) {
    let start = Instant::now();
    while judged(counter).0 < packets {
        let seen = judged(counter).0;
        assert!(
            start.elapsed() < PATIENCE,
            "{seen} of {packets} in {counter}"
        );
    }
}
