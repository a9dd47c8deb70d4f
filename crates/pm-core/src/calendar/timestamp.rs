//! Instants.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

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
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
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
