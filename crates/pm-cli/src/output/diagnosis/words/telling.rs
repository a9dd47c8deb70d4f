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
        let said: Vec<_> = by_reason(failing).iter().map(Reason::said).collect();
        let what = said.join(&tr!("; ", "；"));
        return (what, Some(trouble(why_it_matters(), remedy(failing))));
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

/// Why some do not get through.
struct Reason<'a> {
    why: String,
    who: Vec<&'a Failing>,
}

/// Returns those who fail for the same reason together: one outage stops many.
fn by_reason(failing: &[Failing]) -> Vec<Reason<'_>> {
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for one in failing {
        let why = one_line(&shown(&one.why, language::current()));
        match reasons.iter_mut().find(|reason| reason.why == why) {
            Some(reason) => reason.who.push(one),
            None => reasons.push(Reason {
                why,
                who: vec![one],
            }),
        }
    }
    reasons
}

impl Reason<'_> {
    fn said(&self) -> String {
        let why = &self.why;
        let names: Vec<_> = self.who.iter().map(|it| name(it)).collect();
        let names = names.join(&tr!(", ", "、"));
        // Between two scripts stands a space.
        let gap = if names.ends_with(|last: char| last.is_ascii()) {
            " "
        } else {
            ""
        };
        let ages = || self.who.iter().map(|it| ago(it.age));
        let longest = ago(self.who.iter().map(|it| it.age).max().unwrap_or(0));
        if ages().any(|age| age != longest) {
            return tr!(
                "{names} have not got through for up to {longest}: {why}",
                "{names}{gap}最长已有 {longest}没有送达：{why}"
            );
        }
        let have = if self.who.len() == 1 { "has" } else { "have" };
        tr!(
            "{names} {have} not got through for {longest}: {why}",
            "{names}{gap}已有 {longest}没有送达：{why}"
        )
    }
}

fn name(failing: &Failing) -> String {
    match &failing.channel {
        Some(name) => name.to_string(),
        None => tr!("the push", "推送"),
    }
}

/// Returns how to find out more, and to change it: of each channel where several fail.
fn remedy(failing: &[Failing]) -> String {
    let channels: Vec<_> = failing
        .iter()
        .filter_map(|it| it.channel.as_ref())
        .collect();
    let of_channels = match channels[..] {
        [] => None,
        [name] => Some(tr!(
            "`pm notify test {name}` shows what the server says, `pm notify set {name} --help` what can \
             be changed",
            "`pm notify test {name}` 显示服务器的答复，`pm notify set {name} --help` 说明能改什么"
        )),
        _ => Some(tr!(
            "`pm notify test` shows what each server says, `pm notify set --help` what can be changed",
            "`pm notify test` 显示各个服务器的答复，`pm notify set --help` 说明能改什么"
        )),
    };
    let of_push = failing.iter().any(|it| it.channel.is_none()).then(|| {
        tr!(
            "`pm push now` shows what the receiver says, `pm push set --help` what can be changed",
            "`pm push now` 显示接收端的答复，`pm push set --help` 说明能改什么"
        )
    });
    let all: Vec<_> = of_channels.into_iter().chain(of_push).collect();
    all.join(&tr!("; ", "；"))
}
