//! A host with pm on it: real files, a kernel in memory, and what happens inside pm's calls.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;

use pm_core::backend::{BackendError, Netfilter, Reading};
use pm_core::config::{Config, Mode, QuotaSize, Service};
use pm_core::event::Event;
use pm_core::ledger::{Ledger, State, Usage};
use pm_core::port::PortRange;
use pm_core::report::Report;
use pm_core::request::{Request, Selection, Settings};
use pm_core::ruleset::{Changes, Direction, Installed, RoomId};
use pm_core::units::{Size, SizeUnit};
use pm_engine::{Engine, EngineError, Executed, Options, Ticked};
use pm_store::config_file;
use pm_store::paths::Paths;
use pm_store::state_db::StateDb;
use tempfile::TempDir;

use crate::kernel::{Kernel, Packet};

/// A host.
pub(crate) struct Host {
    // Dropped, it removes the files.
    _dir: TempDir,
    pub(crate) paths: Paths,
    backend: Rc<RefCell<Backend>>,
}

/// The kernel, and what is to happen while pm calls it.
#[derive(Default)]
struct Backend {
    kernel: Kernel,
    script: Script,
    calls: Calls,
}

/// What is to happen inside one call of pm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) fate: Fate,
    /// One each moment, until there is none left.
    pub(crate) acts: VecDeque<Act>,
    /// One each moment for ever.
    pub(crate) packet: Option<Packet>,
    /// Counters are read after quotas instead of before.
    pub(crate) quotas_first: bool,
}

/// How a call ends.
///
/// A moment is before, in the middle of, or after one request to the kernel; the first is 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Fate {
    /// As it may.
    #[default]
    Live,
    /// pm is killed in this moment.
    Die(usize),
    /// The kernel gives an error in this moment, once.
    Fail(usize),
    /// The kernel refuses this batch, 0 the first.
    Refuse(usize),
    /// The kernel refuses every batch that deletes this room: somebody holds on to it.
    RefuseDeleting(RoomId),
    /// So many batches, from this one on, come too late.
    Race { first: usize, times: usize },
}

/// What happens in a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Nothing,
    Send(Packet),
    /// A packet that is on its way for so many moments.
    Launch(Packet, u32),
    /// Somebody else commits.
    Touch,
    /// Somebody deletes a service's elements.
    Unlink(PortRange),
    /// Somebody runs `nft flush ruleset`.
    Flush,
}

/// What pm did to the kernel in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    moments: usize,
    /// Every batch that was sent, refused ones too.
    pub(crate) batches: Vec<Changes>,
    /// Whether the fate was met.
    pub(crate) met: bool,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End<T> {
    Done(T),
    Failed(EngineError),
    Died,
}

/// pm was killed: what unwinds then.
struct Killed;

impl Host {
    pub(crate) fn new() -> Self {
        Self::on(Kernel::default())
    }

    fn on(kernel: Kernel) -> Self {
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
                ..Backend::default()
            })),
        }
    }

    /// Returns another host that is just like this one.
    pub(crate) fn copy(&self) -> Self {
        let other = Self::on(self.kernel(|kernel| kernel.clone()));
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
    pub(crate) fn with(services: &[(&str, Settings)]) -> Self {
        let mut host = Self::new();
        for (ports, settings) in services {
            host.request(&add(ports, settings.clone()));
        }
        host
    }

    /// Runs a pm that does one thing.
    pub(crate) fn run<T>(
        &mut self,
        script: Script,
        call: impl FnOnce(&mut Engine<Handle>) -> Result<T, EngineError>,
    ) -> End<T> {
        {
            let mut backend = self.backend.borrow_mut();
            backend.kernel.settle();
            backend.script = script;
            backend.calls = Calls::default();
        }
        let mut engine = Engine::new(self.paths.clone(), Handle(Rc::clone(&self.backend)));
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

    pub(crate) fn config(&self) -> Config {
        config_file::load(&self.paths).unwrap().config
    }

    /// Returns how a service stands now.
    pub(crate) fn report(&mut self, name: &str) -> Report {
        let view = self.run(Script::default(), Engine::view).done();
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

/// The backend as an engine owns it.
pub(crate) struct Handle(Rc<RefCell<Backend>>);

impl Backend {
    /// Lets a moment pass, with all that happens in it.
    fn moment(&mut self) -> Result<(), BackendError> {
        self.kernel.moment();
        if let Some(packet) = self.script.packet {
            self.kernel.send(packet);
        }
        match self.script.acts.pop_front() {
            None | Some(Act::Nothing) => {}
            Some(Act::Send(packet)) => drop(self.kernel.send(packet)),
            Some(Act::Launch(packet, moments)) => drop(self.kernel.launch(packet, moments)),
            Some(Act::Touch) => self.kernel.touch(),
            Some(Act::Unlink(ports)) => self.kernel.unlink(ports),
            Some(Act::Flush) => self.kernel.flush(),
        }
        let moment = self.calls.moments;
        self.calls.moments += 1;
        if self.script.fate == Fate::Die(moment) {
            self.calls.met = true;
            // Not a panic, which would print.
            resume_unwind(Box::new(Killed));
        }
        if self.script.fate == Fate::Fail(moment) {
            self.calls.met = true;
            return Err(error("it fails now"));
        }
        Ok(())
    }

    /// Reads everything, the two kinds of totals at two instants.
    fn dump(&mut self) -> Result<Reading, BackendError> {
        loop {
            let before = self.kernel.generation();
            let mut reading = self.kernel.read_counters();
            let mut quotas = self.kernel.read_quotas();
            self.moment()?;
            if self.script.quotas_first {
                reading = self.kernel.read_counters();
            } else {
                quotas = self.kernel.read_quotas();
            }
            if let Some(table) = &mut reading.table {
                table.quotas = quotas;
            }
            if self.kernel.generation() == before {
                return Ok(reading);
            }
        }
    }

    fn refuses(&mut self, changes: &Changes) -> Result<(), BackendError> {
        let number = self.calls.batches.len();
        self.calls.batches.push(changes.clone());
        let refused = match self.script.fate {
            Fate::Refuse(refused) if refused == number => error("Device or resource busy"),
            Fate::RefuseDeleting(room) if changes.delete_rooms.contains_key(&room) => {
                error("Device or resource busy")
            }
            Fate::Race { first, times } if (first..first + times).contains(&number) => {
                BackendError::Raced
            }
            _ => return Ok(()),
        };
        self.calls.met = true;
        Err(refused)
    }
}

impl Netfilter for Handle {
    fn read(&mut self) -> Result<Reading, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let reading = backend.dump()?;
        backend.moment()?;
        Ok(reading)
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
    ) -> Result<Reading, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let whole = backend.dump()?;
        backend.moment()?;
        let (Some(table), Some(now)) = (&mut reading.table, &whole.table) else {
            return Ok(whole);
        };
        if table.handle != now.handle {
            return Ok(whole);
        }
        table.counters.retain(|(room, _), _| !rooms.contains(room));
        table.quotas.retain(|room, _| !rooms.contains(room));
        let counters = now.counters.iter();
        let counters = counters.filter(|((room, _), _)| rooms.contains(room));
        table.counters.extend(counters);
        let quotas = now.quotas.iter().filter(|(room, _)| rooms.contains(room));
        table.quotas.extend(quotas);
        reading.generation = whole.generation;
        reading.fresh = Some(rooms.clone());
        Ok(reading)
    }

    fn inspect(&mut self) -> Result<(u32, Installed), BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let kernel = &backend.kernel;
        let inspected = (kernel.generation(), kernel.installed());
        backend.moment()?;
        Ok(inspected)
    }

    fn apply(&mut self, changes: &Changes, generation: u32) -> Result<u32, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        backend.refuses(changes)?;
        if backend.kernel.generation() != generation {
            return Err(BackendError::Raced);
        }
        backend.kernel.apply(changes);
        let generation = backend.kernel.generation();
        backend.moment()?;
        Ok(generation)
    }

    fn settle(&mut self) {
        let mut backend = self.0.borrow_mut();
        // It cannot fail, so a failure in this moment is none.
        let _ = backend.moment();
        backend.kernel.settle();
    }
}

fn error(text: &str) -> BackendError {
    BackendError::Kernel {
        context: "test".to_owned(),
        source: text.into(),
    }
}

/// The test's own SSH session is nobody's concern.
pub(crate) const FORCE: Options = Options {
    force: true,
    dry_run: false,
};

pub(crate) fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

pub(crate) fn some(text: &str) -> Selection {
    Selection::Ports(text.parse().unwrap())
}

pub(crate) fn size(bytes: u64) -> Size {
    Size::new(bytes, SizeUnit::B).unwrap()
}

/// A quota that no date renews.
pub(crate) fn quota(bytes: u64) -> Settings {
    Settings {
        quota: Some(Some(QuotaSize::try_from(size(bytes)).unwrap())),
        reset: Some("never".parse().unwrap()),
        ..Settings::default()
    }
}

pub(crate) fn no_quota() -> Settings {
    Settings {
        quota: Some(None),
        reset: Some("never".parse().unwrap()),
        ..Settings::default()
    }
}

pub(crate) fn mode(mode: Mode) -> Settings {
    Settings {
        mode: Some(mode),
        ..Settings::default()
    }
}

pub(crate) fn add(text: &str, settings: Settings) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings,
        or_set: false,
    }
}

pub(crate) fn set(text: &str, settings: Settings) -> Request {
    Request::Set {
        ports: some(text),
        settings,
        used: None,
    }
}

pub(crate) fn set_used(text: &str, bytes: u64) -> Request {
    Request::Set {
        ports: some(text),
        settings: Settings::default(),
        used: Some(size(bytes)),
    }
}

/// Whether a service's packets ought to pass.
pub(crate) fn is_open(service: &Service, ledger: &Ledger) -> bool {
    !service.blocked && ledger.spent.is_none()
}
