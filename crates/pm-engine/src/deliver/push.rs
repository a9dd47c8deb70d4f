//! The push: the newest state, or none.

use std::path::Path;

use pm_core::config::Push;
use pm_notify::{Failure, Outcome, Why};
use pm_store::outbox_db::OutboxDb;

use super::{Limits, left, next_try};
use crate::{EngineError, clock};

/// Pushes the newest state, if the receiver does not have it.
pub(super) fn deliver(directory: &Path, limits: Limits) -> Result<(), EngineError> {
    let mut outbox = OutboxDb::open_patiently(directory)?;
    while let Some((sending, state)) = outbox.waiting_push()? {
        if sending.attempts > 0
            && let Some(left) = left(sending.next_try)
        {
            if !limits.wait(left) {
                break;
            }
            // By now there may be other settings, or a newer state.
            continue;
        }
        if limits.is_over() {
            break;
        }
        let settings = &sending.settings;
        let now = clock::now();
        if !outbox.begin_push(settings, next_try(now, sending.attempts, None))? {
            continue;
        }
        let Ok(push) = serde_json::from_str::<Push>(settings) else {
            let why = Failure::of(Why::Settings).stored();
            let error = Err((&*why, next_try(now, u32::MAX, None)));
            outbox.note_pushed(settings, state.time, error, now)?;
            break;
        };
        let outcome = pm_notify::push::send(&push, &state.body, now.unix());
        let now = clock::now();
        let (failure, after) = match outcome {
            Outcome::Delivered { .. } | Outcome::Moved { .. } => {
                outbox.note_pushed(settings, state.time, Ok(()), now)?;
                continue;
            }
            Outcome::Retry { after, failure } => (failure, after),
            Outcome::Refused { failure } => (failure, None),
        };
        let why = failure.stored();
        let next = next_try(now, sending.attempts, after);
        outbox.note_pushed(settings, state.time, Err((&why, next)), now)?;
    }
    Ok(())
}
