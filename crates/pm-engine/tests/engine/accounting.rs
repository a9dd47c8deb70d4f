//! Usage is what the kernel counted, whoever dies, fails or meddles, and whenever.

use std::collections::BTreeMap;

use pm_core::config::{Config, Mode, Service};
use pm_core::event::Event;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{Context, ContractSettings, Request, Settings};
use pm_core::ruleset::Direction;
use pm_engine::{By, EngineError, Ticked, Whose};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::backend::{Act, Fate, Script, TcCall};
use crate::books::Books;
use crate::events::is_alarm;
use crate::host::{End, Host, Pm};
use crate::kernel::{Packet, Table};
use crate::requests::{
    FORCE, add, add_group, alone, dynqos, group, in_group, is_open, limit, limit_in, mode,
    no_limit, no_quota, ports, quota, reset_group, restore, set, set_group, set_group_used,
    set_used, some,
};
use crate::shaping::{assert_recorded, assert_shaped};

const SERVICES: [&str; 3] = ["20000", "20001", "30000-30100"];
const GROUPS: [&str; 2] = ["vip", "free"];

/// What somebody does to the host, or asks of pm.
#[derive(Clone, Debug)]
enum Op {
    Traffic(Vec<Packet>),
    Tick(Script),
    View,
    Restore(Script),
    Teardown(Script),
    Ask(Request, Script),
    Flush,
    Save,
    Load,
    Unlink(PortRange),
}

fn services() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&SERVICES[..])
}

fn groups() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&GROUPS[..])
}

fn packets() -> impl Strategy<Value = Packet> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    (services(), direction, 20u64..65_536).prop_map(|(name, direction, bytes)| Packet {
        ports: ports(name),
        direction,
        bytes,
    })
}

fn scripts() -> impl Strategy<Value = Script> {
    let act = prop_oneof![
        12 => Just(Act::Nothing),
        12 => packets().prop_map(Act::Send),
        12 => (packets(), 1u32..4).prop_map(|(packet, moments)| Act::Launch(packet, moments)),
        2 => Just(Act::Touch),
        1 => services().prop_map(|name| Act::Unlink(ports(name))),
        1 => Just(Act::Flush),
    ];
    let fate = prop_oneof![
        8 => Just(Fate::Live),
        3 => (0usize..24).prop_map(Fate::Die),
        2 => (0usize..24).prop_map(Fate::Fail),
        2 => (0usize..5).prop_map(Fate::Refuse),
        1 => (0usize..5, 1usize..4).prop_map(|(first, times)| Fate::Race { first, times }),
        1 => (0usize..5).prop_map(Fate::RefuseShaping),
        1 => prop::sample::select(&TcCall::ALL[..]).prop_map(Fate::NoShaping),
    ];
    (fate, vec(act, 0..20), any::<bool>()).prop_map(|(fate, acts, quotas_first)| Script {
        fate,
        acts: acts.into(),
        quotas_first,
        ..Script::default()
    })
}

fn changes() -> impl Strategy<Value = ContractSettings> {
    prop_oneof![
        3 => (1u64..2_000_000).prop_map(quota),
        1 => Just(no_quota()),
        2 => Just(mode(Mode::Both)),
        2 => Just(mode(Mode::Out)),
        1 => Just(mode(Mode::Max)),
    ]
}

/// Settings that no bill depends on.
fn rates() -> impl Strategy<Value = Settings> {
    prop_oneof![
        2 => prop::sample::select(&["5M", "6M"][..]).prop_map(limit),
        1 => Just(no_limit()),
        1 => Just(limit_in("5M")),
        1 => Just(dynqos("10M/5/1M/5")),
    ]
}

fn group_requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        6 => (services(), groups()).prop_map(|(name, group)| set(name, in_group(group))),
        2 => services().prop_map(|name| set(name, alone())),
        4 => (groups(), changes()).prop_map(|(name, settings)| set_group(name, settings)),
        1 => (groups(), 0u64..2_000_000).prop_map(|(name, bytes)| set_group_used(name, bytes)),
        1 => groups().prop_map(reset_group),
        1 => groups().prop_map(|name| Request::DeleteGroup { name: group(name) }),
        1 => (groups(), changes()).prop_map(|(name, settings)| add_group(name, settings)),
        1 => (services(), groups()).prop_map(|(name, group)| add(name, in_group(group))),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        6 => (services(), changes()).prop_map(|(name, settings)| set(name, settings)),
        2 => (services(), rates()).prop_map(|(name, settings)| set(name, settings)),
        8 => group_requests(),
        1 => (services(), 0u64..2_000_000).prop_map(|(name, bytes)| set_used(name, bytes)),
        1 => services().prop_map(|name| Request::Reset { ports: some(name) }),
        1 => services().prop_map(|name| Request::Block { ports: some(name) }),
        1 => services().prop_map(|name| Request::Unblock { ports: some(name) }),
        2 => services().prop_map(|name| Request::Delete { ports: some(name) }),
        2 => services().prop_map(|name| add(name, no_quota())),
        1 => services().prop_map(|name| add(name, quota(500_000))),
        1 => versions().prop_map(restore),
    ]
}

/// What some requests make of nothing.
fn versions() -> impl Strategy<Value = Config> {
    let join = (groups(), services(), changes()).prop_map(|(group, name, settings)| {
        vec![add_group(group, settings), add(name, in_group(group))]
    });
    let own = (services(), changes()).prop_map(|(name, settings)| vec![add(name, settings)]);
    vec(prop_oneof![1 => join, 2 => own], 0..5).prop_map(|requests| {
        let context = Context::default();
        let requests = requests.into_iter().flatten();
        requests.fold(Config::default(), |config, request| {
            request.apply(&config, &context).unwrap_or(config)
        })
    })
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => vec(packets(), 0..6).prop_map(Op::Traffic),
        6 => scripts().prop_map(Op::Tick),
        1 => Just(Op::View),
        1 => scripts().prop_map(Op::Restore),
        1 => scripts().prop_map(Op::Teardown),
        8 => (requests(), scripts())
            .prop_map(|(request, script)| Op::Ask(request, script)),
        1 => Just(Op::Flush),
        1 => Just(Op::Save),
        1 => Just(Op::Load),
        1 => services().prop_map(|name| Op::Unlink(ports(name))),
    ]
}

/// What a service's usage must be: between two figures where only pm can know when it looked.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    low: Usage,
    high: Usage,
}

impl Bounds {
    fn exactly(usage: Usage) -> Self {
        Self {
            low: usage,
            high: usage,
        }
    }

    fn hold(self, usage: Usage) -> bool {
        (self.low.incoming..=self.high.incoming).contains(&usage.incoming)
            && (self.low.outgoing..=self.high.outgoing).contains(&usage.outgoing)
    }
}

fn plus(a: Usage, b: Usage) -> Usage {
    Usage {
        incoming: a.incoming + b.incoming,
        outgoing: a.outgoing + b.outgoing,
    }
}

fn minus(a: Usage, b: Usage) -> Usage {
    Usage {
        incoming: a.incoming - b.incoming,
        outgoing: a.outgoing - b.outgoing,
    }
}

/// Returns the services of which a request closes the period.
fn closes(request: &Request, config: &Config) -> Vec<PortRange> {
    match request {
        Request::Reset { ports } => ports.resolve(config).unwrap_or_default(),
        Request::ResetGroup { name } => config.members(name).collect(),
        Request::Set {
            ports, settings, ..
        } => {
            let Some(group) = &settings.group else {
                return Vec::new();
            };
            let mut selected = ports.resolve(config).unwrap_or_default();
            selected.retain(|ports| config.services[ports].group != *group);
            selected
        }
        Request::Restore {
            config: version, ..
        } => {
            let regroups = |(ports, service): (&PortRange, &Service)| {
                let then = version.services.get(ports)?;
                (then.group != service.group).then_some(*ports)
            };
            config.services.iter().filter_map(regroups).collect()
        }
        _ => Vec::new(),
    }
}

struct Model {
    host: Host,
    books: Books,
    bounds: BTreeMap<PortRange, Bounds>,
    /// Somebody loaded counters, and pm has not saved them as its base line.
    foreign: bool,
    /// Somebody changed the rules, and pm has not looked since.
    meddled: bool,
    counted: BTreeMap<PortRange, Usage>,
    file: Option<Table>,
}

impl Model {
    fn new() -> Self {
        let mut host = Host::with(&SERVICES.map(|name| (name, no_quota())));
        host.tc(|tc| {
            tc.add_interface("eth0");
            tc.choose("eth0", "mq", &["fq", "sfq"]);
            tc.uplinks.insert("eth0".to_owned());
        });
        for name in GROUPS {
            host.request(&add_group(name, no_quota()));
        }
        let books = Books::of(&host);
        Self {
            host,
            books,
            bounds: SERVICES.map(|name| (ports(name), Bounds::default())).into(),
            foreign: false,
            meddled: false,
            counted: BTreeMap::new(),
            file: None,
        }
    }

    fn saved(&self) -> BTreeMap<PortRange, Usage> {
        let ledgers = self.host.saved().unwrap().ledgers.into_iter();
        ledgers
            .map(|(ports, ledger)| (ports, ledger.account.usage))
            .collect()
    }

    /// Returns what was counted since this was last asked.
    fn count(&mut self) -> BTreeMap<PortRange, Usage> {
        let now = self.host.kernel(|kernel| kernel.counted.clone());
        let before = std::mem::replace(&mut self.counted, now.clone());
        let since = |(ports, usage): (PortRange, Usage)| {
            let before = before.get(&ports).copied().unwrap_or_default();
            (ports, minus(usage, before))
        };
        now.into_iter().map(since).collect()
    }

    /// Books what was counted in one go, none of which was lost.
    fn book(&mut self) {
        for (ports, usage) in self.count() {
            if let Some(bounds) = self.bounds.get_mut(&ports) {
                bounds.high = plus(bounds.high, usage);
                if !self.foreign {
                    bounds.low = plus(bounds.low, usage);
                }
            }
        }
    }

    /// All counters are gone; what was saved is all there is.
    fn lose(&mut self) {
        self.count();
        let saved = self.saved();
        for (ports, bounds) in &mut self.bounds {
            let saved = saved.get(ports).copied().unwrap_or_default();
            *bounds = Bounds::exactly(saved);
        }
        self.foreign = false;
    }

    /// Has pm do something, and books what was counted meanwhile and what pm did. `call` returns
    /// what happened.
    fn call(
        &mut self,
        script: Script,
        request: Option<&Request>,
        call: impl FnOnce(&mut Pm) -> Result<Vec<Event>, EngineError>,
    ) -> End<()> {
        let saved = self.host.saved().unwrap().ledgers;
        let before = self.host.config();
        let flushes = self.host.kernel(|kernel| kernel.flushes);
        let meddles = |act: &Act| matches!(act, Act::Unlink(_) | Act::Flush);
        self.meddled |= script.acts.iter().any(meddles);
        let groups = self.host.saved().unwrap().groups;
        let end = self.host.run(script, call);
        let when = format!("{request:?}");
        self.books.follow(&self.host, &when);
        assert_recorded(&self.host, &when);
        let after = self.host.config();
        if let (End::Failed(error), Some(request)) = (&end, request) {
            let what = format!("`{request}` failed: {error}");
            assert_eq!(after, before, "{what}");
            for (ports, ledger) in self.host.saved().unwrap().ledgers {
                if let Some(before) = saved.get(&ports) {
                    let adjust = before.account.adjust;
                    assert_eq!(ledger.account.adjust, adjust, "{what}: service {ports}");
                }
            }
            for (name, account) in self.host.saved().unwrap().groups {
                if let Some(before) = groups.get(&name) {
                    assert_eq!(account.adjust, before.adjust, "{what}: group {name}");
                }
            }
        }
        if let End::Done(events) = &end
            && !self.meddled
        {
            let alarm = events.iter().find(|event| is_alarm(event));
            assert_eq!(alarm, None, "{request:?}");
        }

        let counted = self.count();
        let counted = |ports: &PortRange| counted.get(ports).copied().unwrap_or_default();
        let lost = self.host.kernel(|kernel| kernel.flushes) > flushes;
        for (ports, bounds) in &mut self.bounds {
            bounds.high = plus(bounds.high, counted(ports));
            if lost {
                let saved = saved.get(ports).map(|ledger| ledger.account.usage);
                let saved = saved.unwrap_or_default();
                bounds.low.incoming = bounds.low.incoming.min(saved.incoming);
                bounds.low.outgoing = bounds.low.outgoing.min(saved.outgoing);
            } else if !self.foreign {
                bounds.low = plus(bounds.low, counted(ports));
            }
        }
        let mut closed = match (&end, request) {
            (End::Failed(_), _) | (_, None) => Vec::new(),
            (_, Some(request)) => closes(request, &before),
        };
        // The group that a request did not live to see it join.
        let regroups = |(ports, service): (&PortRange, &Service)| {
            let ledger = saved.get(ports)?;
            (ledger.group != service.group).then_some(*ports)
        };
        closed.extend(before.services.iter().filter_map(regroups));
        let is_done = matches!(end, End::Done(_));
        for ports in closed {
            if let Some(bounds) = self.bounds.get_mut(&ports) {
                bounds.low = Usage::default();
                if is_done {
                    bounds.high = counted(&ports);
                }
            }
        }
        let is_there = |ports: &PortRange| after.services.contains_key(ports);
        self.bounds.retain(|ports, _| is_there(ports));
        for ports in after.services.keys() {
            self.bounds.entry(*ports).or_insert(Bounds {
                low: Usage::default(),
                high: counted(ports),
            });
        }
        match end {
            End::Done(_) => {
                self.foreign = false;
                End::Done(())
            }
            End::Failed(error) => End::Failed(error),
            End::Died => End::Died,
        }
    }

    /// Does two ticks in silence, and narrows all bounds to what they found.
    fn look(&mut self) {
        for _ in 0..2 {
            self.call(Script::default(), None, tick).done();
        }
        self.meddled = false;
        let saved = self.saved();
        for (ports, bounds) in &mut self.bounds {
            let usage = saved[ports];
            assert!(bounds.hold(usage), "{ports}: {usage:?}, not {bounds:?}");
            *bounds = Bounds::exactly(usage);
        }
        assert_shaped(&self.host, "two ticks later");
    }

    /// Asserts that packets pass where pm says that a service is open, and nowhere else.
    fn assert_passage(&self) {
        let state = self.host.saved().unwrap();
        if state.torn_down {
            return;
        }
        for (ports, service) in self.host.config().services {
            // Of no bytes, so that it uses nothing.
            let packet = Packet {
                ports,
                direction: Direction::In,
                bytes: 0,
            };
            let passes = self.host.kernel(|kernel| kernel.send(packet));
            let open = is_open(&service, &state.ledgers[&ports], &state);
            assert_eq!(passes, open, "service {ports}");
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Traffic(packets) => {
                for packet in packets {
                    self.host.kernel(|kernel| kernel.send(packet));
                }
                self.book();
            }
            Op::Tick(script) => drop(self.call(script, None, tick)),
            Op::View => {
                let foreign = self.foreign;
                let view = |engine: &mut Pm| {
                    engine.history(&Whose::All, By::Period)?;
                    engine.view().map(|_| Vec::new())
                };
                self.call(Script::default(), None, view).done();
                // It saves no base line.
                self.foreign = foreign;
            }
            Op::Restore(script) => {
                drop(self.call(script, None, |engine| Ok(engine.restore(false)?.events)));
            }
            Op::Teardown(script) => {
                drop(self.call(script, None, |engine| Ok(engine.teardown()?.events)));
            }
            Op::Ask(request, script) => {
                drop(self.call(script, Some(&request), |engine| {
                    Ok(engine.execute(&request, FORCE)?.events)
                }));
            }
            Op::Flush => {
                self.host.kernel(|kernel| kernel.flush());
                self.meddled = true;
                self.lose();
            }
            Op::Save => self.file = self.host.kernel(|kernel| kernel.table.clone()),
            // A pm that died before it could note the table it had made takes a copy of it for
            // the table itself, rightly: nothing in it was accounted for.
            Op::Load if self.host.saved().unwrap().table.is_none() => {}
            Op::Load => {
                if let Some(file) = &self.file {
                    self.host.kernel(|kernel| kernel.load(file));
                    self.lose();
                    self.foreign = true;
                    self.meddled = true;
                }
            }
            Op::Unlink(ports) => {
                self.host.kernel(|kernel| kernel.unlink(ports));
                self.meddled = true;
            }
        }
    }
}

fn tick(engine: &mut Pm) -> Result<Vec<Event>, EngineError> {
    match engine.tick()? {
        Ticked::Done { events, .. } => Ok(events),
        Ticked::Busy => panic!("no other pm is at it"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn usage_is_what_the_kernel_counted(steps in vec(vec(ops(), 1..8), 1..5)) {
        let mut model = Model::new();
        for ops in steps {
            for op in ops {
                model.step(op);
            }
            model.look();
            model.assert_passage();
        }
    }
}
