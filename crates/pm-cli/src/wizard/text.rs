//! What people type, as what they mean.
//!
//! - Full-width characters of a Chinese keyboard are the same as the others; what a paste brings along is dropped.
//! - A number without a unit is in the unit that the question names. On the command line it needs one.
//! - Notes and names are text, whatever they look like: they are only trimmed.

use std::error::Error;
use std::str::FromStr;

use pm_core::calendar::{DayOfMonth, DayOfYear, Interval, ResetPolicyError, YearMonth, iso_date};
use pm_core::config::{Factor, Limit, Note, QuotaSize};
use pm_core::dynqos::Minutes;
use pm_core::port::{PortError, PortList};
use pm_core::units::{BitRate, Size};
use time::Date;

use crate::language::tr;
use crate::output::errors;

/// Returns what was typed with the characters that pm reads.
pub(super) fn tidy(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{3000}' | '\u{a0}' | '\t' | '\n' => Some(' '),
        '、' => Some(','),
        '。' => Some('.'),
        '–' | '—' | '―' | '−' => Some('-'),
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' => None,
        c if c.is_control() => None,
        c => Some(c),
    };
    let text: String = text.chars().filter_map(narrow).collect();
    text.trim().to_owned()
}

/// Reads ports and ranges, separated by commas or spaces.
pub(super) fn ports(text: &str) -> Result<PortList, String> {
    separated(text)
        .parse()
        .map_err(|error: PortError| why(&error))
}

/// Returns what was typed with commas between its parts, and nothing else.
pub(super) fn separated(text: &str) -> String {
    let text = tidy(text).replace(['~', '至'], "-").replace(';', ",");
    let ranges: Vec<&str> = text.split('-').map(str::trim).collect();
    let text = ranges.join("-");
    let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(",")
}

/// Reads a quota, in GB where it names no unit; `None`: none.
pub(super) fn quota(text: &str) -> Result<Option<QuotaSize>, String> {
    let text = tidy(text);
    if is_none(&text) {
        return Ok(None);
    }
    let size: Size = read(&with_unit(&text, "GB"))?;
    QuotaSize::try_from(size)
        .map(Some)
        .map_err(|error| why(&error))
}

/// Reads a size, in GB where it names no unit.
pub(super) fn size(text: &str) -> Result<Size, String> {
    match &*tidy(text) {
        "0" => read("0B"),
        text => read(&with_unit(text, "GB")),
    }
}

/// Reads a limit, in Mbps where it names no unit; `None`: none.
pub(super) fn limit(text: &str) -> Result<Option<Limit>, String> {
    if is_none(&tidy(text)) {
        return Ok(None);
    }
    Limit::try_from(rate(text)?)
        .map(Some)
        .map_err(|error| why(&error))
}

/// Reads a rate, in Mbps where it names no unit.
pub(super) fn rate(text: &str) -> Result<BitRate, String> {
    read(&with_unit(&tidy(text), "Mbps"))
}

/// Reads a day of the month.
pub(super) fn day(text: &str) -> Result<DayOfMonth, String> {
    let text = tidy(text);
    let number = text.strip_prefix("day ").unwrap_or(&text);
    let day = digits(number.trim_end_matches(['日', '号']));
    let day = day.and_then(|day| DayOfMonth::new(day).ok());
    day.ok_or_else(|| why(&ResetPolicyError::NoSuchDay(text)))
}

/// Reads how many days or months, as `unit` says, lie between two resets.
pub(super) fn interval<const MOST: u16>(
    text: &str,
    unit: &'static str,
) -> Result<Interval<MOST>, String> {
    let given = tidy(text);
    let count = digits(given.trim_end_matches(['天', '日', '月', '个']));
    let interval = count.and_then(Interval::new);
    let most = MOST;
    interval.ok_or_else(|| why(&ResetPolicyError::Interval { given, unit, most }))
}

/// Reads a day of the year: `06-18`, `6/18`, `6月18日`.
pub(super) fn day_of_year(text: &str) -> Result<DayOfYear, String> {
    let text = tidy(text);
    let wrong = || why(&ResetPolicyError::NoSuchDayOfYear(text.clone()));
    let dashed = dashed(&text);
    let (month, day) = dashed.split_once(['-', ' ']).ok_or_else(wrong)?;
    // As it is shown in English: `June 18`.
    let month = month
        .parse()
        .map_or(month.to_owned(), |month: time::Month| {
            u8::from(month).to_string()
        });
    // A leap year has every day there is.
    let date = iso_date::parse(&format!("2000-{month:0>2}-{day:0>2}"));
    date.map(DayOfYear::of).ok_or_else(wrong)
}

/// Reads a date: `2027-01-31`, `2027/1/31`, `2027年1月31日`.
pub(super) fn date(text: &str) -> Result<Date, String> {
    let text = tidy(text);
    let wrong = || why(&ResetPolicyError::NoSuchDate(text.clone()));
    match dashed(&text).split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => {
            let date = iso_date::parse(&format!("{year}-{month:0>2}-{day:0>2}"));
            date.ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// Reads a month of a certain year: `2027-01`, `2027/1`, `2027年1月`.
pub(super) fn month(text: &str) -> Result<YearMonth, String> {
    let first = date(&format!("{}-1", dashed(&tidy(text))));
    first
        .map(YearMonth::of)
        .map_err(|_| why(&ResetPolicyError::NoSuchMonth(tidy(text))))
}

/// Returns what was typed with a dash between the parts of a date.
fn dashed(text: &str) -> String {
    let text = text.replace(['/', '.', '年', '月'], "-");
    let text = text.trim_end_matches(['日', '号', '-']);
    text.split('-').map(str::trim).collect::<Vec<_>>().join("-")
}

/// Returns the number that a text of nothing but digits is.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Reads a number of minutes.
pub(super) fn minutes(text: &str) -> Result<Minutes, String> {
    let text = tidy(text).to_lowercase();
    let units = ["minutes", "minute", "min", "分钟", "分"];
    let number = units.iter().find_map(|unit| text.strip_suffix(unit));
    digits(number.unwrap_or(&text))
        .and_then(Minutes::new)
        .ok_or_else(|| {
            let most = Minutes::MOST;
            tr!(
                "`{text}` is not a number of minutes: write one from 1 to {most}",
                "“{text}”不是分钟数：请输入 1 到 {most} 之间的整数"
            )
        })
}

/// Reads the last day on which something is open; `None`: it stays so.
pub(super) fn last_day(text: &str) -> Result<Option<Date>, String> {
    let text = tidy(text);
    if is_none(&text) {
        return Ok(None);
    }
    date(&text).map(Some)
}

/// Reads how often each byte counts.
pub(super) fn factor(text: &str) -> Result<Factor, String> {
    let signs = ['x', 'X', '×', '倍', ' '];
    read(tidy(text).trim_matches(signs))
}

/// Reads a note, which is only text.
pub(super) fn note(text: &str) -> Result<Note, String> {
    read(text.trim())
}

/// Reads a name, which is only text.
pub(super) fn name<T: FromStr<Err: Error + 'static>>(text: &str) -> Result<T, String> {
    read(text.trim())
}

/// Reads what may not be left out, and is only text.
pub(super) fn needed<T: FromStr<Err: Error + 'static>>(text: &str) -> Result<T, String> {
    match text.trim() {
        "" => Err(tr!(
            "nothing was typed, and it cannot be left out",
            "没有输入内容，这一项不能留空"
        )),
        text => read(text),
    }
}

/// Reads yes or no; nothing is `default`.
pub(crate) fn yes_or_no(text: &str, default: bool) -> Result<bool, String> {
    match &*tidy(text).to_lowercase() {
        "" => Ok(default),
        "y" | "yes" | "是" | "好" | "1" => Ok(true),
        "n" | "no" | "否" | "不" | "0" => Ok(false),
        text => Err(tr!(
            "`{text}` is neither yes nor no: type y or n",
            "“{text}”既不是“是”也不是“否”：请输入 y 或 n"
        )),
    }
}

/// Whether it says that there is to be none of something.
pub(super) fn is_none(text: &str) -> bool {
    let words = [
        "0",
        "none",
        "never",
        "unlimited",
        "no",
        "no quota",
        "no limit",
        "off",
        "无",
        "不限",
        "无限",
        "无限制",
        "没有",
        "永不",
        "永不到期",
        "不重置",
        "关闭",
        "未开启",
    ];
    words.contains(&&*text.to_lowercase())
}

fn with_unit(text: &str, unit: &str) -> String {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number && !text.is_empty() {
        format!("{text}{unit}")
    } else {
        text.to_owned()
    }
}

fn read<T: FromStr<Err: Error + 'static>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| why(&error))
}

/// Returns what the library says of what it refused.
pub(super) fn why(error: &(dyn Error + 'static)) -> String {
    errors::sentence(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::strategies;
    use proptest::prelude::*;

    #[test]
    fn full_width_and_pasted_text_is_understood() {
        for (text, expected) in [
            ("１００ＧＢ", "100GB"),
            ("８０，４４３\r\n", "80,443"),
            ("\u{feff} 80、443\u{3000}", "80,443"),
            ("３００００－３０１００", "30000-30100"),
            ("1。5", "1.5"),
            ("", ""),
        ] {
            assert_eq!(tidy(text), expected, "{text:?}");
        }
        for text in [
            "80,443,30000-30100",
            "８０，４４３；３００００－３０１００",
            "30000 - 30100 80 443",
            "80\n443\n30000~30100\r",
            " 443,  80 ,30000至30100,",
        ] {
            assert_eq!(
                ports(text).unwrap().to_string(),
                "80,443,30000-30100",
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_number_alone_is_in_the_unit_of_the_question() {
        let shown = |quota: Option<QuotaSize>| {
            quota.map_or("none".to_owned(), |quota| quota.size().to_string())
        };
        for (text, expected) in [
            ("100", "100GB"),
            ("１．５", "1.5GB"),
            ("100GiB", "100GiB"),
            ("500 mb", "500MB"),
            ("0", "none"),
            ("不限", "none"),
            ("None", "none"),
        ] {
            assert_eq!(shown(quota(text).unwrap()), expected, "{text:?}");
        }
        let shown =
            |limit: Option<Limit>| limit.map_or("none".to_owned(), |limit| limit.to_string());
        for (text, expected) in [
            ("50", "50Mbps"),
            ("1.5g", "1.5Gbps"),
            ("800K", "800Kbps"),
            ("0", "none"),
        ] {
            assert_eq!(shown(limit(text).unwrap()), expected, "{text:?}");
        }
        assert_eq!(size("0").unwrap().bytes(), 0);
        assert_eq!(size("2").unwrap().to_string(), "2GB");
        assert_eq!(day("１５ 日").unwrap().to_string(), "15");
        assert_eq!(interval::<3650>("30 天", "days").unwrap().get(), 30);
        assert_eq!(interval::<120>("3个月", "months").unwrap().get(), 3);
        for text in ["06-18", "6/18", "6月18日", " ６－１８ ", "6.18"] {
            assert_eq!(day_of_year(text).unwrap().to_string(), "06-18", "{text}");
        }
        for text in ["2027-01-31", "2027/1/31", "2027年1月31日", "2027. 1. 31"] {
            assert_eq!(date(text).unwrap().to_string(), "2027-01-31", "{text}");
        }
        for text in ["2027-01", "2027/1", "2027年1月"] {
            assert_eq!(month(text).unwrap().to_string(), "2027-01", "{text}");
        }
        assert_eq!(minutes("６０").unwrap().get(), 60);
        assert_eq!(
            last_day("2027/01/31")
                .unwrap()
                .map(|date| date.to_string())
                .as_deref(),
            Some("2027-01-31")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        crate::language::speak(pm_core::language::Language::English);
        let wrong = [
            ports("80,x").unwrap_err(),
            ports("").unwrap_err(),
            ports("70000").unwrap_err(),
            ports("90-80").unwrap_err(),
            quota("-5").unwrap_err(),
            quota("5 apples").unwrap_err(),
            limit("1MB").unwrap_err(),
            limit("0.001").unwrap_err(),
            day("32").unwrap_err(),
            day("every 30 days").unwrap_err(),
            interval::<3650>("0", "days").unwrap_err(),
            interval::<120>("1000", "months").unwrap_err(),
            day_of_year("02-30").unwrap_err(),
            day_of_year("618").unwrap_err(),
            date("2027-02-29").unwrap_err(),
            month("2027").unwrap_err(),
            minutes("0").unwrap_err(),
            factor("0").unwrap_err(),
            last_day("tomorrow").unwrap_err(),
            yes_or_no("maybe", true).unwrap_err(),
            note(&"x".repeat(201)).unwrap_err(),
        ];
        insta::assert_snapshot!(wrong.join("\n"));
    }

    /// As somebody types it whose keyboard is set to Chinese, and pastes it.
    fn disguised(text: &str, full_width: &[bool], spaces: &str) -> String {
        let wide = |(c, wide): (char, &bool)| match c {
            '!'..='~' if *wide => char::from_u32(u32::from(c) + 0xfee0).unwrap(),
            c => c,
        };
        let letters = text.chars().zip(full_width.iter().cycle());
        format!(
            "{spaces}{}{spaces}\r",
            letters.map(wide).collect::<String>()
        )
    }

    proptest! {
        #[test]
        fn every_list_of_ports_is_read_however_it_is_typed(
            list in strategies::port_list(),
            full_width in prop::collection::vec(any::<bool>(), 1..20),
            spaces in "[ \u{3000}\t]{0,3}",
        ) {
            let text = disguised(&list.to_string(), &full_width, &spaces);
            prop_assert_eq!(ports(&text), Ok(list.clone()), "{:?}", text);
            let text = text.replace(',', " \u{3000}");
            prop_assert_eq!(ports(&text), Ok(list), "{:?}", text);
        }

        #[test]
        fn every_size_is_read_however_it_is_typed(
            gigabytes in 1_u32..100_000,
            full_width in prop::collection::vec(any::<bool>(), 1..20),
            spaces in "[ \u{3000}\t]{0,3}",
        ) {
            for (text, unit) in [("", 1_000_000_000_u64), ("GB", 1_000_000_000), ("GiB", 1 << 30), ("mb", 1_000_000)] {
                let text = disguised(&format!("{gigabytes}{text}"), &full_width, &spaces);
                let read = quota(&text).unwrap().unwrap();
                prop_assert_eq!(read.bytes(), u64::from(gigabytes) * unit, "{:?}", text);
            }
        }

        #[test]
        fn tidying_twice_changes_nothing(text: String) {
            let once = tidy(&text);
            prop_assert_eq!(tidy(&once), once);
        }

        /// Fault 6 of the tools before: a numeric note changed which rule applied.
        #[test]
        fn a_note_is_only_text(text in "[0-9０-９,， \"'`$#租户-]{0,50}") {
            let note = note(&text).unwrap();
            prop_assert_eq!(note.as_str(), text.trim());
        }

        #[test]
        fn nothing_that_is_typed_is_too_strange(text: String) {
            let _ = (ports(&text), quota(&text), limit(&text), day(&text), size(&text));
            let _ = (interval::<9>(&text, "days"), day_of_year(&text), date(&text), month(&text));
            let _ = (minutes(&text), factor(&text), last_day(&text), note(&text), yes_or_no(&text, true));
        }
    }
}
