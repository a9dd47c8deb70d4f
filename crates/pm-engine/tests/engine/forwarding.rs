//! Forwarded packets are counted where somebody translates addresses, and while he does.

use pm_core::request::Settings;
use pm_core::ruleset::Forwarding;

use crate::backend::{Act, Fate, Script};
use crate::host::Host;
use crate::requests::{no_quota, ports, quota, set};

fn forwarding(host: &Host) -> Forwarding {
    let found = host.kernel(|kernel| kernel.installed().forwarding);
    found.intact.unwrap()
}

fn routed(routed: bool) -> Settings {
    Settings {
        routed: Some(routed),
        ..Settings::default()
    }
}

#[test]
fn translated_packets_are_counted_while_somebody_translates() {
    let mut host = Host::with(&[("20000", quota(50_000)), ("20001", no_quota())]);
    assert!(forwarding(&host).is_nothing());
    let legacy = |host: &Host, is_there| host.kernel(|kernel| kernel.has_legacy_nat = is_there);
    // Docker's chains, by nftables and by iptables-legacy; the latter changes no generation.
    for (nftables, iptables) in [
        (true, false),
        (false, false),
        (false, true),
        (true, true),
        (false, true),
        (false, false),
    ] {
        host.kernel(|kernel| kernel.set_nat(nftables));
        legacy(&host, iptables);
        host.tick();
        assert_eq!(forwarding(&host).dnat, nftables || iptables);
        host.tick();
        assert_eq!(host.calls().batches, [], "it is as it must be");
    }
    legacy(&host, true);
    host.tick();
    assert!(forwarding(&host).dnat);
    // A request about one service keeps what is there for all.
    for settings in [quota(60_000), quota(70_000)] {
        host.request(&set("20000", settings));
        assert!(forwarding(&host).dnat);
    }
    legacy(&host, false);
    host.request(&set("20000", quota(60_000)));
    host.tick();
    assert!(!forwarding(&host).dnat);
}

#[test]
fn routed_packets_are_counted_for_services_that_say_so() {
    let mut host = Host::with(&[("20000", quota(50_000)), ("20001", no_quota())]);
    host.request(&set("20001", routed(true)));
    assert_eq!(forwarding(&host).routed, [ports("20001")].into());
    host.request(&set("20000", routed(true)));
    assert_eq!(forwarding(&host).routed.len(), 2);
    host.request(&set("20001", routed(false)));
    assert_eq!(forwarding(&host).routed, [ports("20000")].into());
    host.request(&set("20000", routed(false)));
    assert!(forwarding(&host).is_nothing());
}

#[test]
fn whoever_dies_or_meddles_the_next_tick_counts_what_must_be() {
    let before = Host::with(&[("20000", quota(50_000)), ("20001", no_quota())]);
    before.kernel(|kernel| kernel.set_nat(true));
    for moment in 0..24 {
        for fate in [Fate::Die(moment), Fate::Fail(moment), Fate::Live] {
            for act in [Act::Nothing, Act::Flush, Act::Unlink(ports("20000"))] {
                let mut host = before.copy();
                let mut acts = vec![Act::Nothing; moment];
                acts.push(act);
                let script = Script {
                    fate,
                    acts: acts.into(),
                    ..Script::default()
                };
                drop(host.run_request(&set("20001", routed(true)), script));
                host.tick();
                let is_routed = host.config().services[&ports("20001")].routed;
                // A flush takes the translation along.
                let flushes = host.kernel(|kernel| kernel.flushes);
                let wanted = Forwarding {
                    dnat: flushes == 0,
                    routed: is_routed.then_some(ports("20001")).into_iter().collect(),
                };
                assert_eq!(forwarding(&host), wanted, "{fate:?}, {act:?} in {moment}");
            }
        }
    }
}
