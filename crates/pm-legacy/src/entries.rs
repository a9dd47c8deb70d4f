//! The ports under which a tool keeps something.

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
/// Of two with a port in common the one with more ports stays, so that no port goes unmetered.
pub(crate) fn separate<T>(
    entries: impl IntoIterator<Item = (String, T)>,
) -> (Vec<Entry<T>>, Vec<Doubt>) {
    let mut doubts = Vec::new();
    let mut doubt = |key: &str, trouble| {
        let about = Subject::Entry(shown(key));
        doubts.push(Doubt { about, trouble });
    };
    let mut found: Vec<Entry<T>> = Vec::new();
    for (key, kept) in entries {
        match key.parse::<PortList>() {
            Ok(list) => found.push(Entry {
                ports: list.iter().collect(),
                key,
                kept,
            }),
            Err(_) => doubt(&key, Trouble::NotPorts),
        }
    }
    found.sort_by_key(|entry| (std::cmp::Reverse(count(&entry.ports)), entry.ports.clone()));
    let mut separate: Vec<Entry<T>> = Vec::new();
    for entry in found {
        let taken = separate.iter().flat_map(|other| other.ports.iter());
        let overlap = taken.copied().find(|other| {
            let mut ports = entry.ports.iter();
            ports.any(|ports| ports.overlaps(*other))
        });
        match overlap {
            Some(other) => doubt(&entry.key, Trouble::Overlaps(other)),
            None => separate.push(entry),
        }
    }
    separate.sort_by(|a, b| a.ports.cmp(&b.ports));
    (separate, doubts)
}

fn count(ports: &[PortRange]) -> u32 {
    let counts = ports
        .iter()
        .map(|range| u32::from(range.last() - range.first()) + 1);
    counts.sum()
}
