//! Billing periods: when a quota starts over.
//!
//! - A period ends on a date, not at an instant: the date it is in the configured zone.
//! - A reset is due once, at the first look on or after that date, however late it comes.
//! - Changing the policy never resets; it only sets a new date.
//! - An interval starts on the day it is set, or on one that the operator names.
//! - A clock that goes back resets nothing: the date already set stays. If that date is
//!   more than a period away, the clock had been far ahead, and the date is set anew. A date
//!   that comes once and has been counts as ahead again when it is more than a month away.

pub mod iso_date;
mod period;
mod policy;
#[cfg(test)]
mod tests;
mod text;
mod timestamp;
mod zone;

pub use period::Period;
pub use policy::{DayOfMonth, DayOfYear, Days, Interval, Months, ResetPolicy, YearMonth};
pub use text::{ResetChoice, ResetPolicyError};
pub use timestamp::Timestamp;
pub use zone::{Zone, ZoneError};
