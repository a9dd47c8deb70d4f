//! What a request changes, for saying it in words.

use std::collections::BTreeMap;

use crate::config::{Config, Service};
use crate::port::PortRange;

/// What a request changes about one service, for saying it in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It is new.
    Added(Service),
    /// It goes.
    Removed,
    /// Its settings change.
    Changed {
        /// As it is.
        from: Service,
        /// As it will be.
        to: Service,
    },
}

/// Returns which services differ, and how.
pub fn differences(before: &Config, after: &Config) -> BTreeMap<PortRange, Difference> {
    let mut differences = BTreeMap::new();
    for (&ports, from) in &before.services {
        match after.services.get(&ports) {
            None => {
                differences.insert(ports, Difference::Removed);
            }
            Some(to) if to != from => {
                let (from, to) = (from.clone(), to.clone());
                differences.insert(ports, Difference::Changed { from, to });
            }
            Some(_) => {}
        }
    }
    for (&ports, service) in &after.services {
        if !before.services.contains_key(&ports) {
            differences.insert(ports, Difference::Added(service.clone()));
        }
    }
    differences
}
