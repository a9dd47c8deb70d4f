//! Everything that there is, for an archive.

use pm_core::adoption::{Books, ServiceBooks};
use pm_core::archive::Archive;
use pm_core::backend::{Netfilter, Shaper};
use pm_core::calendar::Timestamp;
use pm_core::config::Backup;
use pm_core::port::PortRange;
use pm_store::backups::{self, Shelf};
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;
use pm_store::{StoreError, config_file};

use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock, replaced};

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Returns configuration, usage and history, as of a reading made now. `program` is the
    /// version of this pm.
    ///
    /// # Errors
    ///
    /// Any, also that the configuration cannot be used: an archive is of what is wanted, not of
    /// what was good last. Nothing has changed.
    pub fn archive(&mut self, program: &str, with_secrets: bool) -> Result<Archive, EngineError> {
        let _lock = Lock::acquire(&self.paths, LockKind::Tick, LOCK_WAIT)?;
        self.archive_under_lock(program, with_secrets)
    }

    /// Makes a backup where `schedule` says that it is time for one. Returns whether it was.
    ///
    /// What it says is without secrets: it is for being copied elsewhere, and an import here keeps
    /// those that are here.
    ///
    /// # Errors
    ///
    /// As the files say; backups that there are stay.
    pub fn back_up_if_due(&mut self, schedule: Backup, program: &str) -> Result<bool, EngineError> {
        let now = clock::now();
        let latest = backups::latest(&self.paths, Shelf::Scheduled, now)?;
        if latest.is_some_and(|latest| !is_due(schedule, latest, now)) {
            return Ok(false);
        }
        let archive = self.archive(program, false)?;
        let bytes = archive.encode()?;
        let (shelf, keep) = (Shelf::Scheduled, schedule.keep());
        backups::add(&self.paths, shelf, archive.made, &bytes, keep)?;
        Ok(true)
    }

    fn archive_under_lock(
        &mut self,
        program: &str,
        with_secrets: bool,
    ) -> Result<Archive, EngineError> {
        let db = StateDb::open_read_only(&self.paths)?;
        let loaded = match &db {
            Some(db) => config_file::load_with(&self.paths, db)?,
            None => config_file::load(&self.paths)?,
        };
        let saved = self.saved_state(db.as_ref(), &loaded.config)?;
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&loaded.config)?;
        let mut books = Books {
            groups: session.state.groups.clone(),
            closed: replaced::closed(&loaded.config, &session, db.as_ref())?,
            days: replaced::days(&session, db.as_ref())?,
            ..Books::default()
        };
        let ledgers = session.state.ledgers.iter();
        for (&ports, ledger) in
            ledgers.filter(|(ports, _)| loaded.config.services.contains_key(*ports))
        {
            let service = ServiceBooks {
                total: ledger.total,
                account: ledger.account,
                expired: ledger.expired,
                punished: ledger.hog.punished,
            };
            books.services.insert(ports, service);
        }
        let zone = clock::zone(&loaded.config);
        let zone = Some(zone.name().to_owned()).filter(|name| !clock::is_nameless(name));
        Ok(Archive::new(
            session.time,
            program,
            zone,
            &loaded.config,
            with_secrets,
            books,
        ))
    }
}

/// Whether it is time for another backup after one that was made by `now`.
fn is_due(schedule: Backup, latest: Timestamp, now: Timestamp) -> bool {
    // Ticks do not come at the same second.
    const EARLY: i64 = 30;
    let passed = now.unix().saturating_sub(latest.unix());
    passed >= i64::from(schedule.hours()) * 3600 - EARLY
}

/// Whether there is anything that an import would replace.
///
/// # Errors
///
/// As the files say.
pub fn is_empty(paths: &pm_store::paths::Paths) -> Result<bool, StoreError> {
    let Some(db) = StateDb::open_read_only(paths)? else {
        return Ok(config_file::load(paths)?.config.services.is_empty());
    };
    let days: Vec<PortRange> = db.days(None)?.iter().map(|day| day.ports).collect();
    Ok(days.is_empty()
        && config_file::load_with(paths, &db)?
            .config
            .services
            .is_empty())
}
