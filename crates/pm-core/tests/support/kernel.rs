//! A kernel in memory: tables, counters and quotas as nf_tables keeps them, and packets that are
//! somewhere between the two.

mod others;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pm_core::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::{
    Changes, Direction, Installed, InstalledForwarding, InstalledLink, InstalledRoom, Parts, Piece,
    QuotaId, Room, RoomId, Target,
};

/// Everything that pm asks the kernel about, and what passed it.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub boot: u32,
    pub netns: u32,
    /// The boot clock.
    pub since_boot: Duration,
    pub generation: u32,
    tables_made: u64,
    pub table: Option<Table>,
    /// Whether somebody has a chain that translates addresses.
    pub has_nat: bool,
    /// Whether somebody translates addresses by other means.
    pub has_legacy_nat: bool,
    /// What passed each service, whether counted or not.
    pub passed: BTreeMap<PortRange, Usage>,
    /// What passed a room of each service, whether its counter has seen it yet or not.
    pub entered: BTreeMap<PortRange, Usage>,
    /// The same, by whose quota it was under, too.
    pub entered_under: BTreeMap<(PortRange, Holder), Usage>,
    /// What counters have counted of each service, in all tables that ever were.
    pub counted: BTreeMap<PortRange, Usage>,
    /// Packets that the quotas have seen and the counter has not.
    in_flight: Vec<InFlight>,
}

#[derive(Clone, Debug)]
pub struct Table {
    handle: u64,
    objects_made: u64,
    pub installed: Installed,
    counters: BTreeMap<(RoomId, Direction), CounterReading>,
    /// With what each has really counted, which it does not show beyond its limit.
    quotas: BTreeMap<QuotaId, (QuotaReading, u64)>,
    /// Rooms whose chains somebody added rules to: all their rules, in order.
    doubled: BTreeMap<RoomId, Vec<Room>>,
}

/// A packet to or from a service.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub ports: PortRange,
    pub direction: Direction,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    packet: Packet,
    table: u64,
    room: RoomId,
    /// It lands when this is none.
    moments: u32,
}

/// Whose a packet is that is only forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forwarded {
    /// Its destination is translated.
    Dnat,
    /// A guest's own.
    Routed,
}

impl Kernel {
    /// Sends one packet. Returns whether it was counted; one that is dropped never passed.
    pub fn packet(&mut self, ports: PortRange, direction: Direction, bytes: u64) -> bool {
        self.counted(ports, direction, bytes) > 0
    }

    /// Sends one packet. Returns what was counted of it, which may be twice its bytes.
    pub fn counted(&mut self, ports: PortRange, direction: Direction, bytes: u64) -> u64 {
        let packet = Packet {
            ports,
            direction,
            bytes,
        };
        match self.enter(packet) {
            Way::Dropped { counted } => counted,
            Way::Uncounted => {
                self.pass(packet);
                0
            }
            Way::Through { room, times } => {
                self.pass(packet);
                self.count(packet, room, times);
                bytes * times
            }
        }
    }

    /// Sends one packet that reaches its room's counter so many moments after its quotas.
    /// Returns whether it passed.
    pub fn launch(&mut self, packet: Packet, moments: u32) -> bool {
        match self.enter(packet) {
            Way::Dropped { .. } => return false,
            Way::Through { room, times: 1 } if moments > 0 => {
                let table = self.table.as_ref().unwrap().handle;
                self.in_flight.push(InFlight {
                    packet,
                    table,
                    room,
                    moments,
                });
            }
            Way::Through { room, times } => self.count(packet, room, times),
            Way::Uncounted => {}
        }
        self.pass(packet);
        true
    }

    /// Sends one packet that is only forwarded. Returns whether it was counted.
    pub fn forward(&mut self, packet: Packet, whose: Forwarded) -> bool {
        let table = self.table.as_ref();
        let intact = table.and_then(|table| table.installed.forwarding.intact.as_ref());
        let is_seen = intact.is_some_and(|forwarding| match whose {
            Forwarded::Dnat => forwarding.dnat,
            Forwarded::Routed => forwarding.routed.contains(&packet.ports),
        });
        is_seen && self.packet(packet.ports, packet.direction, packet.bytes)
    }

    /// Lets one moment pass.
    pub fn moment(&mut self) {
        for mut packet in std::mem::take(&mut self.in_flight) {
            packet.moments -= 1;
            if packet.moments == 0 {
                self.land(packet);
            } else {
                self.in_flight.push(packet);
            }
        }
    }

    /// Waits for every packet on its way.
    pub fn settle(&mut self) {
        for packet in std::mem::take(&mut self.in_flight) {
            self.land(packet);
        }
    }

    fn land(
        &mut self,
        InFlight {
            packet,
            table,
            room,
            ..
        }: InFlight,
    ) {
        if self.table.as_ref().is_some_and(|now| now.handle == table) {
            self.count(packet, room, 1);
        }
    }

    fn enter(&mut self, packet: Packet) -> Way {
        let Some(table) = &mut self.table else {
            return Way::Uncounted;
        };
        let link = table.link(packet.ports);
        let (target, base) = match packet.direction {
            Direction::In => (link.ingress, table.installed.frame.input),
            Direction::Out => (link.egress, table.installed.frame.output),
        };
        let variant = match target.filter(|_| base != Piece::Missing) {
            Some(Target::Drop) => return Way::Dropped { counted: 0 },
            Some(Target::Room(variant)) => variant,
            Some(Target::Foreign) | None => return Way::Uncounted,
        };
        let room = RoomId {
            ports: packet.ports,
            variant,
        };
        let mut times = 0;
        for rule in table.rules(room) {
            if !table.meter(&rule, packet) {
                self.count(packet, room, times);
                return Way::Dropped {
                    counted: packet.bytes * times,
                };
            }
            times += 1;
            if let Some(metering) = rule.metering {
                let under = self.entered_under.entry((packet.ports, metering.holder));
                under.or_default().add(packet.direction, packet.bytes);
            }
        }
        if times == 0 {
            return Way::Uncounted;
        }
        let entered = self.entered.entry(packet.ports).or_default();
        entered.add(packet.direction, packet.bytes * times);
        Way::Through { room, times }
    }

    fn pass(&mut self, packet: Packet) {
        let passed = self.passed.entry(packet.ports).or_default();
        passed.add(packet.direction, packet.bytes);
    }

    fn count(&mut self, packet: Packet, room: RoomId, times: u64) {
        let counters = self.table.as_mut().map(|table| &mut table.counters);
        let counter = counters.and_then(|all| all.get_mut(&(room, packet.direction)));
        if let Some(counter) = counter {
            counter.bytes += packet.bytes * times;
            let counted = self.counted.entry(packet.ports).or_default();
            counted.add(packet.direction, packet.bytes * times);
        }
    }

    pub fn host(&self) -> HostId {
        HostId {
            boot: format!("boot{}", self.boot),
            netns: format!("netns{}", self.netns),
        }
    }

    pub fn installed(&self) -> Installed {
        let installed = self.table.as_ref().map(|table| table.installed.clone());
        Installed {
            has_nat: self.has_nat,
            ..installed.unwrap_or_default()
        }
    }

    /// Returns all totals, and what there is beside them.
    pub fn read(&self) -> (Reading, Installed) {
        let mut reading = self.read_counters();
        if let Some(table) = &mut reading.table {
            table.quotas = self.read_quotas();
        }
        (reading, self.installed())
    }

    /// Returns all counters, without quotas.
    pub fn read_counters(&self) -> Reading {
        let table = self.table.as_ref().map(|table| TableReading {
            handle: table.handle,
            counters: table.counters.clone(),
            quotas: BTreeMap::new(),
        });
        Reading {
            host: self.host(),
            generation: self.generation,
            has_legacy_nat: self.has_legacy_nat,
            table,
            fresh: None,
        }
    }

    /// Returns all quotas, as they show themselves.
    pub fn read_quotas(&self) -> BTreeMap<QuotaId, QuotaReading> {
        let quotas = self.table.iter().flat_map(|table| &table.quotas);
        quotas
            .map(|(id, &(quota, used))| {
                let used = used.min(quota.limit);
                (id.clone(), QuotaReading { used, ..quota })
            })
            .collect()
    }

    /// Commits a batch.
    pub fn apply(&mut self, changes: &Changes) {
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
        table.apply(changes);
    }
}

/// What a packet meets.
enum Way {
    Dropped {
        /// What was counted of it before, where rules stand twice.
        counted: u64,
    },
    Uncounted,
    Through {
        room: RoomId,
        /// How often it is counted.
        times: u64,
    },
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

    pub fn link(&self, ports: PortRange) -> InstalledLink {
        let link = self.installed.links.get(&ports);
        link.copied().unwrap_or_default()
    }

    fn handle(&mut self) -> u64 {
        self.objects_made += 1;
        self.objects_made
    }

    /// Returns what stands in a room's chains, in order.
    fn rules(&self, room: RoomId) -> Vec<Room> {
        match self.doubled.get(&room) {
            Some(rules) => rules.clone(),
            None => self.installed.rooms[&room].intact.iter().cloned().collect(),
        }
    }

    /// Returns whether the quotas of a room let a packet through.
    fn meter(&mut self, room: &Room, packet: Packet) -> bool {
        let quotas = room.metering.iter().flat_map(|metering| metering.quotas());
        let quotas: Vec<_> = quotas
            .filter(|quota| quota.metered.covers(packet.direction))
            .collect();
        quotas.iter().all(|quota| {
            let (quota, used) = self.quotas.get_mut(quota).unwrap();
            *used += packet.bytes;
            *used <= quota.limit
        })
    }

    fn named_quotas(&self) -> BTreeSet<QuotaId> {
        let rooms = self.installed.rooms.keys();
        let rules = rooms.flat_map(|&room| self.rules(room));
        let metering = rules.filter_map(|rule| rule.metering);
        metering
            .flat_map(|metering| metering.quotas().collect::<Vec<_>>())
            .collect()
    }

    fn apply(&mut self, changes: &Changes) {
        for room in changes.delete_rooms.keys() {
            let in_use = self.link(room.ports).leads_to(room.variant);
            assert!(!in_use, "{room} is in use");
            self.counters.retain(|(of, _), _| of != room);
            self.doubled.remove(room);
            self.installed.rooms.remove(room);
        }
        let named = self.named_quotas();
        for quota in &changes.delete_quotas {
            assert!(!named.contains(quota), "{quota} is in use");
            assert!(self.quotas.remove(quota).is_some(), "{quota} is not there");
        }
        for (quota, &limit) in &changes.create_quotas {
            let reading = QuotaReading {
                handle: self.handle(),
                limit,
                used: 0,
            };
            let old = self.quotas.insert(quota.clone(), (reading, 0));
            assert!(old.is_none(), "{quota} exists already");
        }
        for room in changes.create_rooms.keys() {
            for direction in Direction::BOTH {
                let handle = self.handle();
                let fresh = CounterReading { handle, bytes: 0 };
                let old = self.counters.insert((*room, direction), fresh);
                assert!(old.is_none(), "{room} exists already");
            }
        }
        for (room, refit) in &changes.refit {
            let found = self.installed.rooms[room].intact.as_ref();
            assert_eq!(found, Some(&refit.from), "{room} is something else");
            let (from, to) = (&refit.from.metering, &refit.to.metering);
            assert_eq!(from, to, "{room} changes its quotas");
        }
        for (quota, &limit) in &changes.move_limits {
            self.quotas.get_mut(quota).unwrap().0.limit = limit;
        }
        self.installed = self.installed.clone().after(changes);
        self.check();
    }

    /// What no batch may leave, or the kernel would refuse it.
    fn check(&self) {
        let ranges: Vec<_> = self.installed.links.keys().collect();
        for pair in ranges.windows(2) {
            assert!(!pair[0].overlaps(*pair[1]), "elements overlap: {pair:?}");
        }
        for (&ports, link) in &self.installed.links {
            for target in [link.ingress, link.egress].into_iter().flatten() {
                if let Target::Room(variant) = target {
                    let room = RoomId { ports, variant };
                    let is_there = self.installed.rooms.contains_key(&room);
                    assert!(is_there, "{room} is not there");
                }
            }
        }
        for quota in self.named_quotas() {
            assert!(self.quotas.contains_key(&quota), "{quota} is not there");
        }
        let (known, real) = (self.installed.quotas.keys(), self.quotas.keys());
        assert!(known.eq(real), "quotas differ from those found");
    }
}
