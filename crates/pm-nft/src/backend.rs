//! All I/O: [`Nftables`] reads and changes the kernel.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use pm_core::backend::{BackendError, HostId, Netfilter, Reading, TableReading};
use pm_core::ruleset::{Changes, Direction, Installed, Piece, QuotaId, RoomId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Batch, Error, Malformed, NlmF, Reply, Request, Socket, wait_for_grace_period};

use crate::changes::{following, scripts};
use crate::element::{self, Elements};
use crate::flowtable;
use crate::forward;
use crate::found::{AllRules, Chains, Objects, PM_SH_SET, Sets};
use crate::frame::map_name;
use crate::host::{has_legacy_nat, host_id};
use crate::inspection::Inspection;
use crate::object::emit_name;
use crate::totals::Totals;

// Several dumps must fall between two commits of other programs.
const ATTEMPTS: usize = 10;
// From about here on, one dump of everything costs less than asking for each object.
const FEW_OBJECTS: usize = 300;
// Longer than any packet stays in the rules; for where the kernel offers nothing to wait for.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// The nftables of the network namespace that [`Nftables::open`] was called in.
pub struct Nftables {
    pub(crate) socket: Socket,
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
    pub(crate) fn steadily<T>(
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
        let foreign = totals.is_empty() && (totals.pm_sh || self.has_set(PM_SH_SET)?);
        Ok(Some((totals.reading, foreign)))
    }

    /// Reads some objects one by one; `None` when the table is not the one with this handle.
    fn read_some(
        &mut self,
        handle: u64,
        rooms: &BTreeSet<RoomId>,
        quotas: &BTreeSet<QuotaId>,
    ) -> Result<Option<TableReading>, Error> {
        if self
            .find_table()?
            .is_none_or(|table| table.handle != handle)
        {
            return Ok(None);
        }
        let counters = rooms
            .iter()
            .flat_map(|room| Direction::BOTH.map(|way| (NFT_OBJECT_COUNTER, room.chain(way))));
        let quotas = quotas.iter().map(|id| (NFT_OBJECT_QUOTA, id.to_string()));
        let mut totals = Totals::default();
        for (kind, name) in counters.chain(quotas) {
            let request = Request::new(NFT_MSG_GETOBJ, NFPROTO_INET, |a| {
                emit_name(a, kind, &name);
            });
            match self.socket.get(&request, |reply| totals.add(reply)) {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(totals.reading))
    }

    fn inspect_tables(&mut self) -> Result<Inspection, Error> {
        // Of all families and tables: somebody's may translate addresses.
        let all = Request::new(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, |_| {});
        let chains = self.socket.dump(&all, Chains::add)?;
        let Some(table) = self.find_table()? else {
            return Ok(Inspection {
                chains,
                ..Inspection::default()
            });
        };
        let mut found = Inspection {
            table: if table.dormant {
                Piece::Damaged
            } else {
                Piece::Intact
            },
            chains,
            sets: self.dump(NFT_MSG_GETSET, NFTA_SET_TABLE, Sets::add)?,
            rules: self.dump(NFT_MSG_GETRULE, NFTA_RULE_TABLE, AllRules::add)?,
            objects: self.dump(NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, Objects::add)?,
            ..Inspection::default()
        };
        for direction in Direction::BOTH {
            if *found.sets.maps.of(direction) == Piece::Intact {
                *found.elements.of_mut(direction) =
                    self.dump_elements(map_name(direction), direction)?;
            }
        }
        if found.sets.routed == Piece::Intact {
            found.routed = self.dump_elements(forward::SET, Direction::In)?;
        }
        Ok(found)
    }

    fn dump_elements(&mut self, set: &str, direction: Direction) -> Result<Elements, Error> {
        let request = Request::new(NFT_MSG_GETSETELEM, NFPROTO_INET, |a| {
            element::emit_set_name(a, set);
        });
        self.socket.dump(&request, |all: &mut Elements, reply| {
            all.add(reply, direction)
        })
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
            has_legacy_nat: has_legacy_nat(),
            table,
            fresh: None,
        })
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
        quotas: &BTreeSet<QuotaId>,
    ) -> Result<Reading, BackendError> {
        let objects = 2 * rooms.len() + quotas.len();
        let Some(table) = reading.table.as_ref().filter(|_| objects <= FEW_OBJECTS) else {
            return self.read();
        };
        let handle = table.handle;
        if self.host()? != reading.host {
            return self.read();
        }
        let (generation, totals) = self
            .steadily(|nftables| nftables.read_some(handle, rooms, quotas))
            .map_err(|error| failure(&format!("read table inet {TABLE}"), error))?;
        let (Some(mut totals), Some(table)) = (totals, &mut reading.table) else {
            return self.read();
        };
        for &room in rooms {
            for direction in Direction::BOTH {
                table.counters.remove(&(room, direction));
            }
        }
        for quota in quotas {
            table.quotas.remove(quota);
        }
        table.counters.append(&mut totals.counters);
        table.quotas.append(&mut totals.quotas);
        reading.generation = generation;
        reading.has_legacy_nat = has_legacy_nat();
        reading.fresh = Some(rooms.clone());
        Ok(reading)
    }

    fn inspect(&mut self) -> Result<(u32, Installed), BackendError> {
        let (generation, found) = self
            .steadily(Self::inspect_tables)
            .map_err(|error| failure(&format!("inspect table inet {TABLE}"), error))?;
        if found.is_pm_sh() {
            return Err(BackendError::ForeignTable);
        }
        Ok((generation, found.installed()))
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

    fn flowtables(&mut self) -> Result<Vec<String>, BackendError> {
        let request = Request::new(NFT_MSG_GETFLOWTABLE, NFPROTO_UNSPEC, |_| {});
        let found = self.socket.dump(&request, |all: &mut Vec<_>, reply| {
            all.extend(flowtable::describe(reply)?);
            Ok(())
        });
        found.map_err(|error| failure("list the flowtables", error))
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

pub(crate) fn failure(what: &str, error: Error) -> BackendError {
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
