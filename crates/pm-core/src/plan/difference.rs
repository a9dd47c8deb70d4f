//! The batch that leads from what the kernel holds to what it must hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::holder::Holder;
use crate::in_order::InOrder;
use crate::ledger::State;
use crate::port::PortRange;
use crate::ruleset::{
    Changes, EpochChange, ForwardingChange, Frame, Installed, InstalledLink, Metering, Parts,
    Piece, QuotaId, Refit, Relink, RoomId, Ruleset,
};

use super::quotas::own_quotas;

/// Returns the next batch on the way from `installed` to `wanted`.
///
/// What nothing leads to any more is deleted by a batch of its own, once all else is in place:
/// what somebody else holds on to cannot be deleted, and must keep nothing else back.
pub fn difference(installed: &Installed, wanted: &Ruleset, state: &State) -> Changes {
    let mut changes = Changes::default();
    if installed.frame != Frame::INTACT {
        changes.repair = Some(installed.frame);
    }
    let mut rooms = InOrder::new(&installed.rooms);
    for (&room, planned) in &wanted.rooms {
        let found = rooms.get(&room);
        match found.and_then(|found| found.intact.as_ref()) {
            None => {
                changes.create_rooms.insert(room, planned.clone());
            }
            Some(found) if found != planned => {
                let (from, to) = (found.clone(), planned.clone());
                changes.refit.insert(room, Refit { from, to });
            }
            Some(_) => {}
        }
    }
    let mut quotas = InOrder::new(&installed.quotas);
    for (quota, &limit) in &wanted.quotas {
        match quotas.get(quota) {
            None => {
                changes.create_quotas.insert(quota.clone(), limit);
            }
            Some(&found) if found != Some(limit) => {
                changes.move_limits.insert(quota.clone(), limit);
            }
            Some(_) => {}
        }
    }
    changes.relink = relinks(installed, wanted);
    changes.forwarding = forwarding_change(installed, wanted);
    let makes_counters = !changes.create_rooms.is_empty() || !changes.create_quotas.is_empty();
    if makes_counters || installed.epochs.len() != 1 {
        changes.epoch = Some(EpochChange {
            remove: installed.epochs.clone(),
            add: state.next_epoch,
        });
    }
    if changes.is_empty() {
        changes.delete_rooms = unused_rooms(installed, wanted);
        changes.delete_quotas = unused_quotas(installed, wanted, &changes.delete_rooms);
    }
    changes
}

fn relinks(installed: &Installed, wanted: &Ruleset) -> BTreeMap<PortRange, Relink> {
    let mut found = InOrder::new(&installed.links);
    let moved = wanted.links.iter().filter_map(|(&ports, &to)| {
        let from = found.get(&ports).copied().unwrap_or_default();
        let to = Some(to);
        (to.map(InstalledLink::from) != Some(from)).then_some((ports, Relink { from, to }))
    });
    let mut planned = InOrder::new(&wanted.links);
    let gone = installed.links.iter().filter_map(|(&ports, &from)| {
        let is_gone = planned.get(&ports).is_none() && from != InstalledLink::default();
        is_gone.then_some((ports, Relink { from, to: None }))
    });
    let relinks = moved.chain(gone);
    relinks
        .filter(|(ports, _)| !wanted.waiting.contains(ports))
        .collect()
}

fn forwarding_change(installed: &Installed, wanted: &Ruleset) -> Option<ForwardingChange> {
    let found = &installed.forwarding;
    let to = &wanted.forwarding;
    // Its rules name the maps, which cannot go before they do.
    let maps = [installed.frame.ingress, installed.frame.egress];
    let anew = found.chain && maps.iter().any(|&map| map != Piece::Intact);
    (anew || found.intact.as_ref() != Some(to)).then(|| ForwardingChange {
        from: found.clone(),
        to: to.clone(),
        anew,
    })
}

fn unused_rooms(installed: &Installed, wanted: &Ruleset) -> BTreeMap<RoomId, Parts> {
    let mut planned = InOrder::new(&wanted.rooms);
    let unused = installed.rooms.iter().filter(|(room, _)| {
        let is_linked = || {
            let link = installed.links.get(&room.ports).copied();
            link.unwrap_or_default().leads_to(room.variant)
        };
        planned.get(room).is_none() && !is_linked()
    });
    unused
        .map(|(&room, found)| (room, found.parts.clone()))
        .collect()
}

/// Returns the quotas that no room names once the unused ones are gone. What a room that is not
/// whole names is not known: its service's own, at most.
fn unused_quotas(
    installed: &Installed,
    wanted: &Ruleset,
    going: &BTreeMap<RoomId, Parts>,
) -> BTreeSet<QuotaId> {
    let mut wanted_quotas = InOrder::new(&wanted.quotas);
    let unwanted = installed
        .quotas
        .keys()
        .filter(|id| wanted_quotas.get(id).is_none());
    let unwanted: BTreeSet<&QuotaId> = unwanted.collect();
    if unwanted.is_empty() {
        return BTreeSet::new();
    }
    let staying = installed
        .rooms
        .iter()
        .filter(|(room, _)| !going.contains_key(room));
    let mut named = BTreeSet::new();
    let mut holds_all = false;
    for (&room, found) in staying {
        match &found.intact {
            Some(room) => named.extend(room.metering.iter().flat_map(Metering::quotas)),
            None => {
                named.extend(own_quotas(room));
                holds_all = true;
            }
        }
    }
    let unused = unwanted.into_iter().filter(|id| {
        let may_be_held = holds_all && matches!(id.holder, Holder::Group(_));
        !named.contains(id) && !may_be_held
    });
    unused.cloned().collect()
}

/// Returns the next batch on the way out of the kernel: first nothing reaches the rooms any more,
/// then, once they have been read at rest, the table goes.
pub fn withdrawal(installed: &Installed) -> Changes {
    let mut changes = Changes::default();
    if installed.frame.table != Piece::Missing {
        let hooked = [installed.frame.input, installed.frame.output];
        changes.unhook =
            installed.forwarding.chain || hooked.iter().any(|piece| *piece != Piece::Missing);
        changes.delete_table = !changes.unhook;
    }
    changes
}
