//! One channel's messages.

use std::path::Path;
use std::time::Instant;

use pm_core::calendar::Timestamp;
use pm_core::config::{ChannelName, Via};
use pm_core::language::Language;
use pm_notify::{Failure, Outcome, Part, Why};
use pm_store::outbox_db::{OutboxDb, OutboxError, Sending, Waiting};

use super::{LONGEST_WAIT, next_try, wait_until};
use crate::outbox::{Sender, is_collected, is_quiet};
use crate::{EngineError, clock};

/// After how long what nobody took is given up, in seconds.
const EXPIRY: i64 = 24 * 60 * 60;

/// How many mails are collected into one.
const MOST_DIGEST: u32 = 100;

/// How often in a row a chat may move.
const MOST_MOVES: u32 = 3;

/// Sends what waits for a channel, until nothing is due before `end`.
pub(super) fn deliver(
    directory: &Path,
    name: &ChannelName,
    end: Instant,
) -> Result<(), EngineError> {
    let mut outbox = OutboxDb::open_patiently(directory)?;
    let mut moves = 0;
    while let Some(sending) = outbox.sending(name)? {
        if sending.attempts > 0 && !wait_until(sending.next_try, end) {
            break;
        }
        let now = clock::now();
        let Some(sender) = sender(&sending) else {
            let why = "the settings cannot be read";
            outbox.note_failed(name, &[], why, later(now), now)?;
            break;
        };
        let zone = clock::zone_of(sender.zone.as_ref());
        if is_quiet(sender.quiet, now, &zone) {
            break;
        }
        if let Some(since) = sending.failing_since
            && now.unix().saturating_sub(since.unix()) >= EXPIRY
        {
            let oldest = Timestamp::from_unix(now.unix().saturating_sub(EXPIRY));
            outbox.give_up(name, oldest, None, now)?;
        }
        let Some((ids, part)) = next(&outbox, name, &sender, now)? else {
            break;
        };
        match pm_notify::send(&sender.via, &part, now.unix()) {
            Outcome::Delivered { answer } => {
                outbox.note_delivered(name, &ids, &answer, clock::now())?;
            }
            Outcome::Retry { after, failure } => {
                let failed = clock::now();
                let next = next_try(failed, sending.attempts, after);
                let why = failure.text(sender.language);
                outbox.note_failed(name, &ids, &why, next, failed)?;
            }
            Outcome::Refused { failure } => {
                refused(&mut outbox, name, &ids, &failure, sender.language)?;
            }
            Outcome::Moved { chat } if moves < MOST_MOVES => {
                moves += 1;
                outbox.note_moved(name, &chat.to_string())?;
            }
            Outcome::Moved { .. } => {
                let why = "the chat moves in a circle";
                let failed = clock::now();
                outbox.note_failed(name, &ids, why, later(failed), failed)?;
            }
        }
    }
    Ok(())
}

/// What a server will not have is given up, where it is the message; where it is the channel, it
/// is tried again rarely, until somebody has mended that.
fn refused(
    outbox: &mut OutboxDb,
    name: &ChannelName,
    ids: &[i64],
    failure: &Failure,
    language: Language,
) -> Result<(), OutboxError> {
    let now = clock::now();
    let why = failure.text(language);
    outbox.note_failed(name, ids, &why, later(now), now)?;
    if failure.why == Why::Content {
        for &id in ids {
            outbox.give_up(name, Timestamp::from_unix(0), Some(id), now)?;
        }
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

/// Returns what is sent next, and which messages that is; none of them: how many were given up.
fn next(
    outbox: &OutboxDb,
    name: &ChannelName,
    sender: &Sender,
    now: Timestamp,
) -> Result<Option<(Vec<i64>, Part)>, OutboxError> {
    let lost = outbox.sending(name)?.map_or(0, |sending| sending.lost);
    let digest = match &sender.via {
        Via::Email(email) => email.digest,
        _ => None,
    };
    let most = if digest.is_some() { MOST_DIGEST } else { 1 };
    let waiting = outbox.waiting(name, most)?;
    let Some(first) = waiting.first() else {
        return Ok(None);
    };
    if lost > 0 {
        return Ok(Some((Vec::new(), lost_note(lost, first, sender))));
    }
    if is_collected(&sender.via, first.time, now) {
        return Ok(None);
    }
    let parts: Vec<Part> = waiting.iter().map(part).collect();
    let count = parts.len();
    let server = &sender.server;
    let title = match sender.language {
        Language::English => format!("[{server}] {count} messages"),
        Language::Chinese => format!("[{server}] {count} 条消息"),
    };
    let ids = waiting.iter().map(|message| message.id).collect();
    Ok(pm_notify::digest(&parts, &title).map(|part| (ids, part)))
}

/// Returns what is sent of a message. Nobody but the tick writes it; what is none is said to be.
fn part(message: &Waiting) -> Part {
    serde_json::from_str(&message.body).unwrap_or_else(|_| Part {
        title: "pm".to_owned(),
        text: "a message was damaged".to_owned(),
        format: pm_notify::part::Format::Plain,
        server: String::new(),
        event: "delivery".to_owned(),
        time: message.time.to_string(),
    })
}

fn lost_note(lost: u64, next: &Waiting, sender: &Sender) -> Part {
    let server = &sender.server;
    let text = match sender.language {
        Language::English => {
            format!("{lost} messages could not be delivered here and were given up")
        }
        Language::Chinese => format!("有 {lost} 条消息一直没能送到这里，已放弃"),
    };
    Part {
        title: format!("[{server}] {text}"),
        text: format!("{server} · {text}"),
        format: pm_notify::part::Format::Plain,
        server: server.clone(),
        event: "delivery".to_owned(),
        time: part(next).time,
    }
}
