//! What a limit object of pm's is like.
//!
//! ```text
//! limit l_in_20000_625000 {
//!     rate over 625000 bytes/second burst 64 kbytes
//! }
//! ```
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_limit_attributes`;
//! `net/netfilter/nft_limit.c`.

use pm_core::ruleset::{Direction, LimitId};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Malformed};

use crate::fields::Fields;

// The most that comes in as one packet: segments that the network card or the kernel has put
// together. Were the bucket smaller, none of them would pass at the lowest rates.
const BURST_IN: u32 = 64 << 10;
// What is sent comes in packets of that size too, one of which waits in its class while the next
// is on its way.
const BURST_OUT: u32 = 128 << 10;
const SECOND: u64 = 1;

/// The parameters of a limit object.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Limit {
    rate: u64,
    unit: u64,
    burst: u32,
    kind: u32,
    flags: u32,
}

impl Limit {
    /// Returns what the limit of this name must be: `rate over N bytes/second`.
    pub(crate) fn of(id: LimitId) -> Self {
        Self {
            rate: id.rate,
            unit: SECOND,
            burst: match id.direction {
                Direction::In => BURST_IN,
                Direction::Out => BURST_OUT,
            },
            kind: NFT_LIMIT_PKT_BYTES,
            flags: NFT_LIMIT_F_INV,
        }
    }

    /// Appends the parameters.
    pub(crate) fn emit(self, data: &mut Attributes<'_>) {
        data.be64(NFTA_LIMIT_RATE, self.rate);
        data.be64(NFTA_LIMIT_UNIT, self.unit);
        data.be32(NFTA_LIMIT_BURST, self.burst);
        data.be32(NFTA_LIMIT_TYPE, self.kind);
        data.be32(NFTA_LIMIT_FLAGS, self.flags);
    }

    /// Reads the parameters.
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            rate: fields.be64(NFTA_LIMIT_RATE)?.unwrap_or_default(),
            unit: fields.be64(NFTA_LIMIT_UNIT)?.unwrap_or_default(),
            burst: fields.be32(NFTA_LIMIT_BURST)?.unwrap_or_default(),
            kind: fields.be32(NFTA_LIMIT_TYPE)?.unwrap_or_default(),
            flags: fields.be32(NFTA_LIMIT_FLAGS)?.unwrap_or_default(),
        })
    }
}
