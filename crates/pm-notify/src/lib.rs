//! What pm says, and how it reaches people.
//!
//! [`compose`] turns a [`Notice`](pm_core::notice::Notice) or a summary of all services into a
//! [`Message`], [`parts`] a message into what one channel is sent, and [`send`] sends one part and
//! judges the answer. The first two are pure; the third waits for the network. None of them knows a
//! queue, a clock or a file: who calls them says when, and keeps what must not be lost.
//!
//! - No text that is shown, no error and no log holds a token, a password or an address with one.
//! - Nothing is read without a bound, nothing waits for ever, no redirection is followed.
//! - What an operator or a tenant wrote is text in every format, never markup.

pub mod compose;
pub mod delivery;
mod email;
mod hmac;
mod http;
pub mod outcome;
pub mod part;
pub mod push;
mod reach;
mod report;
mod say;
pub mod telegram;
pub mod webhook;
mod wecom;

use pm_core::config::{Channel, Via};

pub use compose::Message;
pub use outcome::{Failure, Outcome, Why};
pub use part::{Part, digest, parts};

/// How long one request may take, from looking up the name to the last byte, in seconds; a mail: to
/// where it is handed over.
pub const TIMEOUT_SECONDS: u64 = 20;

/// Sends one part and judges the answer.
///
/// It takes up to [`TIMEOUT_SECONDS`]; a mail that was handed over, up to four minutes more until the
/// server says whether it took it. `now` is the host's time in seconds since 1970, which some servers
/// want signed.
pub fn send(via: &Via, part: &Part, now: i64) -> Outcome {
    match via {
        Via::Telegram(telegram) => telegram::send(telegram, part),
        Via::WeCom(wecom) => wecom::send(wecom, part),
        Via::Email(email) => email::send(email, part),
        Via::Webhook(webhook) => webhook::send(webhook, part, now),
    }
}

/// Returns what a channel calls the host: its own name for it, that of all channels, or the host's.
pub fn server_name<'a>(
    channel: &'a Channel,
    notify: &'a pm_core::config::Notify,
    host_name: &'a str,
) -> &'a str {
    let configured = channel.server_name.as_ref().or(notify.server_name.as_ref());
    configured.map_or(host_name, |name| name.as_str())
}
