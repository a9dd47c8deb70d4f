//! Periods: how far a holder has come in its calendar.

use time::{Date, Duration};

use super::ResetPolicy;

/// By how much a clock may go back behind the date of a policy that comes once without its
/// coming again: as long as the period of most others.
const A_MONTH: Duration = Duration::days(31);

/// Where a quota's holder stands in its calendar; saved between ticks.
///
/// # Examples
///
/// ```
/// use pm_core::calendar::{Period, ResetPolicy};
/// use time::macros::date;
///
/// let monthly: ResetPolicy = "1".parse()?;
/// let period = Period::begin(monthly, date!(2024 - 01 - 15));
/// let (period, due) = period.advance(monthly, date!(2024 - 01 - 31));
/// assert!(!due);
/// // Down for months: one reset, and the next one on time.
/// let (period, due) = period.advance(monthly, date!(2024 - 05 - 20));
/// assert!(due);
/// assert_eq!(period.next(), Some(date!(2024 - 06 - 01)));
/// // The clock steps back: nothing resets twice.
/// let (period, due) = period.advance(monthly, date!(2024 - 04 - 30));
/// assert!(!due);
/// assert_eq!(period.next(), Some(date!(2024 - 06 - 01)));
/// # Ok::<(), pm_core::calendar::ResetPolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period {
    policy: ResetPolicy,
    next: Option<Date>,
}

impl Period {
    /// Returns the period that `today` is in, for a holder that has none yet.
    pub fn begin(policy: ResetPolicy, today: Date) -> Self {
        Self {
            policy,
            next: policy.next_after(today),
        }
    }

    /// Returns the period as it was saved.
    ///
    /// A recurring policy without a date has not been given one yet: the next
    /// [`advance`](Self::advance) sets it, and resets nothing. A date that the policy does not
    /// have, where it has one or none, is dropped.
    pub fn restore(policy: ResetPolicy, next: Option<Date>) -> Self {
        Self {
            policy,
            next: next.filter(|next| match policy {
                ResetPolicy::Once(date) => *next == date,
                ResetPolicy::Never => false,
                _ => true,
            }),
        }
    }

    /// Returns the policy that the date was set by.
    pub fn policy(self) -> ResetPolicy {
        self.policy
    }

    /// Returns the date on which the next reset is due, if one is.
    pub fn next(self) -> Option<Date> {
        self.next
    }

    /// Advances to `today` under `policy`, and returns whether a reset is due now: the
    /// period is over, and the next one starts at zero.
    pub fn advance(self, policy: ResetPolicy, today: Date) -> (Self, bool) {
        let fresh = Self::begin(policy, today);
        if policy != self.policy {
            return (fresh, false);
        }
        match self.next {
            Some(next) if today >= next => (fresh, true),
            _ if self.is_beyond_a_period(today, fresh.next) => (fresh, false),
            _ => (self, false),
        }
    }

    /// Whether the date set is missing or lies after the reset that follows `coming`:
    /// further off than a clock that went back by less than a period can explain.
    fn is_beyond_a_period(self, today: Date, coming: Option<Date>) -> bool {
        if let ResetPolicy::Once(date) = self.policy {
            // It has been, and the clock went back; or it was taken for passed.
            return self.next.is_none() && (date - today) > A_MONTH;
        }
        match (
            self.next,
            coming.and_then(|date| self.policy.next_after(date)),
        ) {
            (Some(next), Some(limit)) => next > limit,
            // Not set yet, or set at the end of the calendar by a clock far ahead.
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }
}
