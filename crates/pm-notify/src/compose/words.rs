//! Names, sizes and days, as they are said.

use pm_core::config::QuotaSize;
use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::notice::Whom;
use pm_core::port::PortRange;
use pm_core::text::one_line;
use pm_core::units::{SizeFamily, approximate};
use time::Date;

use super::Voice;
use crate::say::say;

/// The most services that are named one by one.
const MOST_NAMED: usize = 12;

impl Voice<'_> {
    /// Returns a service with its note, or a group, on one line.
    pub(crate) fn whom(self, whom: &Whom) -> String {
        match &whom.holder {
            Holder::Service(ports) => self.service(*ports, whom.note.as_str()),
            Holder::Group(name) => say!(self.language; "group {name}", "组 {name}"),
        }
    }

    pub(crate) fn service(self, ports: PortRange, note: &str) -> String {
        match one_line(note) {
            note if note.is_empty() => ports.to_string(),
            note => say!(self.language; "{ports} ({note})", "{ports}（{note}）"),
        }
    }

    pub(super) fn used(self, billed: u64, quota: Option<QuotaSize>) -> String {
        let used = approximate(billed, family(quota));
        match quota.map(|quota| spaced(quota.size())) {
            Some(quota) => say!(
                self.language;
                "{used} of {quota} used",
                "已用 {used} / {quota}"
            ),
            None => say!(self.language; "{used} used", "已用 {used}"),
        }
    }

    pub(super) fn next_period(self, date: Option<Date>) -> String {
        match date {
            Some(date) => say!(
                self.language;
                "Next period: from {date} on",
                "下个周期：{date} 起"
            ),
            None => say!(self.language; "Next period: none", "下个周期：没有"),
        }
    }
}

/// Returns what is said to be used of a quota that is spent: all of it. The packet that did not fit
/// any more was dropped whole, and what is left is of no use.
pub(crate) fn all_of(quota: Option<QuotaSize>, billed: u64) -> u64 {
    quota.map_or(billed, |quota| billed.max(quota.bytes()))
}

/// Returns the family of units in which something is said.
pub(crate) fn family(quota: Option<QuotaSize>) -> SizeFamily {
    quota.map_or(SizeFamily::Decimal, |quota| quota.size().unit().family())
}

/// Returns a size or a rate as it was typed, its unit apart: `100 GB`.
pub(crate) fn spaced(amount: impl std::fmt::Display) -> String {
    let text = amount.to_string();
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    format!("{} {}", number.trim_end(), unit)
        .trim_end()
        .to_owned()
}

/// Returns names, as many as can be taken in.
pub(super) fn listed(language: Language, names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let named = names.get(..MOST_NAMED).unwrap_or(names).join(", ");
    match more {
        0 => named,
        more => say!(language; "{named} and {more} more", "{named} 等，另有 {more} 个"),
    }
}

/// Returns an English word, in the plural where it is not of one.
pub(crate) fn plural(count: usize, one: &str) -> String {
    match count {
        1 => one.to_owned(),
        _ => format!("{one}s"),
    }
}
