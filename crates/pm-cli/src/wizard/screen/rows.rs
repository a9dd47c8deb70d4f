//! What the table says of each service and group.

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Limit, Mode, QuotaSize, Tariff};
use pm_core::holder::Holder;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::approximate;
use unicode_width::UnicodeWidthStr;

use crate::language::tr;
use crate::output::table::{family, one_line};
use crate::output::words;
use crate::wizard::ids::Ids;
use crate::wizard::ui::look::{Look, Paint};

use super::layout::SHORTEST_NAME;

/// What stands in one place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) paint: Paint,
}

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: Cell,
    pub(super) name: Cell,
    pub(super) mode: Cell,
    pub(super) usage: Cell,
    pub(super) bar: Cell,
    pub(super) incoming: Cell,
    pub(super) outgoing: Cell,
    pub(super) limit: Cell,
    pub(super) limit_in: Cell,
    pub(super) note: Cell,
    pub(super) has_limit_in: bool,
    /// When a period ends, which the usage says, too, where there is room.
    tag: String,
    /// What of all this is worth a second line where there is no room for columns.
    details: Vec<String>,
}

/// How many characters a bar takes.
const BAR: u64 = 8;

/// From how much of its quota on a service is one to look at, in percent.
const MUCH: u64 = 80;

impl Cell {
    pub(super) fn new(text: String, paint: Paint) -> Self {
        Self { text, paint }
    }
}

impl Row {
    /// Returns the row with what it says of usage in `room` columns, if that can be.
    pub(super) fn within(mut self, room: usize) -> Self {
        if self.usage.text.width() > room
            && let Some(usage) = self.usage.text.strip_suffix(&*self.tag)
        {
            self.usage.text = usage.to_owned();
            self.details.insert(0, self.tag.trim_start().to_owned());
        }
        self
    }

    /// Returns what is worth a second line.
    pub(super) fn details(&self) -> String {
        self.details.join(" ")
    }
}

/// Returns the lines: services that are in no group, then each group with its services.
pub(super) fn rows(reports: &[Report], groups: &[GroupReport], look: Look) -> Vec<Row> {
    let ids = Ids::new(reports, groups);
    let alone = reports.iter().filter(|report| report.group.is_none());
    let mut rows: Vec<Row> = alone
        .map(|report| service(report, None, "", &ids, look))
        .collect();
    for report in groups {
        rows.push(group(report, &ids, look));
        let members = reports
            .iter()
            .filter(|one| one.group.as_ref() == Some(&report.name));
        let count = members.clone().count();
        for (index, member) in members.enumerate() {
            let branch = if index + 1 == count {
                look.sign("└", " ")
            } else {
                look.sign("├", " ")
            };
            rows.push(service(member, Some(report), branch, &ids, look));
        }
    }
    rows
}

fn service(
    report: &Report,
    group: Option<&GroupReport>,
    branch: &str,
    ids: &Ids,
    look: Look,
) -> Row {
    let shared = group.and_then(|group| group.quota);
    let family = family(report.quota.or(shared));
    let size = |bytes| Cell::new(approximate(bytes, family), Paint::Plain);
    let quota = match shared {
        Some(_) => tr!("shared", "共享"),
        None => quota(report.quota),
    };
    let used = match report.blocked_by {
        Some(BlockedBy::Quota) => tr!("[blocked]", "[已阻断]"),
        Some(BlockedBy::Operator) => tr!("[your block]", "[手动阻断]"),
        Some(BlockedBy::Expiry) => tr!("[expired]", "[已到期]"),
        None => approximate(report.billed, family),
    };
    let tag = match group {
        Some(_) => String::new(),
        None => reset_tag(report.reset),
    };
    let paint = match report.blocked_by {
        Some(_) => Paint::Bad,
        None => paint_of(share(report.billed, report.quota)),
    };
    let limit = out_limit(report);
    let limit_paint = if report.punished.is_some() {
        Paint::Warn
    } else {
        Paint::Plain
    };
    let note = one_line(&report.note);
    let mut details = Vec::new();
    if report.tariff != Tariff::default() && group.is_none() {
        details.push(mode(report.tariff));
    }
    if report.limit.is_some() || report.punished.is_some() {
        details.push(limit.clone());
    }
    if let Some(limit_in) = report.limit_in {
        let rate = words::rate(limit_in);
        details.push(tr!("in {rate}", "入站 {rate}"));
    }
    details.extend((!note.is_empty()).then(|| note.clone()));
    Row {
        id: Cell::new(ids.of(&Holder::Service(report.ports)), Paint::Plain),
        name: Cell::new(format!("{branch}{}", report.ports), Paint::Plain),
        mode: Cell::new(mode(report.tariff), Paint::Plain),
        usage: Cell::new(format!("{used} / {quota}{tag}"), paint),
        bar: bar(share(report.billed, report.quota), look),
        incoming: size(report.usage.incoming),
        outgoing: size(report.usage.outgoing),
        limit: Cell::new(limit, limit_paint),
        limit_in: Cell::new(limit_text(report.limit_in), Paint::Plain),
        note: Cell::new(note, Paint::Plain),
        has_limit_in: report.limit_in.is_some(),
        tag,
        details,
    }
}

fn group(report: &GroupReport, ids: &Ids, look: Look) -> Row {
    let family = family(report.quota);
    let size = |bytes| Cell::new(approximate(bytes, family), Paint::Plain);
    let used = if report.is_spent {
        tr!("[blocked]", "[已阻断]")
    } else {
        approximate(report.billed, family)
    };
    let (quota, tag) = (quota(report.quota), reset_tag(report.reset));
    let name = &report.name;
    let label = words::group(name);
    let members = words::services(report.members.len());
    let mut details = Vec::new();
    if report.tariff != Tariff::default() {
        details.push(mode(report.tariff));
    }
    details.push(members.clone());
    // A name may be long: on a second line there is room for it.
    details.extend((label.width() > SHORTEST_NAME).then(|| name.to_string()));
    let paint = if report.is_spent {
        Paint::Bad
    } else {
        paint_of(share(report.billed, report.quota))
    };
    Row {
        id: Cell::new(ids.of(&Holder::Group(name.clone())), Paint::Bold),
        name: Cell::new(label, Paint::Bold),
        mode: Cell::new(mode(report.tariff), Paint::Plain),
        usage: Cell::new(format!("{used} / {quota}{tag}"), paint),
        bar: bar(share(report.billed, report.quota), look),
        incoming: size(report.usage.incoming),
        outgoing: size(report.usage.outgoing),
        note: Cell::new(members, Paint::Dim),
        tag,
        details,
        ..Row::default()
    }
}

/// Returns what counts against the quota.
fn mode(tariff: Tariff) -> String {
    let mode = match tariff.mode {
        Mode::Both => tr!("both", "双向"),
        Mode::Out => tr!("out only", "仅出站"),
        Mode::Max => tr!("max", "取大"),
    };
    if tariff.factor.is_one() {
        format!("[{mode}]")
    } else {
        let factor = tariff.factor;
        tr!("[{mode} x{factor}]", "[{mode}x{factor}]")
    }
}

fn quota(quota: Option<QuotaSize>) -> String {
    match quota {
        Some(quota) => spaced(&quota.size().to_string()),
        None => tr!("no quota", "不限"),
    }
}

/// Returns when a period ends, in as few characters as tell it: `[R1]`, day 1 of each month.
fn reset_tag(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Monthly(day) => format!(" [R{day}]"),
        ResetPolicy::EveryDays { every, .. } => format!(" [R{}d]", every.get()),
        ResetPolicy::EveryMonths { every, day, .. } => format!(" [R{day}/{}m]", every.get()),
        ResetPolicy::Yearly(day) => format!(" [R{day}]"),
        ResetPolicy::Once(date) => format!(" [R{date}]"),
        ResetPolicy::Never => String::new(),
    }
}

fn out_limit(report: &Report) -> String {
    if report.punished.is_none() {
        return limit_text(report.limit);
    }
    let punish = report.dynqos.map(|rule| rule.punish);
    let lower = [report.limit, punish].into_iter().flatten().min();
    let rate = lower.map_or(String::new(), |limit| words::rate(limit).replace(' ', ""));
    tr!("{rate}(slowed)", "{rate}(惩罚中)")
}

fn limit_text(limit: Option<Limit>) -> String {
    match limit {
        Some(limit) => words::rate(limit),
        None => tr!("unlimited", "无限制"),
    }
}

/// Returns a quantity with a space before its unit.
pub(in crate::wizard) fn spaced(quantity: &str) -> String {
    match quantity.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => format!("{} {}", &quantity[..at], &quantity[at..]),
        None => quantity.to_owned(),
    }
}

/// Returns how much of its quota is used, in percent.
fn share(billed: u64, quota: Option<QuotaSize>) -> Option<u64> {
    let quota = u128::from(quota?.bytes());
    let percent = u128::from(billed) * 100 / quota.max(1);
    Some(u64::try_from(percent).unwrap_or(u64::MAX).min(999))
}

fn paint_of(share: Option<u64>) -> Paint {
    match share {
        Some(100..) => Paint::Bad,
        Some(MUCH..) => Paint::Warn,
        Some(_) => Paint::Good,
        None => Paint::Plain,
    }
}

fn bar(share: Option<u64>, look: Look) -> Cell {
    let Some(share) = share else {
        return Cell::default();
    };
    let full = (share.min(100) * BAR / 100) as usize;
    let empty = BAR as usize - full;
    let (on, off) = (look.sign("█", "#"), look.sign("░", "."));
    let text = format!("{}{} {share:>3}%", on.repeat(full), off.repeat(empty));
    Cell::new(text, paint_of(Some(share)))
}
