//! Carrying out a request: judged on a fresh reading, in force when it returns.

use std::collections::BTreeSet;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::report::{GroupReport, Report, group_reports, reports};
use pm_core::request::{Context, Request, Warning};
use pm_store::config_file;
use pm_store::locks::Lock;
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::shaping::{self, Occasion, Shaping};
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
    /// Every group before.
    pub groups_before: Vec<GroupReport>,
    /// Every group after.
    pub groups_after: Vec<GroupReport>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What could not be tidied up, such as rooms no longer used; the next tick tries again.
    pub leftover: Vec<EngineError>,
    /// What traffic control refused in the end, while everything else was done.
    pub problems: Vec<EngineError>,
    /// Whether pm was taken out of the kernel, so that none of it is in force.
    pub torn_down: bool,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
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
        self.carry_out(request, options, None)
    }

    /// Carries out `request` if the configuration is still the one that the operator was shown.
    ///
    /// All of it is compared, not only its revision: who edits the file need not count that up.
    ///
    /// # Errors
    ///
    /// `Changed`: it is another one. Else as [`execute`](Self::execute).
    pub fn execute_on(
        &mut self,
        seen: &Config,
        request: &Request,
        options: Options,
    ) -> Result<Executed, EngineError> {
        self.carry_out(request, options, Some(seen))
    }

    fn carry_out(
        &mut self,
        request: &Request,
        options: Options,
        seen: Option<&Config>,
    ) -> Result<Executed, EngineError> {
        let _locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        if options.dry_run {
            return self.rehearse(request, options, seen);
        }
        let mut db = StateDb::open(&self.paths)?;
        let loaded = config_file::load_with(&self.paths, &db)?;
        require_same(seen, &loaded.config)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let first_run = saved.is_none();
        let scope = request.scope(&loaded.config).cloned();
        let mut session = Session::about(&mut self.netfilter, saved, scope)?;
        let mut done = judge(
            request,
            options,
            &loaded.config,
            &mut session,
            &mut self.shaper,
            Some(&db),
        )?;
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
        let mut shaping = Shaping::new(&mut self.shaper);
        let in_force = session
            .observe(&done.after)
            .and_then(|()| shaping.prepare(&mut session, &done.before, &done.after, &mut db))
            .and_then(|()| session.converge(&done.after, &text, &mut db));
        if let Err(error) = in_force {
            // With the numbers of all messages that were refused.
            tracing::debug!("{error:?}");
            if changed {
                config_file::put_back(&self.paths, &loaded)?;
            }
            session.abandon_request();
            // The next tick does this again should it fail; what matters is told already.
            if let Err(again) = session.converge(&loaded.config, &loaded.text, &mut db) {
                tracing::warn!("the rules before are not all back yet: {again}");
            }
            shaping.finish(&mut session, &loaded.config, Occasion::Change, &mut db);
            return Err(EngineError::RolledBack(Box::new(error)));
        }
        shaping.finish(&mut session, &done.after, Occasion::Change, &mut db);
        done.reports_after = reports(&done.after, &session.state);
        done.groups_after = group_reports(&done.after, &session.state);
        done.torn_down = session.state.torn_down;
        done.problems = shaping.problems;
        done.leftover = session.leftover;
        done.events = session.events;
        Ok(done)
    }

    /// Returns what `request` would do, and does nothing.
    fn rehearse(
        &mut self,
        request: &Request,
        options: Options,
        seen: Option<&Config>,
    ) -> Result<Executed, EngineError> {
        let db = StateDb::open_read_only(&self.paths)?;
        let loaded = match &db {
            Some(db) => config_file::load_with(&self.paths, db)?,
            None => config_file::load(&self.paths)?,
        };
        require_same(seen, &loaded.config)?;
        let saved = self.saved_state(db.as_ref(), &loaded.config)?;
        let scope = request.scope(&loaded.config).cloned();
        let mut session = Session::about(&mut self.netfilter, saved, scope)?;
        let mut done = judge(
            request,
            options,
            &loaded.config,
            &mut session,
            &mut self.shaper,
            db.as_ref(),
        )?;
        session.observe(&done.after)?;
        done.reports_after = reports(&done.after, &session.state);
        done.groups_after = group_reports(&done.after, &session.state);
        Ok(done)
    }
}

fn require_same(seen: Option<&Config>, found: &Config) -> Result<(), EngineError> {
    match seen {
        Some(seen) if seen != found => Err(EngineError::Changed),
        _ => Ok(()),
    }
}

/// Reads the kernel, judges the request and applies it in memory. `db` holds the periods of those
/// who come back; `None`: nothing was ever saved.
fn judge<N: Netfilter>(
    request: &Request,
    options: Options,
    before: &Config,
    session: &mut Session<'_, N>,
    shaper: &mut impl Shaper,
    db: Option<&StateDb>,
) -> Result<Executed, EngineError> {
    session.observe(before)?;
    let reports_before = reports(before, &session.state);
    let spent = reports_before.iter().filter(|report| report.is_spent);
    let expired = reports_before.iter().filter(|report| report.is_expired);
    let context = Context {
        ssh_ports: if request.can_cut_off() {
            ssh::ports()
        } else {
            BTreeSet::new()
        },
        today: clock::today(before),
        spent: spent.map(|report| report.ports).collect(),
        expired: expired.map(|report| report.ports).collect(),
        no_shaping: shaping::obstacle(shaper, request, before).map(Cause::from),
        force: options.force,
    };
    let after = request.apply(before, &context)?;
    let ephemeral = host::ephemeral_ports();
    let reserved = host::reserved_ports();
    let warnings = request.warnings(before, &after, &context, ephemeral, &reserved);
    let groups_before = group_reports(before, &session.state);
    let returning = request.returning(&after, &session.state);
    let past = match db {
        Some(db) if !returning.is_empty() => db.last_periods(&returning)?,
        _ => Vec::new(),
    };
    session.begin_request(before);
    session.apply_to_usage(request, &after, &past);
    Ok(Executed {
        before: before.clone(),
        after,
        reports_before,
        reports_after: Vec::new(),
        groups_before,
        groups_after: Vec::new(),
        warnings,
        events: Vec::new(),
        leftover: Vec::new(),
        problems: Vec::new(),
        torn_down: session.state.torn_down,
    })
}
