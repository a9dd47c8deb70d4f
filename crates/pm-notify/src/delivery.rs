//! What is said of delivery itself, by who delivers.

use pm_core::calendar::Timestamp;

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

/// Returns the title of so many messages in one.
pub fn collected(voice: Voice<'_>, count: usize) -> String {
    let (language, server) = (voice.language, voice.server);
    say!(language; "[{server}] {count} messages", "[{server}] {count} 条消息")
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
