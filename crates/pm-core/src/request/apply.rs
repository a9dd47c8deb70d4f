//! From one configuration to the next.

use std::collections::BTreeSet;

use super::guard::guard_ssh;
use super::{Context, ContractSettings, Refusal, Request, Selection, Settings};
use crate::config::{Config, Group, GroupName, Service};
use crate::holder::Holder;
use crate::port::PortRange;
use crate::units::Size;

impl Request {
    /// Returns the configuration after the request, its revision one higher where it differs.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn apply(&self, config: &Config, context: &Context) -> Result<Config, Refusal> {
        if let (Some(reason), true) = (&context.no_shaping, self.needs_shaping(config)) {
            let reason = reason.clone();
            return Err(match *self {
                Self::SetClassifier(classifier) => Refusal::NoClassifier { classifier, reason },
                _ => Refusal::NoShaping(reason),
            });
        }
        let mut next = config.clone();
        // The holders of whose quotas more may be used up after this than before.
        let mut corrected = BTreeSet::new();
        match self {
            Self::Add {
                ports,
                settings,
                or_set,
            } => {
                for range in ports.iter() {
                    add(&mut next, range, settings, *or_set, context)?;
                }
            }
            Self::Set {
                ports,
                settings,
                used,
            } => corrected.extend(set_all(&mut next, ports, settings, *used, context)?),
            Self::Delete { ports } => {
                for range in ports.resolve(config)? {
                    next.services.remove(&range);
                }
            }
            Self::Reset { ports } => {
                let selected = ports.resolve(config)?;
                if let Selection::Ports(_) = ports {
                    for range in selected {
                        refuse_member(config, range)?;
                    }
                }
            }
            Self::Block { ports } => {
                for range in ports.resolve(config)? {
                    next.services.entry(range).or_default().blocked = true;
                }
            }
            Self::Unblock { ports } => unblock(&mut next, ports, context)?,
            Self::AddGroup {
                name,
                settings,
                or_set,
            } => {
                if config.groups.contains_key(name) && !or_set {
                    return Err(Refusal::GroupExists(name.clone()));
                }
                settings.apply(next.groups.entry(name.clone()).or_default(), context)?;
            }
            Self::SetGroup {
                name,
                settings,
                used,
            } => corrected.extend(set_group(&mut next, name, settings, *used, context)?),
            Self::DeleteGroup { name } => delete_group(&mut next, name)?,
            Self::ResetGroup { name } => {
                group(&mut next, name)?;
            }
            Self::SetTimeZone(zone) => next.time_zone.clone_from(zone),
            Self::SetLanguage(language) => next.language = *language,
            Self::SetClassifier(classifier) => next.classifier = *classifier,
            Self::Notify(change) => change.apply(&mut next)?,
            Self::Push(change) => change.apply(&mut next.push)?,
            Self::SetBackup(backup) => next.backup = *backup,
            Self::Restore {
                config: restored, ..
            } => next = replaced(config, restored),
            Self::Adopt(adoption) => {
                adoption.check(config)?;
                corrected.extend(adoption.corrected());
                next = replaced(config, &adoption.config);
            }
        }
        guard_ssh(config, &next, &corrected, context)?;
        if next != *config {
            next.revision = config.revision.saturating_add(1);
        }
        Ok(next)
    }
}

fn replaced(present: &Config, by: &Config) -> Config {
    Config {
        schema: present.schema,
        revision: present.revision,
        ..by.clone()
    }
}

fn add(
    next: &mut Config,
    range: PortRange,
    settings: &Settings,
    or_set: bool,
    context: &Context,
) -> Result<(), Refusal> {
    match next.overlapping(range) {
        Some(existing) if existing == range && or_set => {}
        Some(existing) => {
            return Err(Refusal::Overlap {
                wanted: range,
                existing,
            });
        }
        None => {}
    }
    set(next, range, settings, context)
}

/// Changes a service, or makes it.
fn set(
    next: &mut Config,
    range: PortRange,
    settings: &Settings,
    context: &Context,
) -> Result<(), Refusal> {
    let mut service = next.services.get(&range).cloned().unwrap_or_default();
    settings.apply(range, &mut service, next, context)?;
    next.services.insert(range, service);
    Ok(())
}

/// Changes services, and returns the one of which more may be used up than before.
fn set_all(
    next: &mut Config,
    ports: &Selection,
    settings: &Settings,
    used: Option<Size>,
    context: &Context,
) -> Result<Option<Holder>, Refusal> {
    if *settings == Settings::default() && used.is_none() {
        return Err(Refusal::Nothing);
    }
    let selected = ports.resolve(next)?;
    for &range in &selected {
        set(next, range, settings, context)?;
    }
    let Some(used) = used else { return Ok(None) };
    let &[range] = &selected[..] else {
        return Err(Refusal::UsedOfSeveral);
    };
    refuse_member(next, range)?;
    if settings.group.is_some() {
        return Err(Refusal::UsedWithGroup);
    }
    Ok((used.bytes() > 0).then_some(Holder::Service(range)))
}

/// Changes a group, and returns it if more may be used up of it than before.
fn set_group(
    next: &mut Config,
    name: &GroupName,
    settings: &ContractSettings,
    used: Option<Size>,
    context: &Context,
) -> Result<Option<Holder>, Refusal> {
    if *settings == ContractSettings::default() && used.is_none() {
        return Err(Refusal::Nothing);
    }
    settings.apply(group(next, name)?, context)?;
    let is_used = used.is_some_and(|used| used.bytes() > 0);
    Ok(is_used.then(|| Holder::Group(name.clone())))
}

fn unblock(next: &mut Config, ports: &Selection, context: &Context) -> Result<(), Refusal> {
    for range in ports.resolve(next)? {
        let service = next.services.entry(range).or_default();
        let was_blocked = std::mem::take(&mut service.blocked);
        // Of all of them, some may well be cut off by something else.
        if let (Selection::Ports(_), false) = (ports, was_blocked) {
            refuse_shut(range, service, context)?;
        }
    }
    Ok(())
}

/// Refuses a service that the operator does not block and something else does.
fn refuse_shut(ports: PortRange, service: &Service, context: &Context) -> Result<(), Refusal> {
    if context.expired.contains(&ports) {
        return Err(Refusal::Expired(ports));
    }
    if context.spent.contains(&ports) {
        let holder = service.holder(ports);
        return Err(Refusal::Spent { ports, holder });
    }
    Ok(())
}

fn refuse_member(config: &Config, ports: PortRange) -> Result<(), Refusal> {
    match config
        .services
        .get(&ports)
        .and_then(|service| service.group.clone())
    {
        Some(group) => Err(Refusal::Member { ports, group }),
        None => Ok(()),
    }
}

fn group<'a>(config: &'a mut Config, name: &GroupName) -> Result<&'a mut Group, Refusal> {
    let group = config.groups.get_mut(name);
    group.ok_or_else(|| Refusal::NoSuchGroup(name.clone()))
}

fn delete_group(config: &mut Config, name: &GroupName) -> Result<(), Refusal> {
    let members: Vec<_> = config.members(name).collect();
    if !members.is_empty() {
        let group = name.clone();
        return Err(Refusal::HasMembers { group, members });
    }
    match config.groups.remove(name) {
        Some(_) => Ok(()),
        None => Err(Refusal::NoSuchGroup(name.clone())),
    }
}
