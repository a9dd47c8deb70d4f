//! One service for people: a page with everything there is.

use std::fmt::Write;
use std::time::Duration;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Limit, QuotaSize};
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::approximate;

use crate::output::table::{family, one_line};
use crate::output::words::{counts, minutes, slowed_down, when};

/// Returns the page of one service; `group` is the one that it is in.
pub(crate) fn service(report: &Report, group: Option<&GroupReport>) -> String {
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name:<12} {value}");
    };
    let own_or_shared = report.quota.or(group.and_then(|group| group.quota));
    let size = |bytes: u64| exact(bytes, own_or_shared);
    line("Port", report.ports.to_string());
    if !report.note.is_empty() {
        line("Note", one_line(&report.note));
    }
    line("State", state(report, group));
    if let Some(group) = group {
        line("Group", group.name.to_string());
        line(
            "Quota",
            format!("{}, {}", quota(group.quota), services(group)),
        );
        line("Used by all", size(group.billed));
    } else {
        line("Quota", quota(report.quota));
    }
    line("Counts", counts(report.tariff));
    line("Used", size(report.billed));
    line("In", size(report.usage.incoming));
    line("Out", size(report.usage.outgoing));
    if report.adjust != 0 {
        line("Correction", format!("{:+} bytes", report.adjust));
    }
    line("Next reset", next_reset(report));
    line("Limit out", limit(report.limit));
    line("Limit in", limit(report.limit_in));
    line(
        "DynQoS",
        report.dynqos.map_or("none".to_owned(), slowed_down),
    );
    let expires = report
        .expires
        .map_or("never".to_owned(), |last_day| format!("after {last_day}"));
    line("Expires", expires);
    line(
        "Routed",
        if report.routed {
            "counted, too"
        } else {
            "not counted"
        }
        .to_owned(),
    );
    page
}

fn services(group: &GroupReport) -> String {
    match group.members.len() {
        1 => "for this service alone".to_owned(),
        count => format!("shared by {count} services"),
    }
}

fn quota(quota: Option<QuotaSize>) -> String {
    quota.map_or("none".to_owned(), |quota| {
        format!("{} ({} bytes)", quota.size(), quota.bytes())
    })
}

fn limit(limit: Option<Limit>) -> String {
    limit.map_or("none".to_owned(), |limit| limit.to_string())
}

fn next_reset(report: &Report) -> String {
    let date = report
        .next_reset
        .map_or("never".to_owned(), |date| date.to_string());
    match report.reset {
        ResetPolicy::Never => date,
        policy => format!("{date} ({})", when(policy)),
    }
}

fn exact(bytes: u64, quota: Option<QuotaSize>) -> String {
    format!("{} ({bytes} bytes)", approximate(bytes, family(quota)))
}

fn state(report: &Report, group: Option<&GroupReport>) -> String {
    match (report.blocked_by, report.expires, report.punished) {
        (Some(BlockedBy::Operator), ..) => "blocked by you".to_owned(),
        (Some(BlockedBy::Expiry), Some(last_day), _) => {
            format!("blocked: its last day was {last_day}")
        }
        (Some(BlockedBy::Expiry), None, _) => "blocked: its last day has passed".to_owned(),
        (Some(BlockedBy::Quota), ..) => match group {
            Some(group) => format!("blocked: quota of group {} spent", group.name),
            None => "blocked: quota spent".to_owned(),
        },
        (None, _, Some(left)) => punished(report, left),
        (None, _, None) => "ok".to_owned(),
    }
}

fn punished(report: &Report, left: Duration) -> String {
    // Rounded up, so that the last minute is one.
    let left = left.as_secs().div_ceil(60);
    let left = format!("for {} more", minutes(left));
    match report.dynqos {
        Some(rule) => format!("slowed down to {} {left}", rule.punish),
        None => format!("slowed down {left}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_page_says_all_there_is_of_a_service() {
        let groups = samples::groups();
        let group = |report: &Report| {
            groups
                .iter()
                .find(|group| report.group.as_ref() == Some(&group.name))
        };
        let pages: Vec<_> = samples::reports()
            .iter()
            .map(|report| service(report, group(report)))
            .collect();
        insta::assert_snapshot!(pages.join("\n"));
    }
}
