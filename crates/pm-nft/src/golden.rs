//! Captured bytes: what a kernel said, and what it took, message by message.
//!
//! `tests/golden/*.hex` are annotated attribute by attribute; each names its kernel and how it
//! came to be.

use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_netlink::{Malformed, Reply, replies};

use crate::changes::scripts;
use crate::inspection::Inspection;
use crate::object::{Object, State};

/// Reads hexadecimal bytes, with comments from `#` to the end of the line.
fn bytes(annotated: &str) -> Vec<u8> {
    annotated
        .lines()
        .flat_map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace()
        })
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn each(annotated: &str, mut add: impl FnMut(&Reply<'_>) -> Result<(), Malformed>) {
    for reply in replies(&bytes(annotated)) {
        add(&reply.unwrap()).unwrap();
    }
}

fn room(text: &str, limit: Option<u64>) -> (RoomId, InstalledRoom) {
    let id = RoomId {
        ports: text.parse().unwrap(),
        variant: Variant::A,
    };
    let metered = Metered {
        incoming: true,
        outgoing: true,
    };
    let room = Room {
        quota: limit.map(|limit| Quota { limit, metered }),
    };
    (
        id,
        InstalledRoom {
            parts: Parts::of(&room),
            intact: Some(room),
        },
    )
}

#[test]
fn the_dumps_of_a_kernel_add_up_to_what_nft_lists() {
    let mut found = Inspection::default();
    each(include_str!("../tests/golden/chains.hex"), |reply| {
        found.chains.add(reply)
    });
    each(include_str!("../tests/golden/maps.hex"), |reply| {
        found.maps.add(reply)
    });
    each(include_str!("../tests/golden/rules.hex"), |reply| {
        found.rules.add(reply)
    });
    each(include_str!("../tests/golden/objects.hex"), |reply| {
        found.objects.add(reply)
    });
    for (direction, dump) in [
        (Direction::In, include_str!("../tests/golden/ingress.hex")),
        (Direction::Out, include_str!("../tests/golden/egress.hex")),
    ] {
        each(dump, |reply| {
            found.elements.of_mut(direction).add(reply, direction)
        });
    }
    let links = [
        ("1", Link::Room(Variant::A)),
        ("20000", Link::Room(Variant::A)),
        ("40000-40010", Link::Drop),
        ("65000-65535", Link::Room(Variant::A)),
    ]
    .map(|(ports, link)| (ports.parse().unwrap(), InstalledLink::from(link)));
    let expected = Installed {
        frame: Frame::INTACT,
        epochs: [Epoch(0xab)].into(),
        rooms: [
            room("1", None),
            room("20000", Some(5_000_000_000)),
            room("65000-65535", Some(1)),
        ]
        .into(),
        links: links.into(),
    };
    assert_eq!(found.installed(), expected);
}

#[test]
fn an_object_shows_its_handle_and_what_it_counted() {
    let mut all = Vec::new();
    each(include_str!("../tests/golden/objects.hex"), |reply| {
        let object = Object::parse(reply)?.unwrap();
        all.push((object.name.to_owned(), object.handle, object.state));
        Ok(())
    });
    assert_eq!(all[0], ("in_1".to_owned(), 10, State::Counter { bytes: 0 }));
    let quota = State::Quota {
        limit: 5_000_000_000,
        used: 0,
        over: true,
    };
    assert_eq!(all[2], ("q_20000".to_owned(), 12, quota));
}

#[test]
fn the_messages_are_those_that_the_kernel_took() {
    let ports: PortRange = "20000-20001".parse().unwrap();
    let id = RoomId {
        ports,
        variant: Variant::A,
    };
    let metered = Metered {
        incoming: true,
        outgoing: false,
    };
    let quota = Some(Quota {
        limit: 5_000_000_000,
        metered,
    });
    let link = |to| Relink {
        from: InstalledLink::default(),
        to,
    };
    let from = InstalledLink {
        ingress: None,
        egress: Some(Target::Drop),
    };
    let from_drop = Relink { from, to: None };
    let changes = Changes {
        repair: Some(Frame {
            input: Piece::Missing,
            ingress: Piece::Missing,
            ..Frame::INTACT
        }),
        epoch: Some(EpochChange {
            remove: [Epoch(1)].into(),
            add: Epoch(2),
        }),
        create_rooms: [(id, Room { quota })].into(),
        move_limits: [(
            RoomId {
                ports: "7".parse().unwrap(),
                variant: Variant::B,
            },
            3,
        )]
        .into(),
        relink: [
            (ports, link(Some(Link::Room(Variant::A)))),
            ("80".parse().unwrap(), from_drop),
            ("65535".parse().unwrap(), link(Some(Link::Drop))),
        ]
        .into(),
        ..Changes::default()
    };
    let all = scripts(&changes, 1, usize::MAX);
    assert_eq!(all.len(), 1);
    let sent = all[0].batch.message_bytes();
    let golden = bytes(include_str!("../tests/golden/sent.hex"));
    assert_eq!(sent, golden, "{sent:02x?}");
}
