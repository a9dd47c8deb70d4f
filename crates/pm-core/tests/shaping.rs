//! Classes and how packets find them: every limited service has its own, and each mark is one
//! class's.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use pm_core::calendar::{Period, ResetPolicy};
use pm_core::config::{Config, Limit, Service};
use pm_core::ledger::{Account, Ledger, State};
use pm_core::port::PortRange;
use pm_core::ruleset::{Class, Epoch, Link, RoomId};
use pm_core::shaping::{
    CLASS_MAJOR, Classifier, ClassifierError, DEFAULT_MINOR, MarkField, classes,
};
use pm_core::strategies::{classifier, config};
use proptest::prelude::*;
use support::{Kernel, Pm, Quiet, link, ports};

fn limit(text: &str) -> Limit {
    Limit::try_from(text.parse::<pm_core::units::BitRate>().unwrap()).unwrap()
}

/// Returns a configuration in which each of these ports is limited, and the state of a pm that
/// knows them.
fn limited(each: impl Iterator<Item = u16>) -> (Config, State) {
    let (mut config, mut state) = (Config::default(), State::new(Epoch(1)));
    let period = Period::restore(ResetPolicy::Never, None);
    let ledger = Ledger::new(None, Account::new(Default::default(), period, None));
    for port in each {
        let ports = PortRange::new(port, port).unwrap();
        let service = Service {
            limit: Some(limit("5M")),
            ..Service::default()
        };
        config.services.insert(ports, service);
        state.ledgers.insert(ports, ledger.clone());
    }
    (config, state)
}

/// Fault 12 of the scripts pm replaces: a port above 61439 could not be limited, because its
/// class had no number.
#[test]
fn every_port_has_a_class_of_its_own() {
    let minors = |(config, state): (Config, State)| -> Vec<u16> {
        classes(&config, &state).into_keys().collect()
    };
    for port in [1, 80, 4_095, 4_096, 61_439, 61_440, 61_441, 65_534] {
        assert_eq!(minors(limited([port].into_iter())), [port]);
    }
    // The number of the last one is the default class's: it has the first that is free.
    assert_eq!(minors(limited([65_535].into_iter())), [1]);
    assert_eq!(minors(limited([1, 2, 4, 65_535].into_iter())), [1, 2, 3, 4]);
    for missing in [1, 2, 40_000, 65_534] {
        let all_but = (1..=u16::MAX).filter(|&port| port != missing);
        let minors = minors(limited(all_but));
        assert_eq!(minors.len(), 65_534);
        assert!(!minors.contains(&0) && !minors.contains(&DEFAULT_MINOR));
    }
    // With all 65535 of them two share one, and none is without.
    assert_eq!(minors(limited(1..=u16::MAX)).len(), 65_534);
}

#[test]
fn a_packet_is_told_its_class_by_priority_or_by_mark() {
    let major = u32::from(CLASS_MAJOR) << 16;
    for (classifier, class) in [
        ("priority", Class::Priority(major | 0xf001)),
        (
            "fwmark",
            Class::Mark {
                mark: 0xf001_0000,
                mask: 0xffff_0000,
            },
        ),
        (
            "fwmark/0x001ffff0",
            Class::Mark {
                mark: 0x000f_0010,
                mask: 0x001f_fff0,
            },
        ),
    ] {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.config.classifier = classifier.parse().unwrap();
        let service = Service {
            limit: Some(limit("5M")),
            ..Service::default()
        };
        pm.config.services.insert(ports("61441"), service);
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let rooms = kernel.installed().rooms;
        let room = rooms.values().next().unwrap().intact.as_ref().unwrap();
        assert_eq!(room.class, Some(class));
        assert_eq!(
            (room.policing.incoming, room.policing.outgoing),
            (None, Some(781_250))
        );
    }
}

#[test]
fn what_is_policed_is_within_what_the_kernel_can() {
    for (text, incoming, outgoing) in [
        ("8K", Some(1_000), Some(1_250)),
        ("8001", Some(1_000), Some(1_250)),
        ("100M", Some(12_500_000), Some(15_625_000)),
        ("100G", Some(12_500_000_000), Some(15_625_000_000)),
    ] {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        let service = Service {
            limit: Some(limit(text)),
            limit_in: Some(limit(text)),
            ..Service::default()
        };
        pm.config.services.insert(ports("80"), service);
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let rooms = kernel.installed().rooms;
        let room = rooms.values().next().unwrap().intact.as_ref().unwrap();
        assert_eq!(
            (room.policing.incoming, room.policing.outgoing),
            (incoming, outgoing),
            "{text}"
        );
        assert!(room.class.is_some() && classes(&pm.config, &pm.saved).contains_key(&80));
    }
}

#[test]
fn a_classifier_is_one_of_two_and_its_mask_wide_enough() {
    for (text, shown) in [
        ("priority", "priority"),
        (" Priority ", "priority"),
        ("fwmark", "fwmark"),
        ("FWMARK/0xffff0000", "fwmark"),
        ("fwmark/0xffff", "fwmark/0x0000ffff"),
        ("fwmark/0xFFFFFFFF", "fwmark/0xffffffff"),
        ("fwmark/0x1fffe", "fwmark/0x0001fffe"),
    ] {
        assert_eq!(
            text.parse::<Classifier>().unwrap().to_string(),
            shown,
            "{text}"
        );
    }
    for text in [
        "",
        "mark",
        "priority/0xffff0000",
        "fwmark/",
        "fwmark/ffff0000",
        "fwmark/0x",
        "fwmark/0xg",
        "fwmark/0x1ffff0000",
        "fwmark/0x+ffff000",
        "fwmark/4294901760",
        "fwmark/-0xffff",
    ] {
        let refused = ClassifierError::Form(text.to_owned());
        assert_eq!(text.parse::<Classifier>(), Err(refused), "{text}");
    }
    for mask in [
        "0x0",
        "0x7fff",
        "0xfffe0001",
        "0xff00ff00",
        "0xfffe",
        "0xbfff8000",
    ] {
        let refused = ClassifierError::Narrow(mask.to_owned());
        assert_eq!(
            format!("fwmark/{mask}").parse::<Classifier>(),
            Err(refused),
            "{mask}"
        );
    }
}

proptest! {
    #[test]
    fn a_classifier_reads_as_it_is_written(classifier in classifier()) {
        prop_assert_eq!(classifier.to_string().parse(), Ok(classifier));
    }

    /// Fault 14 of the scripts pm replaces: every packet's mark was overwritten. Here each class
    /// has bits of its own, and the others are left.
    #[test]
    fn each_mark_is_one_classs_and_within_the_mask(
        classifier in classifier(),
        one: u16,
        other: u16,
    ) {
        match (classifier.class(one), classifier.class(other)) {
            (Class::Priority(a), Class::Priority(b)) => {
                prop_assert_eq!(a == b, one == other);
                prop_assert_eq!(a >> 16, u32::from(CLASS_MAJOR));
            }
            (Class::Mark { mark: a, mask }, Class::Mark { mark: b, mask: same }) => {
                prop_assert_eq!(a == b, one == other);
                prop_assert_eq!((a & mask, mask), (a, same));
            }
            different => prop_assert!(false, "{different:?}"),
        }
    }

    #[test]
    fn a_field_is_a_run_of_bits(mask: u32) {
        let run = |bits: u32, shift| (u32::MAX >> (32 - bits)) << shift;
        let run = (0..32).any(|shift| (1..=32 - shift).any(|bits| mask == run(bits, shift)));
        let field = MarkField::new(mask);
        prop_assert_eq!(field.is_some(), run);
        prop_assert!(field.is_none_or(|field| field.mask() == mask));
    }

    #[test]
    fn any_run_of_bits_is_a_field(bits in 1u32..=32, shift in 0u32..32, minor: u16) {
        let mask = (u32::MAX >> (32 - bits)) << shift;
        let field = MarkField::new(mask).unwrap();
        let fits = (u64::from(minor) << shift) & u64::from(mask) == u64::from(minor) << shift;
        prop_assert_eq!(field.mark(minor), fits.then_some(u32::from(minor).wrapping_shl(shift)));
    }

    /// Traffic control and rules speak of the same classes, and no two services share one.
    #[test]
    fn a_room_names_the_class_that_there_is(config in config()) {
        let (mut kernel, mut pm) = (Kernel::default(), Pm::new());
        pm.config = config;
        pm.tick(&mut kernel, &mut Quiet, usize::MAX).unwrap();
        let classes = classes(&pm.config, &pm.saved);
        let limited = pm.config.services.values().filter(|service| service.limit.is_some());
        prop_assert_eq!(classes.len(), limited.count());
        prop_assert!(!classes.contains_key(&0) && !classes.contains_key(&DEFAULT_MINOR));
        let rates: BTreeMap<_, _> = classes
            .iter()
            .map(|(&minor, &rate)| (format!("{:?}", pm.config.classifier.class(minor)), rate))
            .collect();
        let mut seen = BTreeSet::new();
        for (&ports, service) in &pm.config.services {
            let Some(Link::Room(variant)) = link(&kernel, ports) else { continue };
            let found = kernel.installed().rooms[&RoomId { ports, variant }].clone();
            let class = found.intact.unwrap().class.map(|class| format!("{class:?}"));
            let rate = class.as_ref().map(|class| rates[class]);
            prop_assert_eq!(rate, service.limit.map(Limit::rate));
            prop_assert!(class.is_none_or(|class| seen.insert(class)), "{ports} shares a class");
        }
    }
}
