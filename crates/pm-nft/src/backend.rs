//! All I/O: [`Nftables`] reads and changes the kernel.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use pm_core::backend::{
    BackendError, CounterReading, HostId, Netfilter, QuotaReading, Reading, TableReading,
};
use pm_core::ruleset::{Changes, Direction, Installed, RoomId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Batch, Error, Malformed, NlmF, Reply, Request, Socket, wait_for_grace_period};

use crate::changes::{following, scripts};
use crate::element::Elements;
use crate::found::{AllRules, Chains, Maps, Objects, PM_SH_SET, is_pm_sh_counter};
use crate::frame::map_name;
use crate::host::host_id;
use crate::inspection::Inspection;
use crate::object::{Object, State, emit_name};

// Several dumps must fall between two commits of other programs.
const ATTEMPTS: usize = 10;
// From about here on, one dump of everything costs less than asking for each object.
const FEW_ROOMS: usize = 100;
// Longer than any packet stays in the rules; for where the kernel offers nothing to wait for.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// The nftables of the network namespace that [`Nftables::open`] was called in.
pub struct Nftables {
    socket: Socket,
    max_batch_bytes: usize,
}

impl Nftables {
    /// Opens the way to the kernel. Changes nothing, and needs no privilege yet.
    ///
    /// # Errors
    ///
    /// `Unsupported` when the kernel has no netfilter netlink, `Kernel` otherwise.
    pub fn open() -> Result<Self, BackendError> {
        let socket = Socket::open().map_err(|error| failure("open a netlink socket", error))?;
        let max_batch_bytes = socket.max_batch_bytes();
        Ok(Self {
            socket,
            max_batch_bytes,
        })
    }

    /// Splits what is applied into batches of at most `bytes`, or of what the socket takes where
    /// that is less.
    pub fn limit_batches(&mut self, bytes: usize) {
        self.max_batch_bytes = self.max_batch_bytes.min(bytes);
    }

    /// Runs `read` between two looks at the generation until both are the same.
    fn steadily<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<(u32, T), Error> {
        let mut before = self.socket.generation()?;
        for _ in 0..ATTEMPTS {
            let value = read(self);
            let after = self.socket.generation()?;
            if before == after {
                return Ok((after, value?));
            }
            before = after;
        }
        Err(Error::DumpInterrupted)
    }

    fn host(&self) -> Result<HostId, BackendError> {
        let cookie = self.socket.netns_cookie();
        let host = cookie.and_then(|cookie| host_id(cookie).map_err(Error::Io));
        host.map_err(|error| failure("tell this network namespace from others", error))
    }

    fn find_table(&mut self) -> Result<Option<Table>, Error> {
        let mut table = Table::default();
        let request = Request::new(NFT_MSG_GETTABLE, NFPROTO_INET, |a| {
            a.string(NFTA_TABLE_NAME, TABLE)
        });
        let found = self.socket.get(&request, |reply| {
            for attribute in reply.attributes() {
                let attribute = attribute?;
                match attribute.kind {
                    NFTA_TABLE_HANDLE => table.handle = attribute.be64()?,
                    NFTA_TABLE_FLAGS => {
                        table.dormant = attribute.be32()? & NFT_TABLE_F_DORMANT != 0;
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        match found {
            Ok(()) => Ok(Some(table)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn has_set(&mut self, name: &str) -> Result<bool, Error> {
        let request = Request::new(NFT_MSG_GETSET, NFPROTO_INET, |a| {
            a.string(NFTA_SET_TABLE, TABLE);
            a.string(NFTA_SET_NAME, name);
        });
        match self.socket.get(&request, |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Dumps the table's things of one kind; `selector` is the attribute that names the table.
    fn dump<T: Default>(
        &mut self,
        kind: u8,
        selector: u16,
        add: impl FnMut(&mut T, &Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<T, Error> {
        let request = Request::new(kind, NFPROTO_INET, |a| a.string(selector, TABLE));
        self.socket.dump(&request, add)
    }

    fn read_table(&mut self) -> Result<Option<(TableReading, bool)>, Error> {
        let Some(table) = self.find_table()? else {
            return Ok(None);
        };
        let mut totals: Totals = self.dump(NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, Totals::add)?;
        totals.reading.handle = table.handle;
        let ours = !totals.reading.counters.is_empty() || !totals.reading.quotas.is_empty();
        let foreign = !ours && (totals.pm_sh || self.has_set(PM_SH_SET)?);
        Ok(Some((totals.reading, foreign)))
    }

    /// Reads the objects of some rooms one by one; `None` when the table is not the one with
    /// this handle.
    fn read_rooms(
        &mut self,
        handle: u64,
        rooms: &BTreeSet<RoomId>,
    ) -> Result<Option<TableReading>, Error> {
        if self
            .find_table()?
            .is_none_or(|table| table.handle != handle)
        {
            return Ok(None);
        }
        let mut totals = Totals::default();
        for room in rooms {
            let counters = Direction::BOTH.map(|way| (NFT_OBJECT_COUNTER, room.chain(way)));
            for (kind, name) in counters
                .into_iter()
                .chain([(NFT_OBJECT_QUOTA, room.quota())])
            {
                let request = Request::new(NFT_MSG_GETOBJ, NFPROTO_INET, |a| {
                    emit_name(a, kind, &name);
                });
                match self.socket.get(&request, |reply| totals.add(reply)) {
                    Ok(()) | Err(Error::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Some(totals.reading))
    }

    fn inspect_table(&mut self) -> Result<Option<Inspection>, Error> {
        let Some(table) = self.find_table()? else {
            return Ok(None);
        };
        let mut found = Inspection {
            dormant: table.dormant,
            chains: self.dump(NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, Chains::add)?,
            maps: self.dump(NFT_MSG_GETSET, NFTA_SET_TABLE, Maps::add)?,
            rules: self.dump(NFT_MSG_GETRULE, NFTA_RULE_TABLE, AllRules::add)?,
            objects: self.dump(NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, Objects::add)?,
            ..Inspection::default()
        };
        for direction in Direction::BOTH {
            if found.maps.is_intact(direction) {
                let request = Request::new(NFT_MSG_GETSETELEM, NFPROTO_INET, |a| {
                    a.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
                    a.string(NFTA_SET_ELEM_LIST_SET, map_name(direction));
                });
                *found.elements.of_mut(direction) =
                    self.socket.dump(&request, |all: &mut Elements, reply| {
                        all.add(reply, direction)
                    })?;
            }
        }
        Ok(Some(found))
    }

    /// Waits through a transaction that fails: aborting one, the kernel waits for the same grace
    /// period as the membarrier does.
    ///
    /// Source: `net/netfilter/nf_tables_api.c`, `__nf_tables_abort`.
    fn abort_a_batch(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new(None);
        batch.push(NFT_MSG_DELCHAIN, NFPROTO_INET, NlmF::empty(), |a| {
            a.string(NFTA_CHAIN_TABLE, "there is no such table");
            a.string(NFTA_CHAIN_NAME, "there is no such chain");
        });
        match self.socket.apply(batch) {
            Err(Error::Rejected(_)) => Ok(()),
            other => other,
        }
    }
}

impl Netfilter for Nftables {
    fn read(&mut self) -> Result<Reading, BackendError> {
        let host = self.host()?;
        let (generation, table) = self
            .steadily(Self::read_table)
            .map_err(|error| failure(&format!("read table inet {TABLE}"), error))?;
        let table = match table {
            Some((_, true)) => return Err(BackendError::ForeignTable),
            Some((table, false)) => Some(table),
            None => None,
        };
        Ok(Reading {
            host,
            generation,
            table,
            fresh: None,
        })
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
    ) -> Result<Reading, BackendError> {
        let Some(table) = reading.table.as_ref().filter(|_| rooms.len() <= FEW_ROOMS) else {
            return self.read();
        };
        let handle = table.handle;
        if self.host()? != reading.host {
            return self.read();
        }
        let (generation, totals) = self
            .steadily(|nftables| nftables.read_rooms(handle, rooms))
            .map_err(|error| failure(&format!("read table inet {TABLE}"), error))?;
        let (Some(mut totals), Some(table)) = (totals, &mut reading.table) else {
            return self.read();
        };
        for &room in rooms {
            for direction in Direction::BOTH {
                table.counters.remove(&(room, direction));
            }
            table.quotas.remove(&room);
        }
        table.counters.append(&mut totals.counters);
        table.quotas.append(&mut totals.quotas);
        reading.generation = generation;
        reading.fresh = Some(rooms.clone());
        Ok(reading)
    }

    fn inspect(&mut self) -> Result<(u32, Installed), BackendError> {
        let (generation, found) = self
            .steadily(Self::inspect_table)
            .map_err(|error| failure(&format!("inspect table inet {TABLE}"), error))?;
        match found {
            Some(found) if found.is_pm_sh() => Err(BackendError::ForeignTable),
            Some(found) => Ok((generation, found.installed())),
            None => Ok((generation, Installed::default())),
        }
    }

    fn apply(&mut self, changes: &Changes, generation: u32) -> Result<u32, BackendError> {
        let mut generation = generation;
        for script in scripts(changes, generation, self.max_batch_bytes) {
            let (batch, labels) = script.into_parts();
            self.socket.apply(batch).map_err(|error| {
                let refused = match &error {
                    Error::Rejected(all) => all.iter().find_map(|one| labels.get(one.index?)),
                    _ => None,
                };
                let context = refused.map_or_else(
                    || format!("change table inet {TABLE}"),
                    |label| label.to_string(),
                );
                failure(&context, error)
            })?;
            generation = following(generation);
        }
        Ok(generation)
    }

    fn settle(&mut self) {
        if wait_for_grace_period().is_err() && self.abort_a_batch().is_err() {
            thread::sleep(LONG_ENOUGH);
        }
    }
}

/// The table itself.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    handle: u64,
    dormant: bool,
}

/// The totals of a table.
#[derive(Debug, Default)]
struct Totals {
    reading: TableReading,
    pm_sh: bool,
}

impl Totals {
    fn add(&mut self, reply: &Reply<'_>) -> Result<(), Malformed> {
        let Some(object) = Object::parse(reply)? else {
            return Ok(());
        };
        let handle = object.handle;
        match object.state {
            State::Counter { bytes } => {
                self.pm_sh |= is_pm_sh_counter(object.name);
                if let Some(key) = RoomId::parse_chain(object.name) {
                    self.reading
                        .counters
                        .insert(key, CounterReading { handle, bytes });
                }
            }
            State::Quota { limit, used, .. } => {
                if let Some(room) = RoomId::parse_quota(object.name) {
                    self.reading.quotas.insert(
                        room,
                        QuotaReading {
                            handle,
                            limit,
                            used,
                        },
                    );
                }
            }
            State::Foreign => {}
        }
        Ok(())
    }
}

fn failure(what: &str, error: Error) -> BackendError {
    match error {
        Error::PermissionDenied => BackendError::Permission(Box::new(error)),
        Error::SubsystemMissing => BackendError::Unsupported(Box::new(error)),
        Error::GenerationChanged | Error::DumpInterrupted => BackendError::Raced,
        _ => BackendError::Kernel {
            context: format!("cannot {what}"),
            source: Box::new(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};

    #[test]
    fn an_aborted_batch_serves_where_there_is_no_membarrier() {
        let thread = thread::spawn(|| {
            if unshare(CloneFlags::CLONE_NEWNET).is_err() {
                println!("skipped: needs root");
                return;
            }
            let mut nftables = Nftables::open().unwrap();
            let generation = nftables.socket.generation().unwrap();
            for _ in 0..3 {
                let start = std::time::Instant::now();
                nftables.abort_a_batch().unwrap();
                let aborted = start.elapsed();
                nftables.settle();
                println!(
                    "aborted in {aborted:?}, settled in {:?}",
                    start.elapsed() - aborted
                );
            }
            assert_eq!(nftables.socket.generation().unwrap(), generation);
        });
        thread.join().unwrap();
    }
}
