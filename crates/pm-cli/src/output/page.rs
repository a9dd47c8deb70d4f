//! One service for people: a page with everything there is.

use std::fmt::Write;
use std::time::Duration;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Limit, QuotaSize};
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::approximate;

use crate::language::tr;
use crate::output::grid::padded;
use crate::output::table::{family, one_line};
use crate::output::words::{counts, minutes, slowed_down, when};

/// How wide the names of values are.
const NAME: usize = 12;

/// Returns the page of one service; `group` is the one that it is in.
pub(crate) fn service(report: &Report, group: Option<&GroupReport>) -> String {
    let mut page = String::new();
    let mut line = |name: String, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{} {value}", padded(&name, NAME));
    };
    let own_or_shared = report.quota.or(group.and_then(|group| group.quota));
    let size = |bytes: u64| exact(bytes, own_or_shared);
    line(tr!("Port", "端口"), report.ports.to_string());
    if !report.note.is_empty() {
        line(tr!("Note", "备注"), one_line(&report.note));
    }
    line(tr!("State", "状态"), state(report, group));
    if let Some(group) = group {
        line(tr!("Group", "组"), group.name.to_string());
        line(
            tr!("Quota", "总配额"),
            tr!(
                en: "{}, {}", quota(group.quota), services(group);
                zh: "{}，{}", quota(group.quota), services(group)
            ),
        );
        line(tr!("Used by all", "组内已用"), size(group.billed));
    } else {
        line(tr!("Quota", "总配额"), quota(report.quota));
    }
    line(tr!("Counts", "计费模式"), counts(report.tariff));
    line(tr!("Used", "已用流量"), size(report.billed));
    line(tr!("In", "入站"), size(report.usage.incoming));
    line(tr!("Out", "出站"), size(report.usage.outgoing));
    if report.adjust != 0 {
        line(
            tr!("Correction", "更正"),
            tr!(
                en: "{:+} bytes", report.adjust;
                zh: "{:+} 字节", report.adjust
            ),
        );
    }
    line(tr!("Next reset", "下次重置"), next_reset(report));
    line(tr!("Limit out", "出站限速"), limit(report.limit));
    line(tr!("Limit in", "入站限速"), limit(report.limit_in));
    line(
        tr!("DynQoS", "动态限速"),
        report
            .dynqos
            .map_or_else(|| tr!("none", "关闭"), slowed_down),
    );
    let expires = match report.expires {
        Some(last_day) => tr!("after {last_day}", "{last_day} 之后"),
        None => tr!("never", "永不"),
    };
    line(tr!("Expires", "到期"), expires);
    line(
        tr!("Routed", "路由流量"),
        if report.routed {
            tr!("counted, too", "也计入")
        } else {
            tr!("not counted", "不计")
        },
    );
    page
}

fn services(group: &GroupReport) -> String {
    match group.members.len() {
        1 => tr!("for this service alone", "只有这一个服务在用"),
        count => tr!("shared by {count} services", "{count} 个服务共享"),
    }
}

fn quota(quota: Option<QuotaSize>) -> String {
    match quota {
        Some(quota) => in_bytes(&quota.size().to_string(), quota.bytes()),
        None => tr!("none", "无限制"),
    }
}

fn limit(limit: Option<Limit>) -> String {
    limit.map_or_else(|| tr!("none", "无限制"), |limit| limit.to_string())
}

fn next_reset(report: &Report) -> String {
    let date = match report.next_reset {
        Some(date) => date.to_string(),
        None => tr!("never", "从不"),
    };
    match report.reset {
        ResetPolicy::Never => date,
        policy => tr!(
            en: "{date} ({})", when(policy);
            zh: "{date}（{}）", when(policy)
        ),
    }
}

fn exact(bytes: u64, quota: Option<QuotaSize>) -> String {
    in_bytes(&approximate(bytes, family(quota)), bytes)
}

fn in_bytes(size: &str, bytes: u64) -> String {
    tr!("{size} ({bytes} bytes)", "{size}（{bytes} 字节）")
}

fn state(report: &Report, group: Option<&GroupReport>) -> String {
    match (report.blocked_by, report.expires, report.punished) {
        (Some(BlockedBy::Operator), ..) => tr!("blocked by you", "手动阻断"),
        (Some(BlockedBy::Expiry), Some(last_day), _) => tr!(
            "blocked: its last day was {last_day}",
            "已到期：最后一天是 {last_day}"
        ),
        (Some(BlockedBy::Expiry), None, _) => {
            tr!("blocked: its last day has passed", "已到期：最后一天已过")
        }
        (Some(BlockedBy::Quota), ..) => match group {
            Some(group) => tr!(
                en: "blocked: quota of group {} spent", group.name;
                zh: "已用完：组 {} 的配额", group.name
            ),
            None => tr!("blocked: quota spent", "配额已用完"),
        },
        (None, _, Some(left)) => punished(report, left),
        (None, _, None) => tr!("ok", "正常"),
    }
}

fn punished(report: &Report, left: Duration) -> String {
    // Rounded up, so that the last minute is one.
    let left = minutes(left.as_secs().div_ceil(60));
    match report.dynqos.map(|rule| rule.punish) {
        Some(punish) => tr!(
            "slowed down to {punish} for {left} more",
            "惩罚中：限速到 {punish}，还剩 {left}"
        ),
        None => tr!("slowed down for {left} more", "惩罚中：还剩 {left}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;
    use crate::output::samples;

    fn pages() -> String {
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
        pages.join("\n")
    }

    #[test]
    fn a_page_says_all_there_is_of_a_service() {
        insta::assert_snapshot!(pages());
    }

    #[test]
    fn a_page_says_all_there_is_of_a_service_zh() {
        insta::assert_snapshot!(in_chinese(pages));
    }
}
