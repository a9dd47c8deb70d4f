//! The table, its two maps and its base chains: what all services share.
//!
//! The rules stand for TCP and UDP apart: `{ tcp, udp }` would be an anonymous set, which a dump
//! of rules does not show.

use pm_core::ruleset::{Direction, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Malformed, Reply};

use crate::expr::Expr;
use crate::fields::Fields;

/// `filter + 20`: after every usual firewall, firewalld's filter + 10 among them.
const PRIORITY: i32 = 20;
// nft's number for the type `inet_service`; the kernel stores it for the admin's nft, which does
// not list a map with a wrong one.
const TYPE_INET_SERVICE: u32 = 13;
const PORT_LENGTH: u32 = 2;
const MAP_FLAGS: u32 = NFT_SET_MAP | NFT_SET_INTERVAL;
// The loopback interface has this index in every network namespace.
const LOOPBACK: [u8; 4] = 1_u32.to_ne_bytes();
/// UDP and TCP, in the order of their rules: of TCP, many packets pass as one (GSO, GRO), so it is
/// UDP that a rule in front costs more.
pub(crate) const PROTOCOLS: [[u8; 1]; 2] = [[17], [6]];

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

/// Returns the hook of the base chain for `direction`.
pub(crate) fn hook(direction: Direction) -> u32 {
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
    a.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
    a.be32(NFTA_SET_DATA_LEN, 0);
    let id = 1 + u32::from(direction == Direction::Out);
    emit_port_set(a, MAP_FLAGS, id, &[(0, 2), (1, 0), (6, 0)]);
}

/// Appends what a set or map of ports is like: its flags, its number in the batch, and what nft
/// itself notes of such a one, by type: the keys are big-endian (0 → 2), the data of a map have
/// no byte order (1 → 0) and are no intervals (6 → 0).
///
/// Source: libnftnl, `include/libnftnl/udata.h`, `enum nftnl_udata_set_types`.
pub(crate) fn emit_port_set(a: &mut Attributes<'_>, flags: u32, id: u32, notes: &[(u8, u32)]) {
    a.be32(NFTA_SET_FLAGS, flags);
    a.be32(NFTA_SET_KEY_TYPE, TYPE_INET_SERVICE);
    a.be32(NFTA_SET_KEY_LEN, PORT_LENGTH);
    a.be32(NFTA_SET_ID, id);
    let userdata: Vec<u8> = notes
        .iter()
        .flat_map(|(kind, value)| [&[*kind, 4], value.to_ne_bytes().as_slice()].concat())
        .collect();
    a.bytes(NFTA_SET_USERDATA, &userdata);
}

/// Appends a base chain at `hook`.
pub(crate) fn emit_chain(a: &mut Attributes<'_>, name: &str, hook: u32) {
    a.string(NFTA_CHAIN_TABLE, TABLE);
    a.string(NFTA_CHAIN_NAME, name);
    a.string(NFTA_CHAIN_TYPE, "filter");
    a.be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
    a.nest(NFTA_CHAIN_HOOK, |a| {
        a.be32(NFTA_HOOK_HOOKNUM, hook);
        a.bytes(NFTA_HOOK_PRIORITY, &PRIORITY.to_be_bytes());
    });
}

/// Returns the rules of a base chain:
///
/// ```text
/// iif != "lo" udp dport vmap @ingress
/// iif != "lo" tcp dport vmap @ingress
/// ```
///
/// The protocol is looked at first: of a TCP packet, the first rule then looks at nothing else.
pub(crate) fn rules(direction: Direction) -> [[Expr<'static>; 6]; 2] {
    let interface = match direction {
        Direction::In => NFT_META_IIF,
        Direction::Out => NFT_META_OIF,
    };
    let register = NFT_REG_1;
    PROTOCOLS.each_ref().map(|protocol| {
        let [load, compare] = is_protocol(protocol);
        [
            load,
            compare,
            Expr::Meta {
                key: interface,
                register,
            },
            Expr::Compare {
                operator: NFT_CMP_NEQ,
                register,
                with: &LOOPBACK,
            },
            port(direction),
            Expr::VerdictMap {
                map: map_name(direction),
                register,
            },
        ]
    })
}

/// Returns what lets only packets of a protocol go on.
pub(crate) fn is_protocol(number: &'static [u8]) -> [Expr<'static>; 2] {
    let register = NFT_REG_1;
    [
        Expr::Meta {
            key: NFT_META_L4PROTO,
            register,
        },
        Expr::Compare {
            operator: NFT_CMP_EQ,
            register,
            with: number,
        },
    ]
}

/// Returns what loads the port that a packet of `direction` is counted by.
pub(crate) fn port(direction: Direction) -> Expr<'static> {
    Expr::Payload {
        base: NFT_PAYLOAD_TRANSPORT_HEADER,
        offset: match direction {
            Direction::In => 2,
            Direction::Out => 0,
        },
        length: PORT_LENGTH,
        register: NFT_REG_1,
    }
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

/// Appends what names the chain of a rule.
pub(crate) fn emit_rule_place(a: &mut Attributes<'_>, chain: &str) {
    a.string(NFTA_RULE_TABLE, TABLE);
    a.string(NFTA_RULE_CHAIN, chain);
}

/// Appends a rule at the end of `chain`.
pub(crate) fn emit_rule(a: &mut Attributes<'_>, chain: &str, expressions: &[Expr<'_>]) {
    emit_rule_place(a, chain);
    a.nest(NFTA_RULE_EXPRESSIONS, |list| {
        for expression in expressions {
            expression.emit(list);
        }
    });
}

/// A set or map of pm's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Set<'a> {
    pub(crate) name: &'a str,
    flags: u32,
    key_type: u32,
    key_length: u32,
    data_type: Option<u32>,
}

impl<'a> Set<'a> {
    /// Reads a set; `None` when it belongs to another table.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Option<Self>, Malformed> {
        let mut table = "";
        let mut set = Set {
            name: "",
            flags: 0,
            key_type: 0,
            key_length: 0,
            data_type: None,
        };
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_SET_TABLE => table = attribute.str()?,
                NFTA_SET_NAME => set.name = attribute.str()?,
                NFTA_SET_FLAGS => set.flags = attribute.be32()?,
                NFTA_SET_KEY_TYPE => set.key_type = attribute.be32()?,
                NFTA_SET_KEY_LEN => set.key_length = attribute.be32()?,
                NFTA_SET_DATA_TYPE => set.data_type = Some(attribute.be32()?),
                _ => {}
            }
        }
        let ours = reply.kind == NFT_MSG_NEWSET && reply.family == NFPROTO_INET && table == TABLE;
        Ok(ours.then_some(set))
    }

    /// Whether it maps ports to verdicts, as pm's two maps do.
    pub(crate) fn is_port_map(&self) -> bool {
        self.has_ports() && (self.flags, self.data_type) == (MAP_FLAGS, Some(NFT_DATA_VERDICT))
    }

    /// Whether it holds ranges of ports, as pm's set does.
    pub(crate) fn is_port_set(&self) -> bool {
        self.has_ports() && (self.flags, self.data_type) == (NFT_SET_INTERVAL, None)
    }

    fn has_ports(&self) -> bool {
        (self.key_type, self.key_length) == (TYPE_INET_SERVICE, PORT_LENGTH)
    }
}

/// A chain of anybody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chain<'a> {
    pub(crate) name: &'a str,
    /// Whether it belongs to pm's table.
    pub(crate) is_ours: bool,
    /// Whether it is hooked in at all.
    pub(crate) is_base: bool,
    /// Whether it is hooked in to translate addresses.
    pub(crate) is_nat: bool,
    // The hook, where it is hooked in as pm would.
    hook: Option<u32>,
}

impl<'a> Chain<'a> {
    /// Reads a chain.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Self, Malformed> {
        let (mut table, mut name, mut kind, mut policy) = ("", "", "", None);
        let (mut is_base, mut hook, mut priority) = (false, None, None);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                // What others call theirs need not be UTF-8.
                NFTA_CHAIN_TABLE => table = attribute.str().unwrap_or_default(),
                NFTA_CHAIN_NAME => name = attribute.str().unwrap_or_default(),
                NFTA_CHAIN_TYPE => kind = attribute.str().unwrap_or_default(),
                NFTA_CHAIN_POLICY => policy = Some(attribute.be32()?),
                NFTA_CHAIN_HOOK => {
                    is_base = true;
                    let fields = Fields::of(&attribute)?;
                    hook = fields.be32(NFTA_HOOK_HOOKNUM)?;
                    priority = fields.be32(NFTA_HOOK_PRIORITY)?;
                }
                _ => {}
            }
        }
        let is_chain = reply.kind == NFT_MSG_NEWCHAIN;
        let is_due = (kind, policy) == ("filter", Some(NF_ACCEPT))
            && priority == Some(u32::from_be_bytes(PRIORITY.to_be_bytes()));
        Ok(Self {
            name,
            is_ours: is_chain && reply.family == NFPROTO_INET && table == TABLE,
            is_base,
            is_nat: is_chain && is_base && kind == "nat",
            hook: hook.filter(|_| is_due),
        })
    }

    /// Whether it is hooked in as pm's base chain at `hook` must be.
    pub(crate) fn is_based(&self, hook: u32) -> bool {
        self.hook == Some(hook)
    }
}
