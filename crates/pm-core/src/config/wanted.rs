//! The services and groups that somebody wants, of a configuration that may have others: what a
//! program says that knows how it is to be, and not what there is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Config, ConfigError, Contract, Group, GroupName, SCHEMA, Service, separate_services};
use crate::port::PortRange;
use crate::request::Refusal;

/// Wanted services and groups, each of them as a whole: what is not said of one has its default.
///
/// # Examples
///
/// ```
/// use pm_core::config::{Config, Wanted};
///
/// let present = Config::parse(r#"{"schema": 1, "services": {"80": {}, "443": {}}}"#)?;
/// let wanted = Wanted::parse(r#"{"services": {"443": {"quota": "5GB"}}}"#)?;
/// assert_eq!(wanted.over(&present, false)?.services.len(), 2);
/// assert_eq!(wanted.over(&present, true)?.services.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The schema of `config.json` that it follows; this version's where it is not said.
    #[serde(default = "present_schema")]
    schema: u32,
    #[serde(default)]
    groups: BTreeMap<GroupName, Group>,
    #[serde(default, deserialize_with = "separate_services")]
    services: BTreeMap<PortRange, Service>,
}

impl Wanted {
    /// Returns what `text` says.
    ///
    /// # Errors
    ///
    /// `Invalid`, `NewerSchema`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wanted: Self =
            serde_json::from_str(text).map_err(|error| ConfigError::invalid(&error))?;
        if wanted.schema > SCHEMA {
            return Err(ConfigError::NewerSchema {
                found: wanted.schema.into(),
            });
        }
        Ok(wanted)
    }

    /// Returns the configuration with everything as it is wanted. Others stay, unless `prune`.
    ///
    /// # Errors
    ///
    /// `Member` for a contract of who is in a group, `Overlap` and `NoSuchGroup` for what does not
    /// fit together, or does not fit what stays.
    pub fn over(&self, present: &Config, prune: bool) -> Result<Config, Refusal> {
        let mut next = present.clone();
        if prune {
            next.groups.retain(|name, _| self.groups.contains_key(name));
            next.services
                .retain(|ports, _| self.services.contains_key(ports));
        }
        for (name, wanted) in &self.groups {
            let was = present.groups.get(name).map(Group::contract);
            let group = said(wanted.contract(), was).into();
            next.groups.insert(name.clone(), group);
        }
        for (&ports, wanted) in &self.services {
            if let Some(existing) = next.overlapping(ports).filter(|&other| other != ports) {
                let wanted = ports;
                return Err(Refusal::Overlap { wanted, existing });
            }
            let mut service = wanted.clone();
            let was = present.services.get(&ports);
            match &wanted.group {
                Some(group) if wanted.contract() != Contract::default() => {
                    let group = group.clone();
                    return Err(Refusal::Member { ports, group });
                }
                Some(_) => {}
                None => {
                    let was = was.filter(|was| was.group.is_none());
                    service.set_contract(said(wanted.contract(), was.map(Service::contract)));
                }
            }
            next.services.insert(ports, service);
        }
        let mut groups = next.services.values().filter_map(|one| one.group.as_ref());
        if let Some(name) = groups.find(|name| !next.groups.contains_key(*name)) {
            return Err(Refusal::NoSuchGroup(name.clone()));
        }
        Ok(next)
    }
}

/// Returns a contract such that a request can lead to it: when periods end can be said, not
/// unsaid.
fn said(mut contract: Contract, was: Option<Contract>) -> Contract {
    if contract.reset.is_none() && was.is_some_and(|was| was.reset.is_some()) {
        contract.reset = Some(contract.reset_policy());
    }
    contract
}

fn present_schema() -> u32 {
    SCHEMA
}
