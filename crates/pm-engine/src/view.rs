//! What is, as of now: the saved usage plus what the kernel counted since. Writes nothing.

use std::time::Duration;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_core::port::PortRange;
use pm_core::report::{GroupReport, Report, group_reports, reports};
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;
use pm_store::{StoreError, config_file};

use crate::session::Session;
use crate::{Engine, EngineError};

/// How long a command waits for a lock before it names the holder.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Everything there is to show.
#[derive(Debug)]
pub struct View {
    /// The configuration that is in force.
    pub config: Config,
    /// The usage, as of this reading.
    pub state: State,
    /// Every service.
    pub reports: Vec<Report>,
    /// Every group.
    pub groups: Vec<GroupReport>,
    /// Services whose rules another program removed: nothing is counted or cut off there until
    /// the next tick.
    pub lost: Vec<PortRange>,
    /// Why the configuration on disk is not in force.
    pub stale_config: Option<StoreError>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Returns what is, as of a reading made now.
    ///
    /// # Errors
    ///
    /// Any; nothing has changed.
    pub fn view(&mut self) -> Result<View, EngineError> {
        let _lock = Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT)?;
        let db = StateDb::open_read_only(&self.paths)?;
        let (config, stale_config) = match &db {
            Some(db) => {
                let (loaded, stale_config) = config_file::load_or_last_good(&self.paths, db)?;
                (loaded.config, stale_config)
            }
            None => (config_file::load(&self.paths)?.config, None),
        };
        let saved = self.saved_state(db.as_ref(), &config)?;
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&config)?;
        let lost = session.events.into_iter().find_map(|event| match event {
            Event::RulesLost { ports, .. } => Some(ports),
            _ => None,
        });
        let state = session.state;
        let reports = reports(&config, &state);
        let groups = group_reports(&config, &state);
        Ok(View {
            config,
            state,
            reports,
            groups,
            lost: lost.unwrap_or_default(),
            stale_config,
        })
    }
}
