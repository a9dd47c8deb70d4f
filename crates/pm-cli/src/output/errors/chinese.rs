//! Errors in Chinese.
//!
//! The libraries say theirs in English. Each of their errors is said here once more, by matches
//! that leave out no variant, so that a new one without a translation does not compile. What the
//! kernel, the system, SQLite or serde say stays as it is.

mod calendar;
mod config;
mod engine;
mod kernel;
mod legacy;
mod notify;
mod reason;
mod request;
mod setup;
mod store;
mod takeover;
#[cfg(test)]
mod tests;
mod update;
mod values;

use std::error::Error;

use pm_engine::EngineError;

/// Returns what an error of pm's says of itself; `None`: it is somebody else's.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<String> {
    said(error, engine::engine)
        .or_else(|| boxed(error))
        .or_else(|| said(error, request::refusal))
        .or_else(|| said(error, store::store))
        .or_else(|| said(error, setup::setup))
        .or_else(|| said(error, takeover::takeover))
        .or_else(|| said(error, update::update))
        .or_else(|| said(error, config::config))
        .or_else(|| said(error, legacy::refusal))
        .or_else(|| said(error, kernel::backend))
        .or_else(|| said(error, kernel::shaping))
        .or_else(|| said(error, kernel::tc))
        .or_else(|| said(error, kernel::shape))
        .or_else(|| said(error, kernel::netlink))
        .or_else(|| said(error, kernel::malformed))
        .or_else(|| said(error, values::port))
        .or_else(|| said(error, values::value))
        .or_else(|| said(error, values::size))
        .or_else(|| said(error, values::rate))
        .or_else(|| said(error, values::dynqos))
        .or_else(|| said(error, values::classifier))
        .or_else(|| said(error, values::language))
        .or_else(|| said(error, values::holder))
        .or_else(|| said(error, notify::refusal))
        .or_else(|| said(error, notify::setting))
        .or_else(|| said(error, notify::secret))
        .or_else(|| said(error, calendar::reset_policy))
        .or_else(|| said(error, calendar::zone))
}

/// The cause of one that was rolled back is in a box.
fn boxed(error: &(dyn Error + 'static)) -> Option<String> {
    let boxed = error.downcast_ref::<Box<EngineError>>()?;
    Some(engine::engine(boxed))
}

fn said<E: Error + 'static>(
    error: &(dyn Error + 'static),
    say: impl FnOnce(&E) -> String,
) -> Option<String> {
    error.downcast_ref().map(say)
}

/// Returns what a cause says of itself, in Chinese where it is pm's.
fn cause(error: &(dyn Error + 'static)) -> String {
    of(error).unwrap_or_else(|| error.to_string())
}
