//! What to do about an error.

use std::io::ErrorKind;

use pm_core::backend::{BackendError, ShapingError};
use pm_core::calendar::ResetChoice;
use pm_core::config::ConfigError;
use pm_core::port::PortRange;
use pm_core::request::Refusal;
use pm_engine::EngineError;
use pm_store::StoreError;

use crate::output::table::join;
use crate::output::words::{add_group, another_last_day, reset_group, set_group, ways_out};

/// Returns what to do about an error, where that is known.
pub(super) fn of(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return engine(error);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return store(error);
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return config(error);
    }
    if let Some(error) = error.downcast_ref::<ShapingError>() {
        return shaping(error);
    }
    error.downcast_ref::<BackendError>().and_then(backend)
}

/// Returns what to do about an error of the engine's.
pub(super) fn engine(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Kernel(error) => backend(error),
        EngineError::Shaping(error) => shaping(error),
        EngineError::Refused(refused) => Some(refusal(refused)),
        EngineError::RolledBack(error) => engine(error),
        EngineError::OldKernel { .. } => {
            Some("install a newer kernel; Debian 11, Ubuntu 22.04 and Alpine 3.13 have one".into())
        }
        EngineError::Unsettled { .. } => {
            Some("look for it with `nft monitor`, stop it, then run `pm monitor`".into())
        }
        EngineError::Store(error) => store(error),
        EngineError::NoUplink | EngineError::Changed | EngineError::Random(_) => None,
    }
}

/// Most of these errors say themselves what to do.
fn store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::ConfigUnreadable { why, .. } if why.kind() == ErrorKind::PermissionDenied => {
            Some("run it as root (with `sudo`)".into())
        }
        StoreError::ConfigInvalid { why, .. } | StoreError::ConfigRefused { why, .. } => {
            config(why)
        }
        StoreError::ConfigOfPmSh { .. } => Some(
            "move the file away to begin without it, or name another directory with --config-dir"
                .into(),
        ),
        StoreError::Database { .. } => Some("`pm doctor` looks for what is wrong".into()),
        _ => None,
    }
}

fn config(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::NoSuchGroup { group, .. } => Some(format!(
            "add \"{group}\": {{}} to \"groups\", or take \"group\" out of the service"
        )),
        _ => None,
    }
}

fn backend(error: &BackendError) -> Option<String> {
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

fn shaping(error: &ShapingError) -> Option<String> {
    match error {
        ShapingError::Unsupported(_) => Some(
            "load it with `modprobe sch_htb`; Alpine has it in the kernel `linux-lts`, not in \
             `linux-virt`; in a container, ask who runs the host for it"
                .into(),
        ),
        ShapingError::NoFwClassifier(_) => Some(
            "load it with `modprobe cls_fw`, or do without it: `pm config set classifier priority`"
                .into(),
        ),
        ShapingError::Permission(_) => {
            Some("pm needs root, or CAP_NET_ADMIN: run it with `sudo`".into())
        }
        ShapingError::ForeignQdisc { interface, .. } => Some(format!(
            "pm could not put it back and leaves it alone; look at it with `tc qdisc show dev \
             {interface}`, and once nobody needs it, `tc qdisc del dev {interface} root`"
        )),
        ShapingError::Kernel(_) => Some("`pm doctor` looks for what is wrong".into()),
    }
}

fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Overlap { wanted, existing } if wanted == existing => {
            format!("change it with `pm set {existing}`, or say `--or-set`")
        }
        Refusal::Overlap { existing, .. } => {
            format!("delete that one first (`pm del {existing}`), or choose other ports")
        }
        Refusal::Unknown(ports) => format!("see `pm list`; monitor it with `pm add {ports}`"),
        Refusal::Partial { existing, .. } => format!("name the whole service: {existing}"),
        Refusal::Ssh { .. } => "if that is what you want, say it again with `--force`".to_owned(),
        Refusal::Spent { holder, .. } => ways_out(holder),
        Refusal::Expired(ports) => another_last_day(*ports),
        Refusal::NoToday(choice) => format!(
            "set the clock, or say from when: `{choice} from {}`",
            match choice {
                ResetChoice::EveryMonths(..) => "YYYY-MM",
                _ => "YYYY-MM-DD",
            }
        ),
        Refusal::Nothing => {
            "see `pm set --help` and `pm group set --help` for what can be set".to_owned()
        }
        Refusal::UsedOfSeveral => "name one service".to_owned(),
        Refusal::UsedWithGroup => "say it in two commands, first the one with `--group`".to_owned(),
        Refusal::NoServices => "begin with `pm add PORT`".to_owned(),
        Refusal::NoSuchGroup(name) => {
            format!("make it with `{}`, or see `pm group list`", add_group(name))
        }
        Refusal::GroupExists(name) => {
            format!("change it with `{}`, or say `--or-set`", set_group(name))
        }
        Refusal::HasMembers { members, .. } => {
            let ports = short(members);
            format!(
                "take them out of it first (`pm set {ports} --group none`), or delete them \
                 (`pm del {ports}`)"
            )
        }
        Refusal::Member { ports, group } => format!(
            "change the group (`{} …`, `{}`), or take the service out of it first \
             (`pm set {ports} --group none`)",
            set_group(group),
            reset_group(group)
        ),
        Refusal::NoShaping(_) => "counting, quotas and `--limit-in` work without it; `pm doctor` \
                                  says what to do about it"
            .to_owned(),
    }
}

/// Returns services as they are typed, or what stands for them where they are many.
fn short(ports: &[PortRange]) -> String {
    const MOST: usize = 8;
    if ports.len() > MOST {
        "PORTS".to_owned()
    } else {
        join(ports)
    }
}
