//! The books: whatever is counted is in a day's total once, in one period of its service, and in
//! one period of its group.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::GroupName;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::holder::Holder;
use pm_core::ledger::{State, Usage};
use pm_core::port::PortRange;

use crate::host::Host;

/// What was saved when somebody last looked.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    state: State,
    closed: Vec<ClosedPeriod>,
}

impl Books {
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            state: host.saved().unwrap(),
            closed: host.closed(),
        }
    }

    /// Asserts that one call of pm's has kept the books: it moved no service from group to group
    /// more than once.
    pub(crate) fn follow(&mut self, host: &Host, when: &str) {
        let now = Self::of(host);
        let old = self.closed.len();
        assert_eq!(now.closed.get(..old), Some(&self.closed[..]), "{when}");
        assert_eq!(now.days(host), now.periods(), "{when}");
        let mut credited = self.credited(&now);
        let names = self.state.groups.keys().chain(now.state.groups.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let usage = |state: &State| state.groups.get(name).map(|account| account.usage);
            let holder = Holder::Group(name.clone());
            let new = now.closed[old..].iter();
            let new = new.filter(|period| period.holder == holder);
            let new = new.map(|period| period.usage);
            let now_running = usage(&now.state);
            let used = new.chain(now_running).fold(Usage::default(), Usage::plus);
            let before = usage(&self.state).unwrap_or_default();
            let wanted = before.plus(credited.remove(name).unwrap_or_default());
            if now_running.is_some() {
                assert_eq!(used, wanted, "group {name}, {when}");
            } else {
                // A deleted member may still have been used when its group was gone.
                assert_eq!(used.since(wanted), Usage::default(), "group {name}, {when}");
            }
        }
        *self = now;
    }

    /// Returns what each service used on all days together.
    fn days(&self, host: &Host) -> BTreeMap<PortRange, Usage> {
        let days = host.days().into_iter();
        sums(days.map(|day| (day.ports, day.usage)))
    }

    /// Returns what each service used in all periods together.
    fn periods(&self) -> BTreeMap<PortRange, Usage> {
        let closed = self.closed.iter();
        let closed = closed.filter_map(|period| match period.holder {
            Holder::Service(ports) => Some((ports, period.usage)),
            Holder::Group(_) => None,
        });
        let running = self.state.ledgers.iter();
        let running = running.map(|(&ports, ledger)| (ports, ledger.account.usage));
        sums(closed.chain(running))
    }

    /// Returns what the services used from here to `now`, by the group that they were in. Of those
    /// who came and went in an addition that failed, only their period says which that was.
    fn credited(&self, now: &Self) -> BTreeMap<GroupName, Usage> {
        let mut credited = Vec::new();
        let new = &now.closed[self.closed.len()..];
        let closed = new.iter().filter_map(|period| match period.holder {
            Holder::Service(ports) => Some(ports),
            Holder::Group(_) => None,
        });
        let ledgers = self.state.ledgers.keys().chain(now.state.ledgers.keys());
        for ports in ledgers.copied().chain(closed).collect::<BTreeSet<_>>() {
            let (before, after) = (
                self.state.ledgers.get(&ports),
                now.state.ledgers.get(&ports),
            );
            let group_after = after.and_then(|ledger| ledger.group.clone());
            let mut group = match before {
                Some(ledger) => ledger.group.clone(),
                None => group_after.clone(),
            };
            let mut from = before
                .map(|ledger| ledger.account.usage)
                .unwrap_or_default();
            let mut is_known = before.is_some();
            for period in new.iter().filter(|period| period.holder == ports.into()) {
                let is_visitor = !is_known && after.is_none();
                let of = if is_visitor { &period.group } else { &group };
                credited.push((of.clone(), grown(from, period.usage)));
                from = Usage::default();
                if matches!(period.why, Why::Regrouped | Why::Deleted) {
                    group.clone_from(&group_after);
                    is_known = false;
                }
            }
            let running = after.map(|ledger| ledger.account.usage).unwrap_or_default();
            credited.push((group, grown(from, running)));
        }
        sums(
            credited
                .into_iter()
                .filter_map(|(group, usage)| Some((group?, usage))),
        )
    }
}

fn grown(from: Usage, to: Usage) -> Usage {
    let grown = to.since(from);
    assert_eq!(from.plus(grown), to, "usage shrinks");
    grown
}

/// Returns the sums, without those of nothing.
fn sums<K: Ord>(parts: impl Iterator<Item = (K, Usage)>) -> BTreeMap<K, Usage> {
    let mut sums: BTreeMap<K, Usage> = BTreeMap::new();
    for (key, usage) in parts.filter(|(_, usage)| *usage != Usage::default()) {
        let sum = sums.entry(key).or_default();
        *sum = sum.plus(usage);
    }
    sums
}
