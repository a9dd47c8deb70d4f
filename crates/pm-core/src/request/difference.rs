//! What a request changes, for saying it in words.

use std::collections::BTreeMap;

use crate::config::{Config, Group, GroupName, Service};
use crate::port::PortRange;

/// What a request changes about one service or group, for saying it in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference<T> {
    /// It is new.
    Added(T),
    /// It goes.
    Removed,
    /// Its settings change.
    Changed {
        /// As it is.
        from: T,
        /// As it will be.
        to: T,
    },
}

/// Returns which services differ, and how.
pub fn differences(before: &Config, after: &Config) -> BTreeMap<PortRange, Difference<Service>> {
    between(&before.services, &after.services)
}

/// Returns which groups differ, and how.
pub fn group_differences(
    before: &Config,
    after: &Config,
) -> BTreeMap<GroupName, Difference<Group>> {
    between(&before.groups, &after.groups)
}

fn between<K: Clone + Ord, T: Clone + Eq>(
    before: &BTreeMap<K, T>,
    after: &BTreeMap<K, T>,
) -> BTreeMap<K, Difference<T>> {
    let mut differences = BTreeMap::new();
    for (key, from) in before {
        match after.get(key) {
            None => {
                differences.insert(key.clone(), Difference::Removed);
            }
            Some(to) if to != from => {
                let (from, to) = (from.clone(), to.clone());
                differences.insert(key.clone(), Difference::Changed { from, to });
            }
            Some(_) => {}
        }
    }
    for (key, added) in after.iter().filter(|(key, _)| !before.contains_key(key)) {
        differences.insert(key.clone(), Difference::Added(added.clone()));
    }
    differences
}
