//! Services that move from room to room under a flood.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pm_core::backend::Netfilter;
use pm_core::ruleset::*;

use crate::support::*;
use crate::wire::*;

const TO_HOST: &str = "198.51.100.1:20000";
const TO_CLIENT: &str = "198.51.100.2:9999";

/// Rules in front of pm's lookup, so that a commit overtakes many packets on their way there: between
/// the moment that says which rules they follow, and that in which they find their element.
const RULES_IN_FRONT: usize = 1_000;

/// A packet that a commit overtakes may be counted in the room that its service has left, or in the
/// new one; it must not find the new one empty, and pass as if nobody counted.
#[test]
fn a_move_lets_no_packet_pass_uncounted() {
    const ROUNDS: usize = 100;
    in_namespace(|nftables| {
        converge(
            nftables,
            &Wanted::new([("20000", Some(Service::default()))]),
        );
        let (_, installed) = nftables.inspect().unwrap();
        let mut linked = Variant::A;
        let rules = installed.rooms[&room("20000", linked)].intact.clone();
        let rules = rules.unwrap();
        for chain in ["input", "output"] {
            let rule = format!("insert rule inet port_monitor {chain} meta mark 0x1234 drop\n");
            nft(&rule.repeat(RULES_IN_FRONT));
        }
        let far = Namespace::new();
        far.connect("wire", "198.51.100.1", "198.51.100.2");
        judge(
            "counter passed { }
             counter left { }
             chain after_in {
                 type filter hook input priority 21
                 udp dport 20000 counter name passed
             }
             chain after_out {
                 type filter hook output priority 21
                 udp sport 20000 counter name left
             }",
        );
        let near = udp(TO_HOST);
        let client = far.run(|| udp(TO_CLIENT));
        let busy = AtomicBool::new(true);
        let mut counted = [0; 2];
        let mut add = |nftables: &mut pm_nft::Nftables, variant| {
            nftables.settle();
            let reading = nftables.read().unwrap();
            let table = reading.table.unwrap();
            for (sum, way) in counted.iter_mut().zip(Direction::BOTH) {
                *sum += table.counters[&(room("20000", variant), way)].bytes;
            }
            reading.generation
        };
        thread::scope(|scope| {
            for (socket, to) in [(&near, TO_CLIENT), (&client, TO_HOST)] {
                let busy = &busy;
                scope.spawn(move || {
                    while busy.load(Ordering::Relaxed) {
                        send(socket, to, 20);
                    }
                });
            }
            for _ in 0..ROUNDS {
                let (from, to) = (linked, linked.other());
                let relink = Relink {
                    from: Link::Room(from).into(),
                    to: Some(Link::Room(to)),
                };
                let moved = Changes {
                    create_rooms: [(room("20000", to), rules.clone())].into(),
                    relink: [(ports("20000"), relink)].into(),
                    ..Changes::default()
                };
                let generation = nftables.read().unwrap().generation;
                nftables.apply(&moved, generation).unwrap();
                let generation = add(nftables, from);
                let emptied = Changes {
                    delete_rooms: [(room("20000", from), Parts::of(&rules))].into(),
                    ..Changes::default()
                };
                nftables.apply(&emptied, generation).unwrap();
                linked = to;
            }
            busy.store(false, Ordering::Relaxed);
        });
        add(nftables, linked);
        let [passed, left] = ["passed", "left"].map(judged);
        println!("{ROUNDS} moves while {passed:?} passed and {left:?} left");
        assert!(passed.0 > 1_000 && left.0 > 1_000);
        assert_eq!(counted, [passed.1, left.1]);
    });
}
