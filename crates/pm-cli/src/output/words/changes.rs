//! What a request changed, or would change.

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Contract, Group, GroupName, Limit, QuotaSize, Service};
use pm_core::language::Language;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::request::{Difference, Request, differences, group_differences};
use pm_core::units::{SizeFamily, approximate};
use pm_engine::Executed;

use super::{counts, slowed_down, when};
use crate::language::tr;
use crate::output::table::family;

/// Returns what `request` changed, or would change, a line each.
pub(crate) fn changes(request: &Request, executed: &Executed) -> Vec<String> {
    let mut lines = configured(executed);
    for now in &executed.groups_after {
        let was = executed
            .groups_before
            .iter()
            .find(|was| was.name == now.name);
        if let Some(was) = was {
            lines.extend(group_usage(was, now));
        }
    }
    for now in &executed.reports_after {
        match find(&executed.reports_before, now.ports) {
            Some(was) => lines.extend(usage(was, now)),
            None => lines.extend(cut_off(now).map(|why| format!("{}: {why}", now.ports))),
        }
    }
    if lines.is_empty() {
        lines.push(
            match request {
                Request::Reset { .. } | Request::ResetGroup { .. } => {
                    "A new period begins; nothing was used in the one before."
                }
                _ => "Nothing to change: it is so already.",
            }
            .to_owned(),
        );
    }
    lines
}

/// Returns what differs in the configuration.
fn configured(executed: &Executed) -> Vec<String> {
    let (before, after) = (&executed.before, &executed.after);
    let mut lines = Vec::new();
    for (name, difference) in group_differences(before, after) {
        let name = format!("group {name}");
        lines.push(match difference {
            Difference::Added(group) => format!("{name}: made; {}", contract(group.contract())),
            Difference::Removed => {
                let mut reports = executed.groups_before.iter();
                let report = reports.find(|report| format!("group {}", report.name) == name);
                format!("{name}: removed{}", used(report.map(|report| report.usage)))
            }
            Difference::Changed { from, to } => format!("{name}: {}", changed_group(&from, &to)),
        });
    }
    for (ports, difference) in differences(before, after) {
        lines.push(match difference {
            Difference::Added(service) => format!("{ports}: monitored; {}", terms(&service)),
            Difference::Removed => {
                let report = find(&executed.reports_before, ports);
                let used = used(report.map(|report| report.usage));
                format!("{ports}: no longer monitored{used}")
            }
            Difference::Changed { from, to } => format!("{ports}: {}", changed(&from, &to)),
        });
    }
    if before.time_zone != after.time_zone {
        let zone = after.time_zone.as_ref();
        let zone = zone.map_or("the system's", |zone| zone.as_str());
        lines.push(format!("time zone: {zone}"));
    }
    if before.language != after.language {
        lines.push(match after.language {
            Some(Language::English) => tr!("language: English", "语言：English"),
            Some(Language::Chinese) => tr!("language: 中文", "语言：中文"),
            None => tr!("language: the terminal's", "语言：跟随终端"),
        });
    }
    if before.classifier != after.classifier {
        lines.push(format!("classifier: {}", after.classifier));
    }
    lines
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
    let size = |bytes| approximate(bytes, SizeFamily::Decimal);
    format!(
        "; used in this period: {} in, {} out",
        size(incoming),
        size(outgoing)
    )
}

/// Returns the settings of a new service.
fn terms(service: &Service) -> String {
    let mut parts = vec![match &service.group {
        Some(group) => in_group(group),
        None => contract(service.contract()),
    }];
    parts.extend(changed_service(&Service::default(), service));
    parts.join("; ")
}

fn in_group(group: &GroupName) -> String {
    format!("shares the quota of group {group}")
}

fn contract(contract: Contract) -> String {
    let quota = match contract.quota {
        Some(quota) => format!("quota {} ({})", quota.size(), counts(contract.tariff)),
        None => "no quota".to_owned(),
    };
    format!("{quota}; {}", reset(contract.reset_policy()))
}

fn reset(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Never => "never resets".to_owned(),
        policy => format!("resets {}", when(policy)),
    }
}

fn changed_group(from: &Group, to: &Group) -> String {
    said(changed_contract(from.contract(), to.contract()))
}

fn changed(from: &Service, to: &Service) -> String {
    let mut parts = match (&from.group, &to.group) {
        (from, Some(to)) if from.as_ref() != Some(to) => vec![in_group(to)],
        (Some(from), None) => vec![
            format!("no longer in group {from}"),
            contract(to.contract()),
        ],
        _ => changed_contract(from.contract(), to.contract()),
    };
    parts.extend(changed_service(from, to));
    if from.note != to.note {
        let note = if to.note.is_empty() {
            "no note"
        } else {
            "new note"
        };
        parts.push(note.to_owned());
    }
    said(parts)
}

fn said(parts: Vec<String>) -> String {
    if parts.is_empty() {
        "the same as before, now written into the configuration".to_owned()
    } else {
        parts.join("; ")
    }
}

fn changed_contract(from: Contract, to: Contract) -> Vec<String> {
    let mut parts = Vec::new();
    if from.quota != to.quota {
        let size = |quota: QuotaSize| quota.size().to_string();
        parts.push(format!(
            "quota {}",
            to.quota.map_or("none".to_owned(), size)
        ));
    }
    if from.tariff != to.tariff {
        parts.push(format!("counts {}", counts(to.tariff)));
    }
    if from.reset_policy() != to.reset_policy() {
        parts.push(reset(to.reset_policy()));
    }
    parts
}

/// Returns what differs in the settings that are a service's own, in a group and out of it.
fn changed_service(from: &Service, to: &Service) -> Vec<String> {
    let mut parts = Vec::new();
    let limit = |limit: Option<Limit>| match limit {
        Some(limit) => format!("at most {limit}"),
        None => "as fast as the line".to_owned(),
    };
    if from.limit != to.limit {
        parts.push(format!("sends {}", limit(to.limit)));
    }
    if from.limit_in != to.limit_in {
        parts.push(format!("receives {}", limit(to.limit_in)));
    }
    if from.dynqos != to.dynqos {
        parts.push(to.dynqos.map_or("no DynQoS".to_owned(), |rule| {
            format!("DynQoS: {}", slowed_down(rule))
        }));
    }
    if from.expires != to.expires {
        parts.push(match to.expires {
            Some(last_day) => format!("open through {last_day}"),
            None => "never expires".to_owned(),
        });
    }
    if from.routed != to.routed {
        let routed = if to.routed {
            "counts"
        } else {
            "does not count"
        };
        parts.push(format!("{routed} what is only routed"));
    }
    match (from.blocked, to.blocked) {
        (false, true) => parts.push("blocked".to_owned()),
        (true, false) => parts.push("no longer blocked by you".to_owned()),
        _ => {}
    }
    parts
}

fn usage(was: &Report, now: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let ports = now.ports;
    // What happens to a group is said of the group.
    let stays_member = now.group.is_some() && was.group == now.group;
    if !stays_member {
        let figures = [
            (was.usage, was.adjust, was.billed),
            (now.usage, now.adjust, now.billed),
        ];
        lines.extend(
            figures_changed(figures, family(now.quota)).map(|text| format!("{ports}: {text}")),
        );
    }
    let is_cut_off = |report: &Report| cut_off(report).is_some();
    match (was.blocked_by, now.blocked_by) {
        (Some(BlockedBy::Quota), _) | (_, Some(BlockedBy::Quota)) if stays_member => {}
        (was, now) if was == now => {}
        (_, Some(_)) => lines.extend(cut_off(now).map(|why| format!("{ports}: {why}"))),
        (Some(_), None) if is_cut_off(was) => lines.push(format!("{ports}: open again")),
        _ => {}
    }
    lines
}

/// Returns why a service is cut off, unless the operator said so himself.
fn cut_off(report: &Report) -> Option<String> {
    match (report.blocked_by?, &report.group) {
        (BlockedBy::Operator, _) => None,
        (BlockedBy::Expiry, _) => Some("blocked, its last day has passed".to_owned()),
        (BlockedBy::Quota, None) => Some("blocked, its quota is spent".to_owned()),
        (BlockedBy::Quota, Some(group)) => {
            Some(format!("blocked, the quota of group {group} is spent"))
        }
    }
}

fn group_usage(was: &GroupReport, now: &GroupReport) -> Vec<String> {
    let mut lines = Vec::new();
    let name = &now.name;
    let figures = [
        (was.usage, was.adjust, was.billed),
        (now.usage, now.adjust, now.billed),
    ];
    lines.extend(
        figures_changed(figures, family(now.quota)).map(|text| format!("group {name}: {text}")),
    );
    match (was.is_spent, now.is_spent) {
        (false, true) => lines.push(format!(
            "group {name}: its quota is spent, its services are blocked"
        )),
        (true, false) => lines.push(format!("group {name}: open again")),
        _ => {}
    }
    lines
}

/// Returns what became of usage, correction and bill.
fn figures_changed(figures: [(Usage, i64, u64); 2], family: SizeFamily) -> Option<String> {
    let [(was, was_adjust, was_billed), (now, adjust, billed)] = figures;
    let (old, new) = (approximate(was_billed, family), approximate(billed, family));
    if now.incoming < was.incoming || now.outgoing < was.outgoing {
        Some(format!("used back to {new} (was {old})"))
    } else if adjust != was_adjust {
        Some(format!("used set to {new} (was {old})"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
