//! Choosing among the services and groups of the table.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::holder::Holder;
use pm_core::port::{PortList, PortRange};
use pm_core::report::BlockedBy;
use pm_core::request::Selection;

use super::Desk;
use super::ids::{Ids, is_all};
use super::ui::Answer;
use crate::language::tr;
use crate::output::table::one_line;
use crate::output::words::holder as name;

/// Asks for any number of `candidates`.
pub(super) fn several(
    desk: &mut Desk<'_>,
    title: &str,
    candidates: &[Holder],
) -> Answer<Vec<Holder>> {
    let hint = if desk.ui.ticks() {
        tr!(
            "Space ticks, or type IDs or ports: 1,3-5 or 20000 or all; then Enter",
            "空格勾选，或输入 ID、端口（如 1,3-5、20000、all），回车确认"
        )
    } else {
        tr!(
            "Type IDs or ports: 1,3-5 or 20000 or all",
            "请输入 ID 或端口，如 1,3-5、20000、all"
        )
    };
    let (ids, items) = labels(desk, candidates);
    let closed = closed_otherwise(desk);
    let read =
        |ticked: &BTreeSet<usize>, typed: &str| read(&ids, candidates, &closed, ticked, typed);
    desk.ui
        .several(title, &hint, &items, BTreeSet::new(), read, |chosen| {
            names(chosen)
        })
}

/// Asks for one of `candidates`.
pub(super) fn one(desk: &mut Desk<'_>, title: &str, candidates: &[Holder]) -> Answer<Holder> {
    let hint = if desk.ui.ticks() {
        tr!(
            "Arrows, or type an ID or a port; then Enter",
            "方向键选择，或输入 ID、端口，回车确认"
        )
    } else {
        tr!("Type an ID or a port", "请输入 ID 或端口")
    };
    let (ids, items) = labels(desk, candidates);
    let closed = closed_otherwise(desk);
    let read = |ticked: &BTreeSet<usize>, typed: &str| match &read(
        &ids, candidates, &closed, ticked, typed,
    )?[..]
    {
        [one] => Ok(one.clone()),
        _ => Err(tr!("type one only", "一次只能选一个")),
    };
    desk.ui.one(title, &hint, &items, read, name)
}

fn read(
    ids: &Ids,
    candidates: &[Holder],
    closed: &BTreeMap<Holder, BlockedBy>,
    ticked: &BTreeSet<usize>,
    typed: &str,
) -> Result<Vec<Holder>, String> {
    let mut chosen: BTreeSet<Holder> = if is_all(typed) {
        candidates.iter().cloned().collect()
    } else {
        ids.read(typed)?.into_iter().collect()
    };
    chosen.extend(
        ticked
            .iter()
            .filter_map(|&index| candidates.get(index))
            .cloned(),
    );
    if chosen.is_empty() {
        return Err(tr!("nothing was chosen", "什么都没有选"));
    }
    match chosen.iter().find(|one| !candidates.contains(one)) {
        Some(other) => Err(why_not(other, closed.get(other))),
        None => Ok(chosen.into_iter().collect()),
    }
}

/// Returns the services that let nothing through, though nobody has blocked them by hand.
fn closed_otherwise(desk: &Desk<'_>) -> BTreeMap<Holder, BlockedBy> {
    let reports = desk.view.reports.iter();
    reports
        .filter_map(|report| Some((Holder::Service(report.ports), report.blocked_by?)))
        .filter(|(_, why)| *why != BlockedBy::Operator)
        .collect()
}

/// Says why somebody who is in the table is not among those to choose from.
fn why_not(other: &Holder, closed: Option<&BlockedBy>) -> String {
    let other = name(other);
    match closed {
        Some(BlockedBy::Expiry) => tr!(
            "{other} is closed because its last day has passed: another one opens it (2)",
            "{other} 已过到期日而关闭：改到期日才会打开（2）"
        ),
        Some(_) => tr!(
            "{other} is closed because its quota is used up: a reset (8) or a larger quota (2) opens it",
            "{other} 因配额用尽而关闭：重置流量（8）或提高配额（2）才会打开"
        ),
        None => tr!(
            "{other} is not among those to choose from here",
            "{other} 不在这里可选的范围内"
        ),
    }
}

fn labels(desk: &Desk<'_>, candidates: &[Holder]) -> (Ids, Vec<String>) {
    let ids = desk.ids();
    let label = |holder: &Holder| {
        let note = match holder {
            Holder::Service(ports) => {
                let reports = &desk.view.reports;
                let report = reports.iter().find(|report| report.ports == *ports);
                report.map_or(String::new(), |report| one_line(&report.note))
            }
            Holder::Group(_) => String::new(),
        };
        let (id, name) = (ids.of(holder), name(holder));
        format!("{id:>3}  {name:<12} {note}").trim_end().to_owned()
    };
    let items = candidates.iter().map(label).collect();
    (ids, items)
}

/// Returns what they are called, the first few by name.
fn names(holders: &[Holder]) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = holders.iter().take(SHOWN).map(name).collect();
    let names = names.join(&tr!(", ", "、"));
    match holders.len() {
        0..=SHOWN => names,
        all => tr!("{names}, ... ({all} in all)", "{names}…（共 {all} 个）"),
    }
}

/// Returns the services among `holders`; `None`: none is one. All there are, are called so, that a command
/// may be short.
pub(super) fn services(desk: &Desk<'_>, holders: &[Holder]) -> Option<Selection> {
    selection(desk.ids().services().len(), holders)
}

fn selection(there_are: usize, holders: &[Holder]) -> Option<Selection> {
    let ports = ports(holders)?;
    let count = ports.iter().count();
    Some(if count == there_are && count > 1 {
        Selection::All
    } else {
        Selection::Ports(ports)
    })
}

/// Returns the ports of the services among `holders`; `None`: none is one.
pub(super) fn ports(holders: &[Holder]) -> Option<PortList> {
    let ports: Vec<PortRange> = holders
        .iter()
        .filter_map(|holder| match holder {
            Holder::Service(ports) => Some(*ports),
            Holder::Group(_) => None,
        })
        .collect();
    PortList::new(ports).ok()
}

/// Returns every service, in the order of the table.
pub(super) fn all_services(desk: &Desk<'_>) -> Vec<Holder> {
    desk.ids()
        .services()
        .iter()
        .copied()
        .map(Holder::Service)
        .collect()
}

/// Returns every group.
pub(super) fn all_groups(desk: &Desk<'_>) -> Vec<Holder> {
    desk.ids()
        .groups()
        .iter()
        .cloned()
        .map(Holder::Group)
        .collect()
}

/// Says that there is nothing to choose from; returns whether that is so.
pub(super) fn is_empty(desk: &mut Desk<'_>, candidates: &[Holder]) -> Answer<bool> {
    if candidates.is_empty() {
        desk.ui.say(&tr!(
            "There is nothing yet to choose from.",
            "目前没有可选的对象。"
        ))?;
    }
    Ok(candidates.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_services_are_called_all() {
        let chosen = |count: u16| -> Vec<Holder> {
            let services =
                (1..=count).map(|port| Holder::Service(PortRange::new(port, port).unwrap()));
            services.chain(["group vip".parse().unwrap()]).collect()
        };
        let shown = |there_are: usize, count: u16| {
            selection(there_are, &chosen(count)).map(|ports| ports.to_string())
        };
        assert_eq!(shown(500, 500).as_deref(), Some("--all"));
        assert_eq!(shown(500, 2).as_deref(), Some("1,2"));
        assert_eq!(shown(1, 1).as_deref(), Some("1"));
        assert_eq!(shown(500, 0), None);
    }
}
