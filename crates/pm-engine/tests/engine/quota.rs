//! No quota lets a byte too many through, whoever asks pm for what meanwhile.

use std::collections::VecDeque;

use pm_core::config::Mode;
use pm_core::request::{Request, Settings};
use pm_core::ruleset::{Direction, Link, Variant};
use pm_engine::Options;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::backend::{Act, Fate, Script};
use crate::host::{Host, Pm};
use crate::kernel::Packet;
use crate::requests::{add, is_open, mode, no_quota, ports, quota, set, set_used, some};

/// Services with less left than this are held while they move; pm lets others be used meanwhile,
/// by less than this.
pub(crate) const HOLD_BELOW: u64 = 1 << 30;

/// A call of pm's that leaves the terms of the service under test alone.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Tick,
    View,
    Restore,
    Ask(Request),
    DryRun(Request),
}

fn other_requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        3 => (1u64..5_000).prop_map(|bytes| set("20001", quota(bytes))),
        1 => Just(set("20001", no_quota())),
        2 => prop_oneof![Just(Mode::Both), Just(Mode::Out)].prop_map(|m| set("20001", mode(m))),
        1 => (0u64..5_000).prop_map(|bytes| set_used("20001", bytes)),
        1 => Just(Request::Block { ports: some("20001") }),
        1 => Just(Request::Unblock { ports: some("20001") }),
        1 => Just(Request::Reset { ports: some("20001") }),
        1 => Just(Request::Delete { ports: some("20001") }),
        1 => Just(add("20001", quota(1_000))),
        1 => Just(add("20002", Settings::default())),
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

/// Packets of some services.
pub(crate) type Names = &'static [&'static str];

pub(crate) fn packets(of: Names, largest: u64) -> impl Strategy<Value = Packet> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    let name = prop::sample::select(of);
    (name, direction, 1..=largest).prop_map(|(name, direction, bytes)| Packet {
        ports: ports(name),
        direction,
        bytes,
    })
}

fn acts(of: Names, largest: u64) -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Nothing),
        2 => packets(of, largest).prop_map(Act::Send),
        3 => (packets(of, largest), 1u32..4)
            .prop_map(|(packet, moments)| Act::Launch(packet, moments)),
    ];
    vec(act, 0..24)
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Live),
        3 => (0usize..20).prop_map(Fate::Die),
        1 => (0usize..20).prop_map(Fate::Fail),
        1 => (0usize..4).prop_map(Fate::Refuse),
        1 => (0usize..4, 1usize..3).prop_map(|(first, times)| Fate::Race { first, times }),
    ]
}

fn scripts(of: Names, largest: u64) -> impl Strategy<Value = Script> {
    (fates(), acts(of, largest), any::<bool>()).prop_map(|(fate, acts, quotas_first)| Script {
        fate,
        acts: acts.into(),
        quotas_first,
        ..Script::default()
    })
}

/// A quota of some size, calls, and packets of a size to match between and inside them.
pub(crate) type Case<C> = (u64, Vec<(Vec<Packet>, C, Script)>);

pub(crate) fn cases<C: std::fmt::Debug>(
    of: Names,
    calls: impl Strategy<Value = C> + Clone,
) -> impl Strategy<Value = Case<C>> {
    let small = (1_000u64..1_000_000, Just(65_536u64), Just(200_000u64));
    // All that is sent in one call is less than what pm reckons with.
    let large = (
        HOLD_BELOW..3 * HOLD_BELOW,
        Just(HOLD_BELOW / 64),
        Just(HOLD_BELOW / 2),
    );
    prop_oneof![small, large].prop_flat_map(move |(limit, inside, between)| {
        let step = (
            vec(packets(of, between), 0..3),
            calls.clone(),
            scripts(of, inside),
        );
        (Just(limit), vec(step, 1..14))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_call_about_others_lets_a_byte_too_many_through(
        (limit, steps) in cases(&["20000"], calls().boxed()),
    ) {
        let mut host = Host::with(&[("20000", quota(limit)), ("20001", quota(2_000))]);
        for (between, call, script) in steps {
            for packet in between {
                host.kernel(|kernel| kernel.send(packet));
            }
            call.run(&mut host, script);
            let passed = host.passed("20000");
            prop_assert!(passed.incoming + passed.outgoing <= limit, "{passed:?} of {limit}");
        }
        host.tick();
        host.tick();
        prop_assert_eq!(host.ledger("20000").account.usage, host.passed("20000"));
        // Not a byte too few either.
        let passed = host.passed("20000");
        let left = limit - passed.incoming - passed.outgoing;
        if host.ledger("20000").account.spent.is_none() {
            prop_assert!(left == 0 || host.send("20000", Direction::In, left));
            prop_assert!(!host.send("20000", Direction::In, 1));
        }
    }

    /// Whatever becomes of a change of a service's own terms, it has had at most the largest of
    /// its quotas, and has what is left of the present one.
    #[test]
    fn no_change_of_its_own_lets_a_byte_too_many_through(
        (limit, steps) in cases(&["20000"], changes().boxed()),
    ) {
        let mut host = Host::with(&[("20000", quota(limit)), ("20001", quota(2_000))]);
        let mut largest = limit;
        for (between, change, script) in steps {
            for packet in between {
                // What comes in is counted only in one mode.
                let packet = Packet { direction: Direction::Out, ..packet };
                host.kernel(|kernel| kernel.send(packet));
            }
            let request = match change {
                Change::Quota(bytes) => {
                    largest = largest.max(bytes);
                    set("20000", quota(bytes))
                }
                Change::Mode(wanted) => set("20000", mode(wanted)),
                Change::Block => Request::Block { ports: some("20000") },
                Change::Unblock => Request::Unblock { ports: some("20000") },
            };
            let acts = script.acts.into_iter().map(outgoing).collect();
            drop(host.run_request(&request, Script { acts, ..script }));
            let passed = host.passed("20000");
            prop_assert_eq!(passed.incoming, 0);
            prop_assert!(passed.outgoing <= largest, "{passed:?} of {largest}");
        }
        host.tick();
        host.tick();
        let passed = host.passed("20000");
        prop_assert_eq!(host.ledger("20000").account.usage, passed);
        let service = host.config().services[&ports("20000")].clone();
        let left = service.quota.unwrap().bytes().saturating_sub(passed.outgoing);
        if is_open(&service, &host.ledger("20000"), &host.saved().unwrap()) {
            prop_assert!(host.send("20000", Direction::Out, left));
        }
        prop_assert!(!host.send("20000", Direction::Out, 1));
    }
}

impl Call {
    pub(crate) fn run(&self, host: &mut Host, script: Script) {
        match self {
            Self::Tick => drop(host.run_tick(script)),
            Self::View => drop(host.run(script, Pm::view)),
            Self::Restore => drop(host.run(script, |engine| engine.restore(false))),
            Self::Ask(request) => drop(host.run_request(request, script)),
            Self::DryRun(request) => {
                let options = Options {
                    force: true,
                    dry_run: true,
                };
                drop(host.run(script, |engine| engine.execute(request, options)));
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (1_000u64..3 * HOLD_BELOW).prop_map(Change::Quota),
        1 => Just(Change::Mode(Mode::Out)),
        1 => Just(Change::Mode(Mode::Both)),
        1 => Just(Change::Mode(Mode::Max)),
        1 => Just(Change::Block),
        1 => Just(Change::Unblock),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Quota(u64),
    Mode(Mode),
    Block,
    Unblock,
}

pub(crate) fn outgoing(act: Act) -> Act {
    let turn = |packet| Packet {
        direction: Direction::Out,
        ..packet
    };
    match act {
        Act::Send(packet) => Act::Send(turn(packet)),
        Act::Launch(packet, moments) => Act::Launch(turn(packet), moments),
        other => other,
    }
}

/// A reading was saved while a packet had passed the quota and not reached the counter.
#[test]
fn a_service_at_which_nobody_looked_stays_where_it_is() {
    let limit = 3 * HOLD_BELOW;
    let mut host = Host::with(&[("20000", quota(limit)), ("20001", quota(2_000))]);
    let packet = |bytes| Packet {
        ports: ports("20000"),
        direction: Direction::In,
        bytes,
    };
    let skewed = Script {
        acts: [Act::Launch(packet(1_000), 3)].into(),
        ..Script::default()
    };
    drop(host.run_tick(skewed));
    host.kernel(|kernel| kernel.send(packet(HOLD_BELOW)));
    let rooms = host.kernel(|kernel| kernel.rooms());
    host.request(&set("20001", quota(3_000)));
    assert_eq!(host.kernel(|kernel| kernel.rooms()), rooms);
    for _ in 0..=limit >> 20 {
        host.kernel(|kernel| kernel.send(packet(1 << 20)));
    }
    assert!(host.passed("20000").incoming <= limit);
}

/// pm died right after it had moved a service to a room for another mode. The next request took
/// the mode back, for which the room that the service had left would do as it was: it went back
/// there in one step, and what passed the other room after the reading was granted once more.
#[test]
fn a_service_on_its_way_back_to_a_room_is_held_like_any_other() {
    let limit = 67_798;
    let mut host = Host::with(&[("20000", quota(limit))]);
    let packet = |bytes| Packet {
        ports: ports("20000"),
        direction: Direction::Out,
        bytes,
    };
    let dying = Script {
        fate: Fate::Die(10),
        ..Script::default()
    };
    drop(host.run_request(&set("20000", mode(Mode::Out)), dying));
    let linked = host.kernel(|kernel| kernel.installed().links[&ports("20000")]);
    assert_eq!(linked, Link::Room(Variant::B).into());
    assert_eq!(host.kernel(|kernel| kernel.rooms()).len(), 2);

    // The last reading is made in the first three moments; the first batch is committed between
    // the last two.
    let acts = [
        Act::Nothing,
        Act::Nothing,
        Act::Nothing,
        Act::Send(packet(38_017)),
        Act::Nothing,
        Act::Nothing,
        Act::Send(packet(29_782)),
    ];
    let passing = Script {
        acts: acts.into(),
        ..Script::default()
    };
    let back = host.run_request(&set("20000", mode(Mode::Both)), passing);
    drop(back.done());
    assert_eq!(host.passed("20000").outgoing, 38_017);
    assert!(host.send("20000", Direction::In, limit - 38_017));
    assert!(!host.send("20000", Direction::In, 1));
}

/// The batch that held the service was committed and its answer was an error. pm went back to
/// the configuration before, which a death had left unapplied and which took a new room as well,
/// and read the old room while a packet was between its quota and its counter.
#[test]
fn a_room_is_read_at_rest_even_where_leaving_it_failed() {
    let limit = 67_798;
    let mut host = Host::with(&[("20000", quota(limit))]);
    let packet = |bytes| Packet {
        ports: ports("20000"),
        direction: Direction::Out,
        bytes,
    };
    let dying = Script {
        fate: Fate::Die(3),
        ..Script::default()
    };
    drop(host.run_request(&set("20000", mode(Mode::Out)), dying));
    assert_eq!(host.config().services[&ports("20000")].mode, Mode::Out);
    assert!(host.calls().batches.is_empty());

    // The first batch is committed between the packet's moment and the one that fails.
    let mut acts = VecDeque::from([Act::Nothing; 5]);
    acts.push_back(Act::Launch(packet(38_017), 3));
    acts.extend([Act::Nothing; 6]);
    acts.extend([Act::Send(packet(limit)); 6]);
    let failing = Script {
        fate: Fate::Fail(6),
        acts,
        ..Script::default()
    };
    let raise = host.run_request(&set("20000", quota(2 * limit)), failing);
    drop(raise.failed());
    assert_eq!(host.passed("20000").outgoing, 38_017);
    host.tick();
    assert_eq!(host.ledger("20000").account.usage, host.passed("20000"));
}
