//! The ports under which a tool keeps something.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use pm_core::port::{PortList, PortRange};

use crate::doubt::{Doubt, Subject, Trouble};
use crate::text::shown;

/// What a tool keeps under one name.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// The name, as the tool writes it.
    pub(crate) key: String,
    /// The ports that it stands for, ascending.
    pub(crate) ports: Vec<PortRange>,
    /// What is kept.
    pub(crate) kept: T,
}

/// Returns the entries whose names are ports and that have none in common, by their first port,
/// and a doubt for each that is left out.
///
/// Of two with a port in common the one with more ports stays, so that no port goes unmetered; of
/// two spellings of the same, the usual one. `fits` says which ports the tool can keep under one
/// name.
pub(crate) fn separate<T>(
    entries: impl IntoIterator<Item = (String, T)>,
    fits: impl Fn(&[PortRange]) -> bool,
) -> (Vec<Entry<T>>, Vec<Doubt>) {
    let mut doubts = Vec::new();
    let mut doubt = |key: &str, trouble| {
        let about = Subject::Entry(shown(key));
        doubts.push(Doubt { about, trouble });
    };
    let mut found: Vec<Entry<T>> = Vec::new();
    for (key, kept) in entries {
        let list = key.parse::<PortList>().ok();
        let ports: Option<Vec<_>> = list.as_ref().map(|list| list.iter().collect());
        match ports.filter(|ports| fits(ports)) {
            Some(ports) => found.push(Entry { key, ports, kept }),
            None => doubt(&key, Trouble::NotPorts),
        }
    }
    found.sort_by_cached_key(|entry| {
        let ports = &entry.ports;
        let usual: Vec<_> = ports.iter().map(PortRange::to_string).collect();
        let is_unusual = entry.key != usual.join(",");
        (Reverse(count(ports)), ports.clone(), is_unusual)
    });
    let mut taken: BTreeSet<PortRange> = BTreeSet::new();
    let mut separate: Vec<Entry<T>> = Vec::new();
    for entry in found {
        let mut ports = entry.ports.iter();
        match ports.find_map(|&ports| overlapping(&taken, ports)) {
            Some(other) => doubt(&entry.key, Trouble::Overlaps(other)),
            None => {
                taken.extend(&entry.ports);
                separate.push(entry);
            }
        }
    }
    separate.sort_by(|a, b| a.ports.cmp(&b.ports));
    (separate, doubts)
}

/// Looks only at the neighbours: those that are taken do not overlap each other.
fn overlapping(taken: &BTreeSet<PortRange>, ports: PortRange) -> Option<PortRange> {
    let before = taken.range(..=ports).next_back();
    let after = taken.range(ports..).next();
    let mut neighbours = [before, after].into_iter().flatten().copied();
    neighbours.find(|other| other.overlaps(ports))
}

fn count(ports: &[PortRange]) -> u32 {
    let counts = ports
        .iter()
        .map(|range| u32::from(range.last() - range.first()) + 1);
    counts.sum()
}
