//! What a request makes of the configuration, in the reference model's own words.

use pm_core::config::{Config, Contract, GroupName, Service};
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use time::Date;

/// The request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refused(pub(super) &'static str);

/// Returns the configuration after `request`. That a spent quota and a last day that has passed cannot be unblocked is for the caller to know.
///
/// # Errors
///
/// When it must be refused.
pub(super) fn after(config: &Config, request: &Request, today: Date) -> Result<Config, Refused> {
    let mut next = config.clone();
    match request {
        Request::Add {
            ports,
            settings,
            or_set,
        } => {
            for range in ports.iter() {
                let clash = next.services.keys().find(|service| service.overlaps(range));
                if clash.is_some_and(|&service| service != range || !or_set) {
                    return Err(Refused("monitored already"));
                }
                change(&mut next, range, settings, today)?;
            }
        }
        Request::Set {
            ports,
            settings,
            used,
        } => {
            if *settings == Settings::default() && used.is_none() {
                return Err(Refused("nothing to change"));
            }
            let chosen = chosen(config, ports)?;
            for &range in &chosen {
                change(&mut next, range, settings, today)?;
            }
            if used.is_some() {
                let is_member = chosen.iter().any(|range| group_of(&next, *range).is_some());
                if chosen.len() > 1 || is_member || settings.group.is_some() {
                    return Err(Refused("usage of one service in no group"));
                }
            }
        }
        Request::Delete { ports } => {
            for range in chosen(config, ports)? {
                next.services.remove(&range);
            }
        }
        Request::Reset { ports } => {
            let chosen = chosen(config, ports)?;
            let is_member = chosen
                .iter()
                .any(|range| group_of(config, *range).is_some());
            if is_member && *ports != Selection::All {
                return Err(Refused("a member's period is its group's"));
            }
        }
        Request::Block { ports } | Request::Unblock { ports } => {
            for range in chosen(config, ports)? {
                let service = next.services.entry(range).or_default();
                service.blocked = matches!(request, Request::Block { .. });
            }
        }
        Request::AddGroup {
            name,
            settings,
            or_set,
        } => {
            if config.groups.contains_key(name) && !or_set {
                return Err(Refused("there is such a group"));
            }
            let group = next.groups.entry(name.clone()).or_default();
            *group = agreed(group.contract(), settings, today).into();
        }
        Request::SetGroup {
            name,
            settings,
            used,
        } => {
            if *settings == ContractSettings::default() && used.is_none() {
                return Err(Refused("nothing to change"));
            }
            let group = next.groups.get_mut(name).ok_or(Refused("no such group"))?;
            *group = agreed(group.contract(), settings, today).into();
        }
        Request::DeleteGroup { name } => {
            if config
                .services
                .values()
                .any(|service| service.group.as_ref() == Some(name))
            {
                return Err(Refused("the group has services"));
            }
            next.groups.remove(name).ok_or(Refused("no such group"))?;
        }
        Request::ResetGroup { name } => {
            config.groups.get(name).ok_or(Refused("no such group"))?;
        }
        Request::SetTimeZone(zone) => next.time_zone.clone_from(zone),
        Request::SetLanguage(language) => next.language = *language,
        Request::SetClassifier(classifier) => next.classifier = *classifier,
        Request::Notify(_) | Request::Push(_) => {
            return Err(Refused("the model knows nobody who is told"));
        }
        Request::SetBackup(backup) => next.backup = *backup,
        Request::Restore {
            config: version, ..
        } => {
            next.clone_from(version);
            next.revision = config.revision;
        }
        // What it is refused for is in its books, which the model does not know.
        Request::Adopt(adoption) => {
            next.clone_from(&adoption.config);
            next.revision = config.revision;
        }
    }
    if next != *config {
        next.revision += 1;
    }
    Ok(next)
}

/// Returns the group that a service is in.
pub(super) fn group_of(config: &Config, range: PortRange) -> Option<&GroupName> {
    config.services.get(&range)?.group.as_ref()
}

/// Returns the contract by which a service is billed.
pub(super) fn contract_of(config: &Config, range: PortRange) -> Contract {
    let own = || config.services.get(&range).map(Service::contract);
    let group = group_of(config, range).and_then(|name| config.groups.get(name));
    group
        .map(|group| group.contract())
        .or_else(own)
        .unwrap_or_default()
}

/// Returns the services that are meant.
fn chosen(config: &Config, ports: &Selection) -> Result<Vec<PortRange>, Refused> {
    match ports {
        Selection::All if config.services.is_empty() => Err(Refused("there is no service")),
        Selection::All => Ok(config.services.keys().copied().collect()),
        Selection::Ports(ports) => {
            let known = ports
                .iter()
                .all(|range| config.services.contains_key(&range));
            known
                .then(|| ports.iter().collect())
                .ok_or(Refused("not monitored"))
        }
    }
}

fn change(
    next: &mut Config,
    range: PortRange,
    settings: &Settings,
    today: Date,
) -> Result<(), Refused> {
    let mut service = next.services.get(&range).cloned().unwrap_or_default();
    if let Some(group) = &settings.group {
        if group
            .as_ref()
            .is_some_and(|name| !next.groups.contains_key(name))
        {
            return Err(Refused("no such group"));
        }
        if service.group != *group {
            service.set_contract(Contract::default());
            service.group.clone_from(group);
        }
    }
    if settings.contract != ContractSettings::default() {
        if service.group.is_some() {
            return Err(Refused("a member's contract is its group's"));
        }
        service.set_contract(agreed(service.contract(), &settings.contract, today));
    }
    service.limit = settings.limit.unwrap_or(service.limit);
    service.limit_in = settings.limit_in.unwrap_or(service.limit_in);
    service.dynqos = settings.dynqos.unwrap_or(service.dynqos);
    service.expires = settings.expires.unwrap_or(service.expires);
    service.routed = settings.routed.unwrap_or(service.routed);
    service.note = settings.note.clone().unwrap_or(service.note);
    next.services.insert(range, service);
    Ok(())
}

fn agreed(mut contract: Contract, settings: &ContractSettings, today: Date) -> Contract {
    contract.quota = settings.quota.unwrap_or(contract.quota);
    contract.tariff.mode = settings.mode.unwrap_or(contract.tariff.mode);
    contract.tariff.factor = settings.factor.unwrap_or(contract.tariff.factor);
    if let Some(reset) = settings.reset {
        contract.reset = reset.applied(contract.reset, Some(today));
    }
    contract
}
