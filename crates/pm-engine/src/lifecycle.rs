//! Into the kernel at boot, and out of it on request.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::event::Event;
use pm_store::StoreError;
use pm_store::config_file::{self, Loaded};
use pm_store::locks::{Lock, remove_with};
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

/// Where to, and what must be there for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    In,
    /// Usage may be gone.
    InAnew,
    Out,
    /// Configuration and usage may be gone, or of no use.
    OutForGood,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Puts all rules into the kernel, also after a teardown. With `anew`, usage that is gone is
    /// no error: every service begins at nothing used.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and doing it again goes on from there.
    pub fn restore(&mut self, anew: bool) -> Result<Moved, EngineError> {
        let way = if anew { Way::InAnew } else { Way::In };
        let locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        self.go(way, &locks)
    }

    /// Puts all rules into the kernel at boot, or after somebody flushed them. Who took them out on purpose
    /// ([`teardown`](Self::teardown)) finds them out still, and it returns `None`; so does who has neither configuration
    /// nor usage: there is nothing to put back, and nothing is made.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_at_boot(&mut self) -> Result<Option<Moved>, EngineError> {
        // Before any lock: who tears it down meanwhile may as well have come a moment later.
        if self.is_torn_down() || self.is_nothing() {
            return Ok(None);
        }
        let locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        // Uninstall may have been at it until now.
        if self.is_nothing() {
            remove_with(&self.paths, [locks.0, locks.1]);
            return Ok(None);
        }
        self.go(Way::In, &locks).map(Some)
    }

    /// Whether the rules were taken out of the kernel and are to stay out. What cannot be read says that they were not.
    pub fn is_torn_down(&self) -> bool {
        let saved = StateDb::open_read_only(&self.paths).and_then(|db| match db {
            Some(db) => db.load(),
            None => Ok(None),
        });
        matches!(saved, Ok(Some(state)) if state.torn_down)
    }

    /// Whether there is neither configuration nor usage: nobody has begun yet, or pm was uninstalled.
    pub(crate) fn is_nothing(&self) -> bool {
        let paths = [self.paths.config_file(), self.paths.state_db()];
        let is_missing = |path: &PathBuf| {
            let found = fs::symlink_metadata(path);
            found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        paths.iter().all(is_missing)
    }

    /// Takes everything out of the kernel after a last reading, and keeps all data.
    ///
    /// Ticks put nothing back until [`restore`](Self::restore) or a request does.
    ///
    /// # Errors
    ///
    /// Any; what was saved is true, and doing it again goes on from there.
    pub fn teardown(&mut self) -> Result<Moved, EngineError> {
        let locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        self.go(Way::Out, &locks)
    }

    /// The same for whoever uninstalls pm, who holds *write* and *tick* until all of it is gone. Where all data goes,
    /// too (`for_good`), whether configuration and usage belong together, or can be used, is of no matter any more.
    ///
    /// # Errors
    ///
    /// Any; doing it again goes on from there.
    pub fn leave(&mut self, locks: &(Lock, Lock), for_good: bool) -> Result<Moved, EngineError> {
        let way = if for_good { Way::OutForGood } else { Way::Out };
        self.go(way, locks)
    }

    fn go(&mut self, way: Way, _locks: &(Lock, Lock)) -> Result<Moved, EngineError> {
        let leave = matches!(way, Way::Out | Way::OutForGood);
        let mut db = StateDb::open(&self.paths)?;
        let unfollowed = config_file::follow(&self.paths, &mut db).err();
        let (loaded, stale_config) = match config_file::load_or_last_good(&self.paths, &db) {
            Err(_) if way == Way::OutForGood => (Loaded::default(), None),
            other => other?,
        };
        let saved = match way {
            Way::InAnew | Way::OutForGood => db.load()?,
            Way::In | Way::Out => self.saved_state(Some(&db), &loaded.config)?,
        };
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.leftover.extend(unfollowed.map(EngineError::from));
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
