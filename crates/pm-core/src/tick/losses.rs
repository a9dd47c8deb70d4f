//! What was lost since the last reading, beyond the reach of any counter.

use crate::backend::Reading;
use crate::event::Event;
use crate::ledger::State;
use crate::port::PortRange;
use crate::ruleset::{Frame, Installed, RoomId, Variant};

/// Returns what was lost, if anything was.
pub(super) fn between(state: &State, reading: &Reading, installed: &Installed) -> Option<Event> {
    let since = state.last_tick;
    let host = state.host.as_ref()?;
    if state.torn_down {
        return None;
    }
    if *host != reading.host {
        return Some(Event::Restarted { since });
    }
    // Only where pm left everything in place can something be missing now.
    let left_at = state.settled_at?;
    if left_at == reading.generation {
        return None;
    }
    let expected = Installed::settled(state);
    let ports: Vec<PortRange> = expected
        .links
        .iter()
        .filter(|(ports, link)| {
            let rooms = Variant::BOTH.map(|variant| RoomId {
                ports: **ports,
                variant,
            });
            let damaged = |room: &RoomId| {
                expected.rooms.contains_key(room)
                    && installed
                        .rooms
                        .get(room)
                        .is_none_or(|room| room.intact.is_none())
            };
            installed.frame != Frame::INTACT
                || installed.links.get(ports) != Some(link)
                || rooms.iter().any(damaged)
        })
        .map(|(ports, _)| *ports)
        .collect();
    (!ports.is_empty()).then_some(Event::RulesLost { ports, since })
}
