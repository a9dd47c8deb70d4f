//! What becomes of the history when an adoption takes its place.

use std::collections::BTreeMap;

use pm_core::adoption::{Adoption, Extent};
use pm_core::backend::Netfilter;
use pm_core::config::Config;
use pm_core::history::{ClosedPeriod, DayTotal, Why};
use pm_core::ledger::Usage;
use pm_core::request::Request;
use pm_store::StoreError;
use pm_store::state_db::StateDb;

use crate::history::merge;
use crate::session::Session;

/// What of the history goes, and what comes in its place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Replaced {
    /// Closed periods.
    pub periods: Change,
    /// Daily totals; one with another figure both goes and comes.
    pub days: Change,
}

/// How many of something go, and how many come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Change {
    /// They are there now and not afterwards.
    pub gone: usize,
    /// They are there afterwards and not now.
    pub new: usize,
}

/// Returns what `request` does to the history, `session` being as it was observed last. Only an
/// adoption of everything does anything to it but to add to it.
///
/// # Errors
///
/// As the database says.
pub(crate) fn by<N: Netfilter>(
    request: &Request,
    config: &Config,
    session: &Session<'_, N>,
    db: Option<&StateDb>,
) -> Result<Replaced, StoreError> {
    let Request::Adopt(adoption) = request else {
        return Ok(Replaced::default());
    };
    match adoption.extent {
        Extent::Newcomers => Ok(Replaced::default()),
        Extent::Everything => {
            let (closed, days) = (closed(config, session, db)?, days(session, db)?);
            Ok(Replaced {
                periods: periods_between(&closed, &adoption.books.closed),
                days: days_between(&days, adoption),
            })
        }
    }
}

/// Returns all periods that are over, as of the last reading; also of services that are deleted and
/// whose rooms are not gone yet.
///
/// # Errors
///
/// As the database says.
pub(crate) fn closed<N: Netfilter>(
    config: &Config,
    session: &Session<'_, N>,
    db: Option<&StateDb>,
) -> Result<Vec<ClosedPeriod>, StoreError> {
    let mut closed = match db {
        Some(db) => db.closed_periods(None)?,
        None => Vec::new(),
    };
    closed.extend(session.state.closed.iter().cloned());
    let ledgers = session.state.ledgers.iter();
    let leaving = ledgers.filter(|(ports, ledger)| {
        !config.services.contains_key(*ports) && ledger.total != Usage::default()
    });
    closed.extend(
        leaving.map(|(&ports, ledger)| ledger.clone().close(ports, Why::Deleted, session.time)),
    );
    Ok(closed)
}

/// Returns what each day used, as of the last reading.
///
/// # Errors
///
/// As the database says.
pub(crate) fn days<N: Netfilter>(
    session: &Session<'_, N>,
    db: Option<&StateDb>,
) -> Result<Vec<DayTotal>, StoreError> {
    let saved = match db {
        Some(db) => db.days(None)?,
        None => Vec::new(),
    };
    Ok(merge(saved, session.unsaved_days()))
}

fn periods_between(before: &[ClosedPeriod], after: &[ClosedPeriod]) -> Change {
    // Ascending by what nobody sees twice but in the same second.
    let by_holder = |periods: &[ClosedPeriod]| {
        let mut map: BTreeMap<_, Vec<ClosedPeriod>> = BTreeMap::new();
        for period in periods {
            let key = (period.holder.clone(), period.ended);
            map.entry(key).or_default().push(period.clone());
        }
        map
    };
    let mut left = by_holder(after);
    let mut change = Change::default();
    for period in before {
        let same = left.get_mut(&(period.holder.clone(), period.ended));
        let at = same
            .as_ref()
            .and_then(|same| same.iter().position(|one| one == period));
        match (same, at) {
            (Some(same), Some(at)) => drop(same.swap_remove(at)),
            _ => change.gone += 1,
        }
    }
    change.new = left.values().map(Vec::len).sum();
    change
}

fn days_between(before: &[DayTotal], adoption: &Adoption) -> Change {
    let by_day = |days: &[DayTotal]| {
        let mut map: BTreeMap<_, Usage> = BTreeMap::new();
        for day in days.iter().filter(|day| day.usage != Usage::default()) {
            let sum = map.entry((day.date, day.ports)).or_default();
            *sum = sum.plus(day.usage);
        }
        map
    };
    let (before, after) = (by_day(before), by_day(&adoption.days()));
    let missing = |from: &BTreeMap<_, Usage>, to: &BTreeMap<_, Usage>| {
        from.iter()
            .filter(|(day, usage)| to.get(*day) != Some(*usage))
            .count()
    };
    Change {
        gone: missing(&before, &after),
        new: missing(&after, &before),
    }
}

#[cfg(test)]
mod tests {
    use pm_core::calendar::Timestamp;

    use super::*;

    fn period(ended: i64, bytes: u64) -> ClosedPeriod {
        ClosedPeriod {
            holder: "80".parse::<pm_core::port::PortRange>().unwrap().into(),
            group: None,
            began: None,
            ended: Timestamp::from_unix(ended),
            why: Why::Operator,
            usage: Usage {
                incoming: bytes,
                outgoing: 0,
            },
            tariff: Default::default(),
            adjust: 0,
        }
    }

    #[test]
    fn periods_are_compared_one_by_one_also_where_two_end_in_one_second() {
        let change = |before: &[(i64, u64)], after: &[(i64, u64)]| {
            let all = |periods: &[(i64, u64)]| -> Vec<_> {
                periods
                    .iter()
                    .map(|&(ended, bytes)| period(ended, bytes))
                    .collect()
            };
            let Change { gone, new } = periods_between(&all(before), &all(after));
            (gone, new)
        };
        assert_eq!(change(&[(5, 1), (5, 2)], &[(5, 2), (5, 1)]), (0, 0));
        assert_eq!(change(&[(5, 1), (5, 1)], &[(5, 1)]), (1, 0));
        assert_eq!(change(&[(5, 1)], &[(5, 2)]), (1, 1));
        assert_eq!(change(&[], &[(5, 1), (6, 1)]), (0, 2));
    }
}
