//! One session with the tick lock held: read, account, save, plan, apply, until nothing is left.

use pm_core::backend::{BackendError, Netfilter, Reading};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::ruleset::{Epoch, Installed};
use pm_core::tick::{Now, step};
use pm_store::state_db::StateDb;

use crate::error::EngineError;
use crate::{clock, host};

/// A move takes two rounds, its clean-up a third; the rest is for races with other programs.
const MAX_ROUNDS: u32 = 10;

/// The state and the kernel, while the tick lock is held.
pub(crate) struct Session<'a, N> {
    netfilter: &'a mut N,
    /// What was read and accounted for last.
    pub(crate) state: State,
    /// What of that is saved.
    saved: State,
    /// What the kernel holds in which generation, where this session knows it.
    known: Option<(u32, Installed)>,
    /// What happened, in order.
    pub(crate) events: Vec<Event>,
}

impl<'a, N: Netfilter> Session<'a, N> {
    /// Begins from the saved state; `None`: pm never ran.
    ///
    /// # Errors
    ///
    /// `OldKernel`, `Random`.
    pub(crate) fn new(netfilter: &'a mut N, saved: Option<State>) -> Result<Self, EngineError> {
        host::require_kernel()?;
        let state = match saved {
            Some(state) => state,
            None => State::new(fresh_epoch()?),
        };
        Ok(Self {
            netfilter,
            saved: state.clone(),
            state,
            known: None,
            events: Vec::new(),
        })
    }

    /// Reads the kernel and accounts for it under `config`, in memory only.
    ///
    /// Returns what the kernel holds, and its generation.
    pub(crate) fn observe(&mut self, config: &Config) -> Result<(u32, Installed), EngineError> {
        let (reading, installed) = self.look()?;
        let zone = clock::zone(config);
        let now = Now {
            time: clock::now(),
            zone: &zone,
            not_before: clock::built_at(),
            next_epoch: fresh_epoch()?,
        };
        let (state, events) = step(config, &self.state, &reading, &installed, now);
        self.state = state;
        self.events.extend(events);
        Ok((reading.generation, installed))
    }

    /// Makes the kernel hold what `config` and the usage ask for, saving before every batch.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and the next session goes on from it.
    pub(crate) fn converge(
        &mut self,
        config: &Config,
        db: &mut StateDb,
    ) -> Result<(), EngineError> {
        let text = config.emit();
        for _ in 0..MAX_ROUNDS {
            let (generation, installed) = self.observe(config)?;
            let changes = if self.state.torn_down {
                withdrawal(&installed)
            } else {
                difference(
                    &installed,
                    &plan(config, &self.state, &installed),
                    &self.state,
                )
            };
            let settled = changes.is_empty() && !self.state.torn_down;
            self.state.settled_at = settled.then_some(generation);
            self.save(db, &text)?;
            if changes.is_empty() {
                return Ok(());
            }
            match self.netfilter.apply(&changes, generation) {
                Ok(generation) => {
                    if changes.unlinks() {
                        self.netfilter.settle();
                    }
                    self.known = Some((generation, installed.after(&changes)));
                }
                Err(BackendError::Raced) => self.known = None,
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Unsettled { rounds: MAX_ROUNDS })
    }

    fn save(&mut self, db: &mut StateDb, config: &str) -> Result<(), EngineError> {
        db.save(&self.saved, &self.state, Some(config))?;
        self.saved.clone_from(&self.state);
        Ok(())
    }

    /// Returns the kernel's totals, and what it holds in the same generation.
    fn look(&mut self) -> Result<(Reading, Installed), EngineError> {
        for _ in 0..MAX_ROUNDS {
            let reading = self.netfilter.read()?;
            if let Some((generation, installed)) = self.known.take()
                && generation == reading.generation
            {
                return Ok((reading, installed));
            }
            if self.left_untouched(&reading) {
                return Ok((reading, Installed::settled(&self.state)));
            }
            let (generation, installed) = self.netfilter.inspect()?;
            if generation == reading.generation {
                return Ok((reading, installed));
            }
        }
        Err(EngineError::Unsettled { rounds: MAX_ROUNDS })
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

fn fresh_epoch() -> Result<Epoch, EngineError> {
    getrandom::u64().map(Epoch).map_err(EngineError::Random)
}
