//! What a move between rooms and quotas must not lose or give twice: examples, each a fault that
//! the properties of `quota` found.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::config::Mode;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::request::{ContractSettings, Request};
use pm_core::ruleset::Direction;
use support::script::{Act, Books};
use support::{
    Kernel, Packet, Pm, Quiet, add, add_group, do_now, group, in_group, ports, quota, set, these,
};

/// A member that has no room to move to must not go on under the quotas that its group has left.
#[test]
fn who_must_wait_for_a_room_waits_outside() {
    let members = [ports("80"), ports("8080")];
    for moment in 0..24 {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.reads_all = false;
        do_now(&mut pm, &mut kernel, &add_group("vip", quota(100_000)));
        do_now(&mut pm, &mut kernel, &add("80,8080", in_group("vip")));
        kernel.damage(ports("8080"));
        // pm dies when it has made another room, and before the damaged one is deleted.
        let steps = (0..24).find(|&steps| {
            let _ = pm.tick(&mut kernel, &mut Quiet, steps);
            let rooms = kernel.installed().rooms.into_keys();
            rooms.filter(|room| room.ports == ports("8080")).count() == 2
        });
        assert!(steps.is_some());
        // Moments in which both send as much as they can.
        let rush = members.map(|ports| Packet {
            ports,
            direction: Direction::Out,
            bytes: 90_000,
        });
        let mut acts = vec![Act::Nothing; moment];
        acts.extend(rush.map(|packet| Act::Launch(packet, 0)));
        let mut books = Books::default();
        let request = Request::SetGroup {
            name: group("vip"),
            settings: ContractSettings {
                mode: Some(Mode::Out),
                ..ContractSettings::default()
            },
            used: None,
        };
        pm.request(&mut kernel, books.plan(acts), usize::MAX, &request)
            .unwrap();
        let passed = members.iter().filter_map(|ports| kernel.passed.get(ports));
        let passed = passed.fold(Usage::default(), |sum, usage| sum.plus(*usage));
        assert!(passed.outgoing <= 100_000, "{moment}: {passed:?}");
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        assert_eq!(pm.group_usage("vip"), passed);
    }
}

/// What the quota had counted of a room that somebody damaged or deleted, and pm has not: under
/// traffic, nothing tells it from what a reading misses in flight.
#[test]
fn a_damaged_room_takes_nothing_of_what_is_left_to_the_others() {
    let damages: [fn(&mut Kernel, PortRange); 2] = [Kernel::damage, Kernel::delete_rooms];
    for damage in damages {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.reads_all = false;
        do_now(&mut pm, &mut kernel, &add_group("vip", quota(100_000)));
        do_now(&mut pm, &mut kernel, &add("80,8080", in_group("vip")));
        kernel.packet(ports("8080"), Direction::In, 10_000);
        damage(&mut kernel, ports("8080"));
        let before = pm.group_usage("vip").incoming;
        for _ in 0..3 {
            kernel.packet(ports("80"), Direction::In, 1_000);
            pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        }
        let left = 100_000 - pm.group_usage("vip").incoming;
        assert!(before <= 10_000 && left >= 87_000);
        assert!(kernel.packet(ports("80"), Direction::In, left));
        assert!(!kernel.packet(ports("80"), Direction::In, 1));
    }
}

/// A quota that drops counts what it drops, too: moved up after that, it would be spent early.
#[test]
fn a_raise_that_comes_after_the_last_byte_gives_all_of_it() {
    let mut met = 0;
    for moment in 0..8 {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.reads_all = false;
        do_now(&mut pm, &mut kernel, &add("80", quota(100_000)));
        kernel.packet(ports("80"), Direction::In, 90_000);
        let packet = Packet {
            ports: ports("80"),
            direction: Direction::In,
            bytes: 50_000,
        };
        let mut acts = vec![Act::Nothing; moment];
        acts.push(Act::Launch(packet, 0));
        let mut books = Books::default();
        let raise = set("80", quota(500_000));
        pm.request(&mut kernel, books.plan(acts), usize::MAX, &raise)
            .unwrap();
        // Never at rest.
        for _ in 0..3 {
            kernel.packet(ports("80"), Direction::In, 1_000);
            pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        }
        let passed = kernel.passed[&ports("80")].incoming;
        met += usize::from(passed == 93_000);
        assert!(kernel.packet(ports("80"), Direction::In, 500_000 - passed));
        assert!(!kernel.packet(ports("80"), Direction::In, 1));
    }
    assert!(met > 0, "a packet was dropped before the raise");
}

/// The last bytes of a member that was deleted count against the group, too: they must be read
/// before anybody is let in under a new set of quotas.
#[test]
fn a_new_set_of_quotas_waits_for_who_was_deleted() {
    for moment in 0..8 {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.reads_all = false;
        do_now(&mut pm, &mut kernel, &add_group("vip", quota(100_000)));
        do_now(&mut pm, &mut kernel, &add("80,8080", in_group("vip")));
        // Its quota is off the scale, and it is linked nowhere.
        kernel.damage(ports("8080"));
        let packet = |port| Packet {
            ports: ports(port),
            direction: Direction::Out,
            bytes: 60_000,
        };
        let mut acts = vec![Act::Nothing; moment];
        acts.push(Act::Launch(packet("80"), 0));
        acts.extend([Act::Launch(packet("8080"), 0); 8]);
        let mut books = Books::default();
        let delete = Request::Delete { ports: these("80") };
        pm.request(&mut kernel, books.plan(acts), usize::MAX, &delete)
            .unwrap();
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let used = pm.group_usage("vip").outgoing;
        assert!(used <= 100_000, "{moment}: {used}");
    }
}
