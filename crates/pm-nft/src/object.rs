//! Named counters, quotas and limits.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_object_attributes`,
//! `enum nft_counter_attributes`, `enum nft_quota_attributes`.

use pm_core::ruleset::{LimitId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attribute, Attributes, Malformed, Reply};

use crate::fields::Fields;
use crate::limit::Limit;

/// An object of pm's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Object<'a> {
    pub(crate) name: &'a str,
    pub(crate) handle: u64,
    pub(crate) state: State,
}

/// What an object has counted, or what it is like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Counter { bytes: u64 },
    Quota { limit: u64, used: u64, over: bool },
    Limit(Limit),
    Foreign,
}

impl<'a> Object<'a> {
    /// Reads an object; `None` when it belongs to another table.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Option<Self>, Malformed> {
        Self::parse_of(reply, TABLE)
    }

    /// Reads an object of the table called `owner`; `None` when it belongs to another.
    pub(crate) fn parse_of(reply: &Reply<'a>, owner: &str) -> Result<Option<Self>, Malformed> {
        let (mut table, mut name, mut handle, mut kind, mut data) = ("", "", 0, 0, None);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_OBJ_TABLE => table = attribute.str()?,
                NFTA_OBJ_NAME => name = attribute.str()?,
                NFTA_OBJ_HANDLE => handle = attribute.be64()?,
                NFTA_OBJ_TYPE => kind = attribute.be32()?,
                NFTA_OBJ_DATA => data = Some(attribute),
                _ => {}
            }
        }
        if reply.kind != NFT_MSG_NEWOBJ || reply.family != NFPROTO_INET || table != owner {
            return Ok(None);
        }
        let state = match data {
            Some(data) => State::parse(kind, &data)?,
            None => State::Foreign,
        };
        Ok(Some(Self {
            name,
            handle,
            state,
        }))
    }
}

impl State {
    fn parse(kind: u32, data: &Attribute<'_>) -> Result<Self, Malformed> {
        let fields = Fields::of(data)?;
        Ok(match kind {
            NFT_OBJECT_COUNTER => Self::Counter {
                bytes: fields.be64(NFTA_COUNTER_BYTES)?.unwrap_or_default(),
            },
            NFT_OBJECT_QUOTA => Self::Quota {
                limit: fields.be64(NFTA_QUOTA_BYTES)?.unwrap_or_default(),
                used: fields.be64(NFTA_QUOTA_CONSUMED)?.unwrap_or_default(),
                over: fields.be32(NFTA_QUOTA_FLAGS)?.unwrap_or_default() & NFT_QUOTA_F_INV != 0,
            },
            NFT_OBJECT_LIMIT => Self::Limit(Limit::parse(&fields)?),
            _ => Self::Foreign,
        })
    }
}

/// Appends what names an object.
pub(crate) fn emit_name(a: &mut Attributes<'_>, kind: u32, name: &str) {
    a.string(NFTA_OBJ_TABLE, TABLE);
    a.string(NFTA_OBJ_NAME, name);
    a.be32(NFTA_OBJ_TYPE, kind);
}

/// Appends a counter that starts at zero.
pub(crate) fn emit_counter(a: &mut Attributes<'_>, name: &str) {
    emit_name(a, NFT_OBJECT_COUNTER, name);
    a.nest(NFTA_OBJ_DATA, |data| {
        data.be64(NFTA_COUNTER_BYTES, 0);
        data.be64(NFTA_COUNTER_PACKETS, 0);
    });
}

/// Appends a quota that drops from `limit` bytes on.
///
/// Sent for a quota that exists, it moves the limit and leaves what was counted: the count is not
/// part of the message, because the kernel checks it against the limit and then ignores it.
pub(crate) fn emit_quota(a: &mut Attributes<'_>, name: &str, limit: u64) {
    emit_name(a, NFT_OBJECT_QUOTA, name);
    a.nest(NFTA_OBJ_DATA, |data| {
        data.be64(NFTA_QUOTA_BYTES, limit);
        data.be32(NFTA_QUOTA_FLAGS, NFT_QUOTA_F_INV);
    });
}

/// Appends a limit. The kernel changes none that exists.
pub(crate) fn emit_limit(a: &mut Attributes<'_>, id: LimitId) {
    emit_name(a, NFT_OBJECT_LIMIT, &id.to_string());
    a.nest(NFTA_OBJ_DATA, |data| Limit::of(id).emit(data));
}
