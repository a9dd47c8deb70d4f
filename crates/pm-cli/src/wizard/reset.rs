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
    for request in requests(candidates.len(), chosen) {
        apply(desk, &request, Confirm::Always)?;
    }
    Ok(())
}

/// Returns what resets those that were chosen: one request where it is all of them, as `--all` resets groups, too.
fn requests(there_are: usize, chosen: Vec<Holder>) -> Vec<Request> {
    if chosen.len() == there_are && there_are > 1 {
        let ports = Selection::All;
        return vec![Request::Reset { ports }];
    }
    let ports = pick::ports(&chosen).map(Selection::Ports);
    let services = ports.map(|ports| Request::Reset { ports });
    let groups = chosen.into_iter().filter_map(|holder| match holder {
        Holder::Group(name) => Some(Request::ResetGroup { name }),
        Holder::Service(_) => None,
    });
    services.into_iter().chain(groups).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_chosen_is_reset() {
        let shown = |there_are: usize, chosen: &[&str]| {
            let chosen = chosen.iter().map(|holder| holder.parse().unwrap());
            let requests = requests(there_are, chosen.collect());
            let lines: Vec<String> = requests.iter().map(Request::to_string).collect();
            lines.join("; ")
        };
        assert_eq!(shown(3, &["80", "81", "group vip"]), "pm reset --all");
        assert_eq!(shown(3, &["80", "81"]), "pm reset 80,81");
        assert_eq!(
            shown(3, &["80", "group vip"]),
            "pm reset 80; pm group reset vip"
        );
        assert_eq!(shown(1, &["80"]), "pm reset 80");
    }
}
