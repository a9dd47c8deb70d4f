//! What the tick puts in, and what it is told in return.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use pm_core::config::ChannelName;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{LONGEST_AHEAD, MOST_BODY, OutboxDb, OutboxError, bound, name, shown};

/// How much is put in before it is looked at whether that is too much, in bytes.
const UNCHECKED_BYTES: usize = 1 << 20;

/// What the tick puts in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    /// All channels that are sent to, with what it takes to do so. Others are forgotten, with
    /// what waits for them.
    pub channels: BTreeMap<ChannelName, String>,
    /// Messages, in order.
    pub messages: Vec<NewMessage>,
    /// What is pushed; `None`: nothing.
    pub push: Option<NewPush>,
}

/// A message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewMessage {
    /// The event's number.
    pub event: i64,
    /// When it happened.
    pub time: Timestamp,
    /// Where it goes.
    pub channel: ChannelName,
    /// Which part of the event's message it is, from 0.
    pub part: u32,
    /// Whether it is a report, in whose place a newer one goes as long as it waits.
    pub is_report: bool,
    /// What is sent.
    pub body: String,
}

/// What is pushed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewPush {
    /// Where to, and how.
    pub settings: String,
    /// What.
    pub body: String,
    /// As of when.
    pub made: Timestamp,
}

/// What became of what was put in. The delivering side says so: it may be wrong, but no secret
/// and no line break is in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Each channel.
    pub channels: BTreeMap<ChannelName, ChannelStanding>,
    /// The push; `None`: there is none.
    pub push: Option<PushStanding>,
}

/// How a channel stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelStanding {
    /// How many messages wait.
    pub waiting: u64,
    /// When the first of them happened.
    pub oldest: Option<Timestamp>,
    /// When the next attempt is due, where one failed.
    pub next_try: Option<Timestamp>,
    /// Since when nothing gets through; `None`: all is well.
    pub failing_since: Option<Timestamp>,
    /// Why not.
    pub error: Option<String>,
    /// How many messages were given up, which is not told yet.
    pub lost: u64,
    /// When something was delivered last.
    pub delivered: Option<Timestamp>,
}

/// How the push stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PushStanding {
    /// As of when the newest state is.
    pub made: Option<Timestamp>,
    /// As of when the state is that the receiver took last.
    pub sent: Option<Timestamp>,
    /// When the next attempt is due, where one failed.
    pub next_try: Option<Timestamp>,
    /// Since when it does not get through; `None`: all is well.
    pub failing_since: Option<Timestamp>,
    /// Why not.
    pub error: Option<String>,
}

impl Standing {
    /// Whether there is something to send at `now` or within `soon` seconds of it. What waits for a
    /// channel that `is_kept` is not.
    pub fn is_due(
        &self,
        now: Timestamp,
        soon: i64,
        is_kept: impl Fn(&ChannelName, &ChannelStanding) -> bool,
    ) -> bool {
        // The delivering side may have written any number, and its clock may have been ahead.
        let is_near = |at: Option<Timestamp>| {
            let ahead = at.map_or(0, |at| at.unix().saturating_sub(now.unix()));
            ahead <= soon || ahead > LONGEST_AHEAD
        };
        let mut channels = self.channels.iter();
        let is_there = |it: &ChannelStanding| it.waiting > 0 || it.lost > 0;
        channels.any(|(name, it)| is_there(it) && is_near(it.next_try) && !is_kept(name, it))
            || self
                .push
                .as_ref()
                .is_some_and(|push| push.sent != push.made && is_near(push.next_try))
    }
}

impl OutboxDb {
    /// Puts in what is new, and returns how all of it stands. What is there already stays as it
    /// is, whatever became of it. A message longer than [`MOST_BODY`] is lost; a push must not be.
    ///
    /// # Errors
    ///
    /// Any; nothing was put in.
    pub fn exchange(&mut self, batch: &Batch) -> Result<Standing, OutboxError> {
        let known = self.read(settings)?;
        let has_push: bool = self.read(|connection| {
            connection.query_row("SELECT EXISTS (SELECT 1 FROM push)", [], |row| row.get(0))
        })?;
        let is_push_gone = batch.push.is_none() && !has_push;
        if known == batch.channels && batch.messages.is_empty() && is_push_gone {
            return self.standing();
        }
        self.write(|transaction| {
            put_channels(transaction, &known, &batch.channels)?;
            put_messages(transaction, &batch.messages)?;
            put_push(transaction, batch.push.as_ref())?;
            Ok(())
        })?;
        self.standing()
    }

    /// Returns how all of it stands.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn standing(&self) -> Result<Standing, OutboxError> {
        self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT name, (SELECT count(*) FROM message WHERE channel = name AND state = 0),
                        attempts, next_try, failing_since, error, lost, delivered,
                        (SELECT time FROM message WHERE channel = name AND state = 0
                         ORDER BY id LIMIT 1)
                 FROM channel ORDER BY name LIMIT 1000",
            )?;
            let channels = select.query_map([], |row| Ok((name(row, 0)?, channel(row)?)))?;
            let mut select = connection
                .prepare("SELECT made, sent, attempts, next_try, failing_since, error FROM push")?;
            Ok(Standing {
                channels: channels.collect::<rusqlite::Result<_>>()?,
                push: select.query_row([], push_standing).optional()?,
            })
        })
    }
}

fn settings(connection: &rusqlite::Connection) -> rusqlite::Result<BTreeMap<ChannelName, String>> {
    let mut select = connection.prepare("SELECT name, settings FROM channel LIMIT 1000")?;
    let found = select.query_map([], |row| Ok((name(row, 0)?, row.get(1)?)))?;
    found.collect()
}

fn put_channels(
    transaction: &Transaction<'_>,
    known: &BTreeMap<ChannelName, String>,
    wanted: &BTreeMap<ChannelName, String>,
) -> rusqlite::Result<()> {
    for name in known.keys().filter(|name| !wanted.contains_key(*name)) {
        transaction.execute("DELETE FROM channel WHERE name = ?1", [name.as_str()])?;
        transaction.execute("DELETE FROM message WHERE channel = ?1", [name.as_str()])?;
    }
    for (name, settings) in wanted {
        if known.get(name) == Some(settings) {
            continue;
        }
        // What failed by other settings is tried at once by these.
        transaction.execute(
            "INSERT INTO channel (name, settings, attempts, next_try, lost) VALUES (?1, ?2, 0, 0, 0)
             ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, attempts = 0,
                 next_try = 0, failed = NULL, tried_for = 0, moved_to = NULL",
            params![name.as_str(), settings],
        )?;
    }
    Ok(())
}

fn put_messages(transaction: &Transaction<'_>, messages: &[NewMessage]) -> rusqlite::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare(
        "INSERT INTO message (event, time, channel, part, report, body, state, attempts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0) ON CONFLICT DO NOTHING",
    )?;
    let mut replace = transaction.prepare(
        "DELETE FROM message WHERE channel = ?1 AND state = 0 AND report = 1
             AND (event, time) != (?2, ?3)",
    )?;
    let mut lose = transaction.prepare("UPDATE channel SET lost = lost + 1 WHERE name = ?1")?;
    let mut unchecked = 0;
    for message in messages {
        let (channel, time) = (message.channel.as_str(), message.time.unix());
        if message.is_report {
            replace.execute(params![channel, message.event, time])?;
        }
        if message.body.len() > MOST_BODY {
            lose.execute([channel])?;
            continue;
        }
        insert.execute(params![
            message.event,
            time,
            channel,
            message.part,
            message.is_report,
            message.body,
        ])?;
        unchecked += message.body.len();
        if unchecked > UNCHECKED_BYTES {
            bound::keep_within(transaction)?;
            unchecked = 0;
        }
    }
    bound::keep_within(transaction)
}

fn put_push(transaction: &Transaction<'_>, push: Option<&NewPush>) -> rusqlite::Result<()> {
    let Some(push) = push else {
        return transaction.execute("DELETE FROM push", []).map(drop);
    };
    let mut put = transaction.prepare(
        "INSERT INTO push (id, settings, body, made, attempts, next_try) VALUES (1, ?1, ?2, ?3, 0, 0)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, made = excluded.made,
             attempts = iif(settings = excluded.settings, attempts, 0),
             next_try = iif(settings = excluded.settings, next_try, 0),
             sent = iif(settings = excluded.settings, sent, NULL),
             failing_since = iif(settings = excluded.settings, failing_since, NULL),
             error = iif(settings = excluded.settings, error, NULL),
             settings = excluded.settings",
    )?;
    put.execute(params![push.settings, push.body, push.made.unix()])
        .map(drop)
}

fn channel(row: &Row<'_>) -> rusqlite::Result<ChannelStanding> {
    Ok(ChannelStanding {
        waiting: count(row, 1)?,
        oldest: instant(row, 8)?,
        next_try: next_try(row, 2)?,
        failing_since: instant(row, 4)?,
        error: shown(row, 5)?,
        lost: count(row, 6)?,
        delivered: instant(row, 7)?,
    })
}

fn push_standing(row: &Row<'_>) -> rusqlite::Result<PushStanding> {
    Ok(PushStanding {
        made: instant(row, 0)?,
        sent: instant(row, 1)?,
        next_try: next_try(row, 2)?,
        failing_since: instant(row, 4)?,
        error: shown(row, 5)?,
    })
}

/// Reads the columns `attempts, next_try`.
fn next_try(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let attempts: i64 = row.get(column)?;
    let next_try = Timestamp::from_unix(row.get(column + 1)?);
    Ok((attempts > 0).then_some(next_try))
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix))
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}
