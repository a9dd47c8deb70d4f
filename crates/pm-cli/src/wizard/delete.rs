//! Deleting services.

use pm_core::request::Request;

use super::apply::{Confirm, apply};
use super::ui::Answer;
use super::{Desk, pick};
use crate::language::tr;

/// Asks which services go, and says what goes with them.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let candidates = pick::all_services(desk);
    if pick::is_empty(desk, &candidates)? {
        return Ok(());
    }
    let title = tr!("Stop monitoring which?", "删除哪些端口？");
    let chosen = pick::several(desk, &title, &candidates)?;
    if let Some(ports) = pick::services(desk, &chosen) {
        apply(desk, &Request::Delete { ports }, Confirm::Always)?;
    }
    Ok(())
}
