//! One channel's messages.

use std::path::Path;
use std::time::Duration;

use pm_core::calendar::Timestamp;
use pm_core::config::{ChannelName, Via};
use pm_notify::compose::Voice;
use pm_notify::{Failure, Outcome, Part, Why, delivery};
use pm_store::outbox_db::{Attempt, OutboxDb, OutboxError, Sending, Waiting};

use super::{LONGEST_WAIT, Limits, left, next_try};
use crate::outbox::{Sender, is_collected, is_quiet};
use crate::{EngineError, clock};

/// After how long what nobody took is given up.
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many mails are collected into one.
const MOST_DIGEST: u32 = 100;

/// How often in a row a chat may move.
const MOST_MOVES: u32 = 3;

/// Sends what waits for a channel, until nothing is due any more, within the limits.
pub(super) fn deliver(
    directory: &Path,
    name: &ChannelName,
    limits: Limits,
) -> Result<(), EngineError> {
    let mut outbox = OutboxDb::open_patiently(directory)?;
    let mut moves = 0;
    while let Some(sending) = outbox.sending(name)? {
        if sending.attempts > 0
            && let Some(left) = left(sending.next_try)
        {
            if !limits.wait(left) {
                break;
            }
            // By now there may be other settings, or a message less.
            continue;
        }
        if limits.is_over() {
            break;
        }
        let now = clock::now();
        let attempt = Attempt {
            channel: name,
            settings: &sending.settings,
            ids: &[],
            lost: 0,
        };
        let Some(sender) = sender(&sending) else {
            if outbox.begin(attempt, later(now))? {
                let failure = Failure::of(Why::Settings);
                outbox.note_failed(attempt, &failure.stored(), later(now), now)?;
            }
            break;
        };
        let zone = clock::zone_of(sender.zone.as_ref());
        if is_quiet(sender.quiet, now, &zone) {
            break;
        }
        let voice = Voice {
            language: sender.language,
            server: &sender.server,
            zone: &zone,
        };
        let next = match sending.lost {
            0 => next(&outbox, name, &sender.via, voice, now)?,
            lost => Some(Next {
                ids: Vec::new(),
                part: delivery::lost_note(voice, lost, now),
            }),
        };
        let Some(next) = next else {
            break;
        };
        let attempt = Attempt {
            ids: &next.ids,
            lost: sending.lost,
            ..attempt
        };
        if !outbox.begin(attempt, next_try(now, sending.attempts, None))? {
            continue;
        }
        match pm_notify::send(&sender.via, &next.part, now.unix()) {
            Outcome::Moved { chat } if moves < MOST_MOVES => {
                moves += 1;
                outbox.note_moved(attempt, chat.as_str())?;
            }
            outcome => note(&mut outbox, attempt, &sending, outcome)?,
        }
    }
    Ok(())
}

/// Notes what became of an attempt. What a server will not have is given up, where it is the
/// message, and the next one is sent at once; where it is the channel, it is tried again rarely,
/// until somebody has mended that.
fn note(
    outbox: &mut OutboxDb,
    attempt: Attempt<'_>,
    sending: &Sending,
    outcome: Outcome,
) -> Result<(), OutboxError> {
    let now = clock::now();
    let (next, failure) = match outcome {
        Outcome::Delivered { answer } => return outbox.note_delivered(attempt, &answer, now),
        // The note of what was given up is never given up itself.
        Outcome::Refused { failure } if failure.why == Why::Content && !attempt.ids.is_empty() => {
            return outbox.note_refused(attempt, &failure.stored(), now);
        }
        Outcome::Retry { after, failure } => (next_try(now, sending.attempts, after), failure),
        Outcome::Refused { failure } => (later(now), failure),
        Outcome::Moved { .. } => (later(now), Failure::of(Why::Circle)),
    };
    let tried_for = outbox.note_failed(attempt, &failure.stored(), next, now)?;
    // Not because of its age alone: the host may have been off, or its clock wrong.
    if tried_for >= EXPIRY {
        let expiry = i64::try_from(EXPIRY.as_secs()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_unix(now.unix().saturating_sub(expiry));
        outbox.give_up(attempt.channel, oldest, now)?;
    }
    Ok(())
}

fn later(now: Timestamp) -> Timestamp {
    Timestamp::from_unix(now.unix().saturating_add(LONGEST_WAIT))
}

fn sender(sending: &Sending) -> Option<Sender> {
    let mut sender: Sender = serde_json::from_str(&sending.settings).ok()?;
    if let (Via::Telegram(telegram), Some(chat)) = (&mut sender.via, &sending.moved_to) {
        telegram.chat = chat.parse().ok()?;
    }
    Some(sender)
}

/// What is sent next.
struct Next {
    /// Which messages it is; none: it says how many were given up.
    ids: Vec<i64>,
    part: Part,
}

/// Returns what is sent next of what waits; `None`: nothing, or nothing yet.
fn next(
    outbox: &OutboxDb,
    name: &ChannelName,
    via: &Via,
    voice: Voice<'_>,
    now: Timestamp,
) -> Result<Option<Next>, OutboxError> {
    let digest = match via {
        Via::Email(email) => email.digest,
        _ => None,
    };
    let most = if digest.is_some() { MOST_DIGEST } else { 1 };
    let waiting = outbox.waiting(name, most)?;
    if waiting
        .first()
        .is_some_and(|first| is_collected(via, first.time, now))
    {
        return Ok(None);
    }
    let parts: Vec<_> = waiting.iter().map(|message| part(message, voice)).collect();
    let part = pm_notify::digest(&parts, &delivery::collected(voice.language, &parts));
    let ids = waiting.iter().map(|message| message.id).collect();
    Ok(part.map(|part| Next { ids, part }))
}

/// Returns what is sent of a message. Nobody but the tick writes it; what is none is said to be.
fn part(message: &Waiting, voice: Voice<'_>) -> Part {
    let part = serde_json::from_str(&message.body);
    part.unwrap_or_else(|_| delivery::damaged(voice, message.time))
}
