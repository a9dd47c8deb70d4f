//! What traffic-dog has left. Expected figures are worked out from the files by hand.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be read fails its test"
)]

mod support;

use pm_core::calendar::Timestamp;
use pm_core::config::Mode;
use pm_core::ledger::Usage;
use pm_legacy::{Imported, Quota, Setting, Tool, Trouble};
use support::{Host, troubles};

/// 2026-07-10 in UTC.
const JULY: i64 = 1_783_641_600;

fn host() -> Host {
    Host::new(Tool::TrafficDog, "traffic_dog", JULY, "UTC")
}

fn usage(imported: &Imported, ports: &str) -> Usage {
    imported.services[&ports.parse().unwrap()].books.usage
}

fn used(incoming: u64, outgoing: u64) -> Usage {
    Usage { incoming, outgoing }
}

#[test]
fn what_was_saved_and_what_the_counters_show_add_up() {
    let imported = host().read().unwrap();
    assert_eq!(usage(&imported, "443"), used(1_288_490_288, 5_153_960_955));
    let found = &imported.services[&"443".parse().unwrap()];
    assert_eq!(found.service.quota.unwrap().size().to_string(), "10GiB");
    assert_eq!(found.service.mode, Mode::Both);
    assert_eq!(found.service.reset.unwrap().to_string(), "never");
    // 2026-07-06 20:00 in Beijing.
    assert_eq!(found.books.began, Some(Timestamp::from_unix(1_783_339_200)));
    assert!(!found.was_cut_off);
    assert_eq!(troubles(&imported, "443"), []);
    assert_eq!(
        (imported.questions().count(), imported.time_zone),
        (0, None)
    );
}

#[test]
fn who_has_reached_his_limit_stays_cut_off() {
    let imported = host().read().unwrap();
    let found = &imported.services[&"10000-10100".parse().unwrap()];
    assert_eq!(found.service.quota.unwrap().size().to_string(), "500MiB");
    assert_eq!(found.books.billed(found.service.contract()), 524_288_000);
    assert!(found.was_cut_off);
    assert_eq!(troubles(&imported, "10000-10100"), []);
}

/// The tool goes by the larger of its counters and its quota.
#[test]
fn a_quota_that_has_counted_more_is_what_is_billed() {
    let mut host = host();
    let table = host.kernel.table.as_mut().unwrap();
    let (used, limit) = (8 << 30, 10 << 30);
    table
        .quotas
        .insert("q_443_total".to_owned(), Quota { used, limit });
    let imported = host.read().unwrap();
    let found = &imported.services[&"443".parse().unwrap()];
    assert_eq!(found.books.billed(found.service.contract()), 8 << 30);
    let (enforced, billed) = (8 << 30, 6_442_451_243);
    assert_eq!(
        troubles(&imported, "443"),
        [Trouble::EnforcedDiffers { enforced, billed }]
    );
}

#[test]
fn what_is_no_figure_and_no_port_is_said() {
    let imported = host().read().unwrap();
    assert_eq!(usage(&imported, "20000"), used(7, 13));
    let (field, value) = ("in_bytes", "$(id)".to_owned());
    assert_eq!(
        troubles(&imported, "20000"),
        [
            Trouble::Unusable {
                setting: Setting::Quota,
                value: "0".to_owned()
            },
            Trouble::NotBytes { field, value },
        ]
    );
    for key in ["443,80", "bad"] {
        assert_eq!(
            troubles(&imported, &format!("entry {key}")),
            [Trouble::NotPorts],
            "{key}"
        );
    }
    assert_eq!(imported.services.len(), 3);
}

#[test]
fn without_a_table_what_was_saved_counts() {
    let mut host = host();
    host.kernel.table = None;
    let imported = host.read().unwrap();
    assert_eq!(usage(&imported, "443"), used(1_288_490_188, 5_153_960_755));
    assert_eq!(troubles(&imported, "443"), []);
}
