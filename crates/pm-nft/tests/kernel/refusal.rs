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
    let changes = changes(&Installed::default(), &sample());
    assert!(matches!(
        nftables.apply(&changes, 1),
        Err(BackendError::Permission(_))
    ));
}
