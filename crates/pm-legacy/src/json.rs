//! JSON as those tools write and read it: a number may be a text, a flag a number, and anything
//! missing or null.

use serde_json::Value;

use crate::source::{Foreign, Refusal, Tool};

/// The most bytes that a figure can be: what pm's files hold.
pub(crate) const MAX_BYTES: u64 = i64::MAX as u64;

const NOTHING: &Value = &Value::Null;

/// Returns the object that a file's text is.
///
/// # Errors
///
/// `Damaged`, with the place; `Foreign` for what is no object.
pub(crate) fn parse(file: &str, tool: Tool, text: &str) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        // serde_json ends its message with the place, which stands in front here.
        let reason = said
            .rsplit_once(" at line ")
            .map_or(&*said, |(reason, _)| reason);
        Refusal::Damaged {
            file: file.to_owned(),
            line: error.line(),
            column: error.column(),
            reason: reason.to_owned(),
        }
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refusal::Foreign {
            file: file.to_owned(),
            tool,
            reason: Foreign::NoObject,
        })
    }
}

/// Returns a member of an object, or null.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    let member = |value: &'a Value, name: &&str| value.get(*name).unwrap_or(NOTHING);
    path.iter().fold(value, member)
}

/// Whether nothing is said.
pub(crate) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "null",
        _ => false,
    }
}

/// Returns a text, as jq would print it; of nothing, the empty one.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a flag; `None`: it is none.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match text(value).trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Returns a number, cut after its point; `None`: it is none, or negative, or too large.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => Some(whole),
            None => number.as_f64().and_then(whole),
        },
        Value::String(text) => number_in(text),
        _ => None,
    }
    .filter(|number| *number <= MAX_BYTES)
}

/// Returns the number that a text is, cut after its point; `None`: it is none.
pub(crate) fn number_in(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_plain = |c: u8| c.is_ascii_digit() || b".eE+-".contains(&c);
    if !text.bytes().all(is_plain) {
        return None;
    }
    let number = text.parse().ok().or_else(|| whole(text.parse().ok()?));
    number.filter(|number| *number <= MAX_BYTES)
}

/// Returns a number with its thousandths, in these; `None`: it is none, or negative.
pub(crate) fn thousandths(value: &Value) -> Option<u64> {
    let number: f64 = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    whole((number * 1_000.0).round())
}

/// Returns a number of seconds since 1970 that is no nought.
pub(crate) fn instant(value: &Value) -> Option<i64> {
    let seconds = number(value).filter(|seconds| *seconds > 0)?;
    i64::try_from(seconds).ok()
}

fn whole(number: f64) -> Option<u64> {
    // Up to here every whole number of such a size fits.
    let is_bounded = (0.0..9.3e18).contains(&number);
    is_bounded.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn numbers_are_read_in_every_form_that_was_written() {
        for (value, read) in [
            (json!(5), Some(5)),
            (json!(5.9), Some(5)),
            (json!("5"), Some(5)),
            (json!(" 5.9 "), Some(5)),
            (json!(3e9), Some(3_000_000_000)),
            (json!("3e9"), Some(3_000_000_000)),
            (json!(9_223_372_036_854_775_807_u64), Some(MAX_BYTES)),
            (json!(9_223_372_036_854_775_808_u64), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("inf"), None),
            (json!("NaN"), None),
            (json!("0x10"), None),
            (json!("$(id)"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([5]), None),
        ] {
            assert_eq!(number(&value), read, "{value}");
        }
    }

    #[test]
    fn what_is_cut_off_is_refused_with_its_place() {
        let cut = "{\"ports\":{\n  \"443\":{\"quota\":";
        let refused = parse("config.json", Tool::Dog, cut).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "config.json, line 2, column 17: EOF while parsing a value"
        );
        assert!(parse("config.json", Tool::Dog, "[]").is_err());
        assert!(parse("config.json", Tool::Dog, "").is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_a_number_out_of_bounds(text in any::<String>()) {
            prop_assert!(number_in(&text).is_none_or(|number| number <= MAX_BYTES));
        }
    }
}
