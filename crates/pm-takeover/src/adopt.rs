//! What was taken over, put into pm: its services with their past, at one instant.

use pm_core::adoption::{Adoption, Books, Extent, ServiceBooks};
use pm_core::calendar::{Period, Timestamp, Zone};
use pm_core::config::{Config, Contract};
use pm_core::ledger::{Account, Usage};
use pm_core::port::PortRange;
use pm_core::request::{Context, Request};
use pm_engine::{EngineError, Executed, Options, Seen, clock, ssh};
use pm_legacy::Imported;
use time::Date;

use crate::error::TakeoverError;
use crate::import::Pm;
use crate::journal::Answers;

/// What pm said to what was taken over; `None`: it had it already.
#[derive(Debug, Default)]
pub struct Adopted {
    /// What it did.
    pub executed: Option<Executed>,
}

/// Refuses what pm would refuse, before anything is changed. `present` is pm's configuration.
///
/// # Errors
///
/// `Engine`: ports that pm has already, or a quota on the operator's own way in.
pub(crate) fn check(
    present: &Config,
    imported: &Imported,
    answers: &Answers,
) -> Result<(), TakeoverError> {
    let request = request(present, imported, answers)?;
    let checked = request.apply(present, &context(present, answers));
    checked.map(|_| ()).map_err(refused)
}

/// Puts it into pm: all of it or nothing.
///
/// # Errors
///
/// As a request's.
pub(crate) fn adopt(
    pm: &mut Pm,
    present: &Config,
    imported: &Imported,
    answers: &Answers,
) -> Result<Adopted, TakeoverError> {
    if has_it(pm, imported) {
        return Ok(Adopted::default());
    }
    let request = request(present, imported, answers)?;
    let seen = Seen {
        config: present,
        state: None,
    };
    let options = Options {
        force: answers.force,
        dry_run: false,
    };
    let executed = pm.execute_on(seen, &request, options)?;
    Ok(Adopted {
        executed: Some(executed),
    })
}

/// Whether pm has everything already: it died after that was saved, and before it was noted.
fn has_it(pm: &mut Pm, imported: &Imported) -> bool {
    // What cannot be read has not been saved.
    pm.view().is_ok_and(|view| {
        let mut ports = imported.services.keys();
        !imported.services.is_empty() && ports.all(|ports| view.config.services.contains_key(ports))
    })
}

fn refused(refusal: pm_core::request::Refusal) -> TakeoverError {
    EngineError::from(refusal).into()
}

fn context(present: &Config, answers: &Answers) -> Context {
    Context {
        ssh_ports: ssh::ports(),
        today: Some(clock::zone(present).date_at(clock::now())),
        force: answers.force,
        ..Context::default()
    }
}

fn request(
    present: &Config,
    imported: &Imported,
    answers: &Answers,
) -> Result<Request, TakeoverError> {
    let config = imported.applied(present, &context(present, answers));
    let config = config.map_err(refused)?;
    let zone = clock::zone(&config);
    let books = books(imported, &zone, clock::now());
    Ok(Request::Adopt(Box::new(Adoption {
        command: format!("pm import --from {}", imported.tool),
        config,
        books,
        extent: Extent::Newcomers,
    })))
}

/// Returns the past in pm's terms.
fn books(imported: &Imported, zone: &Zone, now: Timestamp) -> Books {
    let today = zone.date_at(now);
    let mut books = Books {
        closed: imported.closed.clone(),
        days: imported.days.clone(),
        ..Books::default()
    };
    for (name, found) in &imported.groups {
        let account = account(found.group.contract(), found.books, today);
        books.groups.insert(name.clone(), account);
    }
    for (&ports, found) in &imported.services {
        // A member's contract is its group's, and so is its period.
        let group = found.service.group.as_ref();
        let contract = match group.and_then(|name| imported.groups.get(name)) {
            Some(found) => found.group.contract(),
            None => found.service.contract(),
        };
        let account = account(contract, found.books, today);
        let service = ServiceBooks {
            total: at_least(account.usage, on_days(imported, ports)),
            account,
            expired: false,
        };
        books.services.insert(ports, service);
    }
    books
}

fn account(contract: Contract, books: pm_legacy::Books, today: Date) -> Account {
    let policy = contract.reset_policy();
    let period = match books.due {
        Some(due) => Period::restore(policy, Some(due)),
        None => Period::begin(policy, today),
    };
    Account {
        usage: books.usage,
        adjust: books.adjust,
        ..Account::new(contract.tariff, period, books.began)
    }
}

fn on_days(imported: &Imported, ports: PortRange) -> Usage {
    let days = imported.days.iter().filter(|day| day.ports == ports);
    days.fold(Usage::default(), |sum, day| sum.plus(day.usage))
}

fn at_least(one: Usage, other: Usage) -> Usage {
    Usage {
        incoming: one.incoming.max(other.incoming),
        outgoing: one.outgoing.max(other.outgoing),
    }
}
