//! JSON for other programs. Fields are never removed or renamed within a version.

mod history;
mod notify;
mod service;
#[cfg(test)]
mod tests;
mod versions;

use pm_core::language::Language;
use pm_core::request::Request;
use serde::Serialize;

use crate::language;
use crate::output::diagnosis::Diagnosis;

pub(crate) use history::{days, periods};
pub(crate) use notify::{channels, chats, push, sent};
pub(crate) use service::{groups, services};
pub(crate) use versions::{differences, versions};

/// The version of all formats here.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Checks {
    version: u32,
    checks: Vec<Diagnosis>,
}

/// Returns the document of `pm doctor --json`, in English whatever is spoken: programs read it.
pub(crate) fn checks(checks: impl FnOnce() -> Vec<Diagnosis>) -> serde_json::Result<String> {
    let checks = language::within(Language::English, checks);
    serde_json::to_string(&Checks {
        version: VERSION,
        checks,
    })
}

#[derive(Serialize)]
struct CheckedConfig {
    version: u32,
    valid: bool,
    services: usize,
}

/// Returns the document of `pm config check --json` for a good configuration.
pub(crate) fn checked_config(services: usize) -> serde_json::Result<String> {
    serde_json::to_string(&CheckedConfig {
        version: VERSION,
        valid: true,
        services,
    })
}

#[derive(Serialize)]
struct Applied {
    version: u32,
    changed: bool,
    dry_run: bool,
    commands: Vec<String>,
}

/// Returns the document of `pm apply --json`.
pub(crate) fn applied(requests: &[Request], dry_run: bool) -> serde_json::Result<String> {
    serde_json::to_string(&Applied {
        version: VERSION,
        changed: !requests.is_empty(),
        dry_run,
        commands: requests.iter().map(ToString::to_string).collect(),
    })
}

/// Returns a text as a JSON string.
pub(crate) fn text(value: &str) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

/// Returns how often each byte counts: a number of up to three decimals, exact as text.
fn factor(factor: pm_core::config::Factor) -> f64 {
    f64::from(factor.thousandths()) / 1_000.0
}
