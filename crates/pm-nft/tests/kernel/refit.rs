//! Rooms whose policing and class change while they are in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::ruleset::*;

use crate::support::*;
use crate::wire::*;

const TO_HOST: &str = "198.51.100.1:20000";
const TO_CLIENT: &str = "198.51.100.2:9999";

/// Every way that a room can be policed and classed, at rates that are never reached.
fn terms() -> Vec<Service> {
    let rates = [None, Some(10_000_000_000), Some(10_000_000_001)];
    let classes = [
        None,
        Some(Class::Priority(0x706d_0001)),
        Some(Class::Mark {
            mark: 1 << 16,
            mask: 0xffff_0000,
        }),
    ];
    let mut all = Vec::new();
    for incoming in rates {
        for outgoing in rates {
            for class in classes {
                let mut service = Service::quota(Mode::Both, 1 << 40).policed(incoming, outgoing);
                service.class = class;
                all.push(service);
            }
        }
    }
    all
}

fn wanted(service: &Service) -> Wanted {
    Wanted::new([("20000", Some(service.clone()))])
}

/// From each to each, in one batch, and nothing of the old terms is left behind.
#[test]
fn any_terms_can_follow_any_others() {
    in_namespace(|nftables| {
        converge(nftables, &wanted(&terms()[0]));
        let before = nftables.read().unwrap().table.unwrap();
        for (n, from) in terms().iter().enumerate() {
            for to in &terms()[n + 1..] {
                for service in [from, to] {
                    assert!(converge(nftables, &wanted(service)) <= 1);
                    let installed = nftables.inspect().unwrap().1;
                    assert_eq!(installed, wanted(service).expected());
                }
            }
        }
        let after = nftables.read().unwrap().table.unwrap();
        assert_eq!(after, before);
    });
}

/// Under a flood both ways no packet is lost, passes uncounted or leaves without the class of
/// either the old or the new terms.
#[test]
fn a_refit_loses_no_packet() {
    const ROUNDS: usize = 300;
    in_namespace(|nftables| {
        let class = |minor: u32| Class::Priority(0x706d_0000 | minor);
        let [a, b] = [1, 2].map(|minor: u32| {
            let rate = Some(10_000_000_000 + u64::from(minor));
            Service::quota(Mode::Both, 1 << 50)
                .policed(rate, rate)
                .class(class(minor))
        });
        converge(nftables, &wanted(&a));
        let far = Namespace::new();
        far.connect("wire", "198.51.100.1", "198.51.100.2");
        judge(
            "counter came { }
             counter passed { }
             counter sent { }
             counter left { }
             counter first { }
             counter second { }
             chain before_in {
                 type filter hook input priority 19
                 udp dport 20000 counter name came
             }
             chain after_in {
                 type filter hook input priority 21
                 udp dport 20000 counter name passed
             }
             chain before_out {
                 type filter hook output priority 19
                 udp sport 20000 counter name sent
             }
             chain after_out {
                 type filter hook output priority 21
                 udp sport 20000 counter name left
             }
             chain leaving {
                 type filter hook postrouting priority 0
                 udp sport 20000 meta priority 706d:1 counter name first
                 udp sport 20000 meta priority 706d:2 counter name second
             }",
        );
        let near = udp(TO_HOST);
        let client = far.run(|| udp(TO_CLIENT));
        let busy = AtomicBool::new(true);
        thread::scope(|scope| {
            for (socket, to) in [(&near, TO_CLIENT), (&client, TO_HOST)] {
                let busy = &busy;
                scope.spawn(move || {
                    while busy.load(Ordering::Relaxed) {
                        send(socket, to, 20);
                    }
                });
            }
            for round in 0..ROUNDS {
                let service = if round % 2 == 0 { &b } else { &a };
                assert_eq!(converge(nftables, &wanted(service)), 1);
            }
            busy.store(false, Ordering::Relaxed);
        });
        nftables.settle();
        let [came, passed, sent, left, first, second] =
            ["came", "passed", "sent", "left", "first", "second"].map(judged);
        println!("{ROUNDS} refits while {came:?} came and {sent:?} left");
        assert!(came.0 > 1_000 && sent.0 > 1_000);
        assert_eq!((passed, left), (came, sent));
        assert_eq!(first.0 + second.0, sent.0);
        let table = nftables.read().unwrap().table.unwrap();
        let counted = |way| table.counters[&(room("20000", Variant::A), way)].bytes;
        assert_eq!(
            (counted(Direction::In), counted(Direction::Out)),
            (came.1, sent.1)
        );
        let used = table.quotas[&quota("20000", Metered::Both)].used;
        assert_eq!(used, came.1 + sent.1);
    });
}
