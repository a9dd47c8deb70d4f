//! Forwarded packets: a client and a guest, with the host between them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_nft::Nftables;

use crate::support::*;
use crate::wire::*;

/// 198.51.100.2, on a wire to 198.51.100.1.
struct Lab {
    client: Namespace,
    /// 10.9.0.2, on a bridge of its own to 10.9.0.1.
    guest: Namespace,
}

impl Lab {
    fn new() -> Self {
        let (client, guest) = (Namespace::new(), Namespace::new());
        client.connect("wire", "198.51.100.1", "198.51.100.2");
        guest.connect("bridge", "10.9.0.1", "10.9.0.2");
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        Self { client, guest }
    }

    /// Sends datagrams from one address to another, and as many answers as asked for.
    fn talk(&self, (from, to): (Party, Party), seen_at: &str, count: usize, answers: usize) {
        let sender = self.open(from);
        let receiver = self.open(to);
        let mut buffer = [0; 2000];
        let mut came_from = None;
        send(&sender, seen_at, count);
        for _ in 0..count {
            came_from = Some(receiver.recv_from(&mut buffer).unwrap().1);
        }
        send(&receiver, &came_from.unwrap().to_string(), answers);
        for _ in 0..answers {
            sender.recv(&mut buffer).unwrap();
        }
    }

    fn open(&self, party: Party) -> std::net::UdpSocket {
        let (namespace, address) = match party {
            Client(port) => (&self.client, format!("198.51.100.2:{port}")),
            Guest(port) => (&self.guest, format!("10.9.0.2:{port}")),
        };
        namespace.run(move || udp(&address))
    }
}

#[derive(Clone, Copy)]
enum Party {
    Client(u16),
    Guest(u16),
}
use Party::{Client, Guest};

/// Leads the host's port 8080 to `port` of the guest, and lets the guest out under the host's
/// address.
fn publish(port: u16) {
    nft(&format!(
        "table ip nat {{
             chain prerouting {{
                 type nat hook prerouting priority dstnat
                 iifname wire meta l4proto {{ tcp, udp }} th dport 8080 dnat to 10.9.0.2:{port}
             }}
             chain postrouting {{
                 type nat hook postrouting priority srcnat
                 oifname wire ip saddr 10.9.0.0/24 masquerade
             }}
         }}\n"
    ));
}

/// The bytes of a service: in, and out.
fn bytes(nftables: &mut Nftables, text: &str) -> (u64, u64) {
    nftables.settle();
    let table = nftables.read().unwrap().table.unwrap();
    let of = |way| table.counters[&(room(text, Variant::A), way)].bytes;
    (of(Direction::In), of(Direction::Out))
}

/// How many connections the kernel tracks.
fn tracked() -> String {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap();
    text.trim().to_owned()
}

fn forwarding(dnat: bool, routed: &[&str]) -> Forwarding {
    let routed = routed.iter().map(|text| ports(text));
    Forwarding {
        dnat,
        routed: routed.collect(),
    }
}

/// A published port is its service's, whatever the guest's port; a guest that browses is nobody's,
/// neither counted nor blocked by the service of the same number.
#[test]
fn what_is_translated_counts_by_the_port_it_was_sent_to() {
    in_namespace(|nftables| {
        let lab = Lab::new();
        publish(80);
        let published = Service::quota(Mode::Both, 1 << 40).class(Class::Priority(0x706d_1f90));
        let mut wanted = Wanted::new([
            (
                "8080",
                Some(published.policed(Some(1 << 32), Some(1 << 32))),
            ),
            ("80", Some(Service::default())),
            ("443", None),
        ]);
        wanted.forwarding = forwarding(true, &[]);
        converge(nftables, &wanted);
        judge(
            "counter classed { }
             chain leaving {
                 type filter hook postrouting priority 200
                 oifname wire meta priority 706d:1f90 counter name classed
             }",
        );
        lab.talk((Client(9999), Guest(80)), "198.51.100.1:8080", 5, 3);
        assert_eq!(bytes(nftables, "8080"), (5_000, 3_000));
        assert_eq!(judged("classed"), (3, 3_000));
        // From the same guest, to a port that the host blocks; from a port that it publishes.
        lab.talk((Guest(5555), Client(443)), "198.51.100.2:443", 4, 2);
        lab.talk((Guest(8080), Client(443)), "198.51.100.2:443", 4, 2);
        assert_eq!(bytes(nftables, "8080"), (5_000, 3_000));
        assert_eq!(bytes(nftables, "80"), (0, 0));
        assert_eq!(tracked(), "3");
        let table = nftables.read().unwrap().table.unwrap();
        assert_eq!(table.quotas[&quota("8080", Metered::Both)].used, 8_000);
    });
}

#[test]
fn a_published_tcp_connection_counts_both_ways_until_its_quota_is_used() {
    in_namespace(|nftables| {
        let lab = Lab::new();
        publish(80);
        let mut wanted = Wanted::new([("8080", Some(Service::quota(Mode::Both, 300_000)))]);
        wanted.forwarding = forwarding(true, &[]);
        converge(nftables, &wanted);
        let listener = lab.guest.run(|| TcpListener::bind("10.9.0.2:80").unwrap());
        let mut client = lab
            .client
            .run(|| TcpStream::connect("198.51.100.1:8080").unwrap());
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[7; 50_000]).unwrap();
        server.read_exact(&mut [0; 50_000]).unwrap();
        server.write_all(&[7; 100_000]).unwrap();
        client.read_exact(&mut [0; 100_000]).unwrap();
        let (incoming, outgoing) = bytes(nftables, "8080");
        println!("50,000 in and 100,000 out are {incoming} and {outgoing} with headers");
        assert!((50_000..70_000).contains(&incoming));
        assert!((100_000..120_000).contains(&outgoing));
        server.set_nonblocking(true).unwrap();
        let _ = server.write_all(&[7; 1_000_000]);
        client
            .set_read_timeout(Some(std::time::Duration::from_millis(300)))
            .unwrap();
        let read = std::iter::from_fn(|| client.read(&mut [0; 65_536]).ok()).sum::<usize>();
        assert!(read < 200_000, "{read} more bytes came");
    });
}

#[test]
fn what_is_routed_counts_where_it_is_wanted() {
    in_namespace(|nftables| {
        let lab = Lab::new();
        let mut wanted = Wanted::new([
            ("25565", Some(Service::default())),
            ("443", None),
            ("30000-30010", Some(Service::default())),
        ]);
        wanted.forwarding = forwarding(false, &["25565"]);
        converge(nftables, &wanted);
        let to_guest = |port| {
            lab.talk(
                (Client(9999), Guest(port)),
                &format!("10.9.0.2:{port}"),
                5,
                3,
            )
        };
        to_guest(25565);
        to_guest(30005);
        lab.talk((Guest(5555), Client(443)), "198.51.100.2:443", 4, 2);
        assert_eq!(bytes(nftables, "25565"), (5_000, 3_000));
        assert_eq!(bytes(nftables, "30000-30010"), (0, 0));
        // No rule looks at connections, so they are not tracked.
        assert_eq!(tracked(), "0");
        wanted.forwarding = forwarding(false, &["30000-30010"]);
        converge(nftables, &wanted);
        to_guest(25565);
        to_guest(30005);
        assert_eq!(bytes(nftables, "25565"), (5_000, 3_000));
        assert_eq!(bytes(nftables, "30000-30010"), (5_000, 3_000));
    });
}

#[test]
fn what_is_translated_is_not_counted_by_the_guests_port_too() {
    in_namespace(|nftables| {
        let lab = Lab::new();
        publish(25565);
        let mut wanted = Wanted::new([
            ("8080", Some(Service::default())),
            ("25565", Some(Service::default())),
        ]);
        wanted.forwarding = forwarding(true, &["25565"]);
        converge(nftables, &wanted);
        lab.talk((Client(9999), Guest(25565)), "198.51.100.1:8080", 5, 3);
        assert_eq!(bytes(nftables, "8080"), (5_000, 3_000));
        assert_eq!(bytes(nftables, "25565"), (0, 0));
        lab.talk((Client(9998), Guest(25565)), "10.9.0.2:25565", 7, 1);
        assert_eq!(bytes(nftables, "8080"), (5_000, 3_000));
        assert_eq!(bytes(nftables, "25565"), (7_000, 1_000));
        // A published port that no service is at is nobody's, even if the guest's port is.
        wanted.remove("8080");
        converge(nftables, &wanted);
        lab.talk((Client(9997), Guest(25565)), "198.51.100.1:8080", 5, 3);
        assert_eq!(bytes(nftables, "25565"), (7_000, 1_000));
    });
}

/// The routed ports come and go without the rules; the rules change without a packet's escaping.
#[test]
fn forwarding_changes_without_a_loss() {
    in_namespace(|nftables| {
        let lab = Lab::new();
        publish(80);
        let mut wanted = Wanted::new([
            ("8080", Some(Service::default())),
            ("25565", Some(Service::default())),
        ]);
        wanted.forwarding = forwarding(true, &[]);
        converge(nftables, &wanted);
        judge(
            "counter came { }
             chain before {
                 type filter hook forward priority 19
                 udp dport 80 counter name came
             }",
        );
        let (client, _guest) = (lab.open(Client(9999)), lab.open(Guest(80)));
        let busy = AtomicBool::new(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    send(&client, "198.51.100.1:8080", 20);
                }
            });
            for round in 0..100 {
                let routed = [&[][..], &["25565"], &["1-9", "25565"], &["1-8"]][round % 4];
                wanted.forwarding = forwarding(true, routed);
                converge(nftables, &wanted);
            }
            busy.store(false, Ordering::Relaxed);
        });
        let counted = bytes(nftables, "8080");
        let came = judged("came");
        println!("100 changes while {came:?} came");
        assert!(came.0 > 1_000);
        assert_eq!(counted, (came.1, 0));
    });
}

#[test]
fn routed_ports_change_without_the_rules() {
    in_namespace(|nftables| {
        let mut wanted = sample();
        converge(nftables, &wanted);
        let rules = || {
            let output = run("nft", "-a list chain inet port_monitor forward");
            output.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut before = rules();
        for routed in [
            &["20000"][..],
            &["1-9", "20000-20001"],
            &["1-5", "6-9"],
            &["9-65535"],
        ] {
            wanted.forwarding = forwarding(true, routed);
            assert_eq!(converge(nftables, &wanted), 1);
            assert_eq!(rules(), before);
            reload();
            let (_, installed) = nftables.inspect().unwrap();
            assert_eq!(installed.forwarding, wanted.forwarding.clone().into());
            before = rules();
        }
        wanted.forwarding = forwarding(false, &["9-65535"]);
        assert_eq!(converge(nftables, &wanted), 1);
        assert_ne!(rules(), before);
        wanted.forwarding = forwarding(true, &[]);
        assert_eq!(converge(nftables, &wanted), 1);
        assert!(!nft("list ruleset\n").contains("routed"));
        wanted.forwarding = Forwarding::default();
        assert_eq!(converge(nftables, &wanted), 1);
        assert!(!nft("list ruleset\n").contains("routed"));
    });
}

/// More routed services than one message holds, and less socket buffer than they take together.
#[test]
fn thousands_of_routed_services_take_more_batches() {
    in_namespace(|nftables| {
        nftables.limit_batches(40_000);
        let mut wanted = Wanted::default();
        let all = (0..3_000_u16).map(|n| PortRange::new(1 + n * 4, 2 + n * 4).unwrap());
        wanted.forwarding.routed = all.collect();
        for dnat in [false, true, false] {
            wanted.forwarding.dnat = dnat;
            assert_eq!(converge(nftables, &wanted), 1);
            assert_eq!(nftables.inspect().unwrap().1, wanted.expected());
        }
        let others = (0..3_000_u16).map(|n| PortRange::new(1 + n * 4, 3 + n * 4).unwrap());
        wanted.forwarding.routed = others.collect();
        assert_eq!(converge(nftables, &wanted), 1);
        assert_eq!(nftables.inspect().unwrap().1, wanted.expected());
    });
}
