//! What is said of delivery itself, by who delivers.

use pm_core::calendar::Timestamp;
use pm_core::language::Language;

use crate::compose::Voice;
use crate::part::{Format, Part};
use crate::say::say;

/// Returns that so many messages were given up.
pub fn lost_note(voice: Voice<'_>, lost: u64, now: Timestamp) -> Part {
    let language = voice.language;
    let text = match lost {
        1 => say!(
            language;
            "1 message could not be delivered here and was given up",
            "有 1 条消息一直没能送到这里，已放弃"
        ),
        _ => say!(
            language;
            "{lost} messages could not be delivered here and were given up",
            "有 {lost} 条消息一直没能送到这里，已放弃"
        ),
    };
    part(voice, &text, now)
}

/// Returns what is sent in the place of a message that cannot be read.
pub fn damaged(voice: Voice<'_>, time: Timestamp) -> Part {
    let language = voice.language;
    let text = say!(
        language;
        "a message was damaged, and cannot be shown",
        "有一条消息已损坏，无法显示"
    );
    part(voice, &text, time)
}

/// Kinds of event, the gravest first; all others come after them.
const GRAVE: [&str; 8] = [
    "blocked",
    "expired",
    "delivery",
    "healed",
    "restarted",
    "punished",
    "quota",
    "expiring",
];

/// Returns the title of several messages in one: that of the gravest, and how many more there are.
pub fn collected(language: Language, parts: &[Part]) -> String {
    let rank = |part: &&Part| GRAVE.iter().position(|event| *event == part.event);
    let last = GRAVE.len();
    let Some(gravest) = parts.iter().min_by_key(|part| rank(part).unwrap_or(last)) else {
        return String::new();
    };
    let (title, more) = (&gravest.title, parts.len() - 1);
    say!(language; "{title} (and {more} more)", "{title}（另有 {more} 条）")
}

fn part(voice: Voice<'_>, text: &str, time: Timestamp) -> Part {
    let server = voice.server;
    Part {
        title: format!("[{server}] {text}"),
        text: format!("{server} · {text}"),
        format: Format::Plain,
        server: server.to_owned(),
        event: "delivery".to_owned(),
        time: voice.time(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a phone, the subject is all that is seen.
    #[test]
    fn the_gravest_of_many_gives_its_title() {
        let part = |event: &str, title: &str| Part {
            title: title.to_owned(),
            text: String::new(),
            format: Format::Plain,
            server: "hk-01".to_owned(),
            event: event.to_owned(),
            time: String::new(),
        };
        let parts = [
            part("reset", "[hk-01] 443: a new period begins"),
            part("blocked", "[hk-01] 80: blocked"),
            part("quota", "[hk-01] 81: 50%"),
            part("blocked", "[hk-01] 81: blocked"),
        ];
        let title = |language| collected(language, &parts);
        assert_eq!(title(Language::English), "[hk-01] 80: blocked (and 3 more)");
        assert_eq!(title(Language::Chinese), "[hk-01] 80: blocked（另有 3 条）");
    }
}
