//! What happened: usage per service, and where the last reading left the kernel's counters.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use crate::calendar::{Period, Timestamp};
use crate::config::{Mode, Service};
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{
    Changes, Direction, Epoch, Frame, Installed, InstalledRoom, Link, MAX_QUOTA_LIMIT, Metered,
    Parts, Quota, Room, RoomId,
};

/// Everything that is saved between ticks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// Where the last reading was taken; `None` before the first.
    pub host: Option<HostId>,
    /// The table that the last reading saw.
    pub table: Option<TableMark>,
    /// The epoch that the next batch will set if it makes counters. Saved before the batch is
    /// sent, so that counters it made are known as pm's own even if pm dies right after.
    pub next_epoch: Epoch,
    /// The generation in which the kernel holds exactly [`Installed::settled`]; `None` when it
    /// may hold something else.
    pub settled_at: Option<u32>,
    /// Whether pm was taken out of the kernel on purpose.
    pub torn_down: bool,
    /// When the last reading was taken.
    pub last_tick: Option<Timestamp>,
    /// One a service, and one each for deleted services until their rooms are gone.
    pub ledgers: BTreeMap<PortRange, Ledger>,
}

/// A table as it was last seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableMark {
    /// Its handle.
    pub handle: u64,
    /// Its epoch; `None` when somebody had removed the chain.
    pub epoch: Option<Epoch>,
}

/// One service's usage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ledger {
    /// What this period used.
    pub usage: Usage,
    /// The operator's correction of what is billed, in bytes.
    pub adjust: i64,
    /// The mode whose sum that corrects; `None` once the service is deleted.
    pub mode: Option<Mode>,
    /// The terms under which the quota was found spent, which stays so until they are better.
    pub spent: Option<Terms>,
    /// The running period.
    pub period: Period,
    /// Its rooms in the kernel, as last read.
    pub rooms: Rooms<RoomMark>,
}

/// Bytes of IP packets, each way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// What arrived.
    pub incoming: u64,
    /// What was sent.
    pub outgoing: u64,
}

/// What a service may use, on the scale of its [`Usage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Which bytes count.
    pub mode: Mode,
    /// How many of them may pass in a period: the quota less the adjustment, in bytes.
    pub allowance: i64,
}

/// A room as last read, or as [expected](State::expect).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RoomMark {
    /// Its counter of incoming bytes.
    pub incoming: Option<CounterReading>,
    /// Its counter of outgoing bytes.
    pub outgoing: Option<CounterReading>,
    /// Its quota.
    pub quota: Option<QuotaMark>,
    /// Whether pm made it and nobody has tampered with it, so that its quota has counted
    /// exactly what its counters have.
    pub sound: bool,
}

/// A quota as last read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotaMark {
    /// Its handle, limit and bytes.
    pub reading: QuotaReading,
    /// Which of the room's chains name it.
    pub metered: Metered,
}

impl State {
    /// Returns the state of a pm that has never run.
    pub fn new(next_epoch: Epoch) -> Self {
        Self {
            host: None,
            table: None,
            next_epoch,
            settled_at: None,
            torn_down: false,
            last_tick: None,
            ledgers: BTreeMap::new(),
        }
    }

    /// Notes the rooms that a batch will make. Saved before it is sent, this tells them from
    /// rooms that somebody else makes, even if pm dies before it has read them.
    pub fn expect(&mut self, changes: &Changes) {
        for room in changes.create_rooms.keys() {
            if let Some(ledger) = self.ledgers.get_mut(&room.ports) {
                *ledger.rooms.slot(room.variant) = Some(RoomMark::default());
            }
        }
    }

    /// Takes over from `planned` the ledgers of services that get their first room by a batch.
    pub fn adopt(&mut self, changes: &Changes, planned: &Self) {
        for room in changes.create_rooms.keys() {
            if let Some(ledger) = planned.ledgers.get(&room.ports)
                && !self.ledgers.contains_key(&room.ports)
            {
                self.ledgers.insert(room.ports, ledger.clone());
            }
        }
    }

    /// Returns the reading that this state was left by, all totals as they were; `None` when the
    /// kernel may hold something else than [`Installed::settled`] by now.
    pub fn remembered(&self) -> Option<Reading> {
        let mut table = TableReading {
            handle: self.table?.handle,
            ..TableReading::default()
        };
        for (&ports, ledger) in &self.ledgers {
            for (variant, mark) in ledger.rooms.iter() {
                let room = RoomId { ports, variant };
                for direction in Direction::BOTH {
                    let counter = mark.counter(direction);
                    table
                        .counters
                        .extend(counter.map(|counter| ((room, direction), counter)));
                }
                table
                    .quotas
                    .extend(mark.quota.map(|quota| (room, quota.reading)));
            }
        }
        Some(Reading {
            host: self.host.clone()?,
            generation: self.settled_at?,
            table: Some(table),
            fresh: Some(BTreeSet::new()),
        })
    }
}

impl Installed {
    /// Returns what the kernel holds when everything that `state` and its configuration want is
    /// in place: one linked room a service, or none and a dropping link.
    pub fn settled(state: &State) -> Self {
        let mut installed = Self {
            frame: Frame::INTACT,
            ..Self::default()
        };
        installed.epochs = state
            .table
            .and_then(|table| table.epoch)
            .into_iter()
            .collect::<BTreeSet<_>>();
        for (&ports, ledger) in &state.ledgers {
            let mut link = Link::Drop;
            for (variant, mark) in ledger.rooms.iter() {
                let room = mark.room();
                let found = InstalledRoom {
                    parts: Parts::of(&room),
                    intact: Some(room),
                };
                installed.rooms.insert(RoomId { ports, variant }, found);
                link = Link::Room(variant);
            }
            installed.links.insert(ports, link.into());
        }
        installed
    }
}

impl Ledger {
    /// Returns the ledger of a service that has used nothing.
    pub fn new(period: Period) -> Self {
        Self {
            usage: Usage::default(),
            adjust: 0,
            mode: Some(Mode::Both),
            spent: None,
            period,
            rooms: Rooms::default(),
        }
    }

    /// Returns what counts against the quota, in bytes: usage by `mode`, corrected.
    pub fn billed(&self, mode: Mode) -> u64 {
        let counted = self.usage.counted(mode);
        counted.saturating_add_signed(self.adjust)
    }

    /// Returns what `service` may use; `None` without a quota.
    pub fn terms(&self, service: &Service) -> Option<Terms> {
        let quota = i64::try_from(service.quota?.bytes()).unwrap_or(i64::MAX);
        Some(Terms {
            mode: service.mode,
            allowance: quota.saturating_sub(self.adjust),
        })
    }

    /// Returns the limit that a quota must have in a room whose counters stand as in `mark`, or
    /// in a new room.
    ///
    /// Usage and marks move together, so this changes only with the terms, the period and the
    /// room, never with a reading.
    pub fn kernel_limit(&self, terms: Terms, mark: Option<&RoomMark>) -> u64 {
        let already = mark.map_or(0, |mark| mark.metered_bytes(terms.mode.metered()));
        let counted = self.usage.counted(terms.mode);
        let limit = i128::from(already) + i128::from(terms.allowance) - i128::from(counted);
        u64::try_from(limit.clamp(1, MAX_QUOTA_LIMIT.into())).unwrap_or(MAX_QUOTA_LIMIT)
    }

    /// Begins again at nothing, as at the end of a period.
    pub fn reset(&mut self) {
        self.usage = Usage::default();
        self.adjust = 0;
        self.spent = None;
    }

    /// Corrects what is billed to `bytes`.
    pub fn set_billed(&mut self, mode: Mode, bytes: u64) {
        let counted = self.usage.counted(mode);
        let adjust = i128::from(bytes) - i128::from(counted);
        self.mode = Some(mode);
        self.adjust = i64::try_from(adjust).unwrap_or(if adjust < 0 { i64::MIN } else { i64::MAX });
    }
}

impl Usage {
    /// Returns the bytes that count.
    pub fn counted(self, mode: Mode) -> u64 {
        mode.count(self.incoming, self.outgoing)
    }

    /// Adds bytes of one direction.
    pub fn add(&mut self, direction: Direction, bytes: u64) {
        let total = match direction {
            Direction::In => &mut self.incoming,
            Direction::Out => &mut self.outgoing,
        };
        *total = total.saturating_add(bytes);
    }
}

impl Terms {
    /// Whether a quota that was spent under `earlier` terms may have something left under these.
    pub fn improve_on(self, earlier: Self) -> bool {
        self.mode != earlier.mode || self.allowance > earlier.allowance
    }
}

impl RoomMark {
    /// Whether it stands for a room that was to be made and has not been read yet.
    pub fn is_expected(&self) -> bool {
        self.incoming.is_none() && self.outgoing.is_none() && self.quota.is_none()
    }

    /// Returns the counter of one direction.
    pub fn counter(&self, direction: Direction) -> Option<CounterReading> {
        match direction {
            Direction::In => self.incoming,
            Direction::Out => self.outgoing,
        }
    }

    /// Returns what a quota of `metered` must have counted when this was read, in bytes.
    pub fn metered_bytes(&self, metered: Metered) -> u64 {
        let covered = Direction::BOTH
            .into_iter()
            .filter(|&direction| metered.covers(direction));
        let counters = covered.filter_map(|direction| self.counter(direction));
        counters.fold(0, |sum, counter| sum.saturating_add(counter.bytes))
    }

    /// Returns the room that it is a mark of.
    pub fn room(&self) -> Room {
        let quota = self.quota.map(|quota| Quota {
            limit: quota.reading.limit,
            metered: quota.metered,
        });
        Room { quota }
    }
}
