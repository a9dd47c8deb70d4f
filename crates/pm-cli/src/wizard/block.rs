//! Letting nothing through, and undoing that.

use pm_core::holder::Holder;
use pm_core::request::Request;

use super::apply::{Confirm, apply};
use super::ui::{Answer, Entry};
use super::{Desk, pick};
use crate::language::tr;

/// Asks which of the two, and of which services.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let all = pick::all_services(desk);
    if pick::is_empty(desk, &all)? {
        return Ok(());
    }
    let entries = [
        Entry::new(
            1,
            tr!("block: let nothing through", "阻断：不让任何流量通过"),
        ),
        Entry::new(2, tr!("unblock: undo your own block", "解除：取消手动阻断")),
        Entry::new(0, tr!("back", "返回")),
    ];
    let title = tr!("Block or unblock?", "阻断还是解除？");
    let blocks = match desk.ui.choose(&title, &tr!("back", "返回"), &entries)? {
        Some(0) => true,
        Some(1) => false,
        _ => return Ok(()),
    };
    let services = &desk.view.config.services;
    let is_candidate = |holder: &Holder| match holder {
        Holder::Service(ports) => services
            .get(ports)
            .is_some_and(|service| service.blocked != blocks),
        Holder::Group(_) => false,
    };
    let candidates: Vec<Holder> = all.into_iter().filter(is_candidate).collect();
    if candidates.is_empty() && !blocks {
        let text = tr!(
            "You have blocked none. What its quota blocks opens with a reset (8) or a larger quota (2).",
            "没有手动阻断的端口。因配额用尽而阻断的，请重置流量（8）或提高配额（2）。"
        );
        return desk.ui.say(&text);
    }
    if pick::is_empty(desk, &candidates)? {
        return Ok(());
    }
    let title = if blocks {
        tr!("Block which?", "阻断哪些？")
    } else {
        tr!("Unblock which?", "解除哪些？")
    };
    let chosen = pick::several(desk, &title, &candidates)?;
    if let Some(ports) = pick::services(desk, &chosen) {
        let request = if blocks {
            Request::Block { ports }
        } else {
            Request::Unblock { ports }
        };
        apply(desk, &request, Confirm::IfHarmful)?;
    }
    Ok(())
}
