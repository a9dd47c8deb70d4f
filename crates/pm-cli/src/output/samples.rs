//! Services and groups to show in the tests of what is shown.

use std::time::Duration;

use pm_core::calendar::{DayOfMonth, ResetPolicy};
use pm_core::config::{Limit, Mode, QuotaSize, Tariff};
use pm_core::ledger::Usage;
use pm_core::report::{BlockedBy, GroupReport, Report};
use pm_core::units::{BitRate, Size};
use time::Date;
use time::macros::date;

const NEXT_RESET: Date = date!(2026 - 12 - 01);

/// Returns an open service that has used nothing and has no quota.
pub(crate) fn report(port: &str) -> Report {
    Report {
        ports: port.parse().unwrap(),
        note: Default::default(),
        group: None,
        tariff: Tariff::default(),
        usage: Usage::default(),
        adjust: 0,
        billed: 0,
        quota: None,
        blocked_by: None,
        is_spent: false,
        is_expired: false,
        reset: ResetPolicy::Never,
        next_reset: None,
        limit: None,
        limit_in: None,
        dynqos: None,
        punished: None,
        expires: None,
        routed: false,
    }
}

/// Returns a service that has used so much of its quota.
pub(crate) fn metered(port: &str, quota: &str, incoming: u64, outgoing: u64) -> Report {
    Report {
        usage: Usage { incoming, outgoing },
        billed: incoming + outgoing,
        quota: Some(size(quota)),
        reset: ResetPolicy::Monthly(DayOfMonth::FIRST),
        next_reset: Some(NEXT_RESET),
        ..report(port)
    }
}

/// Returns a group that has used so much of its quota.
pub(crate) fn group(name: &str, quota: &str, incoming: u64, outgoing: u64) -> GroupReport {
    GroupReport {
        name: name.parse().unwrap(),
        members: Vec::new(),
        tariff: Tariff::default(),
        usage: Usage { incoming, outgoing },
        adjust: 0,
        billed: incoming + outgoing,
        quota: Some(size(quota)),
        is_spent: false,
        reset: ResetPolicy::Monthly(DayOfMonth::FIRST),
        next_reset: Some(NEXT_RESET),
    }
}

fn size(quota: &str) -> QuotaSize {
    let size: Size = quota.parse().unwrap();
    size.try_into().unwrap()
}

pub(crate) fn limit(rate: &str) -> Option<Limit> {
    let rate: BitRate = rate.parse().unwrap();
    Some(rate.try_into().unwrap())
}

/// Returns the longest note there can be.
pub(crate) fn long_note() -> String {
    "The quick brown fox jumps over the lazy dog. ".repeat(5)[..200]
        .trim()
        .to_owned()
}

/// Returns services as most hosts have them: none in a group, none limited.
pub(crate) fn plain() -> Vec<Report> {
    vec![
        Report {
            note: "unlimited".parse().unwrap(),
            usage: Usage {
                incoming: 999,
                outgoing: 1_000,
            },
            billed: 1_999,
            ..report("80")
        },
        Report {
            note: "香港 流量 监控 节点 一号 服务器 🐙".parse().unwrap(),
            ..metered("20000", "100GB", 12_345_678_901, 1_000)
        },
        Report {
            note: "two\nlines\tand a tab".parse().unwrap(),
            ..metered("20001", "1.5GiB", 7 << 20, 1 << 30)
        },
        Report {
            note: long_note().parse().unwrap(),
            blocked_by: Some(BlockedBy::Quota),
            is_spent: true,
            billed: 5_000_000_000,
            adjust: -999,
            ..metered("30000-30100", "5GB", 4_000_000_999, 1_000_000_000)
        },
        Report {
            blocked_by: Some(BlockedBy::Operator),
            ..report("65535")
        },
    ]
}

/// Returns the groups of [`reports`].
pub(crate) fn groups() -> Vec<GroupReport> {
    let members = |ports: &[&str]| ports.iter().map(|port| port.parse().unwrap()).collect();
    let tariff = |mode, factor: &str| Tariff {
        mode,
        factor: factor.parse().unwrap(),
    };
    vec![
        GroupReport {
            quota: None,
            reset: ResetPolicy::Never,
            next_reset: None,
            ..group("nobody", "1GB", 0, 0)
        },
        GroupReport {
            members: members(&["25565", "40000-40100"]),
            tariff: tariff(Mode::Max, "1.5"),
            billed: 900_000_000_000,
            adjust: 123,
            ..group("vip", "1TB", 599_999_999_918, 42_000_000_000)
        },
        GroupReport {
            members: members(&["50000"]),
            is_spent: true,
            ..group("租户 甲 的 全部 服务", "10GiB", 5 << 30, 5 << 30)
        },
    ]
}

/// Returns one service of every kind.
pub(crate) fn reports() -> Vec<Report> {
    let [nobody, vip, tenant] = &groups()[..] else {
        unreachable!("three groups");
    };
    assert!(nobody.members.is_empty());
    let mut reports = plain();
    let slow = Report {
        note: "香港 流量".parse().unwrap(),
        group: Some(vip.name.clone()),
        tariff: vip.tariff,
        usage: Usage {
            incoming: 400_000_000_000,
            outgoing: 2_000_000_000,
        },
        billed: 600_000_000_000,
        reset: vip.reset,
        next_reset: vip.next_reset,
        limit: limit("100M"),
        limit_in: limit("1.5G"),
        dynqos: Some("80M/5/5M/60".parse().unwrap()),
        punished: Some(Duration::from_secs(721)),
        ..report("25565")
    };
    let relayed = Report {
        note: "bob".parse().unwrap(),
        billed: 300_000_000_000,
        usage: Usage {
            incoming: 199_999_999_918,
            outgoing: 40_000_000_000,
        },
        limit: None,
        limit_in: limit("800K"),
        dynqos: None,
        punished: None,
        routed: true,
        ports: "40000-40100".parse().unwrap(),
        ..slow.clone()
    };
    let of_tenant = Report {
        group: Some(tenant.name.clone()),
        usage: tenant.usage,
        billed: tenant.billed,
        blocked_by: Some(BlockedBy::Quota),
        is_spent: true,
        reset: tenant.reset,
        next_reset: tenant.next_reset,
        ..report("50000")
    };
    let expired = Report {
        tariff: Tariff {
            mode: Mode::Out,
            ..Tariff::default()
        },
        expires: Some(date!(2026 - 11 - 21)),
        blocked_by: Some(BlockedBy::Expiry),
        is_expired: true,
        limit: limit("12345678"),
        dynqos: Some("100M/1/10M/1".parse().unwrap()),
        ..metered("60000", "2TB", 1, 1_999_999_999_999)
    };
    reports.extend([slow, relayed, of_tenant, expired]);
    reports.sort_by_key(|report| report.ports);
    reports
}
