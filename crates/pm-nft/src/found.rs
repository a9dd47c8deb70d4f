//! Dumps, taken in message by message.

use std::collections::BTreeMap;

use pm_core::ruleset::{Direction, Epoch, Piece, RoomId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Malformed, Reply};

use crate::expr::Expr;
use crate::frame::{self, Chain, Map};
use crate::object::{Object, State};
use crate::room::Rules;

/// One value a direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Both<T> {
    pub(crate) incoming: T,
    pub(crate) outgoing: T,
}

impl<T> Both<T> {
    pub(crate) fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::In => &self.incoming,
            Direction::Out => &self.outgoing,
        }
    }

    pub(crate) fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::In => &mut self.incoming,
            Direction::Out => &mut self.outgoing,
        }
    }
}

/// The chains of the table.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) rooms: BTreeMap<RoomId, Both<Piece>>,
    pub(crate) based: Both<Piece>,
    pub(crate) epochs: Vec<Epoch>,
}

impl Chains {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(chain) = Chain::parse(reply)? else {
            return Ok(());
        };
        if let Some(direction) = Direction::BOTH
            .into_iter()
            .find(|&way| frame::chain_name(way) == chain.name)
        {
            *self.based.of_mut(direction) = judged(chain.is_based(direction));
        } else if let Some((room, direction)) = RoomId::parse_chain(chain.name) {
            // A hook would lead every packet of the host into one service's room.
            *self.rooms.entry(room).or_default().of_mut(direction) = judged(!chain.is_base);
        } else if let Some(epoch) = Epoch::parse_chain(chain.name) {
            self.epochs.push(epoch);
        }
        Ok(())
    }
}

fn judged(intact: bool) -> Piece {
    if intact {
        Piece::Intact
    } else {
        Piece::Damaged
    }
}

/// The sets and maps of the table.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) ours: Both<Piece>,
    pub(crate) blocked_ports: bool,
}

impl Maps {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(map) = Map::parse(reply)? else {
            return Ok(());
        };
        self.blocked_ports |= map.name == PM_SH_SET;
        if let Some(direction) = Direction::BOTH
            .into_iter()
            .find(|&way| frame::map_name(way) == map.name)
        {
            *self.ours.of_mut(direction) = map.piece;
        }
        Ok(())
    }

    /// Whether the map for `direction` can be dumped for its elements.
    pub(crate) fn is_intact(&self, direction: Direction) -> bool {
        *self.ours.of(direction) == Piece::Intact
    }
}

/// The rules of the table, as far as they stand in pm's chains.
#[derive(Debug, Default)]
pub(crate) struct AllRules {
    pub(crate) rooms: BTreeMap<RoomId, Both<Rules>>,
    // How many of the base chain's own rules have come, in order; `None` after any other.
    base: Both<Option<usize>>,
    base_seen: Both<bool>,
    // The chain of the last rule, which is the chain of the next one too.
    chain: String,
    of: Option<(RoomId, Direction)>,
}

impl AllRules {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let (mut table, mut chain, mut expressions) = ("", "", None);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_RULE_TABLE => table = attribute.str()?,
                NFTA_RULE_CHAIN => chain = attribute.str()?,
                NFTA_RULE_EXPRESSIONS => expressions = Some(attribute),
                _ => {}
            }
        }
        if reply.kind != NFT_MSG_NEWRULE || reply.family != NFPROTO_INET || table != TABLE {
            return Ok(());
        }
        if self.chain != chain {
            chain.clone_into(&mut self.chain);
            self.of = RoomId::parse_chain(chain);
        }
        let rule = match &expressions {
            Some(list) => Expr::parse_list(list)?,
            None => Vec::new(),
        };
        if let Some((room, direction)) = self.of {
            let rules = self.rooms.entry(room).or_default().of_mut(direction);
            *rules = rules.then(chain, &rule);
        } else if let Some(direction) = Direction::BOTH
            .into_iter()
            .find(|&way| frame::chain_name(way) == chain)
        {
            let first = !std::mem::replace(self.base_seen.of_mut(direction), true);
            let seen = self.base.of_mut(direction);
            let position = if first { Some(0) } else { *seen };
            *seen = position.filter(|&position| frame::is_rule(direction, position, &rule));
            *seen = seen.map(|position| position + 1);
        }
        Ok(())
    }

    /// Whether the base chain for `direction` has its own rules and no others.
    pub(crate) fn is_base_complete(&self, direction: Direction) -> bool {
        *self.base.of(direction) == Some(frame::rules(direction).len())
    }
}

/// The objects of the table.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) rooms: BTreeMap<RoomId, RoomObjects>,
    pub(crate) pm_sh: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoomObjects {
    pub(crate) counters: Both<bool>,
    // `Some(None)` is a quota that pm would not make.
    pub(crate) quota: Option<Option<u64>>,
}

impl Objects {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(object) = Object::parse(reply)? else {
            return Ok(());
        };
        match object.state {
            State::Counter { .. } => {
                self.pm_sh |= is_pm_sh_counter(object.name);
                if let Some((room, direction)) = RoomId::parse_chain(object.name) {
                    *self
                        .rooms
                        .entry(room)
                        .or_default()
                        .counters
                        .of_mut(direction) = true;
                }
            }
            State::Quota { limit, over, .. } => {
                if let Some(room) = RoomId::parse_quota(object.name) {
                    let limit = (over && limit > 0).then_some(limit);
                    self.rooms.entry(room).or_default().quota = Some(limit);
                }
            }
            State::Foreign => {}
        }
        Ok(())
    }
}

/// The name of pm.sh's set of blocked ports.
pub(crate) const PM_SH_SET: &str = "blocked_ports";

/// Whether pm.sh would name a counter so: `cnt_in_` or `cnt_out_` and a port.
pub(crate) fn is_pm_sh_counter(name: &str) -> bool {
    ["cnt_in_", "cnt_out_"]
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .any(|port| port.starts_with(|c: char| c.is_ascii_digit()))
}
