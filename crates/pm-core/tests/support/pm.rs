//! pm's loop on a kernel in memory. It can die between any two of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pm_core::backend::Reading;
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, GroupName};
use pm_core::event::Event;
use pm_core::history::{self, ClosedPeriod};
use pm_core::holder::Holder;
use pm_core::ledger::{Account, State, Usage};
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::port::PortRange;
use pm_core::request::{Context, Refusal, Request};
use pm_core::ruleset::{Changes, Epoch, Installed, QuotaId, RoomId};
use pm_core::tick::{Now, step};
use time::Date;

use super::kernel::Kernel;

/// A move takes two rounds, its clean-up a third; the rest is for races.
const MAX_ROUNDS: u32 = 10;

/// A clock that shows less is wrong.
const NOT_BEFORE: Timestamp = Timestamp::from_unix(1_700_000_000);

/// pm with what it has saved, which is all that survives its death.
pub struct Pm {
    pub config: Config,
    pub saved: State,
    /// The zone where the configuration names none.
    pub zone: Zone,
    pub time: i64,
    pub events: Vec<Event>,
    /// Every period that was closed and saved.
    pub history: Vec<ClosedPeriod>,
    /// What each service used on each day, as far as it was saved.
    pub days: BTreeMap<(PortRange, Date), Usage>,
    /// What each run did to the kernel.
    pub batches: Vec<Changes>,
    /// Whether everything is read each time, or only what matters.
    pub reads_all: bool,
    /// Whether quotas are read before counters.
    pub quotas_first: bool,
    /// The configuration that the saved state was accounted for by.
    saved_with: Config,
    random: u64,
}

/// What happens between two of pm's steps is up to the test.
pub trait World {
    /// Traffic and the like.
    fn meanwhile(&mut self, kernel: &mut Kernel);

    /// The counters were read.
    fn read(&mut self, _: &Kernel) {}

    /// What was read last was accounted for, in memory only.
    fn observed(&mut self, _: &Config) {}

    /// What was accounted for was saved.
    fn saved(&mut self) {}
}

/// Why a call of pm's did not end well.
#[derive(Debug)]
pub enum Failed {
    /// pm was killed.
    Killed,
    /// It would not do it.
    Refused(Refusal),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One call of pm, with what it holds in memory.
struct Run<'a, W> {
    pm: &'a mut Pm,
    kernel: &'a mut Kernel,
    world: &'a mut W,
    steps: usize,
    state: State,
    /// The last reading and what the kernel held then, until a batch is applied.
    seen: Option<(Reading, Installed)>,
    applied: Option<Applied>,
    events: Vec<Event>,
}

/// The batch applied since the last reading, and what it left.
struct Applied {
    generation: u32,
    installed: Installed,
    before: Reading,
    concerned: Option<(BTreeSet<RoomId>, BTreeSet<QuotaId>)>,
}

impl Pm {
    pub fn new() -> Self {
        Self {
            config: Config::default(),
            saved: State::new(Epoch(1)),
            zone: Zone::utc(),
            time: 1_800_000_000,
            events: Vec::new(),
            history: Vec::new(),
            days: BTreeMap::new(),
            batches: Vec::new(),
            reads_all: true,
            quotas_first: false,
            saved_with: Config::default(),
            random: 1,
        }
    }

    /// Does a tick, or dies after `steps` steps.
    ///
    /// # Errors
    ///
    /// `Killed`.
    pub fn tick(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        steps: usize,
    ) -> Result<(), Failed> {
        self.call(kernel, world, steps, None)
    }

    /// Carries out a request, or dies after `steps` steps.
    ///
    /// # Errors
    ///
    /// `Killed`, `Refused`.
    pub fn request(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        steps: usize,
        request: &Request,
    ) -> Result<(), Failed> {
        self.call(kernel, world, steps, Some(request))
    }

    /// Carries out a request, or does a tick without one.
    ///
    /// # Errors
    ///
    /// `Killed`, `Refused`.
    pub fn call(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        steps: usize,
        request: Option<&Request>,
    ) -> Result<(), Failed> {
        self.batches.clear();
        let state = self.saved.clone();
        let mut run = Run {
            pm: self,
            kernel,
            world,
            steps,
            state,
            seen: None,
            applied: None,
            events: Vec::new(),
        };
        let done = run.all(request);
        if let Err(Failed::Killed) = done {
            // No packet is on its way for as long as it takes to start pm again.
            kernel.settle();
        }
        done
    }

    /// Somebody edits the file, to what a request would have made of it.
    pub fn edit(&mut self, request: Option<&Request>) {
        let context = Context {
            today: Some(time::macros::date!(2027 - 01 - 15)),
            ..Context::default()
        };
        let edited = request.map(|request| request.apply(&self.config, &context));
        if let Some(Ok(config)) = edited {
            self.config = config;
        }
    }

    /// Returns the zone whose dates count.
    fn zone_now(&self) -> Zone {
        let configured = self.config.time_zone.as_ref();
        let configured = configured.map(|name| Zone::named(name.as_str()).unwrap());
        configured.unwrap_or_else(|| self.zone.clone())
    }

    pub fn account(&self, holder: impl Into<Holder>) -> &Account {
        self.saved.account(&holder.into()).unwrap()
    }

    pub fn usage(&self, ports: PortRange) -> Usage {
        self.account(ports).usage
    }

    pub fn group_usage(&self, name: &str) -> Usage {
        self.account(name.parse::<GroupName>().unwrap()).usage
    }

    /// Whether a service is cut off by its quota or its group's.
    pub fn is_spent(&self, ports: PortRange) -> bool {
        is_spent(&self.saved, ports)
    }
}

fn is_spent(state: &State, ports: PortRange) -> bool {
    let Some(ledger) = state.ledgers.get(&ports) else {
        return false;
    };
    let account = match &ledger.group {
        Some(name) => &state.groups[name],
        None => &ledger.account,
    };
    account.spent.is_some()
}

impl<W: World> Run<'_, W> {
    fn all(&mut self, request: Option<&Request>) -> Result<(), Failed> {
        if let Some(request) = request {
            self.look_for(request)?;
            self.observe()?;
            self.carry_out(request)?;
        }
        for _ in 0..MAX_ROUNDS {
            if self.round()? {
                return Ok(());
            }
        }
        panic!("it does not settle: {:?}", self.pm.batches.last());
    }

    /// Lets a moment pass, in which pm may die.
    fn live(&mut self) -> Result<(), Failed> {
        self.kernel.moment();
        self.world.meanwhile(self.kernel);
        self.steps = self.steps.checked_sub(1).ok_or(Failed::Killed)?;
        Ok(())
    }

    fn now(&mut self) -> (Zone, Timestamp, Epoch) {
        self.pm.random += 1;
        let epoch = Epoch(self.pm.random.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let time = Timestamp::from_unix(self.pm.time);
        (self.pm.zone_now(), time, epoch)
    }

    /// Accounts for the kernel's totals under the present configuration, in memory only. They
    /// are read once, and again after each batch.
    fn observe(&mut self) -> Result<(), Failed> {
        let (reading, installed) = match self.seen.take() {
            Some(seen) => seen,
            None => self.look()?,
        };
        let (zone, time, next_epoch) = self.now();
        let now = Now {
            time,
            since_boot: self.kernel.since_boot,
            zone: &zone,
            not_before: NOT_BEFORE,
            next_epoch,
        };
        let (state, events) = step(&self.pm.config, &self.state, &reading, &installed, now);
        self.state = state;
        self.events.extend(events);
        self.world.observed(&self.pm.config);
        // What has been accounted for is not news when it is looked at again.
        let fresh = Some(BTreeSet::new());
        self.seen = Some((Reading { fresh, ..reading }, installed));
        Ok(())
    }

    /// Judges a request on what was observed, and applies it in memory; the configuration is
    /// saved before the usage.
    fn carry_out(&mut self, request: &Request) -> Result<(), Failed> {
        let (zone, time, _) = self.now();
        let services = self.pm.config.services.keys().copied();
        let context = Context {
            today: (time >= NOT_BEFORE).then(|| zone.date_at(time)),
            spent: services
                .filter(|&ports| is_spent(&self.state, ports))
                .collect(),
            ..Context::default()
        };
        let after = request.apply(&self.pm.config, &context);
        let after = after.map_err(Failed::Refused)?;
        self.live()?;
        self.pm.config = after;
        let zone = self.pm.zone_now();
        let now = Now {
            time,
            since_boot: self.kernel.since_boot,
            zone: &zone,
            not_before: NOT_BEFORE,
            next_epoch: self.state.next_epoch,
        };
        let (config, past) = (&self.pm.config, &self.pm.history);
        request.apply_to_usage(config, &mut self.state, past, now);
        Ok(())
    }

    /// Does one round of reading, saving and changing. Returns whether nothing is left to do.
    fn round(&mut self) -> Result<bool, Failed> {
        self.observe()?;
        let Some((reading, installed)) = self.seen.take() else {
            unreachable!("it was just observed");
        };
        let changes = if self.state.torn_down {
            withdrawal(&installed)
        } else {
            let wanted = plan(&self.pm.config, &self.state, &reading, &installed);
            difference(&installed, &wanted, &self.state)
        };
        let is_settled = changes.is_empty() && !self.state.torn_down;
        self.state.settled_at = is_settled.then_some(reading.generation);
        self.live()?;
        self.state.expect(&changes);
        self.save();
        if changes.is_empty() {
            return Ok(true);
        }
        self.live()?;
        if self.kernel.generation != reading.generation {
            // Somebody else was faster: read again, and plan on what he left.
            return Ok(false);
        }
        self.kernel.apply(&changes);
        let generation = self.kernel.generation;
        if changes.unlinks() {
            self.live()?;
            self.kernel.settle();
        }
        self.applied = Some(Applied {
            generation,
            installed: installed.after(&changes),
            concerned: changes.concerned(),
            before: reading,
        });
        self.pm.batches.push(changes);
        Ok(false)
    }

    fn save(&mut self) {
        for day in history::between(&self.pm.saved, &self.state) {
            let total = self.pm.days.entry((day.ports, day.date)).or_default();
            *total = total.plus(day.usage);
        }
        self.pm.history.append(&mut self.state.closed);
        self.pm.saved = self.state.clone();
        self.pm.saved_with.clone_from(&self.pm.config);
        self.pm.events.append(&mut self.events);
        self.world.saved();
    }

    /// Looks at those services only that a request takes, where that is enough.
    fn look_for(&mut self, request: &Request) -> Result<(), Failed> {
        // Where somebody has edited the configuration, or pm died after it had, it may concern
        // others than those in the request.
        let is_edited = self.pm.config != self.pm.saved_with;
        if self.pm.reads_all || is_edited || self.is_some_period_over() {
            return Ok(());
        }
        let (Some(scope), Some(remembered)) =
            (request.scope(&self.pm.config), self.state.remembered())
        else {
            return Ok(());
        };
        let (mut rooms, mut quotas) = (BTreeSet::new(), BTreeSet::new());
        for ports in scope.iter() {
            let ledger = self.state.ledgers.get(&ports);
            for (variant, mark) in ledger.into_iter().flat_map(|ledger| ledger.rooms.iter()) {
                rooms.insert(RoomId { ports, variant });
                let metering = mark.room.metering.as_ref();
                quotas.extend(metering.into_iter().flat_map(|metering| metering.quotas()));
            }
        }
        let reading = self.refresh(remembered, &rooms, &quotas)?;
        if self.left_untouched(&reading) {
            let installed = Installed::settled(&self.state);
            self.seen = Some((reading, installed));
        }
        Ok(())
    }

    fn is_some_period_over(&self) -> bool {
        let tomorrow = Timestamp::from_unix(self.pm.time + 2 * 86_400);
        let tomorrow = Zone::utc().date_at(tomorrow);
        let services = self.state.ledgers.values().map(|ledger| &ledger.account);
        let accounts = services.chain(self.state.groups.values());
        let ends = accounts.filter_map(|account| account.period.next());
        ends.min().is_some_and(|end| end <= tomorrow)
    }

    /// Returns the kernel's totals, and what it holds in the same generation.
    fn look(&mut self) -> Result<(Reading, Installed), Failed> {
        if let Some(applied) = self.applied.take().filter(|_| !self.pm.reads_all) {
            let reading = match &applied.concerned {
                Some((rooms, quotas)) => self.refresh(applied.before, rooms, quotas)?,
                None => self.dump()?,
            };
            if reading.generation == applied.generation {
                return Ok((reading, applied.installed));
            }
        }
        loop {
            let reading = self.dump()?;
            let inspected = self.kernel.installed();
            if self.left_untouched(&reading) {
                let settled = Installed::settled(&self.state);
                assert_eq!(settled, inspected, "what was left is not there");
            }
            if self.kernel.generation == reading.generation {
                return Ok((reading, inspected));
            }
        }
    }

    /// Reads everything, the two kinds of totals at two instants.
    fn dump(&mut self) -> Result<Reading, Failed> {
        loop {
            self.live()?;
            let generation = self.kernel.generation;
            let quotas_first = self.pm.quotas_first;
            let mut quotas = self.kernel.read_quotas();
            if quotas_first {
                self.live()?;
            }
            let mut reading = self.kernel.read_counters();
            self.world.read(self.kernel);
            if !quotas_first {
                self.live()?;
                quotas = self.kernel.read_quotas();
            }
            if let Some(table) = &mut reading.table {
                table.quotas = quotas;
            }
            if self.kernel.generation == generation {
                return Ok(reading);
            }
        }
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
        quotas: &BTreeSet<QuotaId>,
    ) -> Result<Reading, Failed> {
        let whole = self.dump()?;
        let (Some(table), Some(now)) = (&mut reading.table, &whole.table) else {
            return Ok(whole);
        };
        if table.handle != now.handle || reading.host != whole.host {
            return Ok(whole);
        }
        table.counters.retain(|(room, _), _| !rooms.contains(room));
        table.quotas.retain(|quota, _| !quotas.contains(quota));
        let counters = now.counters.iter();
        let counters = counters.filter(|((room, _), _)| rooms.contains(room));
        table.counters.extend(counters);
        let found = now.quotas.iter().filter(|(id, _)| quotas.contains(id));
        let found = found.map(|(id, &quota)| (id.clone(), quota));
        table.quotas.extend(found);
        reading.generation = whole.generation;
        reading.has_legacy_nat = whole.has_legacy_nat;
        reading.fresh = Some(rooms.clone());
        Ok(reading)
    }

    /// Whether nobody has changed any rule since pm left everything in place.
    fn left_untouched(&self, reading: &Reading) -> bool {
        self.state.settled_at == Some(reading.generation)
            && self.state.host.as_ref() == Some(&reading.host)
            && match (&self.state.table, &reading.table) {
                (Some(mark), Some(table)) => mark.handle == table.handle,
                _ => false,
            }
    }
}
