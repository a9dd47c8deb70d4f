//! Quotas to the byte: whatever happens to others, and whenever pm dies, what passes in a period
//! is what may pass, for a service and for a group whose members send at once.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::BTreeMap;

use pm_core::config::{Contract, Factor, Mode, QuotaSize};
use pm_core::holder::Holder;
use pm_core::ledger::{Terms, Usage};
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request};
use pm_core::ruleset::Direction;
use pm_core::units::Size;
use proptest::collection::vec;
use proptest::prelude::*;
use support::script::{
    About, Act, Books, acts_of, call, edit, factor, meddling, mode, packet_of, services, steps,
};
use support::{
    Failed, Kernel, Packet, Pm, Quiet, add, add_group, bytes, do_now, group, in_group, ports,
    quota, set_used,
};

/// With less left than this, services are held while they move.
const HOLD_BELOW: u64 = 1 << 30;

/// The largest packet, in small.
const LARGEST: u64 = 65_536;

/// The holder of the quota under test: a group with two members, or a service.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Group,
    Service,
}

impl Kind {
    fn holder(self) -> Holder {
        match self {
            Self::Group => group("vip").into(),
            Self::Service => ports("80").into(),
        }
    }

    fn members(self) -> Vec<PortRange> {
        match self {
            Self::Group => vec![ports("80"), ports("8080")],
            Self::Service => vec![ports("80")],
        }
    }

    fn begin(self, contract: ContractSettings) -> Vec<Request> {
        match self {
            Self::Group => vec![add_group("vip", contract), add("80,8080", in_group("vip"))],
            Self::Service => vec![add("80", contract)],
        }
    }

    fn set_used(self, used: u64) -> Request {
        match self {
            Self::Group => Request::SetGroup {
                name: group("vip"),
                settings: ContractSettings::default(),
                used: Some(bytes(used)),
            },
            Self::Service => set_used("80", used),
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![2 => Just(Kind::Group), 1 => Just(Kind::Service)]
}

fn contract(quota: u64, mode: Mode, factor: Factor) -> ContractSettings {
    ContractSettings {
        quota: Some(Some(QuotaSize::try_from(bytes(quota)).unwrap())),
        mode: Some(mode),
        factor: Some(factor),
        reset: Some(pm_core::calendar::ResetPolicy::Never.into()),
    }
}

/// Returns what passed the members together, whether counted or not.
fn passed(kernel: &Kernel, members: &[PortRange]) -> Usage {
    let passed = members.iter().filter_map(|ports| kernel.passed.get(ports));
    passed.fold(Usage::default(), |sum, usage| sum.plus(*usage))
}

/// Returns the terms of a holder; `None` where he has no quota.
fn terms_of(pm: &Pm, holder: &Holder) -> Option<Terms> {
    let contract: Contract = match holder {
        Holder::Service(ports) => pm.config.services[ports].contract(),
        Holder::Group(name) => pm.config.groups[name].contract(),
    };
    pm.account(holder.clone()).terms(contract)
}

fn terms(pm: &Pm, holder: &Holder) -> Terms {
    terms_of(pm, holder).unwrap()
}

/// Returns the services of a holder that nothing but his quota can cut off.
fn open_members(pm: &Pm, holder: &Holder) -> Vec<PortRange> {
    let services = match holder {
        Holder::Service(ports) => vec![*ports],
        Holder::Group(name) => pm.config.members(name).collect(),
    };
    let is_open =
        |ports: &PortRange| !pm.config.services[ports].blocked && !pm.saved.ledgers[ports].expired;
    services.into_iter().filter(is_open).collect()
}

/// Sends what is left, by one member after the other, and asserts that it is just that.
fn assert_exactly_the_rest_passes(
    (pm, kernel): (&Pm, &mut Kernel),
    (terms, used): (Terms, Usage),
    (holder, members): (&Holder, &[PortRange]),
    largest_packet: u64,
) {
    if members.is_empty() {
        return;
    }
    if pm.account(holder.clone()).spent.is_some() {
        // It is spent when a packet was too large for the rest.
        let left = i128::from(terms.allowance) - i128::from(used.counted(terms.mode));
        assert!(left < i128::from(largest_packet), "{left} are left");
        for &ports in members {
            for direction in Direction::BOTH {
                assert!(!kernel.packet(ports, direction, 1), "{ports} is spent");
            }
        }
        return;
    }
    let allowance = u64::try_from(terms.allowance).unwrap();
    let left = allowance - used.counted(terms.mode);
    let mut send = |direction, bytes: u64| {
        let halves = [bytes / 2, bytes - bytes / 2];
        for (half, &ports) in halves.into_iter().zip(members.iter().cycle()) {
            assert!(
                half == 0 || kernel.packet(ports, direction, half),
                "{ports}: {half} of {left}"
            );
        }
        for &ports in members {
            assert!(
                !kernel.packet(ports, direction, 1),
                "{ports}: one byte too many"
            );
        }
    };
    send(
        Direction::Out,
        allowance - used.counted_of(terms.mode, Direction::Out),
    );
    if terms.mode == Mode::Max {
        send(Direction::In, allowance - used.incoming);
    }
}

/// What is known of a holder from the outside.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The terms that may be in force; `None` for no quota.
    terms: Vec<Option<Terms>>,
    /// What had been used when that was last looked at.
    used: Usage,
    /// What his quota may not have seen: services on the way in were not under it.
    unseen: u64,
}

impl Known {
    /// Whether what is used now is within some terms that may be in force, or nothing more has
    /// passed since the last look, but for what his quota could not see.
    fn allows(&self, used: Usage) -> bool {
        let within = |terms: &Terms| {
            let most = u64::try_from(terms.allowance).unwrap_or(0);
            let most = most.max(self.used.counted(terms.mode));
            used.counted(terms.mode) <= most + self.unseen
        };
        let terms = self.terms.iter();
        self.terms.is_empty()
            || terms
                .map(Option::as_ref)
                .any(|terms| terms.is_none_or(within))
    }
}

/// Returns how many bytes of services with this holder passed in rooms that are not under his
/// quota: of one who is on the way in or out.
fn unseen(books: &Books, [before, after]: [&Kernel; 2], holder: &Holder) -> u64 {
    let services = match holder {
        Holder::Service(ports) => vec![*ports],
        Holder::Group(name) => books.members(name),
    };
    let unseen = |kernel: &Kernel, ports: PortRange| {
        let all = kernel.entered.get(&ports).copied().unwrap_or_default();
        let under = kernel.entered_under.get(&(ports, holder.clone()));
        all.since(under.copied().unwrap_or_default())
            .counted(Mode::Both)
    };
    let services = services.into_iter();
    services
        .map(|ports| unseen(after, ports) - unseen(before, ports))
        .sum()
}

/// Returns every holder of a quota, by its configuration.
fn holders(pm: &Pm) -> Vec<Holder> {
    let services = pm.config.services.iter();
    let services = services.filter(|(_, service)| service.group.is_none());
    let services = services.map(|(&ports, _)| Holder::Service(ports));
    let groups = pm.config.groups.keys().cloned().map(Holder::Group);
    services.chain(groups).collect()
}

/// Returns what a holder has used in this period, were it read now.
fn used_now(pm: &Pm, books: &Books, kernel: &Kernel, holder: &Holder) -> Usage {
    let closed = pm.history.iter().filter(|period| period.holder == *holder);
    let closed = closed.fold(Usage::default(), |sum, period| sum.plus(period.usage));
    let all = match holder {
        Holder::Service(ports) => kernel.entered.get(ports).copied().unwrap_or_default(),
        Holder::Group(name) => books.group_now(name, kernel),
    };
    all.since(closed)
}

trait Counted {
    fn counted_of(&self, mode: Mode, direction: Direction) -> u64;
}

impl Counted for Usage {
    /// What counts on the scale of one direction's limit.
    fn counted_of(&self, mode: Mode, direction: Direction) -> u64 {
        match mode {
            Mode::Both | Mode::Out => self.counted(mode),
            Mode::Max => self.of(direction),
        }
    }
}

/// Services that have nothing to do with the quota under test.
fn others() -> About {
    About {
        services: vec![ports("30000-30100"), ports("65535")],
        groups: vec![group("1")],
        all: false,
    }
}

/// Packets before a call of pm, the call, what happens inside of it, when it dies.
type Step = (Vec<Packet>, Option<Request>, Vec<Act>, usize);

/// A quota of some size, and packets of a size to match.
fn cases(
    requests: fn() -> BoxedStrategy<Request>,
    members: fn() -> Vec<PortRange>,
) -> impl Strategy<Value = (u64, Vec<Step>)> {
    let small = (1_000u64..1_000_000, Just(65_536u64), Just(200_000u64));
    // All that is sent in one call is less than what pm reckons with.
    let large = (
        HOLD_BELOW..3 * HOLD_BELOW,
        Just(HOLD_BELOW / 64),
        Just(HOLD_BELOW / 2),
    );
    prop_oneof![small, large].prop_flat_map(move |(quota, inside, between)| {
        let between = vec(packet_of(members(), between), 0..3);
        let step = (
            between,
            call(requests()),
            acts_of(members(), inside),
            steps(),
        );
        (Just(quota), vec(step, 1..14))
    })
}

fn two() -> Vec<PortRange> {
    vec![ports("80"), ports("8080")]
}

/// The same in large: with more left than what services are held for.
fn in_large(acts: Vec<Act>, scale: u64) -> Vec<Act> {
    let grow = |act| match act {
        Act::Launch(packet, moments) => Act::Launch(
            Packet {
                bytes: packet.bytes * scale,
                ..packet
            },
            moments,
        ),
        act => act,
    };
    acts.into_iter().map(grow).collect()
}

fn asked_in_large(mut request: Request, scale: u64) -> Request {
    let grow = |size: Size| bytes(size.bytes() * scale);
    let (contract, corrected) = match &mut request {
        Request::Add { settings, .. } => (Some(&mut settings.contract), None),
        Request::Set { settings, used, .. } => (Some(&mut settings.contract), Some(used)),
        Request::AddGroup { settings, .. } => (Some(settings), None),
        Request::SetGroup { settings, used, .. } => (Some(settings), Some(used)),
        _ => (None, None),
    };
    if let Some(Some(Some(quota))) = contract.map(|contract| &mut contract.quota) {
        *quota = QuotaSize::try_from(grow(quota.size())).unwrap();
    }
    if let Some(Some(used)) = corrected {
        *used = grow(*used);
    }
    request
}

proptest! {
    #![proptest_config(support::cases(1_000))]

    #[test]
    fn no_call_about_others_lets_a_byte_too_many_or_too_few_through(
        (bytes, steps) in cases(|| others().request().boxed(), two),
        (kind, mode, factor) in (kind(), mode(), factor()),
        used in proptest::option::of(0u64..2_000_000),
        (reads_all, quotas_first) in any::<(bool, bool)>(),
    ) {
        let (mut kernel, mut pm, mut books) = (Kernel::default(), Pm::new(), Books::default());
        (pm.reads_all, pm.quotas_first) = (reads_all, quotas_first);
        let (holder, members) = (kind.holder(), kind.members());
        for request in kind.begin(contract(bytes, mode, factor)) {
            do_now(&mut pm, &mut kernel, &request);
        }
        do_now(&mut pm, &mut kernel, &add("30000-30100,65535", ContractSettings::default()));
        if let Some(used) = used {
            do_now(&mut pm, &mut kernel, &kind.set_used(used));
        }
        let allowance = terms(&pm, &holder).allowance;
        for (between, call, inside, steps) in steps {
            for packet in between {
                kernel.launch(packet, 0);
            }
            let done = pm.call(&mut kernel, books.plan(inside), steps, call.as_ref());
            prop_assert!(!matches!(done, Err(Failed::Killed) if steps == usize::MAX));
            let passed = passed(&kernel, &members);
            let within = i128::from(passed.counted(mode)) <= i128::from(allowance.max(0));
            prop_assert!(within, "{passed:?} of {allowance}");
        }
        kernel.settle();
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let usage = pm.account(holder.clone()).usage;
        prop_assert_eq!(usage, passed(&kernel, &members));
        prop_assert_eq!(terms(&pm, &holder).allowance, allowance);
        if allowance > 0 {
            let terms = terms(&pm, &holder);
            assert_exactly_the_rest_passes(
                (&pm, &mut kernel),
                (terms, usage),
                (&holder, &members),
                if bytes < HOLD_BELOW { 200_000 } else { HOLD_BELOW / 2 },
            );
        } else {
            prop_assert!(pm.is_spent(ports("80")));
        }
    }

    /// Whatever becomes of requests about everybody: under the same terms nobody uses more than
    /// they allow, or more than he had used when they came; and nobody gets less.
    #[test]
    fn no_request_lets_anybody_have_a_byte_too_many_or_too_few(
        steps in vec(
            (
                (acts_of(services(), LARGEST), meddling(), edit()),
                call(About::everything().request()),
                acts_of(services(), LARGEST),
                steps(),
            ),
            1..16,
        ),
        // All that is sent in one call is less than what pm reckons with.
        scale in prop_oneof![2 => Just(1u64), 1 => Just(HOLD_BELOW / (16 * LARGEST))],
        (reads_all, quotas_first) in any::<(bool, bool)>(),
    ) {
        let (mut kernel, mut pm, mut books) = (Kernel::default(), Pm::new(), Books::default());
        (pm.reads_all, pm.quotas_first) = (reads_all, quotas_first);
        let begin = [
            add_group("vip", quota(500_000 * scale)),
            add_group("1", ContractSettings::default()),
            add("80,8080", in_group("vip")),
            add("30000-30100,65535", quota(300_000 * scale)),
        ];
        for request in begin {
            pm.request(&mut kernel, books.plan(Vec::new()), usize::MAX, &request).unwrap();
        }
        let mut known: BTreeMap<Holder, Known> = BTreeMap::new();
        for holder in holders(&pm) {
            let terms = vec![terms_of(&pm, &holder)];
            known.insert(holder, Known { terms, ..Known::default() });
        }
        for ((between, meddling, edit), call, inside, steps) in steps {
            let (between, inside) = (in_large(between, scale), in_large(inside, scale));
            let call = call.map(|request| asked_in_large(request, scale));
            kernel.settle();
            meddling.happen(&mut kernel);
            pm.edit(edit.map(|request| asked_in_large(request, scale)).as_ref());
            let kernel_before = kernel.clone();
            for act in between {
                if let Act::Launch(packet, _) = act {
                    kernel.launch(packet, 0);
                }
            }
            for (holder, known) in &mut known {
                let used = used_now(&pm, &books, &kernel, holder);
                known.unseen += unseen(&books, [&kernel_before, &kernel], holder);
                prop_assert!(known.allows(used), "{holder} before the call: {used:?}, {known:?}");
                known.used = used;
            }
            let kernel_before = kernel.clone();
            let before = pm.history.len();
            let done = pm.call(&mut kernel, books.plan(inside), steps, call.as_ref());
            // A period that ended meanwhile is judged as a whole.
            for period in &pm.history[before..] {
                if let Some(known) = known.get_mut(&period.holder) {
                    prop_assert!(known.allows(period.usage), "{period:?}, {known:?}");
                    known.used = Usage::default();
                }
            }
            let holders = holders(&pm);
            known.retain(|holder, _| holders.contains(holder));
            for holder in holders {
                let is_new = !known.contains_key(&holder);
                let known = known.entry(holder.clone()).or_default();
                let used = used_now(&pm, &books, &kernel, &holder);
                if pm.saved.account(&holder).is_none() {
                    *known = Known { used, ..Known::default() };
                    continue;
                }
                if is_new {
                    known.used = used;
                }
                let terms = terms_of(&pm, &holder);
                known.terms.push(terms);
                known.unseen += unseen(&books, [&kernel_before, &kernel], &holder);
                prop_assert!(known.allows(used), "{holder} in the call: {used:?}, {known:?}");
                known.used = used;
                if done.is_ok() {
                    known.terms = vec![terms];
                    known.unseen = 0;
                }
            }
        }
        kernel.settle();
        pm.tick(&mut kernel, books.plan(Vec::new()), usize::MAX).unwrap();
        pm.tick(&mut kernel, books.plan(Vec::new()), usize::MAX).unwrap();
        for holder in holders(&pm) {
            let Some(terms) = terms_of(&pm, &holder) else { continue };
            let members = open_members(&pm, &holder);
            let used = pm.account(holder.clone()).usage;
            prop_assert_eq!(used, used_now(&pm, &books, &kernel, &holder));
            assert_exactly_the_rest_passes(
                (&pm, &mut kernel),
                (terms, used),
                (&holder, &members),
                // What a member sent in the moment of the reading with which it left had been
                // counted by the group's quota already.
                4 * LARGEST * scale,
            );
        }
    }
}
