//! Verdicts, of rules and of a map's elements.
//!
//! Source: `include/uapi/linux/netfilter/nf_tables.h`, `enum nft_verdict_attributes`.

use pm_netlink::nf_tables::*;
use pm_netlink::{Attribute, Attributes, Malformed};

use crate::fields::Fields;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict<'a> {
    Accept,
    Drop,
    Goto(&'a str),
    Foreign,
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
        let Some(verdict) = Fields::of(data)?.find(NFTA_DATA_VERDICT) else {
            return Ok(None);
        };
        let fields = Fields::of(&verdict)?;
        let chain = fields.str(NFTA_VERDICT_CHAIN)?;
        Ok(Some(match (fields.be32(NFTA_VERDICT_CODE)?, chain) {
            (Some(NF_ACCEPT), _) => Self::Accept,
            (Some(NF_DROP), _) => Self::Drop,
            (Some(NFT_GOTO), Some(chain)) => Self::Goto(chain),
            _ => Self::Foreign,
        }))
    }
}
