//! Failures as they are kept: `[server 503] HTTP 503, a web page`.
//!
//! Who delivers does not know who will look, and in which language: he keeps what is the matter, and
//! the server's own words.

use pm_core::language::Language;

use super::{Failure, Why};

impl Failure {
    /// Returns it as it is kept: one line.
    pub fn stored(&self) -> String {
        let (word, number) = self.why.word();
        let number = number.map_or(String::new(), |number| format!(" {number}"));
        format!("[{word}{number}] {}", self.answer)
            .trim_end()
            .to_owned()
    }
}

/// Returns what was [kept](Failure::stored) of a failure as it is shown. Anything else is shown as it
/// is: an earlier pm kept the text itself.
pub fn shown(stored: &str, language: Language) -> String {
    match read(stored) {
        Some(failure) => failure.text(language),
        None => stored.to_owned(),
    }
}

fn read(stored: &str) -> Option<Failure> {
    let (label, answer) = stored.strip_prefix('[')?.split_once(']')?;
    let (word, number) = match label.split_once(' ') {
        Some((word, number)) => (word, Some(number.parse().ok()?)),
        None => (label, None),
    };
    Some(Failure::new(Why::of_word(word, number)?, answer))
}

impl Why {
    fn word(&self) -> (&'static str, Option<i64>) {
        match self {
            Self::Name => ("name", None),
            Self::Connect => ("connect", None),
            Self::Tls => ("tls", None),
            Self::NoTls => ("no-tls", None),
            Self::NoStartTls => ("no-starttls", None),
            Self::NoHttps => ("no-https", None),
            Self::NoLogin => ("no-login", None),
            Self::Slow => ("slow", None),
            Self::Broken => ("broken", None),
            Self::Endless => ("endless", None),
            Self::Redirected => ("redirected", None),
            Self::NotTheServer => ("not-the-server", None),
            Self::Credentials => ("credentials", None),
            Self::NoRecipient => ("no-recipient", None),
            Self::NoChat => ("no-chat", None),
            Self::NoMailbox => ("no-mailbox", None),
            Self::NoNode => ("no-node", None),
            Self::Unwanted => ("unwanted", None),
            Self::TooMany => ("too-many", None),
            Self::Content => ("content", None),
            Self::Circle => ("circle", None),
            Self::Settings => ("settings", None),
            Self::Idle => ("idle", None),
            Self::Clock { seconds } => ("clock", Some(*seconds)),
            Self::Rejected { code } => ("rejected", Some(*code)),
            Self::Server { status } => ("server", Some((*status).into())),
        }
    }

    fn of_word(word: &str, number: Option<i64>) -> Option<Self> {
        Some(match (word, number) {
            ("name", None) => Self::Name,
            ("connect", None) => Self::Connect,
            ("tls", None) => Self::Tls,
            ("no-tls", None) => Self::NoTls,
            ("no-starttls", None) => Self::NoStartTls,
            ("no-https", None) => Self::NoHttps,
            ("no-login", None) => Self::NoLogin,
            ("slow", None) => Self::Slow,
            ("broken", None) => Self::Broken,
            ("endless", None) => Self::Endless,
            ("redirected", None) => Self::Redirected,
            ("not-the-server", None) => Self::NotTheServer,
            ("credentials", None) => Self::Credentials,
            ("no-recipient", None) => Self::NoRecipient,
            ("no-chat", None) => Self::NoChat,
            ("no-mailbox", None) => Self::NoMailbox,
            ("no-node", None) => Self::NoNode,
            ("unwanted", None) => Self::Unwanted,
            ("too-many", None) => Self::TooMany,
            ("content", None) => Self::Content,
            ("circle", None) => Self::Circle,
            ("settings", None) => Self::Settings,
            ("idle", None) => Self::Idle,
            ("clock", Some(seconds)) => Self::Clock { seconds },
            ("rejected", Some(code)) => Self::Rejected { code },
            ("server", Some(status)) => Self::Server {
                status: status.try_into().ok()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_failure_is_all_of_it() {
        let all = [
            Why::Name,
            Why::Connect,
            Why::Tls,
            Why::NoTls,
            Why::NoStartTls,
            Why::NoHttps,
            Why::NoLogin,
            Why::Slow,
            Why::Broken,
            Why::Endless,
            Why::Redirected,
            Why::NotTheServer,
            Why::Credentials,
            Why::NoRecipient,
            Why::NoChat,
            Why::NoMailbox,
            Why::NoNode,
            Why::Unwanted,
            Why::TooMany,
            Why::Content,
            Why::Circle,
            Why::Settings,
            Why::Idle,
            Why::Clock { seconds: -300 },
            Why::Rejected { code: i64::MIN },
            Why::Server { status: 503 },
        ];
        for why in all {
            for answer in ["", "no [route] to 主机", "] [tls] ["] {
                let failure = Failure::new(why.clone(), answer);
                assert_eq!(read(&failure.stored()), Some(failure.clone()));
                for language in [Language::English, Language::Chinese] {
                    assert_eq!(shown(&failure.stored(), language), failure.text(language));
                }
            }
        }
    }

    #[test]
    fn what_is_none_is_shown_as_it_is() {
        for text in [
            "401 Unauthorized",
            "[",
            "[]",
            "[tls",
            "[tls 1] x",
            "[server] x",
            "[server 70000] x",
            "[server x] y",
        ] {
            assert_eq!(shown(text, Language::Chinese), text);
        }
    }
}
