//! Captured bytes: what a kernel said, and what it took, message by message.
//!
//! `tests/golden/*.hex` are annotated attribute by attribute; each names its kernel and how it
//! came to be.

use std::collections::BTreeSet;

use pm_core::config::Mode;
use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_netlink::{Malformed, Reply, replies};

use crate::changes::scripts;
use crate::inspection::Inspection;
use crate::limit::Limit;
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

fn id(text: &str) -> RoomId {
    RoomId {
        ports: text.parse().unwrap(),
        variant: Variant::A,
    }
}

const MARK: Class = Class::Mark {
    mark: 0x7530_0000,
    mask: 0xffff_0000,
};

/// The room of port 20000, with all that a room can have.
fn full_room() -> Room {
    Room {
        policing: Policing {
            incoming: Some(625_000),
            outgoing: Some(781_250),
        },
        metering: metering("20000", Mode::Both),
        class: Some(Class::Priority(0x706d_4e20)),
    }
}

/// The quotas of a service or group.
fn metering(holder: &str, mode: Mode) -> Option<Metering> {
    Some(Metering {
        holder: holder.parse().unwrap(),
        variant: Variant::A,
        mode,
    })
}

fn quota(holder: &str, metered: Metered) -> QuotaId {
    QuotaId {
        holder: holder.parse().unwrap(),
        variant: Variant::A,
        metered,
    }
}

#[test]
fn the_dumps_of_a_kernel_add_up_to_what_nft_lists() {
    let mut found = Inspection {
        table: Piece::Intact,
        ..Inspection::default()
    };
    each(include_str!("../tests/golden/chains.hex"), |reply| {
        found.chains.add(reply)
    });
    each(include_str!("../tests/golden/sets.hex"), |reply| {
        found.sets.add(reply)
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
    each(include_str!("../tests/golden/routed.hex"), |reply| {
        found.routed.add(reply, Direction::In)
    });
    let rooms = [
        ("1", Room::default()),
        ("20000", full_room()),
        (
            "20002",
            Room {
                metering: metering("20002", Mode::Max),
                ..Room::default()
            },
        ),
        (
            "30000-30100",
            Room {
                metering: metering("group vip 1", Mode::Both),
                class: Some(MARK),
                ..Room::default()
            },
        ),
        (
            "65000-65535",
            Room {
                metering: metering("65000-65535", Mode::Out),
                ..Room::default()
            },
        ),
    ];
    let links = [
        ("1", Link::Room(Variant::A)),
        ("20000", Link::Room(Variant::A)),
        ("20002", Link::Room(Variant::A)),
        ("30000-30100", Link::Room(Variant::A)),
        ("40000-40010", Link::Drop),
        ("65000-65535", Link::Room(Variant::A)),
    ];
    let expected = Installed {
        frame: Frame::INTACT,
        epochs: [Epoch(0xab)].into(),
        rooms: rooms.map(|(text, room)| (id(text), room.into())).into(),
        quotas: [
            (quota("20000", Metered::Both), Some(5_000_000_000)),
            (quota("20002", Metered::In), Some(7)),
            (quota("20002", Metered::Out), Some(7)),
            (quota("65000-65535", Metered::Out), Some(1)),
            (quota("group vip 1", Metered::Both), Some(10_000)),
        ]
        .into(),
        links: links
            .map(|(text, link)| (id(text).ports, link.into()))
            .into(),
        forwarding: Forwarding {
            dnat: true,
            routed: [id("20000").ports, id("65000-65535").ports].into(),
        }
        .into(),
        has_nat: true,
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
    let find = |name: &str| all.iter().find(|object| object.0 == name).unwrap();
    assert_eq!(find("in_1").2, State::Counter { bytes: 0 });
    let quota = State::Quota {
        limit: 5_000_000_000,
        used: 0,
        over: true,
    };
    assert_eq!(find("q_20000").2, quota);
    let limit = LimitId::parse("l_out_20000_781250").unwrap();
    assert_eq!(find("l_out_20000_781250").2, State::Limit(Limit::of(limit)));
    let handles: BTreeSet<u64> = all.iter().map(|object| object.1).collect();
    assert_eq!(handles.len(), all.len());
}

#[test]
fn the_messages_are_those_that_the_kernel_took() {
    let ports: PortRange = "20000-20001".parse().unwrap();
    let id_b = RoomId {
        ports,
        variant: Variant::B,
    };
    let metering = Metering {
        holder: ports.into(),
        variant: Variant::B,
        mode: Mode::Max,
    };
    let created = Room {
        metering: Some(metering.clone()),
        ..full_room()
    };
    let quotas: Vec<QuotaId> = metering.quotas().collect();
    let link = |from, to| Relink { from, to };
    let nothing = InstalledLink::default();
    let half = InstalledLink {
        ingress: None,
        egress: Some(Target::Drop),
    };
    let to_b = Some(Link::Room(Variant::B));
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
        delete_rooms: [(id("9"), Parts::of(&full_room()))].into(),
        delete_quotas: [quota("9", Metered::Both)].into(),
        create_quotas: [
            (quotas[0].clone(), 5_000_000_000),
            (quotas[1].clone(), 5_000_000_000),
            (quota("group vip 1", Metered::Both), 10_000),
        ]
        .into(),
        create_rooms: [(id_b, created)].into(),
        refit: [(
            id("10"),
            Refit {
                from: full_room(),
                to: Room {
                    policing: Policing {
                        incoming: Some(1),
                        outgoing: Some(781_250),
                    },
                    class: Some(MARK),
                    ..full_room()
                },
            },
        )]
        .into(),
        move_limits: [(quota("7", Metered::Both), 3)].into(),
        relink: [
            (ports, link(nothing, to_b)),
            (id("80").ports, link(half, None)),
            (id("65535").ports, link(nothing, Some(Link::Drop))),
        ]
        .into(),
        forwarding: Some(ForwardingChange {
            from: InstalledForwarding {
                chain: true,
                set: true,
                intact: None,
            },
            to: Forwarding {
                dnat: true,
                routed: [ports].into(),
            },
            anew: true,
        }),
        ..Changes::default()
    };
    let all = scripts(&changes, 1, usize::MAX);
    assert_eq!(all.len(), 1);
    let sent = all[0].batch.message_bytes();
    let golden = bytes(include_str!("../tests/golden/sent.hex"));
    assert_eq!(sent, golden, "{sent:02x?}");
}
