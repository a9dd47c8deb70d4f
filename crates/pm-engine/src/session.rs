//! One session with the tick lock held: read, account, save, plan, apply, until nothing is left.

mod adopted;
mod before;
mod cleanup;
mod reading;

use std::collections::BTreeSet;
use std::time::Duration;

use pm_core::backend::{BackendError, Netfilter, Reading};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::history::{DayTotal, between};
use pm_core::ledger::State;
use pm_core::news::{News, is_anybody_told, of_events};
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::port::PortList;
use pm_core::ruleset::{Changes, Epoch, Installed};
use pm_core::tick::{Now, step};
use pm_store::state_db::StateDb;

use self::adopted::Adopted;
use self::before::Before;
use self::reading::Applied;
use crate::error::EngineError;
use crate::{clock, host};

/// A move takes two rounds, its clean-up a third; the rest is for races with other programs.
const MAX_ROUNDS: u32 = 10;

/// The state and the kernel, while the tick lock is held.
pub(crate) struct Session<'a, N> {
    netfilter: &'a mut N,
    /// What was read and accounted for last.
    pub(crate) state: State,
    /// What is saved.
    saved: State,
    /// The configuration and the usage without the request that is being carried out. Until all
    /// of it is in force, this is what is saved: a request that fails leaves no trace.
    before: Option<Before>,
    /// The past that the request brings along, until all of it is in force.
    adopted: Option<Adopted>,
    /// Whether the kernel holds all that must be.
    in_force: bool,
    /// When it began, by both clocks. To all of it, this is now: nothing ends in the middle.
    pub(crate) time: Timestamp,
    since_boot: Duration,
    /// What could not be tidied up.
    pub(crate) leftover: Vec<EngineError>,
    /// The services whose totals matter; `None`: all. Those of others may be as last saved.
    scope: Option<PortList>,
    /// The last reading and what the kernel held then, until a batch is applied.
    seen: Option<(Reading, Installed)>,
    /// Whether that was accounted for under the configuration that is to be in force.
    is_accounted: bool,
    /// The batch applied since, and what it left.
    applied: Option<Applied>,
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
        Self::about(netfilter, saved, None)
    }

    /// Begins from the saved state, for the sake of some services only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn about(
        netfilter: &'a mut N,
        saved: Option<State>,
        scope: Option<PortList>,
    ) -> Result<Self, EngineError> {
        host::require_kernel()?;
        let state = match saved {
            Some(state) => state,
            None => State::new(fresh_epoch()?),
        };
        Ok(Self {
            netfilter,
            saved: state.clone(),
            state,
            before: None,
            adopted: None,
            in_force: false,
            time: clock::now(),
            since_boot: clock::since_boot(),
            leftover: Vec::new(),
            scope,
            seen: None,
            is_accounted: false,
            applied: None,
            events: Vec::new(),
        })
    }

    /// Accounts for the kernel's totals under `config`, in memory only. They are read once, and
    /// again after each batch.
    pub(crate) fn observe(&mut self, config: &Config) -> Result<(), EngineError> {
        let seen = self.seen.take();
        let is_new = seen.is_none();
        let (mut reading, installed) = match seen {
            Some(seen) => seen,
            None => self.look()?,
        };
        let zone = clock::zone(config);
        let (state, events) = step(
            config,
            &self.state,
            &reading,
            &installed,
            self.now(&zone, fresh_epoch()?),
        );
        let last_tick = self.state.last_tick;
        let reading_is_partial = self.scope.is_some();
        self.state = state;
        if reading_is_partial {
            self.state.last_tick = last_tick;
        }
        self.events.extend(events);
        // What has been accounted for is not news when it is looked at again.
        let nothing = Some(BTreeSet::new());
        let fresh = std::mem::replace(&mut reading.fresh, nothing);
        if let (Some(before), true) = (&mut self.before, is_new) {
            before.owed = Some(fresh);
        }
        self.seen = Some((reading, installed));
        self.is_accounted = true;
        Ok(())
    }

    fn now<'z>(&self, zone: &'z Zone, next_epoch: Epoch) -> Now<'z> {
        Now {
            time: self.time,
            since_boot: self.since_boot,
            zone,
            not_before: clock::built_at(),
            next_epoch,
        }
    }

    /// Whether nobody has changed any rules since pm had all of its own in place.
    pub(crate) fn is_as_left(&self) -> bool {
        let generation = self.seen.as_ref().map(|(reading, _)| reading.generation);
        generation.is_some() && self.saved.settled_at == generation
    }

    /// Returns the next batch on the way from what was observed to what must be.
    pub(crate) fn pending(&self, config: &Config) -> Changes {
        self.next_step(config).0
    }

    /// Returns the next batch, and whether some service cannot be where it must be without it.
    fn next_step(&self, config: &Config) -> (Changes, bool) {
        let Some((reading, installed)) = &self.seen else {
            return (Changes::default(), false);
        };
        if self.state.torn_down {
            return (withdrawal(installed), true);
        }
        let wanted = plan(config, &self.state, reading, installed);
        let changes = difference(installed, &wanted, &self.state);
        let is_needed = !changes.is_cleanup() || !wanted.waiting.is_empty();
        (changes, is_needed)
    }

    /// Makes the kernel hold what `config` and the usage ask for, saving before every batch.
    /// `text` is the configuration as it is kept for when the file cannot be used.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and the next session goes on from it.
    pub(crate) fn converge(
        &mut self,
        config: &Config,
        text: &str,
        db: &mut StateDb,
    ) -> Result<(), EngineError> {
        for _ in 0..MAX_ROUNDS {
            let was_in_force = self.in_force;
            match self.round(config, text, db) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What is in force is not undone for what comes after it.
                Err(error) if was_in_force => {
                    self.leftover.push(error);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let error = EngineError::Unsettled { rounds: MAX_ROUNDS };
        if !self.in_force {
            return Err(error);
        }
        self.leftover.push(error);
        Ok(())
    }

    /// Does one round of reading, saving and changing. Returns whether nothing is left to do.
    fn round(
        &mut self,
        config: &Config,
        text: &str,
        db: &mut StateDb,
    ) -> Result<bool, EngineError> {
        if self.seen.is_none() || !self.is_accounted {
            self.observe(config)?;
        }
        let (mut changes, is_needed) = self.next_step(config);
        let gives_back = self.keep_back(&mut changes, config);
        if !changes.is_empty() && is_needed {
            self.save_before_batch(&changes, text, db)?;
            if changes.is_cleanup() {
                self.make_way(changes, config)?;
            } else {
                self.apply(&changes)?;
            }
            return Ok(false);
        }
        let settled = changes.is_empty() && !gives_back && !self.state.torn_down;
        let generation = self.seen.as_ref().map(|(reading, _)| reading.generation);
        self.state.settled_at = generation.filter(|_| settled);
        match self.adopted.take() {
            Some(adopted) => self.save_adopted(db, adopted, text)?,
            None => self.save(db, self.state.clone(), Some(text))?,
        }
        self.before = None;
        self.in_force = true;
        let is_clean = changes.is_empty() || !self.clean_up(changes);
        Ok(is_clean && !gives_back)
    }

    /// Saves what must be known should pm die between the batch and the next reading.
    fn save_before_batch(
        &mut self,
        changes: &Changes,
        text: &str,
        db: &mut StateDb,
    ) -> Result<(), EngineError> {
        self.catch_up();
        self.state.settled_at = None;
        self.state.expect(changes);
        let Some(before) = self.before.as_mut().map(|before| &mut before.state) else {
            return self.save(db, self.state.clone(), Some(text));
        };
        before.settled_at = None;
        before.next_epoch = self.state.next_epoch;
        let known: BTreeSet<_> = before.ledgers.keys().copied().collect();
        before.adopt(changes, &self.state);
        if let Some(adopted) = &self.adopted {
            adopted.leave_out(before, &known, self.time);
        }
        before.expect(changes);
        let before = before.clone();
        self.save(db, before, None)
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), EngineError> {
        let Some((before, installed)) = self.seen.take() else {
            return Ok(());
        };
        let applied = self.netfilter.apply(changes, before.generation);
        if changes.unlinks() {
            // After an error too: some of the batch may be in force.
            self.netfilter.settle();
        }
        match applied {
            Ok(generation) => {
                self.applied = Some(Applied {
                    generation,
                    installed: installed.after(changes),
                    before,
                    concerned: changes.concerned(),
                });
                Ok(())
            }
            // Read again, and plan on what the other program left.
            Err(BackendError::Raced) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Saves `state`, one of the two that this session goes on from.
    fn save(
        &mut self,
        db: &mut StateDb,
        mut state: State,
        config: Option<&str>,
    ) -> Result<(), EngineError> {
        db.save(&self.saved, &state, config)?;
        // Both have seen the same periods end, and each is kept once; so is what is to be told.
        let kept = std::mem::take(&mut state.closed);
        let told = std::mem::take(&mut state.news);
        let before = self.before.as_mut().map(|before| &mut before.state);
        let after = Some(&mut self.state).filter(|_| {
            let adopted = self.adopted.as_ref();
            !adopted.is_some_and(Adopted::replaces_history)
        });
        for going_on in before.into_iter().chain(after) {
            going_on.closed.retain(|period| !kept.contains(period));
            let is_told = |news: &News| told.iter().any(|it| it.is_same(news));
            going_on.news.retain(|news| !is_told(news));
        }
        self.saved = state;
        Ok(())
    }

    /// Saves what was observed, and changes nothing in the kernel.
    pub(crate) fn save_as_observed(&mut self, db: &mut StateDb) -> Result<(), EngineError> {
        self.save(db, self.state.clone(), None)
    }

    /// Returns what was counted since the last save.
    pub(crate) fn unsaved_days(&self) -> Vec<DayTotal> {
        between(&self.saved, &self.state)
    }

    /// Notes what happened beside what was counted.
    pub(crate) fn happened(&mut self, event: Event, config: &Config) {
        if is_anybody_told(config) {
            let news = of_events(std::slice::from_ref(&event), config, &self.state, self.time);
            self.state.news.extend(news);
        }
        self.events.push(event);
    }

    /// Saves what is noted of the interfaces, and what is to be told, and nothing else that is new.
    pub(crate) fn save_interfaces(&mut self, db: &mut StateDb) -> Result<(), EngineError> {
        let interfaces = self.state.interfaces.clone();
        if let Some(before) = &mut self.before {
            before.state.interfaces.clone_from(&interfaces);
        }
        let news = self.state.news.clone();
        if self.saved.interfaces == interfaces && news.is_empty() {
            return Ok(());
        }
        let state = State {
            interfaces,
            news,
            ..self.saved.clone()
        };
        self.save(db, state, None)
    }
}

fn fresh_epoch() -> Result<Epoch, EngineError> {
    getrandom::u64().map(Epoch).map_err(EngineError::Random)
}
