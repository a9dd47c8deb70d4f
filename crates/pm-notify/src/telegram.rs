//! Telegram's Bot API.
//!
//! Source: core.telegram.org/bots/api: sendMessage, getUpdates, ResponseParameters, "HTML style".

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::config::{BotToken, ChatId, Telegram, WebUrl};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compose::Message;
use crate::http::{Answer, Call};
use crate::outcome::{Failure, Outcome, Why, in_short, short};
use crate::part::{Format, Part, Style, paged};

/// Where the Bot API is, unless a reverse proxy stands in front of it.
const API: &str = "https://api.telegram.org";

/// The most that a message may have, in UTF-16 code units. Telegram does not count markup; here it
/// is counted, too.
const MOST: usize = 4096;

/// How long the answer to [`find_chats`] may be: up to 100 messages of others.
const MOST_UPDATES: u64 = 4 << 20;

const STYLE: Style = Style {
    most: MOST,
    measure: |text| text.encode_utf16().count(),
    first: |line| format!("<b>{}</b>", escaped(line)),
    line: escaped,
};

/// A chat that a bot has heard of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Chat {
    /// Its number.
    pub id: ChatId,
    /// The topic in which somebody wrote; `None`: none, or the general one.
    pub thread: Option<i64>,
    /// What it is called, as one line without control characters: a stranger's text.
    #[serde(deserialize_with = "in_short")]
    pub title: String,
    /// `private`, `group`, `supergroup` or `channel`.
    #[serde(deserialize_with = "in_short")]
    pub kind: String,
}

pub(crate) fn texts(message: &Message) -> Vec<String> {
    paged(message, &STYLE)
}

/// Returns a text that is no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub(crate) fn send(telegram: &Telegram, part: &Part) -> Outcome {
    let chat = telegram.chat.as_str();
    let chat: Value = chat
        .parse::<i64>()
        .map_or_else(|_| chat.into(), Value::from);
    let mut body = json!({
        "chat_id": chat,
        "text": part.text,
        "link_preview_options": { "is_disabled": true },
    });
    if part.format == Format::Html {
        body["parse_mode"] = "HTML".into();
    }
    if let Some(thread) = telegram.thread {
        body["message_thread_id"] = thread.into();
    }
    let call = call(
        &telegram.token,
        telegram.api_base.as_ref(),
        "sendMessage",
        &body,
    );
    match call.send() {
        Err(failure) => failure.into(),
        Ok(answer) => judge(&answer),
    }
}

/// Returns the chats that somebody has written in where the bot could see it, during the last day.
///
/// # Errors
///
/// When the server does not answer, or says no.
pub fn find_chats(token: &BotToken, api_base: Option<&WebUrl>) -> Result<Vec<Chat>, Failure> {
    let body = json!({ "limit": 100, "timeout": 0 });
    let call = call(token, api_base, "getUpdates", &body).at_most(MOST_UPDATES);
    let answer = call.send()?;
    let json = answer.json().ok_or_else(|| answer.foreign())?;
    let Some(updates) = json["result"].as_array().filter(|_| json["ok"] == true) else {
        return Err(match judge(&answer) {
            Outcome::Retry { failure, .. } | Outcome::Refused { failure } => failure,
            Outcome::Delivered { .. } | Outcome::Moved { .. } => answer.foreign(),
        });
    };
    let mut chats = BTreeMap::new();
    for chat in updates.iter().filter_map(chat) {
        chats.insert((chat.id.clone(), chat.thread), chat);
    }
    Ok(chats.into_values().collect())
}

/// Returns the chat that an update is about.
fn chat(update: &Value) -> Option<Chat> {
    let kinds = [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "my_chat_member",
    ];
    let what = kinds.into_iter().find_map(|kind| update.get(kind))?;
    let chat = what.get("chat")?;
    let name = |field: &str| chat[field].as_str().unwrap_or_default();
    let person = format!("{} {}", name("first_name"), name("last_name"));
    let named = [name("title"), person.trim(), name("username")];
    let title = named.into_iter().find(|title| !title.is_empty());
    let is_topic = what["is_topic_message"] == true;
    Some(Chat {
        id: chat["id"].as_i64()?.to_string().parse().ok()?,
        thread: what["message_thread_id"].as_i64().filter(|_| is_topic),
        title: short(title.unwrap_or_default()),
        kind: short(name("type")),
    })
}

fn call<'a>(
    token: &'a BotToken,
    api_base: Option<&WebUrl>,
    method: &str,
    body: &Value,
) -> Call<'a> {
    let base = api_base.map_or(API, WebUrl::as_str).trim_end_matches('/');
    let token = token.secret().expose();
    let url = format!("{base}/bot{token}/{method}");
    // The part behind the colon alone is the secret; what answers may well repeat only that.
    let key = token.split_once(':').map_or(token, |(_, key)| key);
    Call::post(url, body.to_string(), vec![token, key])
}

fn judge(answer: &Answer) -> Outcome {
    let Some(json) = answer.json().filter(|json| json["ok"].is_boolean()) else {
        return answer.outcome(answer.foreign());
    };
    if json["ok"] == true {
        let id = &json["result"]["message_id"];
        let answer = format!("message {id}");
        return Outcome::Delivered { answer };
    }
    let parameters = &json["parameters"];
    if let Some(chat) = parameters["migrate_to_chat_id"].as_i64()
        && let Ok(chat) = chat.to_string().parse()
    {
        return Outcome::Moved { chat };
    }
    let code = json["error_code"].as_i64().unwrap_or(answer.status.into());
    let said = json["description"].as_str().unwrap_or_default();
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let why = match code {
        401 | 404 => Why::Credentials,
        403 => Why::Unwanted,
        429 => Why::TooMany,
        400 if has(&[
            "not found",
            "chat_id is empty",
            "peer_id_invalid",
            "upgraded",
        ]) =>
        {
            Why::NoChat
        }
        400 if has(&["not enough rights", "kicked", "blocked", "topic_closed"]) => Why::Unwanted,
        400 if has(&["parse", "too long", "empty", "encoded"]) => Why::Content,
        500..=599 => Why::Server {
            status: answer.status,
        },
        code => Why::Rejected { code },
    };
    let failure = answer.failure(why, &format!("{code} {said}"));
    match failure.why {
        Why::TooMany => Outcome::Retry {
            after: parameters["retry_after"]
                .as_u64()
                .map(Duration::from_secs)
                .or(answer.retry_after),
            failure,
        },
        _ => answer.outcome(failure),
    }
}
