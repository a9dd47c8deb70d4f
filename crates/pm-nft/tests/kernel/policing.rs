//! Limits and classes: how fast, and in which class.

use std::time::{Duration, Instant};

use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::ruleset::*;

use crate::support::*;
use crate::wire::*;

const HOST: &str = "198.51.100.1";
const CLIENT: &str = "198.51.100.2";

fn wired() -> Namespace {
    let far = Namespace::new();
    far.connect("wire", HOST, CLIENT);
    far
}

/// Sends as fast as it can for half a second, and returns how long it took.
fn flood(socket: &std::net::UdpSocket, to: &str) -> Duration {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        send(socket, to, 50);
    }
    start.elapsed()
}

/// A bucket that is full at the start lets through the tokens of one second and the burst; after
/// that, the rate.
#[test]
fn a_limit_lets_its_rate_through_each_way() {
    const RATE: u64 = 1_000_000;
    in_namespace(|nftables| {
        let limited = Service::quota(Mode::Both, 1 << 40).policed(Some(RATE), Some(RATE));
        converge(nftables, &Wanted::new([("20000", Some(limited))]));
        let far = wired();
        let (near, far) = (
            udp("198.51.100.1:20000"),
            far.run(|| udp("198.51.100.2:9999")),
        );
        let took = [
            flood(&far, "198.51.100.1:20000"),
            flood(&near, "198.51.100.2:9999"),
        ];
        nftables.settle();
        let table = nftables.read().unwrap().table.unwrap();
        let mut sum = 0;
        for ((direction, took), burst) in Direction::BOTH.into_iter().zip(took).zip([64, 128]) {
            let bytes = table.counters[&(room("20000", Variant::A), direction)].bytes;
            let later = u128::from(RATE) * took.as_micros() / 1_000_000;
            let expected = RATE + (burst << 10) + u64::try_from(later).unwrap();
            println!("{direction:?}: {bytes} bytes, by the limit {expected}");
            // The last packets may have waited for the CPU.
            assert!(bytes < expected / 100 * 105, "{bytes} above {expected}");
            assert!(bytes >= RATE + (burst << 10) - 1_000, "only {bytes}");
            sum += bytes;
        }
        // What a limit drops is not billed.
        let quota = table.quotas[&quota("20000", Metered::Both)];
        assert_eq!(quota.used, sum);
    });
}

/// At the lowest rate that pm takes, 8 kbit/s, a packet of the largest size still passes.
#[test]
fn the_largest_packet_passes_the_slowest_limit() {
    in_namespace(|nftables| {
        let slow = Service::default().policed(Some(1_000), Some(1_000));
        converge(nftables, &Wanted::new([("20000", Some(slow))]));
        let far = wired();
        ip("link set wire mtu 65535");
        far.run(|| ip("link set wire mtu 65535"));
        let (near, far) = (
            udp("198.51.100.1:20000"),
            far.run(|| udp("198.51.100.2:9999")),
        );
        let largest = [0; 65_507];
        far.send_to(&largest, "198.51.100.1:20000").unwrap();
        assert_eq!(near.recv(&mut [0; 65_535]).unwrap(), 65_507);
        near.send_to(&largest, "198.51.100.2:9999").unwrap();
        assert_eq!(far.recv(&mut [0; 65_535]).unwrap(), 65_507);
    });
}

/// The bytes that went through one of HTB's classes.
fn class_bytes(class: &str) -> u64 {
    let listing = run("tc", "-s class show dev wire");
    let mut lines = listing.lines();
    let found = lines.find(|line| line.starts_with(&format!("class htb {class} ")));
    assert!(found.is_some(), "no {class} in {listing}");
    let sent = lines.next().unwrap().split_ascii_whitespace().nth(1);
    sent.unwrap().parse().unwrap()
}

#[test]
fn a_class_is_the_one_that_htb_finds() {
    in_namespace(|nftables| {
        let wanted = Wanted::new([
            (
                "20000",
                Some(Service::default().class(Class::Priority(0x706d_4e20))),
            ),
            ("20001", Some(Service::default())),
        ]);
        converge(nftables, &wanted);
        let far = wired();
        for arguments in [
            "qdisc add dev wire root handle 706d: htb default ffff",
            "class add dev wire parent 706d: classid 706d:4e20 htb rate 1gbit",
            "class add dev wire parent 706d: classid 706d:ffff htb rate 10gbit",
        ] {
            run("tc", arguments);
        }
        let receiver = far.run(|| udp("198.51.100.2:9999"));
        for (port, count) in [(20000, 7), (20001, 5)] {
            let near = udp(&format!("{HOST}:{port}"));
            send(&near, "198.51.100.2:9999", count);
            for _ in 0..count {
                receiver.recv(&mut [0; 2000]).unwrap();
            }
        }
        // Each with 14 bytes of Ethernet in front.
        assert_eq!(class_bytes("706d:4e20"), 7 * 1_014);
        assert!(class_bytes("706d:ffff") >= 5 * 1_014);
    });
}

#[test]
fn a_mark_leaves_the_bits_that_are_not_its_own() {
    in_namespace(|nftables| {
        let mark = |mark, mask| Some(Service::default().class(Class::Mark { mark, mask }));
        let wanted = Wanted::new([
            ("20000", mark(0x4e20_0000, 0xffff_0000)),
            ("20001", mark(0x0004_e210, 0x000f_fff0)),
            ("20002", mark(0x4e22, 0xffff_ffff)),
            ("20003", Some(Service::default())),
        ]);
        converge(nftables, &wanted);
        reload();
        assert_eq!(nftables.inspect().unwrap().1, wanted.expected());
        let far = wired();
        judge(
            "counter upper { }
             counter middle { }
             counter whole { }
             counter none { }
             chain before {
                 type filter hook output priority 0
                 meta mark set 0xabcdef12
             }
             chain after {
                 type filter hook postrouting priority 0
                 udp sport 20000 meta mark 0x4e20ef12 counter name upper
                 udp sport 20001 meta mark 0xabc4e212 counter name middle
                 udp sport 20002 meta mark 0x00004e22 counter name whole
                 udp sport 20003 meta mark 0xabcdef12 counter name none
             }",
        );
        let _receiver = far.run(|| udp("198.51.100.2:9999"));
        for port in 20000..=20003 {
            let near = udp(&format!("{HOST}:{port}"));
            send(&near, "198.51.100.2:9999", 3);
        }
        for counter in ["upper", "middle", "whole", "none"] {
            assert_eq!(judged(counter), (3, 3_000), "{counter}");
        }
    });
}
