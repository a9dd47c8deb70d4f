//! Services and groups.

use pm_core::config::Limit;
use pm_core::dynqos::DynQos;
use pm_core::report::{BlockedBy, GroupReport, Report};
use serde::Serialize;

use super::{VERSION, factor};

#[derive(Serialize)]
struct Services<'a> {
    version: u32,
    services: Vec<Service<'a>>,
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Groups<'a> {
    version: u32,
    groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
struct Service<'a> {
    port: String,
    note: &'a str,
    group: Option<&'a str>,
    mode: String,
    factor: f64,
    in_bytes: u64,
    out_bytes: u64,
    adjust_bytes: i64,
    billed_bytes: u64,
    quota_bytes: Option<u64>,
    state: &'static str,
    blocked_by: Option<&'static str>,
    limit_out_bps: Option<u64>,
    limit_in_bps: Option<u64>,
    ceil_bps: Option<u64>,
    ceil_in_bps: Option<u64>,
    dynqos: Option<Rule>,
    punished_seconds: Option<u64>,
    expires: Option<String>,
    routed: bool,
    reset: String,
    next_reset: Option<String>,
}

/// When a service is slowed down, and how.
#[derive(Serialize)]
struct Rule {
    trigger_bps: u64,
    trigger_minutes: u16,
    punish_bps: u64,
    punish_minutes: u16,
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    members: Vec<String>,
    mode: String,
    factor: f64,
    in_bytes: u64,
    out_bytes: u64,
    adjust_bytes: i64,
    billed_bytes: u64,
    quota_bytes: Option<u64>,
    state: &'static str,
    blocked_by: Option<&'static str>,
    reset: String,
    next_reset: Option<String>,
}

/// Returns the document of `pm list --json` and `pm show --json`.
pub(crate) fn services(reports: &[Report], groups: &[GroupReport]) -> serde_json::Result<String> {
    serde_json::to_string(&Services {
        version: VERSION,
        services: reports.iter().map(service).collect(),
        groups: groups.iter().map(group).collect(),
    })
}

/// Returns the document of `pm group list --json`.
pub(crate) fn groups(groups: &[GroupReport]) -> serde_json::Result<String> {
    serde_json::to_string(&Groups {
        version: VERSION,
        groups: groups.iter().map(group).collect(),
    })
}

fn service(report: &Report) -> Service<'_> {
    let bps = |limit: Option<Limit>| limit.map(|limit| limit.rate().bits_per_second());
    // A punishment makes nobody faster.
    let punish = report.dynqos.filter(|_| report.punished.is_some());
    let ceil = |limit: Option<Limit>| {
        let limits = limit.into_iter().chain(punish.map(|rule| rule.punish));
        bps(limits.min())
    };
    Service {
        port: report.ports.to_string(),
        note: report.note.as_str(),
        group: report.group.as_ref().map(|group| group.as_str()),
        mode: report.tariff.mode.to_string(),
        factor: factor(report.tariff.factor),
        in_bytes: report.usage.incoming,
        out_bytes: report.usage.outgoing,
        adjust_bytes: report.adjust,
        billed_bytes: report.billed,
        quota_bytes: report.quota.map(|quota| quota.bytes()),
        state: match report.blocked_by {
            Some(_) => "blocked",
            None if report.punished.is_some() => "punished",
            None => "ok",
        },
        blocked_by: report.blocked_by.map(|by| match by {
            BlockedBy::Operator => "operator",
            BlockedBy::Expiry => "expiry",
            BlockedBy::Quota => "quota",
        }),
        limit_out_bps: bps(report.limit),
        limit_in_bps: bps(report.limit_in),
        ceil_bps: ceil(report.limit),
        ceil_in_bps: ceil(report.limit_in),
        dynqos: report.dynqos.map(rule),
        punished_seconds: report.punished.map(|left| left.as_secs()),
        expires: report.expires.map(|date| date.to_string()),
        routed: report.routed,
        reset: report.reset.to_string(),
        next_reset: report.next_reset.map(|date| date.to_string()),
    }
}

fn rule(rule: DynQos) -> Rule {
    Rule {
        trigger_bps: rule.trigger.rate().bits_per_second(),
        trigger_minutes: rule.trigger_minutes.get(),
        punish_bps: rule.punish.rate().bits_per_second(),
        punish_minutes: rule.punish_minutes.get(),
    }
}

fn group(report: &GroupReport) -> Group<'_> {
    let (state, blocked_by) = match report.is_spent {
        true => ("blocked", Some("quota")),
        false => ("ok", None),
    };
    Group {
        name: report.name.as_str(),
        members: report.members.iter().map(ToString::to_string).collect(),
        mode: report.tariff.mode.to_string(),
        factor: factor(report.tariff.factor),
        in_bytes: report.usage.incoming,
        out_bytes: report.usage.outgoing,
        adjust_bytes: report.adjust,
        billed_bytes: report.billed,
        quota_bytes: report.quota.map(|quota| quota.bytes()),
        state,
        blocked_by,
        reset: report.reset.to_string(),
        next_reset: report.next_reset.map(|date| date.to_string()),
    }
}
