//! When something is told, and at which parts of a quota.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::successors;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::Duration as Span;

use super::{NotifyError, as_text};
use crate::calendar::{Timestamp, Zone};

pub(super) const MINUTES_A_DAY: u16 = 24 * 60;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// A time of day, to the minute: `08:00`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// A span of each day, which may go over midnight: `23:00-07:00`. Its end is not part of it.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::{Timestamp, Zone};
/// use pm_core::config::QuietHours;
///
/// let night: QuietHours = "23:00-07:00".parse()?;
/// let at_6 = Timestamp::from_unix(1_700_028_000); // 06:00 in UTC
/// assert_eq!(night.left(at_6, &Zone::utc()).map(|left| left.as_secs()), Some(3_600));
/// let at_7 = Timestamp::from_unix(1_700_031_600);
/// assert_eq!(night.left(at_7, &Zone::utc()), None);
/// # Ok::<(), pm_core::config::NotifyError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours {
    from: TimeOfDay,
    to: TimeOfDay,
}

/// When reports are sent.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::{Timestamp, Zone};
/// use pm_core::config::Schedule;
///
/// let schedule: Schedule = "at 08:00,20:00".parse()?;
/// let at_6 = Timestamp::from_unix(1_700_028_000); // 06:00 in UTC
/// let yesterday_at_20 = Timestamp::from_unix(1_700_028_000 - 10 * 3_600);
/// assert_eq!(schedule.last_due(at_6, &Zone::utc()), yesterday_at_20);
/// assert_eq!("every 60m".parse::<Schedule>()?.to_string(), "every 1h");
/// assert_eq!("every 90m".parse::<Schedule>()?.to_string(), "every 90m");
/// # Ok::<(), pm_core::config::NotifyError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// Each time so many minutes have passed, counted from midnight by the zone's clocks: 1 to 1440.
    Every(ReportMinutes),
    /// At these times of each day; at least one, at most 24.
    At(BTreeSet<TimeOfDay>),
}

/// How many minutes lie between two reports, 1 to 1440.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReportMinutes(u16);

/// For how many minutes mail is collected into one, 1 to 1440.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct DigestMinutes(u16);

/// The parts of a quota at which its holder is warned of, in percent, ascending: at most 20, each
/// from 1 to 1000.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Vec<u16>", into = "Vec<u16>")]
pub struct Thresholds(Vec<u16>);

impl TimeOfDay {
    /// Returns the time so many minutes after midnight; `None` from a day on.
    pub fn from_minutes(minutes: u16) -> Option<Self> {
        (minutes < MINUTES_A_DAY).then_some(Self(minutes))
    }

    /// Returns the minutes since midnight, below 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }

    fn since_midnight(self) -> Span {
        Span::minutes(self.0.into())
    }
}

impl FromStr for TimeOfDay {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let refused = || NotifyError::TimeOfDay(text.escape_debug().to_string());
        let (hour, minute) = text.split_once(':').ok_or_else(refused)?;
        let number = |digits: &str, lengths: std::ops::RangeInclusive<usize>, most: u16| {
            let is_number =
                lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u16 = digits.parse().ok().filter(|_| is_number)?;
            (number <= most).then_some(number)
        };
        let hour = number(hour, 1..=2, 23).ok_or_else(refused)?;
        let minute = number(minute, 2..=2, 59).ok_or_else(refused)?;
        Ok(Self(hour * 60 + minute))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

as_text!(TimeOfDay);

impl QuietHours {
    /// Returns the span between two times; `None` where they are the same.
    pub fn new(from: TimeOfDay, to: TimeOfDay) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }

    /// Returns how long it lasts from `now` on; `None` where `now` is outside.
    pub fn left(self, now: Timestamp, zone: &Zone) -> Option<Duration> {
        let of_day = |time: TimeOfDay| u32::from(time.0) * 60;
        let day = u32::from(MINUTES_A_DAY) * 60;
        let since = |from: u32, to: u32| (to + day - from) % day;
        let now = second_of_day(now, zone);
        let (from, to) = (of_day(self.from), of_day(self.to));
        let is_within = since(from, now) < since(from, to);
        is_within.then(|| Duration::from_secs(since(now, to).into()))
    }
}

impl FromStr for QuietHours {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let refused = || NotifyError::QuietHours(text.escape_debug().to_string());
        let (from, to) = text.split_once('-').ok_or_else(refused)?;
        Self::new(from.trim().parse()?, to.trim().parse()?).ok_or_else(refused)
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.from, self.to))
    }
}

as_text!(QuietHours);

impl Schedule {
    /// Returns the last instant at which a report was due, `now` or before: one is to be sent where
    /// the last one is older.
    ///
    /// What clocks show twice is due the first time; at intervals no longer than what is there
    /// twice, both times. What they skip is due when they skip it.
    pub fn last_due(&self, now: Timestamp, zone: &Zone) -> Timestamp {
        match self {
            Self::Every(minutes) => minutes.last_due(now, zone),
            Self::At(times) => {
                let today = zone.local(now).date();
                // Where a zone skipped a day, the last time may be of the day before that.
                let dates = successors(Some(today), |date| date.previous_day()).take(3);
                let due = dates.flat_map(|date| {
                    let local = move |time: &TimeOfDay| {
                        date.midnight().saturating_add(time.since_midnight())
                    };
                    times.iter().map(move |time| zone.first_at(local(time)))
                });
                let yesterday = now.unix().saturating_sub(SECONDS_A_DAY);
                let last = due.filter(|due| *due <= now).max();
                last.unwrap_or(Timestamp::from_unix(yesterday))
            }
        }
    }
}

fn second_of_day(now: Timestamp, zone: &Zone) -> u32 {
    let (hour, minute, second) = zone.local(now).time().as_hms();
    (u32::from(hour) * 60 + u32::from(minute)) * 60 + u32::from(second)
}

impl FromStr for Schedule {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let refused = || NotifyError::Schedule(text.escape_debug().to_string());
        if let Some(span) = text.trim().strip_prefix("every ") {
            let span = span.trim();
            let (digits, minutes) = match span.strip_suffix('h') {
                Some(hours) => (hours, 60),
                None => (span.strip_suffix('m').ok_or_else(refused)?, 1),
            };
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let count: u16 = digits
                .parse()
                .ok()
                .filter(|_| is_number)
                .ok_or_else(refused)?;
            let minutes = count.checked_mul(minutes).and_then(ReportMinutes::new);
            return minutes.map(Self::Every).ok_or_else(refused);
        }
        let times = text.trim().strip_prefix("at ").ok_or_else(refused)?;
        let times: BTreeSet<TimeOfDay> = times
            .split(',')
            .map(|time| time.trim().parse())
            .collect::<Result<_, _>>()?;
        if times.len() > 24 {
            return Err(refused());
        }
        Ok(Self::At(times))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(minutes) => match (minutes.get() / 60, minutes.get() % 60) {
                (hours, 0) => write!(f, "every {hours}h"),
                _ => write!(f, "every {}m", minutes.get()),
            },
            Self::At(times) => {
                let times: Vec<_> = times.iter().map(TimeOfDay::to_string).collect();
                write!(f, "at {}", times.join(","))
            }
        }
    }
}

as_text!(Schedule);

impl ReportMinutes {
    /// Returns so many minutes; `None` for 0 and more than a day.
    pub fn new(minutes: u16) -> Option<Self> {
        (1..=MINUTES_A_DAY)
            .contains(&minutes)
            .then_some(Self(minutes))
    }

    /// Returns how many they are.
    pub fn get(self) -> u16 {
        self.0
    }

    fn last_due(self, now: Timestamp, zone: &Zone) -> Timestamp {
        let span = i64::from(self.0) * 60;
        let ago = i64::from(second_of_day(now, zone)) % span;
        let local = zone.local(now).saturating_sub(Span::seconds(ago));
        let first = zone.first_at(local);
        let again = Timestamp::from_unix(now.unix().saturating_sub(ago));
        let is_due_again =
            again.unix().saturating_sub(first.unix()) >= span && zone.local(again) == local;
        if is_due_again { again } else { first }
    }
}

impl DigestMinutes {
    /// Returns how many they are.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for DigestMinutes {
    type Error = NotifyError;

    fn try_from(minutes: u16) -> Result<Self, NotifyError> {
        if (1..=MINUTES_A_DAY).contains(&minutes) {
            Ok(Self(minutes))
        } else {
            Err(NotifyError::Minutes(minutes.to_string()))
        }
    }
}

impl From<DigestMinutes> for u16 {
    fn from(minutes: DigestMinutes) -> Self {
        minutes.0
    }
}

impl FromStr for DigestMinutes {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let minutes: u16 = text
            .parse()
            .map_err(|_| NotifyError::Minutes(text.escape_debug().to_string()))?;
        minutes.try_into()
    }
}

impl fmt::Display for DigestMinutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Thresholds {
    /// Returns the percentages, ascending.
    pub fn percents(&self) -> &[u16] {
        &self.0
    }

    /// Whether they are what an absent field means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self(vec![50, 80, 100])
    }
}

impl TryFrom<Vec<u16>> for Thresholds {
    type Error = NotifyError;

    fn try_from(mut percents: Vec<u16>) -> Result<Self, NotifyError> {
        percents.sort_unstable();
        percents.dedup();
        let is_allowed = percents.len() <= 20 && percents.iter().all(|it| (1..=1_000).contains(it));
        if is_allowed {
            Ok(Self(percents))
        } else {
            let words: Vec<_> = percents.iter().map(u16::to_string).collect();
            Err(NotifyError::Thresholds(words.join(",")))
        }
    }
}

impl From<Thresholds> for Vec<u16> {
    fn from(thresholds: Thresholds) -> Self {
        thresholds.0
    }
}

impl FromStr for Thresholds {
    type Err = NotifyError;

    /// Reads `50,80,100`, also with `%` behind each, and `none`.
    fn from_str(text: &str) -> Result<Self, NotifyError> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let refused = |_| NotifyError::Thresholds(text.escape_debug().to_string());
        let percent = |word: &str| word.trim().trim_end_matches('%').parse::<u16>();
        let percents: Result<Vec<u16>, _> = text.split(',').map(percent).collect();
        percents.map_err(refused)?.try_into()
    }
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let words: Vec<_> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&words.join(","))
    }
}
