//! What the delivering side takes out, and what it notes of it.

use std::time::Duration;

use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{LONGEST_AHEAD, OutboxDb, OutboxError, name, one_line};

/// What is counted at most of the time in which a channel is tried in vain, in seconds.
const LONGEST_TRIED: i64 = 1_000_000_000;

/// A message that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// When it happened.
    pub time: Timestamp,
    /// What is sent.
    pub body: String,
}

/// An attempt to send something.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Where to.
    pub channel: &'a ChannelName,
    /// By which settings. What becomes of it says nothing of others.
    pub settings: &'a str,
    /// Which messages.
    pub ids: &'a [i64],
    /// Of how many given up messages it tells.
    pub lost: u64,
}

/// Where something is sent, and how that went so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sending {
    /// What it takes to send there.
    pub settings: String,
    /// How often in a row it failed.
    pub attempts: u32,
    /// When it is tried again; in the past: now.
    pub next_try: i64,
    /// Where it has moved to, by its server.
    pub moved_to: Option<String>,
    /// How many messages were given up, which is not told yet.
    pub lost: u64,
}

impl OutboxDb {
    /// Returns the channels' names.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn channels(&self) -> Result<Vec<ChannelName>, OutboxError> {
        self.read(|connection| {
            let mut select =
                connection.prepare("SELECT name FROM channel ORDER BY name LIMIT 1000")?;
            let names = select.query_map([], |row| name(row, 0))?;
            names.collect()
        })
    }

    /// Returns how a channel is sent to; `None`: it is gone.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn sending(&self, channel: &ChannelName) -> Result<Option<Sending>, OutboxError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT settings, attempts, next_try, moved_to, lost FROM channel WHERE name = ?1",
            )?;
            let sending = select.query_row([channel.as_str()], |row| {
                Ok(Sending {
                    settings: row.get(0)?,
                    attempts: row.get(1)?,
                    next_try: row.get(2)?,
                    moved_to: row.get(3)?,
                    lost: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                })
            });
            sending.optional()
        })
    }

    /// Returns a channel's messages that wait, in order, at most so many.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn waiting(&self, channel: &ChannelName, most: u32) -> Result<Vec<Waiting>, OutboxError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, time, body FROM message WHERE channel = ?1 AND state = 0
                 ORDER BY id LIMIT ?2",
            )?;
            let messages = select.query_map(params![channel.as_str(), most], |row| {
                Ok(Waiting {
                    id: row.get(0)?,
                    time: Timestamp::from_unix(row.get(1)?),
                    body: row.get(2)?,
                })
            })?;
            messages.collect()
        })
    }

    /// Has a channel tried again now that was to wait after a failure; returns whether there is one.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn hurry(&mut self, channel: &ChannelName) -> Result<bool, OutboxError> {
        self.write(|transaction| {
            let sql = "UPDATE channel SET next_try = 0 WHERE name = ?1 AND attempts > 0";
            Ok(transaction.execute(sql, [channel.as_str()])? > 0)
        })
    }

    /// Notes an attempt before it is made, and when the next one is due if nobody notes what became
    /// of this one. Returns whether it is to be made: not where the settings are others by now.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted, and nothing must be sent: what became of it could not be noted either,
    /// and it would be sent again and again.
    pub fn begin(
        &mut self,
        attempt: Attempt<'_>,
        next_try: Timestamp,
    ) -> Result<bool, OutboxError> {
        self.write(|transaction| {
            let mut update = transaction.prepare_cached(
                "UPDATE channel SET attempts = attempts + 1, next_try = ?3
                 WHERE name = ?1 AND settings = ?2",
            )?;
            let row = params![attempt.channel.as_str(), attempt.settings, next_try.unix()];
            if update.execute(row)? == 0 {
                return Ok(false);
            }
            let mut update = transaction
                .prepare_cached("UPDATE message SET attempts = attempts + 1 WHERE id = ?1")?;
            for id in attempt.ids {
                update.execute([id])?;
            }
            Ok(true)
        })
    }

    /// Notes that what was sent was delivered, and that its channel works.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_delivered(
        &mut self,
        attempt: Attempt<'_>,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.write(|transaction| {
            done(transaction, attempt.ids, DELIVERED, answer, now)?;
            let mut update = transaction.prepare_cached(
                "UPDATE channel SET attempts = 0, next_try = 0, failing_since = NULL, failed = NULL,
                     tried_for = 0, error = NULL, delivered = ?3, lost = max(lost - ?4, 0)
                 WHERE name = ?1 AND settings = ?2",
            )?;
            update
                .execute(params![
                    attempt.channel.as_str(),
                    attempt.settings,
                    now.unix(),
                    i64::try_from(attempt.lost).unwrap_or(i64::MAX),
                ])
                .map(drop)
        })
    }

    /// Notes that its server will not have what was sent, whatever the channel: it is given up, and
    /// the next is sent at once. By other settings it is tried again.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_refused(
        &mut self,
        attempt: Attempt<'_>,
        error: &str,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.write(|transaction| {
            let known = transaction.execute(
                "UPDATE channel SET attempts = 0, next_try = 0, failing_since = NULL, failed = NULL,
                     tried_for = 0, error = NULL
                 WHERE name = ?1 AND settings = ?2",
                params![attempt.channel.as_str(), attempt.settings],
            )?;
            if known == 0 {
                return Ok(());
            }
            let lost = done(transaction, attempt.ids, GIVEN_UP, error, now)?;
            lose(transaction, attempt.channel, lost)
        })
    }

    /// Notes that a channel does not get through, why, and when it is tried again. It fails since
    /// the first such note, or since now where that is of a clock that was ahead. Returns for how long
    /// it is tried in vain: time in which nobody tried, or a clock jumped, does not count.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_failed(
        &mut self,
        attempt: Attempt<'_>,
        error: &str,
        next_try: Timestamp,
        now: Timestamp,
    ) -> Result<Duration, OutboxError> {
        self.write(|transaction| {
            let mut update =
                transaction.prepare_cached("UPDATE message SET answer = ?2 WHERE id = ?1")?;
            for id in attempt.ids {
                update.execute(params![id, one_line(error)])?;
            }
            let mut update = transaction.prepare_cached(
                "UPDATE channel SET next_try = ?3, error = ?4, failed = ?5,
                     failing_since = min(coalesce(failing_since, ?5), ?5),
                     tried_for = min(max(tried_for, 0), ?7)
                         + min(max(?5 - coalesce(failed, ?5), 0), ?6)
                 WHERE name = ?1 AND settings = ?2 RETURNING tried_for",
            )?;
            let row = params![
                attempt.channel.as_str(),
                attempt.settings,
                next_try.unix(),
                one_line(error),
                now.unix(),
                LONGEST_AHEAD,
                LONGEST_TRIED,
            ];
            let tried_for: Option<i64> = update.query_row(row, |row| row.get(0)).optional()?;
            let seconds = u64::try_from(tried_for.unwrap_or(0)).unwrap_or(0);
            Ok(Duration::from_secs(seconds))
        })
    }

    /// Notes that a channel's chat has become another.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_moved(&mut self, attempt: Attempt<'_>, chat: &str) -> Result<(), OutboxError> {
        self.write(|transaction| {
            let mut update = transaction.prepare_cached(
                "UPDATE channel SET moved_to = ?3, attempts = 0, next_try = 0
                 WHERE name = ?1 AND settings = ?2",
            )?;
            let row = params![attempt.channel.as_str(), attempt.settings, chat];
            update.execute(row).map(drop)
        })
    }

    /// Gives up a channel's messages of before `since`; returns how many.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn give_up(
        &mut self,
        channel: &ChannelName,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<usize, OutboxError> {
        self.write(|transaction| {
            let lost = transaction.execute(
                "UPDATE message SET state = ?4, done = ?3
                 WHERE channel = ?1 AND state = 0 AND time < ?2",
                params![channel.as_str(), since.unix(), now.unix(), GIVEN_UP],
            )?;
            lose(transaction, channel, lost)?;
            Ok(lost)
        })
    }

    /// Returns the last messages, the newest first: number, time, channel, state, what its server
    /// said, and the text.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn recent(&self, most: u32) -> Result<Vec<Sent>, OutboxError> {
        self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT time, channel, state, attempts, done, answer, body FROM message
                 ORDER BY id DESC LIMIT ?1",
            )?;
            let sent = select.query_map([most], |row| {
                Ok(Sent {
                    time: Timestamp::from_unix(row.get(0)?),
                    channel: name(row, 1)?,
                    fate: match row.get::<_, i64>(2)? {
                        0 => Fate::Waiting,
                        1 => Fate::Delivered,
                        _ => Fate::GivenUp,
                    },
                    attempts: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                    done: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_unix),
                    answer: super::shown(row, 5)?,
                    body: row.get(6)?,
                })
            })?;
            sent.collect()
        })
    }
}

/// `message.state` of what its server took.
const DELIVERED: i64 = 1;

/// `message.state` of what is not sent any more.
const GIVEN_UP: i64 = 2;

/// Notes that messages wait no longer; returns how many did. One that was never begun is another,
/// with the number of one that is gone.
fn done(
    transaction: &Transaction<'_>,
    ids: &[i64],
    state: i64,
    answer: &str,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let mut update = transaction.prepare_cached(
        "UPDATE message SET state = ?2, done = ?3, answer = ?4
         WHERE id = ?1 AND state = 0 AND attempts > 0",
    )?;
    let mut count = 0;
    for id in ids {
        count += update.execute(params![id, state, now.unix(), one_line(answer)])?;
    }
    Ok(count)
}

/// Counts messages that were given up.
fn lose(transaction: &Transaction<'_>, channel: &ChannelName, lost: usize) -> rusqlite::Result<()> {
    let lost = i64::try_from(lost).unwrap_or(i64::MAX);
    let sql = "UPDATE channel SET lost = lost + ?2 WHERE name = ?1";
    transaction
        .execute(sql, params![channel.as_str(), lost])
        .map(drop)
}

/// A message of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// When it happened.
    pub time: Timestamp,
    /// Where it goes.
    pub channel: ChannelName,
    /// What became of it.
    pub fate: Fate,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was delivered, or given up.
    pub done: Option<Timestamp>,
    /// What the server said last.
    pub answer: Option<String>,
    /// What was sent.
    pub body: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It waits.
    Waiting,
    /// The server took it.
    Delivered,
    /// It was too old, too many, or nothing that its server takes.
    GivenUp,
}
