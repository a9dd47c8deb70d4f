//! Reset policies as text: what the operator types, and what is saved.

use std::fmt;
use std::str::FromStr;

use time::Date;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::{DayOfMonth, DayOfYear, Days, Interval, Months, ResetPolicy, YearMonth};

const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// A reset policy as it is typed: an interval may leave its start open.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::ResetChoice;
/// use time::macros::date;
///
/// let choice: ResetChoice = "every 30 days".parse()?;
/// let set = choice.applied(None, Some(date!(2026 - 11 - 22))).map(|policy| policy.to_string());
/// assert_eq!(set.as_deref(), Some("every 30 days from 2026-11-22"));
/// # Ok::<(), pm_core::calendar::ResetPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResetChoice {
    /// Nothing is left open.
    Policy(ResetPolicy),
    /// Every so many days from the one on which it is set.
    EveryDays(Days),
    /// On this day of every so many months, counted from the one in which it is set.
    EveryMonths(Months, DayOfMonth),
}

/// Why a text is not a reset policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResetPolicyError {
    /// A number outside 1–31.
    #[error("there is no day {0} in a month: write a day from 1 to 31")]
    NoSuchDay(String),
    /// A date that does not exist, or is not written as one.
    #[error("`{0}` is not a date: write one as YYYY-MM-DD, such as 2027-01-31")]
    NoSuchDate(String),
    /// A month that does not exist, or is not written as one.
    #[error("`{0}` is not a month: write one as YYYY-MM, such as 2026-12")]
    NoSuchMonth(String),
    /// A day that no year has, or that is not written as one.
    #[error("`{0}` is not a day of the year: write one as MM-DD, such as 06-18")]
    NoSuchDayOfYear(String),
    /// Too few or too many between two resets.
    #[error("there cannot be {given} {unit} between two resets: write a number from 1 to {most}")]
    Interval {
        /// What was to be the number.
        given: String,
        /// Days or months.
        unit: &'static str,
        /// The largest number.
        most: u16,
    },
    /// An interval that must say when it starts, and does not.
    #[error("`{given}` does not say from when: write `{given} from {example}`, for example")]
    NoStart {
        /// The interval.
        given: ResetChoice,
        /// How a start of it is written.
        example: &'static str,
    },
    /// Nothing but the first word of a form, as of one that was not quoted.
    #[error("`{0}` is only the first word of a reset policy: put all of it in quotes")]
    FirstWord(String),
    /// None of the forms.
    #[error(
        "`{0}` is not a reset policy: write a day of the month from 1 to 31, `every 30 days`, \
         `every 3 months on 15`, `yearly 06-18`, `once 2027-01-31` or `never`"
    )]
    NotAPolicy(String),
}

impl ResetChoice {
    /// Returns the policy that a service has once this is set on `today`, where it had `current`.
    ///
    /// An interval that it has already goes on from its own start: to say the same again, as a
    /// script may do every night, would else put off the reset for ever.
    ///
    /// `None` when the policy starts today, and it is not known which day that is.
    pub fn applied(self, current: Option<ResetPolicy>, today: Option<Date>) -> Option<ResetPolicy> {
        match (self, current) {
            (Self::Policy(policy), _) => Some(policy),
            (Self::EveryDays(every), Some(ResetPolicy::EveryDays { every: old, from }))
                if every == old =>
            {
                Some(ResetPolicy::EveryDays { every, from })
            }
            (Self::EveryDays(every), _) => today.map(|from| ResetPolicy::EveryDays { every, from }),
            (
                Self::EveryMonths(every, day),
                Some(ResetPolicy::EveryMonths {
                    every: old,
                    day: on,
                    from,
                }),
            ) if (every, day) == (old, on) => Some(ResetPolicy::EveryMonths { every, day, from }),
            (Self::EveryMonths(every, day), _) => today.map(|today| ResetPolicy::EveryMonths {
                every,
                day,
                from: YearMonth::of(today),
            }),
        }
    }
}

impl FromStr for ResetChoice {
    type Err = ResetPolicyError;

    fn from_str(text: &str) -> Result<Self, ResetPolicyError> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        Ok(Self::Policy(match words[..] {
            ["never"] => ResetPolicy::Never,
            [day] if day.bytes().all(|byte| byte.is_ascii_digit()) => {
                ResetPolicy::Monthly(day_of_month(day)?)
            }
            ["every", every, "day" | "days"] => {
                return interval(every, "days").map(Self::EveryDays);
            }
            ["every", every, "day" | "days", "from", from] => ResetPolicy::EveryDays {
                every: interval(every, "days")?,
                from: date(from)?,
            },
            ["every", every, "month" | "months", "on", day] => {
                return Ok(Self::EveryMonths(
                    interval(every, "months")?,
                    day_of_month(day)?,
                ));
            }
            ["every", every, "month" | "months", "on", day, "from", from] => {
                ResetPolicy::EveryMonths {
                    every: interval(every, "months")?,
                    day: day_of_month(day)?,
                    from: year_month(from)?,
                }
            }
            ["yearly", day] => ResetPolicy::Yearly(day_of_year(day)?),
            ["once", day] => ResetPolicy::Once(date(day)?),
            [word @ ("every" | "yearly" | "once")] => {
                return Err(ResetPolicyError::FirstWord(word.to_owned()));
            }
            _ => return Err(ResetPolicyError::NotAPolicy(text.trim().to_owned())),
        }))
    }
}

impl FromStr for ResetPolicy {
    type Err = ResetPolicyError;

    fn from_str(text: &str) -> Result<Self, ResetPolicyError> {
        let choice: ResetChoice = text.parse()?;
        let example = match choice {
            ResetChoice::Policy(policy) => return Ok(policy),
            ResetChoice::EveryDays(_) => "2026-12-01",
            ResetChoice::EveryMonths(..) => "2026-12",
        };
        Err(ResetPolicyError::NoStart {
            given: choice,
            example,
        })
    }
}

fn day_of_month(text: &str) -> Result<DayOfMonth, ResetPolicyError> {
    number(text)
        .and_then(|day| DayOfMonth::new(day).ok())
        .ok_or_else(|| ResetPolicyError::NoSuchDay(text.to_owned()))
}

fn interval<const MOST: u16>(
    text: &str,
    unit: &'static str,
) -> Result<Interval<MOST>, ResetPolicyError> {
    number(text)
        .and_then(Interval::new)
        .ok_or_else(|| ResetPolicyError::Interval {
            given: text.to_owned(),
            unit,
            most: MOST,
        })
}

/// Returns the number that a text of nothing but digits is; `+1` is none.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn date(text: &str) -> Result<Date, ResetPolicyError> {
    Date::parse(text, DATE).map_err(|_| ResetPolicyError::NoSuchDate(text.to_owned()))
}

fn year_month(text: &str) -> Result<YearMonth, ResetPolicyError> {
    match Date::parse(&format!("{text}-01"), DATE) {
        Ok(first) => Ok(YearMonth::of(first)),
        Err(_) => Err(ResetPolicyError::NoSuchMonth(text.to_owned())),
    }
}

fn day_of_year(text: &str) -> Result<DayOfYear, ResetPolicyError> {
    // A leap year has every day there is.
    match Date::parse(&format!("2000-{text}"), DATE) {
        Ok(day) => Ok(DayOfYear::of(day)),
        Err(_) => Err(ResetPolicyError::NoSuchDayOfYear(text.to_owned())),
    }
}

impl fmt::Display for ResetChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => policy.fmt(f),
            Self::EveryDays(every) => write!(f, "every {}", every.of("day")),
            Self::EveryMonths(every, day) => write!(f, "every {} on {day}", every.of("month")),
        }
    }
}

impl fmt::Display for ResetPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Monthly(day) => day.fmt(f),
            Self::EveryDays { every, from } => {
                write!(f, "{} from {from}", ResetChoice::EveryDays(every))
            }
            Self::EveryMonths { every, day, from } => {
                write!(f, "{} from {from}", ResetChoice::EveryMonths(every, day))
            }
            Self::Yearly(day) => write!(f, "yearly {day}"),
            Self::Once(date) => write!(f, "once {date}"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl fmt::Display for DayOfMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// `MM-DD`.
impl fmt::Display for DayOfYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", u8::from(self.month()), self.day())
    }
}

/// `YYYY-MM`.
impl fmt::Display for YearMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.year() < 0 { "-" } else { "" };
        let (year, month) = (self.year().unsigned_abs(), u8::from(self.month()));
        write!(f, "{sign}{year:04}-{month:02}")
    }
}

impl<const MOST: u16> Interval<MOST> {
    /// Returns the interval in words: `1 day`, `30 days`.
    pub fn of(self, unit: &str) -> String {
        match self.get() {
            1 => format!("1 {unit}"),
            count => format!("{count} {unit}s"),
        }
    }
}

impl From<ResetPolicy> for ResetChoice {
    fn from(policy: ResetPolicy) -> Self {
        Self::Policy(policy)
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
