//! What a tool's past and settings become: services, groups, their books, and the requests that
//! make the configuration of them.

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, Contract, Group, GroupName, Service, ZoneName};
use pm_core::history::{ClosedPeriod, DayTotal};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::{PortList, PortRange};
use pm_core::request::{Context, ContractSettings, Refusal, Request, Selection, Settings};
use time::Date;

use crate::doubt::{Doubt, Subject, Trouble};
use crate::messages::Messages;
use crate::source::Tool;

/// By how much, in bytes, a tool's quota and its counters may differ because of packets that have
/// passed one and not yet the other, and of those that the quota dropped.
pub(crate) const IN_PASSING: u64 = 1 << 20;

/// Everything that is taken over from a tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The tool.
    pub tool: Tool,
    /// Its version, as far as it can be told: that of the configuration, or of the releases whose
    /// accounting it has.
    pub version: String,
    /// The zone whose days it went by, where that is not the host's.
    pub time_zone: Option<ZoneName>,
    /// The services, none of which overlap.
    pub services: BTreeMap<PortRange, ImportedService>,
    /// The groups that they are in.
    pub groups: BTreeMap<GroupName, ImportedGroup>,
    /// The periods that it closed, oldest first. It kept one figure of each, what was billed, which
    /// stands as a correction: how much of it came in or went out is not known.
    pub closed: Vec<ClosedPeriod>,
    /// What was used on each day, oldest first.
    pub days: Vec<DayTotal>,
    /// Whom it told what.
    pub messages: Messages,
    /// Everything that is not as it was.
    pub doubts: Vec<Doubt>,
}

/// A service that is taken over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImportedService {
    /// What it is to be.
    pub service: Service,
    /// What it has used.
    pub books: Books,
    /// Until when it is slowed down for hogging the line.
    pub punished_until: Option<Timestamp>,
    /// Whether the tool lets nothing through at the moment.
    pub was_cut_off: bool,
}

/// A group that is taken over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImportedGroup {
    /// What it is to be.
    pub group: Group,
    /// What it has used, all members together.
    pub books: Books,
    /// Whether the tool lets nothing of any member through at the moment.
    pub was_cut_off: bool,
}

/// What a service or a group has used in the running period.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Books {
    /// The bytes, each counted once.
    pub usage: Usage,
    /// A correction of what is billed, in bytes, so that it is what the tool billed.
    pub adjust: i64,
    /// When the period began; `None`: nobody noted it.
    pub began: Option<Timestamp>,
    /// The date of the next reset, where the tool says it: in the past, it is still to be made.
    pub due: Option<Date>,
    /// What the tool billed, in bytes, as it showed it.
    pub shown: u64,
}

/// What becomes of those who have used more than their quota, and were not cut off for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overuse {
    /// They are cut off until their period ends.
    Block,
    /// What they have used so far is not billed to them.
    Forgive,
}

impl Books {
    /// Returns what is billed under `contract`, in bytes.
    pub fn billed(&self, contract: Contract) -> u64 {
        let Usage { incoming, outgoing } = self.usage;
        let billed = contract.tariff.bill(incoming, outgoing);
        billed.saturating_add_signed(self.adjust)
    }

    /// Corrects what is billed under `contract` to `bytes`.
    pub(crate) fn set_billed(&mut self, contract: Contract, bytes: u64) {
        let Usage { incoming, outgoing } = self.usage;
        let billed = contract.tariff.bill(incoming, outgoing);
        let adjust = i128::from(bytes) - i128::from(billed);
        self.adjust = i64::try_from(adjust).unwrap_or(if adjust < 0 { i64::MIN } else { i64::MAX });
    }
}

impl Imported {
    /// Returns what of `tool`'s is taken over where it has nothing.
    pub(crate) fn nothing(tool: Tool, version: String) -> Self {
        Self {
            tool,
            version,
            time_zone: None,
            services: BTreeMap::new(),
            groups: BTreeMap::new(),
            closed: Vec::new(),
            days: Vec::new(),
            messages: Messages::default(),
            doubts: Vec::new(),
        }
    }

    /// Returns the contract and the books of who holds a quota.
    pub fn account(&self, holder: &Holder) -> Option<(Contract, Books)> {
        match holder {
            Holder::Service(ports) => {
                let found = self.services.get(ports)?;
                Some((found.service.contract(), found.books))
            }
            Holder::Group(name) => {
                let found = self.groups.get(name)?;
                Some((found.group.contract(), found.books))
            }
        }
    }

    /// Returns everybody who holds a quota or could: services that are in no group, then groups.
    pub fn holders(&self) -> Vec<Holder> {
        let services = self.services.iter();
        let alone = services.filter(|(_, found)| found.service.group.is_none());
        let groups = self.groups.keys().cloned().map(Holder::Group);
        alone
            .map(|(&ports, _)| ports.into())
            .chain(groups)
            .collect()
    }

    /// Returns the doubts that have to be answered before anything is taken over.
    pub fn questions(&self) -> impl Iterator<Item = &Doubt> {
        self.doubts.iter().filter(|doubt| doubt.is_question())
    }

    /// Answers what becomes of those who have used more than their quota: the doubts about them are
    /// gone, and who is forgiven is billed nothing of what he has used so far. His bytes stay.
    pub fn settle(&mut self, overuse: Overuse) {
        let doubts = std::mem::take(&mut self.doubts);
        let (overused, others) = doubts
            .into_iter()
            .partition(|doubt| matches!(doubt.trouble, Trouble::Overused { .. }));
        self.doubts = others;
        if overuse == Overuse::Block {
            return;
        }
        let overused: Vec<Doubt> = overused;
        for doubt in overused {
            match doubt.about {
                Subject::Service(ports) => {
                    if let Some(found) = self.services.get_mut(&ports) {
                        found.books.set_billed(found.service.contract(), 0);
                    }
                }
                Subject::Group(name) => {
                    if let Some(found) = self.groups.get_mut(&name) {
                        found.books.set_billed(found.group.contract(), 0);
                    }
                }
                Subject::Everything | Subject::Entry(_) => {}
            }
        }
    }

    /// Returns the requests that make the configuration of it, in order, on top of `present`.
    ///
    /// Where others are there, they go by the zone that they have.
    pub fn requests(&self, present: &Config) -> Vec<Request> {
        let mut requests = Vec::new();
        if present.services.is_empty() && present.time_zone.is_none() {
            requests.extend(self.time_zone.clone().map(Some).map(Request::SetTimeZone));
        }
        let groups = self.groups.iter();
        requests.extend(groups.map(|(name, found)| Request::AddGroup {
            name: name.clone(),
            settings: settings(found.group.contract()),
            or_set: false,
        }));
        let alone = |ports: PortRange| PortList::new(vec![ports]).ok();
        for (&ports, ImportedService { service, .. }) in &self.services {
            // A list of one port is a list.
            let Some(list) = alone(ports) else { continue };
            requests.push(Request::Add {
                ports: list.clone(),
                settings: Settings {
                    group: service.group.clone().map(Some),
                    contract: match service.group {
                        Some(_) => ContractSettings::default(),
                        None => settings(service.contract()),
                    },
                    limit: service.limit.map(Some),
                    dynqos: service.dynqos.map(Some),
                    note: Some(service.note.clone()).filter(|note| !note.is_empty()),
                    ..Settings::default()
                },
                or_set: false,
            });
            if service.blocked {
                let ports = Selection::Ports(list);
                requests.push(Request::Block { ports });
            }
        }
        requests
    }

    /// Returns the configuration that `config` becomes: with what the [requests](Self::requests) add
    /// to it, and with the tool's channels and push, which no request sets.
    ///
    /// Channels of `config` stay; one of the tool's with a name that is taken gets a number. A push
    /// that there is stays, and so do thresholds that are not the default.
    ///
    /// # Errors
    ///
    /// What pm refuses, as of an operator: ports and groups that `config` has already, or a quota
    /// on the operator's own way in.
    pub fn applied(&self, config: &Config, context: &Context) -> Result<Config, Refusal> {
        let requests = self.requests(config);
        let apply = |config: Config, request: &Request| request.apply(&config, context);
        let mut config = requests.iter().try_fold(config.clone(), apply)?;
        self.messages.add_to(&mut config);
        Ok(config)
    }

    /// Notes a doubt.
    pub(crate) fn doubt(&mut self, about: Subject, trouble: Trouble) {
        self.doubts.push(Doubt { about, trouble });
    }

    /// Says what the tool lets pass though it is over its quota, by its own figures, and what of
    /// its resets is still to be made; and puts all doubts in order.
    pub(crate) fn judge(&mut self, zone: &Zone, now: Timestamp) {
        let today = zone.date_at(now);
        for holder in self.holders() {
            let Some((contract, books)) = self.account(&holder) else {
                continue;
            };
            let (about, was_cut_off, is_blocked) = match &holder {
                Holder::Service(ports) => {
                    let found = self.services.get(ports);
                    let was_cut_off = found.is_some_and(|found| found.was_cut_off);
                    let is_blocked = found.is_some_and(|found| found.service.blocked);
                    (Subject::Service(*ports), was_cut_off, is_blocked)
                }
                Holder::Group(name) => {
                    let found = self.groups.get(name);
                    let was_cut_off = found.is_some_and(|found| found.was_cut_off);
                    (Subject::Group(name.clone()), was_cut_off, false)
                }
            };
            let is_due = books.due.filter(|due| *due <= today);
            let (billed, quota) = (books.billed(contract), contract.quota);
            let trouble = match (is_due, quota.map(|quota| quota.bytes())) {
                (Some(due), _) => Some(Trouble::ResetDue(due)),
                (None, Some(quota)) if billed >= quota && !was_cut_off => {
                    Some(Trouble::Overused { billed, quota })
                }
                (None, quota) if was_cut_off && quota.is_none_or(|quota| billed < quota) => {
                    Some(Trouble::BlockedWithinQuota).filter(|_| !is_blocked)
                }
                _ => None,
            };
            self.doubts
                .extend(trouble.map(|trouble| Doubt { about, trouble }));
        }
        self.doubts.append(&mut self.messages.doubts);
        self.doubts.sort_by(|a, b| a.about.cmp(&b.about));
    }
}

fn settings(contract: Contract) -> ContractSettings {
    ContractSettings {
        quota: Some(contract.quota),
        mode: Some(contract.tariff.mode),
        factor: Some(contract.tariff.factor).filter(|factor| !factor.is_one()),
        reset: Some(contract.reset_policy().into()),
    }
}
