//! What is said below the table: of each channel what its operator chose, of all that fail why.

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Channel, ChannelName, Via, WebUrl};
use pm_core::language::Language;
use pm_store::outbox_db::ChannelStanding;

use super::{minute, one_line, place, schedule};
use crate::language::{self, tr};

/// Returns the lines of all channels: with where they lead, if the table has no room for that.
pub(super) fn of(
    channels: &BTreeMap<ChannelName, Channel>,
    standing: &BTreeMap<ChannelName, ChannelStanding>,
    zone: &Zone,
    with_places: bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, channel) in channels {
        let mut said: Vec<_> = with_places
            .then(|| place(&channel.via))
            .into_iter()
            .collect();
        said.extend(choices(channel));
        said.extend(kept(channel, standing.get(name), zone));
        if !said.is_empty() {
            let said = said.join(&tr!("; ", "；"));
            lines.push(tr!("{name}: {said}", "{name}：{said}"));
        }
    }
    // What is off or gone is not tried: what is noted of it is the next tick's to remove.
    let is_on = |name: &ChannelName| channels.get(name).is_some_and(|it| it.enabled);
    let standing = || standing.iter().filter(|(name, _)| is_on(name));
    lines.extend(failures(standing(), zone));
    lines.extend(given_up(standing()));
    lines
}

/// Returns what a channel's operator chose otherwise than by default.
fn choices(channel: &Channel) -> Vec<String> {
    let mut said = Vec::new();
    if let Via::Telegram(telegram) = &channel.via
        && let Some(base) = &telegram.api_base
    {
        let host = host(base);
        said.push(tr!("API at {host}", "API 在 {host}"));
    }
    if let Some(name) = &channel.server_name {
        let name = name.as_str();
        said.push(tr!("server name {name}", "主机名称 {name}"));
    }
    if let Some(language) = channel.language {
        let language = match language {
            Language::English => "English",
            Language::Chinese => "中文",
        };
        said.push(tr!("language {language}", "语言 {language}"));
    }
    if let Some(events) = &channel.events {
        let events = list(events.iter());
        said.push(tr!("events {events}", "事件 {events}"));
    }
    if let Some(services) = &channel.services {
        let services = list(services.iter());
        said.push(tr!("services {services}", "服务 {services}"));
    }
    if let Via::Email(email) = &channel.via
        && let Some(minutes) = email.digest
    {
        said.push(tr!(
            "one mail for {minutes} min",
            "每 {minutes} 分钟合并成一封邮件"
        ));
    }
    if let Some(quiet) = channel.quiet {
        said.push(tr!("quiet {quiet}", "免打扰 {quiet}"));
    }
    if let Some(report) = channel.report.as_ref().map(schedule) {
        said.push(tr!("report {report}", "{report} 发汇总"));
    }
    said
}

/// Returns what follows the scheme of an address, up to its path: that may hold a secret.
fn host(url: &WebUrl) -> &str {
    let url = url.as_str();
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split(['/', '?']).next().unwrap_or_default()
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    match items.is_empty() {
        true => tr!("none", "无"),
        false => items.join(","),
    }
}

/// Returns until when messages wait that their server would take: for more to be sent with them,
/// or for the end of quiet hours.
fn kept(channel: &Channel, standing: Option<&ChannelStanding>, zone: &Zone) -> Option<String> {
    let standing = standing.filter(|it| channel.enabled && it.failing_since.is_none())?;
    let oldest = standing.oldest.filter(|_| standing.waiting > 0)?;
    let collected = match &channel.via {
        Via::Email(email) => email.digest.map_or(0, |it| i64::from(it.get()) * 60),
        _ => 0,
    };
    let after =
        |time: Timestamp, seconds: i64| Timestamp::from_unix(time.unix().saturating_add(seconds));
    let due = after(oldest, collected);
    let quiet = channel.quiet.and_then(|quiet| quiet.left(due, zone));
    let quiet = quiet.map_or(0, |left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX));
    let until = after(due, quiet);
    (until != oldest).then(|| {
        let until = minute(until, zone);
        tr!("what waits goes at {until}", "等待的消息 {until} 发送")
    })
}

/// Returns why channels fail, a line each reason: one outage stops many.
fn failures<'a>(
    standing: impl Iterator<Item = (&'a ChannelName, &'a ChannelStanding)>,
    zone: &Zone,
) -> Vec<String> {
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for (name, it) in standing {
        let Some(why) = &it.error else { continue };
        let why = one_line(&pm_notify::outcome::shown(why, language::current()));
        match reasons.iter_mut().find(|reason| reason.why == why) {
            Some(reason) => {
                reason.names.push(name);
                reason.next.extend(it.next_try);
            }
            None => reasons.push(Reason {
                why,
                names: vec![name],
                next: it.next_try.into_iter().collect(),
            }),
        }
    }
    reasons.iter().map(|reason| reason.line(zone)).collect()
}

/// Why some channels fail.
struct Reason<'a> {
    why: String,
    names: Vec<&'a ChannelName>,
    /// When they are tried again.
    next: Vec<Timestamp>,
}

impl Reason<'_> {
    fn line(&self, zone: &Zone) -> String {
        let why = &self.why;
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let names = names.join(&tr!(", ", "、"));
        let at = |time: Option<&Timestamp>| time.map(|&time| minute(time, zone));
        let (first, last) = (at(self.next.iter().min()), at(self.next.iter().max()));
        match (first, last) {
            (Some(first), Some(last)) if first != last => tr!(
                "{names}: {why}; the next attempts are from {first} on",
                "{names}：{why}；下次尝试：{first} 起"
            ),
            (Some(next), _) => tr!(
                "{names}: {why}; the next attempt is at {next}",
                "{names}：{why}；下次尝试：{next}"
            ),
            (None, _) => tr!("{names}: {why}", "{names}：{why}"),
        }
    }
}

/// Returns how many messages were given up, which nobody was told yet.
fn given_up<'a>(
    standing: impl Iterator<Item = (&'a ChannelName, &'a ChannelStanding)>,
) -> Option<String> {
    let lost = standing.filter(|(_, it)| it.lost > 0);
    let lost: Vec<_> = lost
        .map(|(name, it)| format!("{name} {}", it.lost))
        .collect();
    (!lost.is_empty()).then(|| {
        let lost = lost.join(&tr!(", ", "、"));
        tr!("Messages given up: {lost}", "已放弃的消息数：{lost}")
    })
}
