//! What port-traffic-dog has left, by its releases. Expected figures are worked out from the files
//! by hand.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be read fails its test"
)]

mod support;

use pm_core::calendar::Timestamp;
use pm_core::config::{Mode, Tariff, Via};
use pm_core::history::Why;
use pm_core::language::Language;
use pm_core::ledger::Usage;
use pm_legacy::{Accounting, Imported, ImportedService, Setting, Tool, Trouble};
use support::{Host, troubles};
use time::macros::date;

/// 2026-02-10 13:06 in Beijing.
const FEBRUARY: i64 = 1_770_700_000;

/// 2026-11-22 10:00 in Beijing.
const NOVEMBER: i64 = 1_795_312_800;

fn host(fixture: &str) -> Host {
    Host::new(Tool::Dog, fixture, FEBRUARY, "Asia/Shanghai")
}

fn import(fixture: &str) -> Imported {
    host(fixture).read().unwrap()
}

fn service<'a>(imported: &'a Imported, ports: &str) -> &'a ImportedService {
    &imported.services[&ports.parse().unwrap()]
}

fn used(incoming: u64, outgoing: u64) -> Usage {
    Usage { incoming, outgoing }
}

/// What is used, in bytes that passed; the tariff; and what the tool billed, which pm bills too.
fn books(imported: &Imported, ports: &str) -> (Usage, Tariff, u64) {
    let found = service(imported, ports);
    let contract = found.service.contract();
    assert_eq!(found.books.billed(contract), found.books.shown, "{ports}");
    (found.books.usage, contract.tariff, found.books.shown)
}

fn tariff(mode: Mode, factor: &str) -> Tariff {
    let factor = factor.parse().unwrap();
    Tariff { mode, factor }
}

#[test]
fn up_to_1_2_3_counters_hold_what_passed() {
    let imported = import("dog_1_2_3");
    // Nothing tells these apart, and nothing in it differs between them.
    assert_eq!(imported.version, "1.2.3 | 1.2.4 | 1.2.4.3");
    assert_eq!(imported.questions().count(), 0);
    assert_eq!(
        books(&imported, "443"),
        (used(1_000, 7_000), tariff(Mode::Out, "1"), 7_000)
    );
    let double = (used(2_000, 3_000), tariff(Mode::Both, "1"), 5_000);
    assert_eq!(books(&imported, "8000-8010"), double);
    // Nothing is said of how it is billed: out only.
    assert_eq!(
        books(&imported, "9000"),
        (used(5, 6), tariff(Mode::Out, "1"), 6)
    );
    let found = &service(&imported, "443").service;
    assert_eq!(found.quota.unwrap().size().to_string(), "100GiB");
    assert_eq!(found.limit.unwrap().to_string(), "100Mbps");
    assert_eq!(
        (found.note.as_str(), found.reset.unwrap().to_string()),
        ("alice", "1".into())
    );
    let found = &service(&imported, "8000-8010").service;
    assert_eq!(found.quota.unwrap().size().to_string(), "2TiB");
    let never = &service(&imported, "9000").service;
    assert_eq!(
        (never.quota, never.reset.unwrap().to_string()),
        (None, "never".into())
    );
}

#[test]
fn resets_become_closed_periods_of_which_only_the_bill_is_known() {
    let imported = import("dog_1_2_3");
    let closed: Vec<_> = imported
        .closed
        .iter()
        .map(|period| {
            (
                period.ended.unix(),
                period.billed(),
                period.usage,
                period.why,
            )
        })
        .collect();
    let none = Usage::default();
    assert_eq!(
        closed,
        [
            (1_769_000_000, 50 << 30, none, Why::Operator),
            // 00:05 in Beijing on the first of the month.
            (1_769_875_500, 60 << 30, none, Why::Calendar),
        ]
    );
    assert_eq!(
        imported.closed[1].began,
        Some(Timestamp::from_unix(1_769_000_000))
    );
    let began = service(&imported, "443").books.began;
    assert_eq!(began, Some(Timestamp::from_unix(1_769_875_500)));
    // 2026-01-10 12:00 in Beijing: it was never reset.
    let began = service(&imported, "9000").books.began;
    assert_eq!(began, Some(Timestamp::from_unix(1_768_017_600)));
    let (first, count) = (3, 1);
    assert_eq!(
        troubles(&imported, ""),
        [
            Trouble::HistoryLines { first, count },
            Trouble::HistoryOfOthers(1)
        ]
    );
}

#[test]
fn relay_of_1_2_4_is_billed_as_far_as_pm_can() {
    let imported = import("dog_1_2_4");
    assert_eq!(imported.version, "1.2.4");
    // 1000 + 2·7000; both twice would be 16000.
    assert_eq!(
        books(&imported, "443"),
        (used(1_000, 7_000), tariff(Mode::Both, "2"), 15_000)
    );
    assert_eq!(service(&imported, "443").books.adjust, -1_000);
    assert_eq!(troubles(&imported, "443"), [Trouble::RelayBilling]);
    assert_eq!(
        books(&imported, "444"),
        (used(1, 2), tariff(Mode::Out, "1"), 2)
    );
}

#[test]
fn relay_of_1_2_4_3_is_both_twice() {
    let imported = import("dog_1_2_4_3");
    assert_eq!(imported.version, "1.2.4.3");
    assert_eq!(
        books(&imported, "443"),
        (used(1_000, 7_000), tariff(Mode::Both, "2"), 16_000)
    );
    assert_eq!(imported.doubts, []);
}

#[test]
fn relay_without_its_program_must_be_asked_about() {
    let mut host = host("dog_1_2_4");
    host.files.script = None;
    let imported = host.read().unwrap();
    let candidates = vec![Accounting::V1_2_4, Accounting::V1_2_4_3];
    assert_eq!(
        troubles(&imported, ""),
        [Trouble::AccountingUnknown(candidates)]
    );
    assert_eq!(imported.questions().count(), 1);
    host.accounting = Some(Accounting::V1_2_4_3);
    let imported = host.read().unwrap();
    assert_eq!(books(&imported, "443").2, 16_000);
    assert_eq!(imported.questions().count(), 0);
}

#[test]
fn the_first_1_2_5_counts_everything_twice() {
    let imported = import("dog_1_2_5a");
    assert_eq!(imported.version, "1.2.5a");
    assert_eq!(
        books(&imported, "443"),
        (used(1_000, 7_000), tariff(Mode::Out, "2"), 14_000)
    );
    // An odd number of bytes cannot have been counted twice: some were counted under other rules.
    assert_eq!(
        books(&imported, "444"),
        (used(1_000, 3_000), tariff(Mode::Both, "2"), 8_001)
    );
    let (counter, by) = (6_001, 2);
    assert_eq!(
        troubles(&imported, "444"),
        [Trouble::MixedCounts { counter, by }]
    );
    assert_eq!(
        books(&imported, "445"),
        (used(10, 20), tariff(Mode::Both, "2"), 60)
    );
}

#[test]
fn the_second_1_2_5_counts_single_once_and_meters_nothing_inwards() {
    let imported = import("dog_1_2_5b");
    assert_eq!(imported.version, "1.2.5b");
    assert_eq!(
        books(&imported, "443"),
        (used(0, 7_000), tariff(Mode::Out, "1"), 7_000)
    );
    assert_eq!(troubles(&imported, "443"), []);
    assert_eq!(
        books(&imported, "444"),
        (used(1_000, 3_000), tariff(Mode::Both, "2"), 8_000)
    );
    let (enforced, billed) = (5_008_000, 8_000);
    assert_eq!(
        troubles(&imported, "444"),
        [Trouble::EnforcedDiffers { enforced, billed }]
    );
    // Over its quota of 500 MiB, and its quota drops what comes: nothing to ask.
    let found = service(&imported, "8000-8010");
    assert_eq!(found.books.usage, used(200_000_000, 100_000_000));
    assert!(found.was_cut_off);
    assert_eq!(troubles(&imported, "8000-8010"), []);
}

/// Two accountings carry the number 1.2.5; without the table only the program tells them apart.
#[test]
fn which_1_2_5_it_was_is_told_by_the_program_or_asked() {
    const RULE: &str = "        nft add rule $family $table_name output tcp sport $port counter \
                        name \"port_${port}_out\"\n";
    let config = r#"{"ports":{"443":{"billing_mode":"single","quota":{"monthly_limit":"1GB"}}}}"#;
    let of = |script: Option<String>| {
        let mut host = Host::empty(Tool::Dog, FEBRUARY, "Asia/Shanghai");
        host.files.insert("config.json", config);
        let saved = r#"{"443":{"input":0,"output":8000}}"#;
        host.files.insert("traffic_data.json", saved);
        host.files.script = script.map(String::into_bytes);
        host.read().unwrap()
    };
    let script = |rules: &str| {
        Some(format!(
            "readonly SCRIPT_VERSION=\"1.2.5\"\nadd_nftables_rules() {{\n{rules}}}\n{RULE}{RULE}"
        ))
    };
    let doubled = format!(
        "    if [ \"$billing_mode\" = \"double\" ]; then\n{RULE}{RULE}    else\n{RULE}    fi\n"
    );
    let b = of(script(&doubled));
    assert_eq!(
        books(&b, "443"),
        (used(0, 8_000), tariff(Mode::Out, "1"), 8_000)
    );
    let a = of(script(&RULE.repeat(2)));
    assert_eq!(
        books(&a, "443"),
        (used(0, 4_000), tariff(Mode::Out, "2"), 8_000)
    );
    let unclear = of(script(""));
    let candidates = vec![Accounting::V1_2_5A, Accounting::V1_2_5B];
    assert_eq!(
        troubles(&unclear, ""),
        [Trouble::AccountingUnknown(candidates)]
    );
    let gone = of(None);
    assert_eq!(gone.questions().count(), 1);
}

#[test]
fn the_fork_has_policies_and_a_total_for_each_day() {
    let imported = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC")
        .read()
        .unwrap();
    assert_eq!(imported.version, "fork");
    let gib = 1 << 30;
    let double = (used(gib, 4 * gib), tariff(Mode::Both, "2"), 10 * gib);
    assert_eq!(books(&imported, "443"), double);
    let found = service(&imported, "443");
    assert_eq!(found.service.quota.unwrap().size().to_string(), "300GiB");
    assert_eq!(found.books.due, Some(date!(2026 - 12 - 02)));
    assert_eq!(found.books.began, Some(Timestamp::from_unix(1_793_859_200)));
    let single = (used(1_000, 500), tariff(Mode::Both, "1"), 1_500);
    assert_eq!(books(&imported, "10000-10100"), single);
    assert_eq!(service(&imported, "10000-10100").service.quota, None);

    // Over its quota, but its reset of the day before is still to be made.
    let late = service(&imported, "20000");
    assert_eq!(
        late.service.reset.unwrap().to_string(),
        "every 30 days from 2026-11-21"
    );
    assert_eq!(late.books.shown, 2_000_000_100);
    assert_eq!(
        troubles(&imported, "20000"),
        [Trouble::ResetDue(date!(2026 - 11 - 21))]
    );

    let days: Vec<_> = imported
        .days
        .iter()
        .map(|day| (day.date, day.ports.to_string(), day.usage))
        .collect();
    assert_eq!(
        days,
        [
            (date!(2026 - 11 - 20), "443".to_owned(), used(1_000, 2_000)),
            (
                date!(2026 - 11 - 21),
                "10000-10100".to_owned(),
                used(30, 40)
            ),
            (date!(2026 - 11 - 22), "443".to_owned(), used(100, 200)),
        ]
    );
    assert_eq!(troubles(&imported, "443"), [Trouble::DaysUnreadable(2)]);
    let why: Vec<_> = imported.closed.iter().map(|period| period.why).collect();
    assert_eq!(why, [Why::Calendar, Why::Operator]);
}

/// Guards against fault 9 of the old tools: the screen's time zone differs from the scheduler's.
#[test]
fn the_tools_days_are_beijings() {
    let host = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC");
    let imported = host.read().unwrap();
    assert_eq!(
        imported.time_zone.as_ref().unwrap().as_str(),
        "Asia/Shanghai"
    );
    let (zone, host_zone) = ("Asia/Shanghai", "UTC".to_owned());
    assert_eq!(
        troubles(&imported, ""),
        [Trouble::OtherTimeZone {
            zone,
            host: host_zone
        }]
    );
    // Another name for the same time.
    let host = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "Asia/Singapore");
    let imported = host.read().unwrap();
    assert_eq!((imported.time_zone, imported.doubts.len()), (None, 2));
}

#[test]
fn the_forks_channels_are_taken_over() {
    let imported = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC")
        .read()
        .unwrap();
    let channels = &imported.messages.notify.channels;
    assert_eq!(channels.len(), 1);
    let channel = &channels[&"telegram".parse().unwrap()];
    assert_eq!(channel.report.as_ref().unwrap().to_string(), "every 1h");
    assert_eq!(channel.language, Some(Language::Chinese));
    assert_eq!(channel.server_name.as_ref().unwrap().as_str(), "hk");
    let Via::Telegram(telegram) = &channel.via else {
        panic!("{:?}", channel.via)
    };
    // Its own server is named, and not used.
    assert_eq!(
        (telegram.chat.as_str(), &telegram.api_base),
        ("-100123", &None)
    );
}

#[test]
fn odd_ports_of_1_2_5_are_asked_about_and_then_read() {
    let mut host = host("dog_odd");
    let asked = host.read().unwrap();
    let candidates = vec![Accounting::V1_2_5A, Accounting::V1_2_5B];
    assert!(troubles(&asked, "").contains(&Trouble::AccountingUnknown(candidates)));
    host.accounting = Some(Accounting::V1_2_5B);
    let imported = host.read().unwrap();
    assert_eq!(imported.questions().count(), 0);

    let pool = &imported.groups[&"80+443".parse().unwrap()];
    // Each of both ports has two rules for TCP.
    assert_eq!(pool.books.usage, used(2_000, 4_000));
    assert_eq!((pool.books.shown, pool.books.adjust), (12_000, 0));
    for ports in ["80", "443"] {
        let member = service(&imported, ports);
        assert_eq!(member.books.usage, used(0, 0));
        assert_eq!(member.service.note.as_str(), "shared \"list\"");
        assert_eq!(member.service.limit.unwrap().to_string(), "10Mbps");
        assert_eq!(member.service.group.as_ref().unwrap().as_str(), "80+443");
    }
    assert_eq!(
        troubles(&imported, "group 80+443"),
        [
            Trouble::ListBecameGroup,
            Trouble::UsageOfList,
            Trouble::LimitOfList
        ]
    );

    let range = "1000-2000".parse().unwrap();
    assert_eq!(
        troubles(&imported, "entry 1500"),
        [Trouble::Overlaps(range)]
    );
    for key in ["0", "99999"] {
        assert_eq!(
            troubles(&imported, &format!("entry {key}")),
            [Trouble::NotPorts]
        );
    }
    assert_eq!(troubles(&imported, "entry 5004"), [Trouble::NoSettings]);
    let unusable = |setting, value: &str| {
        let value = value.to_owned();
        Trouble::Unusable { setting, value }
    };
    assert!(troubles(&imported, "5000").contains(&unusable(Setting::Quota, "1.5GB")));
    assert_eq!(
        service(&imported, "5000")
            .service
            .reset
            .unwrap()
            .to_string(),
        "31"
    );
    let troubles_5001 = troubles(&imported, "5001");
    assert!(troubles_5001.contains(&unusable(Setting::Limit, "fast")));
    assert!(troubles_5001.contains(&Trouble::NoteCleaned(1)));
    assert!(troubles_5001.contains(&Trouble::NothingCounted));
    assert!(troubles(&imported, "5002").contains(&Trouble::UnknownBilling("tripled".into())));
    let (counter, by) = (3, 2);
    assert_eq!(
        troubles(&imported, "5003"),
        [Trouble::Disabled, Trouble::MixedCounts { counter, by }]
    );
    assert_eq!(
        troubles(&imported, ""),
        [Trouble::FileDamaged {
            file: "traffic_data.json".to_owned(),
            reason: "line 1, column 79: EOF while parsing an object".to_owned(),
        }]
    );
}

/// The fork itself refuses such a configuration.
#[test]
fn relay_in_the_fork_is_said() {
    let mut host = Host::empty(Tool::Dog, FEBRUARY, "Asia/Shanghai");
    let config = r#"{"global":{"traffic_accounting_model":"upstream-weighted-v2"},
                     "ports":{"443":{"billing_mode":"relay"}}}"#;
    host.files.insert("config.json", config);
    let imported = host.read().unwrap();
    assert!(troubles(&imported, "443").contains(&Trouble::UnknownBilling("relay".into())));
}

/// Guards against fault 4 of the old tools: a torn file replaced by an empty one.
#[test]
fn a_torn_configuration_is_refused_with_its_place() {
    let refused = host("dog_torn").read().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "config.json, line 2, column 62: EOF while parsing a value"
    );
}
