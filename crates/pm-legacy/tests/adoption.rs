//! What the engine is given to adopt.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be read fails its test"
)]

mod support;

use std::time::Duration;

use pm_core::adoption::Extent;
use pm_core::calendar::Timestamp;
use pm_core::config::Config;
use pm_core::ledger::Usage;
use pm_core::request::Context as Judged;
use pm_legacy::{Context, Tool};
use support::Host;
use time::macros::date;

/// 2026-11-22 10:00 in Beijing.
const NOVEMBER: i64 = 1_795_312_800;

fn adopted(host: &Host, present: &Config) -> pm_core::adoption::Adoption {
    let imported = host.read().unwrap();
    let context = Context {
        now: host.now,
        zone: &host.zone,
        accounting: None,
    };
    let command = "pm import --from port-traffic-dog".to_owned();
    let adoption = imported.adoption(present, &Judged::default(), command, &context);
    adoption.unwrap()
}

#[test]
fn books_begin_where_the_tool_stands() {
    let host = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC");
    let adoption = adopted(&host, &Config::default());
    assert_eq!(adoption.extent, Extent::Newcomers);
    let books = &adoption.books.services[&"443".parse().unwrap()];
    let gib = 1 << 30;
    let used = Usage {
        incoming: gib,
        outgoing: 4 * gib,
    };
    assert_eq!((books.account.usage, books.total), (used, used));
    assert_eq!(books.account.billed(), 10 * gib);
    assert_eq!(books.account.period.next(), Some(date!(2026 - 12 - 02)));
    // Its reset of the day before is made by the first tick.
    let late = &adoption.books.services[&"20000".parse().unwrap()];
    let policy = late.account.period.policy();
    let (_, due) = late.account.period.advance(policy, date!(2026 - 11 - 22));
    assert!(due);
    let zone = adoption.config.time_zone.unwrap();
    assert_eq!(zone.as_str(), "Asia/Shanghai");
}

#[test]
fn who_is_there_already_keeps_his_zone() {
    let host = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC");
    let present = r#"{"schema":1,"services":{"22222":{}}}"#;
    let present = Config::parse(present).unwrap();
    let adoption = adopted(&host, &present);
    assert_eq!(adoption.config.time_zone, None);
    assert_eq!(adoption.config.services.len(), 4);
}

#[test]
fn what_pm_has_already_is_refused() {
    let host = Host::new(Tool::Dog, "dog_fork_1_5", NOVEMBER, "UTC");
    let present = r#"{"schema":1,"services":{"10050":{}}}"#;
    let present = Config::parse(present).unwrap();
    let imported = host.read().unwrap();
    assert!(imported.applied(&present, &Judged::default()).is_err());
}

#[test]
fn a_running_punishment_goes_on_for_as_long_as_it_had_left() {
    let mut host = Host::new(Tool::PmSh, "pm_sh_v2", 1_772_002_000, "UTC");
    let punished = |host: &Host| {
        let adoption = adopted(host, &Config::default());
        adoption.books.services[&"10086".parse().unwrap()].punished
    };
    assert_eq!(punished(&host), Some(Duration::from_secs(1000)));
    host.now = Timestamp::from_unix(1_772_003_000);
    assert_eq!(punished(&host), None);
}
