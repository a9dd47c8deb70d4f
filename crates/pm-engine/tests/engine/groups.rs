//! No group lets a byte too many through, whoever joins it, leaves it or asks pm for what
//! meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::Mode;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request, Settings};
use pm_core::ruleset::Direction;
use proptest::prelude::*;

use crate::backend::{Act, Fate, Script};
use crate::books::Books;
use crate::host::{End, Host};
use crate::kernel::Packet;
use crate::quota::{Call, HOLD_BELOW, cases, outgoing};
use crate::requests::{
    add, add_group, alone, group, in_group, limit, limit_in, mode, no_limit, no_quota, ports,
    quota, reset_group, set, set_group, set_used, some,
};

/// The services that begin in the group.
const MEMBERS: [&str; 2] = ["20000", "30000-30100"];

/// A group with a quota, and services that are not in it.
fn grouped(bytes: u64, mode: Mode) -> Host {
    let mut host = Host::new();
    let quota = ContractSettings {
        mode: Some(mode),
        ..quota(bytes)
    };
    host.request(&add_group("vip", quota));
    host.request(&add_group("free", no_quota()));
    for name in MEMBERS {
        host.request(&add(name, in_group("vip")));
    }
    host.request(&add("20001", crate::requests::quota(2_000)));
    host.tc(|tc| {
        tc.add_interface("eth0");
        tc.uplinks.insert("eth0".to_owned());
    });
    host
}

fn modes() -> impl Strategy<Value = Mode> {
    prop::sample::select(&[Mode::Both, Mode::Out, Mode::Max][..])
}

/// Requests that change nothing about the quota, nor who shares it.
fn other_requests() -> impl Strategy<Value = Request> {
    let rates = prop::sample::select(vec![
        limit("5M"),
        limit("6M"),
        no_limit(),
        limit_in("5M"),
        Settings {
            routed: Some(true),
            ..Settings::default()
        },
    ]);
    let member = prop::sample::select(&MEMBERS[..]);
    prop_oneof![
        2 => (1u64..5_000).prop_map(|bytes| set("20001", quota(bytes))),
        2 => Just(set("20001", in_group("free"))),
        2 => Just(set("20001", alone())),
        1 => (0u64..5_000).prop_map(|bytes| set_used("20001", bytes)),
        1 => modes().prop_map(|one| set_group("free", mode(one))),
        1 => Just(set_group("free", quota(700))),
        1 => Just(reset_group("free")),
        1 => Just(Request::Delete { ports: some("20001") }),
        1 => Just(add("20001", in_group("free"))),
        1 => Just(Request::Block { ports: some(MEMBERS[1]) }),
        1 => Just(Request::Unblock { ports: some(MEMBERS[1]) }),
        3 => (member, rates).prop_map(|(name, settings)| set(name, settings)),
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => Just(Call::Tick),
        1 => Just(Call::View),
        1 => Just(Call::Restore),
        6 => other_requests().prop_map(Call::Ask),
        1 => other_requests().prop_map(Call::DryRun),
    ]
}

/// Requests about the quota, and about who shares it.
fn own_requests() -> impl Strategy<Value = Request> {
    let one = MEMBERS[1];
    prop_oneof![
        6 => (1_000u64..3 * HOLD_BELOW).prop_map(|bytes| set_group("vip", quota(bytes))),
        2 => (1_000u64..1_000_000).prop_map(|bytes| set_group("vip", quota(bytes))),
        3 => modes().prop_map(|one| set_group("vip", mode(one))),
        3 => Just(set(one, alone())),
        2 => Just(set(one, in_group("free"))),
        5 => Just(set(one, in_group("vip"))),
        1 => Just(set("20001", in_group("vip"))),
        1 => Just(set("20001", alone())),
        1 => Just(Request::Delete { ports: some(one) }),
        1 => Just(add(one, in_group("vip"))),
        1 => Just(Request::Block { ports: some("20000") }),
        1 => Just(Request::Unblock { ports: some("20000") }),
    ]
}

fn own_calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => Just(Call::Tick),
        1 => Just(Call::View),
        1 => Just(Call::Restore),
        9 => own_requests().prop_map(Call::Ask),
    ]
}

fn used(host: &Host) -> Usage {
    host.saved().unwrap().groups[&group("vip")].usage
}

/// Who is on the way into the group, or out of it: for pm he is in it, and for the rules he is not.
struct Road {
    members: Vec<PortRange>,
    unshared: BTreeMap<PortRange, u64>,
}

impl Road {
    fn of(host: &Host) -> Self {
        let ledgers = host.saved().unwrap().ledgers.into_iter();
        let members = ledgers.filter(|(_, ledger)| ledger.group == Some(group("vip")));
        Self {
            members: members.map(|(ports, _)| ports).collect(),
            unshared: host.kernel(|kernel| kernel.unshared.clone()),
        }
    }

    /// Returns how many bytes have passed those who were, or are, on the way.
    fn passed(&self, host: &Host) -> u64 {
        let now = Self::of(host);
        let (config, group) = (host.config(), group("vip"));
        let entering = config.members(&group);
        let travellers: BTreeSet<PortRange> =
            entering.chain(self.members.iter().copied()).collect();
        let unshared = |road: &Self, ports: &PortRange| road.unshared.get(ports).copied();
        let passed = travellers
            .iter()
            .map(|ports| unshared(&now, ports).unwrap_or(0) - unshared(self, ports).unwrap_or(0));
        passed.sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_call_about_others_lets_a_group_have_a_byte_too_many(
        (limit, steps) in cases(&MEMBERS, calls().boxed()),
        mode in modes(),
    ) {
        let mut host = grouped(limit, mode);
        let mut books = Books::of(&host);
        let passed = |host: &Host| {
            let passed = MEMBERS.map(|name| host.passed(name));
            passed.into_iter().fold(Usage::default(), Usage::plus)
        };
        for (between, call, script) in steps {
            for packet in between {
                host.kernel(|kernel| kernel.send(packet));
            }
            call.run(&mut host, script);
            books.follow(&host, "a call");
            let counted = passed(&host).counted(mode);
            prop_assert!(counted <= limit, "{counted} of {limit}");
        }
        if host.config().services[&ports(MEMBERS[1])].blocked {
            host.request(&Request::Unblock { ports: some(MEMBERS[1]) });
        }
        host.tick();
        host.tick();
        books.follow(&host, "two ticks");
        prop_assert_eq!(used(&host), passed(&host));
        // Not a byte too few either.
        let outgoing = match mode {
            Mode::Both => used(&host).counted(mode),
            Mode::Out | Mode::Max => used(&host).outgoing,
        };
        if host.saved().unwrap().groups[&group("vip")].spent.is_none() {
            prop_assert!(host.send(MEMBERS[1], Direction::Out, limit - outgoing));
            prop_assert!(!host.send(MEMBERS[0], Direction::Out, 1));
        }
    }

    /// Whatever becomes of a change of a group's quota, or of who shares it, all who do have had
    /// at most the largest of its quotas, and have what is left of the present one. What passes a
    /// service on its way in or out is the group's though its quota does not see it.
    #[test]
    fn no_change_of_its_own_lets_a_group_have_a_byte_too_many(
        (limit, steps) in cases(&MEMBERS, own_calls().boxed()),
    ) {
        let mut host = grouped(limit, Mode::Both);
        let mut books = Books::of(&host);
        let (mut largest, mut on_the_way) = (limit, 0);
        for (between, call, script) in steps {
            let road = Road::of(&host);
            for packet in between {
                // What comes in is not counted in every mode.
                let packet = Packet { direction: Direction::Out, ..packet };
                host.kernel(|kernel| kernel.send(packet));
            }
            if let Call::Ask(Request::SetGroup { settings, .. }) = &call {
                let quota = settings.quota.flatten().map(|quota| quota.bytes());
                largest = largest.max(quota.unwrap_or_default());
            }
            let acts = script.acts.into_iter().map(outgoing).collect();
            call.run(&mut host, Script { acts, ..script });
            books.follow(&host, "a call");
            on_the_way += road.passed(&host);
            let used = used(&host);
            prop_assert_eq!(used.incoming, 0);
            let most = largest + on_the_way;
            prop_assert!(used.outgoing <= most, "{used:?} of {most}, {call:?}");
        }
        host.tick();
        host.tick();
        books.follow(&host, "two ticks");
        let used = used(&host);
        prop_assert!(used.outgoing <= largest + on_the_way, "{used:?} of {largest}");
        let config = host.config();
        let quota = config.groups[&group("vip")].quota.unwrap().bytes();
        let is_spent = host.saved().unwrap().groups[&group("vip")].spent.is_some();
        let is_blocked = config.services[&ports(MEMBERS[0])].blocked;
        if !is_spent && !is_blocked {
            let left = quota.saturating_sub(used.outgoing);
            prop_assert!(host.send(MEMBERS[0], Direction::Out, left), "{left} of {quota}");
        }
        prop_assert!(!host.send(MEMBERS[0], Direction::Out, 1));
    }
}

/// A request that takes somebody out fails when all of it is in the kernel: what was on the way
/// meanwhile is the group's after all.
#[test]
fn a_group_is_given_back_nothing_before_it_is_saved_who_left() {
    let sent = |name: &str, bytes| Packet {
        ports: ports(name),
        direction: Direction::Out,
        bytes,
    };
    for moment in 2..30 {
        let mut host = grouped(10_000, Mode::Both);
        // Its quota has seen this when pm reads first, and its counter has not.
        let mut acts = vec![Act::Nothing, Act::Launch(sent("30000-30100", 4_000), 1)];
        acts.resize(moment, Act::Nothing);
        // It passes if those are given back by then.
        acts.push(Act::Send(sent("20000", 6_001)));
        let script = Script {
            fate: Fate::Fail(moment),
            acts: acts.into(),
            ..Script::default()
        };
        let end = host.run_request(&set("30000-30100", alone()), script);
        if matches!(end, End::Failed(_)) {
            let passed = host.passed("20000").plus(host.passed("30000-30100"));
            assert!(passed.outgoing <= 10_000, "it failed in moment {moment}");
        }
    }
}
