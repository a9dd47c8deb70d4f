//! Sets of quotas: which can count on, and which names they have.

use crate::config::Mode;
use crate::holder::Holder;
use crate::in_order::InOrder;
use crate::ledger::{Account, QuotaMark, State, Terms};
use crate::ruleset::{Installed, Metering, QuotaId, RoomId, Ruleset};

use super::HOLD_BELOW;

/// The quotas that there are, looked up holder by holder.
pub(super) struct Quotas<'a> {
    installed: InOrder<'a, QuotaId, Option<u64>>,
    marks: InOrder<'a, QuotaId, QuotaMark>,
}

impl<'a> Quotas<'a> {
    pub(super) fn new(installed: &'a Installed, state: &'a State) -> Self {
        Self {
            installed: InOrder::new(&installed.quotas),
            marks: InOrder::new(&state.quotas),
        }
    }

    /// Whether all quotas of a set are there, on scale and not depleted.
    pub(super) fn count_on(&mut self, set: &Metering, account: &Account, terms: Terms) -> bool {
        account.left(terms) > 0
            && set.quotas().all(|id| {
                let is_whole = matches!(self.installed.get(&id), Some(Some(_)));
                // A depleted quota has also counted what it dropped: after a raise it is off the
                // scale.
                let is_on_scale = |mark: &QuotaMark| mark.sound && !mark.is_depleted();
                is_whole && self.marks.get(&id).is_some_and(is_on_scale)
            })
    }

    /// Plans the limits of a set.
    pub(super) fn set_limits(
        &mut self,
        ruleset: &mut Ruleset,
        set: &Metering,
        account: &Account,
        terms: Terms,
    ) {
        for id in set.quotas() {
            let counted = self.marks.get(&id).map_or(0, |mark| mark.counted);
            let limit = account.kernel_limit(terms, id.metered, counted);
            ruleset.quotas.insert(id, limit);
        }
    }
}

/// Whether there is too little left to lose sight of any of it between a reading and a batch.
pub(super) fn is_nearly_spent(account: &Account, terms: Option<Terms>) -> bool {
    terms.is_some_and(|terms| account.left(terms) < HOLD_BELOW)
}

/// Returns every name that a service's own quotas can have beside a room.
pub(super) fn own_quotas(room: RoomId) -> Vec<QuotaId> {
    let metering = |mode| Metering {
        holder: Holder::Service(room.ports),
        variant: room.variant,
        mode,
    };
    let sets = [Mode::Both, Mode::Max].map(metering);
    sets.iter().flat_map(Metering::quotas).collect()
}
