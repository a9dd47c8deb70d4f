//! The plan: what the kernel must hold, and the batch that leads there.
//!
//! Plan, apply, read and plan again until nothing is left to change: a service that must move
//! gets its new room and its links in one batch, its old room is read at rest after that, and
//! deleted in the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::Reading;
use crate::config::{Config, Contract, GroupName, Mode, Service};
use crate::holder::Holder;
use crate::ledger::{Account, Ledger, State, Terms};
use crate::port::PortRange;
use crate::ruleset::{
    Changes, EpochChange, Forwarding, ForwardingChange, Frame, Installed, InstalledLink, Link,
    Metering, Parts, Piece, QuotaId, Refit, Relink, Room, RoomId, Ruleset, Variant,
};
use crate::shaping::{Minors, Rates};

/// Bytes that could pass in the moment between a reading and the batch that follows it. A service
/// with less than this left is held for that moment when its room changes, so that nothing can
/// pass the quota unseen.
const HOLD_BELOW: i128 = 1 << 30;

/// Returns what the kernel must hold next, given what it holds now.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`, `reading` and
/// `installed`.
pub fn plan(config: &Config, state: &State, reading: &Reading, installed: &Installed) -> Ruleset {
    let planner = Planner {
        config,
        state,
        installed,
        minors: Minors::of(config),
    };
    let mut ruleset = Ruleset {
        forwarding: Forwarding {
            dnat: installed.has_nat || reading.has_legacy_nat,
            routed: routed(config),
        },
        ..Ruleset::default()
    };
    let groups = planner.groups(&mut ruleset);
    for (&ports, service) in &config.services {
        let Some(ledger) = state.ledgers.get(&ports) else {
            continue;
        };
        let group = service.group.as_ref().and_then(|name| groups.get(name));
        let is_spent = match group {
            Some(group) => group.is_spent,
            None => ledger.account.spent.is_some(),
        };
        if service.blocked || ledger.expired || is_spent {
            ruleset.links.insert(ports, Link::Drop);
        } else {
            planner.place(&mut ruleset, ports, service, ledger, group);
        }
    }
    ruleset
}

fn routed(config: &Config) -> BTreeSet<PortRange> {
    let routed = config.services.iter().filter(|(_, service)| service.routed);
    routed.map(|(&ports, _)| ports).collect()
}

/// What all services are placed by.
struct Planner<'a> {
    config: &'a Config,
    state: &'a State,
    installed: &'a Installed,
    minors: Minors,
}

/// Where the members of a group count.
struct GroupPlan {
    is_spent: bool,
    /// The set of quotas that they must name.
    quotas: Quotas,
    /// Whether there are too few bytes left to lose any between a reading and a batch.
    is_nearly_spent: bool,
    /// Whether nobody is let in: because some member's bytes are not all read yet that count
    /// against a set made anew, or because members hold on to sets in the place of which a new one
    /// must come.
    is_held: bool,
}

/// A holder's set of quotas, as it is to be.
enum Quotas {
    /// He has no quota.
    None,
    /// The set is there and counts on.
    Kept(Metering),
    /// The set is made anew.
    Fresh(Metering),
    /// A set must be made anew, and no name is free.
    Waiting,
}

impl Planner<'_> {
    fn groups(&self, ruleset: &mut Ruleset) -> BTreeMap<&GroupName, GroupPlan> {
        let mut plans = BTreeMap::new();
        let is_open = |ports: PortRange| {
            let service = self.config.services.get(&ports);
            let ledger = self.state.ledgers.get(&ports);
            service.is_some_and(|service| !service.blocked)
                && ledger.is_some_and(|ledger| !ledger.expired)
        };
        for (name, group) in &self.config.groups {
            let Some(account) = self.state.groups.get(name) else {
                continue;
            };
            let terms = account.terms(group.contract());
            let is_closed = account.spent.is_some() || !self.config.members(name).any(is_open);
            let quotas = match terms.filter(|_| !is_closed) {
                None => Quotas::None,
                Some(terms) => {
                    let holder = Holder::Group(name.clone());
                    let quotas = self.group_quotas(&holder, account, terms);
                    if let Quotas::Kept(metering) | Quotas::Fresh(metering) = &quotas {
                        self.set_limits(ruleset, metering, account, terms);
                    }
                    quotas
                }
            };
            let is_linked = |ports: PortRange| {
                let link = self.installed.links.get(&ports);
                link.is_some_and(|link| Variant::BOTH.into_iter().any(|one| link.leads_to(one)))
            };
            let is_nearly_spent = is_nearly_spent(account, terms);
            let is_held = match quotas {
                Quotas::None | Quotas::Kept(_) => false,
                // By what is accounted: the last bytes of one that was deleted count, too.
                Quotas::Fresh(_) => is_nearly_spent && self.accounted(name).any(is_linked),
                Quotas::Waiting => true,
            };
            let plan = GroupPlan {
                is_spent: account.spent.is_some(),
                quotas,
                is_nearly_spent,
                is_held,
            };
            plans.insert(name, plan);
        }
        plans
    }

    /// Returns the services whose bytes count to a group.
    fn accounted(&self, name: &GroupName) -> impl Iterator<Item = PortRange> {
        let ledgers = self.state.ledgers.iter();
        let members = ledgers.filter(move |(_, ledger)| ledger.group.as_ref() == Some(name));
        members.map(|(&ports, _)| ports)
    }

    fn group_quotas(&self, holder: &Holder, account: &Account, terms: Terms) -> Quotas {
        let set = |variant| Metering {
            holder: holder.clone(),
            variant,
            mode: terms.mode,
        };
        let kept = Variant::BOTH
            .map(set)
            .into_iter()
            .find(|metering| self.count_on(metering, account, terms));
        if let Some(metering) = kept {
            return Quotas::Kept(metering);
        }
        let free = Variant::BOTH.into_iter().find(|&variant| {
            let is_taken = |id: &QuotaId| (&id.holder, id.variant) == (holder, variant);
            !self.installed.quotas.keys().any(is_taken)
        });
        free.map_or(Quotas::Waiting, |variant| Quotas::Fresh(set(variant)))
    }

    /// Whether all quotas of a set are there, on scale and not depleted.
    fn count_on(&self, metering: &Metering, account: &Account, terms: Terms) -> bool {
        metering.quotas().all(|id| {
            let is_whole = matches!(self.installed.quotas.get(&id), Some(Some(_)));
            let mark = self.state.quotas.get(&id);
            // A depleted quota has also counted what it dropped: after a raise it is off the
            // scale.
            is_whole && mark.is_some_and(|mark| mark.sound && !mark.is_depleted())
        }) && account.left(terms) > 0
    }

    fn set_limits(
        &self,
        ruleset: &mut Ruleset,
        metering: &Metering,
        account: &Account,
        terms: Terms,
    ) {
        for id in metering.quotas() {
            let limit = self.state.kernel_limit(account, terms, &id);
            ruleset.quotas.insert(id, limit);
        }
    }

    /// Puts an open service into the room it has, or into a new one.
    fn place(
        &self,
        ruleset: &mut Ruleset,
        ports: PortRange,
        service: &Service,
        ledger: &Ledger,
        group: Option<&GroupPlan>,
    ) {
        if group.is_some_and(|group| group.is_held) {
            ruleset.links.insert(ports, Link::Drop);
            return;
        }
        let contract = match service.group {
            Some(_) => Contract::default(),
            None => service.contract(),
        };
        let account = &ledger.account;
        let terms = account.terms(contract);
        let own = |variant, terms: Terms| Metering {
            holder: Holder::Service(ports),
            variant,
            mode: terms.mode,
        };
        // What a room of this variant must name.
        let metering = |variant| match group.map(|group| &group.quotas) {
            None => terms.map(|terms| own(variant, terms)),
            Some(Quotas::Kept(set) | Quotas::Fresh(set)) => Some(set.clone()),
            Some(Quotas::None | Quotas::Waiting) => None,
        };
        let link = self
            .installed
            .links
            .get(&ports)
            .copied()
            .unwrap_or_default();
        let linked_first = if link.leads_to(Variant::B) {
            Variant::B
        } else {
            Variant::A
        };
        let kept = [linked_first, linked_first.other()]
            .into_iter()
            .find(|&variant| {
                let counts_on = |terms| self.count_on(&own(variant, terms), account, terms);
                let room = RoomId { ports, variant };
                self.is_sound(room, metering(variant).as_ref(), ledger)
                    && terms.is_none_or(counts_on)
            });
        // Never under a name that is still taken: somebody else may hold on to the room behind it.
        let free = Variant::BOTH
            .into_iter()
            .find(|&variant| self.is_free(RoomId { ports, variant }));
        let in_both = link.leads_to(Variant::A) && link.leads_to(Variant::B);
        let nearly_spent = match group {
            None => is_nearly_spent(account, terms),
            Some(group) => group.is_nearly_spent,
        };
        let metered = |variant| {
            let room = self.whole(RoomId { ports, variant });
            room.map(|room| room.metering.as_ref())
        };
        // What passes meanwhile is missed, unless both rooms count under the same quotas.
        let could_overrun = |to: Variant| {
            let is_missed = metered(to.other()) != Some(metering(to).as_ref());
            nearly_spent && link.leads_to(to.other()) && is_missed
        };
        // Under quotas that its holder has left, it would use what is left of his twice.
        let is_astray = |variant| {
            let (found, wanted) = (metered(variant).flatten(), metering(variant));
            let is_right = match group {
                Some(_) => found == wanted.as_ref(),
                None => found.map(|set| &set.holder) == wanted.as_ref().map(|set| &set.holder),
            };
            nearly_spent && link.leads_to(variant) && !is_right
        };
        let is_held = match kept.or(free) {
            Some(variant) => could_overrun(variant) || (kept.is_none() && in_both),
            None => in_both || Variant::BOTH.into_iter().any(is_astray),
        };
        if is_held {
            // In neither room until the next round has read both at rest: into a room that was
            // there before as into a new one, whose limits know nothing of what passes the other.
            ruleset.links.insert(ports, Link::Drop);
            return;
        }
        let Some(variant) = kept.or(free) else {
            ruleset.waiting.insert(ports);
            return;
        };
        let wanted = metering(variant);
        if let (Some(metering), Some(terms)) = (&wanted, terms) {
            self.set_limits(ruleset, metering, account, terms);
        }
        self.settle(ruleset, RoomId { ports, variant }, service, ledger, wanted);
    }

    /// Whether nothing of a room's name is there, its own quotas included.
    fn is_free(&self, room: RoomId) -> bool {
        let own = own_quotas(room);
        !self.installed.rooms.contains_key(&room)
            && !own.iter().any(|id| self.installed.quotas.contains_key(id))
    }

    /// Whether a room can stay: whole, on scale, and under the right quotas.
    fn is_sound(&self, room: RoomId, wanted: Option<&Metering>, ledger: &Ledger) -> bool {
        self.whole(room)
            .is_some_and(|found| found.metering.as_ref() == wanted)
            && ledger
                .rooms
                .get(room.variant)
                .is_some_and(|mark| mark.sound)
    }

    fn whole(&self, room: RoomId) -> Option<&Room> {
        self.installed.rooms.get(&room)?.intact.as_ref()
    }

    fn settle(
        &self,
        ruleset: &mut Ruleset,
        id: RoomId,
        service: &Service,
        ledger: &Ledger,
        metering: Option<Metering>,
    ) {
        let rates = Rates::of(service, ledger);
        let class = rates.outgoing.map(|_| {
            let minor = self.minors.get(id.ports);
            self.config.classifier.class(minor)
        });
        let room = Room {
            policing: rates.policing(),
            metering,
            class,
        };
        ruleset.rooms.insert(id, room);
        ruleset.links.insert(id.ports, Link::Room(id.variant));
    }
}

fn is_nearly_spent(account: &Account, terms: Option<Terms>) -> bool {
    terms.is_some_and(|terms| account.left(terms) < HOLD_BELOW)
}

/// Returns every name that a service's own quotas can have beside a room.
fn own_quotas(room: RoomId) -> Vec<QuotaId> {
    let metering = |mode| Metering {
        holder: Holder::Service(room.ports),
        variant: room.variant,
        mode,
    };
    let sets = [Mode::Both, Mode::Max].map(metering);
    sets.iter().flat_map(Metering::quotas).collect()
}

/// Returns the next batch on the way from `installed` to `wanted`.
///
/// What nothing leads to any more is deleted by a batch of its own, once all else is in place:
/// what somebody else holds on to cannot be deleted, and must keep nothing else back.
pub fn difference(installed: &Installed, wanted: &Ruleset, state: &State) -> Changes {
    let mut changes = Changes::default();
    if installed.frame != Frame::INTACT {
        changes.repair = Some(installed.frame);
    }
    for (&room, planned) in &wanted.rooms {
        let found = installed.rooms.get(&room);
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
    for (quota, &limit) in &wanted.quotas {
        match installed.quotas.get(quota) {
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
    let ranges: BTreeSet<PortRange> = installed
        .links
        .keys()
        .chain(wanted.links.keys())
        .filter(|ports| !wanted.waiting.contains(ports))
        .copied()
        .collect();
    let mut relinks = BTreeMap::new();
    for ports in ranges {
        let from = installed.links.get(&ports).copied().unwrap_or_default();
        let to = wanted.links.get(&ports).copied();
        if from != to.map_or_else(InstalledLink::default, InstalledLink::from) {
            relinks.insert(ports, Relink { from, to });
        }
    }
    relinks
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
    let unused = installed.rooms.iter().filter(|(room, _)| {
        let link = installed.links.get(&room.ports).copied();
        !wanted.rooms.contains_key(room) && !link.unwrap_or_default().leads_to(room.variant)
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
    let staying = installed
        .rooms
        .iter()
        .filter(|(room, _)| !going.contains_key(room));
    let mut named: BTreeSet<QuotaId> = wanted.quotas.keys().cloned().collect();
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
    let unused = installed.quotas.keys().filter(|id| {
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
