//! Expressions from bytes.

use pm_netlink::nf_tables::*;
use pm_netlink::{Attribute, Malformed};

use super::{Expr, Verdict};
use crate::fields::Fields;

impl<'a> Expr<'a> {
    /// Reads a rule's expression list.
    pub(crate) fn parse_list(list: &Attribute<'a>) -> Result<Vec<Self>, Malformed> {
        list.nested()
            .map(|element| Self::parse(&element?))
            .collect()
    }

    fn parse(element: &Attribute<'a>) -> Result<Self, Malformed> {
        let fields = Fields::of(element)?;
        let name = fields.str(NFTA_EXPR_NAME)?;
        let (Some(name), Some(data)) = (name, fields.find(NFTA_EXPR_DATA)) else {
            return Ok(Self::Foreign);
        };
        let parse = match name {
            "meta" => meta,
            "ct" => ct,
            "bitwise" => bitwise,
            "cmp" => compare,
            "payload" => payload,
            "lookup" => lookup,
            "objref" => object,
            "immediate" => immediate,
            _ => return Ok(Self::Foreign),
        };
        Ok(parse(&Fields::of(&data)?)?.unwrap_or(Self::Foreign))
    }
}

// What one of these does not know is `None`.
type Parsed<'a> = Result<Option<Expr<'a>>, Malformed>;

fn meta<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let into = fields.be32(NFTA_META_DREG)?;
    let from = fields.be32(NFTA_META_SREG)?;
    Ok(match (fields.be32(NFTA_META_KEY)?, into, from) {
        (Some(key), Some(register), None) => Some(Expr::Meta { key, register }),
        (Some(key), None, Some(register)) => Some(Expr::SetMeta { key, register }),
        _ => None,
    })
}

fn ct<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let register = fields.be32(NFTA_CT_DREG)?;
    let direction = match fields.find(NFTA_CT_DIRECTION).map(|field| field.payload) {
        None => None,
        Some(&[direction]) => Some(direction),
        Some(_) => return Ok(None),
    };
    let key = fields.be32(NFTA_CT_KEY)?;
    Ok(key.zip(register).map(|(key, register)| Expr::Ct {
        key,
        direction,
        register,
    }))
}

fn bitwise<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    // Before Linux 5.6 there is but one operation, and no attribute for it.
    let operation = fields.be32(NFTA_BITWISE_OP)?;
    let from = fields.be32(NFTA_BITWISE_SREG)?;
    let register = fields.be32(NFTA_BITWISE_DREG)?;
    let (mask, xor) = (
        fields.word(NFTA_BITWISE_MASK)?,
        fields.word(NFTA_BITWISE_XOR)?,
    );
    let (Some(from), Some(register), Some(mask), Some(xor), None | Some(NFT_BITWISE_MASK_XOR)) =
        (from, register, mask, xor, operation)
    else {
        return Ok(None);
    };
    Ok(Some(Expr::Bitwise {
        from,
        register,
        mask,
        xor,
    }))
}

fn compare<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let operator = fields.be32(NFTA_CMP_OP)?;
    let register = fields.be32(NFTA_CMP_SREG)?;
    let (Some(operator), Some(register), Some(with)) =
        (operator, register, fields.data(NFTA_CMP_DATA)?)
    else {
        return Ok(None);
    };
    Ok(Some(Expr::Compare {
        operator,
        register,
        with,
    }))
}

fn payload<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let (base, offset) = (
        fields.be32(NFTA_PAYLOAD_BASE)?,
        fields.be32(NFTA_PAYLOAD_OFFSET)?,
    );
    let (length, register) = (
        fields.be32(NFTA_PAYLOAD_LEN)?,
        fields.be32(NFTA_PAYLOAD_DREG)?,
    );
    let (Some(base), Some(offset), Some(length), Some(register)) = (base, offset, length, register)
    else {
        return Ok(None);
    };
    Ok(Some(Expr::Payload {
        base,
        offset,
        length,
        register,
    }))
}

fn lookup<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let (set, register) = (fields.str(NFTA_LOOKUP_SET)?, fields.be32(NFTA_LOOKUP_SREG)?);
    let (Some(set), Some(register), None | Some(0)) =
        (set, register, fields.be32(NFTA_LOOKUP_FLAGS)?)
    else {
        return Ok(None);
    };
    Ok(match fields.be32(NFTA_LOOKUP_DREG)? {
        None => Some(Expr::Set { set, register }),
        Some(NFT_REG_VERDICT) => Some(Expr::VerdictMap { map: set, register }),
        Some(_) => None,
    })
}

fn object<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let kind = fields.be32(NFTA_OBJREF_IMM_TYPE)?;
    let name = fields.str(NFTA_OBJREF_IMM_NAME)?;
    Ok(kind
        .zip(name)
        .map(|(kind, name)| Expr::Object { kind, name }))
}

fn immediate<'a>(fields: &Fields<'a>) -> Parsed<'a> {
    let Some(register) = fields.be32(NFTA_IMMEDIATE_DREG)? else {
        return Ok(None);
    };
    if register != NFT_REG_VERDICT {
        let value = fields.word(NFTA_IMMEDIATE_DATA)?;
        return Ok(value.map(|value| Expr::Immediate { register, value }));
    }
    let Some(data) = fields.find(NFTA_IMMEDIATE_DATA) else {
        return Ok(None);
    };
    Ok(Verdict::parse(&data)?.map(Expr::Verdict))
}
