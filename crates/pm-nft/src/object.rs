//! Named counters and quotas.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_object_attributes`,
//! `enum nft_counter_attributes`, `enum nft_quota_attributes`.

use pm_core::ruleset::TABLE;
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Malformed, Reply};

/// An object of pm's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Object<'a> {
    pub(crate) name: &'a str,
    pub(crate) handle: u64,
    pub(crate) state: State,
}

/// What an object has counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Counter { bytes: u64 },
    Quota { limit: u64, used: u64, over: bool },
    Foreign,
}

impl<'a> Object<'a> {
    /// Reads an object; `None` when it belongs to another table.
    pub(crate) fn parse(reply: &Reply<'a>) -> Result<Option<Self>, Malformed> {
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
        if reply.kind != NFT_MSG_NEWOBJ || reply.family != NFPROTO_INET || table != TABLE {
            return Ok(None);
        }
        let mut numbers = [0_u64; 5];
        for attribute in data.iter().flat_map(|data| data.nested()) {
            let attribute = attribute?;
            // Both kinds have 64-bit numbers under small keys; a quota's flags are the exception.
            if let Some(slot) = numbers.get_mut(usize::from(attribute.kind)) {
                *slot = match (kind, attribute.kind) {
                    (NFT_OBJECT_QUOTA, NFTA_QUOTA_FLAGS) => u64::from(attribute.be32()?),
                    (NFT_OBJECT_QUOTA | NFT_OBJECT_COUNTER, 1 | 2 | 4) => attribute.be64()?,
                    _ => 0,
                };
            }
        }
        let number = |key: u16| numbers.get(usize::from(key)).copied().unwrap_or(0);
        let state = match kind {
            NFT_OBJECT_COUNTER => State::Counter {
                bytes: number(NFTA_COUNTER_BYTES),
            },
            NFT_OBJECT_QUOTA => State::Quota {
                limit: number(NFTA_QUOTA_BYTES),
                used: number(NFTA_QUOTA_CONSUMED),
                over: number(NFTA_QUOTA_FLAGS) & u64::from(NFT_QUOTA_F_INV) != 0,
            },
            _ => State::Foreign,
        };
        Ok(Some(Self {
            name,
            handle,
            state,
        }))
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
