//! How the values of flags are read.

use std::error::Error;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use pm_core::calendar::iso_date;
use pm_core::config::{Limit, QuotaSize};
use pm_core::dynqos::{DynQos, DynQosError};
use pm_core::units::{BitRate, BitRateError, Size, SizeError};
use time::Date;

use crate::language::tr;
use crate::output::errors::sentence;

/// A value, or none. An `Option<Option<_>>` would mean something else to clap.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrNone<T>(Option<T>);

impl<T> From<OrNone<T>> for Option<T> {
    fn from(value: OrNone<T>) -> Self {
        value.0
    }
}

/// Reads the number of a version.
pub(super) fn version(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| tr!("write its number, such as 12", "请写版本号，例如 12"))
}

/// Reads a number of lines.
pub(super) fn lines(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| tr!("write a number, such as 50", "请写一个数字，例如 50"))
}

/// Reads a quota.
pub(super) fn quota(text: &str) -> Result<OrNone<QuotaSize>, String> {
    if is_none(text) {
        return Ok(OrNone(None));
    }
    let size: Size = text.parse().map_err(|error: SizeError| sentence(&error))?;
    let quota = QuotaSize::try_from(size).map_err(|error| sentence(&error))?;
    Ok(OrNone(Some(quota)))
}

/// Reads a limit.
pub(super) fn limit(text: &str) -> Result<OrNone<Limit>, String> {
    if is_none(text) {
        return Ok(OrNone(None));
    }
    if let Err(BitRateError::Zero(_)) = text.parse::<BitRate>() {
        return Err(tr!(
            "a limit of {text} would let nothing through: block the port instead (`pm block`), or \
             write `none` for no limit",
            "限速 {text} 就什么也过不去了：想切断请阻断端口（`pm block`），不限速请写 `none`"
        ));
    }
    let rate = rate(text)?;
    let limit = Limit::try_from(rate).map_err(|error| sentence(&error))?;
    Ok(OrNone(Some(limit)))
}

/// Reads a rule of when a service is slowed down.
pub(super) fn dynqos(text: &str) -> Result<OrNone<DynQos>, String> {
    if is_none(text) {
        return Ok(OrNone(None));
    }
    let rule = text
        .parse()
        .map_err(|error: DynQosError| sentence(&error))?;
    Ok(OrNone(Some(rule)))
}

/// Reads the last day on which a service is open.
pub(super) fn last_day(text: &str) -> Result<OrNone<Date>, String> {
    if is_none(text) {
        return Ok(OrNone(None));
    }
    let date = iso_date::parse(text).ok_or_else(|| {
        tr!(
            "`{text}` is not a date: write one as YYYY-MM-DD, such as 2027-01-31, or `never`",
            "`{text}` 不是日期：请写成 YYYY-MM-DD，例如 2027-01-31，或写 `never`"
        )
    })?;
    Ok(OrNone(Some(date)))
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(tr!(
            "`{text}` is neither `yes` nor `no`",
            "`{text}` 既不是 `yes` 也不是 `no`"
        )),
    }
}

/// Whether the text says that there is to be no quota, limit, rule or last day.
fn is_none(text: &str) -> bool {
    ["none", "never", "unlimited"]
        .iter()
        .any(|none| text.eq_ignore_ascii_case(none))
}

/// Reads a rate, and takes a low number without a unit for one of megabits that lacks it.
fn rate(text: &str) -> Result<BitRate, String> {
    let rate: BitRate = text
        .parse()
        .map_err(|error: BitRateError| sentence(&error))?;
    let number = text.trim();
    let has_unit = !number.ends_with(|last: char| last.is_ascii_digit());
    if !has_unit && rate.bits_per_second() < Limit::MIN_BITS_PER_SECOND {
        return Err(tr!(
            "`{number}` is {number} bits a second, which is next to nothing: write {number}M for \
             megabits",
            "`{number}` 是每秒 {number} 比特，几乎什么也过不去：若是兆比特，请写 {number}M"
        ));
    }
    Ok(rate)
}

/// A value, or `none`.
impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        text.parse().map(|value| Self(Some(value)))
    }
}

/// A value, or an empty text for none.
#[derive(Clone, Debug)]
pub(super) struct OrEmpty<T>(pub(super) Option<T>);

impl<T: FromStr> FromStr for OrEmpty<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "" | "none" => Ok(Self(None)),
            text => text.parse().map(|value| Self(Some(value))),
        }
    }
}

/// What is repeated of a refused text, in characters.
const REPEATED: usize = 60;

/// Reads text of the operator's. clap's own way would repeat what is refused, all 10,000
/// characters of it, with what they do to a terminal.
#[derive(Debug)]
pub(super) struct Text<T>(PhantomData<fn() -> T>);

impl<T> Text<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Text<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> TypedValueParser for Text<T>
where
    T: FromStr<Err: Error + 'static> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let refuse = |reason: String| {
            let argument = argument.map_or("...".to_owned(), ToString::to_string);
            let reason = visible(&reason);
            let message = tr!(
                "invalid value for '{argument}': {reason}",
                "'{argument}' 的值无效：{reason}"
            );
            clap::Error::raw(ErrorKind::ValueValidation, message + "\n").with_cmd(command)
        };
        let text = value
            .to_str()
            .ok_or_else(|| refuse(tr!("it is not UTF-8", "它不是 UTF-8")))?;
        text.parse().map_err(|error: T::Err| {
            let reason = sentence(&error);
            refuse(match text.char_indices().nth(REPEATED) {
                Some((end, _)) => reason.replace(text, &format!("{}…", &text[..end])),
                None => reason,
            })
        })
    }
}

/// Returns a text with what would not just stand there in a terminal written out.
fn visible(text: &str) -> String {
    let mut visible = String::new();
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}') {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    visible
}
