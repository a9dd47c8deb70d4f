//! Errors for people: what failed, why, and what to do.

use pm_core::backend::BackendError;
use pm_core::request::Refusal;
use pm_engine::EngineError;
use pm_store::StoreError;

use crate::output::words::ways_out;

/// Prints an error to stderr, and what to do where that is known.
pub(crate) fn print(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

/// Says that the configuration on disk is not in force.
pub(crate) fn warn_stale_config(error: &StoreError) {
    eprintln!(
        "warning: {error}\n\
         hint: pm goes on with the last good configuration; mend the file, then `pm config check`"
    );
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return engine_hint(error);
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
        EngineError::Store(_) | EngineError::Random(_) => None,
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
        BackendError::Raced | BackendError::Kernel { .. } => None,
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
        Refusal::Nothing => "see `pm set --help` for what can be set".to_owned(),
        Refusal::UsedOfSeveral => "name one service".to_owned(),
        Refusal::NoServices => "begin with `pm add PORT`".to_owned(),
    })
}
