//! Dumps, taken in message by message.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::ruleset::{Direction, Epoch, LimitId, Piece, QuotaId, RoomId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Malformed, Reply};

use crate::expr::Expr;
use crate::forward;
use crate::frame::{self, Chain, Set};
use crate::limit::Limit;
use crate::object::{Object, State};
use crate::room::{QuotaNames, RoomChain, Rules};

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

/// The chains of the table, and whether any chain of any table translates addresses.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) rooms: BTreeMap<RoomId, Both<Piece>>,
    pub(crate) based: Both<Piece>,
    pub(crate) forward: Piece,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) has_nat: bool,
}

impl Chains {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let chain = Chain::parse(reply)?;
        self.has_nat |= chain.is_nat;
        if !chain.is_ours {
            return Ok(());
        }
        if let Some(direction) = based(chain.name) {
            *self.based.of_mut(direction) = judged(chain.is_based(frame::hook(direction)));
        } else if chain.name == forward::CHAIN {
            self.forward = judged(chain.is_based(NF_INET_FORWARD));
        } else if let Some((room, direction)) = RoomId::parse_chain(chain.name) {
            // A hook would lead every packet of the host into one service's room.
            *self.rooms.entry(room).or_default().of_mut(direction) = judged(!chain.is_base);
        } else if let Some(epoch) = Epoch::parse_chain(chain.name) {
            self.epochs.push(epoch);
        }
        Ok(())
    }
}

/// Returns the direction whose base chain has this name.
fn based(name: &str) -> Option<Direction> {
    let mut all = Direction::BOTH.into_iter();
    all.find(|&direction| frame::chain_name(direction) == name)
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
pub(crate) struct Sets {
    pub(crate) maps: Both<Piece>,
    pub(crate) routed: Piece,
    pub(crate) blocked_ports: bool,
}

impl Sets {
    pub(crate) fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(set) = Set::parse(reply)? else {
            return Ok(());
        };
        self.blocked_ports |= set.name == PM_SH_SET;
        let direction = Direction::BOTH
            .into_iter()
            .find(|&direction| frame::map_name(direction) == set.name);
        if let Some(direction) = direction {
            *self.maps.of_mut(direction) = judged(set.is_port_map());
        } else if set.name == forward::SET {
            self.routed = judged(set.is_port_set());
        }
        Ok(())
    }
}

/// The rules of the table, as far as they stand in pm's chains.
#[derive(Debug, Default)]
pub(crate) struct AllRules {
    pub(crate) rooms: BTreeMap<RoomId, Both<Rules>>,
    // How many of the base chain's own rules have come, in order; `None` after any other.
    base: Both<Option<usize>>,
    base_seen: Both<bool>,
    forward: Vec<Option<forward::Rule>>,
    quotas: QuotaNames,
    // The chain of the last rule, which is the chain of the next one too.
    chain: String,
    of: Option<RoomChain>,
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
            self.of = RoomChain::parse(chain);
        }
        let rule = match &expressions {
            Some(list) => Expr::parse_list(list)?,
            None => Vec::new(),
        };
        if let Some(of) = &self.of {
            let rules = self.rooms.entry(of.room).or_default();
            rules.of_mut(of.direction).add(of, &rule, &mut self.quotas);
        } else if let Some(direction) = based(chain) {
            let first = !std::mem::replace(self.base_seen.of_mut(direction), true);
            let seen = self.base.of_mut(direction);
            let position = if first { Some(0) } else { *seen };
            *seen = position.filter(|&position| frame::is_rule(direction, position, &rule));
            *seen = seen.map(|position| position + 1);
        } else if chain == forward::CHAIN {
            self.forward.push(forward::Rule::parse(&rule));
        }
        Ok(())
    }

    /// Whether the base chain for `direction` has its own rules and no others.
    pub(crate) fn is_base_complete(&self, direction: Direction) -> bool {
        *self.base.of(direction) == Some(frame::rules(direction).len())
    }

    /// Returns the rules of the forward chain; `None` where one is not pm's.
    pub(crate) fn forward(&self) -> Option<Vec<forward::Rule>> {
        self.forward.iter().copied().collect()
    }
}

/// The objects of the table.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) rooms: BTreeMap<RoomId, RoomObjects>,
    // `None` is a quota that pm would not make.
    pub(crate) quotas: BTreeMap<QuotaId, Option<u64>>,
    pub(crate) pm_sh: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RoomObjects {
    pub(crate) counters: Both<bool>,
    pub(crate) limits: BTreeSet<(Direction, u64)>,
    // A limit that does not do what it is named for.
    pub(crate) has_odd_limit: bool,
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
                    let room = self.rooms.entry(room).or_default();
                    *room.counters.of_mut(direction) = true;
                }
            }
            State::Quota { limit, over, .. } => {
                if let Some(quota) = QuotaId::parse(object.name) {
                    let limit = (over && limit > 0).then_some(limit);
                    self.quotas.insert(quota, limit);
                }
            }
            State::Limit(limit) => {
                if let Some(id) = LimitId::parse(object.name) {
                    let room = self.rooms.entry(id.room).or_default();
                    room.limits.insert((id.direction, id.rate));
                    room.has_odd_limit |= limit != Limit::of(id);
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
