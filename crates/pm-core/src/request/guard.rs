//! What could hurt the operator: a lock-out from SSH, a bill for the host's own connections.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{Context, Refusal};
use crate::config::{Config, Contract, Limit, QuotaSize, Service};
use crate::holder::Holder;
use crate::port::PortRange;

/// Refuses what could newly cut off, or slow down, a port through which the operator reaches the
/// host.
pub(super) fn guard_ssh(
    before: &Config,
    after: &Config,
    corrected: &BTreeSet<Holder>,
    context: &Context,
) -> Result<(), Refusal> {
    if context.force {
        return Ok(());
    }
    for (&ports, service) in &after.services {
        let Some(&ssh_port) = context.ssh_ports.iter().find(|port| ports.contains(**port)) else {
            continue;
        };
        let old = before.services.get(&ports);
        let old_contract = old.map(|old| before.contract(old));
        let contract = after.contract(service);
        let is_corrected = corrected.contains(&service.holder(ports));
        let same_holder = old.is_some_and(|old| old.group == service.group);
        let gives_no_less = same_holder
            && !is_corrected
            && old_contract.is_some_and(|old| gives_no_less(old, contract));
        let newly_blocked = service.blocked && old.is_none_or(|old| !old.blocked);
        if newly_blocked
            || (contract.quota.is_some() && !gives_no_less)
            || old.map_or_else(|| is_slowed(service), |old| is_slower(old, service))
        {
            return Err(Refusal::Ssh { ports, ssh_port });
        }
    }
    Ok(())
}

/// Whether a quota under `new` ends no sooner than under `old`.
fn gives_no_less(old: Contract, new: Contract) -> bool {
    let quotas = (
        old.quota.map(QuotaSize::bytes),
        new.quota.map(QuotaSize::bytes),
    );
    matches!(quotas, (Some(old), Some(new)) if old <= new)
        && old.tariff.mode == new.tariff.mode
        && old.tariff.factor.thousandths() >= new.tariff.factor.thousandths()
}

fn is_slowed(service: &Service) -> bool {
    is_slower(&Service::default(), service)
}

/// Whether `new` has a limit, a punishment or a last day that is harder than that of `old`.
fn is_slower(old: &Service, new: &Service) -> bool {
    let lower = |old: Option<Limit>, new: Option<Limit>| {
        new.is_some_and(|new| old.is_none_or(|old| new < old))
    };
    let ends_sooner = new
        .expires
        .is_some_and(|new| old.expires.is_none_or(|old| new < old));
    lower(old.limit, new.limit)
        || lower(old.limit_in, new.limit_in)
        || (new.dynqos.is_some() && new.dynqos != old.dynqos)
        || ends_sooner
}

/// Returns the part of `ports` that the host may take for its own connections.
pub fn ephemeral_overlap(
    ports: PortRange,
    ephemeral: Option<&RangeInclusive<u16>>,
    reserved: &[PortRange],
) -> Option<PortRange> {
    let ephemeral = ephemeral?;
    let first = ports.first().max(*ephemeral.start());
    let last = ports.last().min(*ephemeral.end());
    let open = |port: &u16| !reserved.iter().any(|range| range.contains(*port));
    let first = (first..=last).find(open)?;
    let last = (first..=last).rev().find(open)?;
    PortRange::new(first, last).ok()
}
