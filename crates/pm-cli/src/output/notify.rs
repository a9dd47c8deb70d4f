//! Channels, what waits for them, and what became of what was sent.
//!
//! What comes out of the outbox was written by the delivering side: it is shown as one line of text.

mod lines;
mod log;

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Channel, ChannelName, Config, Schedule, ServerName, Via};
use pm_notify::Outcome;
use pm_notify::telegram::Chat;
use pm_store::outbox_db::{ChannelStanding, Standing};

use super::grid::{Column, fits, render};
use super::words::fields;
use super::wrap::hanging;
use crate::language::{self, tr};

pub(crate) use log::sent;
pub(in crate::output) use log::title;

/// How far further in a line goes on, in columns.
const INDENT: usize = 2;

/// Returns the table of all channels, and below it what else there is to say of each.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none. Where
/// not all of it fits into the table, where a channel leads is said below: it is never cut short.
pub(crate) fn channels(
    config: &Config,
    standing: &Standing,
    zone: &Zone,
    width: Option<u16>,
) -> String {
    let channels = &config.notify.channels;
    let (mut text, has_places) = if channels.is_empty() {
        let nothing = tr!(
            "There is no channel yet: `pm notify add --help` says how to add one.",
            "还没有渠道：`pm notify add --help` 说明如何添加。"
        );
        (nothing, true)
    } else {
        let mut columns = columns(channels, standing, zone);
        let places = channels.values().map(|channel| place(&channel.via));
        columns.push(Column::words(tr!("WHERE", "去向"), places));
        let has_places = fits(&columns, width);
        if !has_places {
            columns.pop();
        }
        (render(columns, width), has_places)
    };
    for line in lines::of(channels, &standing.channels, zone, !has_places) {
        text.push('\n');
        text.push_str(&hanging(&line, INDENT));
    }
    text.push('\n');
    text.push_str(&general(config));
    text
}

fn columns(
    channels: &BTreeMap<ChannelName, Channel>,
    standing: &Standing,
    zone: &Zone,
) -> Vec<Column> {
    let of = |name: &ChannelName| standing.channels.get(name);
    vec![
        Column::names(
            tr!("NAME", "名称"),
            channels.keys().map(ToString::to_string),
        ),
        Column::words(
            tr!("KIND", "类型"),
            channels.values().map(|channel| kind(&channel.via)),
        )
        .rank(1),
        Column::words(
            tr!("STATE", "状态"),
            channels
                .iter()
                .map(|(name, channel)| state(channel, of(name), zone)),
        ),
        Column::numbers(
            tr!("WAITING", "等待"),
            channels
                .keys()
                .map(|name| of(name).map_or(0, |it| it.waiting).to_string()),
        ),
        Column::words(
            tr!("LAST DELIVERED", "最近送达"),
            channels
                .keys()
                .map(|name| when(of(name).and_then(|it| it.delivered), zone)),
        )
        .rank(2),
    ]
}

/// Returns what concerns all channels, on one line.
pub(crate) fn general(config: &Config) -> String {
    let thresholds = &config.notify.thresholds;
    let server = config.notify.server_name.as_ref().map(ServerName::as_str);
    let server = server.map_or(tr!("the host name", "系统的主机名"), str::to_owned);
    if thresholds.percents().is_empty() {
        return tr!(
            "Server name: {server}; no warnings before a quota is spent",
            "主机名称：{server}；配额用完之前不预警"
        );
    }
    tr!(
        "Server name: {server}; quota warnings at {thresholds} %",
        "主机名称：{server}；配额预警：{thresholds} %"
    )
}

/// Returns when a summary is sent.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Every(minutes) if minutes.get() % 60 == 0 => {
            let hours = minutes.get() / 60;
            let plural = if hours == 1 { "" } else { "s" };
            tr!("every {hours} hour{plural}", "每 {hours} 小时")
        }
        Schedule::Every(minutes) => {
            let minutes = minutes.get();
            let plural = if minutes == 1 { "" } else { "s" };
            tr!("every {minutes} minute{plural}", "每 {minutes} 分钟")
        }
        Schedule::At(times) => {
            let times: Vec<_> = times.iter().map(ToString::to_string).collect();
            let times = times.join(",");
            tr!("each day at {times}", "每天 {times}")
        }
    }
}

/// Returns what a kind of channel is called.
pub(crate) fn kind(via: &Via) -> String {
    match via {
        Via::Telegram(_) => "Telegram".to_owned(),
        Via::WeCom(_) => tr!("WeCom", "企业微信"),
        Via::Email(_) => tr!("email", "邮件"),
        Via::Webhook(webhook) => format!("webhook ({})", webhook.preset),
    }
}

/// Returns where a channel leads, without what is secret.
pub(crate) fn place(via: &Via) -> String {
    match via {
        Via::Telegram(telegram) => {
            let chat = telegram.chat.as_str();
            match telegram.thread {
                Some(thread) => tr!("chat {chat}, topic {thread}", "会话 {chat}，话题 {thread}"),
                None => tr!("chat {chat}", "会话 {chat}"),
            }
        }
        Via::WeCom(wecom) => wecom.url.origin().to_owned(),
        Via::Webhook(webhook) => webhook.url.origin().to_owned(),
        Via::Email(email) => {
            let to: Vec<_> = email.to.iter().map(ToString::to_string).collect();
            to.join(", ")
        }
    }
}

/// Returns how a channel stands, in a few words.
pub(crate) fn state(channel: &Channel, standing: Option<&ChannelStanding>, zone: &Zone) -> String {
    if !channel.enabled {
        return tr!("off", "已关闭");
    }
    match standing.and_then(|it| it.failing_since) {
        Some(since) => {
            let since = minute(since, zone);
            tr!("failing since {since}", "自 {since} 起失败")
        }
        None => tr!("on", "已开启"),
    }
}

/// Returns what became of a test message.
pub(crate) fn tried(name: &ChannelName, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered { answer } if answer.is_empty() => {
            tr!(
                "{name}: the test message was delivered",
                "{name}：测试消息已送达"
            )
        }
        Outcome::Delivered { answer } => tr!(
            "{name}: the test message was delivered ({answer})",
            "{name}：测试消息已送达（{answer}）"
        ),
        Outcome::Retry { failure, .. } | Outcome::Refused { failure } => {
            let why = failure.text(language::current());
            tr!(
                "{name}: the test message was not delivered: {why}",
                "{name}：测试消息没有送达：{why}"
            )
        }
        Outcome::Moved { chat } => tr!(
            "{name}: the group has become another: `pm notify set {name} --chat={chat}`",
            "{name}：这个群已经变成另一个：`pm notify set {name} --chat={chat}`"
        ),
    }
}

/// Returns the table of a bot's chats.
///
/// `width` as in [`channels`].
pub(crate) fn chats(chats: &[Chat], width: Option<u16>) -> String {
    if chats.is_empty() {
        return no_chats();
    }
    let columns = vec![
        Column::words(
            tr!("CHAT", "会话"),
            chats.iter().map(|chat| chat.id.as_str().to_owned()),
        ),
        Column::words(
            tr!("TOPIC", "话题"),
            chats
                .iter()
                .map(|chat| chat.thread.map_or("-".to_owned(), |it| it.to_string())),
        ),
        Column::words(
            tr!("KIND", "类型"),
            chats.iter().map(|chat| one_line(fields::chat(&chat.kind))),
        ),
        Column::prose(
            tr!("TITLE", "名称"),
            chats.iter().map(|chat| one_line(&chat.title)),
        ),
    ];
    render(columns, width)
}

/// Returns what to do where a bot knows no chat.
pub(crate) fn no_chats() -> String {
    tr!(
        "The bot has heard of no chat within the last day. Write anything to it, or add it to a \
         group and write /start there, and ask again.",
        "机器人最近一天没有收到过消息。请先给它发一条消息，或把它拉进群并在群里发 /start，然后再试。"
    )
}

/// Returns a text of somebody else's as one line that does nothing to a terminal.
pub(in crate::output) fn one_line(text: &str) -> String {
    let is_steering =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if is_steering(c) { ' ' } else { c })
        .collect()
}

/// Returns an instant in the zone whose dates count; `-`: never.
pub(super) fn when(time: Option<Timestamp>, zone: &Zone) -> String {
    time.map_or("-".to_owned(), |time| minute(time, zone))
}

pub(super) fn minute(time: Timestamp, zone: &Zone) -> String {
    let local = zone.local(time);
    format!("{} {:02}:{:02}", local.date(), local.hour(), local.minute())
}

#[cfg(test)]
mod tests;
