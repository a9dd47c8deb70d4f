//! What others do to pm's table, and beside it.

use pm_core::backend::Netfilter;
use pm_core::ruleset::*;

use crate::support::*;

/// Each of these is done to a table that is whole; pm must see it and put it right, without
/// touching the counters of the services it does not concern.
const DAMAGES: &[&str] = &[
    "delete element inet port_monitor ingress { 20000 }",
    "delete element inet port_monitor egress { 30000-30100 }",
    "delete element inet port_monitor ingress { 40000-40010 }
     add element inet port_monitor ingress { 40000-40010 : accept }",
    "delete element inet port_monitor ingress { 20000 }
     add element inet port_monitor ingress { 20000 : goto in_20001 }",
    "delete element inet port_monitor ingress { 20000 }
     add element inet port_monitor ingress { 20000 : jump in_20000 }",
    "add element inet port_monitor egress { 50000-50007 : drop }",
    "flush map inet port_monitor ingress",
    "flush chain inet port_monitor in_20000",
    "flush chain inet port_monitor input",
    "flush chain inet port_monitor output",
    "flush table inet port_monitor",
    "delete table inet port_monitor",
    "add rule inet port_monitor in_20000 counter",
    "insert rule inet port_monitor out_20001 drop",
    "add rule inet port_monitor input tcp dport 22 accept",
    "insert rule inet port_monitor output oif lo accept",
    "delete element inet port_monitor ingress { 20000 }
     delete element inet port_monitor egress { 20000 }
     delete chain inet port_monitor in_20000",
    "delete element inet port_monitor ingress { 20000 }
     delete element inet port_monitor egress { 20000 }
     delete chain inet port_monitor in_20000
     delete chain inet port_monitor out_20000
     delete quota inet port_monitor q_20000
     delete counter inet port_monitor in_20000",
    "flush chain inet port_monitor in_20000
     flush chain inet port_monitor out_20000
     delete quota inet port_monitor q_20000",
    "delete chain inet port_monitor input
     delete map inet port_monitor ingress",
    "delete chain inet port_monitor input
     delete chain inet port_monitor output",
    "delete chain inet port_monitor input
     delete map inet port_monitor ingress
     add map inet port_monitor ingress { type ipv4_addr : verdict; }
     add element inet port_monitor ingress { 192.0.2.1 : drop }",
    "delete chain inet port_monitor input
     add chain inet port_monitor input { type filter hook input priority 0; policy drop; }",
    "delete chain inet port_monitor input
     add chain inet port_monitor input",
    "add element inet port_monitor ingress { 0 : drop }",
    "delete chain inet port_monitor epoch_00000000000000ab",
    "add chain inet port_monitor epoch_00000000000000aa",
    "add table inet port_monitor { flags dormant; }",
    "delete element inet port_monitor ingress { 20000 }
     delete chain inet port_monitor in_20000
     add chain inet port_monitor in_20000 { type filter hook input priority 30; }
     add rule inet port_monitor in_20000 quota name q_20000 drop
     add rule inet port_monitor in_20000 counter name in_20000 accept",
    "add counter inet port_monitor in_9
     add quota inet port_monitor q_7_b { 3 bytes }
     add chain inet port_monitor out_8_b",
];

#[test]
fn every_damage_is_found_and_repaired() {
    for damage in DAMAGES {
        println!("{damage}");
        in_namespace(move |nftables| {
            converge(nftables, &sample());
            let whole = nftables.inspect().unwrap().1;
            nft(&format!("{damage}\n"));
            let damaged = nftables.inspect().unwrap().1;
            assert_ne!(damaged, whole, "{damage}");
            let before = nftables.read().unwrap().table.unwrap_or_default().counters;
            converge(nftables, &sample());
            let repaired = nftables.inspect().unwrap().1;
            assert_eq!(repaired.frame, Frame::INTACT);
            assert_eq!(repaired.epochs.len(), 1);
            let after = nftables.read().unwrap().table.unwrap().counters;
            for (counter, reading) in before {
                let wanted = sample().contains_key(&counter.0.ports);
                if wanted && damaged.rooms[&counter.0].intact.is_some() {
                    assert_eq!(
                        after[&counter].handle, reading.handle,
                        "{counter:?} was replaced"
                    );
                }
            }
            let listing = nft("list ruleset\n");
            nft("flush ruleset\n");
            nft(&listing);
            assert_eq!(nft("list ruleset\n"), listing);
        });
    }
}

#[test]
fn what_others_add_beside_pm_is_left_alone() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let whole = nftables.inspect().unwrap().1;
        let others = "table ip port_monitor { chain in_1 { counter; }; }
            table inet other { chain input { type filter hook input priority 0; }; counter in_5 { }; }
            table inet port_monitor {
                set mine { type ipv4_addr; elements = { 192.0.2.1 }; }
                limit slow { rate 1/second; }
                counter cnt_in_80 { }
                chain mine { ip saddr @mine drop; }
                chain prerouting { type filter hook prerouting priority 0; jump mine; }
            }\n";
        nft(others);
        assert_eq!(nftables.inspect().unwrap().1, whole);
        let changes = Changes {
            unhook: true,
            ..Changes::default()
        };
        let generation = nftables.inspect().unwrap().0;
        nftables.apply(&changes, generation).unwrap();
        assert!(nft("list ruleset\n").contains("chain prerouting"));
    });
}

#[test]
fn a_listing_loaded_twice_is_noticed_and_put_right() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let listing = nft("list ruleset\n");
        nft(&listing);
        let doubled = nftables.inspect().unwrap().1;
        assert_eq!(
            (doubled.frame.input, doubled.frame.output),
            (Piece::Damaged, Piece::Damaged)
        );
        assert!(doubled.rooms.values().all(|room| room.intact.is_none()));
        assert_eq!(converge(nftables, &sample()), 2);
        assert_eq!(nftables.inspect().unwrap().1.frame, Frame::INTACT);
    });
}
