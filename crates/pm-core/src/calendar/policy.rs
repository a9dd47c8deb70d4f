//! Reset policies: which dates a period can end on.
//!
//! - Every policy is a set of dates, and says which of them comes next after a day. It knows
//!   nothing of the day it is asked on: the same question always has the same answer.
//! - So an interval carries its start, the first of its dates; there is none before it.
//! - A day that a month does not have is the month's last.

use serde::{Deserialize, Serialize};
use time::{Date, Duration, Month};

use super::ResetPolicyError;

/// When a quota starts over.
///
/// Written as the day of the month, `1`–`31`; `every 30 days from 2026-12-01`;
/// `every 3 months on 15 from 2026-12`; `yearly 06-18`; `once 2027-01-31`; or `never`.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::ResetPolicy;
/// use time::macros::date;
///
/// let policy: ResetPolicy = "31".parse()?;
/// assert_eq!(policy.next_after(date!(2024 - 01 - 31)), Some(date!(2024 - 02 - 29)));
/// let policy: ResetPolicy = "every 30 days from 2026-12-01".parse()?;
/// assert_eq!(policy.next_after(date!(2026 - 11 - 22)), Some(date!(2026 - 12 - 01)));
/// assert_eq!(policy.next_after(date!(2026 - 12 - 01)), Some(date!(2026 - 12 - 31)));
/// assert_eq!("never".parse(), Ok(ResetPolicy::Never));
/// # Ok::<(), pm_core::calendar::ResetPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResetPolicy {
    /// On this day of each month, or on the last of a month that is shorter.
    Monthly(DayOfMonth),
    /// On a date, and each time so many days later.
    EveryDays {
        /// How many.
        every: Days,
        /// The first reset.
        from: Date,
    },
    /// On this day of a month, and of each month so many later; the last day of one that is
    /// shorter.
    EveryMonths {
        /// How many.
        every: Months,
        /// The day.
        day: DayOfMonth,
        /// The month of the first reset.
        from: YearMonth,
    },
    /// On this day of each year.
    Yearly(DayOfYear),
    /// On this date, and never again.
    Once(Date),
    /// Not at all.
    Never,
}

/// A day of the month, 1–31.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DayOfMonth(u8);

/// A day of the year; February 29 is the 28th in a year without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DayOfYear {
    month: Month,
    day: DayOfMonth,
}

/// A month of a certain year.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct YearMonth {
    year: i32,
    month: Month,
}

/// How many of something lie between two resets: 1 to `MOST`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interval<const MOST: u16>(u16);

/// Days between two resets, up to ten years of them.
pub type Days = Interval<3650>;

/// Months between two resets, up to ten years of them.
pub type Months = Interval<120>;

impl ResetPolicy {
    /// Returns the first reset date strictly after `day`.
    ///
    /// `None` if there is none: [`Never`](Self::Never), after the date of
    /// [`Once`](Self::Once), or past the range of [`Date`].
    pub fn next_after(self, day: Date) -> Option<Date> {
        match self {
            Self::Monthly(reset) => {
                let month = YearMonth::of(day);
                after(day, reset.in_month(month)).or_else(|| reset.in_month(month.checked_add(1)?))
            }
            Self::EveryDays { every, from } => {
                if day < from {
                    return Some(from);
                }
                let every = i64::from(every.get());
                let passed = (day - from).whole_days() / every;
                from.checked_add(Duration::days((passed + 1) * every))
            }
            Self::EveryMonths {
                every,
                day: reset,
                from,
            } => {
                let every = i32::from(every.get());
                // The last month with a reset up to the one that `day` is in, if there is one.
                let passed = (YearMonth::of(day).number() - from.number()).div_euclid(every);
                let month = from.checked_add(passed.max(0) * every)?;
                after(day, reset.in_month(month))
                    .or_else(|| reset.in_month(month.checked_add(every)?))
            }
            Self::Yearly(reset) => {
                let year = day.year();
                after(day, reset.in_year(year)).or_else(|| reset.in_year(year + 1))
            }
            Self::Once(date) => after(day, Some(date)),
            Self::Never => None,
        }
    }
}

fn after(day: Date, date: Option<Date>) -> Option<Date> {
    date.filter(|date| *date > day)
}

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
    fn in_month(self, YearMonth { year, month }: YearMonth) -> Option<Date> {
        Date::from_calendar_date(year, month, self.0.min(month.length(year))).ok()
    }
}

impl DayOfYear {
    /// Returns the day of the year that `date` is.
    pub fn of(date: Date) -> Self {
        Self {
            month: date.month(),
            day: DayOfMonth(date.day()),
        }
    }

    /// Returns its month.
    pub fn month(self) -> Month {
        self.month
    }

    /// Returns its day of the month: in a leap year, where that matters.
    pub fn day(self) -> u8 {
        self.day.get()
    }

    fn in_year(self, year: i32) -> Option<Date> {
        let month = self.month;
        self.day.in_month(YearMonth { year, month })
    }
}

impl YearMonth {
    /// Returns the month that `date` is in.
    pub fn of(date: Date) -> Self {
        Self {
            year: date.year(),
            month: date.month(),
        }
    }

    /// Returns its year.
    pub fn year(self) -> i32 {
        self.year
    }

    /// Returns which month of the year it is.
    pub fn month(self) -> Month {
        self.month
    }

    /// Returns how many months it lies after the first of the year 0.
    fn number(self) -> i32 {
        self.year * 12 + i32::from(u8::from(self.month)) - 1
    }

    /// Returns the month so many months later; `None` outside the range of [`Date`].
    fn checked_add(self, months: i32) -> Option<Self> {
        let number = self.number() + months;
        let year = number.div_euclid(12);
        let month = self
            .month
            .nth_next(u8::try_from(months.rem_euclid(12)).ok()?);
        (Date::MIN.year()..=Date::MAX.year())
            .contains(&year)
            .then_some(Self { year, month })
    }
}

impl<const MOST: u16> Interval<MOST> {
    /// Returns the interval `count`; `None` outside 1 to `MOST`.
    pub fn new(count: u16) -> Option<Self> {
        (1..=MOST).contains(&count).then_some(Self(count))
    }

    /// Returns how many.
    pub fn get(self) -> u16 {
        self.0
    }
}
