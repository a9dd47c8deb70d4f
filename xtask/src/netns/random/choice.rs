//! Random operations, scaled to the lab: what somebody may ask of pm, and what may happen to it.

use std::collections::BTreeMap;

use pm_core::calendar::{DayOfMonth, DayOfYear, Interval, ResetChoice, ResetPolicy};
use pm_core::config::{Config, Factor, GroupName, Limit, Mode, Note, QuotaSize, ZoneName};
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::port::{PortList, PortRange};
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use pm_core::shaping::Classifier;
use pm_core::units::{BitRate, Size};
use time::{Date, Duration};

use super::model::{Model, holder_of};
use super::wanted;
use crate::rng::Rng;

/// What services are made of: each pair of neighbours shares no port.
const SERVICES: [&str; 8] = [
    "443",
    "20000",
    "20001-20003",
    "30000-30100",
    "30101",
    "40000-40009",
    "50000",
    "65535",
];

/// Others, which overlap those.
const OVERLAPPING: [&str; 5] = [
    "20002",
    "30000-30050",
    "30051-30100",
    "29999-30000",
    "30050",
];

const GROUPS: [&str; 5] = ["vip", "1", "租户 甲", "x'y\"z", "a_b"];

const NOTES: [&str; 6] = [
    "",
    "0",
    "it's \"quoted\" and \\escaped\\",
    "two\nlines\t",
    "老王 🐙",
    "--quota 1 $(id)",
];

/// Zones at the ends of the day, and in the middle.
const ZONES: [&str; 4] = [
    "UTC",
    "Asia/Shanghai",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
];

/// What is done next.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Something is asked of pm.
    Request(Request),
    /// `pm monitor`.
    Tick,
    /// `pm teardown`.
    Teardown,
    /// `pm restore`.
    Restore,
    /// The operator's ruleset is loaded in place of everything.
    Flush,
    /// So it is, and an earlier listing of pm's table behind it.
    Reload,
    /// pm's table is loaded a second time on top of itself.
    Merge,
    /// A part of pm's table is taken away.
    Damage,
    /// pm's counters are set to zero, between two ticks.
    ResetCounters,
    /// The host is another one with the same files; with the earlier listing or without.
    Restart {
        /// Whether the listing is loaded there.
        reload: bool,
    },
    /// A default route comes, goes, or moves.
    Route(&'static str),
    /// Somebody's address translation comes, or goes.
    Nat,
    /// pm's table is listed, for later.
    Save,
    /// A connection is made, and bytes sent both ways.
    Connect,
    /// Something is only asked.
    Read(&'static [&'static str]),
}

/// How the next operation is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// While nothing is sent.
    pub(super) at_rest: bool,
    /// Killed at some moment.
    pub(super) killed: bool,
    /// With a tick beside it.
    pub(super) in_company: bool,
}

/// Chooses.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) rng: Rng,
    /// The date in UTC.
    pub(super) today: Date,
    /// Whether the kernel can find classes by marks.
    pub(super) has_fwmark: bool,
    /// The kept versions of configurations that the model has had, by number.
    pub(super) versions: BTreeMap<u64, Config>,
}

impl Choice {
    /// Returns what to do next, and how.
    pub(super) fn next(&mut self, model: &Model) -> (Operation, Manner) {
        let operation = self.operation(model);
        let corrected = model
            .config
            .services
            .keys()
            .map(|&range| holder_of(&model.config, range));
        let corrected = corrected.chain(model.config.groups.keys().cloned().map(Holder::Group));
        let corrected = corrected
            .into_iter()
            .any(|holder| model.is_corrected(&holder));
        let may_be_killed = matches!(
            operation,
            Operation::Request(_) | Operation::Tick | Operation::Teardown | Operation::Restore
        );
        let manner = Manner {
            at_rest: self.chance(25) || (corrected && changes_tariff(&operation)),
            killed: may_be_killed && self.chance(15),
            in_company: !model.damaged
                && matches!(operation, Operation::Request(_) | Operation::Tick)
                && self.chance(8),
        };
        (operation, manner)
    }

    fn operation(&mut self, model: &Model) -> Operation {
        if model.torn_down && self.chance(30) {
            return Operation::Restore;
        }
        if model.damaged && self.chance(40) {
            return Operation::Tick;
        }
        match self.rng.between(1, 1000) {
            1..=560 => Operation::Request(self.request(model)),
            561..=690 => Operation::Tick,
            691..=705 => Operation::Teardown,
            706..=720 => Operation::Restore,
            721..=740 => Operation::Flush,
            741..=760 => Operation::Reload,
            761..=775 => Operation::Merge,
            776..=860 => Operation::Damage,
            861..=875 => Operation::ResetCounters,
            876..=885 => Operation::Restart {
                reload: self.chance(40),
            },
            886..=925 => Operation::Route(self.pick(&[
                "route del default\n",
                "route replace default via 10.77.0.2\n",
                "route replace default via 10.78.0.2\n",
                "route del ::/0\n",
                "route replace ::/0 via fd77::2\n",
                "route replace ::/0 via fd78::2\n",
            ])),
            926..=950 => Operation::Nat,
            951..=965 => Operation::Save,
            966..=985 => Operation::Connect,
            _ => Operation::Read(self.pick(&[
                &["show", "--all"] as &[_],
                &["list"],
                &["history"],
                &["doctor"],
                &["group", "list"],
            ])),
        }
    }

    /// Returns any request.
    pub(super) fn request(&mut self, model: &Model) -> Request {
        if model.config.services.len() < 5 && self.chance(40) {
            let ports = PortList::new(vec![self.parse(&SERVICES)]);
            let settings = self.settings(model, None);
            if let Ok(ports) = ports {
                return Request::Add {
                    ports,
                    settings,
                    or_set: self.chance(20),
                };
            }
        }
        if matches!(model.config.classifier, Classifier::Fwmark(_)) && self.chance(25) {
            return Request::SetClassifier(Classifier::Priority);
        }
        if !self.versions.is_empty() && self.chance(4) {
            let versions: Vec<_> = self.versions.iter().collect();
            let &(&version, config) = self.rng.pick(&versions);
            return Request::Restore {
                version: Some(version),
                config: Box::new(config.clone()),
            };
        }
        match self.rng.between(1, 100) {
            1..=14 => Request::Add {
                ports: self.ports(model, 30),
                settings: self.settings(model, None),
                or_set: self.chance(40),
            },
            15..=44 => {
                let ports = self.selection(model, 3);
                let holder = match &ports {
                    Selection::Ports(ports) => ports.iter().next(),
                    Selection::All => None,
                };
                let used = self.chance(15).then(|| self.used());
                let mut settings = self.settings(model, holder);
                if used.is_some() && self.chance(80) {
                    settings.group = None;
                }
                Request::Set {
                    ports,
                    settings,
                    used,
                }
            }
            45..=50 => Request::Delete {
                ports: self.selection(model, 2),
            },
            51..=59 => Request::Reset {
                ports: self.selection(model, 10),
            },
            60..=66 => Request::Block {
                ports: self.selection(model, 5),
            },
            67..=74 => Request::Unblock {
                ports: self.selection(model, 10),
            },
            75..=81 => Request::AddGroup {
                name: self.group(model, 30),
                settings: self.contract(model, None),
                or_set: self.chance(30),
            },
            82..=89 => {
                let name = self.group(model, 90);
                let settings = self.contract(model, Some(&Holder::Group(name.clone())));
                let used = self.chance(20).then(|| self.used());
                Request::SetGroup {
                    name,
                    settings,
                    used,
                }
            }
            90..=92 => Request::DeleteGroup {
                name: self.group(model, 80),
            },
            93..=96 => Request::ResetGroup {
                name: self.group(model, 90),
            },
            97 => Request::SetTimeZone(self.zone()),
            // What pm says is read here, so it stays English.
            98 => Request::SetLanguage(self.chance(50).then_some(Language::English)),
            _ => Request::SetClassifier(self.classifier(model)),
        }
    }

    /// Returns a request that changes nothing but words, about a service that `other` leaves alone.
    pub(super) fn harmless(&mut self, model: &Model, other: &Request) -> Option<Request> {
        let today = self.today;
        let after = wanted::after(&model.config, other, today).ok()?;
        let same = model
            .config
            .services
            .iter()
            .filter(|(range, service)| after.services.get(range) == Some(service));
        let same: Vec<PortRange> = same.map(|(&range, _)| range).collect();
        if same.is_empty() {
            return None;
        }
        let ports = Selection::Ports(PortList::new(vec![*self.rng.pick(&same)]).ok()?);
        let settings = Settings {
            note: self.note(),
            ..Settings::default()
        };
        Some(Request::Set {
            ports,
            settings,
            used: None,
        })
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.between(1, 100) <= percent
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        *self.rng.pick(items)
    }

    fn parse(&mut self, texts: &[&str]) -> PortRange {
        let text = self.pick(texts);
        text.parse()
            .unwrap_or_else(|error| unreachable!("{text}: {error}"))
    }

    fn ports(&mut self, model: &Model, known: u64) -> PortList {
        let mut ranges: Vec<PortRange> = Vec::new();
        for _ in 0..self.pick(&[1, 1, 1, 2, 3]) {
            let all: Vec<PortRange> = model.config.services.keys().copied().collect();
            let range = if !all.is_empty() && self.chance(known) {
                *self.rng.pick(&all)
            } else if self.chance(85) {
                self.parse(&SERVICES)
            } else {
                self.parse(&OVERLAPPING)
            };
            if ranges.iter().all(|other| !other.overlaps(range)) {
                ranges.push(range);
            }
        }
        PortList::new(ranges).unwrap_or_else(|error| unreachable!("they are apart: {error}"))
    }

    fn selection(&mut self, model: &Model, all: u64) -> Selection {
        if self.chance(all) {
            Selection::All
        } else {
            Selection::Ports(self.ports(model, 93))
        }
    }

    fn settings(&mut self, model: &Model, of: Option<PortRange>) -> Settings {
        let group = self
            .chance(20)
            .then(|| self.chance(65).then(|| self.group(model, 90)));
        let is_member = of.is_some_and(|range| wanted::group_of(&model.config, range).is_some());
        let has_contract = match &group {
            Some(Some(_)) => self.chance(5),
            Some(None) => self.chance(60),
            None => self.chance(if is_member { 10 } else { 70 }),
        };
        let holder = of.map(|range| holder_of(&model.config, range));
        let contract = if has_contract {
            self.contract(model, holder.as_ref())
        } else {
            ContractSettings::default()
        };
        Settings {
            group,
            contract,
            limit: self.chance(20).then(|| self.limit()),
            limit_in: self.chance(20).then(|| self.limit()),
            dynqos: self.chance(8).then(|| self.dynqos()),
            expires: self.chance(8).then(|| self.expires()),
            routed: self.chance(6).then(|| self.chance(50)),
            note: if self.chance(15) { self.note() } else { None },
        }
    }

    fn contract(&mut self, model: &Model, of: Option<&Holder>) -> ContractSettings {
        let quota = self.chance(65).then(|| self.quota(model, of));
        let mode = self
            .chance(25)
            .then(|| self.pick(&[Mode::Both, Mode::Both, Mode::Out, Mode::Max]));
        let factor = self
            .chance(15)
            .then(|| self.pick(&[1_000, 1_000, 2_000, 1_500, 333]));
        // A quota without a reset begins anew on the first of the month: not in the middle of this.
        let must = quota.flatten().is_some() && !(3..=26).contains(&self.today.day());
        ContractSettings {
            quota,
            mode,
            factor: factor.and_then(|factor| Factor::from_thousandths(factor).ok()),
            reset: (must || self.chance(15)).then(|| self.reset()),
        }
    }

    /// Returns no quota, a large one, or one that will soon be used up.
    fn quota(&mut self, model: &Model, of: Option<&Holder>) -> Option<QuotaSize> {
        let bytes = match self.rng.between(1, 10) {
            1..=2 => return None,
            3..=5 => self.pick(&[5_000_000_000, 3_000_000_000_000, 1_610_612_736]),
            _ => {
                let used = of.map_or(0, |holder| model.usage(holder).sum());
                used + self.rng.between(10_000, 600_000)
            }
        };
        format!("{bytes}B")
            .parse::<Size>()
            .ok()
            .and_then(|size| QuotaSize::try_from(size).ok())
    }

    fn used(&mut self) -> Size {
        let bytes = match self.rng.between(1, 4) {
            1 => 0,
            2 => 7_000_000_000,
            _ => self.rng.between(1, 3_000_000),
        };
        Size::from_bytes(bytes).unwrap_or_else(|error| unreachable!("small: {error}"))
    }

    /// Returns a time to reset that is far off in every zone.
    fn reset(&mut self) -> ResetChoice {
        let far = self.today + Duration::days(12);
        let day = DayOfMonth::new(far.day().min(28)).unwrap_or(DayOfMonth::FIRST);
        let policies = [
            ResetChoice::Policy(ResetPolicy::Monthly(day)),
            ResetChoice::Policy(ResetPolicy::Yearly(DayOfYear::of(far))),
            ResetChoice::Policy(ResetPolicy::Once(far + Duration::days(365))),
            ResetChoice::Policy(ResetPolicy::Never),
        ];
        let every_days = Interval::new(30).map(ResetChoice::EveryDays);
        let every_months = Interval::new(3).map(|months| ResetChoice::EveryMonths(months, day));
        let all: Vec<ResetChoice> = policies
            .into_iter()
            .chain(every_days)
            .chain(every_months)
            .collect();
        *self.rng.pick(&all)
    }

    fn limit(&mut self) -> Option<Limit> {
        let text = self.pick(&["none", "3M", "20Mbps", "5Gbps", "8Kbps"]);
        text.parse::<BitRate>()
            .ok()
            .and_then(|rate| Limit::try_from(rate).ok())
    }

    /// Returns a rule that nobody breaks.
    fn dynqos(&mut self) -> Option<DynQos> {
        self.pick(&["none", "100Gbps/1/5Mbps/60", "90Gbps/5/64Kbps/1"])
            .parse()
            .ok()
    }

    fn expires(&mut self) -> Option<Date> {
        let days = self.pick(&[None, None, Some(400), Some(5), Some(-5)]);
        days.map(|days| self.today + Duration::days(days))
    }

    fn note(&mut self) -> Option<Note> {
        self.pick(&NOTES).parse().ok()
    }

    fn group(&mut self, model: &Model, known: u64) -> GroupName {
        let all: Vec<GroupName> = model.config.groups.keys().cloned().collect();
        if !all.is_empty() && self.chance(known) {
            return self.rng.pick(&all).clone();
        }
        let name = self.pick(&GROUPS);
        name.parse()
            .unwrap_or_else(|error| unreachable!("{name}: {error}"))
    }

    fn zone(&mut self) -> Option<ZoneName> {
        // Where the next day is a first of a month, it must not begin somewhere.
        let safe = (3..=26).contains(&self.today.day());
        let zones = if safe { &ZONES[..] } else { &ZONES[..1] };
        self.chance(70)
            .then(|| self.pick(zones))
            .and_then(|name| name.parse().ok())
    }

    fn classifier(&mut self, model: &Model) -> Classifier {
        let texts = match model.config.classifier {
            // Without filters by mark, every request would be refused until it is changed back.
            Classifier::Fwmark(_) if !self.has_fwmark => &["priority"][..],
            _ => &["priority", "fwmark", "fwmark/0x7fff8000"],
        };
        self.pick(texts).parse().unwrap_or_default()
    }
}

fn changes_tariff(operation: &Operation) -> bool {
    let contract = match operation {
        Operation::Request(Request::Add { settings, .. } | Request::Set { settings, .. }) => {
            &settings.contract
        }
        Operation::Request(
            Request::AddGroup { settings, .. } | Request::SetGroup { settings, .. },
        ) => settings,
        // It may bring any of them back.
        Operation::Request(Request::Restore { .. }) => return true,
        _ => return false,
    };
    contract.mode.is_some() || contract.factor.is_some()
}
