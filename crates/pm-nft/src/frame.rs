//! The table, its two maps and its base chains: what all services share.
//!
//! The rules stand for TCP and UDP apart: `{ tcp, udp }` would be an anonymous set, which a dump
//! of rules does not show.

use pm_core::ruleset::{Direction, Piece, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Malformed, Reply};

use crate::expr::Expr;

/// `filter + 20`: after every usual firewall, firewalld's filter + 10 among them.
const PRIORITY: i32 = 20;
// nft's number for the type `inet_service`; the kernel stores it for the admin's nft, which does
// not list a map with a wrong one.
const TYPE_INET_SERVICE: u32 = 13;
const PORT_LENGTH: u32 = 2;
const MAP_FLAGS: u32 = NFT_SET_MAP | NFT_SET_INTERVAL;
// The loopback interface has this index in every network namespace.
const LOOPBACK: [u8; 4] = 1_u32.to_ne_bytes();
const PROTOCOLS: [[u8; 1]; 2] = [[6], [17]];

/// Returns the name of the map for `direction`.
pub(crate) fn map_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "ingress",
        Direction::Out => "egress",
    }
}

/// Returns the name of the base chain for `direction`.
pub(crate) fn chain_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "input",
        Direction::Out => "output",
    }
}

fn hook(direction: Direction) -> u32 {
    match direction {
        Direction::In => NF_INET_LOCAL_IN,
        Direction::Out => NF_INET_LOCAL_OUT,
    }
}

/// Appends the table.
pub(crate) fn emit_table(a: &mut Attributes<'_>) {
    a.string(NFTA_TABLE_NAME, TABLE);
    a.be32(NFTA_TABLE_FLAGS, 0);
}

/// Appends what names a map.
pub(crate) fn emit_map_name(a: &mut Attributes<'_>, direction: Direction) {
    a.string(NFTA_SET_TABLE, TABLE);
    a.string(NFTA_SET_NAME, map_name(direction));
}

/// Appends a map: `type inet_service : verdict; flags interval`.
pub(crate) fn emit_map(a: &mut Attributes<'_>, direction: Direction) {
    emit_map_name(a, direction);
    a.be32(NFTA_SET_FLAGS, MAP_FLAGS);
    a.be32(NFTA_SET_KEY_TYPE, TYPE_INET_SERVICE);
    a.be32(NFTA_SET_KEY_LEN, PORT_LENGTH);
    a.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
    a.be32(NFTA_SET_DATA_LEN, 0);
    a.be32(NFTA_SET_ID, 1 + u32::from(direction == Direction::Out));
    a.bytes(NFTA_SET_USERDATA, &map_userdata());
}

/// What nft itself notes of such a map, as type, length and a native integer each: the keys are
/// big-endian (0 → 2), the data have no byte order (1 → 0) and are no intervals (6 → 0).
///
/// Source: libnftnl, `include/libnftnl/udata.h`, `enum nftnl_udata_set_types`.
fn map_userdata() -> Vec<u8> {
    [(0, 2_u32), (1, 0), (6, 0)]
        .iter()
        .flat_map(|(kind, value)| [&[*kind, 4], value.to_ne_bytes().as_slice()].concat())
        .collect()
}

/// Appends a base chain.
pub(crate) fn emit_chain(a: &mut Attributes<'_>, direction: Direction) {
    a.string(NFTA_CHAIN_TABLE, TABLE);
    a.string(NFTA_CHAIN_NAME, chain_name(direction));
    a.string(NFTA_CHAIN_TYPE, "filter");
    a.be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
    a.nest(NFTA_CHAIN_HOOK, |a| {
        a.be32(NFTA_HOOK_HOOKNUM, hook(direction));
        a.bytes(NFTA_HOOK_PRIORITY, &PRIORITY.to_be_bytes());
    });
}

/// Returns the rules of a base chain:
///
/// ```text
/// iif != "lo" tcp dport vmap @ingress
/// iif != "lo" udp dport vmap @ingress
/// ```
///
/// The protocol is looked at first: of a UDP packet, the first rule then looks at nothing else.
pub(crate) fn rules(direction: Direction) -> [[Expr<'static>; 6]; 2] {
    let (interface, offset) = match direction {
        Direction::In => (NFT_META_IIF, 2),
        Direction::Out => (NFT_META_OIF, 0),
    };
    let register = NFT_REG_1;
    PROTOCOLS.each_ref().map(|protocol| {
        [
            Expr::Meta {
                key: NFT_META_L4PROTO,
                register,
            },
            Expr::Compare {
                operator: NFT_CMP_EQ,
                register,
                with: protocol,
            },
            Expr::Meta {
                key: interface,
                register,
            },
            Expr::Compare {
                operator: NFT_CMP_NEQ,
                register,
                with: &LOOPBACK,
            },
            Expr::Payload {
                base: NFT_PAYLOAD_TRANSPORT_HEADER,
                offset,
                length: PORT_LENGTH,
                register,
            },
            Expr::VerdictMap {
                map: map_name(direction),
                register,
            },
        ]
    })
}

/// Whether `rule` does what pm's rule at `position` of a base chain does.
///
/// nft makes of the same text a rule that looks at the interface first; one that somebody saved
/// and loaded again is as good.
pub(crate) fn is_rule(direction: Direction, position: usize, rule: &[Expr<'_>]) -> bool {
    let Some(mut ours) = rules(direction).get(position).copied() else {
        return false;
    };
    if rule == ours {
        return true;
    }
    ours[..4].rotate_left(2);
    rule == ours
}

/// Appends a rule at the end of `chain`.
pub(crate) fn emit_rule(a: &mut Attributes<'_>, chain: &str, expressions: &[Expr<'_>]) {
    a.string(NFTA_RULE_TABLE, TABLE);
    a.string(NFTA_RULE_CHAIN, chain);
    a.nest(NFTA_RULE_EXPRESSIONS, |list| {
        for expression in expressions {
            expression.emit(list);
        }
    });
}

/// A set or map of pm's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Map<'a> {
    pub(crate) name: &'a str,
    pub(crate) piece: Piece,
}

impl<'a> Map<'a> {
    /// Reads a set; `None` when it belongs to another table.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Option<Self>, Malformed> {
        let (mut table, mut name) = ("", "");
        let (mut flags, mut key_type, mut key_length, mut data_type) = (0, 0, 0, 0);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_SET_TABLE => table = attribute.str()?,
                NFTA_SET_NAME => name = attribute.str()?,
                NFTA_SET_FLAGS => flags = attribute.be32()?,
                NFTA_SET_KEY_TYPE => key_type = attribute.be32()?,
                NFTA_SET_KEY_LEN => key_length = attribute.be32()?,
                NFTA_SET_DATA_TYPE => data_type = attribute.be32()?,
                _ => {}
            }
        }
        if reply.kind != NFT_MSG_NEWSET || reply.family != NFPROTO_INET || table != TABLE {
            return Ok(None);
        }
        let ours = (flags, key_type, key_length, data_type)
            == (MAP_FLAGS, TYPE_INET_SERVICE, PORT_LENGTH, NFT_DATA_VERDICT);
        let piece = if ours { Piece::Intact } else { Piece::Damaged };
        Ok(Some(Self { name, piece }))
    }
}

/// A chain of pm's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chain<'a> {
    pub(crate) name: &'a str,
    /// Whether it is hooked in as pm's base chain for the direction.
    based: Option<Direction>,
    /// Whether it is hooked in at all.
    pub(crate) is_base: bool,
}

impl<'a> Chain<'a> {
    /// Reads a chain; `None` when it belongs to another table.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Option<Self>, Malformed> {
        let (mut table, mut name, mut kind, mut policy) = ("", "", "", None);
        let (mut is_base, mut number, mut priority) = (false, None, None);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_CHAIN_TABLE => table = attribute.str()?,
                NFTA_CHAIN_NAME => name = attribute.str()?,
                NFTA_CHAIN_TYPE => kind = attribute.str()?,
                NFTA_CHAIN_POLICY => policy = Some(attribute.be32()?),
                NFTA_CHAIN_HOOK => {
                    is_base = true;
                    for inner in attribute.nested() {
                        let inner = inner?;
                        match inner.kind {
                            NFTA_HOOK_HOOKNUM => number = Some(inner.be32()?),
                            NFTA_HOOK_PRIORITY => priority = Some(inner.be32()?),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if reply.kind != NFT_MSG_NEWCHAIN || reply.family != NFPROTO_INET || table != TABLE {
            return Ok(None);
        }
        let based = Direction::BOTH.into_iter().find(|&direction| {
            (kind, policy, number) == ("filter", Some(NF_ACCEPT), Some(hook(direction)))
                && priority == Some(u32::from_be_bytes(PRIORITY.to_be_bytes()))
        });
        Ok(Some(Self {
            name,
            based,
            is_base,
        }))
    }

    /// Whether it is hooked in as pm's base chain for `direction` must be.
    pub(crate) fn is_based(&self, direction: Direction) -> bool {
        self.based == Some(direction)
    }
}
