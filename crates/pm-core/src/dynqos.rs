//! DynQoS: a service that hogs the line is slowed down for a while.
//!
//! - Judged by what came in and went out over the time that really passed, by the boot clock:
//!   not by what a tick is supposed to take.
//! - Above the trigger for long enough, in and out are limited to the punishing rate. A limit
//!   that is lower than that stays: nobody is punished into speed.
//! - A restart ends no punishment; only time that is known to have passed counts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Limit, ValueError};
use crate::units::{BitRate, BitRateError};

/// Shorter looks say little about a rate: they are added up.
const SHORTEST_SAMPLE: Duration = Duration::from_secs(30);

/// By how much a timer that fires each minute may be early, all minutes together.
const TIMER_SLACK: Duration = Duration::from_secs(5);

/// When a service is slowed down, and how: `TRIGGER/MINUTES/PUNISH/MINUTES`.
///
/// # Examples
///
/// ```
/// use pm_core::dynqos::DynQos;
///
/// let rule: DynQos = "100M/5/5M/60".parse()?;
/// assert_eq!(rule.punish.rate().bits_per_second(), 5_000_000);
/// assert_eq!(rule.to_string(), "100Mbps/5/5Mbps/60");
/// # Ok::<(), pm_core::dynqos::DynQosError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DynQos {
    /// The rate, in and out together, above which it hogs the line: no lower than the lowest
    /// limit, because a few packets a minute are no hogging.
    pub trigger: Limit,
    /// For how long it must do so.
    pub trigger_minutes: Minutes,
    /// How fast it may be then, each way.
    pub punish: Limit,
    /// For how long.
    pub punish_minutes: Minutes,
}

/// A number of minutes, from 1 to a week.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Minutes(u16);

/// Why a text is not a DynQoS rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DynQosError {
    /// Not four parts.
    #[error(
        "`{0}` is not a DynQoS rule: write TRIGGER/MINUTES/PUNISH/MINUTES, such as 100M/5/5M/60: above 100 Mbps for 5 minutes, slowed down to 5 Mbps for 60"
    )]
    Form(String),
    /// A part that is not a rate.
    #[error(transparent)]
    Rate(#[from] BitRateError),
    /// A trigger that a few packets would pull.
    #[error(
        "a trigger of {0} would slow down next to everybody: write at least 8Kbps, or `M` behind a number of megabits"
    )]
    TriggerTooLow(BitRate),
    /// A punishment that would let next to nothing through, or a rate that is too high.
    #[error(transparent)]
    Limit(#[from] ValueError),
    /// A part that is not a number of minutes.
    #[error("`{0}` is not a number of minutes: write one from 1 to {MOST}", MOST = Minutes::MOST)]
    Minutes(String),
}

/// How far a service has come towards its punishment, or through it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hog {
    /// What came in and went out since the last judgement, in bytes.
    pub sample: u64,
    /// For how long it has been above the trigger without a break.
    pub above: Duration,
    /// For how long it is still to be slowed down; `None`: it is not.
    pub punished: Option<Duration>,
}

/// What a judgement changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The punishment begins.
    Punished,
    /// The punishment is over.
    Restored,
}

impl Minutes {
    /// The most: a week.
    pub const MOST: u16 = 7 * 24 * 60;

    /// Returns so many minutes; `None` unless 1 to [`MOST`](Self::MOST).
    pub fn new(minutes: u16) -> Option<Self> {
        (1..=Self::MOST).contains(&minutes).then_some(Self(minutes))
    }

    /// Returns the number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// Returns how long that is.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 60)
    }
}

impl Hog {
    /// Whether the time since the last judgement is long enough for another one.
    pub fn is_due(elapsed: Duration) -> bool {
        elapsed >= SHORTEST_SAMPLE
    }

    /// Ends a punishment whose time is up `elapsed` after the last judgement, though that is too
    /// short for another one. Returns whether it did.
    pub fn release(&mut self, rule: DynQos, elapsed: Duration) -> bool {
        let is_over = self.punished.is_some() && self.left_after(rule, elapsed).is_none();
        if is_over {
            self.punished = None;
        }
        is_over
    }

    /// Returns for how long it is to be slowed down after `elapsed`; `None`: not any more.
    fn left_after(&self, rule: DynQos, elapsed: Duration) -> Option<Duration> {
        // A rule that was made milder meanwhile is milder at once.
        let left = self.punished?.min(rule.punish_minutes.duration());
        let left = left.saturating_sub(elapsed);
        Some(left).filter(|left| *left > TIMER_SLACK)
    }

    /// Judges what was sampled over `elapsed`, which [`is_due`](Self::is_due); `None`: over a time
    /// that nobody knows, such as one with a restart in it.
    ///
    /// `rule` is the service's; without one it is free at once.
    pub fn judge(&mut self, rule: Option<DynQos>, elapsed: Option<Duration>) -> Option<Verdict> {
        let sample = std::mem::take(&mut self.sample);
        let Some(rule) = rule else {
            self.above = Duration::ZERO;
            return self.punished.take().map(|_| Verdict::Restored);
        };
        let Some(elapsed) = elapsed else {
            self.above = Duration::ZERO;
            return None;
        };
        if self.punished.is_some() {
            self.punished = self.left_after(rule, elapsed);
            return match self.punished {
                Some(_) => None,
                None => Some(Verdict::Restored),
            };
        }
        if is_faster(sample, elapsed, rule.trigger.rate()) {
            self.above = self.above.saturating_add(elapsed);
        } else {
            self.above = Duration::ZERO;
        }
        if self.above.saturating_add(TIMER_SLACK) < rule.trigger_minutes.duration() {
            return None;
        }
        self.above = Duration::ZERO;
        self.punished = Some(rule.punish_minutes.duration());
        Some(Verdict::Punished)
    }
}

fn is_faster(bytes: u64, elapsed: Duration, rate: BitRate) -> bool {
    let bits = u128::from(bytes) * 8 * 1_000_000_000;
    bits > u128::from(rate.bits_per_second()).saturating_mul(elapsed.as_nanos())
}

impl fmt::Display for DynQos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trigger,
            trigger_minutes,
            punish,
            punish_minutes,
        } = self;
        let (above, slow) = (trigger_minutes.get(), punish_minutes.get());
        f.pad(&format!("{trigger}/{above}/{punish}/{slow}"))
    }
}

impl FromStr for DynQos {
    type Err = DynQosError;

    fn from_str(text: &str) -> Result<Self, DynQosError> {
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        let [trigger, trigger_minutes, punish, punish_minutes] = parts[..] else {
            return Err(DynQosError::Form(text.trim().to_owned()));
        };
        let trigger: BitRate = trigger.parse()?;
        Ok(Self {
            trigger: Limit::try_from(trigger).map_err(|error| match error {
                ValueError::LimitTooLow(_) => DynQosError::TriggerTooLow(trigger),
                other => other.into(),
            })?,
            trigger_minutes: minutes(trigger_minutes)?,
            punish: Limit::try_from(punish.parse::<BitRate>()?)?,
            punish_minutes: minutes(punish_minutes)?,
        })
    }
}

fn minutes(text: &str) -> Result<Minutes, DynQosError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .and_then(Minutes::new)
        .ok_or_else(|| DynQosError::Minutes(text.to_owned()))
}

impl TryFrom<String> for DynQos {
    type Error = DynQosError;

    fn try_from(text: String) -> Result<Self, DynQosError> {
        text.parse()
    }
}

impl From<DynQos> for String {
    fn from(rule: DynQos) -> Self {
        rule.to_string()
    }
}
