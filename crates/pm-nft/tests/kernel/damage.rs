//! What others do to pm's table, and beside it.

use std::process::Command;

use pm_core::backend::Netfilter;
use pm_core::ruleset::*;

use crate::support::*;

/// Each of these is done to a table that is whole; pm must see it and put it right, without
/// touching the counters of the services it does not concern. `@` stands for the table.
const DAMAGES: &[&str] = &[
    // Elements.
    "delete element @ ingress { 20000 }",
    "delete element @ egress { 30000-30100 }",
    "delete element @ ingress { 40000-40010 }
     add element @ ingress { 40000-40010 : accept }",
    "delete element @ ingress { 20000 }
     add element @ ingress { 20000 : goto in_20001 }",
    "delete element @ ingress { 20000 }
     add element @ ingress { 20000 : jump in_20000 }",
    "add element @ egress { 51000-51007 : drop }",
    "add element @ ingress { 0 : drop }",
    "flush map @ ingress",
    // Rules.
    "flush chain @ in_20000",
    "flush chain @ input",
    "flush chain @ output",
    "flush chain @ forward",
    "flush table @ ",
    "add rule @ in_20000 counter",
    "insert rule @ out_20001 drop",
    "add rule @ input tcp dport 22 accept",
    "insert rule @ output oif lo accept",
    "insert rule @ forward ct state established accept",
    "insert rule @ in_1 quota name q_20000 drop",
    "insert rule @ in_50001 limit name l_in_30101_1000 drop",
    "flush chain @ out_20000
     add rule @ out_20000 quota name q_20000 drop
     add rule @ out_20000 limit name l_out_20000_781250 drop
     add rule @ out_20000 counter name out_20000 meta priority set 706d:4e20 accept",
    "flush chain @ out_20000
     add rule @ out_20000 limit name l_out_20000_781250 drop
     add rule @ out_20000 quota name q_20000 drop
     add rule @ out_20000 counter name out_20000 meta priority set 1:1 accept",
    "flush chain @ out_30000_30100
     add rule @ out_30000_30100 quota name q_group_vip_201 drop
     add rule @ out_30000_30100 counter name out_30000_30100 meta mark set 0x75300000 accept",
    "flush chain @ out_30000_30100
     add rule @ out_30000_30100 quota name q_group_vip_201 drop
     add rule @ out_30000_30100 counter name out_30000_30100 accept",
    "flush chain @ in_1
     add rule @ in_1 counter name in_1 meta priority set 706d:1 accept",
    "flush chain @ in_20002
     add rule @ in_20002 quota name q_out_20002 drop
     add rule @ in_20002 counter name in_20002 accept",
    "flush chain @ in_30000_30100
     add rule @ in_30000_30100 quota name q_20000 drop
     add rule @ in_30000_30100 counter name in_30000_30100 accept",
    "flush chain @ in_20001
     add rule @ in_20001 quota name q_out_20001 drop
     add rule @ in_20001 counter name in_20001 accept",
    // Chains.
    "delete element @ ingress { 20000 }
     delete element @ egress { 20000 }
     delete chain @ in_20000",
    "delete element @ ingress { 20000 }
     delete element @ egress { 20000 }
     delete chain @ in_20000
     delete chain @ out_20000
     delete quota @ q_20000
     delete counter @ in_20000",
    "delete chain @ input
     delete chain @ output",
    "delete chain @ forward",
    "delete chain @ forward
     delete set @ routed",
    "delete chain @ input
     add chain @ input { type filter hook input priority 0; policy drop; }",
    "delete chain @ input
     add chain @ input",
    "delete chain @ forward
     add chain @ forward { type filter hook forward priority 0; }",
    "delete chain @ forward
     add chain @ forward",
    "delete element @ ingress { 20000 }
     delete chain @ in_20000
     add chain @ in_20000 { type filter hook input priority 30; }
     add rule @ in_20000 quota name q_20000 drop
     add rule @ in_20000 counter name in_20000 accept",
    "delete chain @ epoch_00000000000000ab",
    "add chain @ epoch_00000000000000aa",
    // Sets and maps.
    "delete chain @ input
     delete chain @ forward
     delete map @ ingress",
    "delete chain @ input
     delete chain @ forward
     delete map @ ingress
     add map @ ingress { type ipv4_addr : verdict; }
     add element @ ingress { 192.0.2.1 : drop }",
    "delete chain @ input
     flush chain @ forward
     delete map @ ingress
     add map @ ingress { type ipv4_addr : verdict; }
     add rule @ forward ip daddr vmap @ingress",
    "flush set @ routed",
    "delete element @ routed { 20000 }",
    "add element @ routed { 5 }",
    "add element @ routed { 0-3 }",
    "flush chain @ forward
     delete set @ routed
     add set @ routed { type ipv4_addr; elements = { 192.0.2.1 }; }",
    "flush chain @ forward
     delete set @ routed
     add set @ routed { type inet_service; elements = { 20000 }; }
     add rule @ forward tcp dport @routed tcp dport vmap @ingress",
    // Objects.
    "flush chain @ in_20000
     flush chain @ out_20000
     delete quota @ q_20000",
    "flush chain @ out_20001
     delete quota @ q_out_20001
     add quota @ q_out_20001 { 3 bytes }
     add rule @ out_20001 quota name q_out_20001 drop
     add rule @ out_20001 counter name out_20001 accept",
    "flush chain @ in_30101
     delete limit @ l_in_30101_1000
     add limit @ l_in_30101_1000 { rate over 1001 bytes/second burst 65536 bytes; }
     add rule @ in_30101 limit name l_in_30101_1000 drop
     add rule @ in_30101 quota name q_group_vip_201 drop
     add rule @ in_30101 counter name in_30101 accept",
    "flush chain @ in_30101
     delete limit @ l_in_30101_1000
     add limit @ l_in_30101_1000 { rate 1000 bytes/second burst 65536 bytes; }
     add rule @ in_30101 limit name l_in_30101_1000 drop
     add rule @ in_30101 quota name q_group_vip_201 drop
     add rule @ in_30101 counter name in_30101 accept",
    "add limit @ l_out_30101_7 { rate over 7 bytes/second burst 131072 bytes; }",
    "flush chain @ in_30101
     delete limit @ l_in_30101_1000",
    "add counter @ in_9
     add quota @ q_7_b { 3 bytes }
     add limit @ l_in_6_5 { rate 5/second; }
     add quota @ q_in_group_x { over 3 bytes }
     add chain @ out_8_b",
    // The table.
    "delete table @ ",
    "add table @ { flags dormant; }",
];

#[test]
fn every_damage_is_found_and_repaired() {
    for damage in DAMAGES {
        println!("{damage}");
        in_namespace(move |nftables| {
            converge(nftables, &sample());
            let whole = nftables.inspect().unwrap().1;
            nft(&format!("{}\n", damage.replace("@ ", "inet port_monitor ")));
            let damaged = nftables.inspect().unwrap().1;
            assert_ne!(damaged, whole, "{damage}");
            let staying = sample().ruleset(&damaged).rooms;
            let before = nftables.read().unwrap().table.unwrap_or_default().counters;
            converge(nftables, &sample());
            let repaired = nftables.inspect().unwrap().1;
            assert_eq!(repaired.frame, Frame::INTACT);
            assert_eq!(repaired.forwarding, sample().forwarding.into());
            assert_eq!((repaired.epochs.len(), repaired.rooms.len()), (1, 9));
            let after = nftables.read().unwrap().table.unwrap().counters;
            for (counter, reading) in before {
                let stays = staying.contains_key(&counter.0);
                if stays && damaged.rooms[&counter.0].intact.is_some() {
                    assert_eq!(
                        after[&counter].handle, reading.handle,
                        "{counter:?} was replaced"
                    );
                }
            }
            reload();
            assert_eq!(nftables.inspect().unwrap().1, repaired);
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
            (Piece::Altered, Piece::Altered)
        );
        assert!(doubled.rooms.values().all(|room| room.intact.is_none()));
        assert_eq!(converge(nftables, &sample()), 2);
        assert_eq!(nftables.inspect().unwrap().1.frame, Frame::INTACT);
    });
}

/// While one base chain comes in the place of another, a packet on its way meets both, or neither.
#[test]
fn a_base_chain_stays_while_its_rules_are_put_right() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let places = base_chains();
        assert_eq!(places.len(), 2, "{places:?}");
        for damage in [
            "insert rule @ input counter
             insert rule @ output counter",
            "flush chain @ input
             flush chain @ output",
            "flush chain @ input
             flush chain @ forward
             delete map @ ingress",
        ] {
            nft(&(damage.replace('@', "inet port_monitor") + "\n"));
            assert_ne!(
                nftables.inspect().unwrap().1.frame,
                Frame::INTACT,
                "{damage}"
            );
            converge(nftables, &sample());
            assert_eq!(
                nftables.inspect().unwrap().1.frame,
                Frame::INTACT,
                "{damage}"
            );
            assert_eq!(base_chains(), places, "{damage}");
        }
    });
}

/// Returns pm's base chains for what arrives and what is sent, with their handles.
fn base_chains() -> Vec<String> {
    let listing = Command::new("nft")
        .args(["-a", "list", "table", "inet", "port_monitor"])
        .output();
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    let ours = |line: &&str| {
        ["chain input {", "chain output {"]
            .iter()
            .any(|start| line.trim().starts_with(start))
    };
    listing.lines().filter(ours).map(str::to_owned).collect()
}
