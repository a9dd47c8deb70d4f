//! Who hogs the line, by the time that really passed.

use crate::backend::Reading;
use crate::config::Config;
use crate::dynqos::{Hog, Verdict};
use crate::event::Event;
use crate::ledger::State;

use super::{Now, paired};

/// Judges every service with a rule, where enough time has passed and all were read.
pub(super) fn judge(
    config: &Config,
    state: &State,
    next: &mut State,
    reading: &Reading,
    now: Now<'_>,
    events: &mut Vec<Event>,
) {
    let boot = |host: &crate::backend::HostId| host.boot.clone();
    let same_boot = state.host.as_ref().map(boot) == Some(boot(&reading.host));
    let elapsed = state
        .judged_at
        .filter(|_| same_boot)
        .and_then(|judged| now.since_boot.checked_sub(judged));
    // What was not read now would seem to be at rest.
    let is_read = reading.fresh.is_none();
    let too_short = elapsed.filter(|&elapsed| !Hog::is_due(elapsed));
    let is_due = is_read && too_short.is_none();
    if is_due {
        next.judged_at = Some(now.since_boot);
    }
    for (ports, service, ledger) in paired(&config.services, &mut next.ledgers) {
        let verdict = match (service.dynqos, too_short) {
            (Some(rule), Some(elapsed)) if is_read => {
                let is_over = ledger.hog.release(rule, elapsed);
                is_over.then_some(Verdict::Restored)
            }
            (Some(_), _) if !is_due => None,
            (rule, _) => ledger.hog.judge(rule, elapsed),
        };
        match (verdict, service.dynqos) {
            (Some(Verdict::Punished), Some(rule)) => events.push(Event::Punished { ports, rule }),
            (Some(_), _) => events.push(Event::Restored { ports }),
            (None, _) => {}
        }
    }
}
