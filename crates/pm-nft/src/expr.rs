//! Rule expressions: the few that pm's rules are made of, to bytes and back.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_expr_attributes` and the enum of
//! each expression; the encodings are those of nft 1.0.6 (`nft --debug=netlink,mnl`).

mod parse;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use verdict::Verdict;

use pm_netlink::Attributes;
use pm_netlink::nf_tables::*;

/// One expression of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expr<'a> {
    /// `meta`: loads a property of the packet.
    Meta { key: u32, register: u32 },
    /// `meta`: sets a property of the packet.
    SetMeta { key: u32, register: u32 },
    /// `ct`: loads a property of the packet's connection, of one of its directions where it has
    /// one each.
    Ct {
        key: u32,
        direction: Option<u8>,
        register: u32,
    },
    /// `bitwise` on one register: and, then exclusive or.
    Bitwise {
        from: u32,
        register: u32,
        mask: [u8; 4],
        xor: [u8; 4],
    },
    /// `cmp`: leaves the rule unless the register compares so with the bytes.
    Compare {
        operator: u32,
        register: u32,
        with: &'a [u8],
    },
    /// `payload`: loads bytes of the packet.
    Payload {
        base: u32,
        offset: u32,
        length: u32,
        register: u32,
    },
    /// `lookup` in a set: leaves the rule unless it is in there.
    Set { set: &'a str, register: u32 },
    /// `lookup` in a verdict map.
    VerdictMap { map: &'a str, register: u32 },
    /// `objref`: runs a named object.
    Object { kind: u32, name: &'a str },
    /// `immediate` into a register.
    Immediate { register: u32, value: [u8; 4] },
    /// `immediate` into the verdict register.
    Verdict(Verdict<'a>),
    /// Anything that pm never writes.
    Foreign,
}

impl Expr<'_> {
    /// Appends the expression as a list element; [`Expr::Foreign`] has no encoding.
    pub(crate) fn emit(self, list: &mut Attributes<'_>) {
        let name = match self {
            Self::Meta { .. } | Self::SetMeta { .. } => "meta",
            Self::Ct { .. } => "ct",
            Self::Bitwise { .. } => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Payload { .. } => "payload",
            Self::Set { .. } | Self::VerdictMap { .. } => "lookup",
            Self::Object { .. } => "objref",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Foreign => return,
        };
        list.nest(NFTA_LIST_ELEM, |element| {
            element.string(NFTA_EXPR_NAME, name);
            element.nest(NFTA_EXPR_DATA, |data| self.emit_data(data));
        });
    }

    fn emit_data(self, a: &mut Attributes<'_>) {
        match self {
            Self::Meta { key, register } => {
                a.be32(NFTA_META_KEY, key);
                a.be32(NFTA_META_DREG, register);
            }
            Self::SetMeta { key, register } => {
                a.be32(NFTA_META_KEY, key);
                a.be32(NFTA_META_SREG, register);
            }
            Self::Ct {
                key,
                direction,
                register,
            } => {
                a.be32(NFTA_CT_KEY, key);
                a.be32(NFTA_CT_DREG, register);
                if let Some(direction) = direction {
                    a.bytes(NFTA_CT_DIRECTION, &[direction]);
                }
            }
            Self::Bitwise {
                from,
                register,
                mask,
                xor,
            } => {
                a.be32(NFTA_BITWISE_SREG, from);
                a.be32(NFTA_BITWISE_DREG, register);
                a.be32(NFTA_BITWISE_LEN, 4);
                a.nest(NFTA_BITWISE_MASK, |data| data.bytes(NFTA_DATA_VALUE, &mask));
                a.nest(NFTA_BITWISE_XOR, |data| data.bytes(NFTA_DATA_VALUE, &xor));
            }
            Self::Compare {
                operator,
                register,
                with,
            } => {
                a.be32(NFTA_CMP_SREG, register);
                a.be32(NFTA_CMP_OP, operator);
                a.nest(NFTA_CMP_DATA, |data| data.bytes(NFTA_DATA_VALUE, with));
            }
            Self::Payload {
                base,
                offset,
                length,
                register,
            } => {
                a.be32(NFTA_PAYLOAD_DREG, register);
                a.be32(NFTA_PAYLOAD_BASE, base);
                a.be32(NFTA_PAYLOAD_OFFSET, offset);
                a.be32(NFTA_PAYLOAD_LEN, length);
            }
            Self::Set { set, register } => {
                a.be32(NFTA_LOOKUP_SREG, register);
                a.string(NFTA_LOOKUP_SET, set);
            }
            Self::VerdictMap { map, register } => {
                a.be32(NFTA_LOOKUP_SREG, register);
                a.be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
                a.string(NFTA_LOOKUP_SET, map);
            }
            Self::Object { kind, name } => {
                a.be32(NFTA_OBJREF_IMM_TYPE, kind);
                a.string(NFTA_OBJREF_IMM_NAME, name);
            }
            Self::Immediate { register, value } => {
                a.be32(NFTA_IMMEDIATE_DREG, register);
                a.nest(NFTA_IMMEDIATE_DATA, |data| {
                    data.bytes(NFTA_DATA_VALUE, &value);
                });
            }
            Self::Verdict(verdict) => {
                a.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                a.nest(NFTA_IMMEDIATE_DATA, |data| verdict.emit(data));
            }
            Self::Foreign => {}
        }
    }
}
