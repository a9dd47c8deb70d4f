//! Laws of accounting, on a kernel in memory: whatever dies, restarts or meddles, usage equals
//! what the kernel counted, and no quota lets a byte too many through.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub)]
mod support;

use std::collections::BTreeMap;

use pm_core::config::QuotaSize;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{Request, Selection, Settings};
use pm_core::ruleset::{Direction, Link};
use pm_core::units::{Size, SizeUnit};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, World, link, ports};

const SERVICES: [&str; 3] = ["80", "8080", "30000-30100"];

fn quota(bytes: u64) -> Option<QuotaSize> {
    Some(QuotaSize::try_from(Size::new(bytes, SizeUnit::B).unwrap()).unwrap())
}

fn add(text: &str, settings: Settings) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings,
        or_set: false,
    }
}

fn set(text: &str, settings: Settings) -> Request {
    Request::Set {
        ports: Selection::Ports(text.parse().unwrap()),
        settings,
        used: None,
    }
}

fn with_quota(bytes: u64) -> Settings {
    Settings {
        quota: Some(quota(bytes)),
        ..Settings::default()
    }
}

fn do_now(pm: &mut Pm, kernel: &mut Kernel, request: &Request) {
    pm.request(kernel, &mut Quiet, usize::MAX, request).unwrap();
}

/// What somebody does to the host, or asks of pm.
#[derive(Clone, Debug)]
enum Op {
    Traffic(Vec<Packet>),
    Tick {
        steps: usize,
        traffic: Vec<Packet>,
    },
    Set {
        service: usize,
        settings: Settings,
        steps: usize,
        traffic: Vec<Packet>,
    },
    Reset {
        service: usize,
        steps: usize,
    },
    DeleteAndAdd {
        service: usize,
        steps: usize,
    },
    Block {
        service: usize,
        steps: usize,
        traffic: Vec<Packet>,
    },
    Unblock {
        service: usize,
        steps: usize,
        traffic: Vec<Packet>,
    },
    Flush,
    Save,
    Load,
    Reboot,
    FreshNamespace {
        with_saved: bool,
    },
    Unlink(usize),
    Damage(usize),
    DeleteRooms(usize),
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    service: usize,
    direction: Direction,
    bytes: u64,
}

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    let packet =
        (0..SERVICES.len(), direction, 20u64..65_536).prop_map(|(service, direction, bytes)| {
            Packet {
                service,
                direction,
                bytes,
            }
        });
    vec(packet, 0..6)
}

fn settings() -> impl Strategy<Value = Settings> {
    use pm_core::config::Mode;
    let bytes = proptest::option::of(proptest::option::of(1u64..2_000_000));
    let mode = proptest::option::of(prop_oneof![Just(Mode::Both), Just(Mode::Out)]);
    (bytes, mode).prop_map(|(bytes, mode)| Settings {
        quota: bytes.map(|bytes| bytes.and_then(quota)),
        mode,
        ..Settings::default()
    })
}

fn op() -> impl Strategy<Value = Op> {
    let service = || 0..SERVICES.len();
    // Most live to the end; some die after any of their first steps.
    let steps = || prop_oneof![2 => Just(usize::MAX), 1 => 0usize..12];
    prop_oneof![
        8 => packets().prop_map(Op::Traffic),
        8 => (steps(), packets()).prop_map(|(steps, traffic)| Op::Tick { steps, traffic }),
        4 => (service(), settings(), steps(), packets()).prop_map(
            |(service, settings, steps, traffic)| Op::Set { service, settings, steps, traffic }
        ),
        1 => (service(), steps()).prop_map(|(service, steps)| Op::Reset { service, steps }),
        1 => (service(), steps()).prop_map(|(service, steps)| Op::DeleteAndAdd { service, steps }),
        1 => (service(), steps(), packets())
            .prop_map(|(service, steps, traffic)| Op::Block { service, steps, traffic }),
        1 => (service(), steps(), packets())
            .prop_map(|(service, steps, traffic)| Op::Unblock { service, steps, traffic }),
        1 => Just(Op::Flush),
        1 => Just(Op::Save),
        1 => Just(Op::Load),
        1 => Just(Op::Reboot),
        1 => any::<bool>().prop_map(|with_saved| Op::FreshNamespace { with_saved }),
        1 => service().prop_map(Op::Unlink),
        1 => service().prop_map(Op::Damage),
        1 => service().prop_map(Op::DeleteRooms),
    ]
}

/// What the ledgers must say, told from the outside.
#[derive(Default)]
struct Model {
    accounted: BTreeMap<PortRange, Usage>,
    /// Counted by the kernel since the last reading that was saved.
    unread: BTreeMap<PortRange, Usage>,
    /// Of that, what the reading in hand has seen.
    read: BTreeMap<PortRange, Usage>,
    /// The counters were loaded by somebody: what they count before pm has saved its base line
    /// cannot be told from what they were loaded with.
    foreign: bool,
    saves: u32,
}

impl Model {
    fn send(&mut self, kernel: &mut Kernel, packet: Packet) {
        let ports = ports(SERVICES[packet.service]);
        if kernel.packet(ports, packet.direction, packet.bytes) {
            self.unread
                .entry(ports)
                .or_default()
                .add(packet.direction, packet.bytes);
        }
    }

    fn lose(&mut self) {
        self.unread.clear();
        self.read.clear();
    }

    /// Returns the world of one run of pm.
    fn busy(&mut self, traffic: Vec<Packet>) -> Busy<'_> {
        let foreign = self.foreign;
        Busy {
            model: self,
            traffic,
            foreign,
        }
    }

    fn accounted(&self, ports: PortRange) -> Usage {
        self.accounted.get(&ports).copied().unwrap_or_default()
    }
}

struct Busy<'a> {
    model: &'a mut Model,
    traffic: Vec<Packet>,
    /// No reading of this run has taken the base line yet.
    foreign: bool,
}

impl World for Busy<'_> {
    fn meanwhile(&mut self, kernel: &mut Kernel) {
        if let Some(packet) = self.traffic.pop() {
            self.model.send(kernel, packet);
        }
    }

    fn saved(&mut self, committed: bool) {
        let model = &mut *self.model;
        if !committed {
            if std::mem::take(&mut self.foreign) {
                model.unread.clear();
            }
            model.read = model.unread.clone();
            return;
        }
        model.saves += 1;
        model.foreign = false;
        for (ports, usage) in std::mem::take(&mut model.read) {
            let accounted = model.accounted.entry(ports).or_default();
            accounted.incoming += usage.incoming;
            accounted.outgoing += usage.outgoing;
            let unread = model.unread.entry(ports).or_default();
            unread.incoming -= usage.incoming;
            unread.outgoing -= usage.outgoing;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn usage_is_what_the_kernel_counted(ops in vec(op(), 1..40)) {
        let mut kernel = Kernel::default();
        let mut pm = Pm::new();
        let mut model = Model::default();
        let mut file = None;
        for service in SERVICES {
            do_now(&mut pm, &mut kernel, &add(service, Settings::default()));
        }
        for op in ops {
            match op {
                Op::Traffic(packets) => {
                    for packet in packets {
                        model.send(&mut kernel, packet);
                    }
                }
                Op::Tick { steps, traffic } => {
                    let mut world = model.busy(traffic);
                    let _ = pm.tick(&mut kernel, &mut world, steps);
                }
                Op::Set { service, settings, steps, traffic } => {
                    let request = set(SERVICES[service], settings);
                    let mut world = model.busy(traffic);
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                }
                Op::Reset { service, steps } => {
                    let request = Request::Reset {
                        ports: Selection::Ports(SERVICES[service].parse().unwrap()),
                    };
                    model.saves = 0;
                    let mut world = model.busy(Vec::new());
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                    if model.saves > 0 {
                        model.accounted.remove(&ports(SERVICES[service]));
                    }
                }
                Op::DeleteAndAdd { service, steps } => {
                    let name = SERVICES[service];
                    let request = Request::Delete { ports: Selection::Ports(name.parse().unwrap()) };
                    let mut world = model.busy(Vec::new());
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                    if !pm.config.services.contains_key(&ports(name)) {
                        let mut world = model.busy(Vec::new());
                        let request = add(name, Settings::default());
                        pm.request(&mut kernel, &mut world, usize::MAX, &request).unwrap();
                        model.accounted.remove(&ports(name));
                    }
                }
                Op::Block { service, steps, traffic } => {
                    let request = Request::Block {
                        ports: Selection::Ports(SERVICES[service].parse().unwrap()),
                    };
                    let mut world = model.busy(traffic);
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                }
                Op::Unblock { service, steps, traffic } => {
                    let request = Request::Unblock {
                        ports: Selection::Ports(SERVICES[service].parse().unwrap()),
                    };
                    let mut world = model.busy(traffic);
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                }
                Op::Flush => {
                    kernel.flush();
                    model.lose();
                    model.foreign = false;
                }
                Op::Save => file = kernel.table.clone(),
                // A pm that died before it could note the table it had made takes a copy of it
                // for the table itself, rightly: nothing in it was accounted for.
                Op::Load if pm.saved.table.is_none() => {}
                Op::Load => {
                    kernel.load(&file);
                    model.lose();
                    model.foreign = file.is_some();
                }
                Op::Reboot => {
                    kernel.reboot();
                    model.lose();
                    model.foreign = false;
                }
                Op::FreshNamespace { with_saved } => {
                    kernel.fresh_namespace();
                    model.lose();
                    model.foreign = false;
                    if with_saved {
                        kernel.load(&file);
                        model.foreign = file.is_some();
                    }
                }
                Op::Unlink(service) => kernel.unlink(ports(SERVICES[service])),
                Op::Damage(service) => kernel.damage(ports(SERVICES[service])),
                Op::DeleteRooms(service) => {
                    let ports = ports(SERVICES[service]);
                    kernel.delete_rooms(ports);
                    model.unread.remove(&ports);
                }
            }
        }
        let mut world = model.busy(Vec::new());
        pm.tick(&mut kernel, &mut world, usize::MAX).unwrap();
        for service in SERVICES {
            let ports = ports(service);
            prop_assert_eq!(pm.usage(ports), model.accounted(ports), "service {}", ports);
            let open = !pm.config.services[&ports].blocked && !pm.is_spent(ports);
            prop_assert_eq!(link(&kernel, ports) == Some(Link::Drop), !open);
        }
    }

    #[test]
    fn no_quota_lets_a_byte_too_many_through(
        limit in 1u64..3_000_000,
        raises in vec((5_000_000u64..9_000_000, packets(), 0usize..14), 0..12),
        traffic in vec(packets(), 1..60),
    ) {
        let mut kernel = Kernel::default();
        let mut pm = Pm::new();
        let mut model = Model::default();
        do_now(&mut pm, &mut kernel, &add("80", with_quota(limit)));
        let mut largest = limit;
        let mut raises = raises.into_iter();
        for packets in traffic {
            for packet in packets {
                model.send(&mut kernel, Packet { service: 0, ..packet });
            }
            if let Some((bytes, traffic, steps)) = raises.next() {
                let traffic = traffic.into_iter().map(|packet| Packet { service: 0, ..packet });
                let request = set("80", with_quota(bytes));
                let mut world = model.busy(traffic.collect());
                let _ = pm.request(&mut kernel, &mut world, steps, &request);
            }
            let mut world = model.busy(Vec::new());
            pm.tick(&mut kernel, &mut world, usize::MAX).unwrap();
            let quota = pm.config.services[&ports("80")].quota.unwrap().bytes();
            let usage = pm.usage(ports("80"));
            // A raise may come first and a lower quota after it; what passed by then stays.
            largest = largest.max(quota);
            prop_assert!(usage.incoming + usage.outgoing <= largest);
            let passed = kernel.passed.get(&ports("80")).copied().unwrap_or_default();
            prop_assert_eq!(passed, usage);
        }
    }

    #[test]
    fn spent_is_sticky(limit in 1u64..1_000_000, deaths in vec(0usize..10, 0..8)) {
        let mut kernel = Kernel::default();
        let mut pm = Pm::new();
        do_now(&mut pm, &mut kernel, &add("80", with_quota(limit)));
        while kernel.packet(ports("80"), Direction::In, 1500) {}
        for (round, steps) in deaths.into_iter().enumerate() {
            let _ = pm.tick(&mut kernel, &mut Quiet, steps);
            if round % 2 == 0 {
                kernel.reboot();
            }
            pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
            if pm.is_spent(ports("80")) {
                prop_assert!(!kernel.packet(ports("80"), Direction::Out, 40));
            }
        }
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let spent = pm.is_spent(ports("80"));
        kernel.reboot();
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        prop_assert_eq!(pm.is_spent(ports("80")), spent);
    }
}

#[test]
fn the_kernel_cuts_off_before_any_tick() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", with_quota(10_000)));
    for _ in 0..10 {
        kernel.packet(ports("80"), Direction::In, 1500);
    }
    assert_eq!(kernel.passed[&ports("80")].incoming, 9_000);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert!(pm.is_spent(ports("80")));
    assert_eq!(link(&kernel, ports("80")), Some(Link::Drop));
    assert_eq!(pm.usage(ports("80")).incoming, 9_000);
}

#[test]
fn a_raised_quota_gives_exactly_the_rest() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", with_quota(10_000)));
    for _ in 0..1000 {
        kernel.packet(ports("80"), Direction::In, 1000);
    }
    do_now(&mut pm, &mut kernel, &set("80", with_quota(15_000)));
    for _ in 0..1000 {
        kernel.packet(ports("80"), Direction::Out, 100);
    }
    let passed = kernel.passed[&ports("80")];
    assert_eq!((passed.incoming, passed.outgoing), (10_000, 5_000));
}

#[test]
fn lowering_a_quota_and_raising_it_back_frees_nothing() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", with_quota(10_000)));
    while kernel.packet(ports("80"), Direction::In, 1500) {}
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    do_now(&mut pm, &mut kernel, &set("80", with_quota(9_500)));
    do_now(&mut pm, &mut kernel, &set("80", with_quota(10_000)));
    assert!(pm.is_spent(ports("80")));
}

#[test]
fn a_quota_in_the_outgoing_mode_leaves_the_incoming_open_until_it_is_spent() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    let settings = Settings {
        mode: Some(pm_core::config::Mode::Out),
        ..with_quota(10_000)
    };
    do_now(&mut pm, &mut kernel, &add("80", settings));
    assert!(kernel.packet(ports("80"), Direction::In, 50_000));
    assert!(kernel.packet(ports("80"), Direction::Out, 10_000));
    assert!(!kernel.packet(ports("80"), Direction::Out, 1));
    assert!(kernel.packet(ports("80"), Direction::In, 1));
}

#[test]
fn a_foreign_reset_counts_what_the_counter_shows() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", Settings::default()));
    kernel.packet(ports("80"), Direction::In, 5_000);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    kernel.reset_counters();
    kernel.packet(ports("80"), Direction::In, 300);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 5_300);
    kernel.packet(ports("80"), Direction::In, 20);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 5_320);
}

#[test]
fn a_foreign_reset_of_the_quota_is_undone() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", with_quota(10_000)));
    kernel.packet(ports("80"), Direction::In, 6_000);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    kernel.reset_quotas();
    for _ in 0..3 {
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    }
    assert!(kernel.packet(ports("80"), Direction::In, 4_000));
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
}

/// Fault 7 of the scripts pm replaces: resetting one port lost what the others had counted since
/// the last collection.
#[test]
fn resetting_one_service_leaves_the_others_uncollected_bytes() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80,8080", Settings::default()));
    kernel.packet(ports("8080"), Direction::Out, 777);
    let request = Request::Reset {
        ports: Selection::Ports("80".parse().unwrap()),
    };
    do_now(&mut pm, &mut kernel, &request);
    assert_eq!(pm.usage(ports("8080")).outgoing, 777);
}

#[test]
fn a_teardown_keeps_what_was_counted() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", Settings::default()));
    kernel.packet(ports("80"), Direction::In, 42);
    pm.saved.torn_down = true;
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert!(kernel.table.is_none());
    assert_eq!(pm.usage(ports("80")).incoming, 42);
    pm.saved.torn_down = false;
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    kernel.packet(ports("80"), Direction::In, 8);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 50);
}

#[test]
fn a_tick_with_nothing_to_do_changes_nothing_in_the_kernel() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(
        &mut pm,
        &mut kernel,
        &add("80,30000-30100", with_quota(10_000)),
    );
    let before = format!("{kernel:?}");
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(format!("{kernel:?}"), before);
}
