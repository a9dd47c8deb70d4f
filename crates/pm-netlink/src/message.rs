//! Netlink message headers, and the nfnetlink header that follows them.
//!
//! Source: `include/uapi/linux/netlink.h`, `struct nlmsghdr`;
//! `include/uapi/linux/netfilter/nfnetlink.h`, `struct nfgenmsg`.

use neli::consts::nl::NlmF;

use crate::attr::{AttributeIter, align, attributes};
use crate::error::Malformed;
use crate::nf_tables::NFNL_SUBSYS_NFTABLES;

/// The length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// The length of `struct nlmsghdr` and `struct nfgenmsg` together.
pub(crate) const NFNL_HEADER: usize = HEADER + 4;

/// Appends a header whose length and sequence number are filled in later.
pub(crate) fn append_header(
    buffer: &mut Vec<u8>,
    kind: u16,
    flags: NlmF,
    family: u8,
    resource: u16,
) {
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(&(flags | NlmF::REQUEST).bits().to_ne_bytes());
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&[family, 0]);
    buffer.extend_from_slice(&resource.to_be_bytes());
}

/// Overwrites the 32-bit header field at `offset`.
pub(crate) fn set_u32(buffer: &mut [u8], offset: usize, value: u32) {
    if let Some(field) = buffer.get_mut(offset..offset + 4) {
        field.copy_from_slice(&value.to_ne_bytes());
    }
}

/// One raw message as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Raw<'_> {
    pub(crate) fn has(&self, flag: NlmF) -> bool {
        self.flags & flag.bits() != 0
    }
}

/// Walks the messages of one datagram. A broken one yields an error and ends the walk.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Raw<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut rest);
        let raw = first(bytes);
        if let Ok(raw) = &raw {
            rest = bytes
                .get(align(HEADER + raw.payload.len())..)
                .unwrap_or_default();
        }
        Some(raw)
    })
}

fn first(bytes: &[u8]) -> Result<Raw<'_>, Malformed> {
    let Some((&[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, _, _, _, _], _)) =
        bytes.split_first_chunk::<HEADER>()
    else {
        return Err(Malformed("a message header is cut off"));
    };
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let payload = bytes
        .get(HEADER..length)
        .ok_or(Malformed("a message has an impossible length"))?;
    Ok(Raw {
        kind: u16::from_ne_bytes([k0, k1]),
        flags: u16::from_ne_bytes([f0, f1]),
        sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
        payload,
    })
}

/// One nf_tables message of a reply.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What it describes: an `NFT_MSG_*` constant.
    pub kind: u8,
    /// The address family of the table it belongs to: an `NFPROTO_*` constant.
    pub family: u8,
    body: &'a [u8],
}

/// Walks the nf_tables messages in `datagram`, which may be a captured one or
/// [`crate::Batch::message_bytes`]; others are passed over.
///
/// # Errors
///
/// An item is [`Malformed`] where a header is broken, and the last one then.
pub fn replies(datagram: &[u8]) -> impl Iterator<Item = Result<Reply<'_>, Malformed>> {
    messages(datagram).filter_map(|raw| raw.and_then(|raw| Reply::parse(&raw)).transpose())
}

impl<'a> Reply<'a> {
    /// Takes a raw message apart; `None` when it belongs to another subsystem.
    pub(crate) fn parse(raw: &Raw<'a>) -> Result<Option<Self>, Malformed> {
        let [kind, subsystem] = raw.kind.to_le_bytes();
        if u16::from(subsystem) != NFNL_SUBSYS_NFTABLES {
            return Ok(None);
        }
        let Some((&[family, _, _, _], body)) = raw.payload.split_first_chunk::<4>() else {
            return Err(Malformed("an nfnetlink header is cut off"));
        };
        Ok(Some(Self { kind, family, body }))
    }

    /// Returns the message's attributes.
    pub fn attributes(&self) -> AttributeIter<'a> {
        attributes(self.body)
    }
}
