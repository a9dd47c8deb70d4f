//! Channels, what was sent, and the push. No secret is in any of it.

use pm_core::calendar::Timestamp;
use pm_core::config::{Channel, Config, Push};
use pm_core::language::Language;
use pm_notify::telegram::Chat;
use pm_store::outbox_db::{Fate, PushStanding, Sent, Standing};
use serde::Serialize;

use super::VERSION;
use crate::output::notify::{one_line, title};

#[derive(Serialize)]
struct Channels {
    version: u32,
    server_name: Option<String>,
    thresholds: Vec<u16>,
    channels: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: String,
    kind: &'static str,
    enabled: bool,
    /// As in `config.json`.
    settings: Channel,
    waiting: u64,
    delivered: Option<String>,
    failing_since: Option<String>,
    error: Option<String>,
    next_try: Option<String>,
    given_up: u64,
}

#[derive(Serialize)]
struct Log {
    version: u32,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    time: String,
    channel: String,
    state: &'static str,
    attempts: u64,
    done: Option<String>,
    answer: Option<String>,
    title: Option<String>,
}

#[derive(Serialize)]
struct Chats {
    version: u32,
    chats: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    id: String,
    thread: Option<i64>,
    kind: String,
    title: String,
}

#[derive(Serialize)]
struct PushStatus {
    version: u32,
    /// As in `config.json`.
    push: Option<Push>,
    accepted: Option<String>,
    failing_since: Option<String>,
    error: Option<String>,
    next_try: Option<String>,
}

/// Returns the document of `pm notify list --json`.
pub(crate) fn channels(config: &Config, standing: &Standing) -> serde_json::Result<String> {
    let notify = config.without_secrets().notify;
    let one = |(name, settings): (_, Channel)| {
        let standing = standing.channels.get(&name).cloned().unwrap_or_default();
        One {
            name: name.to_string(),
            kind: settings.via.kind(),
            enabled: settings.enabled,
            settings,
            waiting: standing.waiting,
            delivered: time(standing.delivered),
            failing_since: time(standing.failing_since),
            error: why(standing.error),
            next_try: time(standing.next_try),
            given_up: standing.lost,
        }
    };
    serde_json::to_string(&Channels {
        version: VERSION,
        server_name: notify.server_name.map(|name| name.to_string()),
        thresholds: notify.thresholds.percents().to_vec(),
        channels: notify.channels.into_iter().map(one).collect(),
    })
}

/// Returns why something failed, in English: programs read it.
fn why(stored: Option<String>) -> Option<String> {
    stored.map(|stored| pm_notify::outcome::shown(&stored, Language::English))
}

/// Returns the document of `pm notify log --json`.
pub(crate) fn sent(sent: &[Sent]) -> serde_json::Result<String> {
    let message = |sent: &Sent| Message {
        time: sent.time.to_string(),
        channel: sent.channel.to_string(),
        state: match sent.fate {
            Fate::Waiting => "waiting",
            Fate::Delivered => "delivered",
            Fate::GivenUp => "given_up",
        },
        attempts: sent.attempts,
        done: time(sent.done),
        answer: match sent.fate {
            Fate::Delivered => sent.answer.as_deref().map(one_line),
            Fate::Waiting | Fate::GivenUp => why(sent.answer.clone()).map(|it| one_line(&it)),
        },
        title: title(sent),
    };
    serde_json::to_string(&Log {
        version: VERSION,
        messages: sent.iter().map(message).collect(),
    })
}

/// Returns the document of `pm notify find-chat --json`.
pub(crate) fn chats(chats: &[Chat]) -> serde_json::Result<String> {
    let found = |chat: &Chat| Found {
        id: chat.id.as_str().to_owned(),
        thread: chat.thread,
        kind: chat.kind.clone(),
        title: chat.title.clone(),
    };
    serde_json::to_string(&Chats {
        version: VERSION,
        chats: chats.iter().map(found).collect(),
    })
}

/// Returns the document of `pm push status --json`.
pub(crate) fn push(config: &Config, standing: Option<&PushStanding>) -> serde_json::Result<String> {
    let standing = standing.cloned().unwrap_or_default();
    serde_json::to_string(&PushStatus {
        version: VERSION,
        push: config.without_secrets().push,
        accepted: time(standing.sent),
        failing_since: time(standing.failing_since),
        error: why(standing.error),
        next_try: time(standing.next_try),
    })
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}
