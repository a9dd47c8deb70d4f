//! What a request changes about usage, beside the configuration.

use super::{Request, Selection};
use crate::calendar::Timestamp;
use crate::comeback;
use crate::config::{Config, Contract, GroupName};
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::ledger::{Account, State, close_shares};
use crate::port::PortRange;
use crate::tick::Now;

impl Request {
    /// Returns whose closed periods it takes to [apply it to usage](Self::apply_to_usage): those
    /// whom it brings back.
    pub fn returning(&self, config: &Config, state: &State) -> Vec<Holder> {
        match self {
            Self::Restore { .. } => comeback::returning(config, state),
            _ => Vec::new(),
        }
    }

    /// Carries out what concerns usage, not configuration.
    ///
    /// `state` must come from a [`step`](crate::tick::step) with the configuration before, and be
    /// stepped again with the new `config` after. `past` has at least the last closed period of
    /// each holder that is [returning](Self::returning), as far as it was saved, the oldest first.
    pub fn apply_to_usage(
        &self,
        config: &Config,
        state: &mut State,
        past: &[ClosedPeriod],
        now: Now<'_>,
    ) {
        let time = now.time;
        match self {
            Self::Reset { ports } => {
                for range in ports.resolve(config).unwrap_or_default() {
                    if config
                        .services
                        .get(&range)
                        .is_some_and(|one| one.group.is_none())
                    {
                        reset(range, state, time);
                    }
                }
                if let Selection::All = ports {
                    for name in config.groups.keys() {
                        reset_group(name, state, time);
                    }
                }
            }
            Self::ResetGroup { name } => reset_group(name, state, time),
            Self::Set {
                ports,
                used: Some(used),
                ..
            } => {
                for range in ports.resolve(config).unwrap_or_default() {
                    let service = config.services.get(&range);
                    if let (Some(service), Some(ledger)) = (service, state.ledgers.get_mut(&range))
                    {
                        correct(&mut ledger.account, service.contract(), used.bytes());
                    }
                }
            }
            Self::SetGroup {
                name,
                used: Some(used),
                ..
            } => {
                let group = config.groups.get(name);
                if let (Some(group), Some(account)) = (group, state.groups.get_mut(name)) {
                    correct(account, group.contract(), used.bytes());
                }
            }
            Self::Restore { .. } => comeback::readmit(config, state, past, now),
            Self::Adopt(adoption) => adoption.apply_to_usage(config, state, now),
            _ => {}
        }
    }
}

fn reset(ports: PortRange, state: &mut State, now: Timestamp) {
    if let Some(ledger) = state.ledgers.get_mut(&ports) {
        let period = ledger.close(ports, Why::Operator, now);
        state.closed.push(period);
    }
}

fn reset_group(name: &GroupName, state: &mut State, now: Timestamp) {
    let shares = close_shares(&mut state.ledgers, name, Why::Operator, now);
    state.closed.extend(shares);
    if let Some(account) = state.groups.get_mut(name) {
        let period = account.close(name.clone().into(), Why::Operator, now);
        state.closed.push(period);
    }
}

fn correct(account: &mut Account, contract: Contract, bytes: u64) {
    account.set_billed(contract.tariff, bytes);
    if contract.quota.is_some_and(|quota| bytes < quota.bytes()) {
        // Judged anew at the next step, by what is left.
        account.spent = None;
    }
}
