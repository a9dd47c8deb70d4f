//! What a port's limit and quota mean to pm.

use pm_core::config::{Limit, QuotaSize, Service};
use pm_core::units::SizeUnit;
use serde_json::Value;

use crate::doubt::{Setting, Trouble};
use crate::json::{at, flag, is_absent, text};
use crate::text::shown;
use crate::values;

/// Reads a port's limit and quota into a service.
pub(super) fn read(settings: &Value, service: &mut Service, doubt: &mut dyn FnMut(Trouble)) {
    let quota = at(settings, &["quota"]);
    if flag(at(quota, &["enabled"])) != Some(false) {
        let size = at(quota, &["monthly_limit"]);
        match read_size(size) {
            Ok(quota) => service.quota = quota,
            Err(value) => doubt(unusable(Setting::Quota, value)),
        }
    }
    let limit = at(settings, &["bandwidth_limit"]);
    if flag(at(limit, &["enabled"])) == Some(true) {
        match read_rate(at(limit, &["rate"])) {
            Ok(limit) => service.limit = limit,
            Err(value) => doubt(unusable(Setting::Limit, value)),
        }
    }
}

fn unusable(setting: Setting, value: &Value) -> Trouble {
    let value = shown(&text(value));
    Trouble::Unusable { setting, value }
}

/// Returns the quota that a size is, by 1024; none of `unlimited`.
fn read_size(value: &Value) -> Result<Option<QuotaSize>, &Value> {
    let lower = text(value).trim().to_ascii_lowercase();
    if is_absent(value) || is_unlimited(&lower) {
        return Ok(None);
    }
    let (number, unit) = split(&lower).ok_or(value)?;
    let unit = match unit {
        "m" | "mb" => SizeUnit::MiB,
        "g" | "gb" => SizeUnit::GiB,
        "t" | "tb" => SizeUnit::TiB,
        _ => return Err(value),
    };
    let bytes = u128::from(number) * u128::from(unit.bytes());
    values::quota(bytes, unit).map(Some).ok_or(value)
}

/// Returns the limit that a rate is; none of `unlimited`.
fn read_rate(value: &Value) -> Result<Option<Limit>, &Value> {
    let lower = text(value).trim().to_ascii_lowercase();
    if is_absent(value) || is_unlimited(&lower) {
        return Ok(None);
    }
    let (number, unit) = split(&lower).ok_or(value)?;
    let unit = match unit {
        "kbps" => 1_000,
        "mbps" => 1_000_000,
        "gbps" => 1_000_000_000,
        _ => return Err(value),
    };
    let limit = number.checked_mul(unit).and_then(values::limit);
    limit.map(Some).ok_or(value)
}

fn is_unlimited(lower: &str) -> bool {
    lower == "unlimited" || lower == "0"
}

/// Splits a whole number from the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_by_1024_and_rates_by_1000() {
        for (written, bytes) in [
            ("100GB", Some(100 << 30)),
            ("2T", Some(2 << 40)),
            ("500m", Some(500 << 20)),
            ("1 tb", Some(1 << 40)),
            ("unlimited", None),
            ("0", None),
        ] {
            let read = json!(written);
            let quota = read_size(&read).unwrap();
            assert_eq!(quota.map(QuotaSize::bytes), bytes, "{written}");
        }
        for (written, bits) in [
            ("100Mbps", Some(100_000_000)),
            ("500KBPS", Some(500_000)),
            ("1gbps", Some(1_000_000_000)),
            ("unlimited", None),
        ] {
            let read = json!(written);
            let limit = read_rate(&read).unwrap();
            let read = limit.map(|limit| limit.rate().bits_per_second());
            assert_eq!(read, bits, "{written}");
        }
    }

    #[test]
    fn what_the_tool_would_not_have_taken_is_none() {
        for written in [
            "GB",
            "1.5GB",
            "-1GB",
            "5",
            "5KB",
            "$(id)GB",
            "0GB",
            "99999999999999999999T",
        ] {
            assert!(read_size(&json!(written)).is_err(), "{written}");
        }
        for written in ["fast", "1.5Mbps", "5", "0Mbps", "200Gbps", "100MB"] {
            assert!(read_rate(&json!(written)).is_err(), "{written}");
        }
    }
}
