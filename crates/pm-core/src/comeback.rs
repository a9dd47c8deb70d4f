//! Who comes back: a service or group that was deleted, and that an earlier configuration has.
//!
//! - The period in which it was deleted may be running still: no reset of its policy was due
//!   since, by the dates of the configured zone. Then it comes back with the bill that it had,
//!   as a correction, so that a deletion by mistake is no way to a fresh quota.
//! - Its bytes are in the period that its deletion closed, and in no other. What it uses from then
//!   on is in one that began when that did: by this it shows that its correction is that bill.
//! - A member brings no bill: what it used is its group's, which stands or comes back itself.
//! - Where something else than its deletion closed its last period, such as a reset, or where it
//!   was a share of a group's, there is no bill to go on with.

use crate::calendar::{Period, ResetPolicy, Timestamp};
use crate::config::{Config, Contract};
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::ledger::{Account, Ledger, State};
use crate::tick::{Now, open};

/// Returns the holders of a quota that `config` has and nothing is known of, unless it is what
/// they left behind when they were deleted: those whose last period decides what they are billed.
pub(crate) fn returning(config: &Config, state: &State) -> Vec<Holder> {
    let groups = config.groups.keys();
    let groups = groups.filter(|&name| !state.groups.contains_key(name));
    let services = config.services.iter().filter(|(ports, service)| {
        let ledger = state.ledgers.get(ports);
        service.group.is_none() && ledger.is_none_or(|ledger| ledger.deleted)
    });
    let services = services.map(|(&ports, _)| Holder::Service(ports));
    services.chain(groups.cloned().map(Holder::Group)).collect()
}

/// Returns what a holder is billed as soon as it comes back, in bytes; `None`: it begins at
/// nothing.
///
/// `last` is the last of its periods that was closed, `contract` what it comes back with. A clock
/// that is plainly wrong now ends no period.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::{Timestamp, Zone};
/// use pm_core::comeback::bill;
/// use pm_core::config::{Contract, QuotaSize, Tariff};
/// use pm_core::history::{ClosedPeriod, Why};
/// use pm_core::ledger::Usage;
/// use pm_core::ruleset::Epoch;
/// use pm_core::tick::Now;
///
/// // Deleted on November 22, 2026; its quota starts over on day 1 of each month.
/// let deleted = Timestamp::from_unix(1_795_300_000);
/// let last = ClosedPeriod {
///     holder: "20000".parse()?,
///     group: None,
///     began: None,
///     ended: deleted,
///     why: Why::Deleted,
///     usage: Usage { incoming: 3_000_000_000, outgoing: 0 },
///     tariff: Tariff::default(),
///     adjust: 0,
/// };
/// let quota = QuotaSize::try_from("5GB".parse::<pm_core::units::Size>()?)?;
/// let contract = Contract { quota: Some(quota), ..Contract::default() };
/// let zone = Zone::utc();
/// let days_later = |days: i64| Now {
///     time: Timestamp::from_unix(deleted.unix() + days * 86_400),
///     since_boot: std::time::Duration::ZERO,
///     zone: &zone,
///     not_before: Timestamp::from_unix(0),
///     next_epoch: Epoch(1),
/// };
/// assert_eq!(bill(&last, contract, days_later(3)), Some(3_000_000_000));
/// assert_eq!(bill(&last, contract, days_later(12)), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn bill(last: &ClosedPeriod, contract: Contract, now: Now<'_>) -> Option<u64> {
    let is_its_own = last.why == Why::Deleted && last.group.is_none();
    let is_running = || is_running(contract.reset_policy(), last.ended, now);
    (is_its_own && is_running()).then(|| last.billed())
}

/// Whether a period under `policy` that was running at `then` is running still.
fn is_running(policy: ResetPolicy, then: Timestamp, now: Now<'_>) -> bool {
    let then = Period::begin(policy, now.zone.date_at(then));
    goes_on(then, policy, now)
}

fn goes_on(period: Period, policy: ResetPolicy, now: Now<'_>) -> bool {
    let is_over = |today| period.advance(policy, today).1;
    !now.date().is_some_and(is_over)
}

/// Opens the accounts of those that come back with a bill; all others are left to the next
/// [`step`](crate::tick::step). `past` holds their closed periods, the oldest first.
pub(crate) fn readmit(config: &Config, state: &mut State, past: &[ClosedPeriod], now: Now<'_>) {
    for holder in returning(config, state) {
        let Some(contract) = contract(config, &holder) else {
            continue;
        };
        let left_behind = match &holder {
            Holder::Service(ports) => state.ledgers.get_mut(ports),
            Holder::Group(_) => None,
        };
        let goes_on = match &left_behind {
            Some(ledger) => {
                bill_so_far(ledger, contract, now).map(|billed| (billed, ledger.account.began))
            }
            None => {
                let unsaved = state.closed.iter().rev();
                let mut latest = unsaved.chain(past.iter().rev());
                let last = latest.find(|period| period.holder == holder);
                last.and_then(|last| Some((bill(last, contract, now)?, last.began)))
            }
        };
        let Some((billed, began)) = goes_on.filter(|(billed, _)| *billed > 0) else {
            continue;
        };
        let mut account = open(contract, now);
        account.set_billed(contract.tariff, billed);
        account.began = began;
        match (holder, left_behind) {
            (Holder::Group(name), _) => drop(state.groups.insert(name, account)),
            (Holder::Service(ports), None) => {
                drop(state.ledgers.insert(ports, Ledger::new(None, account)));
            }
            (Holder::Service(ports), Some(ledger)) => {
                state.closed.push(ledger.readmit(ports, account, now.time));
            }
        }
    }
}

/// The same as [`bill`] of a service that is deleted, and whose rooms are still there: its period
/// is not closed yet.
fn bill_so_far(ledger: &Ledger, contract: Contract, now: Now<'_>) -> Option<u64> {
    let Account { period, .. } = ledger.account;
    let is_its_own = ledger.group.is_none();
    (is_its_own && goes_on(period, contract.reset_policy(), now)).then(|| ledger.account.billed())
}

fn contract(config: &Config, holder: &Holder) -> Option<Contract> {
    match holder {
        Holder::Service(ports) => Some(config.services.get(ports)?.contract()),
        Holder::Group(name) => Some(config.groups.get(name)?.contract()),
    }
}
