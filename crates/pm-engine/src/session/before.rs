//! What a session keeps of the time before a request, until all of it is in force.

use std::collections::BTreeSet;

use pm_core::backend::{Netfilter, Reading};
use pm_core::config::Config;
use pm_core::history::ClosedPeriod;
use pm_core::holder::Holder;
use pm_core::ledger::State;
use pm_core::port::PortRange;
use pm_core::request::{Request, Side, news_of};
use pm_core::ruleset::{Changes, RoomId};
use pm_core::tick::step;
use pm_store::state_db::StateDb;

use super::Session;
use super::adopted::Adopted;
use crate::clock;
use crate::error::EngineError;

/// The configuration and the usage without a request.
pub(super) struct Before {
    pub(super) config: Config,
    pub(super) state: State,
    /// What was read afresh in the last reading, where that is not accounted for here yet:
    /// most requests are in force before that is needed.
    pub(super) owed: Option<Option<BTreeSet<RoomId>>>,
}

impl Before {
    /// Whether `config` takes somebody out of a group, and leaves its contract alone.
    fn is_left_by_somebody(&self, holder: &Holder, config: &Config) -> bool {
        let Holder::Group(name) = holder else {
            return false;
        };
        let (was, is) = (self.config.groups.get(name), config.groups.get(name));
        let is_contract_kept =
            was.map(|group| group.contract()) == is.map(|group| group.contract());
        let stays = |ports: PortRange| {
            let service = config.services.get(&ports);
            service.is_some_and(|service| service.group.as_ref() == Some(name))
        };
        is_contract_kept && !self.config.members(name).all(stays)
    }
}

impl<N: Netfilter> Session<'_, N> {
    /// Notes the usage as it is without the request that will change it now.
    pub(crate) fn begin_request(&mut self, config: &Config) {
        self.before = Some(Before {
            config: config.clone(),
            state: self.state.clone(),
            owed: None,
        });
        self.is_accounted = false;
    }

    /// Carries out what of the request concerns usage, in memory only.
    pub(crate) fn apply_to_usage(
        &mut self,
        request: &Request,
        config: &Config,
        past: &[ClosedPeriod],
    ) {
        let zone = clock::zone(config);
        let now = self.now(&zone, self.state.next_epoch);
        let known = self.state.closed.len();
        request.apply_to_usage(config, &mut self.state, past, now);
        let closed = self.state.closed.get(known..).unwrap_or_default();
        if let Some(before) = &self.before {
            let (was, is) = (&before.state, &self.state);
            let [was, is] =
                [(&before.config, was), (config, is)].map(|(config, state)| Side { config, state });
            let news = news_of(was, is, closed, self.time);
            self.state.news.extend(news);
        }
        self.adopted = Adopted::by(request, &self.state);
    }

    /// Saves the usage as it is without the request.
    pub(crate) fn save_as_before(
        &mut self,
        db: &mut StateDb,
        text: &str,
    ) -> Result<(), EngineError> {
        self.catch_up();
        let before = match &self.before {
            Some(before) => before.state.clone(),
            None => self.state.clone(),
        };
        self.save(db, before, Some(text))
    }

    /// Forgets the request, after it failed.
    pub(crate) fn abandon_request(&mut self) {
        self.catch_up();
        if let Some(before) = self.before.take() {
            self.state = before.state;
        }
        self.adopted = None;
        self.state.dismiss();
        self.state.settled_at = None;
        self.seen = None;
        self.applied = None;
        self.scope = None;
    }

    /// Accounts for the last reading in the usage without the request, too.
    pub(super) fn catch_up(&mut self) {
        let Some(mut before) = self.before.take() else {
            return;
        };
        if let (Some(fresh), Some((reading, installed))) = (before.owed.take(), &self.seen) {
            let reading = Reading {
                fresh,
                ..reading.clone()
            };
            let zone = clock::zone(&before.config);
            let now = self.now(&zone, self.state.next_epoch);
            let last_tick = before.state.last_tick;
            (before.state, _) = step(&before.config, &before.state, &reading, installed, now);
            before.state.last_tick = last_tick;
        }
        self.before = Some(before);
    }

    /// Takes out of a batch what groups are given back of the bytes of one who leaves them: they
    /// are the groups' as long as the request can fail. Returns whether there is any.
    pub(super) fn keep_back(&self, changes: &mut Changes, config: &Config) -> bool {
        let (Some(before), Some((_, installed))) = (&self.before, &self.seen) else {
            return false;
        };
        let planned = changes.move_limits.len();
        changes.move_limits.retain(|id, &mut limit| {
            let is_raise = installed.quotas.get(id) < Some(&Some(limit));
            !(is_raise && before.is_left_by_somebody(&id.holder, config))
        });
        changes.move_limits.len() < planned
    }
}
