//! A kernel in memory, and pm's loop on top of it that can die between any two of its steps.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::event::Event;
use pm_core::ledger::{State, Usage};
use pm_core::plan::{difference, plan, withdrawal};
use pm_core::port::PortRange;
use pm_core::request::{Context, Request};
use pm_core::ruleset::{Changes, Direction, Epoch, Installed, Link, Piece, Room, RoomId, Target};
use pm_core::tick::{Now, step};

/// Counters and quotas as nf_tables keeps them.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub boot: u32,
    pub netns: u32,
    generation: u32,
    tables_made: u64,
    pub table: Option<Table>,
    /// What passed each port, whether counted or not.
    pub passed: BTreeMap<PortRange, Usage>,
}

#[derive(Clone, Debug)]
pub struct Table {
    handle: u64,
    objects_made: u64,
    pub installed: Installed,
    counters: BTreeMap<(RoomId, Direction), CounterReading>,
    quotas: BTreeMap<RoomId, (QuotaReading, u64)>,
    /// Rooms whose chains somebody added rules to: all their rules, in order.
    doubled: BTreeMap<RoomId, Vec<Room>>,
}

impl Kernel {
    /// Sends one packet. Returns whether it was counted; one that is dropped never passed.
    pub fn packet(&mut self, ports: PortRange, direction: Direction, bytes: u64) -> bool {
        self.counted(ports, direction, bytes) > 0
    }

    /// Sends one packet. Returns what was counted of it, which may be twice its bytes.
    pub fn counted(&mut self, ports: PortRange, direction: Direction, bytes: u64) -> u64 {
        let mut counted = 0;
        if let Some(table) = &mut self.table {
            let link = table
                .installed
                .links
                .get(&ports)
                .copied()
                .unwrap_or_default();
            let (target, base) = match direction {
                Direction::In => (link.ingress, table.installed.frame.input),
                Direction::Out => (link.egress, table.installed.frame.output),
            };
            match target.filter(|_| base != Piece::Missing) {
                Some(Target::Drop) => return 0,
                Some(Target::Room(variant)) => {
                    let room = RoomId { ports, variant };
                    // Twice through rules that stand there twice.
                    let rules = match table.doubled.get(&room) {
                        Some(rules) => rules.clone(),
                        None => table.installed.rooms[&room].intact.into_iter().collect(),
                    };
                    for rule in rules {
                        let quota = rule.quota.filter(|quota| quota.metered.covers(direction));
                        if quota.is_some() {
                            let (quota, used) = table.quotas.get_mut(&room).unwrap();
                            *used += bytes;
                            if *used > quota.limit {
                                return counted;
                            }
                        }
                        table.counters.get_mut(&(room, direction)).unwrap().bytes += bytes;
                        counted += bytes;
                    }
                }
                Some(Target::Foreign) | None => {}
            }
        }
        self.passed.entry(ports).or_default().add(direction, bytes);
        counted
    }

    fn host(&self) -> HostId {
        HostId {
            boot: format!("boot{}", self.boot),
            netns: format!("netns{}", self.netns),
        }
    }

    pub fn read(&self) -> (Reading, Installed) {
        let table = self.table.as_ref().map(|table| TableReading {
            handle: table.handle,
            counters: table.counters.clone(),
            quotas: table
                .quotas
                .iter()
                .map(|(&room, &(quota, used))| {
                    (
                        room,
                        QuotaReading {
                            used: used.min(quota.limit),
                            ..quota
                        },
                    )
                })
                .collect(),
        });
        let installed = self.table.as_ref().map(|table| table.installed.clone());
        let reading = Reading {
            host: self.host(),
            generation: self.generation,
            table,
            fresh: None,
        };
        (reading, installed.unwrap_or_default())
    }

    fn apply(&mut self, changes: &Changes) {
        self.generation += 1;
        if changes.delete_table {
            self.table = None;
            return;
        }
        let made = &mut self.tables_made;
        let table = self.table.get_or_insert_with(|| {
            *made += 1;
            Table::new(*made)
        });
        for room in changes.delete_rooms.keys() {
            let link = table
                .installed
                .links
                .get(&room.ports)
                .copied()
                .unwrap_or_default();
            assert!(!link.leads_to(room.variant), "{room} is in use");
            table.quotas.remove(room);
            table.counters.retain(|(of, _), _| of != room);
            table.doubled.remove(room);
        }
        for (&room, planned) in &changes.create_rooms {
            for direction in Direction::BOTH {
                let fresh = CounterReading {
                    handle: table.handle(),
                    bytes: 0,
                };
                let old = table.counters.insert((room, direction), fresh);
                assert!(old.is_none(), "{room} exists already");
            }
            if let Some(quota) = planned.quota {
                let reading = QuotaReading {
                    handle: table.handle(),
                    limit: quota.limit,
                    used: 0,
                };
                table.quotas.insert(room, (reading, 0));
            }
        }
        for (room, &limit) in &changes.move_limits {
            table.quotas.get_mut(room).unwrap().0.limit = limit;
        }
        table.installed = table.installed.clone().after(changes);
        let mut before: Option<PortRange> = None;
        for &ports in table.installed.links.keys() {
            assert!(
                before.is_none_or(|before| !before.overlaps(ports)),
                "elements overlap at {ports}"
            );
            before = Some(ports);
        }
        for (ports, link) in &table.installed.links {
            for target in [link.ingress, link.egress].into_iter().flatten() {
                if let Target::Room(variant) = target {
                    let room = RoomId {
                        ports: *ports,
                        variant,
                    };
                    assert!(
                        table.installed.rooms.contains_key(&room),
                        "{room} is not there"
                    );
                }
            }
        }
    }

    /// `nft flush ruleset`.
    pub fn flush(&mut self) {
        self.generation += 1;
        self.table = None;
    }

    /// `nft -f` of what `nft list ruleset` printed earlier, after a flush.
    pub fn load(&mut self, saved: &Option<Table>) {
        self.flush();
        self.tables_made += 1;
        self.table = saved.clone().map(|saved| {
            let mut table = Table {
                handle: self.tables_made,
                objects_made: 0,
                ..saved
            };
            for handle in 1..=table.counters.len() as u64 {
                table
                    .counters
                    .values_mut()
                    .nth(handle as usize - 1)
                    .unwrap()
                    .handle = handle;
            }
            table.objects_made = table.counters.len() as u64 + 100;
            for (room, (quota, used)) in table.quotas.iter_mut() {
                // A listing never shows more than the limit.
                *used = (*used).min(quota.limit);
                quota.handle = 1000 + u64::from(room.ports.first());
            }
            table
        });
    }

    /// `nft -f` of what `nft list ruleset` printed earlier, without a flush: what is there by
    /// name keeps its handle and its value, rules are added to those that are there, and an
    /// element that is there with another verdict makes all of it fail.
    ///
    /// Returns the services that counters from the file now count for.
    pub fn merge(&mut self, saved: &Option<Table>) -> BTreeSet<PortRange> {
        let Some(saved) = saved else {
            return BTreeSet::new();
        };
        let Some(table) = &mut self.table else {
            let links = saved.installed.links.keys().copied().collect();
            self.load(&Some(saved.clone()));
            return links;
        };
        let (have, file) = (&table.installed.links, &saved.installed.links);
        if file
            .iter()
            .any(|(ports, link)| have.get(ports).is_some_and(|other| other != link))
        {
            return BTreeSet::new();
        }
        self.generation += 1;
        let mut loaded = BTreeSet::new();
        for (&room, found) in &saved.installed.rooms {
            let added = saved
                .doubled
                .get(&room)
                .cloned()
                .unwrap_or_else(|| found.intact.into_iter().collect());
            let Some(old) = table.installed.rooms.get_mut(&room) else {
                table.installed.rooms.insert(room, *found);
                if saved.doubled.contains_key(&room) {
                    table.doubled.insert(room, added);
                }
                loaded.insert(room);
                continue;
            };
            let rules = table
                .doubled
                .entry(room)
                .or_insert_with(|| old.intact.into_iter().collect());
            rules.extend(added);
            old.intact = None;
            old.parts.quota |= found.parts.quota;
        }
        for (&name, &counter) in &saved.counters {
            if !table.counters.contains_key(&name) {
                let handle = table.handle();
                table
                    .counters
                    .insert(name, CounterReading { handle, ..counter });
            }
        }
        for (&room, &(quota, used)) in &saved.quotas {
            if !table.quotas.contains_key(&room) {
                let handle = table.handle();
                let quota = QuotaReading { handle, ..quota };
                table.quotas.insert(room, (quota, used.min(quota.limit)));
            }
        }
        for (&ports, &link) in &saved.installed.links {
            table.installed.links.entry(ports).or_insert(link);
        }
        table
            .installed
            .epochs
            .extend(saved.installed.epochs.iter().copied());
        for base in [
            &mut table.installed.frame.input,
            &mut table.installed.frame.output,
        ] {
            *base = Piece::Damaged;
        }
        let links = &table.installed.links;
        loaded.retain(|room| {
            links
                .get(&room.ports)
                .is_some_and(|link| link.leads_to(room.variant))
        });
        loaded.into_iter().map(|room| room.ports).collect()
    }

    /// `nft reset counters`.
    pub fn reset_counters(&mut self) {
        let table = self.table.as_mut().unwrap();
        table
            .counters
            .values_mut()
            .for_each(|counter| counter.bytes = 0);
    }

    /// `nft reset quotas`.
    pub fn reset_quotas(&mut self) {
        let table = self.table.as_mut().unwrap();
        table.quotas.values_mut().for_each(|(_, used)| *used = 0);
    }

    /// The host is started anew.
    pub fn reboot(&mut self) {
        self.boot += 1;
        self.fresh_namespace();
    }

    /// A container is started anew: the same boot, all handles from the start.
    pub fn fresh_namespace(&mut self) {
        self.netns += 1;
        self.generation = 0;
        self.tables_made = 0;
        self.table = None;
    }

    /// Somebody changed something.
    pub fn touch(&mut self) {
        self.generation += 1;
    }

    /// Somebody deletes a service's elements.
    pub fn unlink(&mut self, ports: PortRange) {
        if let Some(table) = &mut self.table {
            table.installed.links.remove(&ports);
            self.generation += 1;
        }
    }

    /// Somebody deletes a service's elements, chains and objects.
    pub fn delete_rooms(&mut self, ports: PortRange) {
        self.unlink(ports);
        if let Some(table) = &mut self.table {
            table.installed.rooms.retain(|room, _| room.ports != ports);
            table.counters.retain(|(room, _), _| room.ports != ports);
            table.quotas.retain(|room, _| room.ports != ports);
            table.doubled.retain(|room, _| room.ports != ports);
        }
    }

    /// Somebody empties the chains of a service: its packets pass, uncounted.
    pub fn damage(&mut self, ports: PortRange) {
        if let Some(table) = &mut self.table {
            self.generation += 1;
            for (room, found) in &mut table.installed.rooms {
                if room.ports == ports {
                    found.intact = None;
                    table.doubled.remove(room);
                }
            }
            table.installed.links.remove(&ports);
        }
    }
}

impl Table {
    fn new(handle: u64) -> Self {
        Self {
            handle,
            objects_made: 0,
            installed: Installed::default(),
            counters: BTreeMap::new(),
            quotas: BTreeMap::new(),
            doubled: BTreeMap::new(),
        }
    }

    fn handle(&mut self) -> u64 {
        self.objects_made += 1;
        self.objects_made
    }
}

/// pm with what it has saved, which is all that survives its death.
pub struct Pm {
    pub config: Config,
    pub saved: State,
    pub zone: Zone,
    pub time: i64,
    pub events: Vec<Event>,
    random: u64,
}

/// What pm does between two of its steps is up to the test.
pub trait World {
    /// Traffic and the like.
    fn meanwhile(&mut self, kernel: &mut Kernel);
    /// The usage was saved that was read when this was last called with `false`.
    fn saved(&mut self, committed: bool);
}

/// pm was killed.
#[derive(Debug)]
pub struct Killed;

impl Pm {
    pub fn new() -> Self {
        Self {
            config: Config::default(),
            saved: State::new(Epoch(1)),
            zone: Zone::utc(),
            time: 1_800_000_000,
            events: Vec::new(),
            random: 1,
        }
    }

    /// Does a tick, or dies after `steps` steps.
    pub fn tick(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        steps: usize,
    ) -> Result<(), Killed> {
        self.run(kernel, world, steps, None)
    }

    /// Carries out a request, or dies after `steps` steps.
    pub fn request(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        steps: usize,
        request: &Request,
    ) -> Result<(), Killed> {
        self.run(kernel, world, steps, Some(request))
    }

    fn run(
        &mut self,
        kernel: &mut Kernel,
        world: &mut impl World,
        mut steps: usize,
        request: Option<&Request>,
    ) -> Result<(), Killed> {
        let mut state = self.saved.clone();
        let mut live = |kernel: &mut Kernel, world: &mut dyn FnMut(&mut Kernel)| {
            world(kernel);
            steps = steps.checked_sub(1).ok_or(Killed)?;
            Ok(())
        };
        let mut pending = Vec::new();
        for round in 0.. {
            assert!(round < 10, "it does not settle");
            live(kernel, &mut |kernel| world.meanwhile(kernel))?;
            let (reading, inspected) = kernel.read();
            world.saved(false);
            let untouched = state.settled_at == Some(reading.generation)
                && state.host.as_ref() == Some(&reading.host)
                && state.table.map(|table| table.handle)
                    == reading.table.as_ref().map(|table| table.handle)
                && state.table.is_some();
            if untouched {
                assert_eq!(
                    Installed::settled(&state),
                    inspected,
                    "what was left is not there"
                );
            }
            self.random += 1;
            let now = Now {
                time: Timestamp::from_unix(self.time),
                zone: &self.zone,
                not_before: Timestamp::from_unix(1_700_000_000),
                next_epoch: Epoch(self.random.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            };
            let (next, events) = step(&self.config, &state, &reading, &inspected, now);
            state = next;
            pending.extend(events);
            let mut config = self.config.clone();
            if let (0, Some(request)) = (round, request) {
                let spent: BTreeSet<PortRange> = state
                    .ledgers
                    .iter()
                    .filter(|(_, l)| l.spent.is_some())
                    .map(|(&p, _)| p)
                    .collect();
                let context = Context {
                    spent,
                    ..Context::default()
                };
                let Ok(after) = request.apply(&self.config, &context) else {
                    return Ok(());
                };
                live(kernel, &mut |kernel| world.meanwhile(kernel))?;
                // The configuration is saved before the usage.
                self.config = after;
                config = self.config.clone();
                request.apply_to_usage(&config, &mut state);
                continue;
            }
            let changes = if state.torn_down {
                withdrawal(&inspected)
            } else {
                difference(&inspected, &plan(&config, &state, &inspected), &state)
            };
            state.settled_at =
                (changes.is_empty() && !state.torn_down).then_some(reading.generation);
            live(kernel, &mut |kernel| world.meanwhile(kernel))?;
            state.expect(&changes);
            self.saved = state.clone();
            self.events.append(&mut pending);
            world.saved(true);
            if changes.is_empty() {
                return Ok(());
            }
            live(kernel, &mut |kernel| world.meanwhile(kernel))?;
            kernel.apply(&changes);
        }
        unreachable!()
    }

    pub fn usage(&self, ports: PortRange) -> Usage {
        self.saved.ledgers[&ports].usage
    }

    pub fn is_spent(&self, ports: PortRange) -> bool {
        self.saved.ledgers[&ports].spent.is_some()
    }
}

/// Nothing happens meanwhile.
pub struct Quiet;

impl World for Quiet {
    fn meanwhile(&mut self, _: &mut Kernel) {}
    fn saved(&mut self, _: bool) {}
}

pub fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

/// All links of a kernel, for asserting where packets go.
pub fn link(kernel: &Kernel, ports: PortRange) -> Option<Link> {
    let table = kernel.table.as_ref()?;
    let link = table.installed.links.get(&ports)?;
    match (link.ingress?, link.egress?) {
        (Target::Drop, Target::Drop) => Some(Link::Drop),
        (Target::Room(a), Target::Room(b)) if a == b => Some(Link::Room(a)),
        other => panic!("the maps disagree: {other:?}"),
    }
}
