//! The rules of a room's two chains.
//!
//! ```text
//! chain in_20000 {
//!     quota name "q_20000" drop
//!     counter name "in_20000" accept
//! }
//! ```
//!
//! The counter stands last, so that it counts what passed. It accepts, which a packet at the end
//! of these chains would be anyway, so that a chain that was loaded twice counts once.

use pm_core::ruleset::{Direction, RoomId, TABLE};
use pm_netlink::Attributes;
use pm_netlink::nf_tables::*;

use crate::expr::{Expr, Verdict};

/// Appends what names a chain.
pub(crate) fn emit_chain(a: &mut Attributes<'_>, name: &str) {
    a.string(NFTA_CHAIN_TABLE, TABLE);
    a.string(NFTA_CHAIN_NAME, name);
}

/// Returns the rule that drops what is over a quota.
pub(crate) fn quota_rule(quota: &str) -> [Expr<'_>; 2] {
    [
        Expr::Object {
            kind: NFT_OBJECT_QUOTA,
            name: quota,
        },
        Expr::Verdict(Verdict::Drop),
    ]
}

/// Returns the rule that counts.
pub(crate) fn counter_rule(counter: &str) -> [Expr<'_>; 2] {
    [
        Expr::Object {
            kind: NFT_OBJECT_COUNTER,
            name: counter,
        },
        Expr::Verdict(Verdict::Accept),
    ]
}

/// What a room's chain was found to hold, rule after rule.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Rules {
    /// No rule yet.
    #[default]
    None,
    /// The quota's rule and nothing after it yet.
    OnlyQuota,
    /// All that an unmetered chain has.
    Counter,
    /// All that a metered chain has.
    QuotaAndCounter,
    /// Rules that pm would not write there.
    Foreign,
}

impl Rules {
    /// Returns the state after one more rule in the chain called `chain`.
    pub(crate) fn then(self, chain: &str, rule: &[Expr<'_>]) -> Self {
        match self {
            Self::None if is_quota_rule(chain, rule) => Self::OnlyQuota,
            Self::None if rule == counter_rule(chain) => Self::Counter,
            Self::OnlyQuota if rule == counter_rule(chain) => Self::QuotaAndCounter,
            _ => Self::Foreign,
        }
    }

    /// Returns whether the quota counts here; `None` when the chain is not as pm makes it.
    pub(crate) fn is_metered(self) -> Option<bool> {
        match self {
            Self::Counter => Some(false),
            Self::QuotaAndCounter => Some(true),
            Self::None | Self::OnlyQuota | Self::Foreign => None,
        }
    }
}

fn is_quota_rule(chain: &str, rule: &[Expr<'_>]) -> bool {
    // Compares the names' stems instead of parsing them: this runs for every rule of every room.
    let stem = |name: &'static str, of: &Expr<'_>| match of {
        Expr::Object {
            kind: NFT_OBJECT_QUOTA,
            name: quota,
        } => quota.strip_prefix("q_") == chain.strip_prefix(name),
        _ => false,
    };
    match rule {
        [object, Expr::Verdict(Verdict::Drop)] => {
            (chain.starts_with("in_") && stem("in_", object))
                || (chain.starts_with("out_") && stem("out_", object))
        }
        _ => false,
    }
}

/// Returns the name of the counter and chain for each direction.
pub(crate) fn chains(room: RoomId) -> [(Direction, String); 2] {
    Direction::BOTH.map(|direction| (direction, room.chain(direction)))
}
