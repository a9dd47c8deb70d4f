//! Adoption: a configuration that comes with its past, from a backup, from another host or from
//! another program.
//!
//! - The past is in [`Books`]: what services and groups have used in all and in their running
//!   periods, the periods that are closed, and what each day used.
//! - Books and counters meet at one reading: what was counted up to it belongs to the usage before,
//!   and what is counted after it goes on top of the books. So nothing that passes while they are
//!   adopted is lost or counted twice.
//! - [`Extent`] says what becomes of the past of all others.
//! - The days of a service add up to its total: what the books have no day for is of
//!   [`UNDATED`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Config, GroupName};
use crate::dynqos::Hog;
use crate::history::{ClosedPeriod, DayTotal, UNDATED};
use crate::holder::Holder;
use crate::ledger::{Account, Ledger, State, Usage};
use crate::port::PortRange;
use crate::request::Refusal;
use crate::tick::{Now, open};

/// A configuration and the past that belongs to it.
///
/// It is carried out as every [`Request`](crate::request::Request) is, by the engine's `execute`,
/// or by `execute_on` where `config` was made from a present configuration that must not have
/// changed since: all of it or nothing, whatever fails or dies, with the same guards.
///
/// # Examples
///
/// A port that another program has counted so far, for a pm that may have others:
///
/// ```
/// use pm_core::adoption::{Adoption, Books, Extent, ServiceBooks};
/// use pm_core::calendar::Period;
/// use pm_core::config::{Config, Service, Tariff};
/// use pm_core::ledger::{Account, Usage};
/// use pm_core::request::{Context, Request};
/// use time::macros::date;
///
/// let present = Config::parse(r#"{"schema": 1, "services": {"20000": {}}}"#)?;
/// let mut config = present.clone();
/// config.services.insert("8443".parse()?, Service::default());
/// let used = Usage { incoming: 700, outgoing: 300 };
/// let period = Period::begin("1".parse()?, date!(2026 - 11 - 22));
/// let account = Account { usage: used, ..Account::new(Tariff::default(), period, None) };
/// let books = ServiceBooks { total: used, account, expired: false, punished: None };
/// let request = Request::Adopt(Box::new(Adoption {
///     command: "pm import --from elsewhere".to_owned(),
///     config,
///     books: Books { services: [("8443".parse()?, books)].into(), ..Books::default() },
///     extent: Extent::Newcomers,
/// }));
/// assert_eq!(request.apply(&present, &Context::default())?.services.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Adoption {
    /// The command line that does the same, for people to read.
    pub command: String,
    /// The whole configuration that is to be in force. Its schema and revision do not matter:
    /// they go on from the present one.
    pub config: Config,
    /// What was used by its services and groups. Of who has none, `extent` decides.
    pub books: Books,
    /// Whose past the books replace.
    pub extent: Extent,
}

/// What becomes of the past that pm has itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// It is replaced, closed periods and days included: who has no books begins at nothing used.
    Everything,
    /// It stays. Books are only for services and groups that the present configuration does not
    /// have; their closed periods and days are added to those that there are.
    Newcomers,
}

/// What was used.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Books {
    /// By each service.
    pub services: BTreeMap<PortRange, ServiceBooks>,
    /// By each group, in its running period.
    pub groups: BTreeMap<GroupName, Account>,
    /// Periods that are over, in the order in which they were closed; also of services and groups
    /// that are no more.
    pub closed: Vec<ClosedPeriod>,
    /// What each service used on each day; also of services that are no more.
    pub days: Vec<DayTotal>,
}

/// What one service used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceBooks {
    /// Since it was added; no less than its days add up to.
    pub total: Usage,
    /// In the running period, its own or its group's.
    pub account: Account,
    /// Whether it was told that its last day has passed.
    pub expired: bool,
    /// For how long it is still to be slowed down for hogging the line; `None`: it is not.
    pub punished: Option<Duration>,
}

impl Adoption {
    /// Checks that the books can be those of the services and groups that they name.
    ///
    /// # Errors
    ///
    /// `Unknown` and `NoSuchGroup` for books of who is not in the configuration, `HasPast` for
    /// newcomers that are in the `present` one.
    pub fn check(&self, present: &Config) -> Result<(), Refusal> {
        for &ports in self.books.services.keys() {
            if !self.config.services.contains_key(&ports) {
                return Err(Refusal::Unknown(ports));
            }
            if self.extent == Extent::Newcomers && present.services.contains_key(&ports) {
                return Err(Refusal::HasPast(ports.into()));
            }
        }
        for name in self.books.groups.keys() {
            if !self.config.groups.contains_key(name) {
                return Err(Refusal::NoSuchGroup(name.clone()));
            }
            if self.extent == Extent::Newcomers && present.groups.contains_key(name) {
                return Err(Refusal::HasPast(name.clone().into()));
            }
        }
        Ok(())
    }

    /// Returns what each day used, such that the days of every service with books add up to at
    /// least its total.
    pub fn days(&self) -> Vec<DayTotal> {
        let mut known: BTreeMap<PortRange, Usage> = BTreeMap::new();
        for day in &self.books.days {
            let sum = known.entry(day.ports).or_default();
            *sum = sum.plus(day.usage);
        }
        let undated = self.books.services.iter().filter_map(|(&ports, books)| {
            let usage = books
                .total
                .since(known.get(&ports).copied().unwrap_or_default());
            (usage != Usage::default()).then_some(DayTotal {
                date: UNDATED,
                ports,
                usage,
            })
        });
        undated.chain(self.books.days.iter().copied()).collect()
    }

    /// Returns whose figures can be closer to their quota after this than before.
    pub(crate) fn corrected(&self) -> impl Iterator<Item = Holder> {
        let services = self.books.services.iter();
        let services = services.map(|(&ports, books)| (Holder::Service(ports), &books.account));
        let groups = self.books.groups.iter();
        let groups = groups.map(|(name, account)| (Holder::Group(name.clone()), account));
        let used = services
            .chain(groups)
            .filter(|(_, account)| account.billed() > 0);
        used.map(|(holder, _)| holder)
    }

    /// Puts the books in the place of what `state` knows. `config` is the one that is to be in
    /// force, `state` comes from a [`step`](crate::tick::step) with the one before, and must be
    /// stepped with the new one next.
    pub(crate) fn apply_to_usage(&self, config: &Config, state: &mut State, now: Now<'_>) {
        if self.extent == Extent::Everything {
            forget_all(config, state, now);
        }
        for (&ports, books) in &self.books.services {
            let Some(service) = config.services.get(&ports) else {
                continue;
            };
            let group = service.group.clone();
            let ledger = match state.ledgers.get_mut(&ports) {
                Some(ledger) if ledger.deleted => {
                    // What it left behind when it was deleted is not in the books.
                    let closed = ledger.readmit(ports, books.account, now.time);
                    state.closed.push(closed);
                    ledger.group = group;
                    ledger
                }
                Some(ledger) => {
                    ledger.account = books.account;
                    ledger.group = group;
                    ledger
                }
                None => state
                    .ledgers
                    .entry(ports)
                    .or_insert_with(|| Ledger::new(group, books.account)),
            };
            ledger.total = books.total;
            ledger.expired = books.expired;
            ledger.hog = Hog {
                punished: books.punished,
                ..Hog::default()
            };
            ledger.deleted = false;
        }
        let groups = self.books.groups.iter();
        let groups = groups.filter(|(name, _)| config.groups.contains_key(*name));
        state
            .groups
            .extend(groups.map(|(name, account)| (name.clone(), *account)));
    }

    /// Returns the state from which on is to be added to the days what was counted: `adopted` is
    /// the one that [`apply_to_usage`](Self::apply_to_usage) left, `saved` the last one whose days
    /// are in the history that stays.
    pub fn days_begin(&self, adopted: &State, saved: &State) -> State {
        match self.extent {
            // Those that were saved meanwhile go with all others.
            Extent::Everything => adopted.clone(),
            Extent::Newcomers => {
                let mut begin = saved.clone();
                for (&ports, books) in &self.books.services {
                    let account = Account {
                        usage: Usage::default(),
                        ..books.account
                    };
                    let ledger = begin.ledgers.entry(ports);
                    let ledger = ledger.or_insert_with(|| Ledger::new(None, account));
                    ledger.total = ledger.total.plus(books.total);
                    ledger.account.usage = ledger.account.usage.plus(books.account.usage);
                }
                begin
            }
        }
    }
}

/// Lets all services and groups begin at nothing used, without a past.
fn forget_all(config: &Config, state: &mut State, now: Now<'_>) {
    state.closed.clear();
    state.groups.clear();
    for (ports, ledger) in &mut state.ledgers {
        let service = config.services.get(ports);
        let contract = match service {
            Some(service) if service.group.is_none() => service.contract(),
            _ => crate::config::Contract::default(),
        };
        ledger.account = open(contract, now);
        ledger.total = Usage::default();
        ledger.group = service.and_then(|service| service.group.clone());
        ledger.expired = false;
        ledger.deleted = service.is_none();
    }
}
