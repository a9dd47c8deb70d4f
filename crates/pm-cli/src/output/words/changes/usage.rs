//! What changes in usage, and who is cut off or open by it.

use pm_core::config::{QuotaSize, Tariff};
use pm_core::ledger::Usage;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::request::Request;
use pm_core::units::{SizeFamily, approximate};

use super::{about, open_again};
use crate::language::tr;
use crate::output::table::family;
use crate::output::words::group;

/// Returns what became of a service's usage, and of what that does to it, a line each.
pub(super) fn of_service(was: &Report, now: &Report, replaces: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let ports = now.ports;
    // What happens to a group is said of the group.
    let stays_member = now.group.is_some() && was.group == now.group;
    if !stays_member || replaces {
        let figures = |report: &Report| Figures {
            usage: report.usage,
            tariff: report.tariff,
            adjust: report.adjust,
            billed: report.billed,
        };
        let text = billed_changed(&figures(was), &figures(now), family(now.quota), replaces);
        lines.extend(text.map(|text| about(ports, &text)));
    }
    let is_cut_off = |report: &Report| cut_off(report).is_some();
    let has_less = now.group.is_none() && was.group.is_none() && is_less(now.quota, was.quota);
    match (was.blocked_by, now.blocked_by) {
        (Some(BlockedBy::Quota), _) | (_, Some(BlockedBy::Quota)) if stays_member => {}
        (was, now) if was == now => {}
        (_, Some(BlockedBy::Quota)) if has_less => lines.push(about(
            ports,
            &tr!(
                "blocked, its quota is spent; it has counted since its last reset, or since it was \
                 added: `pm reset {ports}` begins a new period",
                "已阻断，配额已用完；用量从上次重置或添加时算起：`pm reset {ports}` 开始新周期"
            ),
        )),
        (_, Some(_)) => lines.extend(cut_off(now).map(|why| about(ports, &why))),
        (Some(_), None) if is_cut_off(was) => lines.push(about(ports, &open_again())),
        _ => {}
    }
    lines
}

/// Returns why a service is cut off, unless the operator said so himself.
pub(super) fn cut_off(report: &Report) -> Option<String> {
    match (report.blocked_by?, &report.group) {
        (BlockedBy::Operator, _) => None,
        (BlockedBy::Expiry, _) => Some(tr!(
            "blocked, its last day has passed",
            "已阻断，最后一天已过"
        )),
        (BlockedBy::Quota, None) => Some(tr!("blocked, its quota is spent", "已阻断，配额已用完")),
        (BlockedBy::Quota, Some(group)) => Some(tr!(
            "blocked, the quota of group {group} is spent",
            "已阻断，组 {group} 的配额已用完"
        )),
    }
}

/// Returns what became of a group's usage, and of what that does to it, a line each.
pub(super) fn of_group(was: &GroupReport, now: &GroupReport, replaces: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let name = group(&now.name);
    let figures = |report: &GroupReport| Figures {
        usage: report.usage,
        tariff: report.tariff,
        adjust: report.adjust,
        billed: report.billed,
    };
    let text = billed_changed(&figures(was), &figures(now), family(now.quota), replaces);
    lines.extend(text.map(|text| about(&name, &text)));
    match (was.is_spent, now.is_spent) {
        (false, true) if is_less(now.quota, was.quota) => {
            let reset = Request::ResetGroup {
                name: now.name.clone(),
            };
            lines.push(about(
                &name,
                &tr!(
                    "its quota is spent, its services are blocked; it has counted since its last \
                     reset, or since it was made: `{reset}` begins a new period",
                    "配额已用完，组内服务已阻断；用量从上次重置或建组时算起：`{reset}` 开始新周期"
                ),
            ));
        }
        (false, true) => lines.push(about(
            &name,
            &tr!(
                "its quota is spent, its services are blocked",
                "配额已用完，组内服务已阻断"
            ),
        )),
        (true, false) => lines.push(about(&name, &open_again())),
        _ => {}
    }
    lines
}

/// Whether a quota is the first, or smaller than the one before.
fn is_less(quota: Option<QuotaSize>, before: Option<QuotaSize>) -> bool {
    quota.is_some_and(|quota| before.is_none_or(|before| quota.bytes() < before.bytes()))
}

/// What a holder has used, and how that becomes what is billed.
struct Figures {
    usage: Usage,
    tariff: Tariff,
    adjust: i64,
    billed: u64,
}

/// Returns what became of the bill; `None` if only what passed in the meantime is new in it. Where
/// one past `replaces` another, that is new, too.
fn billed_changed(
    was: &Figures,
    now: &Figures,
    family: SizeFamily,
    replaces: bool,
) -> Option<String> {
    let Usage { incoming, outgoing } = now.usage;
    let begins = incoming < was.usage.incoming || outgoing < was.usage.outgoing;
    let as_before = was.tariff.bill(incoming, outgoing);
    if replaces && now.billed == was.billed && now.usage != was.usage {
        let [incoming, outgoing] = [incoming, outgoing].map(|bytes| approximate(bytes, family));
        return Some(tr!(
            "counted now {incoming} in, {outgoing} out",
            "计数现为入站 {incoming}、出站 {outgoing}"
        ));
    }
    if !replaces && !begins && now.billed == as_before.saturating_add_signed(was.adjust)
        || now.billed == was.billed
    {
        return None;
    }
    let [mut old, mut new] = [was.billed, now.billed].map(|bytes| approximate(bytes, family));
    if old == new {
        [old, new] = [was.billed, now.billed].map(|bytes| format!("{bytes} B"));
    }
    Some(if begins {
        tr!(
            "used back to {new} (was {old})",
            "已用流量归为 {new}（原为 {old}）"
        )
    } else {
        tr!(
            "used now {new} (was {old})",
            "已用流量现为 {new}（原为 {old}）"
        )
    })
}
