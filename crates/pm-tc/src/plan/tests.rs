//! The laws of planning, on a kernel in memory.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::MarkField;
use crate::installed::{InstalledClass, InstalledFilter, Interface};

fn kernel(fq_codel: bool) -> Kernel {
    Kernel {
        psched: Psched::parse("000003e8 00000040 000f4240 3b9aca00").unwrap(),
        fq_codel,
        default_qdisc: "fq".to_owned(),
    }
}

/// What a kernel makes of requests, or panics where it would refuse.
fn run(installed: &mut Installed, requests: &[Request]) {
    for request in requests {
        step(installed, request);
    }
}

fn step(installed: &mut Installed, request: &Request) {
    let root = &mut installed.root;
    let tree = match (&mut *root, request) {
        (Root::Host(found), Request::CreateRoot { replace }) => {
            assert!(*replace || found.is_default());
            *root = Root::Ours(Tree {
                sound: true,
                ..Tree::default()
            });
            return;
        }
        (Root::Ours(_), Request::DeleteRoot) => {
            *root = Root::Host(HostQdisc::default());
            return;
        }
        (Root::Ours(_), Request::RestoreRoot(host)) => {
            let mut host = host.clone();
            for child in &mut host.children {
                *child = default_child(child.queue);
            }
            *root = Root::Host(host);
            return;
        }
        (Root::Host(host), Request::RestoreQueue { parent, child }) => {
            assert_eq!(host.handle, *parent);
            let place = host
                .children
                .iter_mut()
                .find(|one| one.queue == child.queue);
            *place.unwrap() = child.clone();
            return;
        }
        (Root::Ours(tree), _) => tree,
        (Root::Host(_), _) => panic!("{request} without a tree"),
    };
    match request {
        &Request::SetClass { minor, shape } => {
            let class = tree.classes.entry(minor);
            class
                .and_modify(|class| class.shape = shape)
                .or_insert(InstalledClass { shape, leaf: None });
        }
        Request::DeleteClass { minor } => {
            assert!(
                tree.filters.values().all(|filter| filter.minor != *minor),
                "busy"
            );
            tree.classes.remove(minor).unwrap();
        }
        Request::SetLeaf { minor, leaf } => {
            tree.classes.get_mut(minor).unwrap().leaf = Some(leaf.clone());
        }
        &Request::SetFilter { mark, mask, minor } => {
            assert!(
                tree.filters.values().all(|filter| filter.mask == mask),
                "mask"
            );
            assert!(tree.classes.contains_key(&minor));
            tree.filters.insert(mark, InstalledFilter { mask, minor });
        }
        Request::DeleteFilter { mark } => {
            tree.filters.remove(mark).unwrap();
        }
        Request::DeleteFilters => {
            tree.filters.clear();
            tree.odd_filters = false;
        }
        Request::CreateRoot { .. }
        | Request::DeleteRoot
        | Request::RestoreRoot(_)
        | Request::RestoreQueue { .. } => {
            panic!("{request} over a tree")
        }
    }
}

fn on(root: Root) -> Installed {
    let interface = Interface {
        index: 2,
        name: "eth0".to_owned(),
    };
    Installed { interface, root }
}

fn any_host() -> impl Strategy<Value = HostQdisc> {
    let kinds = prop_oneof![
        Just("noqueue"),
        Just("mq"),
        Just("fq"),
        Just("bfifo"),
        Just("")
    ];
    (kinds, any::<bool>(), vec(any::<u8>(), 0..6)).prop_map(|(kind, default, options)| HostQdisc {
        kind: kind.to_owned(),
        handle: if default { 0 } else { 0x8001_0000 },
        options,
        children: Vec::new(),
    })
}

fn default_child(queue: u16) -> HostChild {
    HostChild {
        queue,
        kind: "fq".to_owned(),
        handle: 0,
        options: vec![queue.to_ne_bytes()[0]],
    }
}

/// An `mq` that somebody made, with some queues of his choice.
fn any_mq() -> impl Strategy<Value = HostQdisc> {
    vec(any::<bool>(), 1..5).prop_map(|chosen| HostQdisc {
        kind: "mq".to_owned(),
        handle: 0x8001_0000,
        options: Vec::new(),
        children: (1..)
            .zip(chosen)
            .map(|(queue, chosen)| HostChild {
                handle: if chosen { 0x9000_0000 } else { 0 },
                ..default_child(queue)
            })
            .collect(),
    })
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let minors = prop_oneof![1..20_u16, Just(0xfffe)];
    let rates = (1..=BitRate::MAX_BITS_PER_SECOND)
        .prop_map(|bits| BitRate::from_bits_per_second(bits).unwrap());
    let classifiers = prop_oneof![
        Just(Classifier::Priority),
        Just(0xffff_0000_u32).prop_map(mark),
        Just(0x0000_ffff_u32).prop_map(mark),
    ];
    (btree_map(minors, rates, 0..8), classifiers)
        .prop_map(|(classes, classifier)| Shape::new(classes, classifier).unwrap())
}

fn mark(mask: u32) -> Classifier {
    Classifier::Fwmark(MarkField::new(mask).unwrap())
}

/// A tree that others have been at.
fn any_tree() -> impl Strategy<Value = Root> {
    let leaf = proptest::option::of(prop_oneof![
        Just(Qdisc::plain("fq_codel")),
        Just(Qdisc::bfifo(7)),
        Just(Qdisc::plain("sfq")),
    ]);
    let minors = prop_oneof![1..20_u16, Just(0xffff)];
    let class = (any::<u16>(), leaf).prop_map(|(rate, leaf)| InstalledClass {
        shape: ClassShape {
            rate: rate.into(),
            ..ClassShape::unlimited(kernel(true).psched)
        },
        leaf,
    });
    let filter = (any::<bool>(), 0..20_u16).prop_map(|(high, minor)| InstalledFilter {
        mask: if high { 0xffff_0000 } else { 0xffff },
        minor,
    });
    let marks = (1..20_u32, any::<bool>()).prop_map(|(n, high)| if high { n << 16 } else { n });
    (
        any::<bool>(),
        btree_map(minors, class, 0..9),
        btree_map(marks, filter, 0..5),
        any::<bool>(),
    )
        .prop_map(|(sound, classes, filters, odd_filters)| {
            Root::Ours(Tree {
                sound,
                classes,
                filters,
                odd_filters,
            })
        })
}

proptest! {
    /// From anywhere the plan leads to the shape, and then there is nothing left to do; so it is
    /// when only a part of it was carried out.
    #[test]
    fn a_plan_leads_to_its_shape_from_wherever_it_stops(
        root in prop_oneof![any_host().prop_map(Root::Host), any_tree()],
        shapes in vec(any_shape(), 1..4), fq_codel in any::<bool>(), stop in any::<prop::sample::Index>(),
    ) {
        let kernel = kernel(fq_codel);
        let mut installed = on(root);
        let host = match &installed.root {
            Root::Host(host) => Some(host.clone()),
            Root::Ours(_) => None,
        };
        for shape in shapes {
            let requests = plan(&installed, &shape, host.as_ref(), &kernel);
            let mut half = installed.clone();
            run(&mut half, &requests[..stop.index(requests.len() + 1)]);
            let rest = plan(&half, &shape, host.as_ref(), &kernel);
            run(&mut half, &rest);
            run(&mut installed, &requests);
            for reached in [&half, &installed] {
                prop_assert_eq!(plan(reached, &shape, host.as_ref(), &kernel), vec![]);
                let Root::Ours(tree) = &reached.root else { panic!("no tree") };
                let mut minors: Vec<_> = shape.classes.keys().copied().collect();
                minors.push(DEFAULT_MINOR);
                prop_assert_eq!(tree.classes.keys().copied().collect::<Vec<_>>(), minors);
                prop_assert_eq!(tree.filters.len(), shape.filters().len());
            }
        }
    }

    /// Once the default class exists it stays as long as its root does, and nothing else is
    /// made before it.
    #[test]
    fn no_prefix_is_without_a_default_class(root in any_tree(), shape in any_shape()) {
        let kernel = kernel(false);
        let mut installed = on(root);
        for request in plan(&installed, &shape, None, &kernel) {
            let before = matches!(&installed.root, Root::Ours(tree) if tree.has_default());
            step(&mut installed, &request);
            let after = matches!(&installed.root, Root::Ours(tree) if tree.has_default());
            prop_assert!(after || !before || request == Request::DeleteRoot);
            let other = matches!(request, Request::SetClass { minor, .. } if minor != DEFAULT_MINOR);
            prop_assert!(after || !other);
        }
    }

    /// What the host's owner chose is never exchanged for the kernel's default, which would then
    /// be recorded as his: wherever it stops, pm's tree stands there or his own root.
    #[test]
    fn no_prefix_loses_the_owners_root(
        host in prop_oneof![any_host(), any_mq()], tree in any_tree(), shape in any_shape(),
    ) {
        let mut installed = on(tree);
        for request in plan(&installed, &shape, Some(&host), &kernel(true)) {
            step(&mut installed, &request);
            if let Root::Host(found) = &installed.root && !host.is_default() {
                prop_assert_eq!((&found.kind, found.handle), (&host.kind, host.handle));
            }
        }
        let requests = withdraw(&installed, Some(&host));
        run(&mut installed, &requests);
        let left = if host.is_default() { HostQdisc::default() } else { host };
        prop_assert_eq!(installed.root, Root::Host(left));
    }

    /// So it does when it stops on the way.
    #[test]
    fn withdrawing_gives_the_host_its_own_back(
        host in prop_oneof![any_host(), any_mq()], shape in any_shape(),
        stop in any::<prop::sample::Index>(),
    ) {
        let mut installed = on(Root::Host(host.clone()));
        let requests = plan(&installed, &shape, None, &kernel(true));
        run(&mut installed, &requests);
        let requests = withdraw(&installed, Some(&host));
        run(&mut installed, &requests[..stop.index(requests.len() + 1)]);
        let rest = withdraw(&installed, Some(&host));
        run(&mut installed, &rest);
        prop_assert_eq!(withdraw(&installed, Some(&host)), vec![]);
        // The default of a real kernel is its own; that of the one in memory has no name.
        let back = if host.is_default() { HostQdisc::default() } else { host };
        prop_assert_eq!(&installed.root, &Root::Host(back));
        prop_assert_eq!(withdraw(&installed, None), vec![]);
    }
}

#[test]
fn a_changed_rate_is_one_change_in_place() {
    let kernel = kernel(true);
    let shape =
        |rate: &str| Shape::new([(1, rate.parse().unwrap())].into(), Classifier::Priority).unwrap();
    let mut installed = on(Root::Host(HostQdisc::default()));
    let first = plan(&installed, &shape("10M"), None, &kernel);
    run(&mut installed, &first);
    let changes = plan(&installed, &shape("20M"), None, &kernel);
    let shape = ClassShape::of("20M".parse().unwrap(), kernel.psched);
    assert_eq!(changes, [Request::SetClass { minor: 1, shape }]);
}

#[test]
fn a_shape_has_limits() {
    let rate: BitRate = "1M".parse().unwrap();
    let new = |minor, classifier| Shape::new([(minor, rate)].into(), classifier).err();
    for minor in [0, 0xffff] {
        assert_eq!(
            new(minor, Classifier::Priority),
            Some(ShapeError::Minor(minor))
        );
    }
    assert_eq!(new(0xfffe, Classifier::Priority), None);
    assert_eq!(new(0xff, mark(0xff)), None);
    let error = new(0x100, mark(0xff)).unwrap();
    assert_eq!(
        error.to_string(),
        "class 706d:100 does not fit the mark's bits 0x000000ff"
    );
}

/// The kernel does not delete a class that a filter leads into.
#[test]
fn a_filter_that_leads_into_a_class_that_goes_is_deleted_first() {
    let kernel = kernel(true);
    let rate: BitRate = "1M".parse().unwrap();
    let shape = |minors: &[u16]| {
        let classes = minors.iter().map(|&minor| (minor, rate)).collect();
        Shape::new(classes, mark(0xffff_0000)).unwrap()
    };
    let mut installed = on(Root::Host(HostQdisc::default()));
    let requests = plan(&installed, &shape(&[1, 2]), None, &kernel);
    run(&mut installed, &requests);
    if let Root::Ours(tree) = &mut installed.root {
        tree.filters.get_mut(&0x1_0000).unwrap().minor = 2;
    }
    let requests = plan(&installed, &shape(&[1]), None, &kernel);
    let (mask, minor) = (0xffff_0000, 1);
    assert_eq!(
        requests,
        [
            Request::DeleteFilter { mark: 0x1_0000 },
            Request::DeleteFilter { mark: 0x2_0000 },
            Request::DeleteClass { minor: 2 },
            Request::SetFilter {
                mark: 0x1_0000,
                mask,
                minor
            },
        ]
    );
}
