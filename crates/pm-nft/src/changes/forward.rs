//! The forward chain and its set, made, changed and deleted.
//!
//! - A chain that is as pm makes it stays and only its rules change: while one base chain comes
//!   in the place of another, a packet on its way can meet both, or neither.
//! - So does a set: one that is made anew holds nothing for the first moment.

use std::collections::BTreeSet;
use std::mem::take;

use pm_core::port::PortRange;
use pm_core::ruleset::{Forwarding, ForwardingChange, InstalledForwarding};
use pm_netlink::NlmF;
use pm_netlink::nf_tables::*;

use super::frame;
use super::links::INTERVALS_A_MESSAGE;
use crate::element::{self, Interval};
use crate::forward::{self, CHAIN, SET};
use crate::frame::emit_chain;
use crate::script::{ADD, DELETE, Script, What};

const NEW: NlmF = NlmF::CREATE.union(NlmF::EXCL);

/// A part of the way, in one batch.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Deletes what there is.
    Delete(&'a InstalledForwarding),
    /// Makes the set.
    CreateSet,
    /// Adds ranges to a set that no rule names yet.
    Fill(Vec<PortRange>),
    /// Removes ranges, then adds others: of those that overlap, the old ones must be gone first.
    Exchange {
        removed: Vec<PortRange>,
        added: Vec<PortRange>,
    },
    /// Makes the chain and its rules.
    CreateChain(&'a Forwarding),
    /// Puts other rules into the chain, and deletes the set where none names it any more.
    ChangeRules {
        to: &'a Forwarding,
        delete_set: bool,
    },
}

/// Returns the chain's contents before a change, where it can stay.
fn kept(change: &ForwardingChange) -> Option<&Forwarding> {
    let found = change.from.intact.as_ref();
    found.filter(|found| !found.is_nothing() && !change.to.is_nothing())
}

/// Returns the steps, each of which stays in one batch.
pub(super) fn steps(change: &ForwardingChange) -> Vec<Step<'_>> {
    let to = &change.to;
    let mut steps = Vec::new();
    let Some(from) = kept(change) else {
        if !change.anew {
            steps.push(Step::Delete(&change.from));
        }
        steps.extend(new_set(to));
        if !to.is_nothing() {
            steps.push(Step::CreateChain(to));
        }
        return steps;
    };
    if from.routed.is_empty() {
        steps.extend(new_set(to));
    } else if !to.routed.is_empty() {
        steps.extend(exchanges(&from.routed, &to.routed));
    }
    let shape = |forwarding: &Forwarding| (forwarding.dnat, forwarding.routed.is_empty());
    if change.anew || shape(from) != shape(to) {
        steps.push(Step::ChangeRules {
            to,
            delete_set: !from.routed.is_empty() && to.routed.is_empty(),
        });
    }
    steps
}

fn new_set(to: &Forwarding) -> Vec<Step<'_>> {
    let ranges: Vec<PortRange> = to.routed.iter().copied().collect();
    let mut steps = Vec::new();
    if !ranges.is_empty() {
        steps.push(Step::CreateSet);
        let chunks = ranges.chunks(INTERVALS_A_MESSAGE);
        steps.extend(chunks.map(|chunk| Step::Fill(chunk.to_vec())));
    }
    steps
}

/// Groups the changes of the set so that ranges which overlap change together.
fn exchanges<'a>(from: &BTreeSet<PortRange>, to: &BTreeSet<PortRange>) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let mut last = 0;
    for &ports in from.symmetric_difference(to) {
        if removed.len() + added.len() >= INTERVALS_A_MESSAGE && ports.first() > last {
            let (removed, added) = (take(&mut removed), take(&mut added));
            steps.push(Step::Exchange { removed, added });
        }
        last = last.max(ports.last());
        let list = if to.contains(&ports) {
            &mut added
        } else {
            &mut removed
        };
        list.push(ports);
    }
    steps.push(Step::Exchange { removed, added });
    steps
}

/// Appends what frees the maps of the chain's rules, before they are deleted.
pub(super) fn free_maps(script: &mut Script, change: &ForwardingChange) {
    if kept(change).is_some() {
        empty_chain(script);
    } else {
        delete(script, &change.from);
    }
}

/// Appends one step.
pub(super) fn emit(script: &mut Script, step: &Step<'_>) {
    match step {
        Step::Delete(found) => delete(script, found),
        Step::CreateSet => {
            script.push(NFT_MSG_NEWSET, NEW, ADD, What::RoutedSet, forward::emit_set);
        }
        Step::Fill(ranges) => emit_elements(script, ADD, ranges),
        Step::Exchange { removed, added } => {
            emit_elements(script, DELETE, removed);
            emit_elements(script, ADD, added);
        }
        Step::CreateChain(to) => {
            script.push(NFT_MSG_NEWCHAIN, NEW, ADD, What::ForwardChain, |a| {
                emit_chain(a, CHAIN, NF_INET_FORWARD);
            });
            emit_rules(script, to);
        }
        Step::ChangeRules { to, delete_set } => {
            empty_chain(script);
            if *delete_set {
                delete_routed(script);
            }
            emit_rules(script, to);
        }
    }
}

fn delete(script: &mut Script, found: &InstalledForwarding) {
    if found.chain {
        frame::delete_chain(script, CHAIN, What::ForwardChain);
    }
    if found.set {
        delete_routed(script);
    }
}

fn delete_routed(script: &mut Script) {
    let what = What::RoutedSet;
    script.push(NFT_MSG_DELSET, NlmF::empty(), DELETE, what, |a| {
        forward::emit_set_name(a);
    });
}

/// Appends the deletion of the chain, whether or not it exists.
pub(super) fn unhook(script: &mut Script) {
    frame::delete_if_there(script, CHAIN, What::ForwardChain);
}

fn empty_chain(script: &mut Script) {
    frame::empty_chain(script, CHAIN, What::ForwardChain);
}

fn emit_rules(script: &mut Script, to: &Forwarding) {
    for rule in forward::rules(to.dnat, !to.routed.is_empty()) {
        frame::add_rule(script, CHAIN, What::ForwardChain, &rule.expressions());
    }
}

fn emit_elements(script: &mut Script, verb: &'static str, ranges: &[PortRange]) {
    let (kind, flags) = match verb {
        DELETE => (NFT_MSG_DELSETELEM, NlmF::empty()),
        _ => (NFT_MSG_NEWSETELEM, NEW),
    };
    for chunk in ranges.chunks(INTERVALS_A_MESSAGE) {
        let Some(&first) = chunk.first() else {
            continue;
        };
        let intervals: Vec<Interval> = chunk
            .iter()
            .map(|&ports| Interval {
                ports,
                target: None,
            })
            .collect();
        script.push(kind, flags, verb, What::RoutedElements(first), |a| {
            element::emit(a, SET, &intervals);
        });
    }
}
