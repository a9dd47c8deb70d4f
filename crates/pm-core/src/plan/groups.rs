//! What a group's members count under.

use std::collections::BTreeMap;

use crate::config::{Config, GroupName};
use crate::holder::Holder;
use crate::ledger::{Account, State, Terms};
use crate::port::PortRange;
use crate::ruleset::{Installed, Metering, QuotaId, Ruleset, Variant};

use super::quotas::{Quotas, is_nearly_spent};

/// Where the members of a group count.
pub(super) struct GroupPlan {
    pub(super) is_spent: bool,
    /// The set of quotas that they must name.
    pub(super) set: QuotaSet,
    /// Whether there are too few bytes left to lose any between a reading and a batch.
    pub(super) is_nearly_spent: bool,
    /// Whether nobody is let in: because some member's bytes are not all read yet that count
    /// against a set made anew, or because members hold on to sets in the place of which a new one
    /// must come.
    pub(super) is_held: bool,
}

/// A group's set of quotas, as it is to be.
pub(super) enum QuotaSet {
    /// It has no quota.
    None,
    /// The set is there and counts on.
    Kept(Metering),
    /// The set is made anew.
    Fresh(Metering),
    /// A set must be made anew, and no name is free.
    Waiting,
}

impl QuotaSet {
    /// Returns the quotas that members' rooms must name.
    pub(super) fn metering(&self) -> Option<&Metering> {
        match self {
            Self::Kept(set) | Self::Fresh(set) => Some(set),
            Self::None | Self::Waiting => None,
        }
    }
}

/// Plans the quotas of all groups.
pub(super) fn plan<'a>(
    config: &'a Config,
    state: &State,
    installed: &Installed,
    ruleset: &mut Ruleset,
) -> BTreeMap<&'a GroupName, GroupPlan> {
    let mut quotas = Quotas::new(installed, state);
    let mut plans = BTreeMap::new();
    let is_open = |ports: PortRange| {
        let service = config.services.get(&ports);
        let ledger = state.ledgers.get(&ports);
        service.is_some_and(|service| !service.blocked)
            && ledger.is_some_and(|ledger| !ledger.expired)
    };
    for (name, group) in &config.groups {
        let Some(account) = state.groups.get(name) else {
            continue;
        };
        let terms = account.terms(group.contract());
        let is_closed = account.spent.is_some() || !config.members(name).any(is_open);
        let set = match terms.filter(|_| !is_closed) {
            None => QuotaSet::None,
            Some(terms) => {
                let set = choose_set(name, account, terms, &mut quotas, installed);
                if let Some(metering) = set.metering() {
                    quotas.set_limits(ruleset, metering, account, terms);
                }
                set
            }
        };
        let is_linked = |ports: PortRange| {
            let link = installed.links.get(&ports);
            link.is_some_and(|link| Variant::BOTH.into_iter().any(|one| link.leads_to(one)))
        };
        let is_nearly_spent = is_nearly_spent(account, terms);
        let is_held = match set {
            QuotaSet::None | QuotaSet::Kept(_) => false,
            // By what is accounted: the last bytes of one that was deleted count, too.
            QuotaSet::Fresh(_) => is_nearly_spent && accounted(state, name).any(is_linked),
            QuotaSet::Waiting => true,
        };
        let plan = GroupPlan {
            is_spent: account.spent.is_some(),
            set,
            is_nearly_spent,
            is_held,
        };
        plans.insert(name, plan);
    }
    plans
}

/// Returns the services whose bytes count to a group.
fn accounted(state: &State, name: &GroupName) -> impl Iterator<Item = PortRange> {
    let members = state
        .ledgers
        .iter()
        .filter(move |(_, ledger)| ledger.group.as_ref() == Some(name));
    members.map(|(&ports, _)| ports)
}

fn choose_set(
    name: &GroupName,
    account: &Account,
    terms: Terms,
    quotas: &mut Quotas<'_>,
    installed: &Installed,
) -> QuotaSet {
    let holder = Holder::Group(name.clone());
    let set = |variant| Metering {
        holder: holder.clone(),
        variant,
        mode: terms.mode,
    };
    let kept = Variant::BOTH
        .map(set)
        .into_iter()
        .find(|set| quotas.count_on(set, account, terms));
    if let Some(kept) = kept {
        return QuotaSet::Kept(kept);
    }
    let free = Variant::BOTH.into_iter().find(|&variant| {
        let is_taken = |id: &QuotaId| (&id.holder, id.variant) == (&holder, variant);
        !installed.quotas.keys().any(is_taken)
    });
    free.map_or(QuotaSet::Waiting, |variant| QuotaSet::Fresh(set(variant)))
}
