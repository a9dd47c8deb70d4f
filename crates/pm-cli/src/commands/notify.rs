//! `pm notify`: who is told what happens.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use pm_core::config::{Channel, ChannelName, Config, Via};
use pm_core::request::{NotifyRefusal, Refusal};
use pm_engine::EngineError;
use pm_notify::Outcome;
use pm_notify::telegram::Chat;
use pm_store::outbox_db::Standing;

use crate::cli::secrets::Secrets;
use crate::cli::{FindChat, Notify as Command, NotifyLog, Places, Reading};
use crate::commands::{change, config};
use crate::language::{self, tr};
use crate::output::{errors, json, notify as shown, say, tell};

/// Runs one of the subcommands of `notify`.
pub(crate) fn run(places: &Places, command: Command) -> Result<ExitCode> {
    match command {
        Command::Change(command) => {
            let (request, options) = command.request(&mut Secrets::of_process())?;
            let waiting = Waiting::of(places);
            change::run_and_say(places, &request, options, |executed| {
                waiting.dropped_by(&executed.before, &executed.after)
            })
        }
        Command::List(reading) => list(places, reading),
        Command::Test(test) => try_channels(places, test.name),
        Command::Log(log) => show_log(places, &log),
        Command::FindChat(find) => find_chat(places, &find),
    }
}

/// How many messages wait for each channel.
pub(crate) struct Waiting(BTreeMap<ChannelName, u64>);

impl Waiting {
    /// Returns those of this host; none where they cannot be looked at.
    pub(crate) fn of(places: &Places) -> Self {
        let standing = pm_engine::standing(&super::paths(places));
        let channels = standing.ok().flatten().unwrap_or_default().channels;
        let waiting = channels.into_iter().map(|(name, it)| (name, it.waiting));
        Self(waiting.collect())
    }

    /// Returns what waits no longer, because its channel is off or gone `after` a change, a line
    /// each.
    pub(crate) fn dropped_by(&self, before: &Config, after: &Config) -> Vec<String> {
        let is_on = |config: &Config, name: &ChannelName| {
            let channel = config.notify.channels.get(name);
            channel.is_some_and(|channel| channel.enabled)
        };
        let waiting = self.0.iter().filter(|(_, count)| **count > 0);
        let dropped = waiting.filter(|(name, _)| is_on(before, name) && !is_on(after, name));
        let said = dropped.map(|(name, count)| {
            let plural = if *count == 1 { "" } else { "s" };
            tr!(
                "{name}: {count} message{plural} waiting for it will not be sent",
                "{name}：等待发送的 {count} 条消息不再发送"
            )
        });
        said.collect()
    }
}

fn list(places: &Places, reading: Reading) -> Result<ExitCode> {
    let config = config::current(places)?;
    let standing = standing(places, &config);
    if reading.json {
        say!("{}", json::channels(&config, &standing)?);
    } else {
        let zone = pm_engine::zone(&config);
        say!("{}", shown::channels(&config, &standing, &zone, None));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns how what is sent stands; where that cannot be known, it is told why.
pub(crate) fn standing(places: &Places, config: &Config) -> Standing {
    match pm_engine::standing(&super::paths(places)) {
        Ok(standing) => standing.unwrap_or_default(),
        Err(error) => {
            if config.notify.channels.values().any(|it| it.enabled) || config.push.is_some() {
                tell!("{}", errors::untold(&error));
            }
            Standing::default()
        }
    }
}

fn try_channels(places: &Places, name: Option<ChannelName>) -> Result<ExitCode> {
    let config = config::current(places)?;
    let chosen: Vec<(&ChannelName, &Channel)> = match &name {
        Some(name) => vec![(name, channel(&config, name)?)],
        None => {
            let channels = config.notify.channels.iter();
            channels.filter(|(_, channel)| channel.enabled).collect()
        }
    };
    if chosen.is_empty() {
        return Err(anyhow!(tr!(
            "there is no channel yet that is on: add one with `pm notify add`",
            "还没有已开启的渠道：用 `pm notify add` 添加"
        )));
    }
    let mut code = ExitCode::SUCCESS;
    for (name, channel) in chosen {
        let outcome = pm_engine::try_channel(&super::paths(places), &config, (name, channel))?;
        let said = shown::tried(name, &outcome);
        if matches!(outcome, Outcome::Delivered { .. }) {
            say!("{said}");
        } else {
            tell!("{said}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn channel<'a>(config: &'a Config, name: &ChannelName) -> Result<&'a Channel> {
    let channel = config.notify.channels.get(name);
    channel.ok_or_else(|| {
        let refusal: Refusal = NotifyRefusal::NoSuchChannel(name.clone()).into();
        EngineError::from(refusal).into()
    })
}

fn show_log(places: &Places, log: &NotifyLog) -> Result<ExitCode> {
    // Of one channel there may be few among all that is kept.
    let most = log.name.as_ref().map_or(log.lines, |_| u32::MAX);
    let mut sent = pm_engine::recent(&super::paths(places), most)?;
    sent.retain(|it| log.name.as_ref().is_none_or(|name| it.channel == *name));
    if let (Some(name), true) = (&log.name, sent.is_empty()) {
        channel(&config::current(places)?, name)?;
    }
    sent.truncate(usize::try_from(log.lines).unwrap_or(usize::MAX));
    sent.reverse();
    if log.reading.json {
        say!("{}", json::sent(&sent)?);
    } else {
        let config = config::current(places)?;
        let zone = pm_engine::zone(&config);
        say!("{}", shown::sent(&sent, &config, &zone, None));
    }
    Ok(ExitCode::SUCCESS)
}

fn find_chat(places: &Places, find: &FindChat) -> Result<ExitCode> {
    let token = find.token(&mut Secrets::of_process())?;
    let paths = super::paths(places);
    let chats = match (token, &find.name) {
        (Some(token), _) => pm_engine::find_chats(&paths, &token, find.api_base.as_ref())?,
        (None, Some(name)) => {
            let config = config::current(places)?;
            let Via::Telegram(telegram) = &channel(&config, name)?.via else {
                return Err(anyhow!(tr!(
                    "channel {name} is not of the kind telegram",
                    "渠道 {name} 的类型不是 telegram"
                )));
            };
            let api_base = telegram.api_base.as_ref();
            pm_engine::find_chats(&paths, &telegram.token, api_base)?
        }
        // One of the two is required.
        (None, None) => Ok(Vec::new()),
    };
    let chats: Vec<Chat> = chats.map_err(|failure| {
        let why = failure.text(language::current());
        anyhow!(tr!("cannot ask the bot: {why}", "无法查询机器人：{why}"))
    })?;
    if find.reading.json {
        say!("{}", json::chats(&chats)?);
    } else {
        say!("{}", shown::chats(&chats, None));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;

    #[test]
    fn what_will_not_be_sent_is_said_of_who_goes_and_who_is_off() {
        let channel = |name: &str, on: bool| {
            format!(r#""{name}":{{"enabled":{on},"via":{{"wecom":{{"url":"https://q/x"}}}}}}"#)
        };
        let config = |channels: &[String]| {
            let channels = channels.join(",");
            let text = format!(r#"{{"schema":1,"notify":{{"channels":{{{channels}}}}}}}"#);
            Config::parse(&text).unwrap()
        };
        let (on, off) = (|name| channel(name, true), |name| channel(name, false));
        let before = config(&[
            on("gone"),
            on("off"),
            on("stays"),
            off("was_off"),
            on("idle"),
        ]);
        let after = config(&[off("off"), on("stays"), off("was_off")]);
        let counts = [
            ("gone", 1),
            ("off", 6),
            ("stays", 2),
            ("was_off", 3),
            ("idle", 0),
        ];
        let counts = counts.map(|(name, count)| (name.parse().unwrap(), count));
        let said = || Waiting(counts.clone().into()).dropped_by(&before, &after);
        assert_eq!(
            said(),
            [
                "gone: 1 message waiting for it will not be sent",
                "off: 6 messages waiting for it will not be sent"
            ]
        );
        let chinese = in_chinese(|| said().join("\n"));
        assert!(
            chinese.starts_with("gone：等待发送的 1 条消息不再发送\n"),
            "{chinese}"
        );
    }
}
