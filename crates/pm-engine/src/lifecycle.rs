//! Into the kernel at boot, and out of it on request.

use pm_core::backend::{Netfilter, Shaper};
use pm_core::event::Event;
use pm_store::StoreError;
use pm_store::config_file;
use pm_store::locks::Lock;
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::shaping::{Occasion, Shaping};
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError};

/// What pm did on its way into the kernel, or out of it.
#[derive(Debug)]
pub struct Moved {
    /// How many services it concerned.
    pub services: usize,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What could not be tidied up, such as rooms no longer used; the next tick tries again.
    pub leftover: Vec<EngineError>,
    /// What traffic control refused, while everything else was done.
    pub problems: Vec<EngineError>,
    /// Why the configuration on disk was not used, but the last good one.
    pub stale_config: Option<StoreError>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Puts all rules into the kernel, also after a teardown. With `anew`, usage that is gone is
    /// no error: every service begins at nothing used.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and doing it again goes on from there.
    pub fn restore(&mut self, anew: bool) -> Result<Moved, EngineError> {
        self.enter_or_leave(false, anew)
    }

    /// Takes everything out of the kernel after a last reading, and keeps all data.
    ///
    /// Ticks put nothing back until [`restore`](Self::restore) or a request does.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and doing it again goes on from there.
    pub fn teardown(&mut self) -> Result<Moved, EngineError> {
        self.enter_or_leave(true, false)
    }

    fn enter_or_leave(&mut self, leave: bool, anew: bool) -> Result<Moved, EngineError> {
        let _locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        let mut db = StateDb::open(&self.paths)?;
        let (loaded, stale_config) = config_file::load_or_last_good(&self.paths, &db)?;
        let saved = if anew {
            db.load()?
        } else {
            self.saved_state(Some(&db), &loaded.config)?
        };
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&loaded.config)?;
        session.state.torn_down = leave;
        session.converge(&loaded.config, &loaded.text, &mut db)?;
        let mut shaping = Shaping::new(&mut self.shaper);
        shaping.finish(&mut session, &loaded.config, Occasion::Change, &mut db);
        Ok(Moved {
            services: loaded.config.services.len(),
            events: session.events,
            leftover: session.leftover,
            problems: shaping.problems,
            stale_config,
        })
    }
}
