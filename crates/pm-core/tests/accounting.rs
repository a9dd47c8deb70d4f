//! Laws of accounting, on a kernel in memory: whatever dies, restarts or meddles, usage equals
//! what the kernel counted, and no quota lets a byte too many through.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use pm_core::calendar::{DayOfMonth, ResetChoice, ResetPolicy};
use pm_core::config::{Factor, Mode};
use pm_core::event::Event;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request, Settings};
use pm_core::ruleset::{Direction, Link, RoomId};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    Kernel, Pm, Quiet, Table, World, add, do_now, link, ports, quota, set, set_used, these,
};

const SERVICES: [&str; 3] = ["80", "8080", "30000-30100"];

fn with_quota(bytes: u64) -> Settings {
    quota(bytes).into()
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
        settings: ContractSettings,
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
    SetUsed {
        service: usize,
        bytes: u64,
        steps: usize,
    },
    Days(i64),
    Flush,
    Save,
    Load,
    Merge,
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

fn settings() -> impl Strategy<Value = ContractSettings> {
    use proptest::option::of;
    let bytes = of(of(1u64..2_000_000));
    let mode = of(prop_oneof![
        Just(Mode::Both),
        Just(Mode::Out),
        Just(Mode::Max)
    ]);
    let factor = of((500u32..3_000).prop_map(|factor| Factor::from_thousandths(factor).unwrap()));
    let reset = of(prop_oneof![
        3 => (1u8..=31).prop_map(|day| ResetPolicy::Monthly(DayOfMonth::new(day).unwrap())),
        1 => Just(ResetPolicy::Never),
    ]
    .prop_map(ResetChoice::from));
    (bytes, mode, factor, reset).prop_map(|(bytes, mode, factor, reset)| ContractSettings {
        quota: bytes.map(|bytes| bytes.and_then(|bytes| quota(bytes).quota?)),
        mode,
        factor,
        reset,
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
        1 => (service(), 0u64..2_000_000, steps())
            .prop_map(|(service, bytes, steps)| Op::SetUsed { service, bytes, steps }),
        2 => (-3i64..40).prop_map(Op::Days),
        1 => Just(Op::Flush),
        2 => Just(Op::Merge),
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
    /// Services whose counters were loaded by somebody: what they count before pm has saved its
    /// base line cannot be told from what they were loaded with.
    foreign: BTreeSet<PortRange>,
    /// What these counted since, or since the first reading of pm's present run.
    doubtful: BTreeMap<PortRange, Usage>,
}

fn add_to(sums: &mut BTreeMap<PortRange, Usage>, more: &BTreeMap<PortRange, Usage>) {
    for (&ports, usage) in more {
        let sum = sums.entry(ports).or_default();
        sum.incoming += usage.incoming;
        sum.outgoing += usage.outgoing;
    }
}

fn take_from(sums: &mut BTreeMap<PortRange, Usage>, less: &BTreeMap<PortRange, Usage>) {
    for (&ports, usage) in less {
        let sum = sums.entry(ports).or_default();
        sum.incoming = sum.incoming.checked_sub(usage.incoming).unwrap();
        sum.outgoing = sum.outgoing.checked_sub(usage.outgoing).unwrap();
    }
}

impl Model {
    fn send(&mut self, kernel: &mut Kernel, packet: Packet) {
        let ports = ports(SERVICES[packet.service]);
        let counted = kernel.counted(ports, packet.direction, packet.bytes);
        let sums = if self.foreign.contains(&ports) {
            &mut self.doubtful
        } else {
            &mut self.unread
        };
        sums.entry(ports)
            .or_default()
            .add(packet.direction, counted);
    }

    /// All counters are gone.
    fn lose(&mut self) {
        self.unread.clear();
        self.doubtful.clear();
        self.read.clear();
        self.foreign.clear();
    }

    /// Returns the world of one run of pm.
    fn busy(&mut self, traffic: Vec<Packet>) -> Busy<'_> {
        Busy {
            model: self,
            traffic,
            first: true,
        }
    }

    fn accounted(&self, ports: PortRange) -> Usage {
        self.accounted.get(&ports).copied().unwrap_or_default()
    }
}

struct Busy<'a> {
    model: &'a mut Model,
    traffic: Vec<Packet>,
    /// No reading of this run has taken a base line yet.
    first: bool,
}

impl World for Busy<'_> {
    fn meanwhile(&mut self, kernel: &mut Kernel) {
        if let Some(packet) = self.traffic.pop() {
            self.model.send(kernel, packet);
        }
    }

    fn read(&mut self, _: &Kernel) {
        let model = &mut *self.model;
        if std::mem::take(&mut self.first) {
            model.doubtful.clear();
        }
        model.read = model.unread.clone();
        add_to(&mut model.read, &model.doubtful);
    }

    fn saved(&mut self) {
        let model = &mut *self.model;
        model.foreign.clear();
        let doubtful = std::mem::take(&mut model.doubtful);
        add_to(&mut model.unread, &doubtful);
        let read = std::mem::take(&mut model.read);
        add_to(&mut model.accounted, &read);
        take_from(&mut model.unread, &read);
    }
}

/// Returns what a service was billed for, in the running period and in all that are closed.
fn billed_for(pm: &Pm, ports: PortRange) -> Usage {
    let holder = Holder::Service(ports);
    let closed = pm.history.iter().filter(|period| period.holder == holder);
    closed.fold(pm.usage(ports), |sum, period| sum.plus(period.usage))
}

/// Whether pm sent a batch that it has not read yet, and that is in the kernel or in `file`.
fn unread_batch(pm: &Pm, kernel: &Kernel, file: &Option<Table>) -> bool {
    let holds_it = |table: &Table| table.installed.epochs.contains(&pm.saved.next_epoch);
    [&kernel.table, file].into_iter().flatten().any(holds_it)
}

/// Whether pm has read the counters that a service's packets get to now.
fn knows(pm: &Pm, kernel: &Kernel, ports: PortRange) -> bool {
    let Some(Link::Room(variant)) = link(kernel, ports) else {
        return true;
    };
    let room = RoomId { ports, variant };
    let counters = kernel.read().0.table.unwrap_or_default().counters;
    let ledger = pm.saved.ledgers.get(&ports);
    let mark = ledger.and_then(|ledger| ledger.rooms.get(variant));
    Direction::BOTH.into_iter().all(|direction| {
        let known = mark.and_then(|mark| mark.counter(direction));
        let now = counters.get(&(room, direction));
        known.map(|known| known.handle) == now.map(|now| now.handle)
    })
}

proptest! {
    #![proptest_config(support::cases(1_500))]

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
                        ports: these(SERVICES[service]),
                    };
                    let mut world = model.busy(Vec::new());
                    if pm.request(&mut kernel, &mut world, steps, &request).is_ok() {
                        prop_assert_eq!(pm.usage(ports(SERVICES[service])), Usage::default());
                    }
                }
                Op::DeleteAndAdd { service, steps } => {
                    let name = SERVICES[service];
                    let request = Request::Delete { ports: these(name) };
                    let mut world = model.busy(Vec::new());
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                    if !pm.config.services.contains_key(&ports(name)) {
                        let mut world = model.busy(Vec::new());
                        let request = add(name, Settings::default());
                        pm.request(&mut kernel, &mut world, usize::MAX, &request).unwrap();
                        prop_assert_eq!(pm.usage(ports(name)), Usage::default());
                    }
                }
                Op::Block { service, steps, traffic } => {
                    let request = Request::Block {
                        ports: these(SERVICES[service]),
                    };
                    let mut world = model.busy(traffic);
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                }
                Op::Unblock { service, steps, traffic } => {
                    let request = Request::Unblock {
                        ports: these(SERVICES[service]),
                    };
                    let mut world = model.busy(traffic);
                    let _ = pm.request(&mut kernel, &mut world, steps, &request);
                }
                Op::Flush => {
                    kernel.flush();
                    model.lose();
                }
                Op::Save => file = kernel.table.clone(),
                // A pm that died before it could note the table it had made takes a copy of it
                // for the table itself, rightly: nothing in it was accounted for.
                Op::Load if pm.saved.table.is_none() => {}
                Op::Load => {
                    kernel.load(&file);
                    model.lose();
                    if file.is_some() {
                        model.foreign = SERVICES.map(ports).into();
                    }
                }
                // What a batch made that pm has not read yet cannot be told from what is loaded on
                // top of it; see `a_file_on_top_of_an_unread_batch_bills_nothing_twice`.
                Op::Merge if pm.saved.table.is_none() || unread_batch(&pm, &kernel, &file) => {}
                Op::Merge => {
                    let loaded = kernel.merge(&file);
                    model.foreign.extend(loaded);
                    // Room in the place of which pm was about to make another: it had read it a
                    // last time, and did not expect packets to get there again.
                    let unknown = |ports: &PortRange| !knows(&pm, &kernel, *ports);
                    let unknown = SERVICES.map(ports).into_iter().filter(unknown);
                    model.foreign.extend(unknown);
                }
                Op::Days(days) => pm.time += days * 86_400,
                Op::SetUsed { service, bytes, steps } => {
                    let request = set_used(SERVICES[service], bytes);
                    let mut world = model.busy(Vec::new());
                    let done = pm.request(&mut kernel, &mut world, steps, &request);
                    let ports = ports(SERVICES[service]);
                    if done.is_ok() && pm.config.services.contains_key(&ports) {
                        prop_assert_eq!(pm.account(ports).billed(), bytes);
                    }
                }
                Op::Reboot => {
                    kernel.reboot();
                    model.lose();
                }
                Op::FreshNamespace { with_saved } => {
                    kernel.fresh_namespace();
                    model.lose();
                    if with_saved {
                        kernel.load(&file);
                        if file.is_some() {
                            model.foreign = SERVICES.map(ports).into();
                        }
                    }
                }
                Op::Unlink(service) => kernel.unlink(ports(SERVICES[service])),
                Op::Damage(service) => kernel.damage(ports(SERVICES[service])),
                Op::DeleteRooms(service) => {
                    let ports = ports(SERVICES[service]);
                    kernel.delete_rooms(ports);
                    model.unread.remove(&ports);
                    model.doubtful.remove(&ports);
                }
            }
        }
        let mut world = model.busy(Vec::new());
        pm.tick(&mut kernel, &mut world, usize::MAX).unwrap();
        for service in SERVICES {
            let ports = ports(service);
            prop_assert_eq!(billed_for(&pm, ports), model.accounted(ports), "service {}", ports);
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
    let settings = ContractSettings {
        mode: Some(Mode::Out),
        ..quota(10_000)
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

#[test]
fn a_foreign_reset_of_the_quota_is_noticed_under_traffic() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80", with_quota(10_000)));
    kernel.packet(ports("80"), Direction::In, 6_000);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    kernel.reset_quotas();
    kernel.packet(ports("80"), Direction::In, 100);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert!(kernel.packet(ports("80"), Direction::In, 3_900));
    assert!(!kernel.packet(ports("80"), Direction::In, 1));
}

/// Fault 7 of the scripts pm replaces: resetting one port lost what the others had counted since
/// the last collection.
#[test]
fn resetting_one_service_leaves_the_others_uncollected_bytes() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80,8080", Settings::default()));
    kernel.packet(ports("8080"), Direction::Out, 777);
    let request = Request::Reset { ports: these("80") };
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

#[test]
fn a_file_loaded_on_top_bills_nothing_twice() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80,8080", Settings::default()));
    kernel.packet(ports("80"), Direction::In, 1_000);
    kernel.packet(ports("8080"), Direction::In, 10);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    let file = kernel.table.clone();
    kernel.delete_rooms(ports("80"));
    kernel.packet(ports("8080"), Direction::In, 5);
    assert_eq!(kernel.merge(&file), [ports("80")].into());
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 1_000);
    assert_eq!(pm.usage(ports("8080")).incoming, 15);
    let replaced = |event: &Event| match event {
        Event::CountersReplaced { ports: of, .. } => *of == [ports("80")],
        _ => false,
    };
    assert!(pm.events.iter().any(replaced));
    kernel.packet(ports("80"), Direction::In, 3);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 1_003);
}

/// pm dies right after a batch, and before it reads what the batch made, somebody loads a file.
#[test]
fn a_file_on_top_of_an_unread_batch_bills_nothing_twice() {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    do_now(&mut pm, &mut kernel, &add("80,8080", Settings::default()));
    kernel.packet(ports("80"), Direction::In, 1_000);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    let file = kernel.table.clone();
    kernel.delete_rooms(ports("8080"));
    // Read, save, apply: the batch makes rooms for 8080 anew.
    assert!(pm.tick(&mut kernel, &mut Quiet, 3).is_err());
    kernel.delete_rooms(ports("80"));
    kernel.merge(&file);
    pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
    assert_eq!(pm.usage(ports("80")).incoming, 1_000);
}
