//! The summary of all services.

use pm_core::calendar::Timestamp;
use pm_core::config::{GroupName, QuotaSize};
use pm_core::language::Language;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::approximate;

use crate::compose::words::{all_of, family, plural, spaced};
use crate::compose::{Message, Voice};
use crate::say::say;

/// Returns a summary: the groups, each with its services, then the services that are in none.
///
/// `services` and `groups` are those that the channel hears of.
pub fn summary(
    voice: Voice<'_>,
    services: &[Report],
    groups: &[GroupReport],
    now: Timestamp,
) -> Message {
    let language = voice.language;
    let blocked = services.iter().filter(|it| it.blocked_by.is_some()).count();
    let count = services.len();
    let headline = match blocked {
        0 => say!(
            language;
            en: "traffic report, {count} {}", plural(count, "service");
            zh: "流量汇总，{count} 个服务"
        ),
        blocked => say!(
            language;
            en: "traffic report, {count} {}, {blocked} blocked", plural(count, "service");
            zh: "流量汇总，{count} 个服务，{blocked} 个已阻断"
        ),
    };
    let mut lines = Vec::new();
    for group in groups {
        lines.push(voice.group(group));
        lines.extend(members(services, &group.name).map(|it| format!("  {}", voice.member(it))));
    }
    let has_group = |report: &Report| {
        let mut names = groups.iter().map(|group| &group.name);
        report
            .group
            .as_ref()
            .is_some_and(|group| names.any(|name| name == group))
    };
    let alone = services.iter().filter(|report| !has_group(report));
    lines.extend(alone.map(|report| voice.own(report)));
    lines.push(voice.total(services));
    Message {
        icon: "📊",
        server: voice.server.to_owned(),
        headline,
        lines,
        time: voice.time(now),
        event: "report",
    }
}

fn members<'a>(services: &'a [Report], group: &'a GroupName) -> impl Iterator<Item = &'a Report> {
    services
        .iter()
        .filter(move |report| report.group.as_ref() == Some(group))
}

/// Returns how much of a quota is used, in whole percent.
fn percent(billed: u64, quota: QuotaSize) -> u128 {
    u128::from(billed) * 100 / u128::from(quota.bytes())
}

impl Voice<'_> {
    fn group(self, group: &GroupReport) -> String {
        let name = &group.name;
        let icon = if group.is_spent { "⛔" } else { "👥" };
        let name = say!(self.language; "group {name}", "组 {name}");
        let billed = match group.is_spent {
            true => all_of(group.quota, group.billed),
            false => group.billed,
        };
        let share = self.share(billed, group.quota);
        say!(self.language; "{icon} {name}: {share}", "{icon} {name}：{share}")
    }

    /// A service that has a quota of its own, or none.
    fn own(self, report: &Report) -> String {
        let billed = match report.is_spent {
            true => all_of(report.quota, report.billed),
            false => report.billed,
        };
        let share = self.share(billed, report.quota);
        self.line(report, &share)
    }

    /// A service that shares a group's quota.
    fn member(self, report: &Report) -> String {
        self.line(report, &self.share(report.billed, None))
    }

    fn line(self, report: &Report, share: &str) -> String {
        let icon = match (report.blocked_by, report.punished) {
            (Some(_), _) => "⛔",
            (None, Some(_)) => "🐢",
            (None, None) => "🟢",
        };
        let name = self.service(report.ports, report.note.as_str());
        let why = match report.blocked_by {
            Some(BlockedBy::Operator) => say!(self.language; ", blocked by you", "，手动阻断"),
            Some(BlockedBy::Expiry) => say!(self.language; ", expired", "，已到期"),
            Some(BlockedBy::Quota) | None => String::new(),
        };
        say!(self.language; "{icon} {name}: {share}{why}", "{icon} {name}：{share}{why}")
    }

    fn share(self, billed: u64, quota: Option<QuotaSize>) -> String {
        let used = approximate(billed, family(quota));
        match quota {
            Some(quota) => {
                let percent = percent(billed, quota);
                let quota = spaced(quota.size());
                say!(
                    self.language;
                    "{used} / {quota} ({percent}%)",
                    "{used} / {quota}（{percent}%）"
                )
            }
            None => used,
        }
    }

    fn total(self, services: &[Report]) -> String {
        let sum = |of: fn(&Report) -> u64| {
            let total = services.iter().map(of).fold(0, u64::saturating_add);
            approximate(total, family(None))
        };
        let incoming = sum(|report| report.usage.incoming);
        let outgoing = sum(|report| report.usage.outgoing);
        match self.language {
            Language::English => format!("Together: {incoming} in, {outgoing} out"),
            Language::Chinese => format!("合计：入站 {incoming}，出站 {outgoing}"),
        }
    }
}
