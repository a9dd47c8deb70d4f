//! What setup, uninstall and doctor share: this host, this program, and what is pm's here.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use pm_setup::{Footprint, Host, Root, check};
use pm_store::locks::{Lock, LockKind};
use pm_store::paths::Paths;

use super::manual;
use crate::cli::Places;
use crate::language::tr;

/// The host that pm settles on.
pub(super) struct Premises {
    /// Its files.
    pub(super) root: Root,
    /// What was seen of it.
    pub(super) host: Host,
    /// This program.
    pub(super) pm: PathBuf,
}

impl Premises {
    /// Looks around.
    pub(super) fn look() -> Result<Self> {
        let root = Root::of_host();
        let pm = std::env::current_exe().and_then(|path| path.canonicalize());
        let pm = pm.with_context(|| {
            tr!(
                "cannot find out where this program is",
                "无法得知本程序在哪里"
            )
        })?;
        let host = Host::look(&root);
        Ok(Self { root, host, pm })
    }

    /// Returns what must be here.
    pub(super) fn wanted(&self) -> Result<Footprint> {
        Ok(Footprint::wanted(&self.host, &self.pm, &manual::manual()?))
    }

    /// Returns what of it calls pm, or is needed for that.
    pub(super) fn calling(&self) -> Footprint {
        Footprint::calling(&self.host, &self.pm)
    }

    /// Returns what may be here.
    pub(super) fn everywhere(&self) -> Footprint {
        Footprint::everywhere(&self.root, &self.pm)
    }
}

/// By which variable an update shares its lock with the `pm setup` that it starts: a descriptor's number.
pub(super) const LOCK_VARIABLE: &str = "PM_SHARED_UPDATE_LOCK";

/// Keeps every other setup, update and uninstall away, but for the update that started this one.
pub(super) fn lock(places: &Places) -> Result<Lock> {
    let paths = super::paths(places);
    let descriptor = std::env::var(LOCK_VARIABLE).ok();
    if let Some(descriptor) = descriptor.and_then(|text| text.parse().ok())
        && let Some(lock) = Lock::shared(&paths, LockKind::Update, descriptor)?
    {
        return Ok(lock);
    }
    Ok(Lock::acquire(&paths, LockKind::Update, Duration::ZERO)?)
}

/// Whether pm's files are where units and scripts look for them.
pub(super) fn are_usual(places: &Places) -> bool {
    let paths = super::paths(places);
    paths == Paths::default()
}

/// Whether what `pm setup` wrote here calls this very program.
pub(super) fn call_this_program(places: &Places) -> bool {
    are_usual(places)
        && Premises::look().is_ok_and(|premises| {
            check::calls(&premises.root, &premises.everywhere(), &premises.pm)
        })
}

/// Whether anything calls pm each minute.
pub(super) fn is_called(premises: &Premises) -> bool {
    let present = pm_setup::remove::present(&premises.root, &premises.calling());
    let is_schedule = |piece: &pm_setup::Piece| {
        let path = piece.path().map(|path| path.to_string_lossy().into_owned());
        matches!(piece, pm_setup::Piece::CrontabLine { .. })
            || path.is_some_and(|path| path.ends_with("tick.timer") || path == pm_setup::cron::FILE)
    };
    present.iter().any(is_schedule)
}

/// Refuses to go on for anybody but root, or with files elsewhere. `command` is what was asked for.
pub(super) fn require(places: &Places, command: &str) -> Result<()> {
    if !are_usual(places) {
        bail!(tr!(
            "`pm {command}` is for the usual places: leave --config-dir, --state-dir, --run-dir and \
             their variables out; with other places, call `pm monitor` once a minute yourself",
            "`pm {command}` 只用于默认位置：请去掉 --config-dir、--state-dir、--run-dir 及对应的环境变量；\
             要用别的位置，请自行安排每分钟运行一次 `pm monitor`"
        ));
    }
    if !geteuid().is_root() {
        bail!(tr!(
            "only root can do this: run `sudo pm {command}`",
            "需要 root 权限：请运行 `sudo pm {command}`"
        ));
    }
    Ok(())
}
