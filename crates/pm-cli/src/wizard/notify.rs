//! Who is told what happens: channels, and what concerns all of them.

mod ask;
mod change;
mod channel;
mod some;
mod telegram;

use pm_core::config::{ChannelName, Config, ServerName, Thresholds};
use pm_core::request::{ChannelSettings, NotifyChange, Request};
use pm_notify::Outcome;

use super::apply::{Confirm, apply};
use super::ui::look::{Look, Paint};
use super::ui::{Answer, Entry, Question};
use super::{Desk, text};
use crate::commands;
use crate::language::tr;
use crate::output::{errors, notify as shown};

pub(super) use ask::secret;
#[cfg(test)]
pub(super) use {change::change as change_channel, channel::new};

/// One thing to do: its name, and what opens.
type Item = (fn() -> String, fn(&mut Desk<'_>) -> Answer<()>);

const ITEMS: &[Item] = &[
    (|| tr!("add a channel", "添加渠道"), add),
    (|| tr!("change a channel", "修改渠道"), change),
    (|| tr!("delete a channel", "删除渠道"), delete),
    (|| tr!("send a test message", "发送测试消息"), test),
    (|| tr!("quota warnings", "配额预警线"), thresholds),
    (
        || tr!("what messages call this host", "消息里的主机名称"),
        server_name,
    ),
    (|| tr!("what was sent", "发送记录"), log),
];

/// Returns what the menu says of it.
pub(super) fn state(config: &Config, look: Look) -> String {
    let channels = &config.notify.channels;
    sign(
        channels.values().any(|it| it.enabled),
        !channels.is_empty(),
        look,
    )
}

/// Returns how something that can be set up and switched on stands, in a sign and a word.
///
/// With a name of four columns before it, it is no wider than any other entry, so that two of them
/// stand beside each other on a phone.
pub(super) fn sign(is_on: bool, is_set_up: bool, look: Look) -> String {
    let word = match (is_on, is_set_up) {
        (true, _) => tr!("on", "已开启"),
        (false, true) => tr!("off", "已关闭"),
        (false, false) => tr!("off", "未配置"),
    };
    if !look.rich {
        return format!("({word})");
    }
    let sign = if is_on { "✅" } else { "⚪" };
    tr!("{sign} {word}", "{sign}{word}")
}

/// Shows the channels, and asks what to do.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    // What is shown beside it is as of now, too.
    desk.refresh()?;
    let config = &desk.view.config;
    let standing = pm_engine::standing(&commands::paths(desk.places));
    let (standing, untold) = match standing {
        Ok(standing) => (standing.unwrap_or_default(), None),
        // Where nobody is to be told, nothing is amiss.
        Err(_) if config.notify.channels.is_empty() => Default::default(),
        Err(error) => (Default::default(), Some(errors::untold(&error))),
    };
    let shown = match config.notify.channels.is_empty() {
        true => format!("{}\n{}", no_channel(), shown::general(config)),
        false => shown::channels(config, &standing, &pm_engine::zone(config), None),
    };
    desk.ui.say(&shown)?;
    if let Some(untold) = untold {
        desk.ui.note(&untold, Paint::Warn)?;
    }
    let mut entries: Vec<Entry> = ITEMS
        .iter()
        .enumerate()
        .map(|(index, (text, _))| Entry::new(index + 1, text()))
        .collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let title = tr!("Notifications", "通知设置");
    let chosen = desk.ui.choose(&title, &tr!("back", "返回"), &entries)?;
    match chosen.and_then(|index| ITEMS.get(index)) {
        Some((_, open)) => open(desk),
        None => Ok(()),
    }
}

fn change_of(change: NotifyChange) -> Request {
    Request::Notify(Box::new(change))
}

fn add(desk: &mut Desk<'_>) -> Answer<()> {
    let find = telegram::finder(commands::paths(desk.places));
    let (name, channel) = channel::new(&mut desk.ui, &desk.view.config, &find)?;
    let request = change_of(NotifyChange::Add {
        name: name.clone(),
        channel,
    });
    if !apply(desk, &request, Confirm::Always)? {
        return Ok(());
    }
    let title = tr!("Send a test message now?", "现在发送一条测试消息？");
    if desk.ui.confirm(title, true)? {
        try_one(desk, &name)?;
    }
    Ok(())
}

fn change(desk: &mut Desk<'_>) -> Answer<()> {
    let title = tr!("Change which channel?", "修改哪个渠道？");
    let Some(name) = which(desk, &title)? else {
        return Ok(());
    };
    let Some(present) = desk.view.config.notify.channels.get(&name).cloned() else {
        return Ok(());
    };
    let find = telegram::finder(commands::paths(desk.places));
    let settings = change::change(&mut desk.ui, &desk.view.config, &present, &find)?;
    let Some(settings) = settings else {
        return Ok(());
    };
    if settings == ChannelSettings::default() {
        return nothing_changed(desk);
    }
    let request = change_of(NotifyChange::Set { name, settings });
    apply(desk, &request, Confirm::IfHarmful).map(drop)
}

fn delete(desk: &mut Desk<'_>) -> Answer<()> {
    let title = tr!("Delete which channel?", "删除哪个渠道？");
    if let Some(name) = which(desk, &title)? {
        let request = change_of(NotifyChange::Delete { name });
        apply(desk, &request, Confirm::Always)?;
    }
    Ok(())
}

fn test(desk: &mut Desk<'_>) -> Answer<()> {
    let title = tr!("Test which channel?", "测试哪个渠道？");
    match which(desk, &title)? {
        Some(name) => try_one(desk, &name),
        None => Ok(()),
    }
}

fn try_one(desk: &mut Desk<'_>, name: &ChannelName) -> Answer<()> {
    let config = &desk.view.config;
    let Some(channel) = config.notify.channels.get(name) else {
        return Ok(());
    };
    let sending = tr!("Sending…", "正在发送…");
    desk.ui.note(&sending, Paint::Dim)?;
    let paths = commands::paths(desk.places);
    let outcome = pm_engine::try_channel(&paths, config, (name, channel));
    desk.ui.forget_typed();
    match outcome {
        Ok(outcome) => {
            let paint = match outcome {
                Outcome::Delivered { .. } => Paint::Good,
                _ => Paint::Bad,
            };
            desk.ui.note(&shown::tried(name, &outcome), paint)?;
        }
        Err(error) => desk.ui.note(&errors::text(&error.into()), Paint::Bad)?,
    }
    quote(desk, &format!("pm notify test {name}"))
}

fn thresholds(desk: &mut Desk<'_>) -> Answer<()> {
    let present = desk.view.config.notify.thresholds.clone();
    let thresholds = ask::thresholds(&mut desk.ui, &present)?;
    let change = NotifyChange::General {
        server_name: None,
        thresholds: Some(thresholds).filter(|thresholds: &Thresholds| *thresholds != present),
    };
    general(desk, change)
}

fn server_name(desk: &mut Desk<'_>) -> Answer<()> {
    let present = desk.view.config.notify.server_name.clone();
    let enter = present
        .as_ref()
        .map_or(tr!("the host name", "系统的主机名"), ServerName::to_string);
    let question = Question::new(
        tr!("What messages call this host", "消息里的主机名称"),
        tr!(
            "any text, such as hk-01; - is the host name; Enter: {enter}",
            "任意文字，如 hk-01；输入 - 表示用系统的主机名；直接回车：{enter}"
        ),
    );
    let read = |typed: &str| match typed.trim() {
        "" => Ok(present.clone()),
        "-" => Ok(None),
        typed => text::name(typed).map(Some),
    };
    let show = |name: &Option<ServerName>| {
        let name = name.as_ref().map(ServerName::to_string);
        name.unwrap_or_else(|| tr!("the host name", "系统的主机名"))
    };
    let name = desk.ui.ask(&question, read, show)?;
    let change = NotifyChange::General {
        server_name: Some(name.clone()).filter(|_| name != present),
        thresholds: None,
    };
    general(desk, change)
}

/// Carries out what concerns all channels, unless it is as it was.
fn general(desk: &mut Desk<'_>, change: NotifyChange) -> Answer<()> {
    let NotifyChange::General {
        server_name: None,
        thresholds: None,
    } = change
    else {
        return apply(desk, &change_of(change), Confirm::IfHarmful).map(drop);
    };
    nothing_changed(desk)
}

fn nothing_changed(desk: &mut Desk<'_>) -> Answer<()> {
    let nothing = tr!("Nothing was changed.", "未做任何改动。");
    desk.ui.note(&nothing, Paint::Dim)
}

fn log(desk: &mut Desk<'_>) -> Answer<()> {
    /// As many as there is room for on most screens.
    const SHOWN: u32 = 15;
    match pm_engine::recent(&commands::paths(desk.places), SHOWN) {
        Ok(mut sent) => {
            sent.reverse();
            let config = &desk.view.config;
            let zone = pm_engine::zone(config);
            desk.ui.say(&shown::sent(&sent, config, &zone, None))?;
        }
        Err(error) => desk.ui.note(&errors::untold(&error), Paint::Bad)?,
    }
    quote(desk, "pm notify log")
}

pub(super) fn quote(desk: &mut Desk<'_>, line: &str) -> Answer<()> {
    let flags = desk.places.as_flags();
    desk.ui.quote(&tr!(
        "The same as a command: {line}{flags}",
        "等效命令：{line}{flags}"
    ))
}

fn no_channel() -> String {
    tr!("There is no channel yet.", "还没有渠道。")
}

/// Asks for a channel; `None`: there is none, or the user goes back.
fn which(desk: &mut Desk<'_>, title: &str) -> Answer<Option<ChannelName>> {
    let channels = &desk.view.config.notify.channels;
    if channels.is_empty() {
        desk.ui.say(&no_channel())?;
        return Ok(None);
    }
    let names: Vec<ChannelName> = channels.keys().cloned().collect();
    let mut entries: Vec<Entry> = channels
        .iter()
        .enumerate()
        .map(|(index, (name, channel))| {
            Entry::new(index + 1, name.to_string()).now(shown::kind(&channel.via))
        })
        .collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let chosen = desk.ui.choose(title, &tr!("back", "返回"), &entries)?;
    Ok(chosen.and_then(|index| names.get(index).cloned()))
}
