//! Changes to batches: pure.
//!
//! - What one unit emits stays in one batch; units are packed into as few batches as the socket
//!   takes, in an order in which each of them leaves traffic flowing.
//! - Base chains come last where their map is made anew, so that packets meet it filled.
//! - Each batch is pinned to the generation that the one before it makes.

use pm_core::port::PortRange;
use pm_core::ruleset::{
    Changes, Direction, EpochChange, Frame, Parts, Piece, Relink, Room, RoomId,
};
use pm_netlink::NlmF;
use pm_netlink::nf_tables::*;

use crate::script::{ADD, CHANGE, DELETE, Label, Script, What};
use crate::{frame, links, object, room};

/// Returns the batches that make `changes` on top of `generation`, each at most `max_bytes`
/// unless a single unit is larger.
pub(crate) fn scripts(changes: &Changes, generation: u32, max_bytes: usize) -> Vec<Script> {
    let mut scripts = Vec::new();
    let mut generation = generation;
    let mut script = Script::new(Some(generation));
    for unit in units(changes) {
        let mark = script.mark();
        unit.emit(&mut script);
        if script.batch.byte_len() > max_bytes && script.batch.len() > 1 {
            script.rollback(mark);
            if !script.batch.is_empty() {
                generation = following(generation);
                scripts.push(std::mem::replace(
                    &mut script,
                    Script::new(Some(generation)),
                ));
            }
            unit.emit(&mut script);
        }
    }
    if !script.batch.is_empty() {
        scripts.push(script);
    }
    scripts
}

/// Returns the generation that a commit on top of `generation` makes.
///
/// Source: `net/netfilter/nf_tables_api.c`, `nf_tables_commit`: the number skips zero.
pub(crate) fn following(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

/// What must not be torn apart.
enum Unit<'a> {
    DeleteTable,
    Unhook,
    FrameFirst(Frame),
    Epoch(&'a EpochChange),
    DeleteRoom(RoomId, Parts),
    CreateRoom(RoomId, &'a Room),
    MoveLimit(RoomId, u64),
    Relink(Vec<(PortRange, Relink)>),
    FrameLast(Frame),
}

fn units(changes: &Changes) -> Vec<Unit<'_>> {
    if changes.delete_table {
        return vec![Unit::DeleteTable];
    }
    let mut units = Vec::new();
    if changes.unhook {
        units.push(Unit::Unhook);
    }
    units.extend(changes.repair.map(Unit::FrameFirst));
    units.extend(changes.epoch.as_ref().map(Unit::Epoch));
    units.extend(
        changes
            .delete_rooms
            .iter()
            .map(|(&room, &p)| Unit::DeleteRoom(room, p)),
    );
    units.extend(
        changes
            .create_rooms
            .iter()
            .map(|(&id, room)| Unit::CreateRoom(id, room)),
    );
    units.extend(
        changes
            .move_limits
            .iter()
            .map(|(&room, &l)| Unit::MoveLimit(room, l)),
    );
    units.extend(links::groups(&changes.relink).into_iter().map(Unit::Relink));
    units.extend(changes.repair.map(Unit::FrameLast));
    units
}

impl Unit<'_> {
    fn emit(&self, script: &mut Script) {
        match self {
            Self::DeleteTable => {
                let label = Label {
                    verb: DELETE,
                    what: What::Table,
                };
                script.push(NFT_MSG_DELTABLE, NlmF::empty(), label, frame::emit_table);
            }
            Self::Unhook => {
                for direction in Direction::BOTH {
                    // Which of the two exist is not known here. Added without a hook, one that
                    // exists stays as it is, and both can then be deleted.
                    let label = Label {
                        verb: DELETE,
                        what: What::BaseChain(direction),
                    };
                    script.push(NFT_MSG_NEWCHAIN, NlmF::CREATE, label, |a| {
                        room::emit_chain(a, frame::chain_name(direction));
                    });
                    delete_base_chain(script, direction);
                }
            }
            Self::FrameFirst(found) => emit_frame_first(script, found),
            Self::FrameLast(found) => emit_frame_last(script, found),
            Self::Epoch(change) => emit_epoch(script, change),
            Self::DeleteRoom(room, parts) => emit_room_deletion(script, *room, *parts),
            Self::CreateRoom(id, room) => emit_room(script, *id, room),
            Self::MoveLimit(room, limit) => {
                let label = Label {
                    verb: CHANGE,
                    what: What::Quota(*room),
                };
                script.push(NFT_MSG_NEWOBJ, NlmF::CREATE, label, |a| {
                    object::emit_quota(a, &room.quota(), *limit);
                });
            }
            Self::Relink(links) => links::emit(script, links),
        }
    }
}

fn map_piece(found: &Frame, direction: Direction) -> Piece {
    match direction {
        Direction::In => found.ingress,
        Direction::Out => found.egress,
    }
}

fn chain_piece(found: &Frame, direction: Direction) -> Piece {
    match direction {
        Direction::In => found.input,
        Direction::Out => found.output,
    }
}

/// A base chain names its map in its rules, so it goes and comes with it.
fn is_chain_due(found: &Frame, direction: Direction) -> bool {
    [map_piece(found, direction), chain_piece(found, direction)]
        .iter()
        .any(|&piece| piece != Piece::Intact)
}

fn emit_frame_first(script: &mut Script, found: &Frame) {
    if found.table != Piece::Intact {
        let label = Label {
            verb: ADD,
            what: What::Table,
        };
        script.push(NFT_MSG_NEWTABLE, NlmF::CREATE, label, frame::emit_table);
    }
    for direction in Direction::BOTH {
        if is_chain_due(found, direction) && chain_piece(found, direction) != Piece::Missing {
            delete_base_chain(script, direction);
        }
        if map_piece(found, direction) == Piece::Damaged {
            let label = Label {
                verb: DELETE,
                what: What::Map(direction),
            };
            script.push(NFT_MSG_DELSET, NlmF::empty(), label, |a| {
                frame::emit_map_name(a, direction);
            });
        }
        if map_piece(found, direction) != Piece::Intact {
            let label = Label {
                verb: ADD,
                what: What::Map(direction),
            };
            script.push(NFT_MSG_NEWSET, NlmF::CREATE | NlmF::EXCL, label, |a| {
                frame::emit_map(a, direction);
            });
        } else if is_chain_due(found, direction) {
            // The map is filled already: nothing is gained by waiting.
            emit_base_chain(script, direction);
        }
    }
}

fn emit_frame_last(script: &mut Script, found: &Frame) {
    for direction in Direction::BOTH {
        if map_piece(found, direction) != Piece::Intact {
            emit_base_chain(script, direction);
        }
    }
}

fn delete_base_chain(script: &mut Script, direction: Direction) {
    let label = Label {
        verb: DELETE,
        what: What::BaseChain(direction),
    };
    script.push(NFT_MSG_DELCHAIN, NlmF::empty(), label, |a| {
        room::emit_chain(a, frame::chain_name(direction));
    });
}

fn emit_base_chain(script: &mut Script, direction: Direction) {
    let label = Label {
        verb: ADD,
        what: What::BaseChain(direction),
    };
    script.push(NFT_MSG_NEWCHAIN, NlmF::CREATE | NlmF::EXCL, label, |a| {
        frame::emit_chain(a, direction);
    });
    for rule in frame::rules(direction) {
        let label = Label {
            verb: "add a rule to",
            what: What::BaseChain(direction),
        };
        emit_rule(script, label, frame::chain_name(direction), &rule);
    }
}

fn emit_rule(script: &mut Script, label: Label, chain: &str, rule: &[crate::expr::Expr<'_>]) {
    script.push(NFT_MSG_NEWRULE, NlmF::CREATE | NlmF::APPEND, label, |a| {
        frame::emit_rule(a, chain, rule);
    });
}

fn emit_epoch(script: &mut Script, change: &EpochChange) {
    for &epoch in change.remove.iter().filter(|&&epoch| epoch != change.add) {
        let label = Label {
            verb: DELETE,
            what: What::Epoch(epoch),
        };
        script.push(NFT_MSG_DELCHAIN, NlmF::empty(), label, |a| {
            room::emit_chain(a, &epoch.chain());
        });
    }
    let label = Label {
        verb: ADD,
        what: What::Epoch(change.add),
    };
    script.push(NFT_MSG_NEWCHAIN, NlmF::CREATE, label, |a| {
        room::emit_chain(a, &change.add.chain());
    });
}

fn emit_room_deletion(script: &mut Script, id: RoomId, parts: Parts) {
    let exists = |direction| match direction {
        Direction::In => (parts.in_chain, parts.in_counter),
        Direction::Out => (parts.out_chain, parts.out_counter),
    };
    // A chain takes its rules along, and they name the objects: so it goes first.
    for (direction, name) in room::chains(id) {
        if exists(direction).0 {
            let label = Label {
                verb: DELETE,
                what: What::Chain(id, direction),
            };
            script.push(NFT_MSG_DELCHAIN, NlmF::empty(), label, |a| {
                room::emit_chain(a, &name)
            });
        }
    }
    for (direction, name) in room::chains(id) {
        if exists(direction).1 {
            let label = Label {
                verb: DELETE,
                what: What::Counter(id, direction),
            };
            script.push(NFT_MSG_DELOBJ, NlmF::empty(), label, |a| {
                object::emit_name(a, NFT_OBJECT_COUNTER, &name);
            });
        }
    }
    if parts.quota {
        let label = Label {
            verb: DELETE,
            what: What::Quota(id),
        };
        script.push(NFT_MSG_DELOBJ, NlmF::empty(), label, |a| {
            object::emit_name(a, NFT_OBJECT_QUOTA, &id.quota());
        });
    }
}

fn emit_room(script: &mut Script, id: RoomId, wanted: &Room) {
    // EXCL: a room that is there already would be mistaken for one that counts from zero.
    let new = NlmF::CREATE | NlmF::EXCL;
    let quota = id.quota();
    if let Some(wanted) = wanted.quota {
        let label = Label {
            verb: ADD,
            what: What::Quota(id),
        };
        script.push(NFT_MSG_NEWOBJ, new, label, |a| {
            object::emit_quota(a, &quota, wanted.limit)
        });
    }
    for (direction, name) in room::chains(id) {
        let label = Label {
            verb: ADD,
            what: What::Counter(id, direction),
        };
        script.push(NFT_MSG_NEWOBJ, new, label, |a| {
            object::emit_counter(a, &name)
        });
        let label = Label {
            verb: ADD,
            what: What::Chain(id, direction),
        };
        script.push(NFT_MSG_NEWCHAIN, new, label, |a| room::emit_chain(a, &name));
        let label = Label {
            verb: "add a rule to",
            what: What::Chain(id, direction),
        };
        if wanted
            .quota
            .is_some_and(|quota| quota.metered.covers(direction))
        {
            emit_rule(script, label, &name, &room::quota_rule(&quota));
        }
        emit_rule(script, label, &name, &room::counter_rule(&name));
    }
}
