//! The plan: what the kernel must hold, and the batch that leads there.
//!
//! Plan, apply, read and plan again until nothing is left to change: a service that must move
//! gets its new room and its links in one round, its old room is read at rest after that, and
//! deleted in the next.

mod difference;
mod groups;
mod place;
mod quotas;

use std::collections::BTreeSet;

use crate::backend::Reading;
use crate::config::{Config, Service};
use crate::in_order::InOrder;
use crate::ledger::{Ledger, State};
use crate::port::PortRange;
use crate::rooms::Rooms;
use crate::ruleset::{
    Forwarding, Installed, InstalledLink, InstalledRoom, Link, Metering, Room, RoomId, Ruleset,
    Variant,
};
use crate::shaping::{Minors, Rates};

pub use difference::{difference, withdrawal};

use place::{Place, Tenant};
use quotas::Quotas;

/// Bytes that could pass in the moment between a reading and the batch that follows it. A service
/// with less than this left is held for that moment when its room changes, so that nothing can
/// pass the quota unseen.
const HOLD_BELOW: i128 = 1 << 30;

/// Returns what the kernel must hold next, given what it holds now.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`, `reading` and
/// `installed`.
pub fn plan(config: &Config, state: &State, reading: &Reading, installed: &Installed) -> Ruleset {
    let mut ruleset = Ruleset {
        forwarding: Forwarding {
            dnat: installed.has_nat || reading.has_legacy_nat,
            routed: routed(config),
        },
        ..Ruleset::default()
    };
    let groups = groups::plan(config, state, installed, &mut ruleset);
    let minors = Minors::of(config);
    let mut found = Found::new(installed);
    let mut ledgers = InOrder::new(&state.ledgers);
    let mut quotas = Quotas::new(installed, state);
    for (&ports, service) in &config.services {
        let Some(ledger) = ledgers.get(&ports) else {
            continue;
        };
        let group = service.group.as_ref().and_then(|name| groups.get(name));
        let is_spent = match group {
            Some(group) => group.is_spent,
            None => ledger.account.spent.is_some(),
        };
        if service.blocked || ledger.expired || is_spent {
            ruleset.links.insert(ports, Link::Drop);
            continue;
        }
        let (link, rooms) = found.of(ports);
        let tenant = Tenant::new(ports, service, ledger, group, link, rooms);
        match tenant.place(&mut quotas, installed) {
            Place::Held => {
                ruleset.links.insert(ports, Link::Drop);
            }
            Place::Waiting => {
                ruleset.waiting.insert(ports);
            }
            Place::Room(variant, metering) => {
                if let (Some(set), Some(terms)) = (&metering, tenant.terms) {
                    quotas.set_limits(&mut ruleset, set, &ledger.account, terms);
                }
                let room = furnish(config, &minors, ports, service, ledger, metering);
                ruleset.rooms.insert(RoomId { ports, variant }, room);
                ruleset.links.insert(ports, Link::Room(variant));
            }
        }
    }
    ruleset
}

fn routed(config: &Config) -> BTreeSet<PortRange> {
    let routed = config.services.iter().filter(|(_, service)| service.routed);
    routed.map(|(&ports, _)| ports).collect()
}

/// Returns what must stand in a service's room.
fn furnish(
    config: &Config,
    minors: &Minors,
    ports: PortRange,
    service: &Service,
    ledger: &Ledger,
    metering: Option<Metering>,
) -> Room {
    let rates = Rates::of(service, ledger);
    let class = rates
        .outgoing
        .map(|_| config.classifier.class(minors.get(ports)));
    Room {
        policing: rates.policing(),
        metering,
        class,
    }
}

/// What is there of services, looked up one after the other.
struct Found<'a> {
    links: InOrder<'a, PortRange, InstalledLink>,
    rooms: InOrder<'a, RoomId, InstalledRoom>,
}

impl<'a> Found<'a> {
    fn new(installed: &'a Installed) -> Self {
        Self {
            links: InOrder::new(&installed.links),
            rooms: InOrder::new(&installed.rooms),
        }
    }

    fn of(&mut self, ports: PortRange) -> (InstalledLink, Rooms<&'a InstalledRoom>) {
        let link = self.links.get(&ports).copied().unwrap_or_default();
        let rooms = Variant::BOTH.into_iter().filter_map(|variant| {
            let found = self.rooms.get(&RoomId { ports, variant })?;
            Some((variant, found))
        });
        (link, Rooms::from_iter(rooms))
    }
}
