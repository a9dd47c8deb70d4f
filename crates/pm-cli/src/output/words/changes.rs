//! What a request changed, or would change.

mod replaced;
mod settings;
mod usage;

use std::fmt;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Config, Contract, Group, GroupName, QuotaSize, Service};
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::report::{GroupReport, Report};
use pm_core::request::{Difference, Request, Selection, differences, group_differences};
use pm_core::units::{SizeFamily, approximate};
use pm_engine::Executed;

use super::{counts, group, list, slowed_down, when};
use crate::language::tr;
use crate::output::table::family;

/// Returns what `request` changed, or would change, a line each.
pub(crate) fn changes(request: &Request, executed: &Executed) -> Vec<String> {
    let (groups_before, reports_before) = (&executed.groups_before, &executed.reports_before);
    let mut lines = configured(
        &executed.before,
        &executed.after,
        groups_before,
        reports_before,
    );
    let replaces = replaced::is_all(request);
    for now in &executed.groups_after {
        let was = executed
            .groups_before
            .iter()
            .find(|was| was.name == now.name);
        match was {
            Some(was) => lines.extend(usage::of_group(was, now, replaces)),
            None => {
                let billed = begins_with(request, now.adjust, now.billed, now.quota);
                lines.extend(billed.map(|billed| about(group(&now.name), &billed)));
            }
        }
    }
    for now in &executed.reports_after {
        match find(&executed.reports_before, now.ports) {
            Some(was) => lines.extend(usage::of_service(was, now, replaces)),
            None => {
                let billed = begins_with(request, now.adjust, now.billed, now.quota);
                let said = billed.into_iter().chain(usage::cut_off(now));
                lines.extend(said.map(|what| about(now.ports, &what)));
            }
        }
    }
    lines.extend(replaced::history(executed.replaced));
    if let Request::Restore { .. } = request
        && begins_anew(executed)
    {
        lines.push(tr!(
            "A service or group whose period is over, or that changes group, begins at nothing used; `pm history` has what was used before.",
            "周期已结束或更换了分组的，用量从零开始；此前的用量可用 `pm history` 查看。"
        ));
    }
    if executed.stale_config.is_some() {
        lines.push(tr!(
            "The configuration file could not be used and is replaced; what it contained is kept as a version.",
            "配置文件原先不能用，现予替换；原来的内容存为一个版本。"
        ));
    }
    if lines.is_empty() {
        lines.push(match request {
            Request::Reset { .. } | Request::ResetGroup { .. } => {
                let text = tr!(
                    "a new period begins; nothing was billed in the one before",
                    "新周期开始；上一个周期没有计费流量"
                );
                match request {
                    Request::ResetGroup { name } => about(group(name), &text),
                    Request::Reset {
                        ports: Selection::Ports(ports),
                    } => about(list(&ports.iter().collect::<Vec<_>>()), &text),
                    _ => about(tr!("all", "全部"), &text),
                }
            }
            _ => tr!(
                "Nothing to change: it is so already.",
                "无需更改：已经是这样。"
            ),
        });
    }
    lines
}

/// Returns what differs between two configurations, a line each.
pub(crate) fn between(before: &Config, after: &Config) -> Vec<String> {
    configured(before, after, &[], &[])
}

/// Returns what a service or a group is billed from the start; `None`: nothing.
///
/// But for a past from elsewhere, only who was deleted and comes back is corrected before he has
/// used anything.
fn begins_with(
    request: &Request,
    adjust: i64,
    billed: u64,
    quota: Option<QuotaSize>,
) -> Option<String> {
    let used = approximate(billed, family(quota));
    if let Request::Adopt(_) = request {
        return (billed > 0).then(|| tr!("{used} are used already", "已用流量 {used}"));
    }
    (adjust != 0).then(|| {
        tr!(
            "{used} are used already, as when it was deleted",
            "已用流量 {used}，与删除时相同"
        )
    })
}

/// Whether a service or a group is there that was not before, and has used nothing, or a service
/// is in another group.
fn begins_anew(executed: &Executed) -> bool {
    let has_bill = |ports| {
        let report = find(&executed.reports_after, ports);
        report.is_some_and(|report| report.group.is_some() || report.billed > 0)
    };
    let has_group_bill = |name: &GroupName| {
        let mut reports = executed.groups_after.iter();
        reports.any(|report| report.name == *name && report.billed > 0)
    };
    let groups = group_differences(&executed.before, &executed.after);
    let services = differences(&executed.before, &executed.after);
    groups.iter().any(|(name, difference)| {
        matches!(difference, Difference::Added(_)) && !has_group_bill(name)
    }) || services
        .iter()
        .any(|(&ports, difference)| match difference {
            Difference::Added(_) => !has_bill(ports),
            Difference::Changed { from, to } => from.group != to.group,
            Difference::Removed => false,
        })
}

/// Returns what differs in the configuration, with what is used by those that go, as far as it is
/// known.
fn configured(
    before: &Config,
    after: &Config,
    groups: &[GroupReport],
    reports: &[Report],
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, difference) in group_differences(before, after) {
        let change = match difference {
            Difference::Added(group) => {
                let contract = contract(group.contract());
                tr!("made; {contract}", "已建立；{contract}")
            }
            Difference::Removed => {
                let mut reports = groups.iter();
                let report = reports.find(|report| report.name == name);
                let used = used(report.map(|report| report.usage));
                tr!("removed{used}", "已删除{used}")
            }
            Difference::Changed { from, to } => changed_group(&from, &to),
        };
        lines.push(about(group(&name), &change));
    }
    for (ports, difference) in differences(before, after) {
        let change = match difference {
            Difference::Added(service) => {
                let terms = terms(&service);
                tr!("monitored; {terms}", "开始监控；{terms}")
            }
            Difference::Removed => {
                let report = find(reports, ports);
                let used = used(report.map(|report| report.usage));
                tr!("no longer monitored{used}", "不再监控{used}")
            }
            Difference::Changed { from, to } => changed(&from, &to),
        };
        lines.push(about(ports, &change));
    }
    lines.extend(settings::between(before, after));
    lines.extend(super::voice::differences(before, after));
    lines
}

/// Returns what is said about a service or group.
fn about(whom: impl fmt::Display, what: &str) -> String {
    tr!("{whom}: {what}", "{whom}：{what}")
}

fn joined(parts: &[String]) -> String {
    parts.join(&tr!("; ", "；"))
}

fn open_again() -> String {
    tr!("open again", "恢复放行")
}

/// Returns the report of one service; `reports` are in ascending order.
fn find(reports: &[Report], ports: PortRange) -> Option<&Report> {
    let index = reports
        .binary_search_by_key(&ports, |report| report.ports)
        .ok()?;
    reports.get(index)
}

fn used(usage: Option<Usage>) -> String {
    let Some(Usage { incoming, outgoing }) = usage else {
        return String::new();
    };
    let [incoming, outgoing] =
        [incoming, outgoing].map(|bytes| approximate(bytes, SizeFamily::Decimal));
    tr!(
        "; used in this period: {incoming} in, {outgoing} out",
        "；本周期已用：入站 {incoming}、出站 {outgoing}"
    )
}

/// Returns the settings of a new service.
fn terms(service: &Service) -> String {
    let mut parts = vec![match &service.group {
        Some(group) => in_group(group),
        None => contract(service.contract()),
    }];
    parts.extend(changed_service(&Service::default(), service));
    joined(&parts)
}

fn in_group(group: &GroupName) -> String {
    tr!("shares the quota of group {group}", "共享组 {group} 的配额")
}

fn contract(contract: Contract) -> String {
    let quota = match contract.quota {
        Some(quota) => {
            let (size, counts) = (quota.size(), counts(contract.tariff));
            tr!("quota {size} ({counts})", "配额 {size}（{counts}）")
        }
        None => tr!("no quota", "不设配额"),
    };
    joined(&[quota, reset(contract.reset_policy())])
}

fn reset(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Never => tr!("never resets", "从不重置"),
        policy => {
            let when = when(policy);
            tr!("resets {when}", "{when}重置")
        }
    }
}

fn changed_group(from: &Group, to: &Group) -> String {
    said(changed_contract(from.contract(), to.contract()))
}

fn changed(from: &Service, to: &Service) -> String {
    let mut parts = match (&from.group, &to.group) {
        (None, Some(to)) => [in_group(to)]
            .into_iter()
            .chain(given_up(from.contract()))
            .collect(),
        (Some(from), Some(to)) if from != to => vec![in_group(to)],
        (Some(from), None) => vec![
            tr!("no longer in group {from}", "离开组 {from}"),
            contract(to.contract()),
        ],
        _ => changed_contract(from.contract(), to.contract()),
    };
    parts.extend(changed_service(from, to));
    if from.note != to.note {
        parts.push(if to.note.is_empty() {
            tr!("no note", "备注已清空")
        } else {
            tr!("new note", "备注已更新")
        });
    }
    said(parts)
}

/// Returns that a service's own quota no longer counts; `None`: it has none.
fn given_up(contract: Contract) -> Option<String> {
    let size = contract.quota?.size();
    Some(tr!(
        "no quota of its own any more (was {size}), and begins at nothing used",
        "不再有自己的配额（原为 {size}），用量从零开始"
    ))
}

fn said(parts: Vec<String>) -> String {
    if parts.is_empty() {
        tr!(
            "the same as before, now written into the configuration",
            "与原来相同，现已写进配置"
        )
    } else {
        joined(&parts)
    }
}

fn changed_contract(from: Contract, to: Contract) -> Vec<String> {
    let mut parts = Vec::new();
    if from.quota != to.quota {
        parts.push(match to.quota.map(QuotaSize::size) {
            Some(size) => tr!("quota {size}", "配额 {size}"),
            None => tr!("quota none", "不设配额"),
        });
    }
    if from.tariff != to.tariff {
        let counts = counts(to.tariff);
        parts.push(tr!("counts {counts}", "计费模式：{counts}"));
    }
    if from.reset_policy() != to.reset_policy() {
        parts.push(reset(to.reset_policy()));
    }
    parts
}

/// Returns what differs in the settings that are a service's own, in a group and out of it.
fn changed_service(from: &Service, to: &Service) -> Vec<String> {
    let mut parts = Vec::new();
    if from.limit != to.limit {
        parts.push(match to.limit {
            Some(limit) => tr!("sends at most {limit}", "出站限速 {limit}"),
            None => tr!("sends as fast as the line", "出站不限速"),
        });
    }
    if from.limit_in != to.limit_in {
        parts.push(match to.limit_in {
            Some(limit) => tr!("receives at most {limit}", "入站限速 {limit}"),
            None => tr!("receives as fast as the line", "入站不限速"),
        });
    }
    if from.dynqos != to.dynqos {
        parts.push(match to.dynqos.map(slowed_down) {
            Some(rule) => tr!("DynQoS: {rule}", "DynQoS：{rule}"),
            None => tr!("no DynQoS", "不用 DynQoS"),
        });
    }
    if from.expires != to.expires {
        parts.push(match to.expires {
            Some(last_day) => tr!("open through {last_day}", "开放到 {last_day}（含当天）"),
            None => tr!("never expires", "永不到期"),
        });
    }
    if from.routed != to.routed {
        parts.push(if to.routed {
            tr!("counts what is only routed", "计入仅作路由的流量")
        } else {
            tr!("does not count what is only routed", "不计仅作路由的流量")
        });
    }
    match (from.blocked, to.blocked) {
        (false, true) => parts.push(tr!("blocked", "已阻断")),
        (true, false) => parts.push(tr!("no longer blocked by you", "手动阻断已解除")),
        _ => {}
    }
    parts
}

#[cfg(test)]
mod tests;
