//! Forwarded packets: which of them count, and what becomes of the rules that count them.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use pm_core::config::Config;
use pm_core::ledger::Usage;
use pm_core::request::Settings;
use pm_core::ruleset::{Direction, InstalledForwarding, Piece};
use proptest::prelude::*;
use support::{Forwarded, Kernel, Packet, Pm, Quiet, add, do_now, no_quota, ports, quota, set};

fn tick(pm: &mut Pm, kernel: &mut Kernel) {
    pm.tick(kernel, &mut Quiet, usize::MAX).unwrap();
}

fn running(services: &str) -> (Kernel, Pm) {
    let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
    pm.config = Config::parse(&format!(r#"{{"schema":1,"services":{services}}}"#)).unwrap();
    tick(&mut pm, &mut kernel);
    (kernel, pm)
}

fn packet(port: &str, bytes: u64) -> Packet {
    Packet {
        ports: ports(port),
        direction: Direction::In,
        bytes,
    }
}

fn routed(routed: bool) -> Settings {
    Settings {
        routed: Some(routed),
        ..Settings::default()
    }
}

/// Fault 13 of the scripts pm replaces: traffic to a container by a published port was neither
/// counted nor cut off.
#[test]
fn a_published_port_counts_where_addresses_are_translated() {
    let (mut kernel, mut pm) = running(r#"{"80":{"quota":"1KB"}}"#);
    assert!(!kernel.forward(packet("80", 100), Forwarded::Dnat));
    assert!(
        !kernel.installed().forwarding.chain,
        "it would switch connection tracking on"
    );
    kernel.set_nat(true);
    tick(&mut pm, &mut kernel);
    assert!(kernel.forward(packet("80", 600), Forwarded::Dnat));
    // A guest's own download from somebody's port 80 is nobody's bill.
    assert!(!kernel.forward(packet("80", 10_000), Forwarded::Routed));
    assert!(kernel.packet(ports("80"), Direction::Out, 400));
    assert!(
        !kernel.forward(packet("80", 1), Forwarded::Dnat),
        "the quota is one"
    );
    tick(&mut pm, &mut kernel);
    assert!(pm.is_spent(ports("80")));
    let used = Usage {
        incoming: 600,
        outgoing: 400,
    };
    assert_eq!(pm.usage(ports("80")), used);
    kernel.set_nat(false);
    tick(&mut pm, &mut kernel);
    assert!(!kernel.installed().forwarding.chain);
}

#[test]
fn addresses_that_are_translated_by_other_means_count_too() {
    let (mut kernel, mut pm) = running(r#"{"80":{}}"#);
    // The older iptables change no generation of nf_tables.
    kernel.has_legacy_nat = true;
    tick(&mut pm, &mut kernel);
    assert!(kernel.forward(packet("80", 100), Forwarded::Dnat));
    tick(&mut pm, &mut kernel);
    assert_eq!(pm.batches, []);
    // A request that reads little does not forget it.
    pm.reads_all = false;
    do_now(&mut pm, &mut kernel, &set("80", quota(1_000)));
    assert!(kernel.forward(packet("80", 100), Forwarded::Dnat));
    kernel.has_legacy_nat = false;
    tick(&mut pm, &mut kernel);
    assert!(!kernel.installed().forwarding.chain);
}

#[test]
fn what_is_only_routed_counts_where_somebody_wants_it() {
    let (mut kernel, mut pm) = running(r#"{"80":{},"81":{}}"#);
    do_now(&mut pm, &mut kernel, &set("80", routed(true)));
    assert!(kernel.forward(packet("80", 100), Forwarded::Routed));
    assert!(!kernel.forward(packet("81", 100), Forwarded::Routed));
    assert!(
        !kernel.forward(packet("80", 100), Forwarded::Dnat),
        "nobody translates"
    );
    do_now(&mut pm, &mut kernel, &add("82", no_quota()));
    do_now(&mut pm, &mut kernel, &set("82", routed(true)));
    assert!(kernel.forward(packet("82", 100), Forwarded::Routed));
    do_now(&mut pm, &mut kernel, &set("80,82", routed(false)));
    assert!(!kernel.forward(packet("80", 100), Forwarded::Routed));
    assert!(!kernel.installed().forwarding.chain);
    tick(&mut pm, &mut kernel);
    assert_eq!(pm.usage(ports("80")).incoming, 100);
}

#[test]
fn rules_that_somebody_damaged_are_made_again() {
    let (mut kernel, mut pm) = running(r#"{"80":{"routed":true}}"#);
    kernel.set_nat(true);
    tick(&mut pm, &mut kernel);
    let intact = kernel.installed().forwarding;
    for (chain, set) in [(true, true), (false, true), (true, false), (false, false)] {
        kernel.table.as_mut().unwrap().installed.forwarding = InstalledForwarding {
            chain,
            set,
            intact: None,
        };
        kernel.touch();
        tick(&mut pm, &mut kernel);
        assert_eq!(kernel.installed().forwarding, intact);
    }
    // They name the maps: these cannot be made again without them.
    kernel.table.as_mut().unwrap().installed.frame.ingress = Piece::Damaged;
    kernel.touch();
    tick(&mut pm, &mut kernel);
    let change = pm.batches[0].forwarding.as_ref().unwrap();
    assert!(change.anew);
    assert_eq!(kernel.installed().forwarding, intact);
}

proptest! {
    /// Whoever translates or ceases to, and whoever is routed: what must count does, and what
    /// must not does not.
    #[test]
    fn what_counts_is_what_must(
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<[bool; 2]>()), 1..12),
        reads_all: bool,
    ) {
        let (mut kernel, mut pm) = running(r#"{"80":{},"81":{}}"#);
        pm.reads_all = reads_all;
        for (nat, legacy, wanted) in steps {
            if nat != kernel.has_nat {
                kernel.set_nat(nat);
            }
            kernel.has_legacy_nat = legacy;
            for (port, wanted) in ["80", "81"].into_iter().zip(wanted) {
                do_now(&mut pm, &mut kernel, &set(port, routed(wanted)));
            }
            for (port, wanted) in ["80", "81"].into_iter().zip(wanted) {
                prop_assert_eq!(kernel.forward(packet(port, 9), Forwarded::Routed), wanted);
                prop_assert_eq!(kernel.forward(packet(port, 9), Forwarded::Dnat), nat || legacy);
            }
        }
        tick(&mut pm, &mut kernel);
        for port in ["80", "81"].map(ports) {
            let counted = kernel.counted.get(&port).copied().unwrap_or_default();
            prop_assert_eq!(pm.usage(port), counted);
        }
    }
}
