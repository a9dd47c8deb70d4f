//! Web hooks: one table of what their servers understand.

mod presets;

use std::time::Duration;

use pm_core::config::{Placeholder, Template, Webhook};
use serde_json::Value;

use crate::compose::Message;
use crate::hmac::{base64, hex, sha256};
use crate::http::{Answer, Call, secrets_of};
use crate::outcome::{Failure, Outcome, Why};
use crate::part::{Part, Style, paged};
use presets::{Body, Row, Sign, Success};

pub use presets::shape;

pub(crate) fn texts(webhook: &Webhook, message: &Message) -> Vec<String> {
    let row = presets::row(webhook.preset);
    let style = Style {
        most: row.most,
        measure: row.measure,
        first: row.escape,
        line: row.escape,
    };
    paged(message, &style)
}

pub(crate) fn send(webhook: &Webhook, part: &Part, now: i64) -> Outcome {
    let row = presets::row(webhook.preset);
    let call = match call(webhook, row, part, now) {
        Ok(call) => call,
        Err(failure) => return failure.into(),
    };
    match call.send() {
        Err(failure) => failure.into(),
        Ok(answer) => judge(row, &answer, now),
    }
}

fn call<'a>(webhook: &'a Webhook, row: &Row, part: &Part, now: i64) -> Result<Call<'a>, Failure> {
    let address = webhook.url.secret().expose();
    let mut url = address.to_owned();
    let mut body = match (&webhook.body, &row.body) {
        (Some(own), _) => fill(own, part),
        (None, Body::Template(template)) => {
            let template: Template = template
                .parse()
                .map_err(|_| Failure::new(Why::Content, "template"))?;
            fill(&template, part)
        }
        (None, Body::Plain) => part.text.clone(),
    };
    let secret = webhook.secret.as_ref().map(|secret| secret.expose());
    let mut headers: Vec<(&'static str, String)> = Vec::new();
    match (row.sign, secret) {
        (_, None) | (Sign::Never, _) => {}
        (Sign::AsPush, Some(secret)) => {
            let stamp = now.to_string();
            let signature = hex(&sha256(
                secret.as_bytes(),
                &[stamp.as_bytes(), body.as_bytes()],
            ));
            headers.push(("X-Timestamp", stamp));
            headers.push(("X-Signature", signature));
        }
        (Sign::Bearer, Some(secret)) => {
            headers.push(("Authorization", format!("Bearer {secret}")));
        }
        (Sign::DingTalk, Some(secret)) => {
            let stamp = now.saturating_mul(1_000);
            let text = format!("{stamp}\n{secret}");
            let sign = base64(&sha256(secret.as_bytes(), &[text.as_bytes()]));
            let joint = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{joint}timestamp={stamp}&sign={}", in_url(&sign)));
        }
        (Sign::Feishu, Some(secret)) => {
            let key = format!("{now}\n{secret}");
            let sign = base64(&sha256(key.as_bytes(), &[]));
            let mut json: Value =
                serde_json::from_str(&body).map_err(|_| Failure::new(Why::Content, "template"))?;
            json["timestamp"] = now.to_string().into();
            json["sign"] = sign.into();
            body = json.to_string();
        }
    }
    let secrets = secrets_of(address).into_iter().chain(secret);
    let mut call = Call::post(url, body, secrets.collect());
    if row.body == Body::Plain && webhook.body.is_none() {
        call = call.with("Content-Type", "text/plain; charset=utf-8");
    }
    for (name, value) in headers {
        call = call.with(name, value);
    }
    Ok(match row.success {
        Success::Status => call.by_status(),
        Success::Field(_) => call,
    })
}

fn fill(template: &Template, part: &Part) -> String {
    template.fill(|placeholder| match placeholder {
        Placeholder::Text => part.text.clone(),
        Placeholder::Title => part.title.clone(),
        Placeholder::Server => part.server.clone(),
        Placeholder::Event => part.event.clone(),
        Placeholder::Time => part.time.clone(),
    })
}

/// Returns a text as a value in an address.
fn in_url(text: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                url.push(byte.into());
            }
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn judge(row: &Row, answer: &Answer, now: i64) -> Outcome {
    let delivered = || Outcome::Delivered {
        answer: answer.excerpt(),
    };
    if let Success::Field(field) = row.success {
        let json = answer.json();
        let code = json.as_ref().and_then(|json| json[field.name].as_i64());
        return match code {
            Some(code) if code == field.good => delivered(),
            Some(code) => {
                let said = json.as_ref().and_then(|json| json[field.said].as_str());
                let said = format!("{code} {}", said.unwrap_or_default());
                let known = row.known.iter().find(|(known, _)| *known == code);
                let why = known.map_or(Why::Rejected { code }, |(_, why)| why.clone());
                late_or(answer.failure(why, &said), answer)
            }
            None => late_or(by_status(row, answer, now), answer),
        };
    }
    match answer.status {
        200..300 if !answer.is_page() => delivered(),
        _ => late_or(by_status(row, answer, now), answer),
    }
}

/// Returns what HTTP's number means where the body says nothing.
fn by_status(row: &Row, answer: &Answer, now: i64) -> Failure {
    let why = match answer.status {
        401 | 403 => match crate::push::clock(answer, now).filter(|_| row.sign == Sign::AsPush) {
            Some(clock) => clock,
            None => Why::Credentials,
        },
        404 | 410 => Why::NoRecipient,
        429 => Why::TooMany,
        413 => Why::Content,
        400 | 422 if row.faults.iter().any(|it| answer.says(it)) => Why::Content,
        status @ 500.. => Why::Server { status },
        200..300 => Why::NotTheServer,
        status => Why::Rejected {
            code: status.into(),
        },
    };
    Failure::new(why, answer.excerpt())
}

fn late_or(failure: Failure, answer: &Answer) -> Outcome {
    match failure.why {
        Why::TooMany => Outcome::Retry {
            after: answer.retry_after.or_else(|| retry_after(answer)),
            failure,
        },
        _ => answer.outcome(failure),
    }
}

/// Discord says it in the body, with fractions of a second.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.json()?["retry_after"].as_f64()?;
    Duration::try_from_secs_f64(seconds.ceil()).ok()
}
