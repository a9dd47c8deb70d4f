//! The figure that the operator said was used.

use pm_core::config::Mode;
use pm_core::request::ContractSettings;
use pm_core::ruleset::Direction;

use crate::backend::{Fate, Script};
use crate::host::{End, Host};
use crate::requests::{mode, no_quota, quota, set, set_used};

fn corrected(settings: ContractSettings) -> Host {
    let mut host = Host::with(&[("20000", settings)]);
    host.send("20000", Direction::In, 5_000);
    host.send("20000", Direction::Out, 300);
    host.request(&set_used("20000", 70_000));
    host.send("20000", Direction::In, 20);
    host
}

/// Without a quota, held while it moves, and not.
fn kinds() -> [ContractSettings; 3] {
    [no_quota(), quota(100_000), quota(1 << 32)]
}

#[test]
fn the_figure_that_was_set_grows_by_what_counts() {
    let mut host = corrected(no_quota());
    assert_eq!(host.report("20000").billed, 70_020);
    host.tick();
    assert_eq!(host.report("20000").billed, 70_020);
}

#[test]
fn a_figure_that_was_set_survives_a_change_of_mode() {
    for settings in kinds() {
        survives_a_change_of_mode(corrected(settings));
    }
}

fn survives_a_change_of_mode(mut host: Host) {
    host.request(&set("20000", mode(Mode::Out)));
    assert_eq!(host.report("20000").billed, 70_020);
    host.send("20000", Direction::In, 1_000);
    host.send("20000", Direction::Out, 4);
    host.tick();
    assert_eq!(host.report("20000").billed, 70_024);
    host.request(&set("20000", mode(Mode::Both)));
    assert_eq!(host.report("20000").billed, 70_024);
}

#[test]
fn a_figure_that_was_set_survives_a_change_of_mode_that_was_cut_short() {
    for settings in kinds() {
        survives_a_change_that_was_cut_short(&settings);
    }
}

fn survives_a_change_that_was_cut_short(settings: &ContractSettings) {
    for moment in 0.. {
        let mut host = corrected(*settings);
        let script = Script {
            fate: Fate::Die(moment),
            ..Script::default()
        };
        let end = host.run_request(&set("20000", mode(Mode::Out)), script);
        host.tick();
        let report = host.report("20000");
        assert_eq!(
            report.billed, 70_020,
            "killed in moment {moment}, mode {}",
            report.tariff.mode
        );
        if matches!(end, End::Done(_)) {
            break;
        }
    }
}

#[test]
fn a_quota_is_measured_by_the_figure_that_was_set() {
    let mut host = Host::with(&[("20000", quota(10_000))]);
    host.send("20000", Direction::In, 9_000);
    host.request(&set_used("20000", 4_000));
    assert!(host.send("20000", Direction::In, 6_000));
    assert!(!host.send("20000", Direction::In, 1));
    assert_eq!(host.passed("20000").incoming, 15_000);
}
