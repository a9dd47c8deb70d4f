//! What may be asked of pm, and what may happen meanwhile: random, in a small world in which
//! requests meet each other.

use std::collections::{BTreeMap, VecDeque};

use pm_core::calendar::{DayOfMonth, ResetChoice, ResetPolicy};
use pm_core::config::{Config, Factor, GroupName, Limit, Mode, QuotaSize};
use pm_core::dynqos::{DynQos, Minutes};
use pm_core::ledger::Usage;
use pm_core::port::{PortList, PortRange};
use pm_core::request::{Context, ContractSettings, Request, Selection, Settings};
use pm_core::ruleset::Direction;
use pm_core::strategies::{classifier, note};
use pm_core::units::BitRate;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::macros::date;

use super::kernel::{Kernel, Packet};
use super::pm::World;
use super::{bytes, group, ports};

/// The services that there are, or may be.
pub const SERVICES: [&str; 4] = ["80", "8080", "30000-30100", "65535"];

/// The groups that there are, or may be.
pub const GROUPS: [&str; 2] = ["vip", "1"];

/// The largest quota of a request.
pub const LARGEST_QUOTA: u64 = 2_000_000;

/// What happens in a moment.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Nothing,
    /// A packet that is on its way for so many moments.
    Launch(Packet, u32),
    /// Somebody else commits.
    Touch,
    /// Somebody empties a service's chains.
    Damage(PortRange),
    /// Somebody deletes a service's elements.
    Unlink(PortRange),
    /// Somebody deletes the quotas that no rule names.
    DeleteUnusedQuotas,
}

impl Act {
    pub fn happen(self, kernel: &mut Kernel) {
        match self {
            Self::Nothing => {}
            Self::Launch(packet, moments) => drop(kernel.launch(packet, moments)),
            Self::Touch => kernel.touch(),
            Self::Damage(ports) => kernel.damage(ports),
            Self::Unlink(ports) => kernel.unlink(ports),
            Self::DeleteUnusedQuotas => kernel.delete_unused_quotas(),
        }
    }
}

/// What somebody does to pm's rules, most often nothing.
pub fn meddling() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => Just(Act::Nothing),
        2 => select(services()).prop_map(Act::Damage),
        1 => select(services()).prop_map(Act::Unlink),
        1 => Just(Act::DeleteUnusedQuotas),
    ]
}

pub fn services() -> Vec<PortRange> {
    SERVICES.map(ports).into()
}

/// A packet of one of these services.
pub fn packet_of(services: Vec<PortRange>, largest: u64) -> impl Strategy<Value = Packet> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    (select(services), direction, 1..=largest).prop_map(|(ports, direction, bytes)| Packet {
        ports,
        direction,
        bytes,
    })
}

/// What happens in the moments of one call, with packets of these services.
pub fn acts_of(services: Vec<PortRange>, largest: u64) -> impl Strategy<Value = Vec<Act>> {
    let packet = packet_of(services, largest);
    let act = prop_oneof![
        3 => Just(Act::Nothing),
        6 => (packet, 0u32..4).prop_map(|(packet, moments)| Act::Launch(packet, moments)),
        1 => Just(Act::Touch),
    ];
    vec(act, 0..16)
}

/// What happens in the moments of one call.
pub fn acts(largest: u64) -> impl Strategy<Value = Vec<Act>> {
    acts_of(services(), largest)
}

/// After how many moments pm dies: most live to the end.
pub fn steps() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(usize::MAX), 1 => 0usize..24]
}

pub fn factor() -> impl Strategy<Value = Factor> {
    select(vec![1_000u32, 2_000, 1_500, 333, 1])
        .prop_map(|factor| Factor::from_thousandths(factor).unwrap())
}

pub fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::Both, Mode::Out, Mode::Max])
}

fn limit() -> impl Strategy<Value = Limit> {
    select(vec![8_000u64, 1_000_000, 2_000_000, 100_000_000_000]).prop_map(|bits| {
        let rate = BitRate::from_bits_per_second(bits).unwrap();
        Limit::try_from(rate).unwrap()
    })
}

fn dynqos() -> impl Strategy<Value = DynQos> {
    let minutes = || (1u16..3).prop_map(|minutes| Minutes::new(minutes).unwrap());
    let triggers = select(vec![8_000u64, 100_000, 100_000_000]);
    (triggers, minutes(), limit(), minutes()).prop_map(
        |(trigger, trigger_minutes, punish, punish_minutes)| DynQos {
            trigger: Limit::try_from(BitRate::from_bits_per_second(trigger).unwrap()).unwrap(),
            trigger_minutes,
            punish,
            punish_minutes,
        },
    )
}

pub fn contract_settings() -> impl Strategy<Value = ContractSettings> {
    let quota = option::of(option::weighted(0.8, 1..LARGEST_QUOTA));
    let reset = prop_oneof![
        3 => (1u8..=31).prop_map(|day| ResetPolicy::Monthly(DayOfMonth::new(day).unwrap())),
        1 => Just(ResetPolicy::Never),
        1 => Just(ResetPolicy::Once(date!(2027 - 02 - 10))),
    ];
    let reset = option::of(reset.prop_map(ResetChoice::from));
    (quota, option::of(mode()), option::of(factor()), reset).prop_map(
        |(quota, mode, factor, reset)| ContractSettings {
            quota: quota.map(|quota| quota.map(|quota| QuotaSize::try_from(bytes(quota)).unwrap())),
            mode,
            factor,
            reset,
        },
    )
}

/// Settings that concern neither quota nor group.
pub fn other_settings() -> impl Strategy<Value = Settings> {
    let date = select(vec![date!(2026 - 12 - 31), date!(2027 - 01 - 20)]);
    (
        option::of(option::of(limit())),
        option::of(option::of(limit())),
        option::of(option::of(dynqos())),
        option::weighted(0.1, option::of(date)),
        option::of(any::<bool>()),
        option::weighted(0.1, note()),
    )
        .prop_map(
            |(limit, limit_in, dynqos, expires, routed, note)| Settings {
                limit,
                limit_in,
                dynqos,
                expires,
                routed,
                note,
                ..Settings::default()
            },
        )
}

/// Services and groups that requests are about.
#[derive(Clone, Debug)]
pub struct About {
    pub services: Vec<PortRange>,
    pub groups: Vec<GroupName>,
    /// Whether requests may be about all that there are.
    pub all: bool,
}

impl About {
    /// Every one.
    pub fn everything() -> Self {
        Self {
            services: services(),
            groups: GROUPS.map(group).into(),
            all: true,
        }
    }

    fn group(&self) -> impl Strategy<Value = GroupName> + use<> {
        select(self.groups.clone())
    }

    /// Settings of all kinds, most of a few of them.
    pub fn settings(&self) -> impl Strategy<Value = Settings> + use<> {
        let regroup = option::weighted(0.3, option::weighted(0.7, self.group()));
        let contract = prop_oneof![
            1 => Just(ContractSettings::default()),
            1 => contract_settings(),
        ];
        let other = prop_oneof![
            1 => Just(Settings::default()),
            1 => other_settings(),
        ];
        (regroup, contract, other).prop_map(|(group, contract, other)| Settings {
            // Who joins brings no contract.
            contract: match group {
                Some(Some(_)) => ContractSettings::default(),
                _ => contract,
            },
            group,
            ..other
        })
    }

    fn some(&self) -> impl Strategy<Value = PortList> + use<> {
        let services = self.services.clone();
        let most = services.len();
        prop_oneof![
            4 => select(services.clone()).prop_map(|ports| vec![ports]),
            1 => subsequence(services, 1..=most),
        ]
        .prop_map(|ports| PortList::new(ports).unwrap())
    }

    fn selection(&self) -> impl Strategy<Value = Selection> + use<> {
        prop_oneof![
            u32::from(self.all) => Just(Selection::All),
            6 => self.some().prop_map(Selection::Ports),
        ]
    }

    /// Any request.
    pub fn request(&self) -> impl Strategy<Value = Request> + use<> {
        let version = vec(self.change(), 1..6).prop_map(|changes| {
            let context = Context {
                today: Some(date!(2027 - 01 - 31)),
                ..Context::default()
            };
            let config = changes.iter().fold(Config::default(), |config, change| {
                change.apply(&config, &context).unwrap_or(config)
            });
            Request::Restore {
                version: Some(1),
                config: Box::new(config),
            }
        });
        // It concerns everybody, as all services do.
        prop_oneof![28 => self.change(), u32::from(self.all) => version]
    }

    /// Any request but one that restores.
    fn change(&self) -> impl Strategy<Value = Request> + use<> {
        let used = || option::weighted(0.2, (0..LARGEST_QUOTA).prop_map(bytes));
        prop_oneof![
            3 => (self.some(), self.settings(), any::<bool>()).prop_map(
                |(ports, settings, or_set)| Request::Add { ports, settings, or_set }
            ),
            6 => (self.selection(), self.settings(), used()).prop_map(|(ports, settings, used)| {
                Request::Set { ports, settings, used }
            }),
            2 => self.selection().prop_map(|ports| Request::Delete { ports }),
            2 => self.selection().prop_map(|ports| Request::Reset { ports }),
            1 => self.selection().prop_map(|ports| Request::Block { ports }),
            2 => self.selection().prop_map(|ports| Request::Unblock { ports }),
            3 => (self.group(), contract_settings(), any::<bool>()).prop_map(
                |(name, settings, or_set)| Request::AddGroup { name, settings, or_set }
            ),
            4 => (self.group(), contract_settings(), used()).prop_map(
                |(name, settings, used)| Request::SetGroup { name, settings, used }
            ),
            1 => self.group().prop_map(|name| Request::DeleteGroup { name }),
            1 => self.group().prop_map(|name| Request::ResetGroup { name }),
            1 => select(vec![None, Some("Asia/Shanghai".parse().unwrap())])
                .prop_map(Request::SetTimeZone),
            1 => classifier().prop_map(Request::SetClassifier),
        ]
    }
}

/// A call of pm; `None`: a tick.
pub fn call(
    requests: impl Strategy<Value = Request> + 'static,
) -> impl Strategy<Value = Option<Request>> {
    option::weighted(0.7, requests)
}

/// What somebody changes in the file, most often nothing.
pub fn edit() -> impl Strategy<Value = Option<Request>> {
    option::weighted(0.1, About::everything().request())
}

/// What the ledgers must say, told from the outside: who was in which group when a counter was
/// read.
#[derive(Clone, Debug, Default)]
pub struct Books {
    acts: VecDeque<Act>,
    /// What the counters of each service had counted when they were read last.
    read: BTreeMap<PortRange, Usage>,
    accounted: Sums,
    saved: Sums,
    /// What was counted in counters that are gone, and never read.
    lost: BTreeMap<PortRange, Usage>,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    services: BTreeMap<PortRange, Usage>,
    /// What members have counted while they were that.
    groups: BTreeMap<GroupName, Usage>,
    members: BTreeMap<PortRange, GroupName>,
}

impl Books {
    /// Begins a call, and says what is to happen in its moments.
    pub fn plan(&mut self, acts: Vec<Act>) -> &mut Self {
        self.acts = acts.into();
        self.accounted = self.saved.clone();
        self
    }

    /// Somebody has put an end to the counters of these services, before all of them was read.
    pub fn lose(&mut self, kernel: &Kernel, services: Vec<PortRange>) {
        for ports in services {
            let counted = kernel.counted.get(&ports).copied().unwrap_or_default();
            let read = self.saved.services.insert(ports, counted);
            let lost = self.lost.entry(ports).or_default();
            *lost = lost.plus(counted.since(read.unwrap_or_default()));
        }
    }

    /// Returns what must have been billed to a service.
    pub fn service(&self, ports: PortRange, kernel: &Kernel) -> Usage {
        let counted = kernel.counted.get(&ports).copied().unwrap_or_default();
        counted.since(self.lost.get(&ports).copied().unwrap_or_default())
    }

    /// Returns what members of a group have counted while they were that.
    pub fn group(&self, name: &GroupName) -> Usage {
        self.saved.groups.get(name).copied().unwrap_or_default()
    }

    /// Returns the members of a group, those included that were deleted since.
    pub fn members(&self, name: &GroupName) -> Vec<PortRange> {
        let members = self.saved.members.iter();
        let members = members.filter(|(_, group)| *group == name);
        members.map(|(&ports, _)| ports).collect()
    }

    /// Returns what members of a group have sent while they were that, were it read now.
    pub fn group_now(&self, name: &GroupName, kernel: &Kernel) -> Usage {
        let members = self
            .saved
            .members
            .iter()
            .filter(|(_, group)| *group == name);
        members.fold(self.group(name), |sum, (ports, _)| {
            let of = |sums: &BTreeMap<_, Usage>| sums.get(ports).copied().unwrap_or_default();
            sum.plus(of(&kernel.entered).since(of(&self.saved.services)))
        })
    }
}

impl World for Books {
    fn meanwhile(&mut self, kernel: &mut Kernel) {
        let act = self.acts.pop_front().unwrap_or(Act::Nothing);
        act.happen(kernel);
    }

    fn read(&mut self, kernel: &Kernel) {
        self.read.clone_from(&kernel.counted);
    }

    fn observed(&mut self, config: &Config) {
        let sums = &mut self.accounted;
        for (ports, group) in &sums.members {
            let of = |sums: &BTreeMap<_, Usage>| sums.get(ports).copied().unwrap_or_default();
            let grown = of(&self.read).since(of(&sums.services));
            let sum = sums.groups.entry(group.clone()).or_default();
            *sum = sum.plus(grown);
        }
        sums.services.clone_from(&self.read);
        // What a deleted service had counted when its rooms were read a last time is its
        // group's, too.
        sums.members.retain(|ports, group| {
            !config.services.contains_key(ports) && config.groups.contains_key(group)
        });
        for (&ports, service) in &config.services {
            let group = service.group.clone();
            sums.members.extend(group.map(|group| (ports, group)));
        }
    }

    fn saved(&mut self) {
        self.saved = self.accounted.clone();
    }
}
