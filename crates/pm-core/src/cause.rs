//! Errors that are kept with what they led to.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// An error that is part of a value: two are the same when they say the same.
///
/// # Examples
///
/// ```
/// use pm_core::cause::Cause;
/// use pm_core::port::PortError;
///
/// let cause = Cause::from(PortError::Empty);
/// assert_eq!(cause, cause.clone());
/// assert_eq!(cause.to_string(), PortError::Empty.to_string());
/// ```
#[derive(Debug)]
pub struct Cause<E>(Arc<E>);

impl<E> From<E> for Cause<E> {
    fn from(error: E) -> Self {
        Self(Arc::new(error))
    }
}

impl<E> Clone for Cause<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Deref for Cause<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E: fmt::Display> PartialEq for Cause<E> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.to_string() == other.0.to_string()
    }
}

impl<E: fmt::Display> Eq for Cause<E> {}

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
