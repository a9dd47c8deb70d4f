//! What is applied is what stands in the kernel.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::ruleset::*;

use crate::support::*;

#[test]
fn an_empty_namespace_has_no_table() {
    in_namespace(|nftables| {
        assert_eq!(nftables.inspect().unwrap().1, Installed::default());
        let reading = nftables.read().unwrap();
        assert_eq!(reading.table, None);
        assert!(!reading.has_legacy_nat);
        assert!(!reading.host.boot.is_empty() && !reading.host.netns.is_empty());
    });
}

#[test]
fn what_is_applied_is_what_is_installed() {
    in_namespace(|nftables| {
        assert_eq!(converge(nftables, &sample()), 1);
        assert_eq!(nftables.inspect().unwrap().1, sample().expected());
        assert_eq!(converge(nftables, &sample()), 0);
    });
}

#[test]
fn nft_lists_it_as_a_person_would_write_it() {
    in_namespace(|nftables| {
        converge(nftables, &golden());
        // nft before 1.0.7 prints the number.
        let listing = nft("list ruleset\n").replace("priority filter + 20;", "priority 20;");
        assert_eq!(listing, include_str!("../golden/listing.nft"));
    });
}

#[test]
fn its_listing_reloads_as_the_same() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        reload();
        assert_eq!(nftables.inspect().unwrap().1, sample().expected());
        assert_eq!(converge(nftables, &sample()), 0);
    });
}

#[test]
fn nft_lists_it_as_json() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let output = Command::new("nft")
            .args(["-j", "list", "ruleset"])
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = json["nftables"].as_array().unwrap();
        let count = |kind: &str| {
            all.iter()
                .filter(|object| object.get(kind).is_some())
                .count()
        };
        // Nine rooms, the three base chains and the epoch.
        assert_eq!(
            (
                count("counter"),
                count("quota"),
                count("limit"),
                count("chain")
            ),
            (18, 8, 4, 22)
        );
        assert_eq!((count("map"), count("set")), (2, 1));
    });
}

#[test]
fn services_come_change_and_go() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let mut wanted = sample();
        wanted.set("20000", None);
        wanted.set("20001", Some(Service::quota(Mode::Both, 7)));
        wanted.remove("30000-30100");
        wanted.set("30000-30050", Some(Service::group("vip 1")));
        wanted.set("30051-30100", Some(Service::default()));
        wanted.set("40000-40010", Some(Service::default()));
        wanted.set("65000-65535", Some(Service::group("vip 1")));
        // The second batch deletes the rooms that the first has left.
        assert_eq!(converge(nftables, &wanted), 2);
        let listing = nft("list map inet port_monitor ingress\n");
        for element in [
            "20000 : drop",
            "20001 : goto in_20001_b",
            "30000-30050 : goto in_30000_30050",
            "30051-30100 : goto in_30051_30100",
            "40000-40010 : goto in_40000_40010",
            "65000-65535 : goto in_65000_65535_b",
        ] {
            assert!(listing.contains(element), "{element} in {listing}");
        }
        assert_eq!(converge(nftables, &Wanted::default()), 2);
        let (_, installed) = nftables.inspect().unwrap();
        assert_eq!(
            (installed.rooms, installed.quotas),
            (BTreeMap::new(), BTreeMap::new())
        );
        assert_eq!(installed.forwarding, InstalledForwarding::default());
    });
}

#[test]
fn a_limit_moves_and_the_count_stays() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        nft("flush chain inet port_monitor forward
             delete element inet port_monitor ingress { 20000 }
             delete element inet port_monitor egress { 20000 }
             flush chain inet port_monitor in_20000
             flush chain inet port_monitor out_20000
             delete quota inet port_monitor q_20000
             add quota inet port_monitor q_20000 { over 500 bytes used 300 bytes }\n");
        let id = quota("20000", Metered::Both);
        let before = nftables.read().unwrap();
        let quota = before.table.unwrap().quotas[&id];
        assert_eq!((quota.limit, quota.used), (500, 300));
        for limit in [MAX_QUOTA_LIMIT, 100] {
            let generation = nftables.inspect().unwrap().0;
            let changes = Changes {
                move_limits: [(id.clone(), limit)].into(),
                ..Changes::default()
            };
            nftables.apply(&changes, generation).unwrap();
            let moved = nftables.read().unwrap().table.unwrap().quotas[&id];
            assert_eq!((moved.handle, moved.limit), (quota.handle, limit));
            assert_eq!(moved.used, limit.min(300));
        }
    });
}

#[test]
fn leaving_takes_every_trace_along() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        for damage in [
            "",
            "delete chain inet port_monitor input\n",
            "delete chain inet port_monitor forward\n",
        ] {
            nft(damage);
            let (generation, found) = nftables.inspect().unwrap();
            let changes = Changes {
                unhook: true,
                ..Changes::default()
            };
            nftables.apply(&changes, generation).unwrap();
            let (_, installed) = nftables.inspect().unwrap();
            assert_eq!(installed, found.after(&changes));
            let frame = installed.frame;
            assert_eq!(
                (frame.input, frame.output),
                (Piece::Missing, Piece::Missing)
            );
            assert_eq!(installed.links.len(), sample().services.len());
            assert!(!installed.forwarding.chain);
            converge(nftables, &sample());
        }
        let (generation, _) = nftables.inspect().unwrap();
        let changes = Changes {
            delete_table: true,
            ..Changes::default()
        };
        nftables.apply(&changes, generation).unwrap();
        assert_eq!(nft("list ruleset\n"), "");
    });
}

#[test]
fn a_small_socket_buffer_only_means_more_batches() {
    in_namespace(|nftables| {
        nftables.limit_batches(40_000);
        let mut wanted = many(1_000);
        wanted.forwarding.dnat = true;
        assert_eq!(converge(nftables, &wanted), 1);
        assert_eq!(nftables.inspect().unwrap().1, wanted.expected());
        // The map is made anew, and with it all rules that name it.
        nft("add element inet port_monitor ingress { 0 : drop }\n");
        assert_eq!(converge(nftables, &wanted), 1);
        assert_eq!(nftables.inspect().unwrap().1, wanted.expected());
        converge(nftables, &Wanted::default());
        assert!(nftables.inspect().unwrap().1.rooms.is_empty());
    });
}

#[test]
fn settling_ends() {
    in_namespace(|nftables| {
        let start = Instant::now();
        nftables.settle();
        println!("settled in {:?}", start.elapsed());
    });
}
