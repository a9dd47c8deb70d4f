//! Rooms and quotas, made, changed and deleted.

use pm_core::ruleset::{Direction, LimitId, Parts, QuotaId, Refit, Room, RoomId};
use pm_netlink::NlmF;
use pm_netlink::nf_tables::*;

use super::frame;
use crate::object;
use crate::room::{Contents, RoomChain, emit_chain};
use crate::script::{ADD, CHANGE, DELETE, Script, What};

// EXCL: an object that is there already would be mistaken for one that counts from zero.
const NEW: NlmF = NlmF::CREATE.union(NlmF::EXCL);

/// Appends a quota that has counted nothing.
pub(super) fn create_quota(script: &mut Script, id: &QuotaId, limit: u64) {
    let what = What::Quota(id.clone());
    script.push(NFT_MSG_NEWOBJ, NEW, ADD, what, |a| {
        object::emit_quota(a, &id.to_string(), limit);
    });
}

/// Appends the new limit of a quota that counts on.
pub(super) fn move_limit(script: &mut Script, id: &QuotaId, limit: u64) {
    let what = What::Quota(id.clone());
    script.push(NFT_MSG_NEWOBJ, NlmF::CREATE, CHANGE, what, |a| {
        object::emit_quota(a, &id.to_string(), limit);
    });
}

/// Appends the deletion of a quota.
pub(super) fn delete_quota(script: &mut Script, id: &QuotaId) {
    let what = What::Quota(id.clone());
    delete_object(script, NFT_OBJECT_QUOTA, &id.to_string(), what);
}

/// Appends a room. Its quotas are there.
pub(super) fn create(script: &mut Script, id: RoomId, wanted: &Room) {
    for limit in Parts::of(wanted).limit_ids(id) {
        create_limit(script, limit);
    }
    for direction in Direction::BOTH {
        let chain = RoomChain::of(id, direction);
        let counter = What::Counter(id, direction);
        script.push(NFT_MSG_NEWOBJ, NEW, ADD, counter, |a| {
            object::emit_counter(a, &chain.name);
        });
        let what = What::Chain(id, direction);
        script.push(NFT_MSG_NEWCHAIN, NEW, ADD, what, |a| {
            emit_chain(a, &chain.name);
        });
        emit_rules(script, &chain, &Contents::of(wanted, direction));
    }
}

/// Appends the change of a room that is in use: its rules are taken out and put in again, so that
/// every packet meets all of the old ones or all of the new ones, and the counters go on.
pub(super) fn refit(script: &mut Script, id: RoomId, refit: &Refit) {
    let (from, to) = (Parts::of(&refit.from), Parts::of(&refit.to));
    for limit in to.limit_ids(id).filter(|id| !has(&from, id)) {
        create_limit(script, limit);
    }
    for direction in Direction::BOTH {
        let wanted = Contents::of(&refit.to, direction);
        if wanted != Contents::of(&refit.from, direction) {
            let chain = RoomChain::of(id, direction);
            let what = What::Chain(id, direction);
            frame::empty_chain(script, &chain.name, what);
            emit_rules(script, &chain, &wanted);
        }
    }
    for limit in from.limit_ids(id).filter(|id| !has(&to, id)) {
        delete_limit(script, limit);
    }
}

fn has(parts: &Parts, limit: &LimitId) -> bool {
    parts.limits.contains(&(limit.direction, limit.rate))
}

/// Appends the deletion of what there is of a room.
pub(super) fn delete(script: &mut Script, id: RoomId, parts: &Parts) {
    let exists = |direction| match direction {
        Direction::In => (parts.in_chain, parts.in_counter),
        Direction::Out => (parts.out_chain, parts.out_counter),
    };
    // A chain takes its rules along, and they name the objects: so it goes first.
    for direction in Direction::BOTH {
        if exists(direction).0 {
            let what = What::Chain(id, direction);
            frame::delete_chain(script, &id.chain(direction), what);
        }
    }
    for direction in Direction::BOTH {
        if exists(direction).1 {
            let what = What::Counter(id, direction);
            delete_object(script, NFT_OBJECT_COUNTER, &id.chain(direction), what);
        }
    }
    for limit in parts.limit_ids(id) {
        delete_limit(script, limit);
    }
}

fn emit_rules(script: &mut Script, chain: &RoomChain, contents: &Contents) {
    contents.rules(chain, |rule| {
        let what = What::Chain(chain.room, chain.direction);
        frame::add_rule(script, &chain.name, what, rule);
    });
}

fn create_limit(script: &mut Script, id: LimitId) {
    script.push(NFT_MSG_NEWOBJ, NEW, ADD, What::Limit(id), |a| {
        object::emit_limit(a, id);
    });
}

fn delete_limit(script: &mut Script, id: LimitId) {
    delete_object(script, NFT_OBJECT_LIMIT, &id.to_string(), What::Limit(id));
}

fn delete_object(script: &mut Script, kind: u32, name: &str, what: What) {
    script.push(NFT_MSG_DELOBJ, NlmF::empty(), DELETE, what, |a| {
        object::emit_name(a, kind, name);
    });
}
