//! What was used before.

use pm_core::backend::{Netfilter, Shaper};
use pm_core::calendar::Zone;
use pm_core::config::Config;
use pm_core::history::{ClosedPeriod, DayTotal, RunningPeriod, running};
use pm_store::config_file;
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock};

/// Everything that is known of the past, and of the running periods as of a reading made now.
#[derive(Debug)]
pub struct History {
    /// The configuration that is in force.
    pub config: Config,
    /// The zone whose dates count under it.
    pub zone: Zone,
    /// What each service used on each day, by day.
    pub days: Vec<DayTotal>,
    /// The periods that are over, by their end.
    pub closed: Vec<ClosedPeriod>,
    /// The periods that are not.
    pub running: Vec<RunningPeriod>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Returns what was used by day and by period.
    ///
    /// # Errors
    ///
    /// Any; nothing has changed.
    pub fn history(&mut self) -> Result<History, EngineError> {
        let _lock = Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT)?;
        let Some(db) = StateDb::open_read_only(&self.paths)? else {
            let config = config_file::load(&self.paths)?.config;
            return Ok(History {
                zone: clock::zone(&config),
                config,
                days: Vec::new(),
                closed: Vec::new(),
                running: Vec::new(),
            });
        };
        let (loaded, _) = self.config_or_last_good(&db)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&loaded.config)?;
        let (days, mut closed) = (db.days(None)?, db.closed_periods(None)?);
        let unsaved = session.unsaved_days();
        closed.extend(session.state.closed.iter().cloned());
        Ok(History {
            days: merge(days, unsaved),
            closed,
            running: running(&loaded.config, &session.state),
            zone: clock::zone(&loaded.config),
            config: loaded.config,
        })
    }
}

/// Adds what no tick has saved yet to the days.
fn merge(mut days: Vec<DayTotal>, unsaved: Vec<DayTotal>) -> Vec<DayTotal> {
    for one in unsaved {
        let same = |day: &&mut DayTotal| (day.date, day.ports) == (one.date, one.ports);
        match days.iter_mut().rev().find(same) {
            Some(day) => day.usage = day.usage.plus(one.usage),
            None => days.push(one),
        }
    }
    days.sort_by_key(|day| (day.date, day.ports));
    days
}
