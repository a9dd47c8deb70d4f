//! Elements of the two interval verdict maps.
//!
//! - An interval is two elements: its first port with the verdict, and the port after its last
//!   flagged as an end. One that reaches port 65535 has no end element.
//! - A dump brings them in any order.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_set_elem_attributes`.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, RoomId, TABLE, Target};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attribute, Attributes, Malformed, Reply};

use crate::expr::{Verdict, nested};
use crate::frame::map_name;

/// One interval to add, with the verdict, or to delete, without.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) ports: PortRange,
    pub(crate) target: Option<Goal>,
}

/// Where an interval leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    Room(RoomId),
    Drop,
}

/// Appends a message's worth of elements of the map for `direction`.
pub(crate) fn emit(a: &mut Attributes<'_>, direction: Direction, intervals: &[Interval]) {
    a.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
    a.string(NFTA_SET_ELEM_LIST_SET, map_name(direction));
    a.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
        for interval in intervals {
            list.nest(NFTA_LIST_ELEM, |element| {
                emit_key(element, interval.ports.first());
                match interval.target {
                    Some(Goal::Room(room)) => {
                        let chain = room.chain(direction);
                        element.nest(NFTA_SET_ELEM_DATA, |data| Verdict::Goto(&chain).emit(data));
                    }
                    Some(Goal::Drop) => {
                        element.nest(NFTA_SET_ELEM_DATA, |data| Verdict::Drop.emit(data));
                    }
                    None => {}
                }
            });
            if let Some(end) = interval.ports.last().checked_add(1) {
                list.nest(NFTA_LIST_ELEM, |element| {
                    element.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
                    emit_key(element, end);
                });
            }
        }
    });
}

fn emit_key(element: &mut Attributes<'_>, port: u16) {
    element.nest(NFTA_SET_ELEM_KEY, |key| key.be16(NFTA_DATA_VALUE, port));
}

/// The elements of one map, as a dump brings them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Elements {
    starts: BTreeMap<u16, Found>,
    ends: BTreeSet<u16>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    Chain(RoomId),
    Drop,
    Foreign,
}

impl Elements {
    /// Takes in one message of a dump of the map for `direction`.
    pub(crate) fn add(&mut self, reply: &Reply<'_>, direction: Direction) -> Result<(), Malformed> {
        for attribute in reply.attributes() {
            let attribute = attribute?;
            if attribute.kind == NFTA_SET_ELEM_LIST_ELEMENTS {
                for element in attribute.nested() {
                    self.add_one(&element?, direction)?;
                }
            }
        }
        Ok(())
    }

    fn add_one(&mut self, element: &Attribute<'_>, direction: Direction) -> Result<(), Malformed> {
        let (mut key, mut flags, mut found) = (None, 0, Found::Foreign);
        for attribute in element.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_SET_ELEM_KEY => {
                    // A map with keys of another length is damaged, and its elements unread.
                    key = nested(&attribute, NFTA_DATA_VALUE)?.and_then(|key| key.be16().ok());
                }
                NFTA_SET_ELEM_FLAGS => flags = attribute.be32()?,
                NFTA_SET_ELEM_DATA => {
                    found = match Verdict::parse(&attribute)? {
                        Some(Verdict::Drop) => Found::Drop,
                        Some(Verdict::Goto(chain)) => match RoomId::parse_chain(chain) {
                            Some((room, way)) if way == direction => Found::Chain(room),
                            _ => Found::Foreign,
                        },
                        _ => Found::Foreign,
                    };
                }
                _ => {}
            }
        }
        if let Some(key) = key {
            if flags & NFT_SET_ELEM_INTERVAL_END != 0 {
                self.ends.insert(key);
            } else {
                self.starts.insert(key, found);
            }
        }
        Ok(())
    }

    /// Returns the intervals and where they lead; `None` when one is not a range of ports, so
    /// that only making the map anew can help.
    pub(crate) fn intervals(&self) -> Option<Vec<(PortRange, Target)>> {
        self.starts
            .iter()
            .map(|(&first, found)| {
                let end = first
                    .checked_add(1)
                    .and_then(|next| self.ends.range(next..).next());
                let last = end.map_or(u16::MAX, |end| end.saturating_sub(1));
                let ports = PortRange::new(first, last).ok()?;
                let target = match found {
                    Found::Drop => Target::Drop,
                    Found::Chain(room) if room.ports == ports => Target::Room(room.variant),
                    Found::Chain(_) | Found::Foreign => Target::Foreign,
                };
                Some((ports, target))
            })
            .collect()
    }
}
