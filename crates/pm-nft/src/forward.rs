//! What counts forwarded packets: a base chain, and the set of ports that are routed.
//!
//! ```text
//! set routed {
//!     type inet_service
//!     flags interval
//!     elements = { 25565 }
//! }
//!
//! chain forward {
//!     type filter hook forward priority filter + 20; policy accept;
//!     meta l4proto udp ct status dnat ct direction original ct original proto-dst vmap @ingress
//!     meta l4proto udp ct status dnat ct direction reply ct original proto-dst vmap @egress
//!     … and for tcp
//!     ct status dnat accept
//!     udp dport @routed udp dport vmap @ingress
//!     udp sport @routed udp sport vmap @egress
//!     … and for tcp
//! }
//! ```
//!
//! - A packet whose destination was translated is a service's by the port that it was sent to
//!   first, whatever port its container listens on; none of these reaches the rules of routed
//!   ports.
//! - Without that, and without being routed on purpose, a forwarded packet is nobody's: a guest
//!   that browses somebody's port 443 must not be billed to the host's 443.
//! - A rule that looks at connections switches their tracking on: where no address is translated,
//!   there is none.

use std::collections::BTreeSet;

use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, Forwarding, TABLE};
use pm_netlink::Attributes;
use pm_netlink::nf_tables::*;

use crate::expr::{Expr, Verdict};
use crate::frame::{self, PROTOCOLS, map_name};

/// The name of the base chain.
pub(crate) const CHAIN: &str = "forward";
/// The name of the set.
pub(crate) const SET: &str = "routed";

const REGISTER: u32 = NFT_REG_1;
const IS_TRANSLATED: [u8; 4] = IPS_DST_NAT.to_ne_bytes();
const NOTHING: [u8; 4] = [0; 4];

/// One of [`PROTOCOLS`].
type Protocol = &'static [u8];

/// A rule of the base chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// Leads translated packets of a direction to their rooms.
    Translated(Direction, Protocol),
    /// Keeps other translated packets from what follows.
    AcceptTranslated,
    /// Leads routed packets of a direction to their rooms.
    Routed(Direction, Protocol),
}

/// Returns the rules that it takes for translated and for routed packets, in order.
pub(crate) fn rules(dnat: bool, routed: bool) -> Vec<Rule> {
    let twins = |rule: fn(Direction, Protocol) -> Rule| {
        let protocols = PROTOCOLS.each_ref().into_iter();
        protocols.flat_map(move |protocol| Direction::BOTH.map(|way| rule(way, protocol)))
    };
    let mut rules = Vec::new();
    if dnat {
        rules.extend(twins(Rule::Translated));
    }
    if dnat && routed {
        rules.push(Rule::AcceptTranslated);
    }
    if routed {
        rules.extend(twins(Rule::Routed));
    }
    rules
}

impl Rule {
    /// Returns the rule that these expressions are.
    pub(crate) fn parse(expressions: &[Expr<'_>]) -> Option<Self> {
        let mut all = rules(true, true).into_iter();
        all.find(|rule| rule.expressions() == expressions)
    }

    /// Returns the rule's expressions, as nft makes them of the text.
    pub(crate) fn expressions(self) -> Vec<Expr<'static>> {
        match self {
            Self::Translated(direction, protocol) => {
                let mut rule = frame::is_protocol(protocol).to_vec();
                rule.extend(is_translated());
                rule.extend(is_going(direction));
                rule.push(Expr::Ct {
                    key: NFT_CT_PROTO_DST,
                    direction: Some(IP_CT_DIR_ORIGINAL),
                    register: REGISTER,
                });
                rule.push(lookup(direction));
                rule
            }
            Self::AcceptTranslated => {
                let mut rule = is_translated().to_vec();
                rule.push(Expr::Verdict(Verdict::Accept));
                rule
            }
            Self::Routed(direction, protocol) => {
                let mut rule = frame::is_protocol(protocol).to_vec();
                rule.push(frame::port(direction));
                rule.push(Expr::Set {
                    set: SET,
                    register: REGISTER,
                });
                rule.push(frame::port(direction));
                rule.push(lookup(direction));
                rule
            }
        }
    }
}

fn is_translated() -> [Expr<'static>; 3] {
    [
        Expr::Ct {
            key: NFT_CT_STATUS,
            direction: None,
            register: REGISTER,
        },
        Expr::Bitwise {
            from: REGISTER,
            register: REGISTER,
            mask: IS_TRANSLATED,
            xor: NOTHING,
        },
        Expr::Compare {
            operator: NFT_CMP_NEQ,
            register: REGISTER,
            with: &NOTHING,
        },
    ]
}

/// Whether a packet goes the way that its connection was opened in, or answers.
fn is_going(direction: Direction) -> [Expr<'static>; 2] {
    [
        Expr::Ct {
            key: NFT_CT_DIRECTION,
            direction: None,
            register: REGISTER,
        },
        Expr::Compare {
            operator: NFT_CMP_EQ,
            register: REGISTER,
            with: match direction {
                Direction::In => &[IP_CT_DIR_ORIGINAL],
                Direction::Out => &[IP_CT_DIR_REPLY],
            },
        },
    ]
}

fn lookup(direction: Direction) -> Expr<'static> {
    Expr::VerdictMap {
        map: map_name(direction),
        register: REGISTER,
    }
}

/// Appends what names the set.
pub(crate) fn emit_set_name(a: &mut Attributes<'_>) {
    a.string(NFTA_SET_TABLE, TABLE);
    a.string(NFTA_SET_NAME, SET);
}

/// Appends the set: `type inet_service; flags interval`.
pub(crate) fn emit_set(a: &mut Attributes<'_>) {
    emit_set_name(a);
    frame::emit_port_set(a, NFT_SET_INTERVAL, 3, &[(0, 2)]);
}

/// Returns what the base chain and the set amount to: the chain's rules, the set's ports.
pub(crate) fn judge(found: &[Rule], ports: Option<BTreeSet<PortRange>>) -> Option<Forwarding> {
    let routed = ports.unwrap_or_default();
    let forwarding = [true, false].map(|dnat| Forwarding {
        dnat,
        routed: routed.clone(),
    });
    forwarding.into_iter().find(|forwarding| {
        let rules = rules(forwarding.dnat, !forwarding.routed.is_empty());
        !rules.is_empty() && rules == found
    })
}
