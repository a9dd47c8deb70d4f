//! What the dumps of a table add up to: pure.

use pm_core::port::PortRange;
use pm_core::ruleset::{
    Direction, Frame, Installed, InstalledLink, InstalledRoom, Metered, Parts, Piece, Quota, Room,
    RoomId, Target,
};

use crate::element::Elements;
use crate::found::{AllRules, Both, Chains, Maps, Objects};

/// All dumps of one generation.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) dormant: bool,
    pub(crate) chains: Chains,
    pub(crate) maps: Maps,
    pub(crate) elements: Both<Elements>,
    pub(crate) rules: AllRules,
    pub(crate) objects: Objects,
}

impl Inspection {
    /// Whether this is the table of pm.sh: its marks, and nothing of ours.
    pub(crate) fn is_pm_sh(&self) -> bool {
        (self.objects.pm_sh || self.maps.blocked_ports) && self.objects.rooms.is_empty()
    }

    /// Adds it all up.
    ///
    /// The elements of a damaged map are left out: it is going to be made anew, empty.
    pub(crate) fn installed(&self) -> Installed {
        let mut installed = Installed {
            frame: self.frame(),
            epochs: self.chains.epochs.iter().copied().collect(),
            ..Installed::default()
        };
        for (&room, chains) in &self.chains.rooms {
            let parts = &mut self.room_mut(&mut installed, room).parts;
            parts.in_chain = chains.incoming != Piece::Missing;
            parts.out_chain = chains.outgoing != Piece::Missing;
        }
        for (&room, objects) in &self.objects.rooms {
            let parts = &mut self.room_mut(&mut installed, room).parts;
            parts.in_counter = objects.counters.incoming;
            parts.out_counter = objects.counters.outgoing;
            parts.quota = objects.quota.is_some();
        }
        for (room, found) in &mut installed.rooms {
            found.intact = self.whole(room, found.parts);
        }
        for direction in Direction::BOTH {
            for (ports, target) in self.intervals(direction).into_iter().flatten() {
                let link = installed.links.entry(ports).or_default();
                set_target(link, direction, target);
            }
        }
        installed
    }

    fn room_mut<'a>(&self, installed: &'a mut Installed, room: RoomId) -> &'a mut InstalledRoom {
        let empty = InstalledRoom {
            parts: Parts::default(),
            intact: None,
        };
        installed.rooms.entry(room).or_insert(empty)
    }

    fn intervals(&self, direction: Direction) -> Option<Vec<(PortRange, Target)>> {
        match self.maps.ours.of(direction) {
            Piece::Intact => self.elements.of(direction).intervals(),
            Piece::Missing | Piece::Damaged => None,
        }
    }

    fn frame(&self) -> Frame {
        let map = |direction| match self.maps.ours.of(direction) {
            Piece::Intact if self.elements.of(direction).intervals().is_none() => Piece::Damaged,
            &piece => piece,
        };
        let chain = |direction| match self.chains.based.of(direction) {
            Piece::Intact if !self.rules.is_base_complete(direction) => Piece::Damaged,
            &piece => piece,
        };
        Frame {
            table: if self.dormant {
                Piece::Damaged
            } else {
                Piece::Intact
            },
            ingress: map(Direction::In),
            egress: map(Direction::Out),
            input: chain(Direction::In),
            output: chain(Direction::Out),
        }
    }

    /// Returns what the room is, if it has all that it takes and nothing else.
    fn whole(&self, room: &RoomId, parts: Parts) -> Option<Room> {
        let whole = Both {
            incoming: Piece::Intact,
            outgoing: Piece::Intact,
        };
        if *self.chains.rooms.get(room)? != whole {
            return None;
        }
        let rules = self.rules.rooms.get(room)?;
        let metered = Metered {
            incoming: rules.incoming.is_metered()?,
            outgoing: rules.outgoing.is_metered()?,
        };
        let quota = match self.objects.rooms.get(room)?.quota {
            None => None,
            Some(limit) => Some(Quota {
                limit: limit?,
                metered,
            }),
        };
        let needs_quota = metered.incoming || metered.outgoing;
        let room = Room { quota };
        (needs_quota == quota.is_some() && parts == Parts::of(&room)).then_some(room)
    }
}

fn set_target(link: &mut InstalledLink, direction: Direction, target: Target) {
    match direction {
        Direction::In => link.ingress = Some(target),
        Direction::Out => link.egress = Some(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use pm_core::ruleset::{Changes, Epoch, EpochChange, Link, Relink, Variant};
    use pm_netlink::nf_tables::*;
    use pm_netlink::{Malformed, Reply, replies};
    use proptest::prelude::*;

    use crate::changes::scripts;

    /// Takes in any message that a dump could bring.
    fn take_in(found: &mut Inspection, reply: &Reply<'_>) -> Result<(), Malformed> {
        match reply.kind {
            NFT_MSG_NEWCHAIN => found.chains.add(reply),
            NFT_MSG_NEWSET => found.maps.add(reply),
            NFT_MSG_NEWRULE => found.rules.add(reply),
            NFT_MSG_NEWOBJ => found.objects.add(reply),
            NFT_MSG_NEWSETELEM => {
                let egress = reply.attributes().flatten().any(|attribute| {
                    attribute.kind == NFTA_SET_ELEM_LIST_SET && attribute.str() == Ok("egress")
                });
                let direction = if egress {
                    Direction::Out
                } else {
                    Direction::In
                };
                found.elements.of_mut(direction).add(reply, direction)
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

    /// Loads a table with these services from nothing; `None` is a blocked one.
    fn load(services: &BTreeMap<PortRange, Option<(Variant, Room)>>) -> Changes {
        let mut changes = Changes {
            repair: Some(Frame::default()),
            epoch: Some(EpochChange {
                remove: [].into(),
                add: Epoch(7),
            }),
            ..Changes::default()
        };
        for (&ports, service) in services {
            let to = service.map_or(Link::Drop, |(variant, room)| {
                changes.create_rooms.insert(RoomId { ports, variant }, room);
                Link::Room(variant)
            });
            let from = InstalledLink::default();
            changes.relink.insert(ports, Relink { from, to: Some(to) });
        }
        changes
    }

    fn room() -> impl Strategy<Value = Room> {
        let metered = (any::<bool>(), any::<bool>()).prop_map(|(incoming, outgoing)| Metered {
            incoming,
            outgoing: outgoing || !incoming,
        });
        let quota = (1..=i64::MAX.cast_unsigned(), metered)
            .prop_map(|(limit, metered)| Quota { limit, metered });
        proptest::option::of(quota).prop_map(|quota| Room { quota })
    }

    prop_compose! {
        /// Services whose ranges do not overlap, often next to each other, up to the last port.
        fn services()(
            steps in proptest::collection::vec(
                (1_u16..3, 0_u16..3, proptest::option::of((any::<bool>(), room()))), 0..12),
            start in prop_oneof![0_u16..3, Just(65_480), any::<u16>()],
        ) -> BTreeMap<PortRange, Option<(Variant, Room)>> {
            let mut services = BTreeMap::new();
            let mut last = start;
            for (gap, length, service) in steps {
                let Some(first) = last.checked_add(gap) else { break };
                last = first.saturating_add(length);
                let service = service.map(|(b, room)| (if b { Variant::B } else { Variant::A }, room));
                services.insert(PortRange::new(first, last).unwrap(), service);
            }
            services
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_reads_back(services in services(), max in 2_000_usize..60_000) {
            let changes = load(&services);
            let mut bytes = Vec::new();
            for script in scripts(&changes, 1, max) {
                prop_assert!(script.batch.byte_len() <= max.max(5_000));
                bytes.extend_from_slice(script.batch.message_bytes());
            }
            let found = inspection(&bytes).unwrap();
            prop_assert_eq!(found.installed(), Installed::default().after(&changes));
        }

        #[test]
        fn no_input_panics(
            services in services(),
            noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        ) {
            let mut bytes: Vec<u8> = scripts(&load(&services), 1, usize::MAX)
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
}
