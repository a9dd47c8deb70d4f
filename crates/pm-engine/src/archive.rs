//! Everything that there is, for an archive.

use pm_core::adoption::{Books, ServiceBooks};
use pm_core::archive::Archive;
use pm_core::backend::{Netfilter, Shaper};
use pm_core::calendar::Timestamp;
use pm_core::config::Backup;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;
use pm_store::{StoreError, backups, config_file};

use crate::history::merge;
use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock};

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
        let latest = backups::made(&self.paths)?.pop();
        if latest.is_some_and(|latest| !is_due(schedule, latest, clock::now())) {
            return Ok(false);
        }
        let archive = self.archive(program, false)?;
        let bytes = archive.encode()?;
        backups::add(&self.paths, archive.made, &bytes, schedule.keep())?;
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
        let (state, now) = (&session.state, session.time);
        let mut books = Books::default();
        let mut leaving: Vec<ClosedPeriod> = Vec::new();
        for (&ports, ledger) in &state.ledgers {
            if loaded.config.services.contains_key(&ports) {
                let service = ServiceBooks {
                    total: ledger.total,
                    account: ledger.account,
                    expired: ledger.expired,
                    punished: ledger.hog.punished,
                };
                books.services.insert(ports, service);
            } else if ledger.total != Usage::default() {
                // Its rooms are not gone yet, and elsewhere they never were.
                leaving.push(ledger.clone().close(ports, Why::Deleted, now));
            }
        }
        books.groups.clone_from(&state.groups);
        if let Some(db) = &db {
            books.days = db.days(None)?;
            books.closed = db.closed_periods(None)?;
        }
        books.days = merge(books.days, session.unsaved_days());
        books.closed.extend(session.state.closed.iter().cloned());
        books.closed.extend(leaving);
        let zone = clock::zone(&loaded.config);
        let zone = Some(zone.name().to_owned()).filter(|name| !clock::is_nameless(name));
        Ok(Archive::new(
            now,
            program,
            zone,
            &loaded.config,
            with_secrets,
            books,
        ))
    }
}

/// Whether it is time for another backup. One that the clock of then was ahead with is none to wait
/// for.
fn is_due(schedule: Backup, latest: Timestamp, now: Timestamp) -> bool {
    // Ticks do not come at the same second.
    const EARLY: i64 = 30;
    let passed = now.unix().saturating_sub(latest.unix());
    passed < 0 || passed >= i64::from(schedule.hours()) * 3600 - EARLY
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
