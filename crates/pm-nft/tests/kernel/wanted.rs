//! What a test wants of the kernel, and the way there: pm-core's, with a planner in small.

use std::collections::BTreeMap;

use pm_core::backend::Netfilter;
use pm_core::config::Mode;
use pm_core::ledger::State;
use pm_core::plan::difference;
use pm_core::port::PortRange;
use pm_core::ruleset::*;
use pm_nft::Nftables;

pub(crate) fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

pub(crate) fn room(text: &str, variant: Variant) -> RoomId {
    RoomId {
        ports: ports(text),
        variant,
    }
}

/// The quota of a service or, with `group ` before its name, a group.
pub(crate) fn quota(holder: &str, metered: Metered) -> QuotaId {
    QuotaId {
        holder: holder.parse().unwrap(),
        variant: Variant::A,
        metered,
    }
}

/// A service's terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    pub(crate) policing: Policing,
    pub(crate) class: Option<Class>,
    quota: Option<Quota>,
}

#[derive(Clone, Debug)]
enum Quota {
    Own(Mode, u64),
    Group(&'static str),
}

impl Service {
    pub(crate) fn quota(mode: Mode, limit: u64) -> Self {
        Self {
            quota: Some(Quota::Own(mode, limit)),
            ..Self::default()
        }
    }

    pub(crate) fn group(name: &'static str) -> Self {
        Self {
            quota: Some(Quota::Group(name)),
            ..Self::default()
        }
    }

    pub(crate) fn policed(mut self, incoming: Option<u64>, outgoing: Option<u64>) -> Self {
        self.policing = Policing { incoming, outgoing };
        self
    }

    pub(crate) fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }
}

/// All that a test wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// By ports; `None`: blocked.
    pub(crate) services: BTreeMap<PortRange, Option<Service>>,
    pub(crate) groups: BTreeMap<&'static str, (Mode, u64)>,
    pub(crate) forwarding: Forwarding,
}

impl Wanted {
    pub(crate) fn new<const N: usize>(services: [(&str, Option<Service>); N]) -> Self {
        Self {
            services: services
                .map(|(text, service)| (ports(text), service))
                .into(),
            ..Self::default()
        }
    }

    pub(crate) fn set(&mut self, text: &str, service: Option<Service>) {
        self.services.insert(ports(text), service);
    }

    pub(crate) fn remove(&mut self, text: &str) {
        self.services.remove(&ports(text));
    }

    /// What the kernel must hold next, given what it holds now.
    pub(crate) fn ruleset(&self, installed: &Installed) -> Ruleset {
        let mut ruleset = Ruleset {
            forwarding: self.forwarding.clone(),
            ..Ruleset::default()
        };
        for (&name, &(_, limit)) in &self.groups {
            let quotas = self.group(name, installed);
            ruleset.quotas.extend(quotas.quotas().map(|id| (id, limit)));
        }
        for (&ports, service) in &self.services {
            let Some(service) = service else {
                ruleset.links.insert(ports, Link::Drop);
                continue;
            };
            let rooms = Variant::BOTH.map(|variant| {
                let metering = service.quota.as_ref().map(|quota| match quota {
                    Quota::Group(name) => self.group(name, installed),
                    &Quota::Own(mode, _) => Metering {
                        holder: ports.into(),
                        variant,
                        mode,
                    },
                });
                let room = Room {
                    policing: service.policing,
                    metering,
                    class: service.class,
                };
                (RoomId { ports, variant }, room)
            });
            let kept = rooms.iter().find(|room| counts_on(installed, room));
            let free = || rooms.iter().find(|(id, _)| is_free(installed, *id));
            let Some((id, room)) = kept.or_else(free) else {
                ruleset.waiting.insert(ports);
                continue;
            };
            if let Some(Quota::Own(_, limit)) = service.quota {
                let own = quotas(room).into_iter().map(|quota| (quota, limit));
                ruleset.quotas.extend(own);
            }
            ruleset.rooms.insert(*id, room.clone());
            ruleset.links.insert(ports, Link::Room(id.variant));
        }
        ruleset
    }

    /// A group's quotas: a set of which none is damaged.
    fn group(&self, name: &str, installed: &Installed) -> Metering {
        let is_damaged = |quota| installed.quotas.get(&quota) == Some(&None);
        let mut sets = Variant::BOTH.into_iter().map(|variant| Metering {
            holder: format!("group {name}").parse().unwrap(),
            variant,
            mode: self.groups[name].0,
        });
        sets.find(|set| !set.quotas().any(is_damaged)).unwrap()
    }

    /// The next batch towards this.
    pub(crate) fn changes(&self, installed: &Installed) -> Changes {
        let newest = installed.epochs.iter().max();
        let next = Epoch(newest.map_or(0xab, |epoch| epoch.0 + 1));
        difference(installed, &self.ruleset(installed), &State::new(next))
    }

    /// What must stand in the kernel when this was put into an empty one.
    pub(crate) fn expected(&self) -> Installed {
        let nothing = Installed::default();
        nothing.clone().after(&self.changes(&nothing))
    }
}

fn quotas(room: &Room) -> Vec<QuotaId> {
    room.metering.iter().flat_map(Metering::quotas).collect()
}

/// Whether a room is there, whole, and under the quotas that it must be under.
fn counts_on(installed: &Installed, (id, wanted): &(RoomId, Room)) -> bool {
    let intact = installed
        .rooms
        .get(id)
        .and_then(|found| found.intact.as_ref());
    let is_whole = |quota| matches!(installed.quotas.get(quota), Some(Some(_)));
    intact.is_some_and(|found| found.metering == wanted.metering)
        && quotas(wanted).iter().all(is_whole)
}

/// Whether nothing of a room's name is there, its own quotas included.
fn is_free(installed: &Installed, id: RoomId) -> bool {
    let mut own = Metered::ALL.into_iter().map(|metered| QuotaId {
        holder: id.ports.into(),
        variant: id.variant,
        metered,
    });
    !installed.rooms.contains_key(&id) && !own.any(|quota| installed.quotas.contains_key(&quota))
}

const PRIORITY: Class = Class::Priority(0x706d_4e20);
const MARK: Class = Class::Mark {
    mark: 0x7530_0000,
    mask: 0xffff_0000,
};

/// The few services that `tests/golden` shows.
pub(crate) fn golden() -> Wanted {
    let mut wanted = Wanted::new([
        ("1", Some(Service::default())),
        (
            "20000",
            Some(
                Service::quota(Mode::Both, 5_000_000_000)
                    .policed(Some(625_000), Some(781_250))
                    .class(PRIORITY),
            ),
        ),
        ("20002", Some(Service::quota(Mode::Max, 7))),
        ("30000-30100", Some(Service::group("vip 1").class(MARK))),
        ("40000-40010", None),
        ("65000-65535", Some(Service::quota(Mode::Out, 1))),
    ]);
    wanted.groups = [("vip 1", (Mode::Both, 10_000))].into();
    wanted.forwarding = Forwarding {
        dnat: true,
        routed: [ports("20000"), ports("65000-65535")].into(),
    };
    wanted
}

/// Services of each kind.
pub(crate) fn sample() -> Wanted {
    let mut wanted = golden();
    wanted.set("20001", Some(Service::quota(Mode::Out, MAX_QUOTA_LIMIT)));
    wanted.set(
        "30101",
        Some(Service::group("vip 1").policed(Some(1_000), None)),
    );
    wanted.set("50000", Some(Service::group("max").class(PRIORITY)));
    wanted.set("50001", Some(Service::default().policed(None, Some(1))));
    wanted.groups.insert("max", (Mode::Max, 20_000));
    wanted
}

/// Applies batches until nothing is left to change; returns how many it took.
pub(crate) fn converge(nftables: &mut Nftables, wanted: &Wanted) -> usize {
    for round in 0..7 {
        let (generation, installed) = nftables.inspect().unwrap();
        let changes = wanted.changes(&installed);
        if changes.is_empty() {
            return round;
        }
        let after = nftables.apply(&changes, generation).unwrap();
        let (generation, found) = nftables.inspect().unwrap();
        assert_eq!(
            generation, after,
            "the generation after a batch is foreseen"
        );
        assert_eq!(found, installed.after(&changes));
    }
    panic!("still not as wanted: {:?}", nftables.inspect());
}

pub(crate) fn many(services: u16) -> Wanted {
    let mut wanted = Wanted::default();
    for n in 0..services {
        let first = 1000 + n * 4;
        let range = PortRange::new(first, first + n % 2).unwrap();
        let service = Service::quota(Mode::Both, 1 << 40);
        wanted.services.insert(range, Some(service));
    }
    wanted
}
