//! Which room an open service is in.

use crate::config::{Contract, Service};
use crate::holder::Holder;
use crate::ledger::{Ledger, Terms};
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{Installed, InstalledLink, InstalledRoom, Metering, Room, RoomId, Variant};

use super::groups::GroupPlan;
use super::quotas::{Quotas, is_nearly_spent, own_quotas};

/// Where an open service is to be.
pub(super) enum Place {
    /// In this room, under these quotas.
    Room(Variant, Option<Metering>),
    /// In no room until the next round.
    Held,
    /// Where it is, until a name is free.
    Waiting,
}

/// An open service: what it must have, and what is there of it.
pub(super) struct Tenant<'a> {
    pub(super) ports: PortRange,
    pub(super) ledger: &'a Ledger,
    /// By its own quota; `None`: it has none, or its group's counts.
    pub(super) terms: Option<Terms>,
    group: Option<&'a GroupPlan>,
    link: InstalledLink,
    rooms: Rooms<&'a InstalledRoom>,
}

impl<'a> Tenant<'a> {
    pub(super) fn new(
        ports: PortRange,
        service: &Service,
        ledger: &'a Ledger,
        group: Option<&'a GroupPlan>,
        link: InstalledLink,
        rooms: Rooms<&'a InstalledRoom>,
    ) -> Self {
        let contract = match service.group {
            Some(_) => Contract::default(),
            None => service.contract(),
        };
        Self {
            ports,
            ledger,
            terms: ledger.account.terms(contract),
            group,
            link,
            rooms,
        }
    }

    /// Returns the room that it has, or a new one.
    pub(super) fn place(&self, quotas: &mut Quotas<'_>, installed: &Installed) -> Place {
        if self.group.is_some_and(|group| group.is_held) {
            return Place::Held;
        }
        let kept = self.kept(quotas);
        let room = kept.or_else(|| self.free(installed));
        let in_both = self.link.leads_to(Variant::A) && self.link.leads_to(Variant::B);
        let is_held = match room {
            Some(variant) => self.could_overrun(variant) || (kept.is_none() && in_both),
            None => in_both || Variant::BOTH.into_iter().any(|one| self.is_astray(one)),
        };
        match room {
            // In neither room until the next round has read both at rest: into a room that was
            // there before as into a new one, whose limits know nothing of what passes the other.
            _ if is_held => Place::Held,
            Some(variant) => Place::Room(variant, self.wanted(variant)),
            None => Place::Waiting,
        }
    }

    /// Returns the room in which it can stay, the one it is linked to first.
    fn kept(&self, quotas: &mut Quotas<'_>) -> Option<Variant> {
        let linked_first = if self.link.leads_to(Variant::B) {
            Variant::B
        } else {
            Variant::A
        };
        let account = &self.ledger.account;
        [linked_first, linked_first.other()]
            .into_iter()
            .find(|&variant| {
                self.is_sound(variant)
                    && self.terms.is_none_or(|terms| {
                        quotas.count_on(&self.own(variant, terms), account, terms)
                    })
            })
    }

    /// Returns a room of which nothing is there, its own quotas included: never a name that is
    /// still taken, somebody else may hold on to the room behind it.
    fn free(&self, installed: &Installed) -> Option<Variant> {
        Variant::BOTH.into_iter().find(|&variant| {
            let ports = self.ports;
            let mut own = own_quotas(RoomId { ports, variant }).into_iter();
            self.rooms.get(variant).is_none() && !own.any(|id| installed.quotas.contains_key(&id))
        })
    }

    /// Whether a room can stay: whole, on scale, and under the right quotas.
    fn is_sound(&self, variant: Variant) -> bool {
        let mark = self.ledger.rooms.get(variant);
        mark.is_some_and(|mark| mark.sound)
            && self
                .whole(variant)
                .is_some_and(|found| found.metering == self.wanted(variant))
    }

    /// Whether what passes on the way into the room could be missed.
    fn could_overrun(&self, to: Variant) -> bool {
        // Not where both rooms count under the same quotas.
        let is_missed = || self.metered(to.other()) != Some(self.wanted(to).as_ref());
        self.link.leads_to(to.other()) && self.is_nearly_spent() && is_missed()
    }

    /// Whether it is under quotas that its holder has left: it would use what is left of his
    /// twice.
    fn is_astray(&self, variant: Variant) -> bool {
        let (found, wanted) = (self.metered(variant).flatten(), self.wanted(variant));
        let is_right = match self.group {
            Some(_) => found == wanted.as_ref(),
            None => found.map(|set| &set.holder) == wanted.as_ref().map(|set| &set.holder),
        };
        self.is_nearly_spent() && self.link.leads_to(variant) && !is_right
    }

    fn is_nearly_spent(&self) -> bool {
        match self.group {
            None => is_nearly_spent(&self.ledger.account, self.terms),
            Some(group) => group.is_nearly_spent,
        }
    }

    /// Returns what a room of this variant must name.
    fn wanted(&self, variant: Variant) -> Option<Metering> {
        match self.group.map(|group| &group.set) {
            None => self.terms.map(|terms| self.own(variant, terms)),
            Some(set) => set.metering().cloned(),
        }
    }

    fn own(&self, variant: Variant, terms: Terms) -> Metering {
        Metering {
            holder: Holder::Service(self.ports),
            variant,
            mode: terms.mode,
        }
    }

    /// Returns what a room names; `None`: it is not there, or not whole.
    fn metered(&self, variant: Variant) -> Option<Option<&Metering>> {
        Some(self.whole(variant)?.metering.as_ref())
    }

    fn whole(&self, variant: Variant) -> Option<&'a Room> {
        self.rooms.get(variant)?.intact.as_ref()
    }
}
