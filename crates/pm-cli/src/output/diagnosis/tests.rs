//! What a self-check says of healthy hosts and of ill ones.

use super::*;
use crate::language::in_chinese;
use crate::output::json;
use pm_core::backend::{BackendError, ShapingError};
use pm_engine::EngineError;
use pm_engine::doctor::{Failing, ShapingProblem, StorageProblem, TableState};
use pm_store::StoreError;

fn healthy() -> Vec<Finding> {
    vec![
        Finding::Kernel {
            release: "6.1.0-26-amd64".into(),
            supported: true,
        },
        Finding::Access { problem: None },
        Finding::Config {
            services: 12,
            problem: None,
        },
        Finding::Database { problem: None },
        Finding::Storage { problems: vec![] },
        Finding::Table(TableState::Intact),
        Finding::Ticks {
            age: Some(31),
            overdue: false,
        },
        Finding::Backups {
            schedule: "every 1d keep 7".parse().ok(),
            age: Some(80_000),
            overdue: false,
            problem: None,
        },
        Finding::Backups {
            schedule: None,
            age: None,
            overdue: false,
            problem: None,
        },
        Finding::Telling {
            channels: 0,
            push: false,
            waiting: 0,
            failing: vec![],
            problem: None,
        },
        Finding::Telling {
            channels: 3,
            push: true,
            waiting: 2,
            failing: vec![],
            problem: None,
        },
        Finding::Menu { holder: None },
        Finding::Ephemeral { overlaps: vec![] },
        Finding::Ssh {
            ports: [22].into(),
            covered: vec![],
        },
        Finding::Clock {
            zone: "Asia/Shanghai".into(),
            wrong: false,
            unzoned: false,
        },
        Finding::Shaping {
            uplinks: vec!["eth0".into()],
            needed: true,
            problem: None,
        },
        Finding::Forwarding {
            counted: true,
            flowtables: vec![],
            docker_proxy: true,
        },
    ]
}

fn storage(problem: StorageProblem) -> Finding {
    Finding::Storage {
        problems: vec![problem],
    }
}

fn ill() -> Vec<Finding> {
    let ports = |text: &str| text.parse().unwrap();
    vec![
        Finding::Kernel {
            release: "4.19.0".into(),
            supported: false,
        },
        Finding::Access {
            problem: Some(BackendError::Permission("the reason, in words".into()).into()),
        },
        Finding::Config {
            services: 0,
            problem: Some(
                StoreError::ConfigUnreadable {
                    path: "/etc/port_monitor/config.json".into(),
                    why: std::io::Error::from_raw_os_error(13),
                }
                .into(),
            ),
        },
        Finding::Database {
            problem: Some(
                EngineError::from(StoreError::Foreign {
                    path: "/var/lib/port_monitor/state.db".into(),
                })
                .into(),
            ),
        },
        storage(StorageProblem::ReadOnly {
            dir: "/var/lib/port_monitor".into(),
        }),
        storage(StorageProblem::LittleSpace {
            dir: "/var/lib/port_monitor".into(),
            free: 0,
        }),
        storage(StorageProblem::LittleSpace {
            dir: "/etc/port_monitor".into(),
            free: 3_210_000,
        }),
        Finding::Table(TableState::Due),
        Finding::Table(TableState::Missing),
        Finding::Table(TableState::Different),
        Finding::Table(TableState::TornDown),
        Finding::Table(TableState::Foreign),
        Finding::Table(TableState::Unknown),
        Finding::Ticks {
            age: Some(7_260),
            overdue: true,
        },
        Finding::Ticks {
            age: None,
            overdue: true,
        },
        Finding::Backups {
            schedule: "every 6h keep 20".parse().ok(),
            age: Some(200_000),
            overdue: true,
            problem: None,
        },
        Finding::Backups {
            schedule: "every 6h keep 20".parse().ok(),
            age: None,
            overdue: true,
            problem: None,
        },
        Finding::Backups {
            schedule: "every 6h keep 20".parse().ok(),
            age: None,
            overdue: true,
            problem: Some(
                StoreError::WrongKind {
                    path: "/var/lib/port_monitor/backups".into(),
                    expected: pm_store::action::Expected::Directory,
                }
                .into(),
            ),
        },
        failing(&[
            (Some("ops"), 7_300, "401 Unauthorized"),
            (None, 7_300, "[connect]"),
        ]),
        failing(&[(None, 300, "[connect]")]),
        failing(&[
            (
                Some("billing"),
                7_300,
                "[connect] Connection refused (os error 111)",
            ),
            (Some("mail"), 500, "[too-many] 452 4.3.1 wait"),
            (
                Some("ops"),
                7_350,
                "[connect] Connection refused (os error 111)",
            ),
        ]),
        failing(&[
            (Some("billing"), 300, "[connect]"),
            (Some("ops"), 7_350, "[connect]"),
            (None, 600, "[connect]"),
        ]),
        Finding::Telling {
            channels: 1,
            push: false,
            waiting: 0,
            failing: vec![],
            problem: Some(
                EngineError::NoOutbox {
                    path: "/var/lib/port_monitor/outbox".into(),
                    why: "it is no directory of the delivering user's".into(),
                }
                .into(),
            ),
        },
        Finding::Menu {
            holder: Some("`pm` (process 4711)".into()),
        },
        Finding::Menu {
            holder: Some("a process that is not known".into()),
        },
        Finding::Ephemeral {
            overlaps: vec![ports("40000"), ports("50000-50100")],
        },
        Finding::Ssh {
            ports: [22].into(),
            covered: vec![(ports("20-25"), 22)],
        },
        Finding::Clock {
            zone: "UTC".into(),
            wrong: true,
            unzoned: false,
        },
        Finding::Clock {
            zone: "UTC".into(),
            wrong: false,
            unzoned: true,
        },
        limits(true, ShapingProblem::NoHtb),
        limits(
            false,
            ShapingProblem::ForeignQdisc {
                interface: "eth0".into(),
                kind: "tbf".into(),
            },
        ),
        limits(false, ShapingProblem::NoFwClassifier),
        limits(true, ShapingProblem::NoUplink),
        limits(
            true,
            ShapingProblem::Other(ShapingError::Permission("the reason".into()).into()),
        ),
        limits(
            true,
            ShapingProblem::NotInForce {
                interfaces: vec!["up0".into()],
            },
        ),
        Finding::Forwarding {
            counted: true,
            flowtables: vec!["inet firewall ft".into()],
            docker_proxy: false,
        },
    ]
}

fn failing(who: &[(Option<&str>, i64, &str)]) -> Finding {
    let failing = who.iter().map(|&(channel, age, why)| Failing {
        channel: channel.map(|name| name.parse().unwrap()),
        age,
        why: why.to_owned(),
    });
    Finding::Telling {
        channels: 1,
        push: true,
        waiting: 4,
        failing: failing.collect(),
        problem: None,
    }
}

fn limits(needed: bool, problem: ShapingProblem) -> Finding {
    Finding::Shaping {
        uplinks: vec![],
        needed,
        problem: Some(problem),
    }
}

fn page(findings: &[Finding]) -> String {
    let diagnoses = findings.iter().map(|finding| of(finding).to_string());
    diagnoses.collect()
}

#[test]
fn a_healthy_host_is_a_line_a_check() {
    insta::assert_snapshot!(page(&healthy()));
}

#[test]
fn a_healthy_host_is_a_line_a_check_zh() {
    insta::assert_snapshot!(in_chinese(|| page(&healthy())));
}

#[test]
fn what_is_wrong_comes_with_its_meaning_and_its_remedy_zh() {
    insta::assert_snapshot!(in_chinese(|| page(&ill())));
}

#[test]
fn what_is_wrong_comes_with_its_meaning_and_its_remedy() {
    insta::assert_snapshot!(page(&ill()));
}

#[test]
fn programs_read_the_same() {
    let findings = [healthy().swap_remove(0), ill().swap_remove(0)];
    let document = || json::checks(|| findings.iter().map(of).collect()).unwrap();
    insta::assert_snapshot!(document());
    assert_eq!(in_chinese(document), document());
}
