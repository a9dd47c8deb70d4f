//! Elements of the two interval verdict maps, and of the set of routed ports.
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

use crate::expr::Verdict;
use crate::fields::Fields;

/// One interval: to add to a map, with the verdict, or without, to a set or to delete.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) ports: PortRange,
    pub(crate) target: Option<Goal>,
}

/// Where an interval leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    Room(RoomId, Direction),
    Drop,
}

/// Appends what names a set whose elements are meant.
pub(crate) fn emit_set_name(a: &mut Attributes<'_>, set: &str) {
    a.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
    a.string(NFTA_SET_ELEM_LIST_SET, set);
}

/// Appends a message's worth of elements of a map or set.
pub(crate) fn emit(a: &mut Attributes<'_>, set: &str, intervals: &[Interval]) {
    emit_set_name(a, set);
    a.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
        for interval in intervals {
            list.nest(NFTA_LIST_ELEM, |element| {
                emit_key(element, interval.ports.first());
                match interval.target {
                    Some(Goal::Room(room, direction)) => {
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

/// The elements of one map or set, as a dump brings them.
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
    /// Takes in one message of a dump of the map for `direction`; of a set, for any.
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
        let fields = Fields::of(element)?;
        let key = fields.data(NFTA_SET_ELEM_KEY)?;
        // A map with keys of another length is damaged, and its elements unread.
        let Some(key) = key.and_then(|key| Some(u16::from_be_bytes(key.try_into().ok()?))) else {
            return Ok(());
        };
        if fields.be32(NFTA_SET_ELEM_FLAGS)?.unwrap_or_default() & NFT_SET_ELEM_INTERVAL_END != 0 {
            self.ends.insert(key);
            return Ok(());
        }
        let data = fields.find(NFTA_SET_ELEM_DATA);
        let verdict = data
            .map(|data| Verdict::parse(&data))
            .transpose()?
            .flatten();
        let found = match verdict {
            Some(Verdict::Drop) => Found::Drop,
            Some(Verdict::Goto(chain)) => match RoomId::parse_chain(chain) {
                Some((room, way)) if way == direction => Found::Chain(room),
                _ => Found::Foreign,
            },
            _ => Found::Foreign,
        };
        self.starts.insert(key, found);
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

    /// Returns the intervals of a set; `None` when one is not a range of ports.
    pub(crate) fn ranges(&self) -> Option<BTreeSet<PortRange>> {
        let intervals = self.intervals()?;
        Some(intervals.into_iter().map(|(ports, _)| ports).collect())
    }
}
