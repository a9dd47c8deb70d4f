//! Reading no more of the kernel than it takes.

use std::collections::BTreeSet;

use pm_core::backend::{Netfilter, Reading};
use pm_core::ruleset::{Installed, QuotaId, RoomId};

use super::{MAX_ROUNDS, Session};
use crate::clock;
use crate::error::EngineError;

/// What is known after a batch, until it is read again.
pub(super) struct Applied {
    pub(super) generation: u32,
    /// What the kernel holds, unless somebody else has changed it since.
    pub(super) installed: Installed,
    /// The reading before the batch.
    pub(super) before: Reading,
    /// The rooms and quotas that the batch concerned; `None`: all of them.
    pub(super) concerned: Option<(BTreeSet<RoomId>, BTreeSet<QuotaId>)>,
}

impl<N: Netfilter> Session<'_, N> {
    /// Returns the kernel's totals, and what it holds in the same generation.
    pub(super) fn look(&mut self) -> Result<(Reading, Installed), EngineError> {
        if let Some(reading) = self.look_at_scope()? {
            return Ok((reading, Installed::settled(&self.state)));
        }
        let mut reading = match self.applied.take() {
            Some(applied) => {
                let reading = match &applied.concerned {
                    Some((rooms, quotas)) => {
                        self.netfilter.refresh(applied.before, rooms, quotas)?
                    }
                    None => self.netfilter.read()?,
                };
                if reading.generation == applied.generation {
                    return Ok((reading, applied.installed));
                }
                // Somebody else's commit: what the other rooms show is of before it.
                self.netfilter.read()?
            }
            None => self.netfilter.read()?,
        };
        for _ in 0..MAX_ROUNDS {
            if self.left_untouched(&reading) {
                return Ok((reading, Installed::settled(&self.state)));
            }
            tracing::debug!(generation = reading.generation, left_at = ?self.state.settled_at, "inspecting");
            let (generation, installed) = self.netfilter.inspect()?;
            if generation == reading.generation {
                return Ok((reading, installed));
            }
            reading = self.netfilter.read()?;
        }
        Err(EngineError::Unsettled { rounds: MAX_ROUNDS })
    }

    /// Returns a reading of the services in scope, where all rules are as pm left them.
    fn look_at_scope(&mut self) -> Result<Option<Reading>, EngineError> {
        let (Some(scope), None) = (&self.scope, &self.applied) else {
            return Ok(None);
        };
        let Some(remembered) = self.state.remembered() else {
            return Ok(None);
        };
        if self.is_some_period_over() {
            // Ending one takes a reading of its own.
            return Ok(None);
        }
        let (mut rooms, mut quotas) = (BTreeSet::new(), BTreeSet::new());
        for ports in scope.iter() {
            let ledger = self.state.ledgers.get(&ports);
            for (variant, mark) in ledger.iter().flat_map(|ledger| ledger.rooms.iter()) {
                rooms.insert(RoomId { ports, variant });
                quotas.extend(
                    mark.room
                        .metering
                        .iter()
                        .flat_map(|metering| metering.quotas()),
                );
            }
        }
        let reading = self.netfilter.refresh(remembered, &rooms, &quotas)?;
        Ok(Some(reading).filter(|reading| self.left_untouched(reading)))
    }

    fn is_some_period_over(&self) -> bool {
        let tomorrow = clock::latest_date();
        let accounts = self.state.ledgers.values().map(|ledger| &ledger.account);
        let accounts = accounts.chain(self.state.groups.values());
        let ends = accounts.filter_map(|account| account.period.next());
        ends.min().is_some_and(|end| end <= tomorrow)
    }

    /// Whether nobody has changed any rule since pm left everything in place.
    fn left_untouched(&self, reading: &Reading) -> bool {
        self.state.settled_at == Some(reading.generation)
            && self.state.host.as_ref() == Some(&reading.host)
            && match (&self.state.table, &reading.table) {
                (Some(mark), Some(table)) => mark.handle == table.handle,
                _ => false,
            }
    }
}
