//! A Bot API that is as strict as Telegram's, or stricter: it judges tokens, chats, length and
//! markup, and answers as `core.telegram.org/bots/api` says.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::support::{Request, Server, response};

pub(crate) const TOKEN: &str = "123456:AA-pLaNtEd_key";

/// Starts it. Chats: 5 is a person, -100123 a group with topic 7, -200 became -100200, -300 has
/// thrown the bot out, -400 lets one message through and then wants 31 s.
pub(crate) fn start() -> Server {
    let seen = std::sync::Mutex::new(BTreeMap::<i64, u32>::new());
    Server::start(move |request, stream| {
        let (status, answer) = answer(request, &mut seen.lock().unwrap());
        let _ = stream.write_all(response(status, "", &answer.to_string()).as_bytes());
    })
}

fn error(code: i64, description: &str) -> (&'static str, Value) {
    let status = match code {
        401 => "401 Unauthorized",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        429 => "429 Too Many Requests",
        _ => "400 Bad Request",
    };
    (
        status,
        json!({ "ok": false, "error_code": code, "description": description }),
    )
}

fn with(mut answer: (&'static str, Value), parameter: &str, value: i64) -> (&'static str, Value) {
    answer.1["parameters"] = json!({ parameter: value });
    answer
}

fn answer(request: &Request, seen: &mut BTreeMap<i64, u32>) -> (&'static str, Value) {
    let Some((token, method)) = request
        .path
        .strip_prefix("/bot")
        .and_then(|rest| rest.split_once('/'))
    else {
        return error(404, "Not Found");
    };
    if token != TOKEN {
        return error(401, "Unauthorized");
    }
    let is_json = request.header("content-type") == Some("application/json");
    let Some(body) = serde_json::from_slice::<Value>(&request.body)
        .ok()
        .filter(|_| is_json)
    else {
        return error(400, "Bad Request: can't parse JSON object");
    };
    match method {
        "getUpdates" => ("200 OK", json!({ "ok": true, "result": updates() })),
        "sendMessage" => send(&body, seen),
        _ => error(404, "Not Found: method not found"),
    }
}

fn updates() -> Value {
    json!([
        { "update_id": 1, "message": { "message_id": 1, "text": "hi",
            "chat": { "id": 5, "type": "private", "first_name": "老王", "last_name": "\u{1b}[31m" } } },
        { "update_id": 2, "message": { "message_id": 2, "message_thread_id": 7, "is_topic_message": true,
            "chat": { "id": -100123, "type": "supergroup", "title": "ops & co", "is_forum": true } } },
        { "update_id": 3, "my_chat_member": { "chat": { "id": -9, "type": "group", "title": "new" } } },
        { "update_id": 4, "message": { "chat": { "id": 5, "type": "private", "first_name": "老王" } } },
        { "update_id": 5, "poll": {} },
        { "update_id": 6, "message": { "chat": { "id": "x" } } },
        7
    ])
}

fn send(body: &Value, seen: &mut BTreeMap<i64, u32>) -> (&'static str, Value) {
    let Some(text) = body["text"].as_str().filter(|text| !text.trim().is_empty()) else {
        return error(400, "Bad Request: message text is empty");
    };
    let plain = match body["parse_mode"].as_str() {
        None => Ok(text.to_owned()),
        Some("HTML") => html(text),
        Some(_) => return error(400, "Bad Request: unsupported parse_mode"),
    };
    let plain = match plain {
        Ok(plain) => plain,
        Err(why) => return error(400, &format!("Bad Request: can't parse entities: {why}")),
    };
    if plain.encode_utf16().count() > 4096 {
        return error(400, "Bad Request: message is too long");
    }
    let Some(chat) = body["chat_id"].as_i64() else {
        return error(400, "Bad Request: chat not found");
    };
    match chat {
        -200 => {
            let moved = error(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
            );
            return with(moved, "migrate_to_chat_id", -100_200);
        }
        -300 => return error(403, "Forbidden: bot was kicked from the group chat"),
        5 if body.get("message_thread_id").is_some() => {
            return error(400, "Bad Request: message thread not found");
        }
        -100_123 if body["message_thread_id"].as_i64().is_some_and(|it| it != 7) => {
            return error(400, "Bad Request: message thread not found");
        }
        5 | -100_123 | -100_200 | -400 => {}
        _ => return error(400, "Bad Request: chat not found"),
    }
    let count = seen.entry(chat).or_default();
    *count += 1;
    if chat == -400 && *count > 1 {
        return with(
            error(429, "Too Many Requests: retry after 31"),
            "retry_after",
            31,
        );
    }
    let result = json!({ "message_id": *count, "chat": { "id": chat }, "text": plain });
    ("200 OK", json!({ "ok": true, "result": result }))
}

/// Returns the text without its markup.
///
/// # Errors
///
/// What is no markup of Telegram's: an unknown tag or entity, tags that do not close.
pub(crate) fn html(text: &str) -> Result<String, String> {
    let (mut plain, mut open, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find(['<', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with('<') { '>' } else { ';' };
        let end = rest.find(end).ok_or("unclosed start tag or entity")?;
        match &rest[..=end] {
            "&amp;" => plain.push('&'),
            "&lt;" => plain.push('<'),
            "&gt;" => plain.push('>'),
            "&quot;" => plain.push('"'),
            tag @ ("<b>" | "<i>" | "<code>" | "<pre>") => open.push(&tag[1..tag.len() - 1]),
            tag if tag.starts_with("</") => {
                if open.pop() != Some(&tag[2..tag.len() - 1]) {
                    return Err(format!("unexpected end tag {tag}"));
                }
            }
            other => return Err(format!("unsupported {other}")),
        }
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    match open.is_empty() {
        true => Ok(plain),
        false => Err("can't find end tag".into()),
    }
}
