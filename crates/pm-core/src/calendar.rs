//! Billing periods: when a quota starts over.
//!
//! - A period ends on a date, not at an instant: the date it is in the configured zone.
//! - A reset is due once, at the first look on or after that date, however late it comes.
//! - Changing the policy never resets; it only sets a new date.
//! - A clock that goes back resets nothing: the date already set stays. If that date is
//!   more than a period away, the clock had been far ahead, and the date is set anew.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

/// An instant: seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Shown in RFC 3339, UTC; outside the years 0–9999, for which that has no form, as the
/// seconds after an `@`.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::Timestamp;
///
/// assert_eq!(Timestamp::from_unix(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the instant `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match OffsetDateTime::from_unix_timestamp(self.0) {
            Ok(utc) if (0..=9999).contains(&utc.year()) => format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                utc.year(),
                u8::from(utc.month()),
                utc.day(),
                utc.hour(),
                utc.minute(),
                utc.second()
            ),
            _ => format!("@{}", self.0),
        };
        f.pad(&text)
    }
}

/// A time zone: which date it is at an instant.
///
/// Its data is inside the program or given by the caller; no file is read.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::{Timestamp, Zone};
/// use time::macros::date;
///
/// let zone = Zone::named("asia/shanghai")?;
/// assert_eq!(zone.name(), "Asia/Shanghai");
/// // 23:00 on the 31st in UTC is 07:00 on the 1st there.
/// assert_eq!(zone.date_at(Timestamp::from_unix(1_706_742_000)), date!(2024 - 02 - 01));
/// # Ok::<(), pm_core::calendar::ZoneError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    name: String,
    rules: Rules,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rules {
    BuiltIn(tz::TimeZoneRef<'static>),
    Given(tz::TimeZone),
}

/// Why there is no such zone.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A name that the built-in data does not have.
    #[error("time zone `{0}` is not known: write an IANA name such as Asia/Shanghai or UTC")]
    Unknown(String),
    /// Bytes that are not a time zone file.
    #[error("the data of time zone `{name}` cannot be read")]
    Malformed {
        /// What the zone was to be called.
        name: String,
        /// What is wrong with the data.
        #[source]
        source: tz::TzError,
    },
}

/// The first and the last second that have a date.
const FIRST_SECOND: i64 = PrimitiveDateTime::MIN.assume_utc().unix_timestamp();
const LAST_SECOND: i64 = PrimitiveDateTime::MAX.assume_utc().unix_timestamp();

impl Zone {
    /// Returns the zone of an IANA name, in any case, from the data inside the program.
    ///
    /// # Errors
    ///
    /// `Unknown` when there is none of that name.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        let unknown = || ZoneError::Unknown(name.to_owned());
        let rules = tzdb::tz_by_name(name).ok_or_else(unknown)?;
        let spelling = tzdb::TZ_NAMES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name))
            .ok_or_else(unknown)?;
        Ok(Self {
            name: (*spelling).to_owned(),
            rules: Rules::BuiltIn(rules),
        })
    }

    /// Returns UTC.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: Rules::BuiltIn(tz::TimeZoneRef::utc()),
        }
    }

    /// Returns the zone that `bytes`, the content of a TZif file, describe.
    ///
    /// # Errors
    ///
    /// `Malformed` when they describe none.
    ///
    /// Source: RFC 9636; tzfile(5).
    pub fn from_tzif(name: &str, bytes: &[u8]) -> Result<Self, ZoneError> {
        match tz::TimeZone::from_tz_data(bytes) {
            Ok(rules) => Ok(Self {
                name: name.to_owned(),
                rules: Rules::Given(rules),
            }),
            Err(source) => Err(ZoneError::Malformed {
                name: name.to_owned(),
                source,
            }),
        }
    }

    /// Returns the name: as IANA spells it, or as given to [`from_tzif`](Self::from_tzif).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the date it is in this zone at `instant`.
    ///
    /// Clamped to the range of [`Date`], as [`local`](Self::local) is.
    pub fn date_at(&self, instant: Timestamp) -> Date {
        self.local(instant).date()
    }

    /// Returns the date and the time of day, to the second, in this zone at `instant`.
    ///
    /// Clamped to the range of [`PrimitiveDateTime`], the years −9999 to 9999.
    pub fn local(&self, instant: Timestamp) -> PrimitiveDateTime {
        let utc = instant.unix().clamp(FIRST_SECOND, LAST_SECOND);
        let local = (utc + self.offset(utc)).clamp(FIRST_SECOND, LAST_SECOND);
        match OffsetDateTime::from_unix_timestamp(local) {
            Ok(local) => PrimitiveDateTime::new(local.date(), local.time()),
            Err(_) => unreachable!("clamped to the range of dates"),
        }
    }

    /// Returns how many seconds this zone is ahead of UTC at an instant.
    fn offset(&self, utc: i64) -> i64 {
        let rules = match &self.rules {
            Rules::BuiltIn(rules) => *rules,
            Rules::Given(rules) => rules.as_ref(),
        };
        let kind = match rules.find_local_time_type(utc) {
            Ok(kind) => Some(kind),
            // A file without a rule for the time after its last transition: nothing
            // better is known than that it stays as it was.
            Err(_) => rules
                .transitions()
                .last()
                .and_then(|last| rules.local_time_types().get(last.local_time_type_index())),
        };
        kind.map_or(0, |kind| i64::from(kind.ut_offset()))
    }
}

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

/// Where a quota's holder stands in its calendar; saved between ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period {
    policy: ResetPolicy,
    next: Option<Date>,
}

impl Period {
    /// Returns the period that `today` is in, for a holder that has none yet.
    pub fn begin(policy: ResetPolicy, today: Date) -> Self {
        Self {
            policy,
            next: policy.next_after(today),
        }
    }

    /// Returns the period as it was saved.
    pub fn restore(policy: ResetPolicy, next: Option<Date>) -> Self {
        Self {
            policy,
            next: next.filter(|_| policy != ResetPolicy::Never),
        }
    }

    /// Returns the policy that the date was set by.
    pub fn policy(self) -> ResetPolicy {
        self.policy
    }

    /// Returns the date on which the next reset is due, if one is.
    pub fn next(self) -> Option<Date> {
        self.next
    }

    /// Advances to `today` under `policy`, and returns whether a reset is due now: the
    /// period is over, and the next one starts at zero.
    pub fn advance(self, policy: ResetPolicy, today: Date) -> (Self, bool) {
        let fresh = Self::begin(policy, today);
        if policy != self.policy {
            return (fresh, false);
        }
        match self.next {
            Some(next) if today >= next => (fresh, true),
            _ if self.is_beyond_a_period(fresh.next) => (fresh, false),
            _ => (self, false),
        }
    }

    /// Whether the date set lies after the reset that follows `coming`: further than a
    /// clock that went back by less than a period can explain.
    fn is_beyond_a_period(self, coming: Option<Date>) -> bool {
        match (
            self.next,
            coming.and_then(|date| self.policy.next_after(date)),
        ) {
            (Some(next), Some(limit)) => next > limit,
            // No date is later than any: it was set at the end of the calendar.
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }
}
