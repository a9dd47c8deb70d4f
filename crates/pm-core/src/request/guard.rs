//! What could hurt the operator: a lock-out from SSH, a bill for the host's own connections.

use std::ops::RangeInclusive;

use super::{Context, Refusal};
use crate::config::{Config, Service};
use crate::port::PortRange;

/// Refuses what could newly cut off a port through which the operator reaches the host.
pub(super) fn guard_ssh(
    before: &Config,
    after: &Config,
    corrected: Option<PortRange>,
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
        let no_less = old.is_some_and(|old| {
            let bytes = |service: &Service| service.quota.map(|quota| quota.bytes());
            old.mode == service.mode && old.quota.is_some() && bytes(old) <= bytes(service)
        });
        let newly_blocked = service.blocked && old.is_none_or(|old| !old.blocked);
        let nearer_its_end = !no_less || corrected == Some(ports);
        if newly_blocked || (service.quota.is_some() && nearer_its_end) {
            return Err(Refusal::Ssh { ports, ssh_port });
        }
    }
    Ok(())
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
