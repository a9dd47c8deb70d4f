//! What a session keeps of a past that a request brings along, until all of it is in force.

use std::collections::BTreeSet;

use pm_core::adoption::{Adoption, Extent};
use pm_core::backend::Netfilter;
use pm_core::calendar::Timestamp;
use pm_core::dynqos::Hog;
use pm_core::history::between;
use pm_core::ledger::{Account, State, Usage};
use pm_core::port::PortRange;
use pm_core::request::Request;
use pm_store::history::Past;
use pm_store::state_db::StateDb;

use super::Session;
use crate::error::EngineError;

/// A past, and where what is counted now begins.
pub(super) struct Adopted {
    adoption: Adoption,
    /// The usage with the past, before anything was counted on top of it.
    state: State,
}

impl Adopted {
    /// Returns the past that `request` has brought into `state`.
    pub(super) fn by(request: &Request, state: &State) -> Option<Self> {
        match request {
            Request::Adopt(adoption) => Some(Self {
                adoption: (**adoption).clone(),
                state: state.clone(),
            }),
            _ => None,
        }
    }

    pub(super) fn replaces_history(&self) -> bool {
        self.adoption.extent == Extent::Everything
    }

    /// Lets services that a batch brings in begin at nothing used in the usage without the request,
    /// which knew only these: should it fail, nothing of their past was ever there.
    pub(super) fn leave_out(
        &self,
        before: &mut State,
        known: &BTreeSet<PortRange>,
        now: Timestamp,
    ) {
        let arrivals = before.ledgers.iter_mut();
        for (_, ledger) in arrivals.filter(|(ports, _)| !known.contains(ports)) {
            ledger.total = Usage::default();
            ledger.hog = Hog::default();
            ledger.account = Account {
                usage: Usage::default(),
                adjust: 0,
                spent: None,
                began: Some(now),
                ..ledger.account
            };
        }
    }
}

impl<N: Netfilter> Session<'_, N> {
    /// Saves the usage with the past that comes with it. This one save decides: whoever dies before
    /// has changed nothing, and after it all is as it must be.
    pub(super) fn save_adopted(
        &mut self,
        db: &mut StateDb,
        adopted: Adopted,
        config: &str,
    ) -> Result<(), EngineError> {
        let begin = adopted.adoption.days_begin(&adopted.state, &self.saved);
        let mut days = adopted.adoption.days();
        days.extend(between(&begin, &self.state));
        let past = Past {
            extent: adopted.adoption.extent,
            days: &days,
            closed: &adopted.adoption.books.closed,
        };
        db.adopt(&self.saved, &self.state, config, &past)?;
        self.state.closed.clear();
        self.saved = self.state.clone();
        Ok(())
    }
}
