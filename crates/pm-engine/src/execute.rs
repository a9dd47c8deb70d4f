//! Carrying out a request: judged on a fresh reading, in force when it returns.

use std::collections::BTreeSet;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::{Account, State, Usage};
use pm_core::report::{GroupReport, Report, group_reports, reports};
use pm_core::request::{Context, Request, Warning};
use pm_store::StoreError;
use pm_store::config_file::{self, Loaded};
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

/// What the operator was shown when he made up his mind.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The configuration. All of it is compared, not only its revision: who edits the file need not
    /// count that up.
    pub config: &'a Config,
    /// The usage, for requests that concern it.
    pub state: Option<&'a State>,
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
    /// Why the configuration file could not be used that this replaced, and that is kept as a
    /// version if there was one. `before` is the last good one then.
    pub stale_config: Option<StoreError>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Carries out `request`; it is in force when this returns, unless pm was taken out of the
    /// kernel.
    ///
    /// # Errors
    ///
    /// `Refused`, a bad configuration file, locks: nothing has changed. `RolledBack`: the kernel
    /// would not have it, or it could not be saved; configuration and usage are those before, with
    /// what was counted since.
    pub fn execute(
        &mut self,
        request: &Request,
        options: Options,
    ) -> Result<Executed, EngineError> {
        self.carry_out(request, options, None)
    }

    /// Carries out `request` if all is still as the operator was shown it.
    ///
    /// Of the usage that is when periods began and what was corrected: what was counted meanwhile
    /// changes nobody's mind.
    ///
    /// # Errors
    ///
    /// `Changed`: it is not. Else as [`execute`](Self::execute).
    pub fn execute_on(
        &mut self,
        seen: Seen<'_>,
        request: &Request,
        options: Options,
    ) -> Result<Executed, EngineError> {
        self.carry_out(request, options, Some(seen))
    }

    fn carry_out(
        &mut self,
        request: &Request,
        options: Options,
        seen: Option<Seen<'_>>,
    ) -> Result<Executed, EngineError> {
        let _locks = Lock::write_then_tick(&self.paths, LOCK_WAIT)?;
        if options.dry_run {
            return self.rehearse(request, options, seen);
        }
        let mut db = StateDb::open(&self.paths)?;
        config_file::follow(&self.paths, &mut db)?;
        let (loaded, stale_config) = self.config_for(request, Some(&db))?;
        require_same_config(seen, &loaded.config)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let first_run = saved.is_none();
        let scope = request.scope(&loaded.config).cloned();
        let mut session = Session::about(&mut self.netfilter, saved, scope)?;
        session.observe(&loaded.config)?;
        require_same_usage(seen, request, &session.state)?;
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
        let changed = done.after != done.before || stale_config.is_some();
        let content = match &stale_config {
            Some(_) => config_file::content(&self.paths),
            None => loaded.text.clone().into_bytes(),
        };
        // A configuration that comes with a past follows that into its file: one save decides.
        let follows = matches!(request, Request::Adopt(_));
        let text = if follows {
            config_file::check_replacement(&self.paths, &done.after)?;
            match changed {
                true => done.after.emit(),
                false => loaded.text.clone(),
            }
        } else if stale_config.is_some() {
            config_file::save(&self.paths, &done.after)?
        } else if changed {
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
            if changed && !follows {
                config_file::put_back(&self.paths, &content)?;
            }
            session.abandon_request();
            // The next tick does this again should it fail.
            let back = session.converge(&loaded.config, &loaded.text, &mut db);
            shaping.finish(&mut session, &loaded.config, Occasion::Change, &mut db);
            return Err(EngineError::RolledBack {
                why: Box::new(error),
                left: back.err().map(Box::new),
            });
        }
        if let Err(error) = config_file::follow(&self.paths, &mut db) {
            session.leftover.push(error.into());
        }
        shaping.finish(&mut session, &done.after, Occasion::Change, &mut db);
        done.reports_after = reports(&done.after, &session.state);
        done.groups_after = group_reports(&done.after, &session.state);
        done.torn_down = session.state.torn_down;
        done.problems = shaping.problems;
        done.leftover = session.leftover;
        done.events = session.events;
        done.stale_config = stale_config;
        Ok(done)
    }

    /// Returns what `request` would do, and does nothing.
    fn rehearse(
        &mut self,
        request: &Request,
        options: Options,
        seen: Option<Seen<'_>>,
    ) -> Result<Executed, EngineError> {
        let db = StateDb::open_read_only(&self.paths)?;
        let (loaded, stale_config) = self.config_for(request, db.as_ref())?;
        require_same_config(seen, &loaded.config)?;
        let saved = self.saved_state(db.as_ref(), &loaded.config)?;
        let scope = request.scope(&loaded.config).cloned();
        let mut session = Session::about(&mut self.netfilter, saved, scope)?;
        session.observe(&loaded.config)?;
        require_same_usage(seen, request, &session.state)?;
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
        done.stale_config = stale_config;
        Ok(done)
    }

    /// Returns the configuration that `request` changes. Only one that puts another in its place
    /// is carried out where the file cannot be used, then on the last good one; why it cannot is
    /// returned, too.
    fn config_for(
        &self,
        request: &Request,
        db: Option<&StateDb>,
    ) -> Result<(Loaded, Option<StoreError>), EngineError> {
        match (db, request) {
            (Some(db), Request::Restore { .. } | Request::Adopt(_)) => {
                Ok(config_file::load_or_last_good(&self.paths, db)?)
            }
            (Some(db), _) => Ok((config_file::load_with(&self.paths, db)?, None)),
            (None, _) => Ok((config_file::load(&self.paths)?, None)),
        }
    }
}

impl Seen<'_> {
    /// Whether the configuration is another one.
    fn has_config_changed(self, found: &Config) -> bool {
        self.config != found
    }

    /// Whether somebody has corrected a figure, or a period has begun.
    fn has_usage_changed(self, found: &State) -> bool {
        let terms = |account: &Account| (account.began, account.adjust);
        // A period may end in the second in which it began.
        let shrinks = |seen: Usage, found: Usage| {
            found.incoming < seen.incoming || found.outgoing < seen.outgoing
        };
        let differs = |seen: &Account, found: Option<&Account>| {
            found.is_some_and(|found| {
                terms(found) != terms(seen) || shrinks(seen.usage, found.usage)
            })
        };
        self.state.is_some_and(|seen| {
            let mut services = seen.ledgers.iter();
            let mut groups = seen.groups.iter();
            services.any(|(ports, ledger)| {
                let found = found.ledgers.get(ports);
                differs(&ledger.account, found.map(|ledger| &ledger.account))
            }) || groups.any(|(name, account)| differs(account, found.groups.get(name)))
        })
    }
}

fn require_same_usage(
    seen: Option<Seen<'_>>,
    request: &Request,
    found: &State,
) -> Result<(), EngineError> {
    match seen {
        Some(seen) if request.concerns_usage() && seen.has_usage_changed(found) => {
            Err(EngineError::Changed)
        }
        _ => Ok(()),
    }
}

fn require_same_config(seen: Option<Seen<'_>>, found: &Config) -> Result<(), EngineError> {
    match seen {
        Some(seen) if seen.has_config_changed(found) => Err(EngineError::Changed),
        _ => Ok(()),
    }
}

/// Judges the request on what was observed, and applies it in memory. `db` holds the periods of those
/// who come back; `None`: nothing was ever saved.
fn judge<N: Netfilter>(
    request: &Request,
    options: Options,
    before: &Config,
    session: &mut Session<'_, N>,
    shaper: &mut impl Shaper,
    db: Option<&StateDb>,
) -> Result<Executed, EngineError> {
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
        stale_config: None,
    })
}
