//! Carrying out a request: judged on a fresh reading, in force when it returns.

use std::collections::BTreeSet;

use pm_core::backend::Netfilter;
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::State;
use pm_core::report::{Report, reports};
use pm_core::request::{Context, Request, Warning};
use pm_store::config_file;
use pm_store::locks::Lock;
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock, host, ssh};

/// How a request is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Even if it could lock the operator out.
    pub force: bool,
    /// Only to see what it would change.
    pub dry_run: bool,
}

/// What a request changed, or would change.
#[derive(Debug)]
pub struct Executed {
    /// The configuration before.
    pub before: Config,
    /// The configuration after.
    pub after: Config,
    /// Every service before, as of the reading on which the request was judged.
    pub reports_before: Vec<Report>,
    /// Every service after.
    pub reports_after: Vec<Report>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What could not be tidied up, such as rooms no longer used; the next tick tries again.
    pub leftover: Vec<EngineError>,
    /// Whether pm was taken out of the kernel, so that none of it is in force.
    pub torn_down: bool,
}

impl<N: Netfilter> Engine<N> {
    /// Carries out `request`; it is in force when this returns, unless pm was taken out of the
    /// kernel.
    ///
    /// # Errors
    ///
    /// `Refused`, a bad configuration file, locks: nothing has changed. `RolledBack`: the kernel
    /// would not have it; configuration and usage are those before, with what was counted since.
    pub fn execute(
        &mut self,
        request: &Request,
        options: Options,
    ) -> Result<Executed, EngineError> {
        let _locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        let scope = request.named().cloned();
        if options.dry_run {
            let db = StateDb::open_read_only(&self.paths)?;
            let loaded = match &db {
                Some(db) => config_file::load_with(&self.paths, db)?,
                None => config_file::load(&self.paths)?,
            };
            let saved = self.saved_state(db.as_ref(), &loaded.config)?;
            let mut session = Session::about(&mut self.netfilter, saved, scope)?;
            let mut done = judge(request, options, &loaded.config, &mut session)?;
            session.observe(&done.after)?;
            done.reports_after = reports(&done.after, &session.state);
            return Ok(done);
        }
        let mut db = StateDb::open(&self.paths)?;
        let loaded = config_file::load_with(&self.paths, &db)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let first_run = saved.is_none();
        let mut session = Session::about(&mut self.netfilter, saved, scope)?;
        let mut done = judge(request, options, &loaded.config, &mut session)?;
        if first_run {
            // A configuration of pm's own without usage beside it would be taken for a loss.
            session.save_as_before(&mut db, &loaded.text)?;
        }
        let changed = done.after != done.before;
        let text = if changed {
            config_file::replace(&self.paths, &loaded, &done.after)?
        } else {
            loaded.text.clone()
        };
        if let Err(error) = session.converge(&done.after, &text, &mut db) {
            if changed {
                config_file::put_back(&self.paths, &loaded)?;
            }
            session.abandon_request();
            // The next tick does this again should it fail; what matters is told already.
            if let Err(again) = session.converge(&loaded.config, &loaded.text, &mut db) {
                tracing::warn!("the rules before are not all back yet: {again}");
            }
            return Err(EngineError::RolledBack(Box::new(error)));
        }
        done.reports_after = reports(&done.after, &session.state);
        done.torn_down = session.state.torn_down;
        done.leftover = session.leftover;
        done.events = session.events;
        Ok(done)
    }
}

/// Reads the kernel, judges the request and applies it in memory.
fn judge<N: Netfilter>(
    request: &Request,
    options: Options,
    before: &Config,
    session: &mut Session<'_, N>,
) -> Result<Executed, EngineError> {
    session.observe(before)?;
    let context = Context {
        ssh_ports: if request.can_cut_off() {
            ssh::ports()
        } else {
            BTreeSet::new()
        },
        today: clock::today(before),
        spent: spent(&session.state),
        force: options.force,
    };
    let after = request.apply(before, &context)?;
    let ephemeral = host::ephemeral_ports();
    let reserved = host::reserved_ports();
    let warnings = request.warnings(before, &after, &context, ephemeral, &reserved);
    let reports_before = reports(before, &session.state);
    session.begin_request(before);
    request.apply_to_usage(&after, &mut session.state);
    Ok(Executed {
        before: before.clone(),
        after,
        reports_before,
        reports_after: Vec::new(),
        warnings,
        events: Vec::new(),
        leftover: Vec::new(),
        torn_down: session.state.torn_down,
    })
}

fn spent(state: &State) -> BTreeSet<pm_core::port::PortRange> {
    let spent = state
        .ledgers
        .iter()
        .filter(|(_, ledger)| ledger.spent.is_some());
    spent.map(|(&ports, _)| ports).collect()
}
