//! Rule expressions: the few that pm's rules are made of, to bytes and back.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_expr_attributes` and the enum of
//! each expression; the encodings are those of nft 1.0.6 (`nft --debug=netlink,mnl`).

use pm_netlink::nf_tables::*;
use pm_netlink::{Attribute, Attributes, Malformed};

/// One expression of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expr<'a> {
    /// `meta`: loads a property of the packet.
    Meta { key: u32, register: u32 },
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
    /// `lookup` in a verdict map.
    VerdictMap { map: &'a str, register: u32 },
    /// `objref`: runs a named object.
    Object { kind: u32, name: &'a str },
    /// `immediate` into the verdict register.
    Verdict(Verdict<'a>),
    /// Anything that pm never writes.
    Foreign,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict<'a> {
    Accept,
    Drop,
    Goto(&'a str),
    Foreign,
}

impl<'a> Expr<'a> {
    /// Appends the expression as a list element; [`Expr::Foreign`] has no encoding.
    pub(crate) fn emit(self, list: &mut Attributes<'_>) {
        let (name, fill): (&str, &dyn Fn(&mut Attributes<'_>)) = match self {
            Self::Meta { key, register } => ("meta", &move |a| {
                a.be32(NFTA_META_KEY, key);
                a.be32(NFTA_META_DREG, register);
            }),
            Self::Compare {
                operator,
                register,
                with,
            } => ("cmp", &move |a| {
                a.be32(NFTA_CMP_SREG, register);
                a.be32(NFTA_CMP_OP, operator);
                a.nest(NFTA_CMP_DATA, |data| data.bytes(NFTA_DATA_VALUE, with));
            }),
            Self::Payload {
                base,
                offset,
                length,
                register,
            } => ("payload", &move |a| {
                a.be32(NFTA_PAYLOAD_DREG, register);
                a.be32(NFTA_PAYLOAD_BASE, base);
                a.be32(NFTA_PAYLOAD_OFFSET, offset);
                a.be32(NFTA_PAYLOAD_LEN, length);
            }),
            Self::VerdictMap { map, register } => ("lookup", &move |a| {
                a.be32(NFTA_LOOKUP_SREG, register);
                a.be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
                a.string(NFTA_LOOKUP_SET, map);
            }),
            Self::Object { kind, name } => ("objref", &move |a| {
                a.be32(NFTA_OBJREF_IMM_TYPE, kind);
                a.string(NFTA_OBJREF_IMM_NAME, name);
            }),
            Self::Verdict(verdict) => ("immediate", &move |a| {
                a.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                a.nest(NFTA_IMMEDIATE_DATA, |data| verdict.emit(data));
            }),
            Self::Foreign => return,
        };
        list.nest(NFTA_LIST_ELEM, |element| {
            element.string(NFTA_EXPR_NAME, name);
            element.nest(NFTA_EXPR_DATA, fill);
        });
    }

    /// Reads a rule's expression list.
    pub(crate) fn parse_list(list: &Attribute<'a>) -> Result<Vec<Self>, Malformed> {
        list.nested()
            .map(|element| Self::parse(&element?))
            .collect()
    }

    fn parse(element: &Attribute<'a>) -> Result<Self, Malformed> {
        let (mut name, mut data) = ("", None);
        for attribute in element.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_EXPR_NAME => name = attribute.str()?,
                NFTA_EXPR_DATA => data = Some(attribute),
                _ => {}
            }
        }
        let Some(data) = data else {
            return Ok(Self::Foreign);
        };
        let parsed = match name {
            "meta" => Self::parse_meta(&data)?,
            "cmp" => Self::parse_compare(&data)?,
            "payload" => Self::parse_payload(&data)?,
            "lookup" => Self::parse_lookup(&data)?,
            "objref" => Self::parse_object(&data)?,
            "immediate" => Self::parse_immediate(&data)?,
            _ => None,
        };
        Ok(parsed.unwrap_or(Self::Foreign))
    }

    fn parse_meta(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut key, mut register) = (None, None);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_META_KEY => key = Some(attribute.be32()?),
                NFTA_META_DREG => register = Some(attribute.be32()?),
                _ => {}
            }
        }
        Ok(key
            .zip(register)
            .map(|(key, register)| Self::Meta { key, register }))
    }

    fn parse_compare(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut operator, mut register, mut with) = (None, None, None);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_CMP_OP => operator = Some(attribute.be32()?),
                NFTA_CMP_SREG => register = Some(attribute.be32()?),
                NFTA_CMP_DATA => with = nested(&attribute, NFTA_DATA_VALUE)?,
                _ => {}
            }
        }
        let (Some(operator), Some(register), Some(with)) = (operator, register, with) else {
            return Ok(None);
        };
        Ok(Some(Self::Compare {
            operator,
            register,
            with: with.payload,
        }))
    }

    fn parse_payload(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut base, mut offset, mut length, mut register) = (None, None, None, None);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_PAYLOAD_BASE => base = Some(attribute.be32()?),
                NFTA_PAYLOAD_OFFSET => offset = Some(attribute.be32()?),
                NFTA_PAYLOAD_LEN => length = Some(attribute.be32()?),
                NFTA_PAYLOAD_DREG => register = Some(attribute.be32()?),
                _ => {}
            }
        }
        let (Some(base), Some(offset), Some(length), Some(register)) =
            (base, offset, length, register)
        else {
            return Ok(None);
        };
        Ok(Some(Self::Payload {
            base,
            offset,
            length,
            register,
        }))
    }

    fn parse_lookup(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut map, mut register, mut into, mut flags) = (None, None, None, 0);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_LOOKUP_SET => map = Some(attribute.str()?),
                NFTA_LOOKUP_SREG => register = Some(attribute.be32()?),
                NFTA_LOOKUP_DREG => into = Some(attribute.be32()?),
                NFTA_LOOKUP_FLAGS => flags = attribute.be32()?,
                _ => {}
            }
        }
        let (Some(map), Some(register), Some(NFT_REG_VERDICT), 0) = (map, register, into, flags)
        else {
            return Ok(None);
        };
        Ok(Some(Self::VerdictMap { map, register }))
    }

    fn parse_object(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut kind, mut name) = (None, None);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_OBJREF_IMM_TYPE => kind = Some(attribute.be32()?),
                NFTA_OBJREF_IMM_NAME => name = Some(attribute.str()?),
                _ => {}
            }
        }
        Ok(kind
            .zip(name)
            .map(|(kind, name)| Self::Object { kind, name }))
    }

    fn parse_immediate(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let (mut register, mut verdict) = (None, None);
        for attribute in data.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_IMMEDIATE_DREG => register = Some(attribute.be32()?),
                NFTA_IMMEDIATE_DATA => verdict = Verdict::parse(&attribute)?,
                _ => {}
            }
        }
        Ok(match (register, verdict) {
            (Some(NFT_REG_VERDICT), Some(verdict)) => Some(Self::Verdict(verdict)),
            _ => None,
        })
    }
}

impl<'a> Verdict<'a> {
    /// Appends the verdict to `nft_data_attributes`.
    pub(crate) fn emit(self, data: &mut Attributes<'_>) {
        let (code, chain) = match self {
            Self::Accept => (NF_ACCEPT, None),
            Self::Drop => (NF_DROP, None),
            Self::Goto(chain) => (NFT_GOTO, Some(chain)),
            Self::Foreign => return,
        };
        data.nest(NFTA_DATA_VERDICT, |verdict| {
            verdict.be32(NFTA_VERDICT_CODE, code);
            if let Some(chain) = chain {
                verdict.string(NFTA_VERDICT_CHAIN, chain);
            }
        });
    }

    /// Reads the verdict of `nft_data_attributes`; `None` when the data is something else.
    pub(crate) fn parse(data: &Attribute<'a>) -> Result<Option<Self>, Malformed> {
        let Some(verdict) = nested(data, NFTA_DATA_VERDICT)? else {
            return Ok(None);
        };
        let (mut code, mut chain) = (None, None);
        for attribute in verdict.nested() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_VERDICT_CODE => code = Some(attribute.be32()?),
                NFTA_VERDICT_CHAIN => chain = Some(attribute.str()?),
                _ => {}
            }
        }
        Ok(Some(match (code, chain) {
            (Some(NF_ACCEPT), _) => Self::Accept,
            (Some(NF_DROP), _) => Self::Drop,
            (Some(NFT_GOTO), Some(chain)) => Self::Goto(chain),
            _ => Self::Foreign,
        }))
    }
}

/// Returns the attribute of one kind inside another.
pub(crate) fn nested<'a>(
    outer: &Attribute<'a>,
    kind: u16,
) -> Result<Option<Attribute<'a>>, Malformed> {
    for attribute in outer.nested() {
        let attribute = attribute?;
        if attribute.kind == kind {
            return Ok(Some(attribute));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_netlink::{Batch, NlmF};
    use proptest::prelude::*;

    fn list(expressions: &[Expr<'_>]) -> Vec<u8> {
        let mut batch = Batch::new(None);
        batch.push(NFT_MSG_NEWRULE, NFPROTO_INET, NlmF::CREATE, |a| {
            a.nest(NFTA_RULE_EXPRESSIONS, |list| {
                expressions.iter().for_each(|e| e.emit(list))
            });
        });
        // The message's and the list attribute's own headers come first.
        batch.message_bytes()[24..].to_vec()
    }

    fn expression() -> impl Strategy<Value = Expr<'static>> {
        let names = prop_oneof![Just("in_1"), Just("ingress"), Just("q_20000_30000_b")];
        prop_oneof![
            any::<(u32, u32)>().prop_map(|(key, register)| Expr::Meta { key, register }),
            any::<(u32, u32, bool)>().prop_map(|(operator, register, long)| Expr::Compare {
                operator,
                register,
                with: if long { &[1, 0, 0, 0] } else { &[6] },
            }),
            any::<[u32; 4]>().prop_map(|[base, offset, length, register]| Expr::Payload {
                base,
                offset,
                length,
                register
            }),
            (names.clone(), any::<u32>())
                .prop_map(|(map, register)| Expr::VerdictMap { map, register }),
            (names.clone(), any::<u32>()).prop_map(|(name, kind)| Expr::Object { kind, name }),
            names.prop_map(|chain| Expr::Verdict(Verdict::Goto(chain))),
            Just(Expr::Verdict(Verdict::Accept)),
            Just(Expr::Verdict(Verdict::Drop)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_emitted_parses_back(wanted in proptest::collection::vec(expression(), 0..8)) {
            let bytes = list(&wanted);
            let back = Expr::parse_list(&Attribute { kind: 4, payload: &bytes }).unwrap();
            prop_assert_eq!(back, wanted);
        }

        #[test]
        fn no_input_panics(
            wanted in proptest::collection::vec(expression(), 1..4),
            noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut bytes = list(&wanted);
            for (place, value) in noise {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            let _ = Expr::parse_list(&Attribute { kind: 4, payload: &bytes });
        }
    }
}
