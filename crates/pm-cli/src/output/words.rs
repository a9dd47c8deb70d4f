//! What changed, what happened and what to mind, as sentences.

mod changes;
mod events;
mod warnings;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{GroupName, Mode, Tariff};
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request};

pub(crate) use changes::changes;
pub(crate) use events::{event, is_news, lost};
pub(crate) use warnings::{not_in_force, reserve, warning};

/// Returns when a policy resets.
pub(crate) fn when(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Monthly(day) => format!("on day {day} of each month"),
        ResetPolicy::EveryDays { every, from } => {
            format!("every {}, counted from {from}", every.of("day"))
        }
        ResetPolicy::EveryMonths { every, day, from } => {
            let every = every.of("month");
            format!("every {every} on day {day}, counted from {from}")
        }
        ResetPolicy::Yearly(day) => {
            let common = match (u8::from(day.month()), day.day()) {
                (2, 29) => ", or 28 in common years",
                _ => "",
            };
            format!("each year on {} {}{common}", day.month(), day.day())
        }
        ResetPolicy::Once(date) => format!("once, on {date}"),
        ResetPolicy::Never => "never".to_owned(),
    }
}

/// Returns what counts against a quota.
pub(crate) fn counts(tariff: Tariff) -> String {
    let mode = match tariff.mode {
        Mode::Both => "in+out",
        Mode::Out => "out",
        Mode::Max => "the larger of in and out",
    };
    if tariff.factor.is_one() {
        mode.to_owned()
    } else {
        format!("{mode}, times {}", tariff.factor)
    }
}

/// Returns when a rule slows down, and how.
pub(crate) fn slowed_down(rule: DynQos) -> String {
    format!(
        "slowed down to {} for {} after {} above {}",
        rule.punish,
        minutes(rule.punish_minutes.get().into()),
        minutes(rule.trigger_minutes.get().into()),
        rule.trigger
    )
}

/// Returns a number of minutes.
pub(crate) fn minutes(count: u64) -> String {
    match count {
        1 => "1 minute".to_owned(),
        count => format!("{count} minutes"),
    }
}

/// Returns a number of services.
pub(crate) fn services(count: usize) -> String {
    match count {
        1 => "1 service".to_owned(),
        count => format!("{count} services"),
    }
}

/// Returns what opens a service or a group whose quota is spent.
pub(crate) fn ways_out(holder: &Holder) -> String {
    let (set, reset) = match holder {
        Holder::Service(ports) => (format!("pm set {ports}"), format!("pm reset {ports}")),
        Holder::Group(name) => (set_group(name), reset_group(name)),
    };
    format!(
        "raise the quota (`{set} --quota SIZE`), begin a new period (`{reset}`), or correct what \
         was used (`{set} --used SIZE`)"
    )
}

/// Returns what opens a service whose last day has passed.
pub(crate) fn another_last_day(ports: PortRange) -> String {
    format!(
        "name a last day to come (`pm set {ports} --expires YYYY-MM-DD`), or none \
         (`pm set {ports} --expires never`)"
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

/// Returns services for a sentence, the first few by name.
fn list(ports: &[PortRange]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = ports.iter().take(SHOWN).map(PortRange::to_string).collect();
    let shown = shown.join(", ");
    match ports.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
