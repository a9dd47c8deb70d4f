//! The requests that lead from one configuration to another.

use super::{ContractSettings, Request, Selection, Settings};
use crate::config::{Config, Contract, Group, GroupName, Service};
use crate::port::{PortList, PortRange};

/// Returns the requests that lead from the services and groups of one configuration to those of
/// another, in an order in which each can be carried out.
///
/// When periods end can be said, and not be unsaid: where `before` says it, `after` must, too. A
/// member of a group has no contract of its own.
pub fn steps(before: &Config, after: &Config) -> Vec<Request> {
    let mut steps = Vec::new();
    let gone = before.services.keys().copied();
    let gone: Vec<PortRange> = gone
        .filter(|ports| !after.services.contains_key(ports))
        .collect();
    if !gone.is_empty()
        && let Ok(ports) = PortList::new(gone)
    {
        let ports = Selection::Ports(ports);
        steps.push(Request::Delete { ports });
    }
    for (name, group) in &after.groups {
        steps.extend(to_group(name, before.groups.get(name), group));
    }
    for (&ports, service) in &after.services {
        to_service(ports, before.services.get(&ports), service, &mut steps);
    }
    let gone = before.groups.keys();
    let gone = gone.filter(|name| !after.groups.contains_key(*name));
    steps.extend(gone.map(|name| Request::DeleteGroup { name: name.clone() }));
    steps
}

fn to_group(name: &GroupName, from: Option<&Group>, to: &Group) -> Option<Request> {
    let name = name.clone();
    let contract = to.contract();
    match from {
        None => Some(Request::AddGroup {
            name,
            settings: to_contract(Contract::default(), contract),
            or_set: false,
        }),
        Some(from) if from != to => Some(Request::SetGroup {
            name,
            settings: to_contract(from.contract(), contract),
            used: None,
        }),
        Some(_) => None,
    }
}

fn to_service(ports: PortRange, from: Option<&Service>, to: &Service, steps: &mut Vec<Request>) {
    let Ok(list) = PortList::new(vec![ports]) else {
        return;
    };
    let nobody = Service::default();
    let settings = to_settings(from.unwrap_or(&nobody), to);
    let ports = Selection::Ports(list.clone());
    match from {
        None => steps.push(Request::Add {
            ports: list,
            settings,
            or_set: false,
        }),
        Some(_) if settings != Settings::default() => steps.push(Request::Set {
            ports: ports.clone(),
            settings,
            used: None,
        }),
        Some(_) => {}
    }
    match (from.is_some_and(|from| from.blocked), to.blocked) {
        (false, true) => steps.push(Request::Block { ports }),
        (true, false) => steps.push(Request::Unblock { ports }),
        _ => {}
    }
}

fn to_settings(from: &Service, to: &Service) -> Settings {
    let regroups = from.group != to.group;
    // Who joins a group or leaves it has no contract then.
    let contract = match regroups {
        true => Contract::default(),
        false => from.contract(),
    };
    Settings {
        group: regroups.then(|| to.group.clone()),
        contract: to_contract(contract, to.contract()),
        limit: (from.limit != to.limit).then_some(to.limit),
        limit_in: (from.limit_in != to.limit_in).then_some(to.limit_in),
        dynqos: (from.dynqos != to.dynqos).then_some(to.dynqos),
        expires: (from.expires != to.expires).then_some(to.expires),
        routed: (from.routed != to.routed).then_some(to.routed),
        note: (from.note != to.note).then(|| to.note.clone()),
    }
}

fn to_contract(from: Contract, to: Contract) -> ContractSettings {
    let (was, is) = (from.tariff, to.tariff);
    ContractSettings {
        quota: (from.quota != to.quota).then_some(to.quota),
        mode: (was.mode != is.mode).then_some(is.mode),
        factor: (was.factor != is.factor).then_some(is.factor),
        reset: to.reset.filter(|_| from.reset != to.reset).map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Wanted;
    use crate::request::Context;
    use crate::strategies::config;

    /// A configuration whose members have no contract of their own.
    fn sound() -> impl Strategy<Value = Config> {
        config().prop_map(|mut config| {
            for service in config
                .services
                .values_mut()
                .filter(|one| one.group.is_some())
            {
                service.set_contract(Contract::default());
            }
            config
        })
    }

    proptest! {
        #[test]
        fn what_is_wanted_is_where_its_requests_lead(
            before in sound(),
            wanted in sound(),
            prune in any::<bool>(),
        ) {
            let value = serde_json::json!({"groups": wanted.groups, "services": wanted.services});
            let read = Wanted::parse(&value.to_string()).unwrap();
            let Ok(after) = read.over(&before, prune) else {
                // What stays overlaps, or is in a group that goes.
                return Ok(());
            };
            prop_assert!(after.check().is_ok());
            let context = Context { force: true, ..Context::default() };
            let mut now = before.clone();
            for step in steps(&before, &after) {
                now = step.apply(&now, &context).unwrap();
            }
            prop_assert_eq!(&now.services, &after.services);
            prop_assert_eq!(&now.groups, &after.groups);
            // Again, it changes nothing.
            let again = read.over(&now, prune).unwrap();
            prop_assert!(steps(&now, &again).is_empty());
        }
    }
}
