//! When a report is due.
//!
//! - Its times are those of the zone's clocks, also on the days on which they are turned.
//! - A time of day that comes twice is due once, when it comes first; one that is left out is due
//!   as much later as the clocks were put forward.
//! - Of times that repeat, one that comes twice is due twice only if that is the usual distance or
//!   more; one that is left out is not due.

use time::{Duration, PrimitiveDateTime};

use super::Schedule;
use super::times::{MINUTES_A_DAY, second_of_day};
use crate::calendar::{Timestamp, Zone};

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// More than any zone turns its clocks by.
const MOST_TURNED: Duration = Duration::hours(4);

impl Schedule {
    /// Returns the last instant at which a report was due, `now` or before: one is to be sent where
    /// the last one is older.
    pub fn last_due(&self, now: Timestamp, zone: &Zone) -> Timestamp {
        // All days but a few are as long as any other.
        match zone.is_steady(now, SECONDS_A_DAY) {
            true => Timestamp::from_unix(now.unix().saturating_sub(self.since_due(now, zone))),
            false => self.last_due_of_days(now, zone),
        }
    }

    /// Returns for how long one is due, in seconds, where the clocks were not turned for a day.
    fn since_due(&self, now: Timestamp, zone: &Zone) -> i64 {
        let second = i64::from(second_of_day(now, zone));
        match self {
            Self::Every(minutes) => second % (i64::from(minutes.get()) * 60),
            Self::At(times) => {
                let ago = times.iter().map(|time| {
                    (second - i64::from(time.minutes()) * 60).rem_euclid(SECONDS_A_DAY)
                });
                ago.min().unwrap_or(0)
            }
        }
    }

    /// Looks at all times of the days around `now`, however long those are.
    fn last_due_of_days(&self, now: Timestamp, zone: &Zone) -> Timestamp {
        let local = zone.local(now);
        let midnight = local.replace_time(time::Time::MIDNIGHT);
        let times = (-2..=1).flat_map(|day| {
            let midnight = midnight.saturating_add(Duration::days(day));
            let minutes = self.minutes_of_day().into_iter();
            minutes.map(move |minute| midnight.saturating_add(Duration::minutes(minute.into())))
        });
        let near = times.filter(|time| (local - *time).abs() <= self.distance() + MOST_TURNED);
        let due = near.flat_map(|time| self.due_at(time, zone));
        due.flatten().filter(|due| *due <= now).max().unwrap_or(now)
    }

    /// Returns how far two times lie apart at most.
    fn distance(&self) -> Duration {
        match self {
            Self::Every(minutes) => Duration::minutes(minutes.get().into()),
            Self::At(_) => Duration::DAY,
        }
    }

    fn minutes_of_day(&self) -> Vec<u16> {
        match self {
            Self::Every(minutes) => (0..MINUTES_A_DAY).step_by(minutes.get().into()).collect(),
            Self::At(times) => times.iter().map(|time| time.minutes()).collect(),
        }
    }

    /// Returns when one is due by a time that clocks show: not at all, once or twice.
    fn due_at(&self, time: PrimitiveDateTime, zone: &Zone) -> [Option<Timestamp>; 2] {
        let (first, last) = zone.instants(time);
        match self {
            Self::At(_) => [Some(first), None],
            Self::Every(minutes) => {
                let is_shown = zone.local(first) == time;
                let apart = last.unix() - first.unix();
                let is_twice = is_shown && apart >= i64::from(minutes.get()) * 60;
                [is_shown.then_some(first), is_twice.then_some(last)]
            }
        }
    }
}
