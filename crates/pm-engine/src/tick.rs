//! The tick, once a minute: account for what was counted, and keep the kernel as it must be.

use pm_core::backend::{Netfilter, Shaper};
use pm_core::config::{Backup, Config};
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_store::StoreError;
use pm_store::config_file;
use pm_store::locks::{Lock, LockKind, remove_with};
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::shaping::{Left, Occasion, Shaping};
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, outbox};

/// What a tick did.
#[derive(Debug)]
pub enum Ticked {
    /// Everything.
    Done {
        /// What happened, in order.
        events: Vec<Event>,
        /// What could not be tidied up, such as rooms no longer used; the next tick tries again.
        leftover: Vec<EngineError>,
        /// What traffic control refused, while everything else was done.
        problems: Vec<EngineError>,
        /// Why what happened is not told now; it waits.
        untold: Option<Box<EngineError>>,
        /// Why the configuration on disk was not used, but the last good one.
        stale_config: Option<StoreError>,
        /// How often a backup is to be made.
        backup: Option<Backup>,
    },
    /// Nothing: another pm is at it.
    Busy,
}

impl Ticked {
    /// Returns a tick that had nothing to do.
    fn nothing() -> Self {
        Self::Done {
            events: Vec::new(),
            leftover: Vec::new(),
            problems: Vec::new(),
            untold: None,
            stale_config: None,
            backup: None,
        }
    }
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Does one tick, or leaves at once when another pm is at it. Where there is neither configuration nor usage, there
    /// is nothing to do, and nothing is made: uninstall must not find anew what it has just removed.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, the kernel goes on counting and cutting, and the next tick
    /// goes on from there.
    pub fn tick(&mut self) -> Result<Ticked, EngineError> {
        if self.is_nothing() {
            return Ok(Ticked::nothing());
        }
        let Some(lock) = self.tick_lock()? else {
            return Ok(Ticked::Busy);
        };
        self.tick_under(lock)
    }

    /// Does one tick, after whoever is at it: for the last one before the host goes down, or the
    /// rules do.
    ///
    /// # Errors
    ///
    /// As [`tick`](Self::tick), and `Held` when another pm is at it for long.
    pub fn tick_after_others(&mut self) -> Result<Ticked, EngineError> {
        if self.is_nothing() {
            return Ok(Ticked::nothing());
        }
        let lock = match self.tick.take() {
            Some(lock) => lock,
            None => Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT)?,
        };
        self.tick_under(lock)
    }

    fn tick_under(&mut self, lock: Lock) -> Result<Ticked, EngineError> {
        // Uninstall may have been at it until now.
        if self.is_nothing() {
            remove_with(&self.paths, [lock]);
            return Ok(Ticked::nothing());
        }
        let mut db = StateDb::open(&self.paths)?;
        // The configuration is known all the same, and the next tick tries again.
        let unfollowed = config_file::follow(&self.paths, &mut db).err();
        let (loaded, stale_config) = config_file::load_or_last_good(&self.paths, &db)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let left = saved
            .as_ref()
            .and_then(|saved| Left::of(&db, &loaded, saved));
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.leftover.extend(unfollowed.map(EngineError::from));
        session.converge(&loaded.config, &loaded.text, &mut db)?;
        let mut shaping = Shaping::after(&mut self.shaper, left);
        shaping.finish(&mut session, &loaded.config, Occasion::Tick, &mut db);
        let problems = shaping.problems;
        let (events, leftover) = (session.events, session.leftover);
        let (state, now) = (session.state, session.time);
        let push = loaded.config.push.as_ref().filter(|push| push.enabled);
        let interface = push.map_or_else(String::new, |_| self.uplink());
        let posted = outbox::post(
            &self.paths,
            &mut db,
            &loaded.config,
            &state,
            &interface,
            now,
        );
        Ok(Ticked::Done {
            events,
            leftover,
            problems,
            untold: posted.err().map(Box::new),
            stale_config,
            backup: loaded.config.backup,
        })
    }

    /// Does the part of a tick that leaves the kernel as it is: brings `state.db` to this pm's
    /// schema, accounts for what was counted, plans, saves, and looks through what it saved.
    ///
    /// It is how a new pm is tried before it replaces the old one.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true.
    pub fn account(&mut self) -> Result<Ticked, EngineError> {
        let Some(_lock) = self.tick_lock()? else {
            return Ok(Ticked::Busy);
        };
        let mut db = StateDb::open(&self.paths)?;
        let (loaded, stale_config) = config_file::load_or_last_good(&self.paths, &db)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&loaded.config)?;
        let _planned = session.pending(&loaded.config);
        session.save_as_observed(&mut db)?;
        db.check()?;
        Ok(Ticked::Done {
            events: session.events,
            leftover: session.leftover,
            problems: Vec::new(),
            untold: None,
            stale_config,
            backup: None,
        })
    }

    fn tick_lock(&mut self) -> Result<Option<Lock>, StoreError> {
        match self.tick.take() {
            Some(lock) => Ok(Some(lock)),
            None => Lock::try_acquire(&self.paths, LockKind::Tick),
        }
    }

    /// Returns the saved state that belongs to `config`; `None`: pm never ran.
    ///
    /// # Errors
    ///
    /// `StateGone` where pm has run: nobody's quota begins anew by losing a file.
    pub(crate) fn saved_state(
        &self,
        db: Option<&StateDb>,
        config: &Config,
    ) -> Result<Option<State>, EngineError> {
        let saved = match db {
            Some(db) => db.load()?,
            None => None,
        };
        // A configuration without a revision was written by hand, before pm's first run.
        if saved.is_none() && config.revision > 0 && !config.services.is_empty() {
            let path = self.paths.state_db();
            return Err(StoreError::StateGone { path }.into());
        }
        Ok(saved)
    }
}
