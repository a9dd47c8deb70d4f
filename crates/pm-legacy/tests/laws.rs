//! What holds whatever an old tool has left.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be read fails its test"
)]

mod support;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::request::Context as Judged;
use pm_legacy::{
    Accounting, Context, Counter, Files, Imported, Kernel, Overuse, Quota, Table, Tool,
    counted_since, read,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Host;

/// 2026-11-22 10:00 in Beijing.
const NOVEMBER: i64 = 1_795_312_800;

const FIXTURES: [(Tool, &str); 13] = [
    (Tool::PmSh, "pm_sh_v0"),
    (Tool::PmSh, "pm_sh_v1"),
    (Tool::PmSh, "pm_sh_v2"),
    (Tool::PmSh, "pm_sh_v3"),
    (Tool::PmSh, "pm_sh_odd"),
    (Tool::Dog, "dog_1_2_3"),
    (Tool::Dog, "dog_1_2_4"),
    (Tool::Dog, "dog_1_2_4_3"),
    (Tool::Dog, "dog_1_2_5a"),
    (Tool::Dog, "dog_1_2_5b"),
    (Tool::Dog, "dog_fork_1_5"),
    (Tool::Dog, "dog_odd"),
    (Tool::TrafficDog, "traffic_dog"),
];

/// Its requests make it: the configuration holds the very services and groups, and is valid.
fn becomes_a_configuration(imported: &Imported) -> Result<(), TestCaseError> {
    let judged = Judged {
        force: true,
        ..Judged::default()
    };
    let config = imported.applied(&Config::default(), &judged);
    let config = config.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
    prop_assert!(config.check().is_ok());
    prop_assert_eq!(Config::parse(&config.emit()).ok(), Some(config.clone()));
    prop_assert_eq!(config.services.len(), imported.services.len());
    for (ports, found) in &imported.services {
        prop_assert_eq!(&config.services[ports], &found.service);
    }
    for (name, found) in &imported.groups {
        prop_assert_eq!(&config.groups[name], &found.group);
    }
    is_adopted_as_billed(imported, &judged)
}

/// What pm will bill is what it bills by its own account of it, and the books are whole.
fn is_adopted_as_billed(imported: &Imported, judged: &Judged) -> Result<(), TestCaseError> {
    let zone = Zone::utc();
    let context = Context {
        now: Timestamp::from_unix(NOVEMBER),
        zone: &zone,
        accounting: None,
    };
    let command = "pm import --from somewhere".to_owned();
    let present = Config::default();
    let adoption = imported.adoption(&present, judged, command, &context);
    let adoption = adoption.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
    prop_assert!(adoption.check(&present).is_ok());
    for holder in imported.holders() {
        let account = match &holder {
            Holder::Service(ports) => adoption.books.services[ports].account,
            Holder::Group(name) => adoption.books.groups[name],
        };
        let (contract, books) = imported.account(&holder).unwrap();
        prop_assert_eq!(account.billed(), books.billed(contract));
        prop_assert_eq!(account.usage, books.usage);
    }
    for (ports, books) in &adoption.books.services {
        let days = adoption.books.days.iter();
        let days = days.filter(|day| day.ports == *ports);
        let sum = days.fold(Usage::default(), |sum, day| sum.plus(day.usage));
        prop_assert!(books.total.incoming >= sum.incoming.max(books.account.usage.incoming));
        prop_assert!(books.total.outgoing >= sum.outgoing.max(books.account.usage.outgoing));
    }
    Ok(())
}

#[test]
fn every_fixture_becomes_a_configuration() {
    for (tool, fixture) in FIXTURES {
        let mut host = Host::new(tool, fixture, NOVEMBER, "UTC");
        let imported = host.read().unwrap();
        becomes_a_configuration(&imported).unwrap_or_else(|error| panic!("{fixture}: {error}"));
        host.accounting = Some(Accounting::V1_2_5B);
        assert!(host.read().is_ok(), "{fixture}");
    }
}

/// What no tool writes, and what a hand may have left.
fn value() -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "in_out",
            "out_only",
            "single",
            "double",
            "relay",
            "100GB",
            "unlimited",
            "1Gbps",
            "true",
            "2026-12-02",
            "monthly",
            "interval_days",
            "none",
            "$(id)",
            "\u{1b}[2J",
        ])
        .prop_map(Value::from),
    ];
    odd.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(field(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "quota_gb",
        "quota_mode",
        "limit_mbps",
        "reset_day",
        "comment",
        "group_id",
        "stats",
        "acc_in",
        "acc_out",
        "last_kernel_in",
        "dyn_limit",
        "enable",
        "trigger_mbps",
        "quota",
        "monthly_limit",
        "enabled",
        "reset_policy",
        "type",
        "day",
        "every",
        "anchor_date",
        "next_reset_date",
        "billing_mode",
        "remark",
        "bandwidth_limit",
        "rate",
        "created_at",
        "last_reset_ts",
        "input",
        "output",
    ])
    .prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u16..=65_535).prop_map(|port| port.to_string()),
        prop::sample::select(vec![
            "443",
            "80",
            "1-3",
            "2",
            "443,80",
            "10000-10100",
            "0",
            "",
            "x",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

fn ports() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(
        key(),
        prop::collection::btree_map(field(), value(), 0..8).prop_map(|members| json!(members)),
        0..6,
    )
    .prop_map(|ports| json!(ports))
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let name = prop_oneof![
        key().prop_map(|key| format!("cnt_out_{key}")),
        key().prop_map(|key| format!("port_{}_out", key.replace([',', '-'], "_"))),
    ];
    let chains = prop::collection::btree_map(
        prop::sample::select(vec!["input".to_owned(), "output".to_owned()]),
        any::<u32>(),
        0..3,
    );
    let counter =
        (any::<u64>(), chains).prop_map(|(bytes, tcp_rules)| Counter { bytes, tcp_rules });
    let quota = (any::<u64>(), any::<u64>()).prop_map(|(used, limit)| Quota { used, limit });
    let table = (
        prop::collection::btree_map(name.clone(), counter, 0..6),
        prop::collection::btree_map(name, quota, 0..3),
        prop::collection::btree_set(any::<u16>(), 0..3),
    );
    let table = table.prop_map(|(counters, quotas, blocked)| Table {
        counters,
        quotas,
        blocked,
    });
    prop::option::of(table).prop_map(|table| Kernel { table })
}

fn import(tool: Tool, files: &Files, kernel: &Kernel, now: i64) -> Option<Imported> {
    let zone = Zone::utc();
    let context = Context {
        now: Timestamp::from_unix(now),
        zone: &zone,
        accounting: None,
    };
    read(tool, files, kernel, &context).ok()
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), now in any::<i64>()) {
        for tool in Tool::ALL {
            let mut files = Files::default();
            files.script = Some(bytes.clone());
            for path in ["config.json", "traffic_data.json", "traffic_stats.json",
                         "reset_history.log", "state/443.txt", "ports", "state", "limits", "used"] {
                files.insert(path, bytes.clone());
            }
            import(tool, &files, &Kernel::default(), now);
        }
    }

    #[test]
    fn whatever_is_in_a_configuration_becomes_one_of_pms(
        ports in ports(),
        rest in value(),
        version in 0_u8..4,
        kernel in kernel(),
        state in "(s_(acc|last_k)_(in|out)=[0-9]{0,20}\n){0,4}",
        log in "([0-9]{10}\\|(443|80)\\|[0-9]{0,20}(\\|2026-11-02)?\n){0,3}",
    ) {
        for tool in [Tool::PmSh, Tool::Dog] {
            let config = json!({
                "config_version": version,
                "ports": ports,
                "telegram": rest,
                "push": rest,
                "global": rest,
                "notifications": {"telegram": rest, "wecom": rest},
            });
            let mut files = Files::default();
            files.insert("config.json", config.to_string());
            files.insert("state/443.txt", state.clone());
            files.insert("traffic_data.json", ports.to_string());
            files.insert("traffic_stats.json", json!({"daily": ports}).to_string());
            files.insert("reset_history.log", log.clone());
            let imported = import(tool, &files, &kernel, NOVEMBER);
            let mut imported = imported.ok_or_else(|| TestCaseError::fail("refused"))?;
            becomes_a_configuration(&imported)?;
            // The same files and figures say the same.
            let again = import(tool, &files, &kernel, NOVEMBER);
            prop_assert_eq!(again.as_ref(), Some(&imported));
            let usage: Vec<_> = imported.services.values().map(|found| found.books.usage).collect();
            imported.settle(Overuse::Forgive);
            let after: Vec<_> = imported.services.values().map(|found| found.books.usage).collect();
            prop_assert_eq!(usage, after);
        }
    }

    #[test]
    fn flat_files_of_any_kind_become_a_configuration(
        ports in "([0-9]{1,5}(-[0-9]{1,5})?\n){0,6}",
        state in "([0-9]{1,5} [0-9]{1,20} [0-9]{1,20} .{0,10}\n){0,6}",
        limits in "([0-9]{1,5} [0-9]{1,20}\n){0,6}",
        kernel in kernel(),
    ) {
        let mut files = Files::default();
        files.insert("ports", ports);
        files.insert("state", state);
        files.insert("used", limits.clone());
        files.insert("limits", limits);
        let imported = import(Tool::TrafficDog, &files, &kernel, NOVEMBER);
        becomes_a_configuration(&imported.ok_or_else(|| TestCaseError::fail("refused"))?)?;
    }

    #[test]
    fn a_note_survives_as_text(note in "[^\\p{C}\u{2028}\u{2029}]{0,200}") {
        for (tool, field) in [(Tool::PmSh, "comment"), (Tool::Dog, "remark")] {
            let mut files = Files::default();
            let config = json!({"ports": {"443": {field: note}}});
            files.insert("config.json", config.to_string());
            let imported = import(tool, &files, &Kernel::default(), NOVEMBER);
            let imported = imported.ok_or_else(|| TestCaseError::fail("refused"))?;
            let found = imported.services.values().next();
            prop_assert_eq!(found.map(|found| found.service.note.as_str()), Some(&*note));
        }
    }

    /// Reading twice, with the first reading saved in between, counts what reading once counts; and
    /// a counter that was made anew adds all it shows.
    #[test]
    fn the_takeover_formula_counts_each_byte_once(
        added_up in 0_u64..1 << 62,
        looked_at in 0_u64..1 << 60,
        first in 0_u64..1 << 60,
        second in 0_u64..1 << 60,
    ) {
        let (low, high) = (looked_at.min(first), looked_at.max(first));
        let grown = high + second;
        let at_once = counted_since(added_up, low, Some(grown));
        let in_two = counted_since(counted_since(added_up, low, Some(high)), high, Some(grown));
        prop_assert_eq!(at_once, in_two);
        prop_assert_eq!(at_once, added_up + grown - low);
        if first < looked_at {
            prop_assert_eq!(counted_since(added_up, looked_at, Some(first)), added_up + first);
        }
        prop_assert!(counted_since(added_up, looked_at, None) == added_up);
    }
}
