//! The host's own qdisc is recorded and comes back as it was.

use pm_tc::*;

use crate::support::*;

/// Shapes an interface and leaves it again, with the record saved in between.
fn come_and_go(control: &mut TrafficControl, interface: &str) -> HostQdisc {
    let before = listing(interface);
    let host = converge(control, interface, &shape(&[(1, "1M"), (2, "5M")]), None);
    assert_ne!(listing(interface), before);
    let saved = serde_json::to_string(&host).unwrap();
    println!("{saved}");
    let host: HostQdisc = serde_json::from_str(&saved).unwrap();
    withdraw_from(control, interface, Some(&host));
    assert_eq!(listing(interface), before);
    host
}

#[test]
fn defaults_of_the_kernel_come_back() {
    in_namespace(|control| {
        for interface in ["one", "many", "near"] {
            let shown = tc(&format!("qdisc show dev {interface} root"));
            let host = come_and_go(control, interface);
            assert!(host.is_default(), "{host:?}");
            assert!(
                shown.starts_with(&format!("qdisc {} 0: root", host.kind)),
                "{shown}"
            );
        }
    });
}

#[test]
fn what_an_operator_chose_comes_back_with_its_options() {
    in_namespace(|control| {
        for chosen in ["bfifo limit 77777", "pfifo limit 33", "pfifo_fast"] {
            tc(&format!("qdisc add dev one root handle 12: {chosen}"));
            let host = come_and_go(control, "one");
            assert_eq!(host.handle, 0x12_0000);
            tc("qdisc del dev one root");
        }
        tc("qdisc add dev near root noqueue");
        come_and_go(control, "near");
        tc("qdisc add dev many root handle 7: mq");
        tc("qdisc replace dev many parent 7:2 handle 72: bfifo limit 77777");
        tc("qdisc replace dev many parent 7:4 pfifo limit 44");
        let host = come_and_go(control, "many");
        assert_eq!(host.children.len(), 4);
    });
}

/// As far as the kernel has them.
#[test]
fn queues_with_a_mind_of_their_own_come_back_with_their_options() {
    in_namespace(|control| {
        for chosen in [
            "fq_codel limit 999 flows 77 target 7ms",
            "fq limit 999 maxrate 77mbit",
            "cake bandwidth 77mbit besteffort",
            "sfq perturb 10 limit 99",
        ] {
            let kind = chosen.split(' ').next().unwrap();
            let add = format!("qdisc add dev one root handle 12: {chosen}");
            let output = std::process::Command::new("tc")
                .args(add.split(' '))
                .output();
            if !output.unwrap().status.success() {
                println!("no {kind} here");
                continue;
            }
            assert_eq!(come_and_go(control, "one").kind, kind);
            tc("qdisc del dev one root");
        }
    });
}

#[test]
fn the_hosts_qdisc_is_the_default_classs_leaf() {
    in_namespace(|control| {
        tc("qdisc replace dev one root bfifo limit 77777");
        let queue = tc("qdisc show dev many parent :1");
        let queue = queue.split(' ').nth(1).unwrap();
        for (interface, expected) in [("one", "limit 77777b"), ("many", queue), ("near", "qdisc ")]
        {
            converge(control, interface, &shape(&[(1, "1M")]), None);
            let line = leaf(interface, "ffff");
            assert!(line.contains(expected), "{line}");
        }
    });
}

#[test]
fn an_interface_that_was_never_up_is_shaped_and_left() {
    in_namespace(|control| {
        ip("link add idle type ifb");
        let host = come_and_go(control, "idle");
        assert_eq!(host.kind, "");
        converge(control, "idle", &shape(&[(1, "1M")]), None);
        ip("link set idle up");
        assert!(tc("qdisc show dev idle root").starts_with("qdisc htb 706d:"));
    });
}

#[test]
fn without_a_record_the_default_of_the_kernel_comes_back() {
    in_namespace(|control| {
        let before = listing("one");
        tc("qdisc replace dev one root handle 12: bfifo limit 77777");
        converge(control, "one", &shape(&[(1, "1M")]), None);
        withdraw_from(control, "one", None);
        assert_eq!(listing("one"), before);
    });
}

#[test]
fn a_withdrawal_that_stopped_halfway_is_finished_by_the_next() {
    in_namespace(|control| {
        tc("qdisc add dev many root handle 7: mq");
        tc("qdisc replace dev many parent 7:2 handle 72: bfifo limit 77777");
        tc("qdisc replace dev many parent 7:4 handle 74: pfifo limit 44");
        let before = listing("many");
        let host = converge(control, "many", &shape(&[(1, "1M")]), None);
        let installed = control.read("many").unwrap();
        let requests = withdraw(&installed, host.as_ref());
        assert_eq!(requests.len(), 3);
        control.apply(&installed.interface, &requests[..2]).unwrap();
        assert_ne!(listing("many"), before);
        withdraw_from(control, "many", host.as_ref());
        assert_eq!(listing("many"), before);
    });
}
