//! What was taken over, put into pm: its services with their past, at one instant.

use pm_core::config::Config;
use pm_core::request::{Context, Request};
use pm_engine::{EngineError, Executed, Options, Seen, clock, ssh};
use pm_legacy::Imported;

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
    let zone = clock::zone(present);
    let read = pm_legacy::Context {
        now: clock::now(),
        zone: &zone,
        accounting: answers.accounting(),
    };
    let command = format!("pm import --from {}", imported.tool);
    let adoption = imported.adoption(present, &context(present, answers), command, &read);
    Ok(Request::Adopt(Box::new(adoption.map_err(refused)?)))
}
