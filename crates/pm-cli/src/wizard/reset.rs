//! Beginning periods anew.

use pm_core::holder::Holder;
use pm_core::request::{Request, Selection};

use super::apply::{Confirm, apply};
use super::ui::Answer;
use super::{Desk, pick};
use crate::language::tr;

/// Asks whose period begins anew: a group has one for all its services.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let services = &desk.view.config.services;
    let is_alone = |holder: &Holder| match holder {
        Holder::Service(ports) => services
            .get(ports)
            .is_some_and(|service| service.group.is_none()),
        Holder::Group(_) => true,
    };
    let mut candidates = pick::all_services(desk);
    candidates.retain(is_alone);
    candidates.extend(pick::all_groups(desk));
    if pick::is_empty(desk, &candidates)? {
        return Ok(());
    }
    let title = tr!(
        "Begin a new period, at nothing used, of which?",
        "重置哪些的已用流量（开始新周期）？"
    );
    let chosen = pick::several(desk, &title, &candidates)?;
    let ports = pick::services(&chosen).map(Selection::Ports);
    let mut requests: Vec<Request> = ports
        .map(|ports| Request::Reset { ports })
        .into_iter()
        .collect();
    for holder in chosen {
        if let Holder::Group(name) = holder {
            requests.push(Request::ResetGroup { name });
        }
    }
    for request in requests {
        apply(desk, &request, Confirm::Always)?;
    }
    Ok(())
}
