//! What was used, by day and by closed period, as far back as there is a `state.db`.
//!
//! - Every save adds what was used since the one before: to the day's total of each service, in
//!   the transaction that saves the usage itself. The days of a service add up to its total.
//! - The day is the saved state's: the one whose tick counted it, or the last one that was known.
//! - Nothing is ever taken away: services and groups that are deleted stay readable. Only who
//!   [adopts](StateDb::adopt) another past replaces all of it, and who gives back what was adopted
//!   [puts back](StateDb::put_history_back) what was there before.

use pm_core::adoption::Extent;
use pm_core::config::GroupName;
use pm_core::history::{ClosedPeriod, DayTotal};
use pm_core::holder::Holder;
use pm_core::port::PortRange;

use crate::action::Action;
use crate::error::StoreError;
use crate::rows::history;
use crate::state_db::StateDb;

/// A past that is adopted.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Whether it replaces the one that there is.
    pub extent: Extent,
    /// What each day used, with what was counted since.
    pub days: &'a [DayTotal],
    /// The periods that are over, in the order in which they were closed.
    pub closed: &'a [ClosedPeriod],
}

impl StateDb {
    /// Returns what the services that are named so used on each day, or all that ever were;
    /// ascending by date, then by ports. Days on which nothing was used are left out.
    ///
    /// What was used before any day was known is of [`UNDATED`](pm_core::history::UNDATED).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn days(&self, ports: Option<&[PortRange]>) -> Result<Vec<DayTotal>, StoreError> {
        self.read(Action::Load, |connection| history::days(connection, ports))
    }

    /// Returns the closed periods of these holders, or of all that ever were; ascending by their
    /// end, those that ended together in the order in which they were closed.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn closed_periods(
        &self,
        holders: Option<&[Holder]>,
    ) -> Result<Vec<ClosedPeriod>, StoreError> {
        self.read(Action::Load, |connection| {
            history::closed_periods(connection, holders)
        })
    }

    /// Gives services and groups that are no more the history that they had before, in place of all
    /// that there is of them. The same again changes nothing.
    ///
    /// # Errors
    ///
    /// As SQLite says; all is as it was then.
    pub fn put_history_back(
        &mut self,
        holders: &[Holder],
        days: &[DayTotal],
        closed: &[ClosedPeriod],
    ) -> Result<(), StoreError> {
        self.change(|transaction| {
            history::forget(transaction, holders)?;
            history::add_days(transaction, days)?;
            history::save_closed(transaction, closed)
        })
    }

    /// Returns the closed periods of a group, and those of services that were in it throughout;
    /// in the order of [`closed_periods`](Self::closed_periods).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn group_periods(&self, group: &GroupName) -> Result<Vec<ClosedPeriod>, StoreError> {
        self.read(Action::Load, |connection| {
            history::group_periods(connection, group)
        })
    }

    /// Returns the period of each of these holders that was closed last, as far as there is one.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn last_periods(&self, holders: &[Holder]) -> Result<Vec<ClosedPeriod>, StoreError> {
        self.read(Action::Load, |connection| {
            history::last_periods(connection, holders)
        })
    }
}
