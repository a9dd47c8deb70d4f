//! Of what a channel tells: all, none, or some, ticked or typed.
//!
//! What is told now is ticked already, so Enter alone keeps it. Names that are typed are all that is told.

use std::collections::BTreeSet;

use pm_core::config::{Config, EventKind};
use pm_core::holder::Holder;

use super::ask::read;
use crate::language::tr;
use crate::output::words::holder as name;
use crate::wizard::text;
use crate::wizard::ui::{Answer, Ui};

/// Asks which events are told; `None`: all.
pub(super) fn events(
    ui: &mut Ui,
    present: Option<&BTreeSet<EventKind>>,
) -> Answer<Option<BTreeSet<EventKind>>> {
    let show = |kinds: &BTreeSet<EventKind>| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        names.join(", ")
    };
    let enter = shown(present, show);
    let hint = if ui.ticks() {
        tr!(
            "Space ticks, or type names: quota,blocked or all; then Enter",
            "空格勾选，或输入名称（如 quota,blocked、all），回车确认"
        )
    } else {
        tr!(
            "Type names: quota,blocked or all; Enter: {enter}",
            "请输入名称，如 quota,blocked、all；直接回车：{enter}"
        )
    };
    let items: Vec<String> = EventKind::ALL
        .iter()
        .map(|kind| format!("{:<9} {}", kind.name(), explained(*kind)))
        .collect();
    let before = ticks(&EventKind::ALL, present);
    let read = |ticked: &BTreeSet<usize>, typed: &str| match &*text::separated(typed) {
        "" => Ok(ticked_ones(&EventKind::ALL, ticked, present)),
        "all" => Ok(None),
        "none" => Ok(Some(BTreeSet::new())),
        typed => {
            let kinds: Result<_, String> = typed.split(',').map(read).collect();
            kinds.map(Some)
        }
    };
    let title = tr!("Which events?", "通知哪些事件？");
    ui.several(&title, &hint, &items, before, read, |kinds| {
        shown(kinds.as_ref(), show)
    })
}

/// Asks of which services and groups is told; `None`: of all.
pub(super) fn services(
    ui: &mut Ui,
    config: &Config,
    present: Option<&BTreeSet<Holder>>,
) -> Answer<Option<BTreeSet<Holder>>> {
    let show = |chosen: &BTreeSet<Holder>| {
        let names: Vec<_> = chosen.iter().map(name).collect();
        names.join(&tr!(", ", "、"))
    };
    let enter = shown(present, show);
    let hint = if ui.ticks() {
        tr!(
            "Space ticks, or type names: 20000,group vip or all; then Enter",
            "空格勾选，或输入名称（如 20000,group vip、all），回车确认"
        )
    } else {
        tr!(
            "Type names: 20000,group vip or all; Enter: {enter}",
            "请输入名称，如 20000,group vip、all；直接回车：{enter}"
        )
    };
    let services = config.services.keys().copied().map(Holder::Service);
    let groups = config.groups.keys().cloned().map(Holder::Group);
    let all: Vec<Holder> = groups.chain(services).collect();
    let items: Vec<String> = all.iter().map(name).collect();
    let before = ticks(&all, present);
    let read = |ticked: &BTreeSet<usize>, typed: &str| match &*text::tidy(typed) {
        "" => Ok(ticked_ones(&all, ticked, present)),
        "all" => Ok(None),
        "none" => Ok(Some(BTreeSet::new())),
        typed => {
            let names = typed.split(',').filter(|name| !name.trim().is_empty());
            let chosen: BTreeSet<Holder> = names.map(read).collect::<Result<_, _>>()?;
            match chosen.iter().find(|one| !all.contains(one)) {
                Some(other) => {
                    let other = name(other);
                    Err(tr!("there is no {other}", "没有{other}"))
                }
                None if chosen.is_empty() => Err(tr!("nothing was chosen", "什么都没有选")),
                None => Ok(Some(chosen)),
            }
        }
    };
    let title = tr!("Of which services and groups?", "通知哪些端口和分组？");
    ui.several(&title, &hint, &items, before, read, |chosen| {
        shown(chosen.as_ref(), show)
    })
}

/// Returns the indices of those that are told of; `None`: all are.
fn ticks<T: Ord>(all: &[T], present: Option<&BTreeSet<T>>) -> BTreeSet<usize> {
    let is_told = |one: &T| present.is_none_or(|present| present.contains(one));
    let all = all.iter().enumerate();
    all.filter(|(_, one)| is_told(one))
        .map(|(index, _)| index)
        .collect()
}

/// Returns those that are ticked; `None`: all are. Whoever ticked nothing else keeps what there is.
fn ticked_ones<T: Clone + Ord>(
    all: &[T],
    ticked: &BTreeSet<usize>,
    present: Option<&BTreeSet<T>>,
) -> Option<BTreeSet<T>> {
    if *ticked == ticks(all, present) {
        return present.cloned();
    }
    let ones = ticked.iter().filter_map(|&index| all.get(index)).cloned();
    (ticked.len() < all.len()).then(|| ones.collect())
}

fn shown<T>(chosen: Option<&BTreeSet<T>>, show: impl Fn(&BTreeSet<T>) -> String) -> String {
    match chosen {
        None => tr!("all", "全部"),
        Some(chosen) if chosen.is_empty() => tr!("none", "无"),
        Some(chosen) => show(chosen),
    }
}

fn explained(kind: EventKind) -> String {
    match kind {
        EventKind::Quota => tr!("a part of a quota is used", "配额用到预警线"),
        EventKind::Blocked => tr!("cut off", "被切断"),
        EventKind::Unblocked => tr!("open again", "恢复放行"),
        EventKind::Reset => tr!("a new period begins", "开始新周期"),
        EventKind::Punished => tr!("slowed down by DynQoS", "触发动态限速"),
        EventKind::Restored => tr!("no longer slowed down", "动态限速解除"),
        EventKind::Expiring => tr!("expires soon", "即将到期"),
        EventKind::Expired => tr!("expired", "已到期"),
        EventKind::Healed => tr!("rules were removed and put back", "规则被删，已恢复"),
        EventKind::Restarted => tr!("the host was restarted", "主机重启"),
        EventKind::Delivery => tr!(
            "another channel fails, or is well again",
            "其他渠道发送失败或恢复"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_now_is_ticked_and_stays() {
        let all = ["a", "b", "c"];
        let some: BTreeSet<&str> = ["a", "gone"].into();
        for (present, ticked, expected) in [
            (None, [0, 1, 2].into(), None),
            (None, [0].into(), Some(["a"].into())),
            (None, BTreeSet::new(), Some(BTreeSet::new())),
            (Some(&some), [0].into(), Some(some.clone())),
            (Some(&some), [0, 1].into(), Some(["a", "b"].into())),
            (Some(&some), [0, 1, 2].into(), None),
        ] {
            assert_eq!(ticked_ones(&all, &ticked, present), expected, "{ticked:?}");
        }
        assert_eq!(ticks(&all, None), [0, 1, 2].into());
        assert_eq!(ticks(&all, Some(&some)), [0].into());
        assert_eq!(ticked_ones(&[] as &[&str], &[].into(), None), None);
    }
}
