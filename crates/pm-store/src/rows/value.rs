//! Values as SQLite holds them.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use pm_core::calendar::{Timestamp, iso_date};
use pm_core::config::{Factor, Tariff};
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::Variant;
use rusqlite::Row;
use rusqlite::types::Type;
use time::Date;

/// Reads two columns.
pub(super) fn ports(row: &Row<'_>, column: usize) -> rusqlite::Result<PortRange> {
    PortRange::new(row.get(column)?, row.get(column + 1)?)
        .map_err(|error| unreadable(column, error))
}

/// Reads two columns.
pub(super) fn usage(row: &Row<'_>, column: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        incoming: unsigned(row, column)?,
        outgoing: unsigned(row, column + 1)?,
    })
}

/// Reads two columns.
pub(super) fn tariff(row: &Row<'_>, column: usize) -> rusqlite::Result<Tariff> {
    let thousandths = row.get(column + 1)?;
    Ok(Tariff {
        mode: parsed(row, column)?,
        factor: Factor::from_thousandths(thousandths)
            .map_err(|error| unreadable(column + 1, error))?,
    })
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

pub(super) fn unsigned_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

pub(super) fn instant_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix))
}

pub(super) fn duration_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Duration>> {
    Ok(unsigned_if_any(row, column)?.map(Duration::from_nanos))
}

/// Returns the nanoseconds, of which 584 years have as many as there is room for.
pub(super) fn nanoseconds(duration: Duration) -> i64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .cast_signed()
}

pub(super) fn date(row: &Row<'_>, column: usize) -> rusqlite::Result<Date> {
    date_if_any(row, column)?.ok_or_else(|| malformed(column, "no date"))
}

pub(super) fn date_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Date>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    match iso_date::parse(text) {
        Some(date) => Ok(Some(date)),
        None => Err(malformed(column, "not a date")),
    }
}

pub(super) fn letter(variant: Variant) -> &'static str {
    match variant {
        Variant::A => "a",
        Variant::B => "b",
    }
}

pub(super) fn variant(row: &Row<'_>, column: usize) -> rusqlite::Result<Variant> {
    variant_if_any(row, column)?.ok_or_else(|| malformed(column, "no variant's letter"))
}

pub(super) fn variant_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Variant>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some("a") => Ok(Some(Variant::A)),
        Some("b") => Ok(Some(Variant::B)),
        Some(_) => Err(malformed(column, "not a variant's letter")),
    }
}

pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| unreadable(column, error))
}

pub(super) fn parsed_if_any<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| unreadable(column, error))
}

pub(super) fn malformed(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

fn unreadable(column: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
