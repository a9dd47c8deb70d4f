//! What is said, in words, before it takes the form of a channel.

mod holders;
mod host;
mod together;
pub(crate) mod words;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::language::Language;
use pm_core::notice::{Notice, What};

use crate::say::say;

pub use crate::report::summary;

/// A message: what happened in one line, and what else there is to say in some more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Shows at a glance what it is about.
    pub icon: &'static str,
    /// What the host is called.
    pub server: String,
    /// What happened, without the host.
    pub headline: String,
    /// What else there is to say, a line each.
    pub lines: Vec<String>,
    /// When it happened, in the configured zone: `2026-11-22 08:15`.
    pub time: String,
    /// The kind of event, or `report` or `test`.
    pub event: &'static str,
}

/// In what words, and by whose clock, something is said.
#[derive(Clone, Copy, Debug)]
pub struct Voice<'a> {
    /// The language.
    pub language: Language,
    /// What the host is called.
    pub server: &'a str,
    /// The zone whose dates count.
    pub zone: &'a Zone,
}

/// What is said: a picture, what happened in one line, and some more.
type Said = (&'static str, String, Vec<String>);

impl Voice<'_> {
    /// Returns what is said of a notice.
    pub fn notice(self, notice: &Notice) -> Message {
        self.notices(notice, &[])
    }

    /// Returns what is said of a notice and others that are [told with it](What::is_alike).
    pub fn notices(self, first: &Notice, others: &[&Notice]) -> Message {
        let (icon, headline, lines) = match others {
            [] => self.said(&first.what),
            others => {
                let all: Vec<_> = std::iter::once(first)
                    .chain(others.iter().copied())
                    .collect();
                self.together(first, &all)
            }
        };
        Message {
            icon,
            server: self.server.to_owned(),
            headline,
            lines,
            time: self.time(first.time),
            event: first.what.kind().name(),
        }
    }

    /// Returns what is sent to try a channel.
    pub fn test(self, now: Timestamp) -> Message {
        let language = self.language;
        Message {
            icon: "👋",
            server: self.server.to_owned(),
            headline: say!(language; "this is a test", "这是一条测试消息"),
            lines: vec![say!(
                language;
                "Messages from this host arrive here.",
                "这台主机的消息会发到这里。"
            )],
            time: self.time(now),
            event: "test",
        }
    }

    /// Returns an instant as it is said.
    pub(crate) fn time(self, time: Timestamp) -> String {
        let local = self.zone.local(time);
        let (hour, minute) = (local.hour(), local.minute());
        format!("{} {hour:02}:{minute:02}", local.date())
    }

    fn said(self, what: &What) -> Said {
        match what {
            What::Quota {
                whom,
                percent,
                billed,
                quota,
                next_reset,
            } => self.quota(whom, *percent, *billed, *quota, *next_reset),
            What::Blocked {
                whom,
                billed,
                quota,
                next_reset,
            } => self.blocked(whom, *billed, *quota, *next_reset),
            What::Unblocked { whom } => self.unblocked(whom),
            What::Reset(ended) => self.reset(ended),
            What::Punished { whom, rule } => self.punished(whom, *rule),
            What::Restored { whom } => self.restored(whom),
            What::Expiring {
                whom,
                last_day,
                days,
            } => self.expiring(whom, *last_day, *days),
            What::Expired { whom, last_day } => self.expired(whom, *last_day),
            What::Healed {
                gone,
                services,
                since,
            } => self.healed(gone, services, *since),
            What::Restarted { since } => self.restarted(*since),
            What::Done { deed, whom } => self.done(*deed, whom),
            What::Delivery { to, why, lost } => self.undelivered(to, why, *lost),
            What::DeliveredAgain { to, since } => self.delivered_again(to, *since),
        }
    }
}

impl Message {
    /// Returns the headline with the host, for the subject of a mail, say.
    pub fn title(&self) -> String {
        format!("[{}] {}", self.server, self.headline)
    }

    /// Returns the first line of the text.
    pub(crate) fn first_line(&self) -> String {
        format!("{} {} · {}", self.icon, self.server, self.headline)
    }

    /// Returns all lines but the first, the time as the last.
    pub(crate) fn more_lines(&self) -> impl Iterator<Item = &str> {
        let time = Some(self.time.as_str());
        self.lines.iter().map(String::as_str).chain(time)
    }

    /// Returns the message as plain text.
    pub fn text(&self) -> String {
        let first = self.first_line();
        let lines: Vec<_> = std::iter::once(&*first).chain(self.more_lines()).collect();
        lines.join("\n")
    }
}
