//! Real packets, through a veth pair.

use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use pm_core::backend::Netfilter;
use pm_core::ruleset::*;

use crate::support::*;

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Connects the thread's namespace (198.51.100.1) with a new one (198.51.100.2) and runs `far` in
/// that one.
fn connected(far: impl FnOnce() + Send) {
    let (send, receive) = std::sync::mpsc::channel();
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            send.send(nix::unistd::gettid()).unwrap();
            wait.recv().unwrap();
            ip("address add 198.51.100.2/24 dev far");
            ip("link set far up");
            far();
        });
        let thread = receive.recv().unwrap();
        ip("link add near type veth peer name far");
        ip(&format!("link set far netns {thread}"));
        ip("address add 198.51.100.1/24 dev near");
        ip("link set near up");
        ip("link set lo up");
        ready.send(()).unwrap();
    });
}

/// The laws of the kernel side: exact counts, a cut at the quota, nothing through a block, and no
/// bill for loopback.
#[test]
fn packets_are_counted_cut_off_and_blocked() {
    use std::net::UdpSocket;
    const DATAGRAM: [u8; 972] = [0; 972];
    in_namespace(|nftables| {
        let limit = 10_500;
        let wanted = [
            (ports("20000"), Some(Room::default())),
            (
                ports("20010-20019"),
                Some(metered(
                    limit,
                    Metered {
                        incoming: true,
                        outgoing: false,
                    },
                )),
            ),
            (ports("20030"), None),
        ];
        converge(nftables, &wanted.into());
        // The sockets are of the near side; what the far side sends is in their queues when its
        // send returns, because a veth hands packets over at once.
        let listeners =
            [20000, 20015, 20030, 20040].map(|port| UdpSocket::bind(("0.0.0.0", port)).unwrap());
        for listener in &listeners {
            listener
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
        }
        connected(|| {
            let sender = UdpSocket::bind("198.51.100.2:9999").unwrap();
            for port in [20000, 20015, 20030, 20040] {
                for _ in 0..20 {
                    sender.send_to(&DATAGRAM, ("198.51.100.1", port)).unwrap();
                }
            }
        });
        let arrived = listeners.each_ref().map(|listener| {
            let mut buffer = [0; 2000];
            std::iter::from_fn(|| listener.recv(&mut buffer).ok()).count()
        });
        // With their headers, the datagrams are packets of 1,000 bytes.
        assert_eq!(arrived, [20, 10, 0, 20]);
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.send_to(&DATAGRAM, "127.0.0.1:20000").unwrap();
        let table = nftables.read().unwrap().table.unwrap();
        let bytes = |text, way| table.counters[&(room(ports(text), Variant::A), way)].bytes;
        assert_eq!(
            (
                bytes("20000", Direction::In),
                bytes("20000", Direction::Out)
            ),
            (20_000, 0)
        );
        assert_eq!(bytes("20010-20019", Direction::In), 10_000);
        let quota = table.quotas[&room(ports("20010-20019"), Variant::A)];
        assert!(quota.is_depleted(), "{quota:?}");
    });
}
