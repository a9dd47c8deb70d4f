//! The rules of a room's two chains.
//!
//! ```text
//! chain out_20000 {
//!     limit name "l_out_20000_781250" drop
//!     quota name "q_20000" drop
//!     counter name "out_20000" meta priority set 706d:4e20 accept
//! }
//! ```
//!
//! The limit stands first, so that what it drops is not billed; the counter last, so that it
//! counts what passed. Its rule accepts, which a packet at the end of these chains would be
//! anyway, so that a chain that was loaded twice counts once.

use std::collections::BTreeMap;

use pm_core::config::Mode;
use pm_core::holder::Holder;
use pm_core::ruleset::{
    Class, Direction, LimitId, Metered, Metering, Policing, QuotaId, Room, RoomId, TABLE,
};
use pm_netlink::Attributes;
use pm_netlink::nf_tables::*;

use crate::class;
use crate::expr::{Expr, Verdict};
use crate::found::Both;

/// Appends what names a chain.
pub(crate) fn emit_chain(a: &mut Attributes<'_>, name: &str) {
    a.string(NFTA_CHAIN_TABLE, TABLE);
    a.string(NFTA_CHAIN_NAME, name);
}

/// One of a room's two chains, with its name, which is its counter's too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RoomChain {
    pub(crate) room: RoomId,
    pub(crate) direction: Direction,
    pub(crate) name: String,
}

impl RoomChain {
    pub(crate) fn of(room: RoomId, direction: Direction) -> Self {
        let name = room.chain(direction);
        Self {
            room,
            direction,
            name,
        }
    }

    /// Returns the chain of that name, if it can be a room's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (room, direction) = RoomId::parse_chain(name)?;
        Some(Self {
            room,
            direction,
            name: name.to_owned(),
        })
    }

    /// The part of the name that the room's other objects share.
    fn stem(&self) -> &str {
        self.name
            .split_once('_')
            .map_or(self.name.as_str(), |(_, stem)| stem)
    }
}

/// What one of a room's chains holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Contents {
    /// From how many bytes a second on it drops.
    pub(crate) limit: Option<u64>,
    /// The quota that its packets count under.
    pub(crate) quota: Option<QuotaId>,
    /// The class that it gives.
    pub(crate) class: Option<Class>,
}

impl Contents {
    /// Returns what `room`'s chain for `direction` must hold.
    pub(crate) fn of(room: &Room, direction: Direction) -> Self {
        let mut quotas = room.metering.iter().flat_map(Metering::quotas);
        Self {
            limit: room.policing.of(direction),
            quota: quotas.find(|quota| quota.metered.covers(direction)),
            class: match direction {
                Direction::In => None,
                Direction::Out => room.class,
            },
        }
    }

    /// Hands each rule of `chain` to `each`, in order.
    pub(crate) fn rules(&self, chain: &RoomChain, mut each: impl FnMut(&[Expr<'_>])) {
        if let Some(rate) = self.limit {
            let id = LimitId {
                room: chain.room,
                direction: chain.direction,
                rate,
            };
            each(&drop_rule(NFT_OBJECT_LIMIT, &id.to_string()));
        }
        if let Some(quota) = &self.quota {
            each(&drop_rule(NFT_OBJECT_QUOTA, &quota.to_string()));
        }
        let mut rule = vec![counter(&chain.name)];
        if let Some(class) = self.class {
            rule.extend_from_slice(&class::expressions(class));
        }
        rule.push(Expr::Verdict(Verdict::Accept));
        each(&rule);
    }
}

fn drop_rule(kind: u32, name: &str) -> [Expr<'_>; 2] {
    [Expr::Object { kind, name }, Expr::Verdict(Verdict::Drop)]
}

fn counter(name: &str) -> Expr<'_> {
    Expr::Object {
        kind: NFT_OBJECT_COUNTER,
        name,
    }
}

/// What a room's chain was found to hold, rule after rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rules {
    contents: Contents,
    seen: Seen,
}

/// Which rule came last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Seen {
    #[default]
    Nothing,
    Limit,
    Quota,
    Counter,
    /// One that pm would not write there.
    Foreign,
}

impl Rules {
    /// Takes in the next rule of `chain`.
    pub(crate) fn add(&mut self, chain: &RoomChain, rule: &[Expr<'_>], quotas: &mut QuotaNames) {
        self.seen = match (rule, self.seen) {
            (
                &[
                    Expr::Object {
                        kind: NFT_OBJECT_LIMIT,
                        name,
                    },
                    Expr::Verdict(Verdict::Drop),
                ],
                Seen::Nothing,
            ) => {
                self.contents.limit = limit_rate(chain, name);
                self.contents.limit.map(|_| Seen::Limit)
            }
            (
                &[
                    Expr::Object {
                        kind: NFT_OBJECT_QUOTA,
                        name,
                    },
                    Expr::Verdict(Verdict::Drop),
                ],
                Seen::Nothing | Seen::Limit,
            ) => {
                self.contents.quota = quotas.parse(chain, name);
                self.contents.quota.as_ref().map(|_| Seen::Quota)
            }
            (
                [first, class @ .., Expr::Verdict(Verdict::Accept)],
                Seen::Nothing | Seen::Limit | Seen::Quota,
            ) if *first == counter(&chain.name) => {
                self.contents.class = class::parse(class);
                let is_due = class.is_empty() || chain.direction == Direction::Out;
                let is_known = class.is_empty() || self.contents.class.is_some();
                (is_due && is_known).then_some(Seen::Counter)
            }
            _ => None,
        }
        .unwrap_or(Seen::Foreign);
    }

    /// Returns what the chain holds; `None` when it is not as pm makes it.
    fn contents(&self) -> Option<&Contents> {
        (self.seen == Seen::Counter).then_some(&self.contents)
    }
}

/// Returns the room of which both chains are.
pub(crate) fn room(rules: &Both<Rules>) -> Option<Room> {
    let (incoming, outgoing) = (rules.incoming.contents()?, rules.outgoing.contents()?);
    let metering = match (&incoming.quota, &outgoing.quota) {
        (None, None) => None,
        (incoming, Some(outgoing)) => Some(metering(incoming.as_ref(), outgoing)?),
        (Some(_), None) => return None,
    };
    Some(Room {
        policing: Policing {
            incoming: incoming.limit,
            outgoing: outgoing.limit,
        },
        metering,
        class: outgoing.class,
    })
}

fn metering(incoming: Option<&QuotaId>, outgoing: &QuotaId) -> Option<Metering> {
    let mode = match (incoming.map(|quota| quota.metered), outgoing.metered) {
        (Some(Metered::Both), Metered::Both) => Mode::Both,
        (None, Metered::Out) => Mode::Out,
        (Some(Metered::In), Metered::Out) => Mode::Max,
        _ => return None,
    };
    let is_one_set = incoming.is_none_or(|incoming| {
        (&incoming.holder, incoming.variant) == (&outgoing.holder, outgoing.variant)
    });
    is_one_set.then(|| Metering {
        holder: outgoing.holder.clone(),
        variant: outgoing.variant,
        mode,
    })
}

/// Compares the names' stems instead of parsing the whole: this runs for each room.
fn limit_rate(chain: &RoomChain, name: &str) -> Option<u64> {
    let digits = name
        .strip_prefix("l_")?
        .strip_prefix(chain.name.as_str())?
        .strip_prefix('_')?;
    // `+5` and `05` are nothing that pm would write.
    let is_canonical = digits.starts_with(|first: char| matches!(first, '1'..='9'));
    digits.parse().ok().filter(|_| is_canonical)
}

/// The quotas that rules name. A group's is named by many.
#[derive(Debug, Default)]
pub(crate) struct QuotaNames(BTreeMap<String, Option<QuotaId>>);

impl QuotaNames {
    fn parse(&mut self, chain: &RoomChain, name: &str) -> Option<QuotaId> {
        let own = Metered::ALL
            .into_iter()
            .find(|&metered| name.strip_prefix(metered.prefix()) == Some(chain.stem()));
        if let Some(metered) = own {
            return Some(QuotaId {
                holder: Holder::Service(chain.room.ports),
                variant: chain.room.variant,
                metered,
            });
        }
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let quota = QuotaId::parse(name);
        self.0.insert(name.to_owned(), quota.clone());
        quota
    }
}
