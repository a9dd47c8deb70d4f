//! A kernel in memory: tables, counters and quotas as nf_tables keeps them, and packets that are
//! somewhere between the two.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::{Changes, Direction, Installed, Piece, Room, RoomId, Target};

#[derive(Clone, Debug, Default)]
pub(crate) struct Kernel {
    generation: u32,
    tables_made: u64,
    pub(crate) table: Option<Table>,
    /// What passed each port, whether counted or not.
    pub(crate) passed: BTreeMap<PortRange, Usage>,
    /// What was counted of it.
    pub(crate) counted: BTreeMap<PortRange, Usage>,
    /// How often all counters were lost.
    pub(crate) flushes: u32,
    /// Packets that a quota has seen and a counter has not.
    in_flight: Vec<InFlight>,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    handle: u64,
    objects_made: u64,
    pub(crate) installed: Installed,
    counters: BTreeMap<(RoomId, Direction), CounterReading>,
    quotas: BTreeMap<RoomId, (QuotaReading, u64)>,
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
        match self.enter(packet) {
            Way::Dropped => return false,
            Way::Uncounted => {}
            Way::Through(table, room) => {
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
        true
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
        let Some(Room { quota }) = table.installed.rooms[&room].intact else {
            return Way::Uncounted;
        };
        if quota.is_some_and(|quota| quota.metered.covers(direction)) {
            let (quota, used) = table.quotas.get_mut(&room).unwrap();
            *used += bytes;
            if *used > quota.limit {
                return Way::Dropped;
            }
        }
        Way::Through(table.handle, room)
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
        let table = self.table.as_ref();
        table.map_or_else(Installed::default, |table| table.installed.clone())
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
            table,
            fresh: None,
        }
    }

    /// Returns all quotas, as they show themselves.
    pub(crate) fn read_quotas(&self) -> BTreeMap<RoomId, QuotaReading> {
        let quotas = self.table.iter().flat_map(|table| &table.quotas);
        quotas
            .map(|(&room, &(quota, used))| {
                let used = used.min(quota.limit);
                (room, QuotaReading { used, ..quota })
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
        for room in changes.delete_rooms.keys() {
            let link = table.installed.links.get(&room.ports);
            let in_use = link.is_some_and(|link| link.leads_to(room.variant));
            assert!(!in_use, "{room} is in use");
            table.quotas.remove(room);
            table.counters.retain(|(of, _), _| of != room);
        }
        for (&room, planned) in &changes.create_rooms {
            table.create(room, planned);
        }
        for (room, &limit) in &changes.move_limits {
            table.quotas.get_mut(room).unwrap().0.limit = limit;
        }
        table.installed = table.installed.clone().after(changes);
        table.check();
    }

    /// `nft flush ruleset`.
    pub(crate) fn flush(&mut self) {
        self.generation += 1;
        self.flushes += 1;
        self.in_flight.clear();
        self.table = None;
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
    fn create(&mut self, room: RoomId, planned: &Room) {
        for direction in Direction::BOTH {
            let handle = self.handle();
            let fresh = CounterReading { handle, bytes: 0 };
            let old = self.counters.insert((room, direction), fresh);
            assert!(old.is_none(), "{room} exists already");
        }
        if let Some(quota) = planned.quota {
            let reading = QuotaReading {
                handle: self.handle(),
                limit: quota.limit,
                used: 0,
            };
            self.quotas.insert(room, (reading, 0));
        }
    }

    fn handle(&mut self) -> u64 {
        self.objects_made += 1;
        self.objects_made
    }

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
    }
}
