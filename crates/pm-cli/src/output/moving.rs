//! What is taken over from an older tool, before and after: the table that the operator agrees to,
//! and everything in it that is not as it was.

use pm_core::calendar::ResetPolicy;
use pm_core::config::{Contract, GroupName, Limit, QuotaSize};
use pm_core::port::PortRange;
use pm_core::units::{SizeFamily, approximate};
use pm_legacy::{Books, Doubt, Imported, ImportedGroup, ImportedService, Subject};

use super::grid::{Column, render};
use super::table::one_line;
use super::words::{self, doubts};
use super::wrap::{terminal, wrap};
use crate::language::tr;

/// How many of those that share a doubt are named.
const NAMED: usize = 5;

/// Returns the table of services and groups, those of a group below it; the last column says
/// which of the [`doubts`](self::doubts) are about a line.
///
/// `width` is in columns; `None`: the terminal's, or as wide as it takes where there is none.
pub(crate) fn table(imported: &Imported, width: Option<u16>) -> String {
    let lines = lines(imported);
    if lines.is_empty() {
        return tr!("There is no port to take over.", "没有可导入的端口。");
    }
    let told = told(imported);
    let cells = |cell| cells(&lines, cell);
    let mut columns = vec![
        Column::names(tr!("PORT", "端口"), cells(Line::name)),
        Column::numbers(tr!("USED", "原已用"), cells(Line::before)),
        Column::numbers(tr!("AFTER", "导入后"), cells(Line::after)),
        Column::numbers(tr!("QUOTA", "总配额"), cells(Line::quota)),
    ];
    if lines.iter().any(|line| line.limit() != "-") {
        columns.push(Column::words(tr!("LIMIT", "出站限速"), cells(Line::limit)).rank(1));
    }
    columns.push(Column::words(tr!("RESET", "重置"), cells(Line::reset)).rank(2));
    columns.push(Column::words(tr!("STATE", "状态"), cells(Line::state)));
    if lines.iter().any(|line| !line.note().is_empty()) {
        columns.push(Column::prose(tr!("NOTE", "备注"), cells(Line::note)).rank(0));
    }
    let see = |line: &Line<'_>| {
        let about = line.subject();
        let numbers = told.iter().enumerate();
        let numbers = numbers.filter(|(_, (_, doubts))| {
            let mut abouts = doubts.iter().map(|doubt| &doubt.about);
            abouts.any(|other| *other == about)
        });
        let numbers: Vec<_> = numbers.map(|(index, _)| (index + 1).to_string()).collect();
        numbers.join(",")
    };
    if !told.is_empty() {
        let column = Column::words(tr!("SEE", "见"), lines.iter().map(see));
        columns.push(column.rank(3));
    }
    render(columns, width)
}

/// Returns everything that is not as it was, numbered; those who share one are told together.
/// Empty where there is nothing to say.
///
/// `width` is as for [`table`].
pub(crate) fn doubts(imported: &Imported, width: Option<u16>) -> String {
    let told = told(imported);
    let digits = told.len().to_string().len();
    let columns = width.or_else(|| terminal().map(|(_, columns)| columns));
    let line = |(index, (what, doubts)): (usize, &(String, Vec<&Doubt>))| {
        let text = match about(doubts) {
            Some(about) => tr!("{about}: {what}", "{about}：{what}"),
            None => what.clone(),
        };
        let number = format!("{:>digits$}. ", index + 1);
        let indent = format!("\n{}", " ".repeat(number.len()));
        let text = match columns {
            Some(columns) => {
                let room = usize::from(columns).saturating_sub(number.len());
                wrap(&text, room.max(1)).join(&indent)
            }
            None => text,
        };
        number + &text
    };
    let lines: Vec<_> = told.iter().enumerate().map(line).collect();
    lines.join("\n")
}

/// Returns the doubts by what they say: questions first, else in the order of what they are about.
fn told(imported: &Imported) -> Vec<(String, Vec<&Doubt>)> {
    let (questions, others): (Vec<_>, Vec<_>) = imported
        .doubts
        .iter()
        .partition(|doubt| doubt.is_question());
    let mut told: Vec<(String, Vec<&Doubt>)> = Vec::new();
    for doubt in questions.into_iter().chain(others) {
        let what = doubts::trouble(&doubt.trouble);
        match told.iter_mut().find(|(other, _)| *other == what) {
            Some((_, doubts)) => doubts.push(doubt),
            None => told.push((what, vec![doubt])),
        }
    }
    told
}

/// Returns whom doubts are about, the first few by name; `None`: everything.
fn about(doubts: &[&Doubt]) -> Option<String> {
    let subjects = doubts.iter().map(|doubt| doubts::subject(&doubt.about));
    let names: Vec<String> = subjects.collect::<Option<_>>()?;
    let shown = names.get(..NAMED.min(names.len())).unwrap_or_default();
    let shown = shown.join(&tr!(", ", "、"));
    Some(match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => tr!(
            en: "{shown} and {more} more";
            zh: "{shown} 等 {} 项", names.len()
        ),
    })
}

/// One line of the table.
enum Line<'a> {
    /// A service, and the group that it is in.
    Service(PortRange, &'a ImportedService, Option<&'a ImportedGroup>),
    Group(&'a GroupName, &'a ImportedGroup),
}

/// Returns the lines in the order in which they are shown.
fn lines(imported: &Imported) -> Vec<Line<'_>> {
    let members = |group: Option<&GroupName>| {
        let services = imported.services.iter();
        let members = services.filter(|(_, found)| found.service.group.as_ref() == group);
        let group = group.and_then(|name| imported.groups.get(name));
        members
            .map(|(&ports, found)| Line::Service(ports, found, group))
            .collect::<Vec<_>>()
    };
    let mut lines = members(None);
    for (name, found) in &imported.groups {
        lines.push(Line::Group(name, found));
        lines.extend(members(Some(name)));
    }
    lines
}

fn cells<'a>(lines: &[Line<'a>], cell: fn(&Line<'a>) -> String) -> impl Iterator<Item = String> {
    lines.iter().map(cell)
}

impl Line<'_> {
    fn subject(&self) -> Subject {
        match self {
            Self::Service(ports, ..) => Subject::Service(*ports),
            Self::Group(name, _) => Subject::Group((*name).clone()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Service(ports, _, None) => ports.to_string(),
            Self::Service(ports, _, Some(_)) => format!("  {ports}"),
            Self::Group(name, _) => words::group(name),
        }
    }

    fn books(&self) -> &Books {
        match self {
            Self::Service(_, found, _) => &found.books,
            Self::Group(_, found) => &found.books,
        }
    }

    fn contract(&self) -> Contract {
        match self {
            Self::Service(_, found, None) => found.service.contract(),
            Self::Service(_, _, Some(group)) | Self::Group(_, group) => group.group.contract(),
        }
    }

    fn before(&self) -> String {
        size(self.books().shown)
    }

    fn after(&self) -> String {
        size(self.books().billed(self.contract()))
    }

    fn quota(&self) -> String {
        let quota = self.contract().quota;
        match (self, quota) {
            (Self::Service(_, _, Some(_)), Some(_)) => tr!("shared", "共享"),
            _ => quota.map_or("-".to_owned(), |quota| quota.size().to_string()),
        }
    }

    fn limit(&self) -> String {
        let limit = match self {
            Self::Service(_, found, _) => found.service.limit,
            Self::Group(..) => None,
        };
        limit.map_or("-".to_owned(), |limit: Limit| limit.to_string())
    }

    fn reset(&self) -> String {
        if matches!(self, Self::Service(_, _, Some(_))) {
            return String::new();
        }
        match self.contract().reset_policy() {
            ResetPolicy::Monthly(day) => tr!("day {day}", "每月 {day} 日"),
            ResetPolicy::EveryDays { every, .. } => tr!(
                en: "every {}", every.of("day");
                zh: "每 {} 天", every.get()
            ),
            ResetPolicy::EveryMonths { every, day, .. } => tr!(
                en: "every {} on {day}", every.of("month");
                zh: "每 {} 个月的 {day} 日", every.get()
            ),
            ResetPolicy::Yearly(day) => tr!("yearly {day}", "每年 {day}"),
            ResetPolicy::Once(date) => date.to_string(),
            ResetPolicy::Never => "-".to_owned(),
        }
    }

    fn state(&self) -> String {
        let quota = self.contract().quota.map(QuotaSize::bytes);
        let is_spent = quota.is_some_and(|quota| self.books().billed(self.contract()) >= quota);
        let is_member = matches!(self, Self::Service(_, _, Some(_)));
        match self {
            Self::Service(_, found, _) if found.service.blocked => tr!("blocked", "已阻断"),
            Self::Service(_, found, _) if found.punished_until.is_some() => tr!("slowed", "惩罚中"),
            _ if is_spent && !is_member => tr!("spent", "已用完"),
            _ => tr!("ok", "正常"),
        }
    }

    fn note(&self) -> String {
        match self {
            Self::Service(_, found, _) => one_line(&found.service.note),
            Self::Group(..) => String::new(),
        }
    }
}

/// Those tools count by 1024.
fn size(bytes: u64) -> String {
    approximate(bytes, SizeFamily::Binary)
}

#[cfg(test)]
mod tests;
