//! What the dumps of a table add up to: pure.

#[cfg(test)]
mod tests;

use pm_core::port::PortRange;
use pm_core::ruleset::{
    Direction, Frame, Installed, InstalledForwarding, InstalledLink, InstalledRoom, Metering,
    Parts, Piece, QuotaId, Room, RoomId, Target,
};

use crate::element::Elements;
use crate::forward;
use crate::found::{AllRules, Both, Chains, Objects, Sets};
use crate::room;

/// All dumps of one generation.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// The table: missing, damaged where it sleeps, intact.
    pub(crate) table: Piece,
    pub(crate) chains: Chains,
    pub(crate) sets: Sets,
    pub(crate) elements: Both<Elements>,
    pub(crate) routed: Elements,
    pub(crate) rules: AllRules,
    pub(crate) objects: Objects,
}

impl Inspection {
    /// Whether this is the table of pm.sh: its marks, and nothing of ours.
    pub(crate) fn is_pm_sh(&self) -> bool {
        let ours = !self.objects.rooms.is_empty() || !self.objects.quotas.is_empty();
        (self.objects.pm_sh || self.sets.blocked_ports) && !ours
    }

    /// Adds it all up.
    ///
    /// The elements of a damaged map are left out: it is going to be made anew, empty.
    pub(crate) fn installed(&self) -> Installed {
        let mut installed = Installed {
            frame: self.frame(),
            epochs: self.chains.epochs.iter().copied().collect(),
            quotas: self.objects.quotas.clone(),
            forwarding: self.forwarding(),
            has_nat: self.chains.has_nat,
            ..Installed::default()
        };
        for (&room, chains) in &self.chains.rooms {
            let parts = &mut self.room_mut(&mut installed, room).parts;
            parts.in_chain = chains.incoming != Piece::Missing;
            parts.out_chain = chains.outgoing != Piece::Missing;
        }
        for (&room, objects) in &self.objects.rooms {
            let parts = &mut self.room_mut(&mut installed, room).parts;
            parts.in_counter = objects.counters.incoming;
            parts.out_counter = objects.counters.outgoing;
            parts.limits.clone_from(&objects.limits);
        }
        for (room, found) in &mut installed.rooms {
            found.intact = self.whole(room, &found.parts);
        }
        for direction in Direction::BOTH {
            for (ports, target) in self.intervals(direction).into_iter().flatten() {
                let link = installed.links.entry(ports).or_default();
                set_target(link, direction, target);
            }
        }
        installed
    }

    fn room_mut<'a>(&self, installed: &'a mut Installed, room: RoomId) -> &'a mut InstalledRoom {
        let empty = InstalledRoom {
            parts: Parts::default(),
            intact: None,
        };
        installed.rooms.entry(room).or_insert(empty)
    }

    fn intervals(&self, direction: Direction) -> Option<Vec<(PortRange, Target)>> {
        match self.sets.maps.of(direction) {
            Piece::Intact => self.elements.of(direction).intervals(),
            Piece::Missing | Piece::Damaged | Piece::Altered => None,
        }
    }

    fn frame(&self) -> Frame {
        let map = |direction| match self.sets.maps.of(direction) {
            Piece::Intact if self.elements.of(direction).intervals().is_none() => Piece::Damaged,
            &piece => piece,
        };
        let chain = |direction| match self.chains.based.of(direction) {
            Piece::Intact if !self.rules.is_base_complete(direction) => Piece::Altered,
            &piece => piece,
        };
        Frame {
            table: self.table,
            ingress: map(Direction::In),
            egress: map(Direction::Out),
            input: chain(Direction::In),
            output: chain(Direction::Out),
        }
    }

    /// Returns what the room is, if it has all that it takes and nothing else.
    fn whole(&self, id: &RoomId, parts: &Parts) -> Option<Room> {
        let whole = Both {
            incoming: Piece::Intact,
            outgoing: Piece::Intact,
        };
        if *self.chains.rooms.get(id)? != whole || self.objects.rooms.get(id)?.has_odd_limit {
            return None;
        }
        let room = room::room(self.rules.rooms.get(id)?)?;
        let quotas: Vec<QuotaId> = room.metering.iter().flat_map(Metering::quotas).collect();
        let has_quotas = quotas
            .iter()
            .all(|quota| self.objects.quotas.contains_key(quota));
        (has_quotas && *parts == Parts::of(&room)).then_some(room)
    }

    fn forwarding(&self) -> InstalledForwarding {
        let (chain, set) = (self.chains.forward, self.sets.routed);
        if (chain, set) == (Piece::Missing, Piece::Missing) {
            return InstalledForwarding::default();
        }
        let ports = match set {
            Piece::Missing => Some(None),
            Piece::Damaged | Piece::Altered => None,
            // One that is empty is named by no rule of pm's.
            Piece::Intact => self
                .routed
                .ranges()
                .filter(|ports| !ports.is_empty())
                .map(Some),
        };
        let intact = ports
            .filter(|_| chain == Piece::Intact)
            .and_then(|ports| forward::judge(&self.rules.forward()?, ports));
        InstalledForwarding {
            chain: chain != Piece::Missing,
            set: set != Piece::Missing,
            intact,
        }
    }
}

fn set_target(link: &mut InstalledLink, direction: Direction, target: Target) {
    match direction {
        Direction::In => link.ingress = Some(target),
        Direction::Out => link.egress = Some(target),
    }
}
