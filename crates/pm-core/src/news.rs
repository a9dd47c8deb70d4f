//! What is to be told, from the event to those who hear of it.
//!
//! - What has one cause is told once: who is open again because his period ended is told of in one
//!   message, and a channel gets it that wants either. What the calendar does to many at once is
//!   one message, too; each channel's names only those of whom it hears.
//! - A report is due at instants of the configured zone. After a time in which no tick ran, one is
//!   due, however many were missed.
//! - A clock that was far ahead, and is put right, holds up no report.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calendar::Timestamp;
use crate::config::{Channel, ChannelName, Config, EventKind};
use crate::event::Event;
use crate::ledger::State;
use crate::notice::{Destination, Ended, Notice, What};
use crate::tick::Now;

/// The longest that lies between two reports, and a little more.
const LONGEST_WAIT: Duration = Duration::from_secs(25 * 60 * 60);

/// Something to be told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Something that happened, for all channels that want to hear of it.
    Notice(Notice),
    /// A summary of all services, for one channel.
    Report {
        /// Which.
        channel: ChannelName,
        /// When it was due.
        due: Timestamp,
    },
}

impl News {
    /// Returns when it happened, or was due.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Notice(notice) => notice.time,
            Self::Report { due, .. } => *due,
        }
    }

    /// Whether both tell of the same, though in other words.
    pub fn is_same(&self, other: &Self) -> bool {
        let (Self::Notice(one), Self::Notice(another)) = (self, other) else {
            return self == other;
        };
        let about = |notice: &Notice| (notice.time, notice.what.kind(), notice.what.holders());
        match one.what.holders().is_empty() {
            true => one == another,
            false => about(one) == about(another),
        }
    }

    /// Returns the channels that hear of it, by name.
    pub fn channels<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a ChannelName> {
        let enabled = config.notify.channels.iter().filter(|(_, it)| it.enabled);
        enabled
            .map(|(name, _)| name)
            .filter(move |name| self.is_for(name, config))
    }

    /// Whether a channel that is enabled hears of it.
    pub fn is_for(&self, name: &ChannelName, config: &Config) -> bool {
        match self {
            Self::Report { channel, .. } => channel == name,
            Self::Notice(notice) => notice.what.is_for(name, config),
        }
    }

    /// Whether both are told in one message.
    fn is_told_with(&self, other: &Self) -> bool {
        let (Self::Notice(one), Self::Notice(other)) = (self, other) else {
            return false;
        };
        one.time == other.time && one.what.is_alike(&other.what)
    }
}

/// Returns what is said in one message each, in order, with the number of the first of it.
///
/// The same numbers make the same messages, as long as all of one instant is among them.
pub fn messages(news: &[(i64, News)]) -> Vec<(i64, Vec<&News>)> {
    let mut messages: Vec<(i64, Vec<&News>)> = Vec::new();
    for (number, one) in news {
        let with = |said: &&mut (i64, Vec<&News>)| {
            said.1.first().is_some_and(|first| one.is_told_with(first))
        };
        match messages.iter_mut().rev().find(with) {
            Some((_, said)) => said.push(one),
            None => messages.push((*number, vec![one])),
        }
    }
    messages
}

impl Notice {
    /// Returns it without those whom a channel does not hear of.
    #[must_use]
    pub fn seen_by(&self, channel: &Channel, config: &Config) -> Self {
        let mut seen = self.clone();
        match &mut seen.what {
            What::Done { whom, .. } => whom.retain(|it| channel.concerns(&it.holder, config)),
            What::Healed { services, .. } => {
                services.retain(|&ports| channel.concerns(&ports.into(), config));
            }
            _ => {}
        }
        seen
    }
}

impl What {
    /// Whether a channel of that name wants to hear of it.
    fn is_for(&self, name: &ChannelName, config: &Config) -> bool {
        let Some(channel) = config.notify.channels.get(name) else {
            return false;
        };
        if let Self::Delivery { to, .. } | Self::DeliveredAgain { to, .. } = self
            && *to == Destination::Channel(name.clone())
        {
            return false;
        }
        let holders = self.holders();
        self.kinds().iter().any(|&kind| channel.wants(kind))
            && (holders.is_empty() || holders.iter().any(|it| channel.concerns(it, config)))
    }

    /// Returns the kinds of event that it is: whoever wants one of them hears of it.
    fn kinds(&self) -> Vec<EventKind> {
        let beside = match self {
            // All of a quota is a part of it, too.
            Self::Blocked { .. } => Some(EventKind::Quota),
            Self::Reset(Ended { reopened: true, .. }) => Some(EventKind::Unblocked),
            _ => None,
        };
        [self.kind()].into_iter().chain(beside).collect()
    }
}

/// Whether anybody is told anything.
pub fn is_anybody_told(config: &Config) -> bool {
    config.notify.channels.values().any(|it| it.enabled)
}

/// Returns what is told of events, in order.
///
/// `config` and `state` are those after the step in which they happened.
pub fn of_events(events: &[Event], config: &Config, state: &State, time: Timestamp) -> Vec<News> {
    let mut told: Vec<What> = Vec::new();
    for what in events
        .iter()
        .filter_map(|event| What::of(event, config, state))
    {
        if let What::Unblocked { whom } = &what {
            let ended = told.iter_mut().find_map(|it| match it {
                What::Reset(ended) if ended.whom == *whom => Some(&mut ended.reopened),
                _ => None,
            });
            if let Some(reopened) = ended {
                *reopened = true;
                continue;
            }
        }
        told.push(what);
    }
    let news = told.into_iter();
    news.map(|what| News::Notice(Notice { time, what }))
        .collect()
}

/// Adds to `state`, as it is after a step, what is to be told of the step's events, and the
/// reports that are due.
pub(crate) fn gather(config: &Config, state: &mut State, events: &[Event], now: Now<'_>) {
    if is_anybody_told(config) {
        let news = of_events(events, config, state, now.time);
        state.news.extend(news);
    }
    if now.date().is_some() {
        report(config, state, now);
    }
}

fn report(config: &Config, state: &mut State, now: Now<'_>) {
    let State { news, reports, .. } = state;
    let channels = &config.notify.channels;
    reports.retain(|name, _| {
        let channel = channels.get(name).filter(|it| it.enabled);
        channel.is_some_and(|it| it.report.is_some())
    });
    for (name, channel) in channels.iter().filter(|(_, it)| it.enabled) {
        let Some(schedule) = &channel.report else {
            continue;
        };
        let due = schedule.last_due(now.time, now.zone);
        match reports.get(name) {
            Some(&last) if last < due => news.push(News::Report {
                channel: name.clone(),
                due,
            }),
            // It is on its way, as long as that was no slip of the clock.
            Some(last) if last.unix() - now.time.unix() < LONGEST_WAIT.as_secs().cast_signed() => {
                continue;
            }
            // The first one of a new channel is the next.
            _ => {}
        }
        reports.insert(name.clone(), due);
    }
}
