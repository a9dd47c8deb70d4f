//! What the operator should know, which stops nothing.

use std::ops::RangeInclusive;

use time::Date;

use super::guard::ephemeral_overlap;
use super::{Context, Request};
use crate::calendar::ResetPolicy;
use crate::config::{Config, GroupName, Service};
use crate::holder::Holder;
use crate::port::PortRange;

/// Something the operator should know, which stops nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// The host takes ports of this service for connections of its own.
    Ephemeral {
        /// The service.
        ports: PortRange,
        /// The overlap.
        overlap: PortRange,
    },
    /// Not blocked by the operator any more, but by a quota.
    StillSpent {
        /// The service.
        ports: PortRange,
        /// Whose quota is spent: its own, or its group's.
        holder: Holder,
    },
    /// Not blocked by the operator any more, but its last day has passed.
    StillExpired(PortRange),
    /// Its one reset would have been on a date that has passed.
    NoResetToCome {
        /// The service.
        ports: PortRange,
        /// The date.
        date: Date,
    },
    /// The one reset of a group would have been on a date that has passed.
    NoGroupResetToCome {
        /// The group.
        group: GroupName,
        /// The date.
        date: Date,
    },
    /// Its last day has passed: it is cut off at once.
    PastExpiry {
        /// The service.
        ports: PortRange,
        /// That day.
        last_day: Date,
    },
    /// A punishment that is no slower than what brings it about, or than the limits that it has
    /// anyway.
    PunishesNothing(PortRange),
}

impl Request {
    /// Returns what the operator should know about the services and groups it touches.
    ///
    /// `ephemeral` is the range from which the host takes ports for its own connections,
    /// `reserved` those it leaves out of it.
    pub fn warnings(
        &self,
        before: &Config,
        after: &Config,
        context: &Context,
        ephemeral: Option<RangeInclusive<u16>>,
        reserved: &[PortRange],
    ) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (&ports, service) in &after.services {
            let old = before.services.get(&ports);
            if old == Some(service) {
                continue;
            }
            if old.is_none()
                && let Some(overlap) = ephemeral_overlap(ports, ephemeral.as_ref(), reserved)
            {
                warnings.push(Warning::Ephemeral { ports, overlap });
            }
            warnings.extend(about_service(ports, service, old, context));
        }
        for (name, group) in &after.groups {
            let old = before.groups.get(name).and_then(|old| old.reset);
            if let Some(date) = passed(group.reset, old, context) {
                let group = name.clone();
                warnings.push(Warning::NoGroupResetToCome { group, date });
            }
        }
        for ports in self.unblocked(before, after) {
            if context.expired.contains(&ports) {
                warnings.push(Warning::StillExpired(ports));
            }
            if let Some(service) = after.services.get(&ports)
                && context.spent.contains(&ports)
            {
                let holder = service.holder(ports);
                warnings.push(Warning::StillSpent { ports, holder });
            }
        }
        warnings
    }

    /// Returns the services that the operator wants to let through again.
    fn unblocked(&self, before: &Config, after: &Config) -> Vec<PortRange> {
        match self {
            Self::Unblock { ports } => ports.resolve(after).unwrap_or_default(),
            Self::Restore { .. } | Self::Adopt(_) => {
                let is_blocked = |config: &Config, ports: &PortRange| {
                    config
                        .services
                        .get(ports)
                        .is_some_and(|service| service.blocked)
                };
                let services = after.services.keys().copied();
                services
                    .filter(|ports| is_blocked(before, ports) && !is_blocked(after, ports))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

fn about_service(
    ports: PortRange,
    service: &Service,
    old: Option<&Service>,
    context: &Context,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(date) = passed(service.reset, old.and_then(|old| old.reset), context) {
        warnings.push(Warning::NoResetToCome { ports, date });
    }
    if let Some(last_day) = service.expires
        && old.and_then(|old| old.expires) != service.expires
        && context.today.is_some_and(|today| last_day < today)
    {
        warnings.push(Warning::PastExpiry { ports, last_day });
    }
    let limits = [service.limit, service.limit_in];
    let is_slow = |limit: &Option<_>, punish| limit.is_some_and(|limit| limit <= punish);
    if let Some(rule) = service.dynqos
        && (rule.trigger <= rule.punish || limits.iter().all(|limit| is_slow(limit, rule.punish)))
    {
        warnings.push(Warning::PunishesNothing(ports));
    }
    warnings
}

/// Returns the date of a policy that comes once, where it is new and has passed.
fn passed(
    policy: Option<ResetPolicy>,
    old: Option<ResetPolicy>,
    context: &Context,
) -> Option<Date> {
    match policy {
        Some(ResetPolicy::Once(date)) if old != policy => context
            .today
            .is_some_and(|today| date <= today)
            .then_some(date),
        _ => None,
    }
}
