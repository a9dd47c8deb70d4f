//! What pm.sh's settings of a port mean to pm.

use pm_core::calendar::{DayOfMonth, ResetPolicy};
use pm_core::config::{Limit, Mode, Service};
use pm_core::dynqos::{DynQos, Minutes};
use serde_json::Value;

use crate::doubt::{Setting, Trouble};
use crate::json::{at, flag, is_absent, number, text, thousandths};
use crate::text::{note, shown};
use crate::values::{gib, megabits};

/// Reads a port's settings into a service.
pub(super) fn read(port: &Value, service: &mut Service, doubt: &mut dyn FnMut(Trouble)) {
    let unusable = |setting, value: &Value, doubt: &mut dyn FnMut(Trouble)| {
        let value = shown(&text(value));
        doubt(Trouble::Unusable { setting, value });
    };
    let quota = at(port, &["quota_gb"]);
    match thousandths(quota).map(gib) {
        Some(Some(size)) => service.quota = Some(size),
        None if !is_absent(quota) => unusable(Setting::Quota, quota, doubt),
        // To the tool nothing said is a quota of nothing, too.
        _ => doubt(Trouble::NoQuota),
    }

    let mode = at(port, &["quota_mode"]);
    service.mode = match text(mode).as_str() {
        "out_only" => Mode::Out,
        "in_out" | "" => Mode::Both,
        _ => {
            unusable(Setting::Mode, mode, doubt);
            Mode::Both
        }
    };

    let day = at(port, &["reset_day"]);
    let policy = match number(day) {
        None if is_absent(day) => Some(ResetPolicy::Never),
        Some(0) => Some(ResetPolicy::Never),
        day => day
            .and_then(|day| DayOfMonth::new(u8::try_from(day).ok()?).ok())
            .map(ResetPolicy::Monthly),
    };
    if policy.is_none() {
        unusable(Setting::Reset, day, doubt);
    }
    service.reset = Some(policy.unwrap_or(ResetPolicy::Never));

    let limit = at(port, &["limit_mbps"]);
    match thousandths(limit) {
        Some(0) => {}
        None if is_absent(limit) => {}
        rate => match rate.and_then(megabits) {
            Some(rate) => service.limit = Some(rate),
            None => unusable(Setting::Limit, limit, doubt),
        },
    }

    let rule = at(port, &["dyn_limit"]);
    if flag(at(rule, &["enable"])) == Some(true) {
        service.dynqos = dynqos(rule);
        if service.dynqos.is_none() {
            unusable(Setting::DynQos, rule, doubt);
        }
    }

    let (words, troubles) = note(&text(at(port, &["comment"])));
    service.note = words;
    troubles.into_iter().for_each(&mut *doubt);

    let addresses = at(port, &["ip_limit"]);
    if flag(at(addresses, &["enable"])) == Some(true) {
        doubt(Trouble::AddressLimit {
            most: number(at(addresses, &["max_ips"])).unwrap_or_default(),
            blocks: text(at(addresses, &["action"])) == "block",
        });
    }
}

fn dynqos(rule: &Value) -> Option<DynQos> {
    let rate = |name| -> Option<Limit> { megabits(thousandths(at(rule, &[name]))?) };
    let minutes = |name| Minutes::new(u16::try_from(number(at(rule, &[name]))?).ok()?);
    Some(DynQos {
        trigger: rate("trigger_mbps")?,
        trigger_minutes: minutes("trigger_time")?,
        punish: rate("punish_mbps")?,
        punish_minutes: minutes("punish_time")?,
    })
}
