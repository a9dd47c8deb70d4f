//! From what happened to what is sent: the tick's part.
//!
//! Whoever delivers owns the outbox and talks to the internet; the tick opens it with his rights,
//! and puts in what he needs and no more. Accounting is done and saved before: nothing that is in
//! the outbox, or happens to it, can change that.

mod keep;
mod owner;
mod trouble;
mod wake;

use std::path::Path;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Channel, ChannelName, Config, Via};
use pm_core::config::{QuietHours, ZoneName};
use pm_core::language::Language;
use pm_core::ledger::State;
use pm_core::news::{News, messages as messages_of};
use pm_core::notice::{Gone, Notice, What};
use pm_core::report::{group_reports, reports};
use pm_notify::compose::{Voice, summary};
use pm_store::Paths;
use pm_store::news::{Copied, WaitingNews};
use pm_store::outbox_db::{
    self, Batch, MOST_BODY, NewMessage, NewPush, OutboxDb, OutboxError, Standing,
};
use pm_store::state_db::StateDb;
use serde::{Deserialize, Serialize};

pub(crate) use keep::{is_collected, is_kept, is_quiet};
pub(crate) use owner::{Owner, become_owner};
pub(crate) use trouble::TROUBLE_AFTER;
pub(crate) use wake::{answer, is_woken, start};

use crate::voice::spoken;
use crate::{EngineError, clock};

/// How much is copied in one tick: what is more waits for the next.
const MOST_NEWS: u32 = 500;

/// How many messages one tick copies at most, where every channel hears of all.
const MOST_MESSAGES: u32 = 1_500;

/// After how long what could not be copied is given up, in seconds: as long as for what could not be
/// delivered.
const EXPIRY_SECONDS: i64 = 24 * 60 * 60;

/// What it takes to send to a channel.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sender {
    pub(crate) via: Via,
    pub(crate) language: Language,
    /// What the host is called.
    pub(crate) server: String,
    pub(crate) quiet: Option<QuietHours>,
    /// The zone of that; `None`: the system's.
    pub(crate) zone: Option<ZoneName>,
}

/// Copies what is to be told into the outbox, notes what became of what was copied before, and has
/// it sent where something is due. Without channels and push, there is no outbox. `interface` is the
/// one that a push names.
///
/// # Errors
///
/// Any; what is to be told waits, and the next tick tries again.
pub(crate) fn post(
    paths: &Paths,
    db: &mut StateDb,
    config: &Config,
    state: &State,
    interface: &str,
    now: Timestamp,
) -> Result<(), EngineError> {
    let directory = paths.outbox_dir();
    let has_channels = config.notify.channels.values().any(|it| it.enabled);
    let push = config.push.as_ref().filter(|push| push.enabled);
    if !has_channels && push.is_none() {
        return forget(&directory, db);
    }
    let mut waiting = db.waiting_news(most_news(config))?;
    let outdated = leave_out_old(&mut waiting.news, now);
    let zone = clock::zone(config);
    let told = Told {
        config,
        state,
        zone: &zone,
        host: host_name(),
        now,
    };
    let mut batch = told.batch(&waiting.news);
    let mut too_long = None;
    if let Some(push) = push {
        let (services, groups) = (reports(config, state), group_reports(config, state));
        let body = pm_notify::push::body(push, interface, &services, &groups);
        match body.len() <= MOST_BODY {
            true => {
                batch.push = Some(NewPush {
                    settings: json(push),
                    body,
                    made: now,
                });
            }
            false => too_long = Some(EngineError::PushTooLong { bytes: body.len() }),
        }
    }
    let owner = Owner::of(&directory)?;
    let Exchanged { standing, damage } = owner.act(|| {
        outbox_db::forget_aside(&directory, now);
        exchange(&directory, &batch)
    })?;
    let (standing, damage) = match (standing, damage) {
        (Ok(standing), damage) => (standing, damage),
        (Err(error), None) => return Err(error.into()),
        (Err(_), Some(damage)) => {
            // It is told of, though there is no other outbox yet; why not says the next tick.
            db.note_copied(&Copied {
                news: vec![told_of(lost_outbox(), now)],
                ..Copied::default()
            })?;
            return Err(EngineError::OutboxLost(damage));
        }
    };
    let mut copied = noted(db, config, &standing, damage.is_some(), &waiting, now)?;
    let outdated = (outdated > 0).then(|| gone(Gone::Outdated { count: outdated }));
    copied.news.extend(outdated.map(|what| told_of(what, now)));
    db.note_copied(&copied)?;
    if keep::is_due(&standing, config, now, &zone) {
        start(&directory, owner)?;
    }
    match (damage, too_long) {
        (Some(damage), _) => Err(EngineError::OutboxLost(damage)),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(()),
    }
}

/// Returns how much of what waits is copied in one tick.
fn most_news(config: &Config) -> u32 {
    let channels = config.notify.channels.values().filter(|it| it.enabled);
    let each = MOST_MESSAGES / u32::try_from(channels.count()).unwrap_or(u32::MAX).max(1);
    each.clamp(1, MOST_NEWS)
}

/// Leaves out what could not be copied for so long that it is given up; returns how much that is.
fn leave_out_old(news: &mut Vec<(i64, News)>, now: Timestamp) -> u64 {
    let all = news.len();
    let is_new = |time: Timestamp| now.unix().saturating_sub(time.unix()) < EXPIRY_SECONDS;
    news.retain(|(_, one)| is_new(one.time()));
    u64::try_from(all - news.len()).unwrap_or(u64::MAX)
}

/// What came of putting a batch in.
struct Exchanged {
    standing: Result<Standing, OutboxError>,
    /// What was damaged, and is put aside now: what waited in it is lost.
    damage: Option<OutboxError>,
}

/// Puts a batch into the outbox. Where that is damaged, it is put aside, and the batch into another.
fn exchange(directory: &Path, batch: &Batch) -> Exchanged {
    let put = || OutboxDb::open(directory).and_then(|mut outbox| outbox.exchange(batch));
    match put() {
        Err(damage @ OutboxError::Damaged { .. }) => match outbox_db::set_aside(directory) {
            Ok(()) => Exchanged {
                standing: put(),
                damage: Some(damage),
            },
            Err(error) => Exchanged {
                standing: Err(error),
                damage: None,
            },
        },
        standing => Exchanged {
            standing,
            damage: None,
        },
    }
}

/// Removes the outbox, with the secrets in it, where nothing is sent any more.
fn forget(directory: &Path, db: &mut StateDb) -> Result<(), EngineError> {
    let is_there = outbox_db::is_there(directory);
    if is_there || db.has_news()? {
        // It is no news any more when there is somebody to be told again.
        db.note_copied(&Copied {
            up_to: Some(i64::MAX),
            ..Copied::default()
        })?;
    }
    // Looked at by name only: most ticks of most hosts have nothing to do here.
    if !is_there {
        return Ok(());
    }
    let owner = Owner::of(directory)?;
    // What cannot be removed is tried again at the next tick.
    owner.act(|| outbox_db::remove_all(directory))
}

/// Returns what is noted of a copy: what is done with, and what is told of the copying itself.
fn noted(
    db: &StateDb,
    config: &Config,
    standing: &Standing,
    is_damaged: bool,
    waiting: &WaitingNews,
    now: Timestamp,
) -> Result<Copied, EngineError> {
    let told = db.told_troubles()?;
    let (troubles, mut whats) = trouble::told_of(&told, standing, config, now);
    whats.extend(is_damaged.then(lost_outbox));
    let count = waiting.unreadable;
    whats.extend((count > 0).then(|| gone(Gone::Messages { count })));
    Ok(Copied {
        up_to: waiting.up_to,
        troubles: (troubles != told).then_some(troubles),
        news: whats.into_iter().map(|what| told_of(what, now)).collect(),
    })
}

fn lost_outbox() -> What {
    gone(Gone::Outbox)
}

fn gone(gone: Gone) -> What {
    What::Healed {
        gone,
        services: Vec::new(),
        since: None,
    }
}

fn told_of(what: What, now: Timestamp) -> News {
    News::Notice(Notice { time: now, what })
}

/// What is said, and how.
struct Told<'a> {
    config: &'a Config,
    state: &'a State,
    zone: &'a Zone,
    host: String,
    now: Timestamp,
}

impl Told<'_> {
    /// Returns what is put in.
    fn batch(&self, waiting: &[(i64, News)]) -> Batch {
        let enabled = || {
            self.config
                .notify
                .channels
                .iter()
                .filter(|(_, it)| it.enabled)
        };
        let channels = enabled().map(|(name, channel)| (name.clone(), json(&self.sender(channel))));
        let mut messages = Vec::new();
        for (event, news) in messages_of(waiting) {
            for (name, channel) in enabled() {
                let hears = |it: &&&News| it.is_for(name, self.config);
                let heard: Vec<_> = news.iter().filter(hears).copied().collect();
                messages.extend(self.messages(event, &heard, name, channel));
            }
        }
        Batch {
            channels: channels.collect(),
            messages,
            push: None,
        }
    }

    fn sender(&self, channel: &Channel) -> Sender {
        Sender {
            via: channel.via.clone(),
            language: self.language(channel),
            server: self.server(channel).to_owned(),
            quiet: channel.quiet,
            zone: self.config.time_zone.clone(),
        }
    }

    fn language(&self, channel: &Channel) -> Language {
        spoken(self.config, channel)
    }

    fn server<'a>(&'a self, channel: &'a Channel) -> &'a str {
        pm_notify::server_name(channel, &self.config.notify, &self.host)
    }

    fn messages(
        &self,
        event: i64,
        news: &[&News],
        name: &ChannelName,
        channel: &Channel,
    ) -> Vec<NewMessage> {
        let Some(first) = news.first() else {
            return Vec::new();
        };
        let voice = Voice {
            language: self.language(channel),
            server: self.server(channel),
            zone: self.zone,
        };
        let notices = news.iter().filter_map(|it| match it {
            News::Notice(notice) => Some(notice.seen_by(channel, self.config)),
            News::Report { .. } => None,
        });
        let notices: Vec<_> = notices.collect();
        let is_report = notices.is_empty();
        let message = match &notices[..] {
            [first, others @ ..] => voice.notices(first, &others.iter().collect::<Vec<_>>()),
            [] => {
                let concerns = |holder| channel.concerns(&holder, self.config);
                let mut services = reports(self.config, self.state);
                services.retain(|it| concerns(it.ports.into()));
                let mut groups = group_reports(self.config, self.state);
                groups.retain(|it| concerns(it.name.clone().into()));
                summary(voice, &services, &groups, self.now)
            }
        };
        let parts = pm_notify::parts(&channel.via, &message);
        let numbered = (0u32..).zip(parts);
        let message = |(part, body): (u32, pm_notify::Part)| NewMessage {
            event,
            time: first.time(),
            channel: name.clone(),
            part,
            is_report,
            body: json(&body),
        };
        numbered.map(message).collect()
    }
}

/// Returns what the host is called by itself.
pub(crate) fn host_name() -> String {
    let name = nix::unistd::gethostname();
    let name = name.map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_copies_no_more_messages_however_many_channels_hear_of_it() {
        for (channels, news) in [(1, 500), (3, 500), (40, 37), (2_000, 1)] {
            let channels: Vec<_> = (0..channels)
                .map(|number| {
                    format!(r#""c{number}": {{"via": {{"wecom": {{"url": "https://q/x"}}}}}}"#)
                })
                .collect();
            let channels = channels.join(",");
            let config = format!(r#"{{"schema": 1, "notify": {{"channels": {{{channels}}}}}}}"#);
            assert_eq!(most_news(&Config::parse(&config).unwrap()), news);
        }
        assert_eq!(most_news(&Config::default()), MOST_NEWS);
    }
}
