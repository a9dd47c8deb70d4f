//! The push, and how it goes.

use pm_core::calendar::Zone;
use pm_core::config::Push;
use pm_notify::Outcome;
use pm_store::outbox_db::PushStanding;

use super::notify::{minute, one_line, when};
use crate::language::{self, tr};

/// Returns where the state is pushed, and how that goes, a line each.
pub(crate) fn status(push: Option<&Push>, standing: Option<&PushStanding>, zone: &Zone) -> String {
    let Some(push) = push else {
        return tr!(
            "The push is not set up: `pm push set --help` says how.",
            "还没有设置推送：`pm push set --help` 说明如何设置。"
        );
    };
    let state = if push.enabled {
        tr!("on", "已开启")
    } else {
        tr!("off", "已关闭")
    };
    let (url, node) = (&push.url, &push.node);
    let mut lines = vec![
        tr!("Push:          {state}", "推送：    {state}"),
        tr!("Receiver:      {url}", "接收端：  {url}"),
        tr!("Node:          {node}", "节点：    {node}"),
    ];
    if let Some(id) = &push.node_id {
        lines.push(tr!("Shown as:      {id}", "显示为：  {id}"));
    }
    lines.push(if push.notes {
        tr!("Notes:         are pushed", "备注：    一起推送")
    } else {
        tr!("Notes:         are not pushed", "备注：    不推送")
    });
    let sent = when(standing.and_then(|it| it.sent), zone);
    lines.push(tr!("Last accepted: {sent}", "最近送达：{sent}"));
    if let Some(since) = standing.and_then(|it| it.failing_since) {
        let since = minute(since, zone);
        lines.push(tr!("Failing since: {since}", "失败起于：{since}"));
    }
    if let Some(why) = standing.and_then(|it| it.error.as_ref()) {
        let why = one_line(&pm_notify::outcome::shown(why, language::current()));
        lines.push(tr!("Why:           {why}", "原因：    {why}"));
    }
    if let Some(next) = standing.and_then(|it| it.next_try) {
        let next = minute(next, zone);
        lines.push(tr!("Next attempt:  {next}", "下次尝试：{next}"));
    }
    lines.join("\n")
}

/// Returns that nothing is pushed but what is asked for.
pub(crate) fn is_off() -> String {
    tr!(
        "The push is off: this is pushed once; `pm push on` pushes each minute.",
        "推送已关闭：这次只推送一遍；`pm push on` 之后每分钟推送。"
    )
}

/// Returns what became of a push at once.
pub(crate) fn pushed(push: &Push, outcome: &Outcome) -> String {
    let url = &push.url;
    match outcome {
        Outcome::Delivered { answer } if answer.is_empty() => {
            tr!("{url} took the state", "{url} 已接收")
        }
        Outcome::Delivered { answer } => {
            tr!(
                "{url} took the state ({answer})",
                "{url} 已接收（{answer}）"
            )
        }
        Outcome::Retry { failure, .. } | Outcome::Refused { failure } => {
            let why = failure.text(language::current());
            tr!(
                "{url} did not take the state: {why}",
                "{url} 没有接收：{why}"
            )
        }
        // Only chats move.
        Outcome::Moved { .. } => tr!("{url} did not take the state", "{url} 没有接收"),
    }
}
