//! What is to be told, as it waits in `state.db`.
//!
//! It is saved with what it tells of, in one transaction. Whoever copies it to where it is sent
//! from has it forgotten here afterwards; who dies in between copies it once more, by the same
//! numbers.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use pm_core::news::News;
use pm_core::notice::Destination;
use rusqlite::TransactionBehavior;

use crate::action::Action;
use crate::error::StoreError;
use crate::rows;
use crate::state_db::StateDb;

/// What waits to be copied.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WaitingNews {
    /// What is to be told, each with its number, ascending.
    pub news: Vec<(i64, News)>,
    /// The highest number that was looked at; `None`: nothing waits.
    pub up_to: Option<i64>,
    /// How much of it this version cannot read.
    pub unreadable: u64,
}

/// What a copy left behind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// The highest number that was copied; `None`: nothing was.
    pub up_to: Option<i64>,
    /// Whose trouble is told of, and since when they have it, if others than before.
    pub troubles: Option<BTreeMap<Destination, Timestamp>>,
    /// What is to be told of the copying itself.
    pub news: Vec<News>,
}

impl StateDb {
    /// Returns what waits, at most so many.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn waiting_news(&self, most: u32) -> Result<WaitingNews, StoreError> {
        self.read(Action::Load, |connection| {
            rows::news::waiting(connection, most)
        })
    }

    /// Whether anything waits.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn has_news(&self) -> Result<bool, StoreError> {
        self.read(Action::Load, rows::news::is_waiting)
    }

    /// Returns whose trouble is told of, and since when they have it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn told_troubles(&self) -> Result<BTreeMap<Destination, Timestamp>, StoreError> {
        self.read(Action::Load, rows::news::troubles)
    }

    /// Forgets what was copied, and notes what else came of it. Writes nothing where nothing did.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save); nothing is noted then.
    pub fn note_copied(&mut self, copied: &Copied) -> Result<(), StoreError> {
        if *copied == Copied::default() {
            return Ok(());
        }
        self.write(|transaction| {
            if let Some(up_to) = copied.up_to {
                rows::news::forget(transaction, up_to)?;
            }
            if let Some(troubles) = &copied.troubles {
                rows::news::save_troubles(transaction, troubles)?;
            }
            rows::news::add(transaction, &copied.news)
        })
    }

    fn write(
        &mut self,
        write: impl Fn(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let (connection, path) = self.parts();
        let failed = |error| StoreError::sqlite(Action::Save, path, &error);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        write(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}
