//! Services to show in the tests of what is shown.

use pm_core::calendar::{DayOfMonth, ResetPolicy};
use pm_core::config::{Mode, QuotaSize};
use pm_core::ledger::Usage;
use pm_core::report::{BlockedBy, Report};
use pm_core::units::Size;

/// Returns an open service that has used nothing and has no quota.
pub(crate) fn report(port: &str) -> Report {
    Report {
        ports: port.parse().unwrap(),
        note: Default::default(),
        mode: Mode::Both,
        usage: Usage::default(),
        adjust: 0,
        billed: 0,
        quota: None,
        blocked_by: None,
        reset: ResetPolicy::Never,
        next_reset: None,
    }
}

/// Returns a service that has used so much of its quota.
pub(crate) fn limited(port: &str, quota: &str, incoming: u64, outgoing: u64) -> Report {
    let size: Size = quota.parse().unwrap();
    Report {
        usage: Usage { incoming, outgoing },
        billed: incoming + outgoing,
        quota: Some(QuotaSize::try_from(size).unwrap()),
        reset: ResetPolicy::Monthly(DayOfMonth::FIRST),
        next_reset: Some(time::macros::date!(2026 - 12 - 01)),
        ..report(port)
    }
}

/// Returns the longest note there can be.
pub(crate) fn long_note() -> String {
    "The quick brown fox jumps over the lazy dog. ".repeat(5)[..200]
        .trim()
        .to_owned()
}

/// Returns one service of every kind.
pub(crate) fn reports() -> Vec<Report> {
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
            ..limited("20000", "100GB", 12_345_678_901, 1_000)
        },
        Report {
            note: "two\nlines\tand a tab".parse().unwrap(),
            mode: Mode::Out,
            billed: 1 << 30,
            ..limited("20001", "1.5GiB", 7 << 30, 1 << 30)
        },
        Report {
            note: long_note().parse().unwrap(),
            blocked_by: Some(BlockedBy::Quota),
            billed: 5_000_000_000,
            adjust: -999,
            ..limited("30000-30100", "5GB", 4_000_000_999, 1_000_000_000)
        },
        Report {
            blocked_by: Some(BlockedBy::Operator),
            ..report("65535")
        },
    ]
}
