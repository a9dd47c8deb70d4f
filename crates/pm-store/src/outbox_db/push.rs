//! The newest state, and what its receiver has of it.

use pm_core::calendar::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{NewPush, OutboxDb, OutboxError, Sending, Waiting, one_line};

impl OutboxDb {
    /// Returns how the state is pushed, with the newest one and as of when it is; `None`: there is
    /// nothing that the receiver does not have.
    ///
    /// # Errors
    ///
    /// Any.
    pub fn waiting_push(&self) -> Result<Option<(Sending, Waiting)>, OutboxError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT settings, attempts, next_try, body, made FROM push
                 WHERE sent IS NULL OR sent != made",
            )?;
            let push = select.query_row([], |row| {
                let sending = Sending {
                    settings: row.get(0)?,
                    attempts: row.get(1)?,
                    next_try: row.get(2)?,
                    ..Sending::default()
                };
                let waiting = Waiting {
                    id: 0,
                    time: Timestamp::from_unix(row.get(4)?),
                    body: row.get(3)?,
                };
                Ok((sending, waiting))
            });
            push.optional()
        })
    }

    /// Notes a push before it is made, as [`begin`](Self::begin) does for messages.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted, and nothing must be sent.
    pub fn begin_push(&mut self, settings: &str, next_try: Timestamp) -> Result<bool, OutboxError> {
        self.write(|transaction| {
            let begun = transaction.execute(
                "UPDATE push SET attempts = attempts + 1, next_try = ?2 WHERE settings = ?1",
                params![settings, next_try.unix()],
            )?;
            Ok(begun > 0)
        })
    }

    /// Notes what became of pushing the state as of `made` by these settings: `Ok`, or why not and
    /// when it is tried again. Where the settings are others by now, that says nothing of them.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_pushed(
        &mut self,
        settings: &str,
        made: Timestamp,
        outcome: Result<(), (&str, Timestamp)>,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.write(|transaction| match outcome {
            Ok(()) => transaction
                .execute(
                    "UPDATE push SET sent = ?2, attempts = 0, next_try = 0, failing_since = NULL,
                         error = NULL
                     WHERE settings = ?1",
                    params![settings, made.unix()],
                )
                .map(drop),
            Err((error, next_try)) => transaction
                .execute(
                    "UPDATE push SET next_try = ?2, error = ?3,
                         failing_since = min(coalesce(failing_since, ?4), ?4)
                     WHERE settings = ?1",
                    params![settings, next_try.unix(), one_line(error), now.unix()],
                )
                .map(drop),
        })
    }

    /// Notes a state that the receiver took by these settings outside of the order, instead of the
    /// one that waits.
    ///
    /// # Errors
    ///
    /// Any; nothing is noted.
    pub fn note_pushed_at_once(&mut self, push: &NewPush) -> Result<(), OutboxError> {
        self.write(|transaction| {
            let mut update = transaction.prepare(
                "UPDATE push SET body = ?2, made = ?3, sent = ?3, attempts = 0, next_try = 0,
                     failing_since = NULL, error = NULL
                 WHERE settings = ?1",
            )?;
            update
                .execute(params![push.settings, push.body, push.made.unix()])
                .map(drop)
        })
    }
}
