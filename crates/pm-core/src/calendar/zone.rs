//! Time zones: which date it is at an instant.

use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time};

use super::Timestamp;

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
    #[error(
        "time zone `{name}` cannot be used: its file is not in TZif format; name an IANA zone instead, such as Asia/Shanghai"
    )]
    Malformed {
        /// What the zone was to be called.
        name: String,
        /// What is wrong with the data.
        #[source]
        source: tz::TzError,
    },
}

/// 1970-01-01T00:00:00.
const EPOCH: PrimitiveDateTime =
    PrimitiveDateTime::new(OffsetDateTime::UNIX_EPOCH.date(), Time::MIDNIGHT);

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
            rules: Rules::BuiltIn(tzdb::time_zone::UTC),
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
    /// An instant past either end of [`Date`] (the years −9999 to 9999) is on the day
    /// at that end.
    pub fn date_at(&self, instant: Timestamp) -> Date {
        self.local(instant).date()
    }

    /// Returns the date and the time of day in this zone at `instant`.
    ///
    /// An instant past either end of [`PrimitiveDateTime`] (the years −9999 to 9999) is
    /// at that end.
    pub fn local(&self, instant: Timestamp) -> PrimitiveDateTime {
        let utc = Duration::seconds(instant.unix());
        let ahead = Duration::seconds(self.offset(instant).into());
        EPOCH.saturating_add(utc.saturating_add(ahead))
    }

    /// Whether clocks are as they were so many seconds ago.
    pub(crate) fn is_steady(&self, now: Timestamp, seconds: i64) -> bool {
        let then = Timestamp::from_unix(now.unix().saturating_sub(seconds));
        self.offset(then) == self.offset(now)
    }

    /// Returns the first and the last instant at which clocks show `time`. One that they leave out
    /// is as much later as they are put forward.
    pub(crate) fn instants(&self, time: PrimitiveDateTime) -> (Timestamp, Timestamp) {
        let as_utc = (time - EPOCH).whole_seconds();
        let by = |ahead: i32| Timestamp::from_unix(as_utc.saturating_sub(ahead.into()));
        // No zone turns its clocks twice within two days.
        let day = Duration::DAY.whole_seconds();
        let [before, after] = [-day, day].map(|seconds| {
            let near = Timestamp::from_unix(as_utc.saturating_add(seconds));
            by(self.offset(near))
        });
        let is_shown = |at: Timestamp| self.local(at) == time;
        match (is_shown(before), is_shown(after)) {
            (true, true) => (before, after),
            (false, true) => (after, after),
            (true, false) | (false, false) => (before, before),
        }
    }

    /// Returns how many seconds this zone is ahead of UTC at `instant`.
    fn offset(&self, instant: Timestamp) -> i32 {
        let rules = match &self.rules {
            Rules::BuiltIn(rules) => *rules,
            Rules::Given(rules) => rules.as_ref(),
        };
        let kind = match rules.find_local_time_type(instant.unix()) {
            Ok(kind) => Some(kind),
            // Nothing is said of the time after the last transition (a file without a
            // rule for it), or of years that no date has: all stays as it was.
            Err(_) => rules
                .transitions()
                .last()
                .and_then(|last| rules.local_time_types().get(last.local_time_type_index())),
        };
        kind.map_or(0, tz::LocalTimeType::ut_offset)
    }
}
