//! A host with pm on it: real files, a kernel in memory, and what happens inside pm's calls.

use std::cell::RefCell;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::history::{ClosedPeriod, DayTotal};
use pm_core::ledger::{Ledger, State, Usage};
use pm_core::report::Report;
use pm_core::request::{Request, Settings};
use pm_core::ruleset::Direction;
use pm_engine::{By, Engine, EngineError, Executed, History, Ticked, Whose};
use pm_store::config_file;
use pm_store::paths::Paths;
use pm_store::state_db::StateDb;
use tempfile::TempDir;

use crate::backend::{Backend, Calls, Handle, Killed, Script};
use crate::kernel::{Kernel, Packet};
use crate::requests::{FORCE, add, ports};
use crate::tc::TrafficControl;

/// pm on such a host.
pub(crate) type Pm = Engine<Handle, Handle>;

/// A host.
pub(crate) struct Host {
    // Dropped, it removes the files.
    _dir: TempDir,
    pub(crate) paths: Paths,
    backend: Rc<RefCell<Backend>>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End<T> {
    Done(T),
    Failed(EngineError),
    Died,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::on(Kernel::default(), TrafficControl::default())
    }

    fn on(kernel: Kernel, tc: TrafficControl) -> Self {
        // In memory where possible: the disk's syncs would take most of the time.
        let dir = match Path::new("/dev/shm").is_dir() {
            true => TempDir::new_in("/dev/shm"),
            false => TempDir::new(),
        }
        .unwrap();
        let inside = |name| Some(dir.path().join(name));
        let paths = Paths::new(inside("etc"), inside("lib"), inside("run"));
        Self {
            _dir: dir,
            paths,
            backend: Rc::new(RefCell::new(Backend {
                kernel,
                tc,
                ..Backend::default()
            })),
        }
    }

    /// Returns another host that is just like this one.
    pub(crate) fn copy(&self) -> Self {
        let other = Self::on(
            self.kernel(|kernel| kernel.clone()),
            self.tc(|tc| tc.clone()),
        );
        for (from, to) in [
            (&self.paths.config_dir, &other.paths.config_dir),
            (&self.paths.state_dir, &other.paths.state_dir),
        ] {
            DirBuilder::new().mode(0o700).create(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        other
    }

    /// Returns a host on which services are monitored already.
    pub(crate) fn with<S: Clone + Into<Settings>>(services: &[(&str, S)]) -> Self {
        let mut host = Self::new();
        for (ports, settings) in services {
            host.request(&add(ports, settings.clone()));
        }
        host
    }

    /// Runs a pm that does one thing.
    /// Returns what is shown of everybody's past, by periods and by days.
    pub(crate) fn history(&mut self) -> History {
        let mut by = |by| {
            let call = |engine: &mut Pm| engine.history(&Whose::All, by);
            self.run(Script::default(), call).done()
        };
        let days = by(By::Day).days;
        History {
            days,
            ..by(By::Period)
        }
    }

    pub(crate) fn run<T>(
        &mut self,
        script: Script,
        call: impl FnOnce(&mut Pm) -> Result<T, EngineError>,
    ) -> End<T> {
        {
            let mut backend = self.backend.borrow_mut();
            backend.kernel.settle();
            backend.script = script;
            backend.calls = Calls::default();
        }
        let handle = Handle(Rc::clone(&self.backend));
        let mut engine = Engine::new(self.paths.clone(), handle.clone(), handle);
        let end = catch_unwind(AssertUnwindSafe(move || call(&mut engine)));
        let mut backend = self.backend.borrow_mut();
        backend.script = Script::default();
        backend.kernel.settle();
        match end {
            Ok(Ok(done)) => End::Done(done),
            Ok(Err(error)) => End::Failed(error),
            Err(payload) if payload.is::<Killed>() => End::Died,
            Err(payload) => resume_unwind(payload),
        }
    }

    pub(crate) fn run_tick(&mut self, script: Script) -> End<Vec<Event>> {
        self.run(script, |engine| match engine.tick()? {
            Ticked::Done { events, .. } => Ok(events),
            Ticked::Busy => panic!("no other pm is at it"),
        })
    }

    pub(crate) fn run_request(&mut self, request: &Request, script: Script) -> End<Executed> {
        self.run(script, |engine| engine.execute(request, FORCE))
    }

    /// Does a tick while nothing else happens.
    pub(crate) fn tick(&mut self) -> Vec<Event> {
        self.run_tick(Script::default()).done()
    }

    /// Carries out a request while nothing else happens.
    pub(crate) fn request(&mut self, request: &Request) -> Executed {
        self.run_request(request, Script::default()).done()
    }

    /// Returns what pm did to the kernel in its last call.
    pub(crate) fn calls(&self) -> Calls {
        self.backend.borrow().calls.clone()
    }

    pub(crate) fn kernel<T>(&self, with: impl FnOnce(&mut Kernel) -> T) -> T {
        with(&mut self.backend.borrow_mut().kernel)
    }

    pub(crate) fn tc<T>(&self, with: impl FnOnce(&mut TrafficControl) -> T) -> T {
        with(&mut self.backend.borrow_mut().tc)
    }

    /// Sends one packet. Returns whether it passed.
    pub(crate) fn send(&self, name: &str, direction: Direction, bytes: u64) -> bool {
        self.kernel(|kernel| {
            kernel.send(Packet {
                ports: ports(name),
                direction,
                bytes,
            })
        })
    }

    /// Returns what passed a service, in bytes.
    pub(crate) fn passed(&self, name: &str) -> Usage {
        self.kernel(|kernel| kernel.passed.get(&ports(name)).copied().unwrap_or_default())
    }

    /// Returns what is saved.
    pub(crate) fn saved(&self) -> Option<State> {
        let db = StateDb::open_read_only(&self.paths).unwrap();
        db.and_then(|db| db.load().unwrap())
    }

    /// Returns one service's part of what is saved.
    pub(crate) fn ledger(&self, name: &str) -> Ledger {
        self.saved().unwrap().ledgers[&ports(name)].clone()
    }

    /// Changes what is saved, as time would.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut State)) {
        let mut db = StateDb::open(&self.paths).unwrap();
        let saved = db.load().unwrap().unwrap();
        let mut edited = saved.clone();
        edit(&mut edited);
        db.save(&saved, &edited, None).unwrap();
    }

    /// Lets a minute pass, as far as rates are judged.
    pub(crate) fn pass_a_minute(&mut self) {
        self.edit(|state| {
            let judged = state.judged_at.unwrap();
            state.judged_at = Some(judged.saturating_sub(Duration::from_secs(60)));
        });
    }

    /// Returns every period that was closed.
    pub(crate) fn closed(&self) -> Vec<ClosedPeriod> {
        let db = StateDb::open_read_only(&self.paths).unwrap();
        db.map_or_else(Vec::new, |db| db.closed_periods(None).unwrap())
    }

    /// Returns what each service used on each day.
    pub(crate) fn days(&self) -> Vec<DayTotal> {
        let db = StateDb::open_read_only(&self.paths).unwrap();
        db.map_or_else(Vec::new, |db| db.days(None).unwrap())
    }

    pub(crate) fn config(&self) -> Config {
        config_file::load(&self.paths).unwrap().config
    }

    /// Returns how a service stands now.
    pub(crate) fn report(&mut self, name: &str) -> Report {
        let view = self.run(Script::default(), Pm::view).done();
        let mut reports = view.reports.into_iter();
        reports
            .find(|report| report.ports == ports(name))
            .unwrap_or_else(|| panic!("{name} is not monitored"))
    }
}

impl<T> End<T> {
    pub(crate) fn done(self) -> T {
        match self {
            Self::Done(done) => done,
            Self::Failed(error) => panic!("it failed: {error}"),
            Self::Died => panic!("it was killed"),
        }
    }

    pub(crate) fn failed(self) -> EngineError {
        match self {
            Self::Failed(error) => error,
            Self::Done(_) => panic!("it was done"),
            Self::Died => panic!("it was killed"),
        }
    }
}
