//! Errors for people: what failed, why, and what to do.

mod hints;

use std::error::Error;

use pm_engine::EngineError;
use pm_store::StoreError;

use crate::output::tell;

/// Whether it is only that nobody reads stdout any more.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints an error to stderr, and what to do where that is known.
pub(crate) fn print(error: &anyhow::Error) {
    tell!("{}", text(error));
}

/// Says that the configuration on disk is not in force.
pub(crate) fn warn_stale_config(error: &StoreError) {
    tell!("{}", stale_config(error));
}

/// Returns a warning of what traffic control refused, while the rest was done.
pub(crate) fn problem(error: &EngineError) -> String {
    let remedy = hints::engine(error).map_or(String::new(), |hint| hint + "; ");
    format!(
        "warning: limits are not all in force: {}\n\
         hint: {remedy}counting and quotas go on, and the next tick tries again",
        with_causes(error)
    )
}

/// Returns a warning of what could not be tidied up.
pub(crate) fn leftover(error: &EngineError) -> String {
    let mut text = format!("warning: {}", with_causes(error));
    text.push_str(
        "\nhint: what was asked for is in force; another program's rule may hold on to what is no longer \
         used, see `nft list ruleset`; the next tick tries again",
    );
    text
}

/// Returns an error, and what to do where that is known.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {}", with_causes(error.as_ref()));
    if let Some(hint) = hints::of(error) {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    }
    text
}

/// Returns an error and what caused it.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        source = error.source();
        let cause = error.to_string();
        // Some say their cause themselves, for those who print nothing but their own words.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn stale_config(error: &StoreError) -> String {
    format!(
        "warning: {error}\n\
         hint: until then pm goes on with the last good configuration"
    )
}

#[cfg(test)]
mod tests;
