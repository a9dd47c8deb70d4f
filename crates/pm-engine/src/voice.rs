//! Channels and push at the operator's hand: trying them, and what became of what was sent.

use std::fs;

use pm_core::backend::{Netfilter, Shaper};
use pm_core::calendar::Zone;
use pm_core::config::{Channel, ChannelName, Config, Push};
use pm_core::language::Language;
use pm_notify::Outcome;
use pm_notify::compose::Voice;
use pm_store::Paths;
use pm_store::outbox_db::{self, NewPush, OutboxDb, OutboxError, Sent, Standing};

use crate::errand::Errand;
use crate::outbox::{Owner, host_name, json, start};
use crate::{Engine, EngineError, View, clock};

/// Sends a test message to a channel, now, whatever waits for it. It takes as long as the server does.
/// Where it arrives, what waits for the channel is delivered now, too.
///
/// # Errors
///
/// `NotStarted` where who sends it could not be started.
pub fn try_channel(
    paths: &Paths,
    config: &Config,
    (name, channel): (&ChannelName, &Channel),
) -> Result<Outcome, EngineError> {
    let (now, host, zone) = (clock::now(), host_name(), clock::zone(config));
    let voice = Voice {
        language: spoken(config, channel),
        server: pm_notify::server_name(channel, &config.notify, &host),
        zone: &zone,
    };
    let mut outcome = Outcome::Delivered {
        answer: String::new(),
    };
    for part in pm_notify::parts(&channel.via, &voice.test(now)) {
        let errand = Errand::Send {
            via: channel.via.clone(),
            part,
        };
        outcome = errand.entrust(paths)?.outcome()?;
        if !matches!(outcome, Outcome::Delivered { .. }) {
            break;
        }
    }
    if let Outcome::Delivered { .. } = outcome {
        // What does not work now is done by a tick.
        let _ = hurry(paths, name);
    }
    Ok(outcome)
}

/// Has what waits for a channel delivered now, however long it was to wait after a failure.
fn hurry(paths: &Paths, name: &ChannelName) -> Result<(), EngineError> {
    let hurried = with_outbox(paths, |outbox| outbox.hurry(name))?;
    match hurried {
        Some(true) => {
            let directory = paths.outbox_dir();
            start(&directory, Owner::of(&directory)?)
        }
        _ => Ok(()),
    }
}

/// Returns the zone whose dates and hours count.
pub fn zone(config: &Config) -> Zone {
    clock::zone(config)
}

/// Returns the language of a channel's messages.
pub(crate) fn spoken(config: &Config, channel: &Channel) -> Language {
    let chosen = channel.language.or(config.language);
    chosen.unwrap_or(Language::English)
}

/// Returns how channels and push stand, as the delivering side says; `None`: nothing was ever sent.
///
/// # Errors
///
/// `NoOutbox`, also for who is neither root nor the delivering user; `Outbox`.
pub fn standing(paths: &Paths) -> Result<Option<Standing>, EngineError> {
    with_outbox(paths, |outbox| outbox.standing())
}

/// Returns the last messages, the newest first, at most so many. What stands in them was written by
/// the delivering side.
///
/// # Errors
///
/// As [`standing`].
pub fn recent(paths: &Paths, most: u32) -> Result<Vec<Sent>, EngineError> {
    let recent = with_outbox(paths, |outbox| outbox.recent(most))?;
    Ok(recent.unwrap_or_default())
}

/// Runs `act` on the outbox, with its owner's rights; `None`: there is none.
fn with_outbox<T>(
    paths: &Paths,
    act: impl FnOnce(&mut OutboxDb) -> Result<T, OutboxError>,
) -> Result<Option<T>, EngineError> {
    let directory = paths.outbox_dir();
    let owner = Owner::of(&directory)?;
    if fs::symlink_metadata(directory.join(outbox_db::FILE)).is_err() {
        return Ok(None);
    }
    let act = || OutboxDb::open_patiently(&directory).and_then(|mut outbox| act(&mut outbox));
    let found = owner.act(act)?;
    Ok(Some(found?))
}

impl<N: Netfilter, S: Shaper> Engine<N, S> {
    /// Pushes what `view` shows, now, whatever waits. It takes as long as the receiver does.
    ///
    /// # Errors
    ///
    /// `NotStarted` where who sends it could not be started.
    pub fn push_now(&mut self, push: &Push, view: &View) -> Result<Outcome, EngineError> {
        let interface = self.uplink();
        let state = NewPush {
            settings: json(push),
            body: pm_notify::push::body(push, &interface, &view.reports, &view.groups),
            made: clock::now(),
        };
        let errand = Errand::Push {
            push: push.clone(),
            body: state.body.clone(),
        };
        let outcome = errand.entrust(&self.paths)?.outcome()?;
        if let Outcome::Delivered { .. } = outcome {
            // The receiver has it. What cannot be noted is pushed once more, by the next tick.
            let _ = with_outbox(&self.paths, |outbox| outbox.note_pushed_at_once(&state));
        }
        Ok(outcome)
    }

    /// Returns the interface with the default route, the first of several; empty: there is none.
    pub(crate) fn uplink(&mut self) -> String {
        // Who cannot be told where a host's packets go is told all the rest.
        let uplinks = self.shaper.uplinks().unwrap_or_default();
        uplinks.into_iter().next().unwrap_or_default()
    }
}
