//! The language in which pm speaks to whoever runs it.

use std::cell::Cell;

use pm_core::language::Language;

thread_local! {
    static CURRENT: Cell<Language> = const { Cell::new(Language::English) };
}

/// Returns a text in the current language. What follows each language is as for `format!`.
///
/// Both stand side by side, so a text that lacks one does not compile.
macro_rules! tr {
    (en: $en:literal $(, $en_arg:expr)*; zh: $zh:literal $(, $zh_arg:expr)* $(;)?) => {
        match $crate::language::current() {
            ::pm_core::language::Language::English => format!($en $(, $en_arg)*),
            ::pm_core::language::Language::Chinese => format!($zh $(, $zh_arg)*),
        }
    };
    ($en:literal, $zh:literal $(,)?) => {
        match $crate::language::current() {
            ::pm_core::language::Language::English => format!($en),
            ::pm_core::language::Language::Chinese => format!($zh),
        }
    };
}

pub(crate) use tr;

/// Returns the language that is spoken now.
pub(crate) fn current() -> Language {
    CURRENT.get()
}

/// Speaks `language` from now on, on this thread.
pub(crate) fn speak(language: Language) {
    CURRENT.set(language);
}

/// Returns what `text` returns in `language`; the language that was spoken before is spoken after it.
pub(crate) fn within<T>(language: Language, text: impl FnOnce() -> T) -> T {
    struct Back(Language);
    impl Drop for Back {
        fn drop(&mut self) {
            speak(self.0);
        }
    }
    let _back = Back(current());
    speak(language);
    text()
}

/// Returns what `text` returns in Chinese.
#[cfg(test)]
pub(crate) fn in_chinese<T>(text: impl FnOnce() -> T) -> T {
    within(Language::Chinese, text)
}

/// Returns the language to speak: what `--lang` asks for, else what is configured, else what `PM_LANG` or the
/// locale of messages says (POSIX.1, XBD 8.2), else English.
///
/// `environment` looks a variable up.
pub(crate) fn choose(
    asked: Option<Language>,
    configured: Option<Language>,
    environment: impl Fn(&str) -> Option<String>,
) -> Language {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let locale = || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
    asked
        .or(configured)
        .or_else(|| set("PM_LANG")?.parse().ok())
        .or_else(|| Language::of_locale(&locale()?))
        .unwrap_or_default()
}

/// Whether a terminal in this environment shows more than ASCII; `environment` looks a variable up.
pub(crate) fn is_utf8(environment: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Returns the value of `--lang`, before the command line is parsed: what is wrong about it is to
/// be said in that language, too.
pub(crate) fn asked(arguments: impl IntoIterator<Item = String>) -> Option<Language> {
    let mut arguments = arguments
        .into_iter()
        .take_while(|argument| argument != "--");
    let mut asked = None;
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--lang") {
            Some("") => arguments.next(),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        asked = value.and_then(|value| value.parse().ok()).or(asked);
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn chosen(
        asked: Option<Language>,
        configured: Option<Language>,
        set: &[(&str, &str)],
    ) -> Language {
        choose(asked, configured, |name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_nearest_word_counts() {
        use Language::{Chinese, English};
        let chinese = [("LANG", "zh_CN.UTF-8")];
        assert_eq!(chosen(None, None, &[]), English);
        assert_eq!(chosen(None, None, &chinese), Chinese);
        assert_eq!(chosen(None, Some(English), &chinese), English);
        assert_eq!(chosen(Some(Chinese), Some(English), &[]), Chinese);
        assert_eq!(
            chosen(None, None, &[("PM_LANG", "en"), chinese[0]]),
            English
        );
        assert_eq!(chosen(None, None, &[("PM_LANG", ""), chinese[0]]), Chinese);
        assert_eq!(
            chosen(None, None, &[("PM_LANG", "xx"), chinese[0]]),
            Chinese
        );
        assert_eq!(chosen(None, None, &[("LC_ALL", "C"), chinese[0]]), English);
        assert_eq!(
            chosen(
                None,
                None,
                &[("LC_ALL", ""), ("LC_MESSAGES", "zh"), ("LANG", "C")]
            ),
            Chinese
        );
    }

    #[test]
    fn the_flag_is_seen_before_the_line_is_parsed() {
        let of = |line: &str| asked(line.split(' ').map(str::to_owned));
        assert_eq!(of("pm list"), None);
        assert_eq!(of("pm --lang zh list"), Some(Language::Chinese));
        assert_eq!(of("pm list --lang=zh_CN"), Some(Language::Chinese));
        assert_eq!(of("pm list --lang"), None);
        assert_eq!(of("pm --lang xx list"), None);
        assert_eq!(of("pm --language zh"), None);
        assert_eq!(of("pm set 80 -- --lang zh"), None);
    }

    #[test]
    fn a_text_is_there_in_both_languages() {
        let count = 3;
        let text = || tr!("{count} ports", "{count} 个端口");
        let before = current();
        let texts = Language::ALL.map(|language| within(language, text));
        assert_eq!(texts, ["3 ports", "3 个端口"]);
        assert_eq!(current(), before);
    }

    /// Returns the first words that are nothing but an English sentence; code is none.
    fn english_sentence(text: &str) -> Option<String> {
        const FEWEST: usize = 5;
        let is_prose = |line: &&str| !line.starts_with("$ ");
        let text: Vec<&str> = text.lines().filter(is_prose).collect();
        let text = text.join("\n");
        let prose = text.split('`').step_by(2).collect::<Vec<_>>().join(" | ");
        let prose = prose.replace(|c: char| !c.is_ascii(), " | ");
        let is_word = |word: &str| word.chars().all(|c| c.is_ascii_alphabetic());
        let words: Vec<&str> = prose.split_whitespace().collect();
        let mut sentences = words.split(|word| !is_word(word));
        let sentence = sentences.find(|words| words.len() >= FEWEST)?;
        Some(sentence.join(" "))
    }

    /// Returns all snapshots below a directory whose names say that they are in Chinese.
    fn chinese_snapshots(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                chinese_snapshots(&path, found);
            } else if name.ends_with("_zh.snap") || name.contains("__chinese__") {
                found.push(path);
            }
        }
    }

    #[test]
    fn no_english_sentence_is_left_in_chinese() {
        // Notes of the samples, and what serde and the kernel say.
        const NOT_OURS: [&str; 4] = [
            "The quick brown fox",
            "jumps over the lazy dog",
            "two lines and a tab",
            "EOF while parsing an object",
        ];
        assert!(english_sentence("错误：nothing is counted any more").is_some());
        assert_eq!(english_sentence("用 `pm set NAME to this`"), None);
        let mut snapshots = Vec::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        chinese_snapshots(&sources, &mut snapshots);
        assert!(snapshots.len() > 20);
        for path in snapshots {
            let text = std::fs::read_to_string(&path).unwrap();
            let (_head, text) = text.split_once("\n---\n").unwrap();
            let mut text = text.to_owned();
            for not_ours in NOT_OURS {
                text = text.replace(not_ours, "");
            }
            assert_eq!(english_sentence(&text), None, "{}", path.display());
        }
    }
}
