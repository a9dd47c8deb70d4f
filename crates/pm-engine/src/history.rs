//! What was used before.

use std::collections::BTreeSet;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::calendar::Zone;
use pm_core::config::{Config, GroupName};
use pm_core::history::{ClosedPeriod, DayTotal, RunningPeriod, running};
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_store::config_file;
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;

use crate::session::Session;
use crate::view::LOCK_WAIT;
use crate::{Engine, EngineError, clock};

/// Whose past is asked for.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Everybody's.
    All,
    /// That of these services.
    Services(BTreeSet<PortRange>),
    /// A group's, and its services' as long as they were in it.
    Group(GroupName),
}

/// What is asked of the past.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// The periods.
    Period,
    /// The days.
    Day,
}

impl Whose {
    /// Whether a period is asked for: `holder`'s, in `group` all the time.
    pub fn has_period(&self, holder: &Holder, group: Option<&GroupName>) -> bool {
        match (self, holder) {
            (Self::All, _) => true,
            (Self::Services(asked), Holder::Service(ports)) => asked.contains(ports),
            (Self::Services(_), Holder::Group(_)) => false,
            (Self::Group(asked), Holder::Service(_)) => group == Some(asked),
            (Self::Group(asked), Holder::Group(name)) => name == asked,
        }
    }

    /// Whether a service's days are asked for. Days do not say in which group they were: a
    /// group's are those of the services that are in it now.
    pub fn has_days(&self, ports: PortRange, config: &Config) -> bool {
        match self {
            Self::All => true,
            Self::Services(asked) => asked.contains(&ports),
            Self::Group(asked) => {
                let service = config.services.get(&ports);
                service.is_some_and(|service| service.group.as_ref() == Some(asked))
            }
        }
    }
}

/// What was asked of the past, and of the running periods as of a reading made now.
#[derive(Debug)]
pub struct History {
    /// The configuration that is in force.
    pub config: Config,
    /// The zone whose dates count under it.
    pub zone: Zone,
    /// What each service used on each day, by day. Where the periods of all or of a group are
    /// asked for, there are none here.
    pub days: Vec<DayTotal>,
    /// The periods that are over, by their end. Where the days of all are asked for, there are
    /// none here.
    pub closed: Vec<ClosedPeriod>,
    /// The periods that are not over.
    pub running: Vec<RunningPeriod>,
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Returns what was used.
    ///
    /// Of services and of a group, also that of which nothing is left but periods can be asked
    /// for; of services, both periods and days are returned, so that it shows.
    ///
    /// # Errors
    ///
    /// Any; nothing has changed.
    pub fn history(&mut self, whose: &Whose, by: By) -> Result<History, EngineError> {
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
        let (loaded, _) = config_file::load_or_last_good(&self.paths, &db)?;
        let saved = self.saved_state(Some(&db), &loaded.config)?;
        let mut session = Session::new(&mut self.netfilter, saved)?;
        session.observe(&loaded.config)?;
        let has_days = by == By::Day || matches!(whose, Whose::Services(_));
        let has_periods = by == By::Period || !matches!(whose, Whose::All);
        let days = match whose {
            _ if !has_days => Vec::new(),
            Whose::All => db.days(None)?,
            Whose::Services(asked) => db.days(Some(&Vec::from_iter(asked.iter().copied())))?,
            Whose::Group(name) => {
                let members: Vec<_> = loaded.config.members(name).collect();
                db.days(Some(&members))?
            }
        };
        let mut unsaved = session.unsaved_days();
        unsaved.retain(|day| has_days && whose.has_days(day.ports, &loaded.config));
        let mut closed = match whose {
            _ if !has_periods => Vec::new(),
            Whose::All => db.closed_periods(None)?,
            Whose::Services(asked) => {
                let holders: Vec<Holder> = asked.iter().copied().map(Holder::Service).collect();
                db.closed_periods(Some(&holders))?
            }
            Whose::Group(name) => db.group_periods(name)?,
        };
        let mut unsaved_periods = session.state.closed.clone();
        unsaved_periods.retain(|period| {
            has_periods && whose.has_period(&period.holder, period.group.as_ref())
        });
        closed.extend(unsaved_periods);
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
pub(crate) fn merge(mut days: Vec<DayTotal>, unsaved: Vec<DayTotal>) -> Vec<DayTotal> {
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
