//! What the tests share: a namespace, the real `nft`, a planner in small.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use pm_core::backend::Netfilter;
use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_nft::Nftables;

/// Runs `test` in a new network namespace, which goes with the thread.
pub(crate) fn in_namespace(test: impl FnOnce(&mut Nftables) + Send + 'static) {
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
pub(crate) fn nft(input: &str) -> String {
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

pub(crate) fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

pub(crate) fn room(ports: PortRange, variant: Variant) -> RoomId {
    RoomId { ports, variant }
}

pub(crate) const BOTH_WAYS: Metered = Metered {
    incoming: true,
    outgoing: true,
};
pub(crate) const OUT_ONLY: Metered = Metered {
    incoming: false,
    outgoing: true,
};

pub(crate) fn metered(limit: u64, metered: Metered) -> Room {
    Room {
        quota: Some(Quota { limit, metered }),
    }
}

/// What a test wants: the service's room, or `None` for a blocked one.
pub(crate) type Wanted = BTreeMap<PortRange, Option<Room>>;

pub(crate) fn sample() -> Wanted {
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
pub(crate) fn changes(installed: &Installed, wanted: &Wanted) -> Changes {
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
        if link != InstalledLink::from(to) {
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
pub(crate) fn converge(nftables: &mut Nftables, wanted: &Wanted) -> usize {
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

pub(crate) fn expected(wanted: &Wanted) -> Installed {
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

pub(crate) fn many(services: u16) -> Wanted {
    (0..services)
        .map(|n| {
            let first = 1000 + n * 4;
            let range = PortRange::new(first, first + n % 2).unwrap();
            (range, Some(metered(1 << 40, BOTH_WAYS)))
        })
        .collect()
}
