//! Services and groups for people: a line each.

use std::collections::BTreeMap;

use pm_core::config::{GroupName, Limit, Mode, Note, QuotaSize, Tariff};
use pm_core::port::PortRange;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::{SizeFamily, approximate};
use time::Date;

use crate::language::tr;
use crate::output::grid::{Column, render};
use crate::output::words;

/// Returns the table of all services, those of a group below it.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn services(reports: &[Report], groups: &[GroupReport], width: Option<u16>) -> String {
    if reports.is_empty() && groups.is_empty() {
        return tr!(
            "No port is monitored yet. Begin with `pm add PORT --quota 100GB`.",
            "还没有监控任何端口。先运行 `pm add 端口 --quota 100GB`。"
        );
    }
    let lines = lines(reports, groups);
    let cells = |cell| cells(&lines, cell);
    let has_tariffs = lines.iter().any(|line| line.tariff() != Tariff::default());
    let mut columns = vec![
        Column::names(tr!("PORT", "端口"), cells(Line::name)),
        Column::numbers(tr!("USED", "已用流量"), cells(Line::used)),
        Column::numbers(tr!("QUOTA", "总配额"), cells(Line::quota)),
    ];
    if has_tariffs {
        columns.push(Column::words(tr!("MODE", "模式"), cells(Line::mode)).rank(1));
    }
    columns.push(Column::numbers(tr!("IN", "入站"), cells(Line::incoming)).rank(0));
    columns.push(Column::numbers(tr!("OUT", "出站"), cells(Line::outgoing)).rank(0));
    if reports.iter().any(|report| report.limit_in.is_some()) {
        columns.push(Column::words(tr!("LIMIT O/I", "限速 出/入"), cells(Line::limits)).rank(3));
    } else if reports.iter().any(|report| report.limit.is_some()) {
        columns.push(Column::words(tr!("LIMIT", "出站限速"), cells(Line::limit)).rank(3));
    }
    columns.push(Column::words(tr!("RESET", "重置"), cells(Line::reset)).rank(2));
    columns.push(Column::words(tr!("STATE", "状态"), cells(Line::state)));
    columns.push(Column::prose(tr!("NOTE", "备注"), cells(Line::note)).rank(4));
    render(columns, width)
}

/// Returns the table of all groups.
///
/// `width` is as for [`services`].
pub(crate) fn groups(groups: &[GroupReport], width: Option<u16>) -> String {
    if groups.is_empty() {
        return tr!(
            "There is no group yet. Make one with `pm group add NAME --quota 100GB`, and put \
             services into it with `pm set PORT --group NAME`.",
            "还没有组。用 `pm group add 名称 --quota 100GB` 建一个，再用 `pm set 端口 --group 名称` \
             把服务放进去。"
        );
    }
    let lines: Vec<_> = groups.iter().map(Line::Group).collect();
    let cells = |cell| cells(&lines, cell);
    let mut columns = vec![
        Column::names(
            tr!("GROUP", "组"),
            groups.iter().map(|group| group.name.to_string()),
        ),
        Column::numbers(tr!("USED", "已用流量"), cells(Line::used)),
        Column::numbers(tr!("QUOTA", "总配额"), cells(Line::quota)),
    ];
    if lines.iter().any(|line| line.tariff() != Tariff::default()) {
        columns.push(Column::words(tr!("MODE", "模式"), cells(Line::mode)).rank(1));
    }
    columns.extend([
        Column::numbers(tr!("IN", "入站"), cells(Line::incoming)).rank(0),
        Column::numbers(tr!("OUT", "出站"), cells(Line::outgoing)).rank(0),
        Column::words(tr!("RESET", "重置"), cells(Line::reset)).rank(2),
        Column::words(tr!("STATE", "状态"), cells(Line::state)),
        Column::prose(
            tr!("SERVICES", "服务"),
            groups.iter().map(|group| join(&group.members)),
        )
        .rank(3),
    ]);
    render(columns, width)
}

/// One line of the table.
enum Line<'a> {
    /// A service, and the group that it is in.
    Service(&'a Report, Option<&'a GroupReport>),
    Group(&'a GroupReport),
}

/// Returns the lines in the order in which they are shown: services that are in no group, then
/// each group with its services.
fn lines<'a>(reports: &'a [Report], groups: &'a [GroupReport]) -> Vec<Line<'a>> {
    let mut members: BTreeMap<Option<&GroupName>, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        members
            .entry(report.group.as_ref())
            .or_default()
            .push(report);
    }
    let mut members = |name| members.remove(&name).unwrap_or_default().into_iter();
    let alone = members(None).map(|report| Line::Service(report, None));
    let mut lines: Vec<_> = alone.collect();
    for group in groups {
        lines.push(Line::Group(group));
        let services = members(Some(&group.name));
        lines.extend(services.map(|report| Line::Service(report, Some(group))));
    }
    lines
}

fn cells<'a>(lines: &[Line<'a>], cell: fn(&Line<'a>) -> String) -> impl Iterator<Item = String> {
    lines.iter().map(cell)
}

impl Line<'_> {
    fn name(&self) -> String {
        match self {
            Self::Service(report, None) => report.ports.to_string(),
            Self::Service(report, Some(_)) => format!("  {}", report.ports),
            Self::Group(group) => words::group(&group.name),
        }
    }

    fn used(&self) -> String {
        self.size(match self {
            Self::Service(report, _) => report.billed,
            Self::Group(group) => group.billed,
        })
    }

    fn quota(&self) -> String {
        match self {
            Self::Service(_, Some(group)) if group.quota.is_some() => tr!("shared", "共享"),
            Self::Service(report, _) => quota(report.quota),
            Self::Group(group) => quota(group.quota),
        }
    }

    fn mode(&self) -> String {
        mode(self.tariff())
    }

    fn incoming(&self) -> String {
        self.size(match self {
            Self::Service(report, _) => report.usage.incoming,
            Self::Group(group) => group.usage.incoming,
        })
    }

    fn outgoing(&self) -> String {
        self.size(match self {
            Self::Service(report, _) => report.usage.outgoing,
            Self::Group(group) => group.usage.outgoing,
        })
    }

    fn limit(&self) -> String {
        match self {
            Self::Service(report, _) => rate(report.limit),
            Self::Group(_) => String::new(),
        }
    }

    fn limits(&self) -> String {
        match self {
            Self::Service(
                Report {
                    limit: None,
                    limit_in: None,
                    ..
                },
                _,
            ) => rate(None),
            Self::Service(report, _) => {
                format!("{}/{}", rate(report.limit), rate(report.limit_in))
            }
            Self::Group(_) => String::new(),
        }
    }

    fn reset(&self) -> String {
        let date: Option<Date> = match self {
            Self::Service(report, _) => report.next_reset,
            Self::Group(group) => group.next_reset,
        };
        date.map_or("-".to_owned(), |date| date.to_string())
    }

    fn state(&self) -> String {
        let ok = || tr!("ok", "正常");
        let spent = || tr!("spent", "已用完");
        match self {
            Self::Service(report, _) => match report.blocked_by {
                Some(BlockedBy::Operator) => tr!("blocked", "已阻断"),
                Some(BlockedBy::Expiry) => tr!("expired", "已到期"),
                Some(BlockedBy::Quota) => spent(),
                None if report.punished.is_some() => tr!("slowed", "惩罚中"),
                None => ok(),
            },
            Self::Group(group) if group.is_spent => spent(),
            Self::Group(_) => ok(),
        }
    }

    fn note(&self) -> String {
        match self {
            Self::Service(report, _) => one_line(&report.note),
            Self::Group(group) if group.members.is_empty() => tr!("(no services)", "（没有服务）"),
            Self::Group(_) => String::new(),
        }
    }

    fn tariff(&self) -> Tariff {
        match self {
            Self::Service(report, _) => report.tariff,
            Self::Group(group) => group.tariff,
        }
    }

    fn size(&self, bytes: u64) -> String {
        let quota = match self {
            Self::Service(report, group) => report.quota.or(group.and_then(|group| group.quota)),
            Self::Group(group) => group.quota,
        };
        approximate(bytes, family(quota))
    }
}

fn quota(quota: Option<QuotaSize>) -> String {
    quota.map_or("-".to_owned(), |quota| quota.size().to_string())
}

/// Returns a limit in as few characters as possible: three digits, rounded down.
fn rate(limit: Option<Limit>) -> String {
    limit.map_or("-".to_owned(), |limit| {
        words::rate(limit).replace("bps", "").replace(' ', "")
    })
}

/// Returns how bytes become what is billed, in as few characters as possible.
pub(crate) fn mode(tariff: Tariff) -> String {
    let Tariff { mode, factor } = tariff;
    let mode = match mode {
        Mode::Both => tr!("both", "双向"),
        Mode::Out => tr!("out", "仅出站"),
        Mode::Max => tr!("max", "取大"),
    };
    if factor.is_one() {
        mode
    } else {
        format!("{mode} x{factor}")
    }
}

/// Returns the units in which sizes beside a quota are shown.
pub(crate) fn family(quota: Option<QuotaSize>) -> SizeFamily {
    quota.map_or(SizeFamily::Decimal, |quota| quota.size().unit().family())
}

/// Returns a note as one line of a table.
pub(crate) fn one_line(note: &Note) -> String {
    let words: Vec<_> = note.as_str().split_whitespace().collect();
    words.join(" ")
}

/// Returns services as they are typed.
pub(crate) fn join(ports: &[PortRange]) -> String {
    let ports: Vec<String> = ports.iter().map(PortRange::to_string).collect();
    ports.join(",")
}

#[cfg(test)]
mod tests;
