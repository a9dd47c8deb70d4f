//! What port-traffic-dog has kept of the past: a line for each reset, and in the fork each day's
//! totals.

use std::collections::BTreeMap;

use pm_core::calendar::{Timestamp, Zone, iso_date};
use pm_core::config::Contract;
use pm_core::history::{ClosedPeriod, DayTotal, Why};
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use serde_json::Value;
use time::{Date, Duration};

use super::evidence::Known;
use super::{Port, beside};
use crate::doubt::{Doubt, Subject, Trouble};
use crate::imported::Imported;
use crate::json::{at, number, number_in};
use crate::source::{Context, Files, Refusal};
use crate::zone::beijing;

const RESETS: &str = "reset_history.log";
const STATS: &str = "traffic_stats.json";

/// The resets, by the name of what was reset.
pub(super) struct History(BTreeMap<String, Vec<Past>>);

/// A reset that was made.
struct Past {
    at: Timestamp,
    /// What was billed until then, in bytes.
    billed: u64,
    /// Whether it was due on a date.
    was_due: bool,
}

/// Reads the resets, oldest first.
pub(super) fn read(
    files: &Files,
    entries: &[Port<'_>],
    now: Timestamp,
    imported: &mut Imported,
) -> Result<History, Refusal> {
    let mut resets: BTreeMap<String, Vec<Past>> = entries
        .iter()
        .map(|entry| (entry.key.clone(), Vec::new()))
        .collect();
    let (mut unread, mut of_others): (Option<(usize, usize)>, _) = (None, 0);
    let text = files.text(RESETS)?.unwrap_or_default();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match past(line, now) {
            None => {
                let (first, count) = unread.unwrap_or((index + 1, 0));
                unread = Some((first, count + 1));
            }
            Some((key, past)) => match resets.get_mut(key) {
                Some(resets) => resets.push(past),
                None => of_others += 1,
            },
        }
    }
    for resets in resets.values_mut() {
        resets.sort_by_key(|past| past.at);
    }
    let unread = unread.map(|(first, count)| Trouble::HistoryLines { first, count });
    let of_others = Some(of_others).filter(|count| *count > 0);
    let troubles = unread
        .into_iter()
        .chain(of_others.map(Trouble::HistoryOfOthers));
    troubles.for_each(|trouble| imported.doubt(Subject::Everything, trouble));
    Ok(History(resets))
}

/// `unix|name|bytes`, and in the fork `|date` behind it.
fn past(line: &str, now: Timestamp) -> Option<(&str, Past)> {
    let mut fields = line.trim().split('|');
    let (at, key, billed) = (fields.next()?, fields.next()?, fields.next()?);
    let at = i64::try_from(number_in(at)?).ok()?;
    let past = Past {
        at: Timestamp::from_unix(at),
        billed: number_in(billed)?,
        was_due: fields
            .next()
            .is_some_and(|date| iso_date::parse(date).is_some()),
    };
    ((1..=now.unix()).contains(&at)).then_some((key, past))
}

impl History {
    /// Returns when something was reset last.
    pub(super) fn last(&self, key: &str) -> Option<Timestamp> {
        Some(self.0.get(key)?.last()?.at)
    }

    /// Adds the periods that the resets of `key` closed.
    ///
    /// Only what was billed is known of them, not what came in and went out: so it stands as a
    /// correction of a period in which nothing was counted.
    pub(super) fn close(
        &self,
        key: &str,
        holder: Holder,
        contract: Contract,
        imported: &mut Imported,
    ) {
        let zone = beijing();
        let resets = self.0.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut began = None;
        for past in resets {
            let date = zone.date_at(past.at);
            let eve = date.saturating_sub(Duration::DAY);
            let is_on_its_date = contract.reset_policy().next_after(eve) == Some(date);
            imported.closed.push(ClosedPeriod {
                holder: holder.clone(),
                group: None,
                began,
                ended: past.at,
                why: if past.was_due || is_on_its_date {
                    Why::Calendar
                } else {
                    Why::Operator
                },
                usage: Usage::default(),
                tariff: contract.tariff,
                adjust: i64::try_from(past.billed).unwrap_or(i64::MAX),
            });
            began = Some(past.at);
        }
        imported.closed.sort_by_key(|period| period.ended);
    }
}

/// Reads the totals of each day, as the fork keeps them: on the scale of its counters.
pub(super) fn days(
    files: &Files,
    entries: &[Port<'_>],
    known: &Known,
    context: (&Zone, &Context<'_>),
    imported: &mut Imported,
) -> Result<(), Refusal> {
    let (zone, context) = context;
    let stats = beside(STATS, files, imported)?;
    let today = zone.date_at(context.now);
    for entry in entries {
        let days = at(&stats, &["daily", &entry.key]).as_object();
        let Some(days) = days.filter(|days| !days.is_empty()) else {
            continue;
        };
        let [ports] = entry.ports[..] else {
            let first = imported.services.get(&entry.ports[0]);
            let group = first.and_then(|found| found.service.group.clone());
            if let Some(group) = group {
                imported.doubt(Subject::Group(group), Trouble::DaysOfList);
            }
            continue;
        };
        let terms = known.terms(entry);
        let day = |written: &str, total: &Value| -> Option<DayTotal> {
            let date: Date = iso_date::parse(written).filter(|date| *date <= today)?;
            let bytes = |name, times: u32| {
                let bytes = number(at(total, &[name]))?;
                Some(bytes.checked_div(times.into()).unwrap_or_default())
            };
            let usage = Usage {
                incoming: bytes("input", terms.times_in)?,
                outgoing: bytes("output", terms.times_out)?,
            };
            Some(DayTotal { date, ports, usage })
        };
        let mut unread = 0;
        for (written, total) in days {
            match day(written, total) {
                Some(total) if total.usage == Usage::default() => {}
                Some(total) => imported.days.push(total),
                None => unread += 1,
            }
        }
        if unread > 0 {
            let about = Subject::Service(ports);
            let trouble = Trouble::DaysUnreadable(unread);
            imported.doubts.push(Doubt { about, trouble });
        }
    }
    imported.days.sort_by_key(|day| (day.date, day.ports));
    Ok(())
}
