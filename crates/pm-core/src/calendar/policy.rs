//! Reset policies: which dates a period can end on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Month};

/// A day of the month, 1–31.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DayOfMonth(u8);

impl DayOfMonth {
    /// The first of the month.
    pub const FIRST: Self = Self(1);

    /// Returns the day `day`.
    ///
    /// # Errors
    ///
    /// `NoSuchDay` outside 1–31.
    pub fn new(day: u8) -> Result<Self, ResetPolicyError> {
        match day {
            1..=31 => Ok(Self(day)),
            _ => Err(ResetPolicyError::NoSuchDay(day.to_string())),
        }
    }

    /// Returns the day, 1–31.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns this day of `month`, or the month's last where it is shorter.
    ///
    /// `None` outside the range of [`Date`].
    fn in_month(self, year: i32, month: Month) -> Option<Date> {
        Date::from_calendar_date(year, month, self.0.min(month.length(year))).ok()
    }
}

impl fmt::Display for DayOfMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a quota starts over.
///
/// Written as the day of the month, `1`–`31`, or `never`.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::ResetPolicy;
/// use time::macros::date;
///
/// let policy: ResetPolicy = "31".parse()?;
/// assert_eq!(policy.next_after(date!(2024 - 01 - 31)), Some(date!(2024 - 02 - 29)));
/// assert_eq!("never".parse(), Ok(ResetPolicy::Never));
/// # Ok::<(), pm_core::calendar::ResetPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResetPolicy {
    /// On this day of each month, or on the last of a month that is shorter.
    Monthly(DayOfMonth),
    /// Not at all.
    Never,
}

/// Why a text is not a reset policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResetPolicyError {
    /// A number outside 1–31.
    #[error("there is no day {0} in a month: write a day from 1 to 31, or `never`")]
    NoSuchDay(String),
    /// Neither a number nor `never`.
    #[error("`{0}` is not a reset day: write a day of the month from 1 to 31, or `never`")]
    NotAPolicy(String),
}

impl ResetPolicy {
    /// Returns the first reset date strictly after `day`.
    ///
    /// `None` if there is none: [`Never`](Self::Never), or past the range of [`Date`].
    pub fn next_after(self, day: Date) -> Option<Date> {
        match self {
            Self::Never => None,
            Self::Monthly(reset) => {
                let (year, month) = (day.year(), day.month());
                let this_month = reset.in_month(year, month);
                if this_month.is_some_and(|date| date > day) {
                    return this_month;
                }
                let year = match month {
                    Month::December => year + 1,
                    _ => year,
                };
                reset.in_month(year, month.next())
            }
        }
    }
}

impl fmt::Display for ResetPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monthly(day) => day.fmt(f),
            Self::Never => f.pad("never"),
        }
    }
}

impl FromStr for ResetPolicy {
    type Err = ResetPolicyError;

    fn from_str(text: &str) -> Result<Self, ResetPolicyError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ResetPolicyError::NotAPolicy(text.to_owned()));
        }
        text.parse()
            .ok()
            .and_then(|day| DayOfMonth::new(day).ok())
            .map(Self::Monthly)
            .ok_or_else(|| ResetPolicyError::NoSuchDay(text.to_owned()))
    }
}

impl TryFrom<String> for ResetPolicy {
    type Error = ResetPolicyError;

    fn try_from(text: String) -> Result<Self, ResetPolicyError> {
        text.parse()
    }
}

impl From<ResetPolicy> for String {
    fn from(policy: ResetPolicy) -> Self {
        policy.to_string()
    }
}
