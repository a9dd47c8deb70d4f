//! What others do to the kernel in memory, beside pm: flush, load, reset, damage.

use std::collections::BTreeSet;
use std::time::Duration;

use pm_core::backend::{CounterReading, QuotaReading};
use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, InstalledForwarding, InstalledRoom, Parts, Piece, QuotaId};

use super::{Kernel, Table};

impl Kernel {
    /// `nft flush ruleset`.
    pub fn flush(&mut self) {
        self.generation += 1;
        self.in_flight.clear();
        self.table = None;
        self.has_nat = false;
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
        let differs = |(ports, link)| have.get(ports).is_some_and(|other| other != link);
        if file.iter().any(differs) {
            return BTreeSet::new();
        }
        self.generation += 1;
        table.merge(saved)
    }

    /// `nft reset counters`.
    pub fn reset_counters(&mut self) {
        let table = self.table.as_mut().unwrap();
        let counters = table.counters.values_mut();
        counters.for_each(|counter| counter.bytes = 0);
    }

    /// `nft reset quotas`.
    pub fn reset_quotas(&mut self) {
        let table = self.table.as_mut().unwrap();
        table.quotas.values_mut().for_each(|(_, used)| *used = 0);
    }

    /// The host is started anew.
    pub fn reboot(&mut self) {
        self.boot += 1;
        self.since_boot = Duration::ZERO;
        self.fresh_namespace();
    }

    /// A container is started anew: the same boot, all handles from the start.
    pub fn fresh_namespace(&mut self) {
        self.netns += 1;
        self.generation = 0;
        self.tables_made = 0;
        self.in_flight.clear();
        self.table = None;
        self.has_nat = false;
    }

    /// Somebody changed something.
    pub fn touch(&mut self) {
        self.generation += 1;
    }

    /// Somebody begins, or ceases, to translate addresses.
    pub fn set_nat(&mut self, has_nat: bool) {
        self.generation += 1;
        self.has_nat = has_nat;
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
            table.doubled.retain(|room, _| room.ports != ports);
            let theirs = |quota: &QuotaId| quota.holder == ports.into();
            table.quotas.retain(|quota, _| !theirs(quota));
            table.installed.quotas.retain(|quota, _| !theirs(quota));
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

    /// Somebody deletes parts of a service's rooms, and its elements with them.
    pub fn tear(&mut self, ports: PortRange, torn: &Parts) {
        self.damage(ports);
        let Some(table) = &mut self.table else { return };
        for (&room, found) in &mut table.installed.rooms {
            if room.ports != ports {
                continue;
            }
            let parts = &mut found.parts;
            parts.in_chain &= !torn.in_chain;
            parts.out_chain &= !torn.out_chain;
            parts.in_counter &= !torn.in_counter;
            parts.out_counter &= !torn.out_counter;
            parts.limits.retain(|limit| !torn.limits.contains(limit));
            for (direction, is_torn) in [
                (Direction::In, torn.in_counter),
                (Direction::Out, torn.out_counter),
            ] {
                if is_torn {
                    table.counters.remove(&(room, direction));
                }
            }
        }
        // A room of which nothing is left is none.
        let nothing = Parts::default();
        let rooms = &mut table.installed.rooms;
        rooms.retain(|_, found| found.parts != nothing);
    }

    /// Somebody makes a quota, where there is none of that name.
    pub fn add_quota(&mut self, quota: QuotaId) {
        if let Some(table) = &mut self.table {
            self.generation += 1;
            let handle = table.handle();
            let reading = QuotaReading {
                handle,
                limit: 1,
                used: 0,
            };
            table.quotas.entry(quota.clone()).or_insert((reading, 0));
            table.installed.quotas.entry(quota).or_insert(Some(1));
        }
    }

    /// Somebody replaces a quota by something that pm would not make.
    pub fn spoil(&mut self, quota: &QuotaId) {
        if let Some(table) = &mut self.table {
            self.generation += 1;
            let handle = table.handle();
            if let Some((reading, used)) = table.quotas.get_mut(quota) {
                (reading.handle, reading.used, *used) = (handle, 0, 0);
                table.installed.quotas.insert(quota.clone(), None);
            }
        }
    }

    /// Somebody deletes the quotas that no rule names.
    pub fn delete_unused_quotas(&mut self) {
        if let Some(table) = &mut self.table {
            self.generation += 1;
            let used = table.named_quotas();
            table.quotas.retain(|quota, _| used.contains(quota));
            table
                .installed
                .quotas
                .retain(|quota, _| used.contains(quota));
        }
    }
}

impl Table {
    fn merge(&mut self, saved: &Self) -> BTreeSet<PortRange> {
        let mut loaded = BTreeSet::new();
        for (&room, found) in &saved.installed.rooms {
            let added = saved.rules(room);
            let there = self.installed.rooms.get(&room).cloned();
            let Some(InstalledRoom { mut parts, .. }) = there else {
                self.installed.rooms.insert(room, found.clone());
                if saved.doubled.contains_key(&room) {
                    self.doubled.insert(room, added);
                }
                loaded.insert(room);
                continue;
            };
            let mut rules = self.rules(room);
            rules.extend(added);
            self.doubled.insert(room, rules);
            parts.limits.extend(found.parts.limits.iter().copied());
            let intact = None;
            let double = InstalledRoom { parts, intact };
            self.installed.rooms.insert(room, double);
        }
        for (&name, &counter) in &saved.counters {
            if !self.counters.contains_key(&name) {
                let handle = self.handle();
                let counter = CounterReading { handle, ..counter };
                self.counters.insert(name, counter);
            }
        }
        for (id, &(quota, used)) in &saved.quotas {
            if !self.quotas.contains_key(id) {
                let handle = self.handle();
                let quota = QuotaReading { handle, ..quota };
                let used = used.min(quota.limit);
                self.quotas.insert(id.clone(), (quota, used));
                let limit = saved.installed.quotas[id];
                self.installed.quotas.insert(id.clone(), limit);
            }
        }
        for (&ports, &link) in &saved.installed.links {
            self.installed.links.entry(ports).or_insert(link);
        }
        let epochs = saved.installed.epochs.iter().copied();
        self.installed.epochs.extend(epochs);
        let frame = &mut self.installed.frame;
        for base in [&mut frame.input, &mut frame.output] {
            *base = Piece::Damaged;
        }
        self.installed.forwarding = merged(&self.installed.forwarding, &saved.installed.forwarding);
        loaded.retain(|room| self.link(room.ports).leads_to(room.variant));
        loaded.into_iter().map(|room| room.ports).collect()
    }
}

/// The rules of the one behind those of the other.
fn merged(one: &InstalledForwarding, other: &InstalledForwarding) -> InstalledForwarding {
    match (one.chain || one.set, other.chain || other.set) {
        (_, false) => one.clone(),
        (false, true) => other.clone(),
        (true, true) => InstalledForwarding {
            chain: one.chain || other.chain,
            set: one.set || other.set,
            intact: None,
        },
    }
}
