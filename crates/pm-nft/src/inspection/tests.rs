use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::{GroupName, Mode};
use pm_core::holder::Holder;
use pm_core::ruleset::{
    Changes, Class, Epoch, EpochChange, Forwarding, ForwardingChange, Link, MAX_QUOTA_LIMIT,
    Policing, Relink, Variant,
};
use pm_core::strategies::{classifier, group_name, mode};
use pm_netlink::nf_tables::*;
use pm_netlink::{Malformed, Reply, replies};
use proptest::prelude::*;

use super::*;
use crate::changes::scripts;

/// Takes in any message that a dump could bring.
fn take_in(found: &mut Inspection, reply: &Reply<'_>) -> Result<(), Malformed> {
    match reply.kind {
        NFT_MSG_NEWTABLE => {
            found.table = Piece::Intact;
            Ok(())
        }
        NFT_MSG_NEWCHAIN => found.chains.add(reply),
        NFT_MSG_NEWSET => found.sets.add(reply),
        NFT_MSG_NEWRULE => found.rules.add(reply),
        NFT_MSG_NEWOBJ => found.objects.add(reply),
        NFT_MSG_NEWSETELEM => {
            let mut name = "";
            for attribute in reply.attributes().flatten() {
                if attribute.kind == NFTA_SET_ELEM_LIST_SET {
                    name = attribute.str()?;
                }
            }
            match name {
                "ingress" => found.elements.incoming.add(reply, Direction::In),
                "egress" => found.elements.outgoing.add(reply, Direction::Out),
                _ => found.routed.add(reply, Direction::In),
            }
        }
        _ => Ok(()),
    }
}

fn inspection(bytes: &[u8]) -> Result<Inspection, Malformed> {
    let mut found = Inspection::default();
    for reply in replies(bytes) {
        take_in(&mut found, &reply?)?;
    }
    Ok(found)
}

/// A room to be, of any service.
#[derive(Clone, Debug)]
struct Sketch {
    variant: Variant,
    policing: Policing,
    class: Option<Class>,
    metering: Option<(Option<GroupName>, Variant, Mode)>,
    limit: u64,
}

impl Sketch {
    fn room(&self, ports: PortRange) -> Room {
        let metering = self
            .metering
            .clone()
            .map(|(group, variant, mode)| Metering {
                variant: if group.is_some() {
                    variant
                } else {
                    self.variant
                },
                holder: group.map_or(Holder::Service(ports), Holder::Group),
                mode,
            });
        Room {
            policing: self.policing,
            metering,
            class: self.class,
        }
    }
}

/// A service's room, unless it is blocked.
type Service = Option<Sketch>;

/// Loads a table with these services from nothing.
fn load(services: &BTreeMap<PortRange, Service>, forwarding: Forwarding) -> Changes {
    let mut changes = Changes {
        repair: Some(Frame::default()),
        epoch: Some(EpochChange {
            remove: [].into(),
            add: Epoch(7),
        }),
        forwarding: Some(ForwardingChange {
            from: InstalledForwarding::default(),
            to: forwarding,
            anew: false,
        }),
        ..Changes::default()
    };
    for (&ports, service) in services {
        let to = match service {
            None => Link::Drop,
            Some(sketch) => {
                let variant = sketch.variant;
                let room = sketch.room(ports);
                let quotas = room.metering.iter().flat_map(Metering::quotas);
                let quotas = quotas.map(|quota| (quota, sketch.limit));
                changes.create_quotas.extend(quotas);
                changes.create_rooms.insert(RoomId { ports, variant }, room);
                Link::Room(variant)
            }
        };
        let from = InstalledLink::default();
        changes.relink.insert(ports, Relink { from, to: Some(to) });
    }
    changes
}

fn variant() -> impl Strategy<Value = Variant> {
    prop::sample::select(Variant::BOTH.to_vec())
}

fn class() -> impl Strategy<Value = Class> {
    (classifier(), 1_u16..).prop_map(|(classifier, minor)| classifier.class(minor))
}

prop_compose! {
    fn sketch()(
        variant in variant(),
        policing in (rate(), rate()),
        class in proptest::option::of(class()),
        metering in proptest::option::of((proptest::option::of(group_name()), variant(), mode())),
        limit in 1..=MAX_QUOTA_LIMIT,
    ) -> Sketch {
        let policing = Policing { incoming: policing.0, outgoing: policing.1 };
        Sketch { variant, policing, class, metering, limit }
    }
}

fn rate() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(prop_oneof![1_u64..100, 1_u64..=18_000_000_000])
}

prop_compose! {
    /// Services whose ranges do not overlap, often next to each other, up to the last port.
    fn services()(
        steps in proptest::collection::vec(
            (1_u16..3, 0_u16..3, proptest::option::of(sketch())), 0..12),
        start in prop_oneof![0_u16..3, Just(65_480), any::<u16>()],
    ) -> BTreeMap<PortRange, Service> {
        let mut services = BTreeMap::new();
        let mut last = start;
        for (gap, length, service) in steps {
            let Some(first) = last.checked_add(gap) else { break };
            last = first.saturating_add(length);
            services.insert(PortRange::new(first, last).unwrap(), service);
        }
        services
    }
}

prop_compose! {
    fn setting()(
        services in services(),
        dnat in any::<bool>(),
        routed in any::<[bool; 12]>(),
    ) -> (BTreeMap<PortRange, Service>, Forwarding) {
        let routed = services.keys().zip(routed).filter(|(_, routed)| *routed);
        let routed = routed.map(|(&ports, _)| ports).collect();
        (services, Forwarding { dnat, routed })
    }
}

proptest! {
    #[test]
    fn what_is_sent_reads_back((services, forwarding) in setting(), max in 2_000_usize..60_000) {
        let changes = load(&services, forwarding);
        let mut bytes = Vec::new();
        for script in scripts(&changes, 1, max) {
            prop_assert!(script.batch.byte_len() <= max.max(5_000));
            bytes.extend_from_slice(script.batch.message_bytes());
        }
        let found = inspection(&bytes).unwrap();
        prop_assert_eq!(found.installed(), Installed::default().after(&changes));
    }

    #[test]
    fn a_room_and_its_own_quotas_come_in_one_batch((services, forwarding) in setting()) {
        let changes = load(&services, forwarding);
        for script in scripts(&changes, 1, 1) {
            let found = inspection(script.batch.message_bytes()).unwrap();
            let rooms: BTreeSet<RoomId> = found.chains.rooms.keys().copied().collect();
            for id in rooms {
                let metering = changes.create_rooms[&id].metering.iter();
                for quota in metering.flat_map(Metering::quotas) {
                    let own = quota.holder == Holder::Service(id.ports);
                    prop_assert!(!own || found.objects.quotas.contains_key(&quota));
                }
            }
        }
    }

    /// A packet that a commit overtakes can find the new element, and the room of before the commit:
    /// an empty one, if that made it.
    #[test]
    fn a_service_moves_into_a_room_that_is_committed(
        (services, forwarding) in setting(),
        from in prop_oneof![Just(Link::Drop), variant().prop_map(Link::Room)],
        max in prop_oneof![Just(1), 2_000_usize..60_000, Just(usize::MAX)],
    ) {
        let mut changes = load(&services, forwarding);
        for relink in changes.relink.values_mut() {
            relink.from = from.into();
        }
        let mut there = BTreeSet::new();
        for script in scripts(&changes, 1, max) {
            let found = inspection(script.batch.message_bytes()).unwrap();
            for elements in [&found.elements.incoming, &found.elements.outgoing] {
                for (ports, target) in elements.intervals().unwrap_or_default() {
                    let Target::Room(variant) = target else { continue };
                    let room = RoomId { ports, variant };
                    let is_new = changes.create_rooms.contains_key(&room);
                    prop_assert!(!is_new || there.contains(&room), "{room:?}");
                }
            }
            there.extend(found.chains.rooms.keys().copied());
        }
    }

    #[test]
    fn no_input_panics(
        (services, forwarding) in setting(),
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let mut bytes: Vec<u8> = scripts(&load(&services, forwarding), 1, usize::MAX)
            .iter()
            .flat_map(|script| script.batch.message_bytes().to_vec())
            .collect();
        for (place, value) in noise {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let mut found = Inspection::default();
        for reply in replies(&bytes).flatten() {
            let _ = take_in(&mut found, &reply);
        }
        let _ = (found.installed(), found.is_pm_sh());
    }
}
