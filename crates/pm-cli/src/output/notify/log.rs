//! What was sent of late, and what became of it.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, Via};
use pm_notify::Part;
use pm_store::outbox_db::{Fate, Sent};

use super::{minute, one_line};
use crate::language::{self, tr};
use crate::output::grid::{Column, render};

/// Returns the table of messages.
///
/// `width` as in [`channels`](super::channels).
pub(crate) fn sent(sent: &[Sent], config: &Config, zone: &Zone, width: Option<u16>) -> String {
    if sent.is_empty() {
        return tr!("Nothing was sent yet.", "还没有发送过消息。");
    }
    let columns = vec![
        Column::words(
            tr!("TIME", "时间"),
            sent.iter().map(|it| minute(it.time, zone)),
        ),
        Column::names(
            tr!("CHANNEL", "渠道"),
            sent.iter().map(|it| it.channel.to_string()),
        ),
        Column::words(
            tr!("STATE", "状态"),
            sent.iter().map(|it| fate(it, config, zone)),
        ),
        Column::prose(
            tr!("MESSAGE", "消息"),
            sent.iter().map(|it| {
                let title = headline(it).unwrap_or_else(|| tr!("(unreadable)", "（无法读取）"));
                match (&it.answer, it.fate) {
                    (Some(answer), Fate::Waiting | Fate::GivenUp) => {
                        let answer = pm_notify::outcome::shown(answer, language::current());
                        let answer = one_line(&answer);
                        tr!("{title}: {answer}", "{title}：{answer}")
                    }
                    _ => title,
                }
            }),
        ),
    ];
    render(columns, width)
}

fn fate(sent: &Sent, config: &Config, zone: &Zone) -> String {
    match (sent.fate, sent.done) {
        (Fate::Delivered, Some(done)) => {
            let done = since(sent.time, done, zone);
            tr!("delivered {done}", "{done} 送达")
        }
        (Fate::Delivered, None) => tr!("delivered", "已送达"),
        (Fate::Waiting, _) if sent.attempts > 0 => {
            let attempts = sent.attempts;
            let tries = if attempts == 1 { "try" } else { "tries" };
            tr!("waits, {attempts} {tries}", "等待，已试 {attempts} 次")
        }
        (Fate::Waiting, _) if is_collected(sent, config) => tr!("is collected", "等待合并"),
        (Fate::Waiting, _) => tr!("waits", "等待"),
        (Fate::GivenUp, _) => tr!("given up", "已放弃"),
    }
}

/// Returns when something was done, without the date where that is the same.
fn since(time: Timestamp, done: Timestamp, zone: &Zone) -> String {
    let local = zone.local(done);
    match zone.local(time).date() == local.date() {
        true => format!("{:02}:{:02}", local.hour(), local.minute()),
        false => minute(done, zone),
    }
}

/// Whether a message waits for more to be sent with it.
fn is_collected(sent: &Sent, config: &Config) -> bool {
    let channel = config.notify.channels.get(&sent.channel);
    channel.is_some_and(|it| matches!(&it.via, Via::Email(email) if email.digest.is_some()))
}

/// Returns a message's first line without what it calls this host, which would be in every line;
/// `None`: it cannot be read.
fn headline(sent: &Sent) -> Option<String> {
    let part: Part = serde_json::from_str(&sent.body).ok()?;
    let server = format!("[{}] ", part.server);
    let headline = part.title.strip_prefix(&server).unwrap_or(&part.title);
    Some(one_line(headline))
}

/// Returns a message's first line; `None`: it cannot be read.
pub(in crate::output) fn title(sent: &Sent) -> Option<String> {
    let part: Part = serde_json::from_str(&sent.body).ok()?;
    Some(one_line(&part.title))
}
