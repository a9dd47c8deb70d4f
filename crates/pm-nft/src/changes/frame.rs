//! The table, its maps, its base chains and its epoch, made and deleted.
//!
//! A base chain that stands in its place stays, whatever is in it: while one comes in the place of
//! another, a packet on its way can meet both, and be counted twice, or neither.

use pm_core::ruleset::{Direction, EpochChange, Frame, Piece};
use pm_netlink::NlmF;
use pm_netlink::nf_tables::*;

use crate::expr::Expr;
use crate::frame;
use crate::room;
use crate::script::{ADD, ADD_RULE, DELETE, EMPTY, Script, What};

/// Appends the deletion of the table.
pub(super) fn delete_table(script: &mut Script) {
    let what = What::Table;
    script.push(
        NFT_MSG_DELTABLE,
        NlmF::empty(),
        DELETE,
        what,
        frame::emit_table,
    );
}

/// Appends the deletion of the base chains, whichever of them exist.
pub(super) fn unhook(script: &mut Script) {
    for direction in Direction::BOTH {
        let what = What::BaseChain(direction);
        delete_if_there(script, frame::chain_name(direction), what);
    }
}

/// Appends the deletion of a base chain, whether or not it exists.
pub(super) fn delete_if_there(script: &mut Script, chain: &str, what: What) {
    // Added without a hook, one that exists stays as it is, and both can then be deleted.
    script.push(NFT_MSG_NEWCHAIN, NlmF::CREATE, DELETE, what.clone(), |a| {
        room::emit_chain(a, chain);
    });
    delete_chain(script, chain, what);
}

/// Appends the deletion of a chain.
pub(super) fn delete_chain(script: &mut Script, chain: &str, what: What) {
    script.push(NFT_MSG_DELCHAIN, NlmF::empty(), DELETE, what, |a| {
        room::emit_chain(a, chain);
    });
}

/// Appends the deletion of all rules of a chain.
pub(super) fn empty_chain(script: &mut Script, chain: &str, what: What) {
    script.push(NFT_MSG_DELRULE, NlmF::empty(), EMPTY, what, |a| {
        frame::emit_rule_place(a, chain);
    });
}

/// Appends a rule at the end of a chain.
pub(super) fn add_rule(script: &mut Script, chain: &str, what: What, rule: &[Expr<'_>]) {
    let flags = NlmF::CREATE | NlmF::APPEND;
    script.push(NFT_MSG_NEWRULE, flags, ADD_RULE, what, |a| {
        frame::emit_rule(a, chain, rule);
    });
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

/// A base chain names its map in its rules, so these go and come with it.
fn are_rules_due(found: &Frame, direction: Direction) -> bool {
    [map_piece(found, direction), chain_piece(found, direction)]
        .iter()
        .any(|&piece| piece != Piece::Intact)
}

/// Appends what links need: the table and the maps.
pub(super) fn emit_first(script: &mut Script, found: &Frame) {
    if found.table != Piece::Intact {
        let what = What::Table;
        script.push(NFT_MSG_NEWTABLE, NlmF::CREATE, ADD, what, frame::emit_table);
    }
    for direction in Direction::BOTH {
        let due = are_rules_due(found, direction);
        let (chain, what) = (frame::chain_name(direction), What::BaseChain(direction));
        match chain_piece(found, direction) {
            Piece::Damaged => delete_chain(script, chain, what),
            Piece::Altered | Piece::Intact if due => empty_chain(script, chain, what),
            Piece::Missing | Piece::Altered | Piece::Intact => {}
        }
        let map = What::Map(direction);
        if map_piece(found, direction) == Piece::Damaged {
            script.push(NFT_MSG_DELSET, NlmF::empty(), DELETE, map.clone(), |a| {
                frame::emit_map_name(a, direction);
            });
        }
        if map_piece(found, direction) != Piece::Intact {
            let new = NlmF::CREATE | NlmF::EXCL;
            script.push(NFT_MSG_NEWSET, new, ADD, map, |a| {
                frame::emit_map(a, direction);
            });
        } else if due {
            // The map is filled already: nothing is gained by waiting.
            emit_base_chain(script, found, direction);
        }
    }
}

/// Appends what must meet the links in place: the rules that look into new maps.
pub(super) fn emit_last(script: &mut Script, found: &Frame) {
    for direction in Direction::BOTH {
        if map_piece(found, direction) != Piece::Intact {
            emit_base_chain(script, found, direction);
        }
    }
}

/// Appends a base chain, unless it stays, and its rules.
fn emit_base_chain(script: &mut Script, found: &Frame, direction: Direction) {
    let (chain, what) = (frame::chain_name(direction), What::BaseChain(direction));
    if let Piece::Missing | Piece::Damaged = chain_piece(found, direction) {
        let new = NlmF::CREATE | NlmF::EXCL;
        script.push(NFT_MSG_NEWCHAIN, new, ADD, what.clone(), |a| {
            frame::emit_chain(a, chain, frame::hook(direction));
        });
    }
    for rule in frame::rules(direction) {
        add_rule(script, chain, what.clone(), &rule);
    }
}

/// Appends the change of the epoch chain.
pub(super) fn emit_epoch(script: &mut Script, change: &EpochChange) {
    for &epoch in change.remove.iter().filter(|&&epoch| epoch != change.add) {
        delete_chain(script, &epoch.chain(), What::Epoch(epoch));
    }
    let what = What::Epoch(change.add);
    script.push(NFT_MSG_NEWCHAIN, NlmF::CREATE, ADD, what, |a| {
        room::emit_chain(a, &change.add.chain());
    });
}
