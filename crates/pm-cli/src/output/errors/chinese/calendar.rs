//! Why a text is not a reset policy, and why there is no such time zone.

use pm_core::calendar::{ResetPolicyError, ZoneError};

pub(super) fn reset_policy(error: &ResetPolicyError) -> String {
    match error {
        ResetPolicyError::NoSuchDay(day) => {
            format!("一个月里没有 {day} 日：请写 1 到 31 之间的日子")
        }
        ResetPolicyError::NoSuchDate(text) => no_date(text),
        ResetPolicyError::NoSuchMonth(text) => {
            format!("`{text}` 不是年月：请写成 YYYY-MM，例如 2026-12")
        }
        ResetPolicyError::NoSuchDayOfYear(text) => {
            format!("`{text}` 不是一年里的日子：请写成 MM-DD，例如 06-18")
        }
        ResetPolicyError::Interval { given, unit, most } => {
            let unit = match *unit {
                "months" => "个月",
                _ => "天",
            };
            format!("两次重置之间不能是 {given} {unit}：请写 1 到 {most} 之间的数")
        }
        ResetPolicyError::NoStart { given, example } => {
            format!("`{given}` 没有写从何时起：例如 `{given} from {example}`")
        }
        ResetPolicyError::FirstWord(word) => {
            format!("`{word}` 只是重置规则的第一个词：请给整条规则加上引号")
        }
        ResetPolicyError::NotAPolicy(text) => format!(
            "`{text}` 不是重置规则：请写每月的日子（1 到 31）、`every 30 days`、\
             `every 3 months on 15`、`yearly 06-18`、`once 2027-01-31` 或 `never`"
        ),
    }
}

/// Returns that a text is no date.
pub(super) fn no_date(text: &str) -> String {
    format!("`{text}` 不是日期：请写成 YYYY-MM-DD，例如 2027-01-31")
}

pub(super) fn zone(error: &ZoneError) -> String {
    match error {
        ZoneError::Unknown(name) => {
            format!("没有时区 `{name}`：请写 IANA 名称，例如 Asia/Shanghai 或 UTC")
        }
        ZoneError::Malformed { name, .. } => format!(
            "时区 `{name}` 不能用：它的文件不是 TZif 格式；请改写 IANA 名称，例如 Asia/Shanghai"
        ),
    }
}
