//! The push: where to, on or off, now, and how it goes.

use pm_core::config::{Config, Push, ServerName, WebUrl};
use pm_core::request::{PushChange, PushSettings, Request};
use pm_notify::Outcome;

use super::apply::{Confirm, apply};
use super::notify::{quote, secret, sign};
use super::ui::look::{Look, Paint};
use super::ui::{Answer, Entry, Question, Ui};
use super::{Desk, text};
use crate::commands;
use crate::language::tr;
use crate::output::{errors, push as shown};

/// Returns what the menu says of it.
pub(super) fn state(config: &Config, look: Look) -> String {
    let push = config.push.as_ref();
    sign(push.is_some_and(|push| push.enabled), push.is_some(), look)
}

/// Shows how it goes, and asks what to do.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    // What is shown beside it is as of now, too.
    desk.refresh()?;
    let push = desk.view.config.push.clone();
    let Some(push) = push else {
        desk.ui.say(&tr!(
            "Each minute, the state of all services goes to a receiver, signed: a Cloudflare Worker, say.",
            "每分钟把所有端口的状态签名后推送到接收端，例如 Cloudflare Worker。"
        ))?;
        return set_up(desk, None);
    };
    let standing = pm_engine::standing(&commands::paths(desk.places));
    let (standing, untold) = match standing {
        Ok(standing) => (standing.and_then(|standing| standing.push), None),
        Err(error) => (None, Some(errors::untold(&error))),
    };
    let zone = pm_engine::zone(&desk.view.config);
    desk.ui
        .say(&shown::status(Some(&push), standing.as_ref(), &zone))?;
    if let Some(untold) = untold {
        desk.ui.note(&untold, Paint::Warn)?;
    }
    let switch = if push.enabled {
        tr!("switch it off", "关闭推送")
    } else {
        tr!("switch it on", "开启推送")
    };
    let entries = [
        Entry::new(1, tr!("push now", "立即推送")),
        Entry::new(2, switch),
        Entry::new(
            3,
            tr!("change address, node, secret", "修改地址、节点、密钥"),
        ),
        Entry::new(0, tr!("back", "返回")),
    ];
    let title = tr!("Push", "云端推送");
    match desk.ui.choose(&title, &tr!("back", "返回"), &entries)? {
        Some(0) => now(desk, &push),
        Some(1) => {
            let change = PushChange::Enable(!push.enabled);
            let request = Request::Push(Box::new(change));
            apply(desk, &request, Confirm::IfHarmful).map(drop)
        }
        Some(2) => set_up(desk, Some(&push)),
        _ => Ok(()),
    }
}

fn set_up(desk: &mut Desk<'_>, present: Option<&Push>) -> Answer<()> {
    let settings = ask(&mut desk.ui, present)?;
    if settings == PushSettings::default() {
        let nothing = tr!("Nothing was changed.", "未做任何改动。");
        return desk.ui.note(&nothing, Paint::Dim);
    }
    let request = Request::Push(Box::new(PushChange::Set(settings)));
    if !apply(desk, &request, Confirm::Always)? {
        return Ok(());
    }
    let title = tr!("Push now, to try it?", "现在推送一次试试？");
    match desk.view.config.push.clone() {
        Some(push) if desk.ui.confirm(title, true)? => now(desk, &push),
        _ => Ok(()),
    }
}

/// Asks where to push, and how; what stays is left out.
pub(super) fn ask(ui: &mut Ui, present: Option<&Push>) -> Answer<PushSettings> {
    let hint = |example: String, present: Option<String>| match present {
        Some(enter) => tr!("{example}; Enter: {enter}", "{example}；直接回车：{enter}"),
        None => example,
    };
    let url = present.map(|push| &push.url);
    let question = Question::new(
        tr!("Address of the receiver", "接收端地址"),
        hint(
            tr!(
                "such as https://pm.example.workers.dev/api/push",
                "如 https://pm.example.workers.dev/api/push"
            ),
            url.map(WebUrl::to_string),
        ),
    );
    let url: WebUrl = ui.ask(&question, |typed| or(typed, url), WebUrl::to_string)?;
    let node = present.map(|push| &push.node);
    let question = Question::new(
        tr!("Name of this node", "节点名"),
        hint(
            tr!(
                "by which the receiver tells hosts apart, such as hk-01",
                "接收端用它区分主机，如 hk-01"
            ),
            node.map(ServerName::to_string),
        ),
    );
    let node: ServerName = ui.ask(&question, |typed| or(typed, node), ServerName::to_string)?;
    let keeps = match present {
        Some(_) => {
            let title = tr!("Keep the secret as it is?", "密钥保持不变？");
            ui.confirm(title, true)?
        }
        None => false,
    };
    let secret = match keeps {
        true => None,
        false => Some(secret(ui, tr!("Secret of the receiver", "接收端的密钥"))?),
    };
    let had_notes = present.is_some_and(|push| push.notes);
    let title = tr!(
        "Push notes and names of groups, too?",
        "备注和分组名称也推送？"
    );
    let notes = ui.confirm(title, had_notes)?;
    Ok(PushSettings {
        url: Some(url).filter(|url| present.is_none_or(|push| push.url != *url)),
        node: Some(node).filter(|node| present.is_none_or(|push| push.node != *node)),
        node_id: None,
        secret,
        notes: Some(notes).filter(|notes| *notes != had_notes),
    })
}

/// Reads what was typed; nothing is what is there, if it is.
fn or<T>(typed: &str, present: Option<&T>) -> Result<T, String>
where
    T: Clone + std::str::FromStr<Err: std::error::Error + 'static>,
{
    match (typed.trim(), present) {
        ("", Some(present)) => Ok(present.clone()),
        (typed, _) => text::needed(typed),
    }
}

fn now(desk: &mut Desk<'_>, push: &Push) -> Answer<()> {
    let sending = tr!("Pushing…", "正在推送…");
    desk.ui.note(&sending, Paint::Dim)?;
    let done =
        commands::engine(desk.places).and_then(|mut engine| Ok(engine.push_now(push, &desk.view)?));
    desk.ui.forget_typed();
    match done {
        Ok(outcome) => {
            let paint = match outcome {
                Outcome::Delivered { .. } => Paint::Good,
                _ => Paint::Bad,
            };
            desk.ui.note(&shown::pushed(push, &outcome), paint)?;
        }
        Err(error) => desk.ui.note(&errors::text(&error), Paint::Bad)?,
    }
    quote(desk, "pm push now")
}
