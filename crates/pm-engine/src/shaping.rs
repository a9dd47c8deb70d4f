//! Traffic control after the rules: every uplink has the classes that services need now.
//!
//! Before pm's tree takes the place of what stood at an interface's root, that is noted and
//! saved, so that it can be put back by whoever comes after a crash.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::{Netfilter, Shaper, ShapingError};
use pm_core::calendar::Timestamp;
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::{InterfaceMark, State};
use pm_core::request::Request;
use pm_core::shaping::{Classifier, classes};
use pm_core::units::BitRate;
use pm_store::config_file::Loaded;
use pm_store::state_db::StateDb;

use crate::EngineError;
use crate::session::Session;

/// For how many ticks an interface keeps pm's tree though nothing is to be shaped there: a link
/// that flaps is not torn down, and built up, each time.
const IDLE_TICKS: u32 = 3;

/// Why traffic control is looked after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Occasion {
    /// A minute has passed.
    Tick,
    /// Something changes.
    Change,
}

/// Traffic control under the hand of one session.
pub(crate) struct Shaping<'a, S> {
    shaper: &'a mut S,
    /// What failed while the rest went on.
    pub(crate) problems: Vec<EngineError>,
    /// What was left in place last time; `None`: nobody knows.
    left: Option<Left>,
}

/// What pm left on the interfaces whose root it has taken.
pub(crate) struct Left {
    classes: BTreeMap<u16, BitRate>,
    classifier: Classifier,
    since: Option<Timestamp>,
}

impl Left {
    /// Returns what the configuration that was in force last and the usage saved with it asked
    /// for; `None` where nothing was limited.
    pub(crate) fn of(db: &StateDb, loaded: &Loaded, saved: &State) -> Option<Self> {
        let parsed;
        let text = db.last_good_config().ok()??;
        let config = match text == loaded.text {
            true => &loaded.config,
            false => {
                parsed = Config::parse(&text).ok()?;
                &parsed
            }
        };
        let classes = classes(config, saved);
        (!classes.is_empty() && !saved.torn_down).then_some(Self {
            classes,
            classifier: config.classifier,
            since: saved.last_tick,
        })
    }
}

/// Says why what services send cannot be limited here as `request` asks for; `None`: it can, or
/// nobody asks for it.
pub(crate) fn obstacle(
    shaper: &mut impl Shaper,
    request: &Request,
    config: &Config,
) -> Option<ShapingError> {
    if !request.needs_shaping(config) {
        return None;
    }
    let (uplinks, classifier) = match request {
        // Whatever stands at the uplinks' roots, the classifier is one that the kernel has or not.
        Request::SetClassifier(classifier) => (Ok(BTreeSet::new()), *classifier),
        _ => {
            let next = request.replacement().unwrap_or(config);
            (shaper.uplinks(), next.classifier)
        }
    };
    uplinks
        .and_then(|uplinks| shaper.probe(&uplinks, classifier))
        .err()
}

impl<'a, S: Shaper> Shaping<'a, S> {
    pub(crate) fn new(shaper: &'a mut S) -> Self {
        Self {
            shaper,
            problems: Vec::new(),
            left: None,
        }
    }

    /// The same, to tell if what was left in place is not there any more.
    pub(crate) fn after(shaper: &'a mut S, left: Option<Left>) -> Self {
        Self {
            left,
            ..Self::new(shaper)
        }
    }

    /// Makes room for what `session` will set: all classes that it needs or that `config` needed
    /// before. Packets find their class in place when the rules begin to name it.
    ///
    /// A request that needs no other classes than those before asks for nothing here: whatever
    /// traffic control is like, it must be possible to block somebody.
    ///
    /// # Errors
    ///
    /// The first thing that failed; traffic flows.
    pub(crate) fn prepare<N: Netfilter>(
        &mut self,
        session: &mut Session<'_, N>,
        before: &Config,
        after: &Config,
        db: &mut StateDb,
    ) -> Result<(), EngineError> {
        let old = classes(before, &session.state);
        let new = classes(after, &session.state);
        let is_same = |(minor, rate)| old.get(minor) == Some(rate);
        let needs_nothing = before.classifier == after.classifier && new.iter().all(is_same);
        if new.is_empty() || needs_nothing || session.state.torn_down {
            return Ok(());
        }
        let both = old.into_iter().chain(new).collect();
        self.set(session, after, &both, db);
        let harmless = |error: &EngineError| matches!(error, EngineError::NoUplink);
        match self.problems.iter().position(|error| !harmless(error)) {
            Some(first) => Err(self.problems.swap_remove(first)),
            None => {
                self.problems.clear();
                Ok(())
            }
        }
    }

    /// Makes every uplink shape what it must, and gives back what is not needed any more. What
    /// fails is noted, and tried again at the next tick.
    pub(crate) fn finish<N: Netfilter>(
        &mut self,
        session: &mut Session<'_, N>,
        config: &Config,
        occasion: Occasion,
        db: &mut StateDb,
    ) {
        let classes = match session.state.torn_down {
            true => BTreeMap::new(),
            false => classes(config, &session.state),
        };
        if classes.is_empty() && session.state.interfaces.is_empty() {
            return;
        }
        let uplinks = self.set(session, config, &classes, db);
        let is_idle = |name: &String| classes.is_empty() || !uplinks.contains(name);
        let idle: Vec<String> = session.state.interfaces.keys().cloned().collect();
        for name in idle.into_iter().filter(is_idle) {
            self.leave_idle(session, config, &name, occasion);
        }
        if let Err(error) = session.save_interfaces(db) {
            self.problems.push(error);
        }
    }

    /// Sets these classes on every uplink. Returns the uplinks.
    fn set<N: Netfilter>(
        &mut self,
        session: &mut Session<'_, N>,
        config: &Config,
        classes: &BTreeMap<u16, BitRate>,
        db: &mut StateDb,
    ) -> BTreeSet<String> {
        if classes.is_empty() {
            return BTreeSet::new();
        }
        let uplinks = match self.shaper.uplinks() {
            Ok(uplinks) => uplinks,
            Err(error) => {
                self.problems.push(error.into());
                return session.state.interfaces.keys().cloned().collect();
            }
        };
        if uplinks.is_empty() {
            self.problems.push(EngineError::NoUplink);
        }
        for name in &uplinks {
            if let Err(error) = self.set_one(session, config, classes, name, db) {
                self.problems.push(error);
            }
        }
        uplinks
    }

    fn set_one<N: Netfilter>(
        &mut self,
        session: &mut Session<'_, N>,
        config: &Config,
        classes: &BTreeMap<u16, BitRate>,
        name: &str,
        db: &mut StateDb,
    ) -> Result<(), EngineError> {
        let is_lost = self.is_lost(session, name);
        let found = self.host_root(name, session.state.interfaces.get(name))?;
        let mark = session.state.interfaces.entry(name.to_owned()).or_default();
        mark.idle_ticks = 0;
        if let Some(host) = found {
            mark.host = host;
        }
        let host = mark.host.clone();
        session.save_interfaces(db)?;
        let remarks = self.shaper.shape(name, classes, config.classifier, &host)?;
        for remark in remarks {
            tracing::debug!(interface = name, "{remark}");
        }
        if let (true, Some(left)) = (is_lost, &self.left) {
            let lost = Event::LimitsLost {
                interface: name.to_owned(),
                since: left.since,
            };
            session.happened(lost, config);
        }
        Ok(())
    }

    /// Whether what was left in place on an interface is not there any more.
    fn is_lost<N: Netfilter>(&mut self, session: &Session<'_, N>, name: &str) -> bool {
        let Some(left) = &self.left else {
            return false;
        };
        // A host that was started anew has lost it, and that is told already.
        let restarted = |event: &Event| matches!(event, Event::Restarted { .. });
        // On an interface without a default route, rates were not kept up to date.
        let is_left = session
            .state
            .interfaces
            .get(name)
            .is_some_and(|mark| mark.idle_ticks == 0);
        if !is_left || session.events.iter().any(restarted) {
            return false;
        }
        // What cannot be read is told by what is done next.
        let stands = self.shaper.stands(name, &left.classes, left.classifier);
        matches!(stands, Ok(false))
    }

    /// Returns what stands at a root and is not pm's, after anything that pm has begun to put back
    /// there is back whole.
    fn host_root(
        &mut self,
        name: &str,
        mark: Option<&InterfaceMark>,
    ) -> Result<Option<String>, ShapingError> {
        let found = self.shaper.host_root(name)?;
        match (&found, mark) {
            // Half of what is recorded, perhaps, which must not pass for the host's own.
            (Some(other), Some(mark)) if *other != mark.host => {
                self.shaper.withdraw(name, &mark.host)?;
                self.shaper.host_root(name)
            }
            _ => Ok(found),
        }
    }

    /// Leaves an interface without classes for a while, then gives it back.
    fn leave_idle<N: Netfilter>(
        &mut self,
        session: &mut Session<'_, N>,
        config: &Config,
        name: &str,
        occasion: Occasion,
    ) {
        let torn_down = session.state.torn_down;
        let Some(mark) = session.state.interfaces.get_mut(name) else {
            return;
        };
        if occasion == Occasion::Tick {
            mark.idle_ticks = mark.idle_ticks.saturating_add(1);
        }
        let mark = mark.clone();
        if torn_down || mark.idle_ticks >= IDLE_TICKS {
            match self.shaper.withdraw(name, &mark.host) {
                Ok(()) => drop(session.state.interfaces.remove(name)),
                Err(error) => self.problems.push(error.into()),
            }
            return;
        }
        match self.host_root(name, Some(&mark)) {
            Ok(Some(_)) => drop(session.state.interfaces.remove(name)),
            // What has no route at the moment keeps its classes for when it has one again.
            Ok(None) if classes(config, &session.state).is_empty() => {
                let none = BTreeMap::new();
                let shaped = self
                    .shaper
                    .shape(name, &none, config.classifier, &mark.host);
                if let Err(error) = shaped {
                    self.problems.push(error.into());
                }
            }
            Ok(None) => {}
            // The interface is gone, perhaps. If not, the record is all there is of its root.
            Err(error) => tracing::debug!(interface = name, "{error}"),
        }
    }
}
