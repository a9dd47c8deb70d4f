//! The robots of WeCom's groups.
//!
//! Source: developer.work.weixin.qq.com/document/path/91770: at most 4096 bytes of Markdown or 2048
//! of text, 20 messages a minute; errors come with HTTP 200.

use pm_core::config::WeCom;
use serde_json::json;

use crate::compose::Message;
use crate::http::{Answer, Call, secrets_of};
use crate::outcome::{Outcome, Why};
use crate::part::{Format, Part, Style, paged};

const MARKDOWN: Style = Style {
    most: 4096,
    measure: str::len,
    first: |line| format!("**{line}**"),
    line: str::to_owned,
};

const TEXT: Style = Style {
    most: 2048,
    measure: str::len,
    first: str::to_owned,
    line: str::to_owned,
};

/// Returns the texts. Its Markdown knows no escape, so what has something in it that would be taken
/// for markup goes as plain text.
pub(crate) fn texts(message: &Message) -> (Format, Vec<String>) {
    let is_plain = |line: &str| {
        let marks = ['*', '_', '`', '[', ']', '<', '>', '#', '~', '|', '\\', '&'];
        !line.contains(marks) && !line.trim_start().starts_with(['-', '+'])
    };
    let is_plain = is_plain(&message.first_line()) && message.more_lines().all(is_plain);
    match is_plain {
        true => (Format::Markdown, paged(message, &MARKDOWN)),
        false => (Format::Plain, paged(message, &TEXT)),
    }
}

pub(crate) fn send(wecom: &WeCom, part: &Part) -> Outcome {
    let body = match part.format {
        Format::Markdown => json!({ "msgtype": "markdown", "markdown": { "content": part.text } }),
        _ => json!({ "msgtype": "text", "text": { "content": part.text } }),
    };
    let url = wecom.url.secret().expose();
    let call = Call::post(url.to_owned(), body.to_string(), secrets_of(url));
    match call.send() {
        Err(failure) => failure.into(),
        Ok(answer) => judge(&answer),
    }
}

fn judge(answer: &Answer) -> Outcome {
    let json = answer.json();
    let Some((json, code)) = json
        .as_ref()
        .and_then(|json| Some((json, json["errcode"].as_i64()?)))
    else {
        return answer.outcome(answer.foreign());
    };
    let said = json["errmsg"].as_str().unwrap_or_default();
    let why = match code {
        0 => {
            let answer = answer.shown(said);
            return Outcome::Delivered { answer };
        }
        93000 | 93004 | 93008 => Why::NoRecipient,
        45009 | 45033 => Why::TooMany,
        -1 => Why::Server {
            status: answer.status,
        },
        40008 | 40058 | 44004 | 45002 => Why::Content,
        code => Why::Rejected { code },
    };
    let failure = answer.failure(why, &format!("{code} {said}"));
    match failure.why {
        // The limit is one of each minute.
        Why::TooMany => Outcome::Retry {
            after: Some(std::time::Duration::from_secs(60)),
            failure,
        },
        _ => answer.outcome(failure),
    }
}
