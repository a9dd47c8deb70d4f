//! Text of the operator's, which stays what it says and becomes nothing more.

use pm_core::calendar::Timestamp;
use pm_core::config::{GroupName, MAX_GROUP_BYTES, MAX_NOTE_CHARS, Note};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::doubt::Trouble;

/// Returns a text as a note, and what had to be left out of it.
pub(crate) fn note(text: &str) -> (Note, Vec<Trouble>) {
    if let Ok(note) = text.parse() {
        return (note, Vec::new());
    }
    let mut troubles = Vec::new();
    let fits = |c: &char| c.to_string().parse::<Note>().is_ok();
    let kept: String = text.chars().filter(fits).collect();
    let removed = text.chars().count() - kept.chars().count();
    if removed > 0 {
        troubles.push(Trouble::NoteCleaned(removed));
    }
    let chars = kept.chars().count();
    if chars > MAX_NOTE_CHARS {
        troubles.push(Trouble::NoteShortened(chars));
    }
    let kept: String = kept.chars().take(MAX_NOTE_CHARS).collect();
    (kept.parse().unwrap_or_default(), troubles)
}

/// Returns a text as the name of a group that is none of `taken`.
///
/// What it cannot be called is left out of it; where nothing is left, it is `fallback`.
pub(crate) fn group(text: &str, fallback: &str, taken: &[GroupName]) -> Option<GroupName> {
    let free = |name: &GroupName| !taken.contains(name);
    if let Some(name) = text.parse().ok().filter(free) {
        return Some(name);
    }
    let fits = |c: &char| format!("a{c}a").parse::<GroupName>().is_ok();
    let kept: String = text.chars().filter(fits).collect();
    let kept = kept.trim().trim_start_matches('-').trim_start();
    let base = match cut(kept, MAX_GROUP_BYTES).trim_end() {
        "" => fallback,
        word if word.eq_ignore_ascii_case("none") => fallback,
        word => word,
    };
    let names = (1..=taken.len() + 2).map(|count| {
        let end = if count > 1 {
            format!(" {count}")
        } else {
            String::new()
        };
        let begin = cut(base, MAX_GROUP_BYTES - end.len()).trim_end();
        format!("{begin}{end}").parse::<GroupName>()
    });
    names.flatten().find(free)
}

/// Returns a value of the tool's that is safe to show: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    let fits = |c: &char| c.to_string().parse::<Note>().is_ok() && !matches!(c, '\t' | '\n');
    let mut chars = text.chars().filter(fits);
    let mut shown: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Returns the instant that a text is: `2026-05-30T23:00:00+08:00`, or without the last colon.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let has_colon = rest.ends_with([':', '.']) || text.ends_with(['Z', 'z']);
    let colon = if has_colon { "" } else { ":" };
    let instant = OffsetDateTime::parse(&format!("{rest}{colon}{minutes}"), &Rfc3339).ok()?;
    Some(Timestamp::from_unix(instant.unix_timestamp()))
}

/// Returns at most so many bytes of a text's beginning, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(text: &str, taken: &[&str]) -> String {
        let taken: Vec<GroupName> = taken.iter().map(|name| name.parse().unwrap()).collect();
        group(text, "group 443", &taken).unwrap().to_string()
    }

    #[test]
    fn a_note_loses_only_what_does_more_than_to_stand_there() {
        for kept in [
            "",
            "007",
            "Snell 老王 🚀",
            "a\tb\nc",
            "\"quoted\" `$(id)` \\n",
        ] {
            assert_eq!(note(kept), (kept.parse().unwrap(), Vec::new()), "{kept:?}");
        }
        let (cleaned, troubles) = note("a\u{1b}[31mb\r\n");
        assert_eq!(cleaned.as_str(), "a[31mb\n");
        assert_eq!(troubles, [Trouble::NoteCleaned(2)]);
        let (short, troubles) = note(&"好".repeat(250));
        assert_eq!(short.as_str(), "好".repeat(200));
        assert_eq!(troubles, [Trouble::NoteShortened(250)]);
    }

    #[test]
    fn a_group_is_called_what_it_was_as_far_as_it_can_be() {
        assert_eq!(named("vip1", &[]), "vip1");
        assert_eq!(named("a,b", &[]), "ab");
        assert_eq!(named(" -x ", &[]), "x");
        assert_eq!(named("none", &[]), "group 443");
        assert_eq!(named("\u{1b}", &[]), "group 443");
        assert_eq!(named("a,b", &["ab"]), "ab 2");
        assert_eq!(named(&"好".repeat(40), &[]), "好".repeat(16));
        let long = "好".repeat(16);
        assert_eq!(
            named(&"好".repeat(40), &[&long]),
            format!("{} 2", "好".repeat(15))
        );
    }

    #[test]
    fn instants_are_read_in_the_forms_that_the_tools_write() {
        let written = Some(Timestamp::from_unix(1_780_153_200));
        for text in [
            "2026-05-30T23:00:00+08:00",
            "2026-05-30T23:00:00+0800",
            "2026-05-30T15:00:00Z",
        ] {
            assert_eq!(instant(text), written, "{text}");
        }
        for text in [
            "",
            "-",
            "2026-05-30",
            "soon",
            "é",
            "2026-13-30T23:00:00+08:00",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_note_and_a_name(text in any::<String>()) {
            let (note, troubles) = note(&text);
            prop_assert_eq!(note.as_str() == text, troubles.is_empty());
            prop_assert!(group(&text, "group 443", &[]).is_some());
            let _ = instant(&text);
            prop_assert!(shown(&text).parse::<Note>().is_ok());
        }

        #[test]
        fn two_groups_never_share_a_name(texts in prop::collection::vec(".{0,3}", 1..20)) {
            let mut taken: Vec<GroupName> = Vec::new();
            for text in &texts {
                let name = group(text, "group 443", &taken);
                let name = name.ok_or_else(|| TestCaseError::fail("no name is left"))?;
                prop_assert!(!taken.contains(&name));
                taken.push(name);
            }
        }
    }
}
