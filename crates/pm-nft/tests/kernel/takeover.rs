//! Other tools' tables, read, held and deleted.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use pm_core::port::PortRange;
use pm_nft::hold;
use pm_nft::other::Rules;

use crate::support::{in_namespace, nft};

/// As port-traffic-dog makes it: one port counted twice, a range once, with a quota; beside it somebody else's.
const DOG: &str = "
table inet port_traffic_monitor {
    counter port_443_in { packets 3 bytes 3000 }
    counter port_443_out { packets 0 bytes 0 }
    counter port_100_200_in { packets 0 bytes 77 }
    quota port_443_quota { over 10 mbytes used 4 mbytes }
    set blocked_ports { type inet_service; elements = { 80, 65535 } }
    set hosts { type ipv4_addr; elements = { 192.0.2.1 } }
    chain input {
        type filter hook input priority -5;
        tcp dport @blocked_ports drop
        tcp dport 443 counter name port_443_in
        udp dport 443 counter name port_443_in
        tcp dport 443 counter name port_443_in
        udp dport 443 counter name port_443_in
        meta l4proto { tcp, udp } th dport 100-200 counter name port_100_200_in
    }
    chain output { type filter hook output priority 0; udp sport 443 counter name port_443_out; }
    chain spare { }
}
table ip port_traffic_monitor {
    counter port_443_in { packets 1 bytes 1 }
}
table inet other {
    counter port_443_in { packets 1 bytes 1 }
}
";
const NAME: &str = "port_traffic_monitor";

fn ports(first: u16, last: u16) -> PortRange {
    PortRange::new(first, last).unwrap()
}

/// Sends datagrams of 100 bytes with their headers to a port of the loopback interface, and returns how many came.
fn send(port: u16, datagrams: usize) -> usize {
    let receiver = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for _ in 0..datagrams {
        // What the output hook drops is refused at once.
        let _ = sender.send_to(&[0; 72], ("127.0.0.1", port));
    }
    let mut buffer = [0; 100];
    std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
}

fn with_loopback(test: impl FnOnce(&mut pm_nft::Nftables) + Send + 'static) {
    in_namespace(|nftables| {
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        test(nftables);
    });
}

#[test]
fn what_counts_and_how_often_is_read() {
    in_namespace(|nftables| {
        assert_eq!(nftables.read_other(NAME).unwrap(), None);
        nft(DOG);
        let table = nftables.read_other(NAME).unwrap().unwrap();
        assert_eq!(table.counters["port_443_in"], 3000);
        assert_eq!(table.counters.len(), 3);
        let rules = |name: &str, chain: &str| table.rules[name][chain];
        assert_eq!(rules("port_443_in", "input"), Rules { tcp: 2, all: 4 });
        assert_eq!(rules("port_443_out", "output"), Rules { tcp: 0, all: 1 });
        assert_eq!(rules("port_100_200_in", "input"), Rules { tcp: 1, all: 1 });
        let quota = table.quotas["port_443_quota"];
        assert_eq!((quota.limit, quota.used), (10 << 20, 4 << 20));
        assert_eq!(table.sets["blocked_ports"], BTreeSet::from([80, 65535]));
        assert_eq!(table.sets.len(), 1);
        let mut hooks: Vec<_> = table
            .hooks
            .iter()
            .map(|hook| (&*hook.chain, hook.priority))
            .collect();
        hooks.sort_unstable();
        assert_eq!(hooks, [("input", -5), ("output", 0)]);
    });
}

#[test]
fn a_held_port_is_neither_counted_nor_reached_until_it_is_released() {
    with_loopback(|nftables| {
        nft(DOG);
        let foreign = nft("list table inet other\n");
        let count = |nftables: &mut pm_nft::Nftables| {
            let table = nftables.read_other(NAME).unwrap().unwrap();
            (
                table.counters["port_443_in"],
                table.counters["port_100_200_in"],
            )
        };
        assert_eq!((send(443, 5), send(150, 5)), (5, 5));
        assert_eq!(count(nftables), (3000 + 1000, 77 + 500));

        let table = nftables.read_other(NAME).unwrap().unwrap();
        let held = BTreeSet::from([ports(443, 443), ports(100, 200)]);
        nftables
            .hold(&held, &table.hooks, Duration::from_secs(3600))
            .unwrap();
        // What nft prints of it can be loaded again.
        nft(&nft("list ruleset\n").replace(hold::TABLE, "copy"));
        nft("delete table inet copy\n");
        assert_eq!((send(443, 5), send(150, 5)), (0, 0));
        // Others pass.
        assert_eq!((send(99, 5), send(201, 5), send(444, 5)), (5, 5, 5));
        assert_eq!(count(nftables), (4000, 577));
        let passed = nftables.passed().unwrap().unwrap();
        assert!(passed.values().all(|&bytes| bytes == (0, 0)));

        nftables.delete_other(&table).unwrap();
        nftables.delete_other(&table).unwrap();
        assert_eq!(nftables.read_other(NAME).unwrap(), None);
        nftables.release().unwrap();
        nftables.release().unwrap();
        assert_eq!(send(443, 5), 5);
        assert_eq!(nft("list table inet other\n"), foreign);
        assert!(nft("list ruleset\n").contains("table ip port_traffic_monitor"));
    });
}

/// Who dies while he holds blocks nobody for longer than he said, and what passes then is counted.
#[test]
fn the_kernel_lets_go_by_itself_and_counts_from_then_on() {
    with_loopback(|nftables| {
        nft(DOG);
        let table = nftables.read_other(NAME).unwrap().unwrap();
        let held = BTreeSet::from([ports(443, 443)]);
        nftables
            .hold(&held, &table.hooks, Duration::from_millis(50))
            .unwrap();
        nftables.delete_other(&table).unwrap();
        let mut came = 0;
        while came == 0 {
            came += send(443, 1);
        }
        came += send(443, 9);
        let passed = nftables.passed().unwrap().unwrap();
        let bytes = 100 * u64::try_from(came).unwrap();
        assert_eq!(passed[&ports(443, 443)].0, bytes);

        nftables.hold_again(Duration::from_secs(3600)).unwrap();
        assert_eq!(send(443, 5), 0);
        assert_eq!(
            nftables.passed().unwrap().unwrap()[&ports(443, 443)].0,
            bytes
        );
    });
}

/// Faults 7 and 8 of the tools that pm's users come from are about names that are like others: a table that was made anew
/// under the same name is another.
#[test]
fn a_table_made_anew_is_not_deleted_for_the_old_one() {
    in_namespace(|nftables| {
        nft(DOG);
        let table = nftables.read_other(NAME).unwrap().unwrap();
        nft("delete table inet port_traffic_monitor\ntable inet port_traffic_monitor { }\n");
        nftables.delete_other(&table).unwrap();
        assert!(nftables.read_other(NAME).unwrap().is_some());
    });
}

#[test]
fn many_ports_are_held_in_several_batches() {
    in_namespace(|nftables| {
        nft(DOG);
        let table = nftables.read_other(NAME).unwrap().unwrap();
        let held: BTreeSet<_> = (1..=300).map(|port| ports(port * 2, port * 2)).collect();
        nftables
            .hold(&held, &table.hooks, Duration::from_secs(3600))
            .unwrap();
        let listing = nft(&format!("list table inet {}\n", hold::TABLE));
        assert_eq!(listing.matches("drop").count(), 600);
        assert_eq!(nftables.passed().unwrap().unwrap().len(), 300);
    });
}
