//! The wall clock and the civil zone it is read in.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Config, ZoneName};
use time::Date;

/// What a zone is called that is known by its rules only.
const NAMELESS: &str = "localtime";

/// When this pm was built: a clock that shows less is wrong.
pub(crate) fn built_at() -> Timestamp {
    Timestamp::from_unix(env!("PM_BUILT_AT").parse().unwrap_or(0))
}

/// Returns the time now; a clock before 1970 shows 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Returns how long the host has been up, sleep included; nobody can set this clock.
///
/// Source: clock_gettime(2), `CLOCK_BOOTTIME`.
pub(crate) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Returns the latest date that it is anywhere on Earth now.
pub(crate) fn latest_date() -> Date {
    // Zones run from UTC-12 to UTC+14.
    const FARTHEST_EAST: i64 = 14 * 3600;
    Zone::utc().date_at(Timestamp::from_unix(
        now().unix().saturating_add(FARTHEST_EAST),
    ))
}

/// Returns the date, in the zone whose dates count; `None` when the clock is plainly wrong.
pub(crate) fn today(config: &Config) -> Option<Date> {
    let now = now();
    (now >= built_at()).then(|| zone(config).date_at(now))
}

/// Returns the zone whose dates count: the configured one, else the system's, else UTC.
///
/// `TZ` is not asked: a tick under cron and a command in a shell must agree.
pub fn zone(config: &Config) -> Zone {
    known_zone(config.time_zone.as_ref()).unwrap_or_else(Zone::utc)
}

/// The same for a configured zone, if one is.
pub(crate) fn zone_of(configured: Option<&ZoneName>) -> Zone {
    known_zone(configured).unwrap_or_else(Zone::utc)
}

/// Whether a zone is known by its rules only, so that its name says nothing elsewhere.
pub(crate) fn is_nameless(name: &str) -> bool {
    name == NAMELESS
}

/// Whether neither the configuration nor the system says which zone's dates count.
pub(crate) fn is_unzoned(config: &Config) -> bool {
    known_zone(config.time_zone.as_ref()).is_none()
}

fn known_zone(configured: Option<&ZoneName>) -> Option<Zone> {
    let named = configured.and_then(|name| Zone::named(name.as_str()).ok());
    named.or_else(|| system_zone(Path::new("/etc/localtime")))
}

fn system_zone(localtime: &Path) -> Option<Zone> {
    // The link tells the name; where it is a copy, only the rules are known.
    let target = fs::read_link(localtime).ok();
    let target = target.as_ref().and_then(|path| path.to_str());
    if let Some((_, name)) = target.and_then(|path| path.split_once("zoneinfo/"))
        && let Ok(zone) = Zone::named(name)
    {
        return Some(zone);
    }
    Zone::from_tzif(NAMELESS, &fs::read(localtime).ok()?).ok()
}
