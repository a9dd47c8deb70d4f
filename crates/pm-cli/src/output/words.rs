//! What changed, what happened and what to mind, as sentences.

mod changes;
pub(crate) mod doubts;
mod events;
pub(crate) mod fields;
mod voice;
mod warnings;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{GroupName, Limit, Mode, Tariff};
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request};
use pm_core::units::{SizeFamily, approximate};

use crate::language::tr;

pub(crate) use changes::{between, changes};
pub(crate) use events::{event, is_news, lost};
pub(crate) use warnings::{not_in_force, reserve, torn_down, warning};

/// Returns a warning, and what to do about it.
pub(crate) fn caution(what: &str, hint: &str) -> String {
    tr!(
        "warning: {what}\nhint: {hint}",
        "警告：{what}\n提示：{hint}"
    )
}

/// Returns a service or a group, as it is shown.
pub(crate) fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Service(ports) => ports.to_string(),
        Holder::Group(name) => group(name),
    }
}

/// Returns a group, as it is shown.
pub(crate) fn group(name: &GroupName) -> String {
    tr!("group {name}", "组 {name}")
}

/// Returns a limit in three digits, rounded down.
pub(crate) fn rate(limit: Limit) -> String {
    // The prefixes of bits are those of bytes, in the decimal family.
    let bits = approximate(limit.rate().bits_per_second(), SizeFamily::Decimal);
    bits.replace('B', "bps")
}

/// Returns when a policy resets.
pub(crate) fn when(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Monthly(day) => tr!("on day {day} of each month", "每月 {day} 日"),
        ResetPolicy::EveryDays { every, from } => tr!(
            en: "every {}, counted from {from}", every.of("day");
            zh: "从 {from} 起每 {} 天", every.get()
        ),
        ResetPolicy::EveryMonths { every, day, from } => tr!(
            en: "every {} on day {day}, counted from {from}", every.of("month");
            zh: "从 {from} 起每 {} 个月的 {day} 日", every.get()
        ),
        ResetPolicy::Yearly(day) => {
            let is_leap = (u8::from(day.month()), day.day()) == (2, 29);
            let common = if is_leap {
                tr!(", or 28 in common years", "（平年为 28 日）")
            } else {
                String::new()
            };
            tr!(
                en: "each year on {} {}{common}", day.month(), day.day();
                zh: "每年 {} 月 {} 日{common}", u8::from(day.month()), day.day()
            )
        }
        ResetPolicy::Once(date) => tr!("once, on {date}", "仅在 {date} 这一天"),
        ResetPolicy::Never => tr!("never", "从不"),
    }
}

/// Returns what counts against a quota.
pub(crate) fn counts(tariff: Tariff) -> String {
    let mode = match tariff.mode {
        Mode::Both => tr!("in+out", "双向"),
        Mode::Out => tr!("out", "仅出站"),
        Mode::Max => tr!("the larger of in and out", "出入站取大"),
    };
    if tariff.factor.is_one() {
        mode
    } else {
        tr!(
            en: "{mode}, times {}", tariff.factor;
            zh: "{mode} × {}", tariff.factor
        )
    }
}

/// Returns when a rule slows down, and how.
pub(crate) fn slowed_down(rule: DynQos) -> String {
    let DynQos {
        trigger, punish, ..
    } = rule;
    let trigger_minutes = minutes(rule.trigger_minutes.get().into());
    let punish_minutes = minutes(rule.punish_minutes.get().into());
    tr!(
        "slowed down to {punish} for {punish_minutes} after {trigger_minutes} above {trigger}",
        "连续 {trigger_minutes}超过 {trigger} 时，限速到 {punish}，持续 {punish_minutes}"
    )
}

/// Returns a number of minutes.
pub(crate) fn minutes(count: u64) -> String {
    match count {
        1 => tr!("1 minute", "1 分钟"),
        count => tr!("{count} minutes", "{count} 分钟"),
    }
}

/// Returns a number of services.
pub(crate) fn services(count: usize) -> String {
    match count {
        1 => tr!("1 service", "1 个服务"),
        count => tr!("{count} services", "{count} 个服务"),
    }
}

/// Returns what opens a service or a group whose quota is spent.
pub(crate) fn ways_out(holder: &Holder) -> String {
    let (set, reset) = match holder {
        Holder::Service(ports) => (format!("pm set {ports}"), format!("pm reset {ports}")),
        Holder::Group(name) => (set_group(name), reset_group(name)),
    };
    tr!(
        "raise the quota (`{set} --quota SIZE`), begin a new period (`{reset}`), or correct what \
         was used (`{set} --used SIZE`)",
        "提高配额（`{set} --quota 大小`）、开始新周期（`{reset}`），或更正已用流量\
         （`{set} --used 大小`）"
    )
}

/// Returns what opens a service whose last day has passed.
pub(crate) fn another_last_day(ports: PortRange) -> String {
    tr!(
        "name a last day to come (`pm set {ports} --expires YYYY-MM-DD`), or none \
         (`pm set {ports} --expires never`)",
        "改成将来的日期（`pm set {ports} --expires YYYY-MM-DD`），或不设期限\
         （`pm set {ports} --expires never`）"
    )
}

/// Returns the command that makes a group.
pub(crate) fn add_group(name: &GroupName) -> String {
    let name = name.clone();
    let settings = ContractSettings::default();
    let or_set = false;
    Request::AddGroup {
        name,
        settings,
        or_set,
    }
    .to_string()
}

/// Returns the command that changes a group, without what it changes.
pub(crate) fn set_group(name: &GroupName) -> String {
    let name = name.clone();
    let settings = ContractSettings::default();
    let used = None;
    Request::SetGroup {
        name,
        settings,
        used,
    }
    .to_string()
}

/// Returns the command that begins a group's period anew.
pub(crate) fn reset_group(name: &GroupName) -> String {
    Request::ResetGroup { name: name.clone() }.to_string()
}

/// Returns what takes back that a version was put back.
pub(crate) fn way_back() -> String {
    tr!(
        "`pm undo` takes this back; `pm config history` lists what there was before.",
        "执行 `pm undo` 可撤销本次恢复；更早的版本见 `pm config history`。"
    )
}

/// Returns services for a sentence, the first few by name.
fn list(ports: &[PortRange]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = ports.iter().take(SHOWN).map(PortRange::to_string).collect();
    let shown = shown.join(&tr!(", ", "、"));
    match ports.len().saturating_sub(SHOWN) {
        0 => shown,
        more => tr!(
            en: "{shown} and {more} more";
            zh: "{shown} 等 {} 个服务", ports.len()
        ),
    }
}
