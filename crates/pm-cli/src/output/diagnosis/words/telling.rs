//! Notifications and the push: whether they get through.

use pm_engine::doctor::Failing;
use pm_notify::outcome::shown;

use super::backups::ago;
use super::{Trouble, trouble};
use crate::language::{self, tr};
use crate::output::notify::one_line;

/// Returns how it stands with channels and push.
pub(super) fn of(
    channels: usize,
    push: bool,
    waiting: u64,
    failing: &[Failing],
) -> (String, Trouble) {
    if channels == 0 && !push {
        return (tr!("off", "关闭"), None);
    }
    if !failing.is_empty() {
        let said: Vec<_> = failing.iter().map(said).collect();
        let remedy = match failing.iter().find_map(|it| it.channel.as_ref()) {
            Some(name) => tr!(
                "`pm notify test {name}` shows what the server says, `pm notify set {name} --help` what can \
                 be changed",
                "`pm notify test {name}` 显示服务器的答复，`pm notify set {name} --help` 说明能改什么"
            ),
            None => tr!(
                "`pm push now` shows what the receiver says, `pm push set --help` what can be changed",
                "`pm push now` 显示接收端的答复，`pm push set --help` 说明能改什么"
            ),
        };
        let what = said.join(&tr!("; ", "；"));
        return (what, Some(trouble(why_it_matters(), remedy)));
    }
    let plural = if channels == 1 { "" } else { "s" };
    let mut what = vec![tr!("{channels} channel{plural}", "{channels} 个渠道")];
    what.extend(push.then(|| tr!("the push", "推送")));
    what.extend((waiting > 0).then(|| tr!("{waiting} waiting", "{waiting} 条等待")));
    (what.join(&tr!(", ", "，")), None)
}

/// Returns what is wrong where they do not.
pub(super) fn why_it_matters() -> String {
    tr!(
        "what happens is not heard of there; messages wait for a day",
        "那里收不到通知；消息最多保留一天"
    )
}

fn said(failing: &Failing) -> String {
    let (ago, why) = (
        ago(failing.age),
        one_line(&shown(&failing.why, language::current())),
    );
    match &failing.channel {
        Some(name) => tr!(
            "{name} has not got through for {ago}: {why}",
            "{name} 已有 {ago}没有送达：{why}"
        ),
        None => tr!(
            "the push has not got through for {ago}: {why}",
            "推送已有 {ago}没有送达：{why}"
        ),
    }
}
