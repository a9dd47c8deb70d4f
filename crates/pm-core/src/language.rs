//! The languages in which pm speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language in which pm speaks.
///
/// # Examples
///
/// ```
/// use pm_core::language::Language;
///
/// assert_eq!("zh".parse(), Ok(Language::Chinese));
/// assert_eq!(Language::of_locale("zh_CN.UTF-8"), Some(Language::Chinese));
/// assert_eq!(Language::of_locale("C.UTF-8"), Some(Language::English));
/// assert_eq!(Language::of_locale("de_DE.UTF-8"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Language {
    /// English, which everybody who runs a server can read.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

/// A text that names no language of pm's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a language of pm's: write `en` or `zh`")]
pub struct LanguageError(pub String);

impl Language {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Returns the language of a locale, written as in `LANG` (POSIX.1, XBD 8.2); `None` where pm
    /// does not speak it.
    pub fn of_locale(locale: &str) -> Option<Self> {
        let end = locale.find(['.', '@']).unwrap_or(locale.len());
        let name = locale.get(..end)?;
        let language = name.split(['_', '-']).next()?;
        match language.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" | "c" | "posix" => Some(Self::English),
            _ => None,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::English => "en",
            Self::Chinese => "zh",
        })
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    /// Reads `en` or `zh`, with a region (`zh_CN`, `zh-Hans`) too, and the languages' own names.
    fn from_str(text: &str) -> Result<Self, LanguageError> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "english" => return Ok(Self::English),
            "中文" | "chinese" => return Ok(Self::Chinese),
            "c" | "posix" => return Err(LanguageError(text.to_owned())),
            _ => {}
        }
        Self::of_locale(text).ok_or_else(|| LanguageError(text.to_owned()))
    }
}

impl TryFrom<String> for Language {
    type Error = LanguageError;

    fn try_from(text: String) -> Result<Self, LanguageError> {
        text.parse()
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for language in Language::ALL {
            assert_eq!(language.to_string().parse(), Ok(language));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
    }

    #[test]
    fn a_language_is_known_by_its_locales() {
        for locale in ["zh", "zh_CN", "zh_TW.UTF-8", "zh_CN.GB18030", "ZH-hans@x"] {
            assert_eq!(
                Language::of_locale(locale),
                Some(Language::Chinese),
                "{locale}"
            );
        }
        for locale in ["C", "POSIX", "C.UTF-8", "en_GB.UTF-8", "en"] {
            assert_eq!(
                Language::of_locale(locale),
                Some(Language::English),
                "{locale}"
            );
        }
        for locale in ["", "de_DE", "zhuang", ".UTF-8", "租"] {
            assert_eq!(Language::of_locale(locale), None, "{locale}");
        }
    }

    #[test]
    fn what_names_no_language_is_refused() {
        for text in ["", "C", "de", "zen", "en zh"] {
            assert_eq!(
                text.parse::<Language>(),
                Err(LanguageError(text.to_owned()))
            );
        }
        for (text, language) in [
            (" 中文 ", Language::Chinese),
            ("English", Language::English),
        ] {
            assert_eq!(text.parse(), Ok(language));
        }
    }
}
