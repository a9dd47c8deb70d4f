//! What happened: usage per service and group, and where the last reading left the kernel's
//! counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::Date;

use crate::backend::{CounterReading, HostId, QuotaReading, Reading, TableReading};
use crate::calendar::{Period, Timestamp};
use crate::config::{ChannelName, Contract, GroupName, Mode, Tariff};
use crate::dynqos::Hog;
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::news::News;
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{
    Changes, Direction, Epoch, Forwarding, Frame, Installed, InstalledRoom, Link, MAX_QUOTA_LIMIT,
    Metered, QuotaId, Room, RoomId,
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
    /// The day to whose totals the last reading was added, in the configured zone.
    pub today: Option<Date>,
    /// When rates were last judged, by the boot clock.
    pub judged_at: Option<Duration>,
    /// Which forwarded packets the kernel counts, as it was last found.
    pub forwarding: Forwarding,
    /// Whether a chain of anybody's translated addresses in that generation.
    pub has_nat: bool,
    /// One a service, and one each for deleted services until their rooms are gone.
    pub ledgers: BTreeMap<PortRange, Ledger>,
    /// One a group.
    pub groups: BTreeMap<GroupName, Account>,
    /// The quotas in the kernel, as last read or as [expected](State::expect).
    pub quotas: BTreeMap<QuotaId, QuotaMark>,
    /// The interfaces whose root pm's traffic control has taken.
    pub interfaces: BTreeMap<String, InterfaceMark>,
    /// Periods that were closed since the last save, oldest first.
    pub closed: Vec<ClosedPeriod>,
    /// What is to be told and was not saved yet, oldest first.
    pub news: Vec<News>,
    /// The last report that was due, of each channel that gets some.
    pub reports: BTreeMap<ChannelName, Timestamp>,
}

/// A table as it was last seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableMark {
    /// Its handle.
    pub handle: u64,
    /// Its epoch; `None` when somebody had removed the chain.
    pub epoch: Option<Epoch>,
}

/// An interface whose root pm's traffic control has taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InterfaceMark {
    /// What stood there before, in the words of whoever puts it back.
    pub host: String,
    /// For how many ticks in a row nothing was to be shaped there.
    pub idle_ticks: u32,
}

/// One service's usage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ledger {
    /// What it has used since it was added.
    pub total: Usage,
    /// What it has used in the running period, its own or its group's. While it is in no group,
    /// its quota is judged by this.
    pub account: Account,
    /// The group to which its bytes count, too.
    pub group: Option<GroupName>,
    /// How far it has come towards a punishment.
    pub hog: Hog,
    /// Whether its last day has passed.
    pub expired: bool,
    /// The last day of which it was said that it is near.
    pub expiring: Option<Date>,
    /// Whether it is deleted, and only its rooms are still there.
    pub deleted: bool,
    /// Whether a request that is being carried out adds it, so that it stays without rooms, too,
    /// though the configuration does not have it. Not saved.
    pub arriving: bool,
    /// Whether the request that was to add it has failed. Not saved.
    pub dismissed: bool,
    /// Its rooms in the kernel, as last read.
    pub rooms: Rooms<RoomMark>,
}

/// What a holder has used in the running period.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    /// The bytes.
    pub usage: Usage,
    /// The operator's correction of what is billed, in bytes.
    pub adjust: i64,
    /// The tariff by which it is billed, and whose sum that corrects.
    pub tariff: Tariff,
    /// The terms under which the quota was found spent, which stays so until they are better.
    pub spent: Option<Terms>,
    /// The highest threshold that is told of by now, in percent; 0: none.
    pub warned: u16,
    /// The running period.
    pub period: Period,
    /// When it began; `None`: before anybody noted it.
    pub began: Option<Timestamp>,
}

/// Bytes of IP packets, each way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// What arrived.
    pub incoming: u64,
    /// What was sent.
    pub outgoing: u64,
}

/// What a holder may use, on the scale of its [`Usage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Which bytes count.
    pub mode: Mode,
    /// How many of them may pass in a period: the quota less the adjustment, by the factor.
    pub allowance: i64,
}

/// A room as last read, or as [expected](State::expect).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoomMark {
    /// What it is, as far as it was whole.
    pub room: Room,
    /// Its counter of incoming bytes.
    pub incoming: Option<CounterReading>,
    /// Its counter of outgoing bytes.
    pub outgoing: Option<CounterReading>,
    /// Whether pm made it and nobody has tampered with it, so that its quotas have counted
    /// exactly what its counters have.
    pub sound: bool,
}

/// A quota as last read, or as [expected](State::expect).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QuotaMark {
    /// What it showed; `None`: it was to be made and has not been read yet.
    pub reading: Option<QuotaReading>,
    /// What the counters of all rooms that name it have counted under it, in bytes.
    pub counted: u64,
    /// Whether pm made it and nobody has tampered with it, so that this is what it has counted.
    pub sound: bool,
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
            today: None,
            judged_at: None,
            forwarding: Forwarding::default(),
            has_nat: false,
            ledgers: BTreeMap::new(),
            groups: BTreeMap::new(),
            quotas: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            closed: Vec::new(),
            news: Vec::new(),
            reports: BTreeMap::new(),
        }
    }

    /// Notes the rooms and quotas that a batch will make. Saved before it is sent, this tells
    /// them from those that somebody else makes, even if pm dies before it has read them.
    pub fn expect(&mut self, changes: &Changes) {
        for room in changes.create_rooms.keys() {
            if let Some(ledger) = self.ledgers.get_mut(&room.ports) {
                *ledger.rooms.slot(room.variant) = Some(RoomMark::default());
            }
        }
        for quota in changes.create_quotas.keys() {
            self.quotas.insert(quota.clone(), QuotaMark::default());
        }
    }

    /// Takes over from `planned` the ledgers of services that get their first room by a batch of
    /// a request. They stay until [`dismiss`](Self::dismiss), whatever becomes of their rooms: who
    /// went and came again in one request would have used twice what he used.
    pub fn adopt(&mut self, changes: &Changes, planned: &Self) {
        for room in changes.create_rooms.keys() {
            if let Some(ledger) = planned.ledgers.get(&room.ports) {
                let entry = self.ledgers.entry(room.ports);
                entry.or_insert_with(|| ledger.clone()).arriving = true;
            }
        }
    }

    /// Lets the services go that a request would have added, once their rooms are gone.
    pub fn dismiss(&mut self) {
        for ledger in self.ledgers.values_mut() {
            ledger.dismissed |= std::mem::take(&mut ledger.arriving);
        }
    }

    /// Returns what a holder has used; `None` for one that has no account.
    pub fn account(&self, holder: &Holder) -> Option<&Account> {
        match holder {
            Holder::Service(ports) => Some(&self.ledgers.get(ports)?.account),
            Holder::Group(name) => self.groups.get(name),
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
            }
        }
        let quotas = self.quotas.iter();
        table.quotas = quotas
            .filter_map(|(quota, mark)| Some((quota.clone(), mark.reading?)))
            .collect();
        Some(Reading {
            host: self.host.clone()?,
            generation: self.settled_at?,
            has_legacy_nat: self.forwarding.dnat && !self.has_nat,
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
            forwarding: state.forwarding.clone().into(),
            has_nat: state.has_nat,
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
                let found = InstalledRoom::from(mark.room.clone());
                installed.rooms.insert(RoomId { ports, variant }, found);
                link = Link::Room(variant);
            }
            installed.links.insert(ports, link.into());
        }
        let quotas = state.quotas.iter();
        installed.quotas = quotas
            .map(|(id, mark)| (id.clone(), mark.reading.map(|reading| reading.limit)))
            .collect();
        installed
    }
}

impl Ledger {
    /// Returns the ledger of a service that has used nothing.
    pub fn new(group: Option<GroupName>, account: Account) -> Self {
        Self {
            total: Usage::default(),
            account,
            group,
            hog: Hog::default(),
            expired: false,
            expiring: None,
            deleted: false,
            arriving: false,
            dismissed: false,
            rooms: Rooms::default(),
        }
    }

    /// Makes it that of a service which was deleted and is back before all of its rooms were gone,
    /// and returns the period that ended with the deletion.
    pub(crate) fn readmit(
        &mut self,
        ports: PortRange,
        account: Account,
        now: Timestamp,
    ) -> ClosedPeriod {
        let closed = self.close(ports, Why::Deleted, now);
        let rooms = std::mem::take(&mut self.rooms);
        // What is still to be read of its rooms has passed the quota of the group that it was in.
        let group = self.group.take();
        *self = Self {
            rooms,
            ..Self::new(group, account)
        };
        closed
    }

    /// Begins again at nothing, as [`Account::close`] does, and returns the period that ended, of
    /// the group that the service was in.
    pub fn close(&mut self, ports: PortRange, why: Why, now: Timestamp) -> ClosedPeriod {
        ClosedPeriod {
            group: self.group.clone(),
            ..self.account.close(ports.into(), why, now)
        }
    }
}

/// Closes the periods of the services whose bytes count to a group, which are to be kept before
/// the group's own, and returns them.
///
/// Of a deleted service, bytes still count as long as its rooms are there: its share ends, too.
pub(crate) fn close_shares(
    ledgers: &mut BTreeMap<PortRange, Ledger>,
    group: &GroupName,
    why: Why,
    now: Timestamp,
) -> impl Iterator<Item = ClosedPeriod> {
    let shares = ledgers.iter_mut().filter(move |(_, ledger)| {
        let was_used = ledger.account.usage != Usage::default() || ledger.account.adjust != 0;
        ledger.group.as_ref() == Some(group) && (was_used || !ledger.deleted)
    });
    shares.map(move |(&ports, ledger)| ledger.close(ports, why, now))
}

impl Account {
    /// Returns the account of a holder that has used nothing.
    pub fn new(tariff: Tariff, period: Period, began: Option<Timestamp>) -> Self {
        Self {
            usage: Usage::default(),
            adjust: 0,
            tariff,
            spent: None,
            warned: 0,
            period,
            began,
        }
    }

    /// Returns what counts against the quota, in bytes: usage by the tariff, corrected.
    pub fn billed(&self) -> u64 {
        let Usage { incoming, outgoing } = self.usage;
        self.tariff
            .bill(incoming, outgoing)
            .saturating_add_signed(self.adjust)
    }

    /// Returns what its holder may use under `contract`; `None` without a quota.
    pub fn terms(&self, contract: Contract) -> Option<Terms> {
        let quota = i64::try_from(contract.quota?.bytes()).unwrap_or(i64::MAX);
        let billable = quota.saturating_sub(self.adjust);
        Some(Terms {
            mode: contract.tariff.mode,
            allowance: contract.tariff.factor.within(billable),
        })
    }

    /// Returns what may still pass under `terms`, in bytes; negative when too much has.
    pub fn left(&self, terms: Terms) -> i128 {
        i128::from(terms.allowance) - i128::from(self.usage.counted(terms.mode))
    }

    /// Returns the limit that a kernel quota for `metered` must have that has `counted` so much by
    /// now, nothing where it is new, in bytes: what is left, on the scale of what it has counted.
    ///
    /// Usage and what was counted move together, so this changes only with the terms, the period
    /// and the quota, never with a reading.
    pub fn kernel_limit(&self, terms: Terms, metered: Metered, counted: u64) -> u64 {
        let used = self.usage.metered(metered);
        let limit = i128::from(counted) + i128::from(terms.allowance) - i128::from(used);
        u64::try_from(limit.clamp(1, MAX_QUOTA_LIMIT.into())).unwrap_or(MAX_QUOTA_LIMIT)
    }

    /// Begins again at nothing, as at the end of a period, and returns the one that ended.
    pub fn close(&mut self, holder: Holder, why: Why, now: Timestamp) -> ClosedPeriod {
        let closed = ClosedPeriod {
            holder,
            group: None,
            began: self.began,
            ended: now,
            why,
            usage: self.usage,
            tariff: self.tariff,
            adjust: self.adjust,
        };
        *self = Self {
            usage: Usage::default(),
            adjust: 0,
            spent: None,
            warned: 0,
            began: Some(now),
            ..*self
        };
        closed
    }

    /// Corrects what is billed, from now on by `tariff`, to `bytes`.
    pub fn set_billed(&mut self, tariff: Tariff, bytes: u64) {
        let Usage { incoming, outgoing } = self.usage;
        let adjust = i128::from(bytes) - i128::from(tariff.bill(incoming, outgoing));
        self.tariff = tariff;
        self.adjust = i64::try_from(adjust).unwrap_or(if adjust < 0 { i64::MIN } else { i64::MAX });
    }
}

impl Usage {
    /// Returns the bytes that count in `mode`.
    pub fn counted(self, mode: Mode) -> u64 {
        mode.count(self.incoming, self.outgoing)
    }

    /// Returns the bytes of the directions that a quota counts.
    pub fn metered(self, metered: Metered) -> u64 {
        let covered = Direction::BOTH
            .into_iter()
            .filter(|&direction| metered.covers(direction));
        covered.fold(0, |sum, direction| sum.saturating_add(self.of(direction)))
    }

    /// Returns the bytes of one direction.
    pub fn of(self, direction: Direction) -> u64 {
        match direction {
            Direction::In => self.incoming,
            Direction::Out => self.outgoing,
        }
    }

    /// Adds bytes of one direction.
    pub fn add(&mut self, direction: Direction, bytes: u64) {
        let total = match direction {
            Direction::In => &mut self.incoming,
            Direction::Out => &mut self.outgoing,
        };
        *total = total.saturating_add(bytes);
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for direction in Direction::BOTH {
            self.add(direction, other.of(direction));
        }
        self
    }

    /// Returns what came on top of `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            incoming: self.incoming.saturating_sub(earlier.incoming),
            outgoing: self.outgoing.saturating_sub(earlier.outgoing),
        }
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
        self.incoming.is_none() && self.outgoing.is_none()
    }

    /// Returns the counter of one direction.
    pub fn counter(&self, direction: Direction) -> Option<CounterReading> {
        match direction {
            Direction::In => self.incoming,
            Direction::Out => self.outgoing,
        }
    }
}

impl QuotaMark {
    /// Whether the kernel drops what this meters.
    pub fn is_depleted(&self) -> bool {
        self.reading.is_some_and(QuotaReading::is_depleted)
    }
}
