//! What it costs with 5,000 classes.

use std::collections::BTreeMap;
use std::time::Instant;

use pm_core::units::BitRate;
use pm_tc::*;

use crate::support::*;

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = run();
    println!("{what}: {:.1?}", start.elapsed());
    value
}

/// Prints figures rather than judging them: machines differ.
#[test]
fn five_thousand_classes() {
    in_namespace(|control| {
        let kernel = control.kernel().unwrap();
        let rates = |mbit: u64| {
            let rate = move |n: u16| BitRate::from_bits_per_second(mbit * 1_000_000 + u64::from(n));
            let classes: BTreeMap<_, _> = (1..=5_000).map(|n| (n, rate(n).unwrap())).collect();
            Shape::new(classes, Classifier::Priority).unwrap()
        };
        let mut installed = control.read("one").unwrap();
        for (what, shape, expected) in [
            ("create 5,000 classes", rates(1), 10_003),
            ("nothing to do", rates(1), 0),
            ("change 5,000 rates", rates(2), 5_000),
        ] {
            let requests = timed("plan", || plan(&installed, &shape, None, &kernel));
            assert_eq!(requests.len(), expected);
            timed(what, || control.apply(&installed.interface, &requests)).unwrap();
            installed = timed("read", || control.read("one")).unwrap();
        }
        let all = tc("class show dev one");
        assert_eq!(all.lines().count(), 5_001);
        timed("withdraw", || withdraw_from(control, "one", None));
    });
}
