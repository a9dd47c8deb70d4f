//! Real packets: what is counted, cut off and blocked.

use std::collections::BTreeSet;
use std::net::UdpSocket;

use pm_core::backend::{Netfilter, TableReading};
use pm_core::config::Mode;
use pm_core::ruleset::*;
use pm_nft::Nftables;

use crate::support::*;
use crate::wire::*;

const HOST: &str = "198.51.100.1";
const CLIENT: &str = "198.51.100.2";

/// Both ends of a wire, with sockets at some ports of the host's.
struct Lab {
    client: UdpSocket,
    ports: Vec<(u16, UdpSocket)>,
    seen: u64,
    _far: Namespace,
}

impl Lab {
    /// The judge looks in front of pm at what comes in, and at all that is about to leave.
    fn new(ports: &[u16]) -> Self {
        let far = Namespace::new();
        far.connect("wire", HOST, CLIENT);
        judge(
            "counter seen { }
             chain arriving {
                 type filter hook prerouting priority 0;
                 iif != lo meta l4proto udp counter name seen
             }
             chain sending {
                 type filter hook output priority 0;
                 oif != lo meta l4proto udp counter name seen
             }",
        );
        let sockets = ports
            .iter()
            .map(|&port| (port, udp(&format!("{HOST}:{port}"))));
        Self {
            client: far.run(|| udp(&format!("{CLIENT}:9999"))),
            ports: sockets.collect(),
            seen: 0,
            _far: far,
        }
    }

    /// Packets of 1,000 bytes for a port of the host's.
    fn incoming(&mut self, port: u16, count: usize) {
        send(&self.client, &format!("{HOST}:{port}"), count);
        self.wait(count);
    }

    /// Packets of 1,000 bytes from one.
    fn outgoing(&mut self, port: u16, count: usize) {
        let (_, socket) = self.ports.iter().find(|(own, _)| *own == port).unwrap();
        send(socket, &format!("{CLIENT}:9999"), count);
        self.wait(count);
    }

    fn wait(&mut self, count: usize) {
        self.seen += u64::try_from(count).unwrap();
        wait_for("seen", self.seen);
    }

    /// How many datagrams wait for a port of the host's.
    fn arrived(&self, port: u16) -> usize {
        let (_, socket) = self.ports.iter().find(|(own, _)| *own == port).unwrap();
        socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| socket.recv(&mut [0; 2000]).ok()).count()
    }
}

fn read(nftables: &mut Nftables) -> TableReading {
    nftables.settle();
    nftables.read().unwrap().table.unwrap()
}

/// The bytes of a service: in, and out.
fn bytes(table: &TableReading, text: &str) -> (u64, u64) {
    let of = |way| table.counters[&(room(text, Variant::A), way)].bytes;
    (of(Direction::In), of(Direction::Out))
}

/// The laws of the kernel side: exact counts, a cut at the quota, nothing through a block, and no
/// bill for loopback.
#[test]
fn packets_are_counted_cut_off_and_blocked() {
    in_namespace(|nftables| {
        let wanted = Wanted::new([
            ("20000", Some(Service::default())),
            ("20010-20019", Some(Service::quota(Mode::Both, 10_500))),
            ("20030", None),
        ]);
        converge(nftables, &wanted);
        let mut lab = Lab::new(&[20000, 20015, 20030, 20040]);
        for port in [20000, 20015, 20030, 20040] {
            lab.incoming(port, 20);
        }
        let near = udp("127.0.0.1:0");
        near.send_to(&[0; 972], "127.0.0.1:20000").unwrap();
        let table = read(nftables);
        let arrived = [20000, 20015, 20030, 20040].map(|port| lab.arrived(port));
        assert_eq!(arrived, [20, 10, 0, 20]);
        assert_eq!(bytes(&table, "20000"), (20_000, 0));
        assert_eq!(bytes(&table, "20010-20019"), (10_000, 0));
        let quota = table.quotas[&quota("20010-20019", Metered::Both)];
        assert!(quota.is_depleted(), "{quota:?}");
    });
}

#[test]
fn the_services_of_a_group_share_its_quota() {
    in_namespace(|nftables| {
        let mut wanted = Wanted::new([
            ("20000", Some(Service::group("vip"))),
            ("20001", Some(Service::group("vip"))),
            ("20002", Some(Service::default())),
        ]);
        wanted.groups = [("vip", (Mode::Both, 50_500))].into();
        converge(nftables, &wanted);
        let mut lab = Lab::new(&[20000, 20001, 20002]);
        lab.incoming(20000, 20);
        lab.outgoing(20001, 20);
        let table = read(nftables);
        let shared = quota("group vip", Metered::Both);
        assert_eq!(table.quotas[&shared].used, 40_000);
        for port in [20001, 20000, 20002] {
            lab.incoming(port, 20);
            lab.outgoing(port, 20);
        }
        let table = read(nftables);
        assert_eq!(bytes(&table, "20000"), (20_000, 0));
        assert_eq!(bytes(&table, "20001"), (10_000, 20_000));
        assert_eq!(bytes(&table, "20002"), (20_000, 20_000));
        assert!(table.quotas[&shared].is_depleted());
    });
}

#[test]
fn of_mode_max_each_direction_is_cut_on_its_own() {
    in_namespace(|nftables| {
        let wanted = Wanted::new([
            ("20000", Some(Service::quota(Mode::Max, 10_500))),
            ("20001", Some(Service::quota(Mode::Out, 10_500))),
        ]);
        converge(nftables, &wanted);
        let mut lab = Lab::new(&[20000, 20001]);
        lab.incoming(20000, 20);
        lab.incoming(20001, 20);
        lab.outgoing(20000, 7);
        let depleted = |table: &TableReading| {
            [
                quota("20000", Metered::In),
                quota("20000", Metered::Out),
                quota("20001", Metered::Out),
            ]
            .map(|id| table.quotas[&id].is_depleted())
        };
        let table = read(nftables);
        assert_eq!(bytes(&table, "20000"), (10_000, 7_000));
        assert_eq!(bytes(&table, "20001"), (20_000, 0));
        assert_eq!(depleted(&table), [true, false, false]);
        lab.outgoing(20000, 7);
        lab.outgoing(20001, 20);
        let table = read(nftables);
        assert_eq!(bytes(&table, "20000"), (10_000, 10_000));
        assert_eq!(bytes(&table, "20001"), (20_000, 10_000));
        assert_eq!(depleted(&table), [true, true, true]);
    });
}

#[test]
fn a_refreshed_reading_is_new_where_it_was_asked_for() {
    in_namespace(|nftables| {
        let mut wanted = Wanted::new([
            ("20000", Some(Service::group("vip"))),
            ("20001", Some(Service::group("vip"))),
            ("20002", Some(Service::quota(Mode::Max, 1 << 30))),
        ]);
        wanted.groups = [("vip", (Mode::Both, 1 << 30))].into();
        converge(nftables, &wanted);
        let mut lab = Lab::new(&[]);
        let before = nftables.read().unwrap();
        for port in [20000, 20001, 20002] {
            lab.incoming(port, 5);
        }
        nftables.settle();
        let rooms: BTreeSet<RoomId> = [room("20001", Variant::A), room("7", Variant::B)].into();
        let quotas = [
            quota("group vip", Metered::Both),
            quota("20002", Metered::Out),
            quota("7", Metered::In),
        ];
        let after = nftables
            .refresh(before.clone(), &rooms, &quotas.clone().into())
            .unwrap();
        assert_eq!(after.fresh, Some(rooms));
        assert!(after.is_fresh(room("20001", Variant::A)));
        assert!(!after.is_fresh(room("20000", Variant::A)));
        let (before, after) = (before.table.unwrap(), after.table.unwrap());
        assert_eq!(after.counters.len(), before.counters.len());
        assert_eq!(bytes(&after, "20001"), (5_000, 0));
        assert_eq!(bytes(&after, "20000"), (0, 0));
        let used = |id: &QuotaId| after.quotas[id].used;
        assert_eq!(used(&quotas[0]), 10_000);
        assert_eq!(used(&quotas[1]), 0);
        assert_eq!(used(&quota("20002", Metered::In)), 0);
        assert_eq!(after.quotas.len(), before.quotas.len());
    });
}
