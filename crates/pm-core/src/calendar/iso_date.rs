//! Dates as `YYYY-MM-DD`, as they are typed and saved.

use serde::{Deserialize, Deserializer, Serializer};
use time::Date;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// Returns the date that a text is; `None` where it is none, or there is no such date.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::iso_date;
///
/// assert!(iso_date::parse("2028-02-29").is_some());
/// assert!(iso_date::parse("2027-02-29").is_none());
/// ```
pub fn parse(text: &str) -> Option<Date> {
    Date::parse(text, DATE).ok()
}

/// Writes a date, where there is one, as a string.
///
/// # Errors
///
/// The serializer's.
pub fn serialize<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.serialize_str(&date.to_string()),
        None => serializer.serialize_none(),
    }
}

/// Reads a date from a string.
///
/// # Errors
///
/// A text that is no date, and the deserializer's.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match parse(&text) {
        Some(date) => Ok(Some(date)),
        None => Err(serde::de::Error::custom(format!(
            "`{text}` is not a date: write one as YYYY-MM-DD, such as 2027-01-31"
        ))),
    }
}
