//! Settings that are text of the operator's: each refuses what would not read back, or would do
//! more to a terminal than to stand there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ValueError;

/// The longest note, in characters.
pub const MAX_NOTE_CHARS: usize = 200;

/// The longest name of a group, in bytes of UTF-8.
pub const MAX_GROUP_BYTES: usize = 48;

/// The name of a group: any text of 1 to [`MAX_GROUP_BYTES`] bytes without control characters and
/// commas, that begins and ends with no white space, does not begin with `-` and is not `none`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(Arc<str>);

/// Text of the operator's: any characters but control characters, at most
/// [`MAX_NOTE_CHARS`] of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Note(String);

/// The IANA name of a time zone that the built-in data knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl GroupName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GroupName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refused = || Err(ValueError::GroupName(text.escape_debug().to_string()));
        let is_short = (1..=MAX_GROUP_BYTES).contains(&text.len());
        if !is_short || text.trim() != text || text.contains(',') || text.starts_with('-') {
            return refused();
        }
        if text.eq_ignore_ascii_case("none") || text.chars().any(is_unprintable) {
            return refused();
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for GroupName {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Note {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Note {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let chars = text.chars().count();
        if chars > MAX_NOTE_CHARS {
            return Err(ValueError::NoteTooLong(chars));
        }
        // They would reach the terminal of whoever lists it, and there change more than the note.
        let control = text
            .chars()
            .find(|&c| is_unprintable(c) && !matches!(c, '\t' | '\n'));
        match control {
            Some(control) => Err(ValueError::NoteControl(control.into())),
            None => Ok(Self(text)),
        }
    }
}

/// Whether a character does more to a terminal than to stand there.
pub(super) fn is_unprintable(c: char) -> bool {
    let turns_text_around = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    c.is_control() || turns_text_around || breaks_lines
}

impl From<Note> for String {
    fn from(note: Note) -> Self {
        note.0
    }
}

impl ZoneName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ZoneName {
    type Error = ValueError;

    fn try_from(name: String) -> Result<Self, ValueError> {
        match crate::calendar::Zone::named(&name) {
            Ok(zone) => Ok(Self(zone.name().to_owned())),
            Err(_) => Err(ValueError::Zone(name)),
        }
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}
