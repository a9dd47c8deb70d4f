//! Errors for people: what failed, why, and what to do.

use std::error::Error;
use std::io::ErrorKind;

use pm_core::backend::BackendError;
use pm_core::calendar::ResetChoice;
use pm_core::request::Refusal;
use pm_engine::EngineError;
use pm_store::StoreError;

use crate::output::tell;
use crate::output::words::ways_out;

/// Whether it is only that nobody reads stdout any more.
pub(crate) fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints an error to stderr, and what to do where that is known.
pub(crate) fn print(error: &anyhow::Error) {
    tell!("{}", text(error));
}

/// Says that the configuration on disk is not in force.
pub(crate) fn warn_stale_config(error: &StoreError) {
    tell!("{}", stale_config(error));
}

/// Returns a warning of what could not be tidied up.
pub(crate) fn leftover(error: &EngineError) -> String {
    let mut text = format!("warning: {error}");
    if let Some(cause) = error.source() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    text.push_str(
        "\nhint: what was asked for is in force; another program's rule may hold on to what is no longer \
         used, see `nft list ruleset`; the next tick tries again",
    );
    text
}

fn text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some say their cause themselves, for those who print nothing but their own words.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    if let Some(hint) = hint(error) {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    }
    text
}

fn stale_config(error: &StoreError) -> String {
    format!(
        "warning: {error}\n\
         hint: until then pm goes on with the last good configuration"
    )
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return engine_hint(error);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return store_hint(error);
    }
    error.downcast_ref::<BackendError>().and_then(backend_hint)
}

fn engine_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Kernel(error) => backend_hint(error),
        EngineError::Refused(refusal) => refusal_hint(refusal),
        EngineError::RolledBack(error) => engine_hint(error),
        EngineError::OldKernel { .. } => {
            Some("install a newer kernel; Debian 11, Ubuntu 22.04 and Alpine 3.13 have one".into())
        }
        EngineError::Unsettled { .. } => {
            Some("look for it with `nft monitor`, stop it, then run `pm monitor`".into())
        }
        EngineError::Store(error) => store_hint(error),
        EngineError::Random(_) => None,
    }
}

/// Most of these errors say themselves what to do.
fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::ConfigUnreadable { why, .. } if why.kind() == ErrorKind::PermissionDenied => {
            Some("run it as root (with `sudo`)".into())
        }
        StoreError::ConfigOfPmSh { .. } => Some(
            "move the file away to begin without it, or name another directory with --config-dir"
                .into(),
        ),
        StoreError::Database { .. } => Some("`pm doctor` looks for what is wrong".into()),
        _ => None,
    }
}

fn backend_hint(error: &BackendError) -> Option<String> {
    match error {
        BackendError::Permission(_) => {
            Some("pm needs root, or CAP_NET_ADMIN: run it with `sudo`".into())
        }
        BackendError::Unsupported(_) => Some(
            "load it with `modprobe nf_tables`; in a container, ask who runs the host for it"
                .into(),
        ),
        BackendError::ForeignTable => Some(
            "pm leaves it alone; uninstall pm.sh (its menu, entry 7), or delete the table with \
             `nft delete table inet port_monitor` once its figures are noted"
                .into(),
        ),
        BackendError::Raced => Some("try again".into()),
        BackendError::Kernel { .. } => Some("`pm doctor` looks for what is wrong".into()),
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::Overlap { wanted, existing } if wanted == existing => {
            format!("change it with `pm set {existing}`, or say `--or-set`")
        }
        Refusal::Overlap { existing, .. } => {
            format!("delete that one first (`pm del {existing}`), or choose other ports")
        }
        Refusal::Unknown(ports) => format!("see `pm list`; monitor it with `pm add {ports}`"),
        Refusal::Partial { existing, .. } => format!("name the whole service: {existing}"),
        Refusal::Ssh { .. } => "if that is what you want, say it again with `--force`".to_owned(),
        Refusal::Spent(ports) => ways_out(*ports),
        Refusal::NoToday(choice) => format!(
            "set the clock, or say from when: `{choice} from {}`",
            match choice {
                ResetChoice::EveryMonths(..) => "YYYY-MM",
                _ => "YYYY-MM-DD",
            }
        ),
        Refusal::Nothing => "see `pm set --help` for what can be set".to_owned(),
        Refusal::UsedOfSeveral => "name one service".to_owned(),
        Refusal::NoServices => "begin with `pm add PORT`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::config::{Config, ConfigError};
    use pm_core::port::PortRange;
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

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
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
            Refusal::Spent(port),
            Refusal::NoToday("every 30 days".parse().unwrap()),
            Refusal::NoToday("every 3 months on 15".parse().unwrap()),
            Refusal::Nothing,
            Refusal::UsedOfSeveral,
            Refusal::NoServices,
        ];
        let errors = refusals.map(|refusal| EngineError::Refused(refusal).into());
        insta::assert_snapshot!(all(errors));
    }

    #[test]
    fn a_refusal_of_the_kernel_says_what_was_tried() {
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
            EngineError::RolledBack(Box::new(kernel().into())).into(),
            EngineError::OldKernel {
                release: "4.19.0-26-amd64".into(),
            }
            .into(),
            EngineError::Unsettled { rounds: 10 }.into(),
        ];
        insta::assert_snapshot!(all(errors));
    }

    #[test]
    fn a_failure_of_the_disk_says_which_file() {
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
                why: parse(r#"{"schema":1,"services":{"80":{},"80-90":{}}}"#),
            },
            StoreError::Linked {
                path: config(),
                target: "/srv/pm.json".into(),
                option: "--config-dir",
            },
            StoreError::WrongKind {
                path: config(),
                expected: "file",
            },
            StoreError::NotPrivate {
                path: "/tmp/pm".into(),
            },
            StoreError::Permission {
                action: "save",
                path: config(),
                why: why(),
            },
            StoreError::DiskFull {
                action: "save",
                path: state(),
                why: why(),
            },
            StoreError::Io {
                action: "read",
                path: state(),
                why: why(),
            },
            StoreError::Locked {
                action: "open",
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
                action: "save",
                path: state(),
                why: why(),
            },
            StoreError::Held {
                kind: LockKind::Tick,
                path: "/run/port_monitor/tick.lock".into(),
                holder: "process 4711 (pm monitor)".into(),
                waited: Duration::from_secs(10),
            },
        ];
        let stale = stale_config(&errors[2]);
        let errors = errors.map(|error| EngineError::Store(error).into());
        insta::assert_snapshot!(all(errors) + "\n\n" + &stale);
    }
}
