//! A kernel in memory: tables, counters and quotas as nf_tables keeps them, and packets that are
//! somewhere between the two.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::{
    Changes, Direction, Installed, Metering, Piece, QuotaId, Room, RoomId, Target,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    generation: u32,
    tables_made: u64,
    pub(crate) table: Option<Table>,
    /// What passed each port, whether counted or not.
    pub(crate) passed: BTreeMap<PortRange, Usage>,
    /// What passed it under no group's quota, in bytes.
    pub(crate) unshared: BTreeMap<PortRange, u64>,
    /// What was counted of it.
    pub(crate) counted: BTreeMap<PortRange, Usage>,
    /// How often all counters were lost.
    pub(crate) flushes: u32,
    /// Whether somebody has a chain that translates addresses.
    has_nat: bool,
    /// Whether somebody translates addresses by other means.
    pub(crate) has_legacy_nat: bool,
    /// Packets that the quotas have seen and the counter has not.
    in_flight: Vec<InFlight>,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    handle: u64,
    objects_made: u64,
    pub(crate) installed: Installed,
    counters: BTreeMap<(RoomId, Direction), CounterReading>,
    /// With what each has really counted, which it does not show beyond its limit.
    quotas: BTreeMap<QuotaId, (QuotaReading, u64)>,
}

/// A packet to or from a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) ports: PortRange,
    pub(crate) direction: Direction,
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    packet: Packet,
    table: u64,
    room: RoomId,
    /// It lands when this is none.
    moments: u32,
}

/// What a packet meets.
enum Way {
    Dropped,
    Uncounted,
    Through(u64, RoomId),
}

impl Kernel {
    /// Sends one packet. Returns whether it passed.
    pub(crate) fn send(&mut self, packet: Packet) -> bool {
        self.launch(packet, 0)
    }

    /// Sends one packet that reaches its room's counter some moments after its quota.
    pub(crate) fn launch(&mut self, packet: Packet, moments: u32) -> bool {
        let mut is_shared = false;
        match self.enter(packet) {
            Way::Dropped => return false,
            Way::Uncounted => {}
            Way::Through(table, room) => {
                is_shared = self.is_shared(room);
                let in_flight = InFlight {
                    packet,
                    table,
                    room,
                    moments,
                };
                if moments == 0 {
                    self.count(in_flight);
                } else {
                    self.in_flight.push(in_flight);
                }
            }
        }
        let passed = self.passed.entry(packet.ports).or_default();
        passed.add(packet.direction, packet.bytes);
        if !is_shared {
            *self.unshared.entry(packet.ports).or_default() += packet.bytes;
        }
        true
    }

    /// Whether what passes a room counts under a group's quota.
    fn is_shared(&self, room: RoomId) -> bool {
        let found = self
            .table
            .as_ref()
            .map(|table| &table.installed.rooms[&room]);
        let metering = found.and_then(|found| found.intact.as_ref()?.metering.as_ref());
        metering.is_some_and(|metering| matches!(metering.holder, Holder::Group(_)))
    }

    fn enter(&mut self, packet: Packet) -> Way {
        let Packet {
            ports,
            direction,
            bytes,
        } = packet;
        let Some(table) = &mut self.table else {
            return Way::Uncounted;
        };
        let link = table.installed.links.get(&ports);
        let link = link.copied().unwrap_or_default();
        let (target, base) = match direction {
            Direction::In => (link.ingress, table.installed.frame.input),
            Direction::Out => (link.egress, table.installed.frame.output),
        };
        let variant = match target.filter(|_| base == Piece::Intact) {
            Some(Target::Drop) => return Way::Dropped,
            Some(Target::Room(variant)) => variant,
            Some(Target::Foreign) | None => return Way::Uncounted,
        };
        let room = RoomId { ports, variant };
        let Some(found) = table.installed.rooms[&room].intact.clone() else {
            return Way::Uncounted;
        };
        match table.meter(&found, direction, bytes) {
            true => Way::Through(table.handle, room),
            false => Way::Dropped,
        }
    }

    fn count(&mut self, landed: InFlight) {
        let Packet {
            ports,
            direction,
            bytes,
        } = landed.packet;
        let table = self.table.as_mut();
        let table = table.filter(|table| table.handle == landed.table);
        let counter = table.and_then(|table| {
            table
                .counters
                .get_mut(&(landed.room, landed.packet.direction))
        });
        if let Some(counter) = counter {
            counter.bytes += bytes;
        }
        // Even where the counter is gone: no room may be deleted while packets are in it.
        self.counted.entry(ports).or_default().add(direction, bytes);
    }

    /// Lets one moment pass.
    pub(crate) fn moment(&mut self) {
        let packets = std::mem::take(&mut self.in_flight);
        for mut packet in packets {
            packet.moments = packet.moments.saturating_sub(1);
            if packet.moments == 0 {
                self.count(packet);
            } else {
                self.in_flight.push(packet);
            }
        }
    }

    /// Waits for every packet on its way.
    pub(crate) fn settle(&mut self) {
        for packet in std::mem::take(&mut self.in_flight) {
            self.count(packet);
        }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn installed(&self) -> Installed {
        let installed = self.table.as_ref().map(|table| table.installed.clone());
        Installed {
            has_nat: self.has_nat,
            ..installed.unwrap_or_default()
        }
    }

    /// Returns all counters, without quotas.
    pub(crate) fn read_counters(&self) -> Reading {
        let table = self.table.as_ref().map(|table| TableReading {
            handle: table.handle,
            counters: table.counters.clone(),
            quotas: BTreeMap::new(),
        });
        Reading {
            host: HostId {
                boot: "boot".to_owned(),
                netns: "netns".to_owned(),
            },
            generation: self.generation,
            has_legacy_nat: self.has_legacy_nat,
            table,
            fresh: None,
        }
    }

    /// Returns all quotas, as they show themselves.
    pub(crate) fn read_quotas(&self) -> BTreeMap<QuotaId, QuotaReading> {
        let quotas = self.table.iter().flat_map(|table| &table.quotas);
        quotas
            .map(|(id, &(quota, used))| {
                let used = used.min(quota.limit);
                (id.clone(), QuotaReading { used, ..quota })
            })
            .collect()
    }

    /// Commits a batch.
    pub(crate) fn apply(&mut self, changes: &Changes) {
        self.generation += 1;
        if changes.delete_table {
            self.table = None;
            return;
        }
        let made = &mut self.tables_made;
        let table = self.table.get_or_insert_with(|| {
            *made += 1;
            Table {
                handle: *made,
                objects_made: 0,
                installed: Installed::default(),
                counters: BTreeMap::new(),
                quotas: BTreeMap::new(),
            }
        });
        table.apply(changes);
    }

    /// `nft flush ruleset`.
    pub(crate) fn flush(&mut self) {
        self.generation += 1;
        self.flushes += 1;
        self.in_flight.clear();
        self.table = None;
        self.has_nat = false;
    }

    /// `nft -f` of what `nft list ruleset` printed earlier, after a flush.
    pub(crate) fn load(&mut self, saved: &Table) {
        self.flush();
        self.tables_made += 1;
        let mut table = Table {
            handle: self.tables_made,
            objects_made: 0,
            ..saved.clone()
        };
        for counter in table.counters.values_mut() {
            table.objects_made += 1;
            counter.handle = table.objects_made;
        }
        for (quota, used) in table.quotas.values_mut() {
            table.objects_made += 1;
            quota.handle = table.objects_made;
            // A listing never shows more than the limit.
            *used = (*used).min(quota.limit);
        }
        self.table = Some(table);
    }

    /// Somebody commits something of no concern to pm.
    pub(crate) fn touch(&mut self) {
        self.generation += 1;
    }

    /// Somebody begins, or ceases, to translate addresses.
    pub(crate) fn set_nat(&mut self, has_nat: bool) {
        self.generation += 1;
        self.has_nat = has_nat;
    }

    /// Somebody deletes a service's elements.
    pub(crate) fn unlink(&mut self, ports: PortRange) {
        if let Some(table) = &mut self.table {
            table.installed.links.remove(&ports);
            self.generation += 1;
        }
    }

    /// Returns the rooms that exist.
    pub(crate) fn rooms(&self) -> BTreeSet<RoomId> {
        self.installed().rooms.into_keys().collect()
    }
}

impl Table {
    fn handle(&mut self) -> u64 {
        self.objects_made += 1;
        self.objects_made
    }

    /// Returns whether the quotas of a room let a packet through.
    fn meter(&mut self, room: &Room, direction: Direction, bytes: u64) -> bool {
        let quotas = room.metering.iter().flat_map(Metering::quotas);
        quotas
            .filter(|quota| quota.metered.covers(direction))
            .all(|quota| {
                let (quota, used) = self.quotas.get_mut(&quota).unwrap();
                *used += bytes;
                *used <= quota.limit
            })
    }

    fn named_quotas(&self) -> BTreeSet<QuotaId> {
        let rooms = self.installed.rooms.values();
        let metering = rooms.filter_map(|room| room.intact.as_ref()?.metering.as_ref());
        metering.flat_map(Metering::quotas).collect()
    }

    fn apply(&mut self, changes: &Changes) {
        for room in changes.delete_rooms.keys() {
            let link = self.installed.links.get(&room.ports);
            let in_use = link.is_some_and(|link| link.leads_to(room.variant));
            assert!(!in_use, "{room} is in use");
            self.counters.retain(|(of, _), _| of != room);
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
        for &room in changes.create_rooms.keys() {
            for direction in Direction::BOTH {
                let handle = self.handle();
                let fresh = CounterReading { handle, bytes: 0 };
                let old = self.counters.insert((room, direction), fresh);
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
