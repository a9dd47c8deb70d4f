//! Shapes come about as wanted, and change in place.

use std::net::UdpSocket;

use pm_tc::*;

use crate::support::*;

#[test]
fn classes_come_change_and_go() {
    in_namespace(|control| {
        let first = shape(&[(1, "1M"), (0x10, "100M"), (0xfffe, "40G")]);
        let host = converge(control, "one", &first, None);
        let root = tc("-d qdisc show dev one root");
        assert!(
            root.starts_with("qdisc htb 706d: root ")
                && root.contains(" default 0xffff ")
                && root.contains(" direct_qlen 1000"),
            "{root}"
        );
        for (minor, figures) in [
            (
                "1",
                "quantum 1514 rate 1Mbit ceil 1Mbit linklayer ethernet burst 16Kb/1 mpu 0b cburst 16Kb/1",
            ),
            (
                "10",
                "quantum 60000 rate 100Mbit ceil 100Mbit linklayer ethernet burst 25000b/1 mpu 0b cburst 25000b/1",
            ),
            (
                "fffe",
                "quantum 60000 rate 40Gbit ceil 40Gbit linklayer ethernet burst 10000000b/1",
            ),
            (
                "ffff",
                "quantum 60000 rate 10Tbit ceil 10Tbit linklayer ethernet burst",
            ),
        ] {
            let line = class("one", minor);
            assert!(line.contains(figures), "{line}");
        }
        let kernel = control.kernel().unwrap();
        if !kernel.fq_codel {
            assert!(
                leaf("one", "1").ends_with(" limit 192Kb"),
                "{}",
                leaf("one", "1")
            );
            assert!(leaf("one", "10").ends_with(" limit 2500000b"));
        }
        let before = [
            class("one", "1"),
            class("one", "ffff"),
            leaf("one", "1"),
            leaf("one", "10"),
        ];
        converge(control, "one", &shape(&[(1, "1M"), (0x10, "50M")]), host);
        assert!(class("one", "10").contains(" rate 50Mbit ceil 50Mbit "));
        let all = tc("class show dev one");
        assert!(!all.contains("706d:fffe"), "{all}");
        let after = [class("one", "1"), class("one", "ffff"), leaf("one", "1")];
        assert_eq!(after, before[..3]);
        // The leaf was changed, not replaced: the handle stays.
        let handle = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
        assert_eq!(handle(&leaf("one", "10")), handle(&before[3]));
    });
}

#[test]
fn applying_twice_changes_nothing() {
    in_namespace(|control| {
        let wanted = shape(&[(1, "1M"), (2, "20M")]);
        for interface in ["one", "many", "near"] {
            let host = converge(control, interface, &wanted, None);
            let listed = listing(interface);
            converge(control, interface, &wanted, host);
            assert_eq!(listing(interface), listed);
        }
    });
}

/// Packets that wait in a class are neither dropped nor forgotten when its rate changes, and an
/// unclassified packet passes beside them.
#[test]
fn a_changed_rate_drops_nothing() {
    in_namespace(|control| {
        ip("address add 198.51.100.1/24 dev near");
        ip("neighbour add 198.51.100.2 lladdr 02:00:00:00:00:02 dev near");
        // What fq_codel drops of a standing queue is its own affair.
        let kernel = Kernel {
            fq_codel: false,
            ..control.kernel().unwrap()
        };
        let mut converge = |shape: &Shape, host| converge_as(&kernel, control, "near", shape, host);
        let host = converge(&shape(&[(1, "8K"), (2, "1M")]), None);
        let socket = UdpSocket::bind("198.51.100.1:0").unwrap();
        let send = |priority: &u32, count: usize| {
            nix::sys::socket::setsockopt(
                &socket,
                nix::sys::socket::sockopt::Priority,
                &i32::try_from(*priority).unwrap(),
            )
            .unwrap();
            for _ in 0..count {
                socket.send_to(&[0; 972], "198.51.100.2:9").unwrap();
            }
        };
        // 60 packets of 1,014 bytes with a burst of 16 KiB at 1,000 bytes a second: most wait.
        send(&class_id(1), 60);
        send(&0, 5);
        converge(&shape(&[(1, "16K"), (2, "2M")]), host.clone());
        let waiting = tc("-s class show dev near classid 706d:1");
        assert!(waiting.contains(" (dropped 0, "), "{waiting}");
        assert!(!waiting.contains("backlog 0b"), "{waiting}");
        let passed = tc("-s class show dev near classid 706d:ffff");
        assert!(
            passed.contains("(dropped 0, ") && passed.contains("backlog 0b 0p"),
            "{passed}"
        );
        // At a rate that takes them all at once, all have passed as soon as the kernel ran.
        converge(&shape(&[(1, "10G"), (2, "2M")]), host);
        let sent = (0..10_000).find_map(|_| {
            std::thread::yield_now();
            let text = tc("-s class show dev near classid 706d:1");
            text.contains(" 60 pkt (dropped 0, ").then_some(text)
        });
        assert!(sent.is_some());
    });
}

#[test]
fn a_tree_that_others_changed_is_put_right() {
    const DAMAGES: &[&str] = &[
        "class del dev one classid 706d:1",
        "class change dev one parent 706d: classid 706d:1 htb rate 9mbit quantum 2000",
        "class add dev one parent 706d: classid 706d:77 htb rate 9mbit quantum 2000",
        "class add dev one parent 706d:2 classid 706d:78 htb rate 9mbit quantum 2000",
        "qdisc del dev one parent 706d:1",
        "qdisc replace dev one parent 706d:1 pfifo limit 3",
        "qdisc change dev one parent 706d:2 bfifo limit 3",
        "class change dev one parent 706d: classid 706d:ffff htb rate 1mbit quantum 2000",
        "qdisc del dev one parent 706d:ffff",
        "qdisc del dev one root",
    ];
    for damage in DAMAGES {
        println!("{damage}");
        in_namespace(move |control| {
            let wanted = shape(&[(1, "1M"), (2, "20M")]);
            let host = converge(control, "one", &wanted, None);
            // The kernel numbers leaves as it makes them.
            let unnumbered = |text: String| {
                let colon = |word: &str| match word.strip_suffix(':') {
                    Some(_) => ":".to_owned(),
                    None => word.to_owned(),
                };
                let line = |line: &str| line.split(' ').map(colon).collect::<Vec<_>>().join(" ");
                let mut lines: Vec<_> = text.lines().map(line).collect();
                lines.sort();
                lines
            };
            let whole = unnumbered(listing("one"));
            if damage.contains("bfifo") && control.kernel().unwrap().fq_codel {
                return;
            }
            tc(damage);
            assert_ne!(unnumbered(listing("one")), whole);
            converge(control, "one", &wanted, host);
            assert_eq!(unnumbered(listing("one")), whole);
        });
    }
}

#[test]
fn an_htb_at_our_handle_with_another_default_is_rebuilt() {
    in_namespace(|control| {
        tc("qdisc add dev one root handle 706d: htb default 1");
        converge(control, "one", &shape(&[(1, "1M")]), None);
        assert!(tc("-d qdisc show dev one root").contains("default 0xffff"));
    });
}

#[test]
fn an_operators_default_leaf_stays() {
    in_namespace(|control| {
        let host = converge(control, "one", &shape(&[(1, "1M")]), None);
        tc("qdisc replace dev one parent 706d:ffff bfifo limit 77777");
        converge(control, "one", &shape(&[(1, "2M")]), host);
        assert!(leaf("one", "ffff").contains("bfifo"));
    });
}

#[test]
fn a_default_leaf_that_the_kernel_refuses_becomes_a_plain_fifo() {
    in_namespace(|control| {
        let kernel = control.kernel().unwrap();
        let wanted = shape(&[(1, "1M")]);
        let mut installed = control.read("one").unwrap();
        let odd = HostQdisc {
            kind: "nonesuch".to_owned(),
            ..HostQdisc::default()
        };
        installed.root = Root::Host(odd);
        let requests = plan(&installed, &wanted, None, &kernel);
        let remarks = control.apply(&installed.interface, &requests).unwrap();
        assert!(
            remarks[0].starts_with("qdisc nonesuch cannot be a leaf: "),
            "{remarks:?}"
        );
        assert!(leaf("one", "ffff").contains(" limit 1000p"));
        converge(control, "one", &wanted, None);
    });
}
