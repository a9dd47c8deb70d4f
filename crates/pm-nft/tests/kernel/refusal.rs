//! What keeps pm from reading or changing the ruleset, and how it is told.

use std::process::Command;

use pm_core::backend::{BackendError, Netfilter};
use pm_core::ruleset::*;
use pm_nft::Nftables;

use crate::support::*;

#[test]
fn a_change_in_between_is_noticed() {
    in_namespace(|nftables| {
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = sample().changes(&installed);
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
        let id = room("20000", Variant::A);
        let policed = Room {
            policing: Policing {
                incoming: Some(625_000),
                outgoing: None,
            },
            ..Room::default()
        };
        let forwarding = |to| {
            let from = InstalledForwarding::default();
            Some(ForwardingChange {
                from,
                to,
                anew: false,
            })
        };
        let routed = Forwarding {
            dnat: false,
            routed: [ports("9")].into(),
        };
        let translated = Forwarding {
            dnat: true,
            ..Forwarding::default()
        };
        let changes = Changes::default;
        for (what, why, changes) in [
            (
                "add counter in_20000",
                "File exists",
                Changes {
                    create_rooms: [(id, Room::default())].into(),
                    ..changes()
                },
            ),
            (
                "add limit l_in_20000_625000",
                "File exists",
                Changes {
                    create_rooms: [(id, policed)].into(),
                    ..changes()
                },
            ),
            (
                "add quota q_group_vip_201",
                "File exists",
                Changes {
                    create_quotas: [(quota("group vip 1", Metered::Both), 1)].into(),
                    ..changes()
                },
            ),
            (
                "delete quota q_20000",
                "busy",
                Changes {
                    delete_quotas: [quota("20000", Metered::Both)].into(),
                    ..changes()
                },
            ),
            (
                "change quota q_20000",
                "too large",
                Changes {
                    move_limits: [(quota("20000", Metered::Both), u64::MAX)].into(),
                    ..changes()
                },
            ),
            (
                "add set routed",
                "File exists",
                Changes {
                    forwarding: forwarding(routed),
                    ..changes()
                },
            ),
            (
                "add chain forward",
                "File exists",
                Changes {
                    forwarding: forwarding(translated),
                    ..changes()
                },
            ),
        ] {
            let error = nftables.apply(&changes, generation).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot {what}: ")), "{text}");
            assert!(text.contains(why), "{text}");
        }
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
        assert_eq!(nftables.inspect().unwrap().1, many(500).expected());
    });
}

#[test]
fn without_privilege_it_says_so() {
    use std::os::unix::process::CommandExt;
    in_namespace(|_| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "refusal::unprivileged_half",
                "--ignored",
                "--nocapture",
            ])
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
    let changes = sample().changes(&Installed::default());
    assert!(matches!(
        nftables.apply(&changes, 1),
        Err(BackendError::Permission(_))
    ));
}
