//! What pm does not touch, and what the kernel does not do.

use pm_tc::*;

use crate::support::*;

#[test]
fn a_foreign_qdisc_is_refused_and_left_as_it_is() {
    const FOREIGN: &[(&str, &[&str], &str)] = &[
        (
            "one",
            &["qdisc add dev one root tbf rate 1mbit burst 10k limit 10k"],
            "tbf",
        ),
        (
            "one",
            &[
                "qdisc add dev one root handle 1: htb default 30",
                "class add dev one parent 1: classid 1:30 htb rate 5mbit",
                "filter add dev one parent 1: protocol ip u32 match ip dport 80 0xffff flowid 1:30",
            ],
            "htb",
        ),
        (
            "one",
            &["qdisc add dev one root handle 706d: bfifo"],
            "bfifo",
        ),
        (
            "many",
            &[
                "qdisc add dev many root handle 1: mq",
                "qdisc add dev many parent 1:1 tbf rate 1mbit burst 10k limit 10k",
            ],
            "tbf",
        ),
    ];
    for (interface, commands, expected) in FOREIGN {
        in_namespace(move |control| {
            for command in *commands {
                tc(command);
            }
            let all = || {
                (
                    listing(interface),
                    tc(&format!("filter show dev {interface}")),
                )
            };
            let before = all();
            let error = control.read(interface).unwrap_err();
            let Error::ForeignQdisc { kind, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(kind, expected);
            assert_eq!(all(), before);
        });
    }
}

/// Between reading and writing somebody may come first.
#[test]
fn a_qdisc_that_came_meanwhile_is_not_replaced() {
    in_namespace(|control| {
        let kernel = control.kernel().unwrap();
        let installed = control.read("one").unwrap();
        tc("qdisc add dev one root tbf rate 1mbit burst 10k limit 10k");
        let before = listing("one");
        let requests = plan(&installed, &shape(&[(1, "1M")]), None, &kernel);
        let error = control.apply(&installed.interface, &requests).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot create qdisc htb 706d: on interface one"
        );
        assert_eq!(listing("one"), before);
        let delete = [Request::DeleteRoot];
        assert!(control.apply(&installed.interface, &delete).is_err());
        assert_eq!(listing("one"), before);
    });
}

#[test]
fn ingress_qdiscs_do_not_matter() {
    in_namespace(|control| {
        tc("qdisc add dev one ingress");
        let host = converge(control, "one", &shape(&[(1, "1M")]), None);
        withdraw_from(control, "one", host.as_ref());
        assert!(tc("qdisc show dev one").contains("qdisc ingress ffff:"));
    });
}

#[test]
fn interfaces_that_are_not_there_are_named() {
    in_namespace(|control| {
        for name in ["nonesuch", "", "a-name-that-is-much-too-long", "lo"] {
            let error = control.read(name).unwrap_err();
            assert!(
                matches!(error, Error::NoSuchInterface(_)),
                "{name}: {error:?}"
            );
        }
    });
}

/// Not even on a loopback interface that somebody shapes.
#[test]
fn looking_for_what_the_kernel_has_changes_nothing() {
    in_namespace(|control| {
        ip("link set lo up");
        let first = control.kernel().unwrap();
        for command in [
            "qdisc add dev lo root bfifo limit 77777",
            "qdisc replace dev lo root handle 9: htb default 7",
        ] {
            tc(command);
            let before = tc("-d qdisc show");
            assert_eq!(control.kernel().unwrap(), first);
            assert_eq!(tc("-d qdisc show"), before);
        }
        // The judge: the real tc, on an interface.
        let status = std::process::Command::new("tc")
            .args(["qdisc", "add", "dev", "one", "root", "fq_codel"])
            .output()
            .unwrap()
            .status;
        assert_eq!(first.fq_codel, status.success());
    });
}

/// The judge is a filter that is really made; nothing is left of the question.
#[test]
fn looking_for_the_fw_classifier_changes_nothing() {
    in_namespace(|control| {
        let before = (tc("-d qdisc show"), ip("link"));
        let answer = control.require_fw();
        assert_eq!((tc("-d qdisc show"), ip("link")), before);
        tc("qdisc add dev one root handle 1: htb");
        let filter = "filter add dev one parent 1: handle 1 fw classid 1:1";
        let status = std::process::Command::new("tc")
            .args(filter.split(' '))
            .output()
            .unwrap()
            .status;
        match answer {
            Ok(()) => assert!(status.success()),
            Err(Error::NoFwClassifier(_)) => assert!(!status.success()),
            Err(other) => panic!("{other}"),
        }
    });
}

/// Where the kernel has no `fw` classifier, that is told from other refusals, and the tree
/// stands; where it has, the filters stand too.
#[test]
fn a_missing_fw_classifier_is_told() {
    in_namespace(|control| {
        let kernel = control.kernel().unwrap();
        let installed = control.read("one").unwrap();
        let field = MarkField::new(0xffff_0000).unwrap();
        let rates = [1, 2].map(|minor| (minor, "5M".parse().unwrap()));
        let wanted = Shape::new(rates.into(), Classifier::Fwmark(field)).unwrap();
        let requests = plan(&installed, &wanted, None, &kernel);
        match control.apply(&installed.interface, &requests) {
            Err(Error::NoFwClassifier(_)) => println!("no cls_fw here"),
            other => {
                assert_eq!(other.unwrap(), Vec::<String>::new());
                let filters = tc("filter show dev one");
                assert!(
                    filters.contains("handle 0x10000/0xffff0000 classid 706d:1"),
                    "{filters}"
                );
                converge(control, "one", &wanted, None);
                converge(control, "one", &shape(&[(2, "5M")]), None);
                assert_eq!(tc("filter show dev one"), "");
            }
        }
        assert!(class("one", "2").contains("rate 5Mbit"));
    });
}

/// `sch_htb.c` says so where a class has no quantum of its own; pm's always have.
#[test]
fn what_the_kernel_remarks_on_is_returned() {
    in_namespace(|control| {
        let kernel = control.kernel().unwrap();
        converge(control, "one", &shape(&[(1, "1M")]), None);
        let interface = control.read("one").unwrap().interface;
        let shape = ClassShape {
            quantum: 0,
            ..ClassShape::of("10G".parse().unwrap(), kernel.psched)
        };
        let remarks = control
            .apply(&interface, &[Request::SetClass { minor: 1, shape }])
            .unwrap();
        println!("{remarks:?}");
        assert!(
            remarks
                .iter()
                .all(|remark| remark.contains("quantum of class"))
        );
        assert_eq!(remarks.len(), 1);
    });
}
