//! [`Nftables`] against the running kernel, each test in a network namespace of its own, with the
//! real `nft` as the judge.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use pm_core::backend::{BackendError, Netfilter};
use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_nft::Nftables;

/// Runs `test` in a new network namespace, which goes with the thread.
fn in_namespace(test: impl FnOnce(&mut Nftables) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: needs root");
            return;
        }
        test(&mut Nftables::open().unwrap());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs nft in the thread's namespace with `input` as its file, and returns what it prints.
fn nft(input: &str) -> String {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && errors.is_empty(),
        "nft: {input}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

fn room(ports: PortRange, variant: Variant) -> RoomId {
    RoomId { ports, variant }
}

const BOTH_WAYS: Metered = Metered {
    incoming: true,
    outgoing: true,
};
const OUT_ONLY: Metered = Metered {
    incoming: false,
    outgoing: true,
};

fn metered(limit: u64, metered: Metered) -> Room {
    Room {
        quota: Some(Quota { limit, metered }),
    }
}

/// What a test wants: the service's room, or `None` for a blocked one.
type Wanted = BTreeMap<PortRange, Option<Room>>;

fn sample() -> Wanted {
    [
        ("1", Some(Room::default())),
        ("20000", Some(metered(5_000_000_000, BOTH_WAYS))),
        ("20001", Some(metered(MAX_QUOTA_LIMIT, OUT_ONLY))),
        ("30000-30100", Some(Room::default())),
        ("40000-40010", None),
        ("65000-65535", Some(metered(1, BOTH_WAYS))),
    ]
    .map(|(text, wanted)| (ports(text), wanted))
    .into()
}

/// The next batch towards `wanted`, and the ruleset after it.
fn changes(installed: &Installed, wanted: &Wanted) -> Changes {
    let mut changes = Changes::default();
    if installed.frame != Frame::INTACT {
        changes.repair = Some(installed.frame);
    }
    let mut kept = BTreeSet::new();
    for (&ports, room_wanted) in wanted {
        let link = installed.links.get(&ports).copied().unwrap_or_default();
        let to = match room_wanted {
            None => Link::Drop,
            Some(wanted) => {
                let fits = |&variant: &Variant| {
                    let found = installed.rooms.get(&room(ports, variant));
                    found.is_some_and(|found| found.intact == Some(*wanted))
                };
                let free = |variant: &Variant| !link.leads_to(*variant);
                let all = [Variant::A, Variant::B];
                let found = all.into_iter().find(fits);
                let variant = found
                    .or_else(|| all.into_iter().find(free))
                    .unwrap_or(Variant::A);
                kept.insert(room(ports, variant));
                if found.is_none() {
                    changes.create_rooms.insert(room(ports, variant), *wanted);
                }
                Link::Room(variant)
            }
        };
        if !link.is(to) {
            changes.relink.insert(
                ports,
                Relink {
                    from: link,
                    to: Some(to),
                },
            );
        }
    }
    for (&ports, &from) in &installed.links {
        if !wanted.contains_key(&ports) {
            changes.relink.insert(ports, Relink { from, to: None });
        }
    }
    for (&id, found) in &installed.rooms {
        let link = installed.links.get(&id.ports).copied().unwrap_or_default();
        let stays = kept.contains(&id) && !changes.create_rooms.contains_key(&id);
        if !stays && !link.leads_to(id.variant) {
            changes.delete_rooms.insert(id, found.parts);
        }
    }
    if !changes.create_rooms.is_empty() || installed.epochs.len() != 1 {
        let next = installed
            .epochs
            .iter()
            .map(|epoch| epoch.0 + 1)
            .max()
            .unwrap_or(0xab);
        let remove = installed.epochs.clone();
        changes.epoch = Some(EpochChange {
            remove,
            add: Epoch(next),
        });
    }
    changes
}

/// Applies batches until nothing is left to change; returns how many it took.
fn converge(nftables: &mut Nftables, wanted: &Wanted) -> usize {
    for round in 0..5 {
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = changes(&installed, wanted);
        if changes.is_empty() {
            return round;
        }
        let after = nftables.apply(&changes, generation).unwrap();
        let (generation, _) = nftables.inspect().unwrap();
        assert_eq!(
            generation, after,
            "the generation after a batch is foreseen"
        );
    }
    panic!("still not as wanted: {:?}", nftables.inspect());
}

fn expected(wanted: &Wanted) -> Installed {
    let mut installed = Installed {
        frame: Frame::INTACT,
        epochs: [Epoch(0xab)].into(),
        ..Installed::default()
    };
    for (&ports, wanted) in wanted {
        let link = match wanted {
            None => Link::Drop,
            Some(wanted) => {
                let found = InstalledRoom {
                    parts: Parts::of(wanted),
                    intact: Some(*wanted),
                };
                installed.rooms.insert(room(ports, Variant::A), found);
                Link::Room(Variant::A)
            }
        };
        installed.links.insert(ports, link.into());
    }
    installed
}

#[test]
fn an_empty_namespace_has_no_table() {
    in_namespace(|nftables| {
        assert_eq!(nftables.inspect().unwrap().1, Installed::default());
        let reading = nftables.read().unwrap();
        assert_eq!(reading.table, None);
        assert!(!reading.host.boot.is_empty() && !reading.host.netns.is_empty());
    });
}

#[test]
fn what_is_applied_is_what_is_installed() {
    in_namespace(|nftables| {
        assert_eq!(converge(nftables, &sample()), 1);
        assert_eq!(nftables.inspect().unwrap().1, expected(&sample()));
        assert_eq!(converge(nftables, &sample()), 0);
    });
}

#[test]
fn nft_lists_it_as_a_person_would_write_it() {
    in_namespace(|nftables| {
        let mut wanted = sample();
        wanted.retain(|ports, _| [1, 20000, 40000, 65000].contains(&ports.first()));
        converge(nftables, &wanted);
        // nft before 1.0.7 prints the number.
        let listing = nft("list ruleset\n").replace("priority filter + 20;", "priority 20;");
        assert_eq!(listing, include_str!("golden/listing.nft"));
    });
}

#[test]
fn its_listing_reloads_as_the_same() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let listing = nft("list ruleset\n");
        nft("flush ruleset\n");
        nft(&listing);
        assert_eq!(nft("list ruleset\n"), listing);
        assert_eq!(nftables.inspect().unwrap().1, expected(&sample()));
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
        // Five rooms, the two base chains and the epoch.
        assert_eq!(
            (count("counter"), count("quota"), count("chain")),
            (10, 3, 13)
        );
        assert_eq!((count("map"), count("rule")), (2, 4 + 10 + 5));
    });
}

#[test]
fn services_come_change_and_go() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let mut wanted = sample();
        wanted.insert(ports("20000"), None);
        wanted.insert(ports("20001"), Some(metered(7, BOTH_WAYS)));
        wanted.remove(&ports("30000-30100"));
        wanted.insert(ports("30000-30050"), Some(Room::default()));
        wanted.insert(ports("30051-30100"), Some(Room::default()));
        wanted.insert(ports("40000-40010"), Some(Room::default()));
        wanted.insert(ports("65000-65535"), Some(metered(1, OUT_ONLY)));
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
        assert_eq!(converge(nftables, &Wanted::new()), 2);
        assert_eq!(nftables.inspect().unwrap().1.rooms, BTreeMap::new());
    });
}

#[test]
fn a_limit_moves_and_the_count_stays() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        nft("delete element inet port_monitor ingress { 20000 }
             delete element inet port_monitor egress { 20000 }
             flush chain inet port_monitor in_20000
             flush chain inet port_monitor out_20000
             delete quota inet port_monitor q_20000
             add quota inet port_monitor q_20000 { over 500 bytes used 300 bytes }\n");
        let id = room(ports("20000"), Variant::A);
        let before = nftables.read().unwrap();
        let quota = before.table.unwrap().quotas[&id];
        assert_eq!((quota.limit, quota.used), (500, 300));
        for limit in [MAX_QUOTA_LIMIT, 100] {
            let generation = nftables.inspect().unwrap().0;
            let changes = Changes {
                move_limits: [(id, limit)].into(),
                ..Changes::default()
            };
            nftables.apply(&changes, generation).unwrap();
            let moved = nftables.read().unwrap().table.unwrap().quotas[&id];
            assert_eq!((moved.handle, moved.limit), (quota.handle, limit));
            assert_eq!(moved.used, limit.min(300));
        }
    });
}

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
            assert_ne!(nftables.inspect().unwrap().1, whole, "{damage}");
            converge(nftables, &sample());
            let repaired = nftables.inspect().unwrap().1;
            assert_eq!(repaired.frame, Frame::INTACT);
            assert_eq!(repaired.epochs.len(), 1);
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
fn leaving_takes_every_trace_along() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        for damage in ["", "delete chain inet port_monitor input\n"] {
            nft(damage);
            let (generation, _) = nftables.inspect().unwrap();
            let changes = Changes {
                unhook: true,
                ..Changes::default()
            };
            nftables.apply(&changes, generation).unwrap();
            let (_, installed) = nftables.inspect().unwrap();
            let frame = installed.frame;
            assert_eq!(
                (frame.input, frame.output),
                (Piece::Missing, Piece::Missing)
            );
            assert_eq!(installed.links.len(), sample().len());
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
fn a_change_in_between_is_noticed() {
    in_namespace(|nftables| {
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = changes(&installed, &sample());
        nft("add table inet other\n");
        assert!(matches!(
            nftables.apply(&changes, generation),
            Err(BackendError::Raced)
        ));
        assert_eq!(nftables.inspect().unwrap().1, Installed::default());
    });
}

#[test]
fn a_refusal_names_the_object() {
    in_namespace(|nftables| {
        converge(nftables, &sample());
        let (generation, before) = nftables.inspect().unwrap();
        let id = room(ports("20000"), Variant::A);
        let changes = Changes {
            create_rooms: [(id, Room::default())].into(),
            ..Changes::default()
        };
        let error = nftables.apply(&changes, generation).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot add counter in_20000: "), "{text}");
        assert!(text.contains("File exists"), "{text}");
        assert_eq!(nftables.inspect().unwrap(), (generation, before));
    });
}

#[test]
fn a_table_of_pm_sh_is_left_alone() {
    for table in [
        "table inet port_monitor { counter cnt_in_443 { }; counter cnt_out_443 { }; }\n",
        "table inet port_monitor { set blocked_ports { type inet_service; }; }\n",
    ] {
        in_namespace(move |nftables| {
            nft(table);
            assert!(matches!(nftables.read(), Err(BackendError::ForeignTable)));
            assert!(matches!(
                nftables.inspect(),
                Err(BackendError::ForeignTable)
            ));
        });
    }
}

#[test]
fn a_small_socket_buffer_only_means_more_batches() {
    in_namespace(|nftables| {
        nftables.limit_batches(40_000);
        let wanted = many(1_000);
        assert_eq!(converge(nftables, &wanted), 1);
        assert_eq!(nftables.inspect().unwrap().1, expected(&wanted));
        converge(nftables, &Wanted::new());
        assert!(nftables.inspect().unwrap().1.rooms.is_empty());
    });
}

/// Other programs commit all the time: docker, fail2ban, an admin with a loop.
#[test]
fn commits_of_others_only_delay_a_reading() {
    in_namespace(|nftables| {
        converge(nftables, &many(500));
        let busy = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            // A thread starts in the namespace of the one that spawns it.
            scope.spawn(|| {
                while busy.load(std::sync::atomic::Ordering::Relaxed) {
                    nft("add table ip noise\ndelete table ip noise\n");
                }
            });
            for _ in 0..40 {
                match nftables.read() {
                    Ok(reading) => assert_eq!(reading.table.unwrap().counters.len(), 1_000),
                    Err(BackendError::Raced) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            busy.store(false, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(nftables.read().unwrap().table.unwrap().quotas.len(), 500);
        assert_eq!(nftables.inspect().unwrap().1, expected(&many(500)));
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

#[test]
fn without_privilege_it_says_so() {
    use std::os::unix::process::CommandExt;
    in_namespace(|_| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "unprivileged_half", "--ignored", "--nocapture"])
            .uid(65_534)
            .output();
        // The test program may lie where only root may run it.
        let Ok(output) = output else { return };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    });
}

#[test]
#[ignore = "run by without_privilege_it_says_so"]
fn unprivileged_half() {
    let mut nftables = Nftables::open().unwrap();
    assert!(matches!(nftables.read(), Err(BackendError::Permission(_))));
    assert!(matches!(
        nftables.inspect(),
        Err(BackendError::Permission(_))
    ));
    let changes = changes(&Installed::default(), &sample());
    assert!(matches!(
        nftables.apply(&changes, 1),
        Err(BackendError::Permission(_))
    ));
}

#[test]
fn settling_ends() {
    in_namespace(|nftables| {
        let start = Instant::now();
        nftables.settle();
        println!("settled in {:?}", start.elapsed());
    });
}

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

fn many(services: u16) -> Wanted {
    (0..services)
        .map(|n| {
            let first = 1000 + n * 4;
            let range = PortRange::new(first, first + n % 2).unwrap();
            (range, Some(metered(1 << 40, BOTH_WAYS)))
        })
        .collect()
}

/// The thread's CPU time, in user space and in the kernel.
fn cpu() -> [Duration; 2] {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()].map(|time| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap())
    })
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (start, before) = (Instant::now(), cpu());
    let value = run();
    let (elapsed, after) = (start.elapsed(), cpu());
    let [user, system] = [after[0] - before[0], after[1] - before[1]];
    println!("{what}: {elapsed:.1?}, CPU {user:.1?} user, {system:.1?} system");
    value
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default()
        .to_owned()
}

/// Prints figures rather than judging them: machines differ.
#[test]
fn five_thousand_services() {
    in_namespace(|nftables| {
        let wanted = many(5_000);
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = changes(&installed, &wanted);
        timed("apply 5,000 rooms", || nftables.apply(&changes, generation)).unwrap();
        println!("peak {}", peak_memory());
        let reading = timed("read 15,000 objects", || nftables.read()).unwrap();
        let table = reading.table.unwrap();
        assert_eq!((table.counters.len(), table.quotas.len()), (10_000, 5_000));
        let (_, installed) = timed("inspect 5,000 services", || nftables.inspect()).unwrap();
        assert_eq!(installed, expected(&wanted));
        let mut one = wanted.clone();
        one.insert(ports("1000"), None);
        timed(
            "block one of them, with two inspections and a clean-up",
            || {
                converge(nftables, &one);
            },
        );
        timed("settle", || nftables.settle());
    });
}
