//! The reference model: what pm must say and let through, told only what really passed and what was done to pm.
//!
//! - A window is the time between two moments at which nothing was underway. What passed in it is known to the
//!   byte, and so is what pm must have counted, unless something began or ended in it: a service, a period, a
//!   membership, the rules themselves. Where in the window it did, only pm knows: what pm says about it is taken
//!   for true if it is possible, and everything else must agree with it to the byte.
//! - A window in which nothing passed leaves nothing open.
//! - When all counters go, what no reading has seen goes with them; nothing else ever does, and nothing is ever
//!   counted that did not pass.

mod compare;
mod expectation;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use pm_core::config::{Config, Contract, Mode, Tariff};
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use time::Date;

use super::pump::{LONGEST_PACKET, Notes};
use super::seen::Closed;
use super::wanted::{contract_of, group_of};
use crate::traffic::Way;
use crate::truth::Bytes;

pub(super) use expectation::Expectation;

/// More than ever passes while a command runs.
const SOON: i128 = 5_000_000;

/// Everything that pm must know.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    /// What was asked for.
    pub(super) config: Config,
    /// Whether pm was taken out of the kernel.
    pub(super) torn_down: bool,
    /// Whether somebody has changed pm's rules since pm last put them right.
    pub(super) damaged: bool,
    meters: BTreeMap<PortRange, Meter>,
    accounts: BTreeMap<Holder, Account>,
    closed: BTreeMap<Holder, Vec<Closed>>,
    /// What those were billed who were deleted, and in no group: with that they come back. Nobody's policy resets
    /// while this runs.
    bills: BTreeMap<Holder, u64>,
    /// What each service used, deleted ones and earlier ones of the same ports included.
    totals: BTreeMap<PortRange, Bytes>,
    /// By day, as pm said last, and the dates that it may have been since.
    days: BTreeMap<(String, PortRange), Bytes>,
    dates: BTreeSet<String>,
    /// The services that let nothing through, as the rules stand.
    shut: BTreeSet<PortRange>,
}

/// What happened between two moments at which nothing was underway.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// What passed, by port.
    pub(super) growth: BTreeMap<u16, Bytes>,
    /// When it began and ended, as pm writes it.
    pub(super) time: (String, String),
    /// The dates that it may have been.
    pub(super) dates: BTreeSet<String>,
    /// The date by which expiry is judged.
    pub(super) today: Date,
}

/// Whether a service's packets are counted, and what of it pm would lose with its counters.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Meter {
    inbound: bool,
    outbound: bool,
    /// Counted, but maybe not yet read and saved: at least, and at most.
    unread: (Bytes, Bytes),
    /// Counted since the service was added.
    total: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
struct Account {
    usage: Bytes,
    adjust: i64,
    began: String,
    spent: Spent,
    /// Whether pm has written down that it is.
    noted: bool,
}

/// Whether a quota was used up, which stays so until the terms are better.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spent {
    No,
    /// It could be, and something else hides it.
    Maybe,
    Yes(Terms),
}

/// What counts, and how many bytes of it may pass.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Terms {
    mode: Mode,
    allowance: i128,
}

impl Model {
    /// Returns the model of a pm that knows nothing.
    pub(super) fn new() -> Self {
        Self {
            config: Config::default(),
            torn_down: false,
            damaged: false,
            meters: BTreeMap::new(),
            accounts: BTreeMap::new(),
            closed: BTreeMap::new(),
            bills: BTreeMap::new(),
            totals: BTreeMap::new(),
            days: BTreeMap::new(),
            dates: BTreeSet::new(),
            shut: BTreeSet::new(),
        }
    }

    /// Returns what a holder may still use; `None` without a quota.
    pub(super) fn left(&self, holder: &Holder) -> Option<i128> {
        let account = self.accounts.get(holder)?;
        let terms = terms(self.contract(holder), account.adjust)?;
        Some(terms.allowance - counted(terms.mode, account.usage))
    }

    /// Returns what a holder has used.
    pub(super) fn usage(&self, holder: &Holder) -> Bytes {
        self.accounts
            .get(holder)
            .map_or(Bytes::default(), |account| account.usage)
    }

    /// Whether a holder's bill was corrected.
    pub(super) fn is_corrected(&self, holder: &Holder) -> bool {
        self.accounts
            .get(holder)
            .is_some_and(|account| account.adjust != 0)
    }

    /// Whether `pm unblock` must refuse this service; `None`: it may.
    pub(super) fn is_stuck(&self, range: PortRange) -> Option<bool> {
        let holder = holder_of(&self.config, range);
        match self.accounts.get(&holder)?.spent {
            Spent::Yes(_) => Some(true),
            Spent::Maybe => None,
            // It may have been used up since anybody looked.
            Spent::No => match self.left(&holder) {
                Some(left) if left < SOON => None,
                _ => Some(false),
            },
        }
    }

    /// Returns the service that a port belongs to.
    pub(super) fn service_at(&self, port: u16) -> Option<PortRange> {
        self.config
            .services
            .keys()
            .copied()
            .find(|range| range.contains(port))
    }

    /// Whether all of a port's packets must pass, when so many bytes are tried.
    pub(super) fn is_open(&self, port: u16, way: Way, tried: Bytes) -> bool {
        let Some(range) = self.service_at(port) else {
            return true;
        };
        let service = &self.config.services[&range];
        let limited = match way {
            Way::In => service.limit_in.is_some(),
            Way::Out => service.limit.is_some(),
        };
        let holder = holder_of(&self.config, range);
        let spent = self
            .accounts
            .get(&holder)
            .is_none_or(|account| account.spent != Spent::No);
        // All members together could have tried as much as one of them, many times over.
        let margin = 16 * i128::from(tried.sum() + LONGEST_PACKET);
        let near = self.left(&holder).is_some_and(|left| left < margin);
        self.torn_down
            || !(limited || spent || near || service.blocked || service.expires.is_some())
    }

    /// Checks what passed in a window in which nothing was done.
    ///
    /// # Errors
    ///
    /// When something passed that must not, or did not that must.
    pub(super) fn check_verdicts(&self, earlier: &Notes, later: &Notes) -> Result<()> {
        if self.damaged {
            return Ok(());
        }
        for (port, now) in later {
            let then = earlier.get(port).copied().unwrap_or_default();
            let (tried, passed) = (now.tried - then.tried, now.passed - then.passed);
            let range = self.service_at(*port);
            if range.is_some_and(|range| self.shut.contains(&range)) && !self.torn_down {
                ensure!(
                    passed == Bytes::default(),
                    "port {port} is closed, and {passed:?} passed"
                );
            }
            for way in Way::ALL {
                if self.is_open(*port, way, tried) {
                    ensure!(
                        of(tried, way) == of(passed, way),
                        "port {port} is open, and of {tried:?} {passed:?} passed"
                    );
                }
            }
        }
        Ok(())
    }

    fn contract(&self, holder: &Holder) -> Contract {
        match holder {
            Holder::Group(name) => self
                .config
                .groups
                .get(name)
                .map(|group| group.contract())
                .unwrap_or_default(),
            Holder::Service(range) => {
                let own = contract_of(&self.config, *range);
                match group_of(&self.config, *range) {
                    // Billed by the group's tariff, cut off by the group's quota.
                    Some(_) => Contract { quota: None, ..own },
                    None => own,
                }
            }
        }
    }
}

/// Who holds the quota that a service is cut off by.
pub(super) fn holder_of(config: &Config, range: PortRange) -> Holder {
    let group = group_of(config, range).cloned();
    group.map_or(Holder::Service(range), Holder::Group)
}

fn of(bytes: Bytes, way: Way) -> u64 {
    match way {
        Way::In => bytes.inbound,
        Way::Out => bytes.outbound,
    }
}

fn terms(contract: Contract, adjust: i64) -> Option<Terms> {
    let billable = i128::from(contract.quota?.bytes()) - i128::from(adjust);
    let factor = i128::from(contract.tariff.factor.thousandths());
    Some(Terms {
        mode: contract.tariff.mode,
        allowance: (billable * 1000).div_euclid(factor),
    })
}

fn counted(mode: Mode, usage: Bytes) -> i128 {
    i128::from(match mode {
        Mode::Both => usage.sum(),
        Mode::Out => usage.outbound,
        Mode::Max => usage.inbound.max(usage.outbound),
    })
}

/// What is billed of a usage, before any correction.
fn bill(tariff: Tariff, usage: Bytes) -> i128 {
    counted(tariff.mode, usage) * i128::from(tariff.factor.thousandths()) / 1000
}

fn billed(tariff: Tariff, usage: Bytes, adjust: i64) -> u64 {
    u64::try_from(bill(tariff, usage) + i128::from(adjust)).unwrap_or(0)
}

fn clamp(bytes: i128) -> i64 {
    i64::try_from(bytes).unwrap_or(if bytes < 0 { i64::MIN } else { i64::MAX })
}
