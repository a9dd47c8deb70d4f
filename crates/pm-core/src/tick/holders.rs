//! Who holds a quota, how far his period is and whether the quota is spent.

use std::collections::BTreeSet;

use crate::calendar::{Period, ResetPolicy};
use crate::config::{Config, Contract, Service, Tariff, Thresholds};
use crate::event::Event;
use crate::history::Why;
use crate::holder::Holder;
use crate::in_order::InOrder;
use crate::ledger::{Account, Ledger, QuotaMark, State, Terms, Usage, close_shares};
use crate::port::PortRange;
use crate::ruleset::{QuotaId, Variant};

use super::{Now, paired};

/// How long before its last day a service's expiry is told of, in days.
const EXPIRY_NOTICE_DAYS: u16 = 3;

/// Opens the accounts of services and groups that are new. Returns the services that had been
/// deleted and are back before all of their rooms were gone.
pub(super) fn begin(config: &Config, next: &mut State, now: Now<'_>) -> BTreeSet<PortRange> {
    let mut back = BTreeSet::new();
    for (name, group) in &config.groups {
        if !next.groups.contains_key(name) {
            let account = open(group.contract(), now);
            next.groups.insert(name.clone(), account);
        }
    }
    for (&ports, service) in &config.services {
        let State {
            ledgers, closed, ..
        } = &mut *next;
        let ledger = ledgers.entry(ports).or_insert_with(|| {
            Ledger::new(service.group.clone(), open(own_contract(service), now))
        });
        if ledger.deleted {
            // What a deleted service of this name left behind is not this one's.
            let account = open(own_contract(service), now);
            closed.push(ledger.readmit(ports, account, now.time));
            back.insert(ports);
        }
    }
    back
}

/// Follows the configuration and the calendar, and judges the quotas. `back` is what
/// [`begin`] returned.
pub(super) fn advance(
    config: &Config,
    next: &mut State,
    back: &BTreeSet<PortRange>,
    now: Now<'_>,
    events: &mut Vec<Event>,
) {
    regroup(config, next, back, now);
    let thresholds = &config.notify.thresholds;
    let State {
        ledgers,
        groups,
        quotas,
        closed,
        ..
    } = &mut *next;
    for (ports, service, ledger) in paired(&config.services, ledgers) {
        let account = match &service.group {
            Some(name) => groups.get(name),
            None => Some(&ledger.account),
        };
        let is_shut = service.blocked || account.is_some_and(|it| it.spent.is_some());
        let was_expired = ledger.expired;
        judge_expiry(ports, ledger, service, now, events);
        if was_expired && !ledger.expired && !is_shut {
            let holder = ports.into();
            events.push(Event::Renewed { holder });
        }
    }
    let mut found = InOrder::new(quotas);
    for (name, group) in &config.groups {
        let Some(account) = groups.get_mut(name) else {
            continue;
        };
        let holder = Holder::Group(name.clone());
        let contract = group.contract();
        let is_shut = config.members(name).all(|ports| {
            let ledger = ledgers.get(&ports);
            config.services.get(&ports).is_none_or(|one| one.blocked)
                || ledger.is_none_or(|ledger| ledger.expired)
        });
        follow_tariff(account, contract.tariff);
        if is_period_over(account, contract, now) {
            renew(&holder, account, is_shut, events);
            closed.extend(close_shares(ledgers, name, Why::Calendar, now.time));
            closed.push(account.close(holder.clone(), Why::Calendar, now.time));
        }
        judge_quota(
            &holder, account, contract, &mut found, is_shut, thresholds, events,
        );
    }
    let mut found = InOrder::new(quotas);
    for (ports, service, ledger) in paired(&config.services, ledgers) {
        let contract = own_contract(service);
        let holder = Holder::Service(ports);
        let is_shut = service.blocked || ledger.expired;
        let counts = config.contract(service).tariff;
        follow_tariff(&mut ledger.account, counts);
        if is_period_over(&mut ledger.account, contract, now) {
            renew(&holder, &ledger.account, is_shut, events);
            closed.push(ledger.close(ports, Why::Calendar, now.time));
        }
        let account = &mut ledger.account;
        judge_quota(
            &holder, account, contract, &mut found, is_shut, thresholds, events,
        );
    }
    forget(config, next, now, events);
}

/// The contract by which a service's own account is kept: nothing is cut off by, and nothing
/// ends the periods of, one whose group does that.
fn own_contract(service: &Service) -> Contract {
    match service.group {
        Some(_) => Contract::default(),
        None => service.contract(),
    }
}

/// Opens the account of a holder that begins at nothing.
pub(crate) fn open(contract: Contract, now: Now<'_>) -> Account {
    Account::new(contract.tariff, begin_period(contract, now), Some(now.time))
}

fn begin_period(contract: Contract, now: Now<'_>) -> Period {
    match now.date() {
        Some(today) => Period::begin(contract.reset_policy(), today),
        // The policy is new to it when the clock is right.
        None => Period::restore(ResetPolicy::Never, None),
    }
}

/// Who joins a group brings no past bytes, and who leaves it takes none away: his own period
/// ends.
fn regroup(config: &Config, next: &mut State, back: &BTreeSet<PortRange>, now: Now<'_>) {
    let State {
        ledgers, closed, ..
    } = next;
    for (ports, service, ledger) in paired(&config.services, ledgers) {
        if ledger.group != service.group {
            let period = ledger.close(ports, Why::Regrouped, now.time);
            let is_empty = back.contains(&ports) && period.usage == Usage::default();
            closed.extend(Some(period).filter(|_| !is_empty));
            ledger.account = open(own_contract(service), now);
            ledger.group.clone_from(&service.group);
        }
    }
}

/// Keeps the operator's figure where another sum counts from now on: a correction is of a sum.
fn follow_tariff(account: &mut Account, tariff: Tariff) {
    if account.tariff != tariff && account.adjust != 0 {
        account.set_billed(tariff, account.billed());
    } else {
        account.tariff = tariff;
    }
}

fn is_period_over(account: &mut Account, contract: Contract, now: Now<'_>) -> bool {
    let Some(today) = now.date() else {
        return false;
    };
    let (period, due) = account.period.advance(contract.reset_policy(), today);
    account.period = period;
    due
}

/// Says that a period is over, before it is closed.
fn renew(holder: &Holder, account: &Account, is_shut: bool, events: &mut Vec<Event>) {
    events.push(Event::PeriodEnded {
        holder: holder.clone(),
        usage: account.usage,
    });
    // What the operator blocks, or has expired, is not open yet.
    if account.spent.is_some() && !is_shut {
        events.push(Event::Renewed {
            holder: holder.clone(),
        });
    }
}

/// Judges whether a quota is spent, by the kernel's word and by the bytes.
fn judge_quota(
    holder: &Holder,
    account: &mut Account,
    contract: Contract,
    found: &mut InOrder<QuotaId, QuotaMark>,
    is_shut: bool,
    thresholds: &Thresholds,
    events: &mut Vec<Event>,
) {
    let terms = account.terms(contract);
    let was_spent = account.spent.is_some();
    let spent = terms.filter(|&terms| is_spent(holder, account, terms, found));
    match (account.spent, spent) {
        (None, Some(_)) => {
            events.push(Event::Spent {
                holder: holder.clone(),
                billed: account.billed(),
            });
        }
        (Some(_), None) if !is_shut => events.push(Event::Renewed {
            holder: holder.clone(),
        }),
        _ => {}
    }
    // The best terms under which it was spent are kept: lowering a quota and raising it back
    // frees nothing.
    account.spent = match (account.spent, spent) {
        (Some(earlier), Some(terms)) if !terms.improve_on(earlier) => Some(earlier),
        _ => spent,
    };
    let told = account.warned;
    account.warned = warned(account, contract, thresholds);
    // Being cut off says that all is used.
    let is_told = account.warned <= told || (account.spent.is_some() && !was_spent);
    if let (Some(quota), false) = (contract.quota, is_told) {
        events.push(Event::Reached {
            holder: holder.clone(),
            percent: account.warned,
            billed: account.billed(),
            quota,
        });
    }
}

/// Returns the highest threshold that is reached, in percent; 0: none. One that was reached before
/// counts as long as usage is not below it, though it may be no threshold any more: other
/// thresholds tell nothing again. Who is cut off has reached all of his quota, though his counters
/// do not quite show it.
fn warned(account: &Account, contract: Contract, thresholds: &Thresholds) -> u16 {
    let Some(quota) = contract.quota else {
        return 0;
    };
    let billed = u128::from(account.billed()) * 100;
    let is_reached = |percent: &u16| billed >= u128::from(*percent) * u128::from(quota.bytes());
    let known = std::iter::once(&account.warned).chain(thresholds.percents());
    let highest = known.copied().filter(is_reached).max();
    let least = if account.spent.is_some() { 100 } else { 0 };
    highest.unwrap_or(0).max(least)
}

fn is_spent(
    holder: &Holder,
    account: &Account,
    terms: Terms,
    found: &mut InOrder<QuotaId, QuotaMark>,
) -> bool {
    if account
        .spent
        .is_some_and(|earlier| !terms.improve_on(earlier))
    {
        return true;
    }
    if account.left(terms) <= 0 {
        return true;
    }
    Variant::BOTH.into_iter().any(|variant| {
        terms.mode.metered().iter().any(|&metered| {
            let id = QuotaId {
                holder: holder.clone(),
                variant,
                metered,
            };
            let Some(mark) = found.get(&id) else {
                return false;
            };
            // A limit of other terms says nothing about these.
            let limit = account.kernel_limit(terms, metered, mark.counted);
            mark.sound
                && mark.is_depleted()
                && mark.reading.is_some_and(|reading| reading.limit == limit)
        })
    })
}

/// A service is open through its last day.
fn judge_expiry(
    ports: PortRange,
    ledger: &mut Ledger,
    service: &Service,
    now: Now<'_>,
    events: &mut Vec<Event>,
) {
    let Some(last_day) = service.expires else {
        ledger.expired = false;
        ledger.expiring = None;
        return;
    };
    let Some(today) = now.date() else { return };
    let left = (last_day - today).whole_days();
    if let (Ok(days @ 0..=EXPIRY_NOTICE_DAYS), true) =
        (u16::try_from(left), ledger.expiring != Some(last_day))
    {
        ledger.expiring = Some(last_day);
        events.push(Event::Expiring {
            ports,
            last_day,
            days,
        });
    }
    let expired = today > last_day;
    if expired && !ledger.expired {
        events.push(Event::Expired { ports, last_day });
    }
    ledger.expired = expired;
}

/// Closes the accounts of services and groups that are gone, services not before their rooms are.
fn forget(config: &Config, next: &mut State, now: Now<'_>, events: &mut Vec<Event>) {
    let State {
        ledgers,
        groups,
        closed,
        ..
    } = next;
    let mut tell = |holder: Holder, account: &Account| {
        events.push(Event::Closed {
            holder,
            usage: account.usage,
        });
    };
    ledgers.retain(|&ports, ledger| {
        let is_wanted = config.services.contains_key(&ports);
        ledger.deleted = !is_wanted;
        if ledger.deleted {
            // One that was to be added with it may never have come to be.
            ledger.group = ledger.group.take().filter(|name| groups.contains_key(name));
        }
        let stays = is_wanted || ledger.arriving || !ledger.rooms.is_empty();
        // One that was never used may have been there for an addition that failed only, and what
        // that brought along is in the history already.
        let is_corrected = ledger.account.adjust != 0 && !ledger.dismissed;
        let was_used = ledger.total != Usage::default() || is_corrected;
        if !stays {
            tell(ports.into(), &ledger.account);
            let period = ledger.close(ports, Why::Deleted, now.time);
            closed.extend(Some(period).filter(|_| was_used));
        }
        stays
    });
    groups.retain(|name, account| {
        let is_wanted = config.groups.contains_key(name);
        if !is_wanted {
            tell(name.clone().into(), account);
            // Of a service that is deleted with it, what is still to be read is in no group.
            closed.extend(close_shares(ledgers, name, Why::Regrouped, now.time));
            closed.push(account.close(name.clone().into(), Why::Deleted, now.time));
        }
        is_wanted
    });
    for ledger in ledgers.values_mut().filter(|ledger| ledger.deleted) {
        // A group of that name that is made later is another one.
        ledger.group = ledger.group.take().filter(|name| groups.contains_key(name));
    }
}
