//! What was used, by period and by day.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use time::Date;
use time::macros::date;

use crate::calendar::Timestamp;
use crate::config::{Config, GroupName, Tariff};
use crate::holder::Holder;
use crate::ledger::{Ledger, State, Usage};
use crate::port::PortRange;

/// A period that was closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClosedPeriod {
    /// Whose it was. A service that is in a group has periods of its own too, as long as the
    /// group's, which say what share of the group's was its: those that were closed since the
    /// group's last one, up to the group's, add up to that.
    pub holder: Holder,
    /// The group that a service was in throughout; `None`: in none, or this is a group's own.
    pub group: Option<GroupName>,
    /// When it began; `None`: before anybody noted it. Of one who was deleted and came back while
    /// his period was running, the next begins at the same time: its correction is this one's bill.
    pub began: Option<Timestamp>,
    /// When it was closed.
    pub ended: Timestamp,
    /// Why.
    pub why: Why,
    /// What it used.
    pub usage: Usage,
    /// How that became what was billed.
    pub tariff: Tariff,
    /// The operator's correction of it, in bytes.
    pub adjust: i64,
}

/// Why a period was closed.
///
/// # Examples
///
/// As it is stored, and as programs read it:
///
/// ```
/// use pm_core::history::Why;
///
/// assert_eq!(Why::Operator.to_string(), "operator");
/// assert_eq!("operator".parse(), Ok(Why::Operator));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The calendar said so.
    Calendar,
    /// The operator said so.
    Operator,
    /// The service joined a group, or left it.
    Regrouped,
    /// The service, or the group, was deleted.
    Deleted,
}

/// A text that is no reason to close a period.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a reason to close a period")]
pub struct NoReason(String);

impl Why {
    /// Every one there is.
    pub const ALL: [Self; 4] = [
        Self::Calendar,
        Self::Operator,
        Self::Regrouped,
        Self::Deleted,
    ];

    /// Returns the word that stands for it in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Operator => "operator",
            Self::Regrouped => "regrouped",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Why {
    type Err = NoReason;

    fn from_str(text: &str) -> Result<Self, NoReason> {
        let mut all = Self::ALL.into_iter();
        all.find(|why| why.as_str() == text)
            .ok_or_else(|| NoReason(text.to_owned()))
    }
}

impl ClosedPeriod {
    /// Returns what was billed, in bytes: by the tariff, corrected.
    pub fn billed(&self) -> u64 {
        billed(self.usage, self.tariff, self.adjust)
    }
}

/// What one service used on one day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DayTotal {
    /// The day, in the zone that was configured then. What passed around midnight belongs to the
    /// day of the tick that counted it.
    pub date: Date,
    /// The service.
    pub ports: PortRange,
    /// The bytes.
    pub usage: Usage,
}

/// What a holder has used in a period that is not over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunningPeriod {
    /// Whose it is.
    pub holder: Holder,
    /// The group that a service is in.
    pub group: Option<GroupName>,
    /// When it began; `None`: before anybody noted it.
    pub began: Option<Timestamp>,
    /// What it used so far.
    pub usage: Usage,
    /// How that becomes what is billed, as of now.
    pub tariff: Tariff,
    /// The operator's correction of it, in bytes.
    pub adjust: i64,
}

impl RunningPeriod {
    /// Returns what is billed so far, in bytes: by the tariff, corrected.
    pub fn billed(&self) -> u64 {
        billed(self.usage, self.tariff, self.adjust)
    }
}

/// Returns the running periods of all services and groups, services first.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`.
pub fn running(config: &Config, state: &State) -> Vec<RunningPeriod> {
    let services = config.services.keys().map(|&ports| Holder::Service(ports));
    let groups = config.groups.keys().cloned().map(Holder::Group);
    let running = |holder: Holder| {
        let account = state.account(&holder)?;
        let group = match &holder {
            Holder::Service(ports) => state.ledgers.get(ports)?.group.clone(),
            Holder::Group(_) => None,
        };
        Some(RunningPeriod {
            group,
            holder,
            began: account.began,
            usage: account.usage,
            tariff: account.tariff,
            adjust: account.adjust,
        })
    };
    services.chain(groups).filter_map(running).collect()
}

fn billed(usage: Usage, tariff: Tariff, adjust: i64) -> u64 {
    let Usage { incoming, outgoing } = usage;
    tariff
        .bill(incoming, outgoing)
        .saturating_add_signed(adjust)
}

/// The day of what was counted before the host's clock was right for the first time.
///
/// On which day that was, nobody can tell; that it was before all others is true. It stays when
/// the clock is right, because the day on which that happens need not be the one.
pub const UNDATED: Date = date!(1970 - 01 - 01);

/// Returns the day to which belongs what was counted between two states.
pub fn day_of(old: &State, new: &State) -> Date {
    new.today.or(old.today).unwrap_or(UNDATED)
}

/// Returns what every service counted between two states, of those that counted something.
pub fn between(old: &State, new: &State) -> Vec<DayTotal> {
    let date = day_of(old, new);
    let mut counted = Counted::until(new);
    let ports: BTreeSet<PortRange> = old
        .ledgers
        .keys()
        .chain(new.ledgers.keys())
        .copied()
        .collect();
    let mut totals: Vec<_> = ports
        .into_iter()
        .map(|ports| {
            let (before, after) = (old.ledgers.get(&ports), new.ledgers.get(&ports));
            (ports, counted.between(ports, before, after))
        })
        .collect();
    totals.extend(counted.rest());
    totals
        .into_iter()
        .filter(|(_, usage)| *usage != Usage::default())
        .map(|(ports, usage)| DayTotal { date, ports, usage })
        .collect()
}

/// What services counted between two states, one after the other.
#[derive(Debug)]
pub struct Counted {
    /// Of services that were deleted, what they used in the periods that were closed.
    ///
    /// Their totals are gone, or another service's that has taken their ports; what was closed
    /// since and what is running tell all the same what was used.
    deleted: BTreeMap<PortRange, Usage>,
}

impl Counted {
    /// Begins with the periods that were closed on the way to a state.
    pub fn until(new: &State) -> Self {
        let services = || {
            new.closed.iter().filter_map(|period| match period.holder {
                Holder::Service(ports) => Some((ports, period)),
                Holder::Group(_) => None,
            })
        };
        let mut deleted: BTreeMap<PortRange, Usage> = services()
            .filter(|(_, period)| period.why == Why::Deleted)
            .map(|(ports, _)| (ports, Usage::default()))
            .collect();
        for (ports, period) in services() {
            if let Some(used) = deleted.get_mut(&ports) {
                *used = used.plus(period.usage);
            }
        }
        Self { deleted }
    }

    /// Returns what a service counted from one of its ledgers to the next.
    pub fn between(
        &mut self,
        ports: PortRange,
        before: Option<&Ledger>,
        after: Option<&Ledger>,
    ) -> Usage {
        let total = |ledger: Option<&Ledger>| ledger.map(|ledger| ledger.total);
        let running = |ledger: Option<&Ledger>| ledger.map(|ledger| ledger.account.usage);
        match self.deleted.remove(&ports) {
            Some(closed) => closed
                .plus(running(after).unwrap_or_default())
                .since(running(before).unwrap_or_default()),
            None => total(after)
                .unwrap_or_default()
                .since(total(before).unwrap_or_default()),
        }
    }

    /// Returns what those counted that came and went in between.
    pub fn rest(&mut self) -> BTreeMap<PortRange, Usage> {
        std::mem::take(&mut self.deleted)
    }
}
