//! What an error is answered with.

mod update;

use super::*;
use crate::language::in_chinese;
use pm_core::backend::{BackendError, ShapingError};
use pm_core::config::{Config, ConfigError, NotifyError};
use pm_core::port::PortRange;
use pm_core::request::{NotifyRefusal, Refusal};
use pm_setup::SetupError;
use pm_setup::error::Unsuitable;
use pm_store::action::{Action, Expected};
use pm_store::locks::LockKind;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

fn refused() -> Box<io::Error> {
    Box::new(io::Error::from_raw_os_error(1))
}

fn all(errors: impl IntoIterator<Item = anyhow::Error>) -> String {
    let texts: Vec<_> = errors.into_iter().map(|error| text(&error)).collect();
    texts.join("\n\n")
}

fn refusals() -> String {
    let (port, range) = (ports("80"), ports("30000-30100"));
    let refusals = [
        Refusal::Overlap {
            wanted: port,
            existing: port,
        },
        Refusal::Overlap {
            wanted: ports("30050"),
            existing: range,
        },
        Refusal::Unknown(port),
        Refusal::Partial {
            wanted: ports("30050"),
            existing: range,
        },
        Refusal::Ssh {
            ports: ports("20-25"),
            ssh_port: 22,
        },
        Refusal::Spent {
            ports: port,
            holder: port.into(),
        },
        Refusal::Spent {
            ports: port,
            holder: "group vip one".parse().unwrap(),
        },
        Refusal::Expired(range),
        Refusal::NoToday("every 30 days".parse().unwrap()),
        Refusal::NoToday("every 3 months on 15".parse().unwrap()),
        Refusal::Nothing,
        Refusal::UsedOfSeveral,
        Refusal::UsedWithGroup,
        Refusal::NoServices,
        Refusal::NoSuchGroup("vip".parse().unwrap()),
        Refusal::NoSuchGroup("it's 租户 甲".parse().unwrap()),
        Refusal::GroupExists("vip".parse().unwrap()),
        Refusal::HasMembers {
            group: "vip".parse().unwrap(),
            members: vec![port, range],
        },
        Refusal::HasMembers {
            group: "vip".parse().unwrap(),
            members: (80..90).map(|port| ports(&port.to_string())).collect(),
        },
        Refusal::Member {
            ports: port,
            group: "vip one".parse().unwrap(),
        },
        Refusal::NoShaping(ShapingError::Unsupported(refused()).into()),
        Refusal::NoClassifier {
            classifier: "fwmark".parse().unwrap(),
            reason: ShapingError::NoFwClassifier(refused()).into(),
        },
        NotifyRefusal::ChannelExists("ops".parse().unwrap()).into(),
        NotifyRefusal::NoSuchChannel("ops".parse().unwrap()).into(),
        NotifyRefusal::NotOfKind {
            name: "ops".parse().unwrap(),
            kind: "telegram",
            field: "url",
        }
        .into(),
        NotifyRefusal::Setting(NotifyError::Login).into(),
        NotifyRefusal::PushLacks(vec!["url"]).into(),
        NotifyRefusal::PushLacks(vec!["url", "node", "secret"]).into(),
        NotifyRefusal::Nothing {
            command: "notify set",
        }
        .into(),
        NotifyRefusal::NoPush.into(),
    ];
    all(refusals.map(|refusal| EngineError::Refused(refusal).into()))
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    insta::assert_snapshot!(refusals());
}

#[test]
fn a_refusal_says_why_and_what_to_do_zh() {
    insta::assert_snapshot!(in_chinese(refusals));
}

fn refusals_of_the_kernel() -> String {
    let kernel = || BackendError::Kernel {
        context: "cannot make chain in_80".into(),
        source: refused(),
    };
    let errors = [
        BackendError::Permission(refused()).into(),
        EngineError::Kernel(BackendError::Permission(refused())).into(),
        EngineError::Kernel(BackendError::Unsupported(refused())).into(),
        EngineError::Kernel(BackendError::ForeignTable).into(),
        EngineError::Kernel(BackendError::Raced).into(),
        EngineError::Kernel(kernel()).into(),
        EngineError::RolledBack {
            why: Box::new(kernel().into()),
            left: None,
        }
        .into(),
        EngineError::RolledBack {
            why: Box::new(kernel().into()),
            left: Some(Box::new(kernel().into())),
        }
        .into(),
        EngineError::OldKernel {
            release: "4.19.0-26-amd64".into(),
        }
        .into(),
        EngineError::Unsettled { rounds: 10 }.into(),
    ];
    all(errors)
}

#[test]
fn a_refusal_of_the_kernel_says_what_was_tried() {
    insta::assert_snapshot!(refusals_of_the_kernel());
}

#[test]
fn a_refusal_of_the_kernel_says_what_was_tried_zh() {
    insta::assert_snapshot!(in_chinese(refusals_of_the_kernel));
}

fn shaping() -> [ShapingError; 5] {
    [
        ShapingError::Unsupported(refused()),
        ShapingError::NoFwClassifier(refused()),
        ShapingError::Permission(refused()),
        ShapingError::ForeignQdisc {
            interface: "eth0".into(),
            kind: "hfsc".into(),
        },
        ShapingError::Kernel(refused()),
    ]
}

#[test]
fn a_refusal_of_traffic_control_says_what_to_do() {
    let text = || all(shaping().map(|error| EngineError::Shaping(error).into()));
    insta::assert_snapshot!(text());
}

#[test]
fn a_refusal_of_traffic_control_says_what_to_do_zh() {
    let text = || all(shaping().map(|error| EngineError::Shaping(error).into()));
    insta::assert_snapshot!(in_chinese(text));
}

fn problems() -> String {
    let problems = shaping().map(EngineError::Shaping);
    let problems = problems.iter().chain([&EngineError::NoUplink]);
    let texts: Vec<_> = problems.map(problem).collect();
    texts.join("\n\n")
}

#[test]
fn limits_that_are_not_in_force_are_told_beside_the_rest() {
    insta::assert_snapshot!(problems());
}

#[test]
fn limits_that_are_not_in_force_are_told_beside_the_rest_zh() {
    insta::assert_snapshot!(in_chinese(|| {
        [problems(), leftover(&EngineError::Unsettled { rounds: 10 })].join("\n\n")
    }));
}

fn failures_of_the_disk() -> String {
    let config = || PathBuf::from("/etc/port_monitor/config.json");
    let state = || PathBuf::from("/var/lib/port_monitor/state.db");
    let why = || "the system's words".to_owned();
    let parse = |text: &str| Config::parse(text).unwrap_err();
    let errors = [
        StoreError::ConfigUnreadable {
            path: config(),
            why: io::Error::from_raw_os_error(13),
        },
        StoreError::ConfigNotUtf8 {
            path: config(),
            line: 7,
        },
        StoreError::ConfigInvalid {
            path: config(),
            why: parse("{\"schema\": 1,\n\"services\": {\"80\": {\"quota\": \"5XB\"}}}"),
        },
        StoreError::ConfigInvalid {
            path: config(),
            why: parse(r#"{"schema":1,"services":{"80":{"group":"vip one"}}}"#),
        },
        StoreError::ConfigNewer {
            path: config(),
            why: ConfigError::NewerSchema { found: 2 },
        },
        StoreError::ConfigOfPmSh {
            path: config(),
            why: ConfigError::PmSh,
        },
        StoreError::ConfigRefused {
            path: config(),
            why: ConfigError::Overlap(ports("80"), ports("80-90")),
        },
        StoreError::NoSuchVersion {
            number: 7,
            dir: "/etc/port_monitor/versions".into(),
        },
        StoreError::VersionUnusable {
            path: "/etc/port_monitor/versions/config-000007.json".into(),
            why: parse("{"),
        },
        StoreError::Linked {
            path: config(),
            target: "/srv/pm.json".into(),
            option: "--config-dir",
        },
        StoreError::NotAFile { path: config() },
        StoreError::NotThere {
            action: Action::Read,
            path: config(),
        },
        StoreError::WrongKind {
            path: config(),
            expected: Expected::File,
        },
        StoreError::NotPrivate {
            path: "/tmp/pm".into(),
        },
        StoreError::Permission {
            action: Action::Save,
            path: config(),
            why: why(),
        },
        StoreError::DiskFull {
            action: Action::Save,
            path: state(),
            why: why(),
        },
        StoreError::Io {
            action: Action::Read,
            path: state(),
            why: why(),
        },
        StoreError::Locked {
            action: Action::Open,
            path: state(),
        },
        StoreError::Damaged {
            path: state(),
            why: why(),
        },
        StoreError::Foreign { path: state() },
        StoreError::NewerSchema {
            path: state(),
            found: 9,
            known: 1,
        },
        StoreError::OlderSchema {
            path: state(),
            found: 1,
        },
        StoreError::Superseded { path: state() },
        StoreError::Database {
            action: Action::Save,
            path: state(),
            why: why(),
        },
        StoreError::Held {
            kind: LockKind::Tick,
            path: "/run/port_monitor/tick.lock".into(),
            holder: "`pm monitor` (process 4711)".into(),
            waited: Duration::from_secs(10),
        },
    ];
    let stale = stale_config(&errors[2]);
    let errors = errors.map(|error| EngineError::Store(error).into());
    all(errors) + "\n\n" + &stale
}

#[test]
fn a_failure_of_the_disk_says_which_file() {
    insta::assert_snapshot!(failures_of_the_disk());
}

#[test]
fn a_failure_of_the_disk_says_which_file_zh() {
    insta::assert_snapshot!(in_chinese(failures_of_the_disk));
}

fn settling() -> String {
    let errors = [
        SetupError::Foreign {
            path: "/etc/cron.d/port_monitor".into(),
        },
        SetupError::ForeignUser {
            name: "port_monitor",
        },
        SetupError::Program {
            path: "/root/pm".into(),
            why: Unsuitable::Place,
        },
        SetupError::Program {
            path: "/opt/pm".into(),
            why: Unsuitable::Writable,
        },
        SetupError::NoUserTool {
            name: "port_monitor",
        },
        SetupError::Io {
            action: pm_setup::error::Action::Write,
            path: "/etc/cron.d/port_monitor".into(),
            source: *refused(),
        },
        SetupError::Command {
            command: "systemctl daemon-reload".into(),
            why: "the reason".into(),
        },
    ];
    all(errors.map(anyhow::Error::from))
}

#[test]
fn what_stands_in_the_way_of_setup_is_answered() {
    insta::assert_snapshot!(settling());
}

#[test]
fn what_stands_in_the_way_of_setup_is_answered_zh() {
    insta::assert_snapshot!(in_chinese(settling));
}
