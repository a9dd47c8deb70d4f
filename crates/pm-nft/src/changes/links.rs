//! Links: the elements of both maps, changed together.

use std::collections::BTreeMap;

use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, InstalledLink, Link, Relink, RoomId};
use pm_netlink::NlmF;
use pm_netlink::nf_tables::*;

use crate::element::{self, Goal, Interval};
use crate::frame::map_name;
use crate::script::{ADD, DELETE, Script, What};

// A message's element list must stay under 64 KiB; an interval takes 112 bytes at most.
pub(super) const INTERVALS_A_MESSAGE: usize = 400;
// How many links one unit changes, unless their ranges overlap.
const LINKS_A_UNIT: usize = 200;

/// Groups the links so that ranges which overlap change together: the old ones must be gone when
/// the new ones come, and no packet may pass in between.
pub(super) fn groups(links: &BTreeMap<PortRange, Relink>) -> Vec<Vec<(PortRange, Relink)>> {
    let mut groups = Vec::new();
    let mut group: Vec<(PortRange, Relink)> = Vec::new();
    let mut last = 0;
    for (&ports, &relink) in links {
        if group.len() >= LINKS_A_UNIT && ports.first() > last {
            groups.push(std::mem::take(&mut group));
        }
        last = last.max(ports.last());
        group.push((ports, relink));
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// Appends the changes of one group.
pub(super) fn emit(script: &mut Script, links: &[(PortRange, Relink)]) {
    for direction in Direction::BOTH {
        let found = |link: &InstalledLink| match direction {
            Direction::In => link.ingress,
            Direction::Out => link.egress,
        };
        let changed = || {
            links.iter().filter(|(_, relink)| {
                let wanted = relink.to.map(InstalledLink::from).unwrap_or_default();
                found(&relink.from) != found(&wanted)
            })
        };
        let deleted: Vec<_> = changed()
            .filter(|(_, relink)| found(&relink.from).is_some())
            .map(|&(ports, _)| Interval {
                ports,
                target: None,
            })
            .collect();
        let added: Vec<_> = changed()
            .filter_map(|&(ports, relink)| {
                let target = Some(match relink.to? {
                    Link::Drop => Goal::Drop,
                    Link::Room(variant) => Goal::Room(RoomId { ports, variant }, direction),
                });
                Some(Interval { ports, target })
            })
            .collect();
        emit_intervals(script, direction, DELETE, &deleted);
        emit_intervals(script, direction, ADD, &added);
    }
}

fn emit_intervals(
    script: &mut Script,
    direction: Direction,
    verb: &'static str,
    intervals: &[Interval],
) {
    let (kind, flags) = match verb {
        DELETE => (NFT_MSG_DELSETELEM, NlmF::empty()),
        _ => (NFT_MSG_NEWSETELEM, NlmF::CREATE | NlmF::EXCL),
    };
    for chunk in intervals.chunks(INTERVALS_A_MESSAGE) {
        let Some(first) = chunk.first() else { continue };
        let what = What::Elements(direction, first.ports);
        script.push(kind, flags, verb, what, |a| {
            element::emit(a, map_name(direction), chunk);
        });
    }
}
