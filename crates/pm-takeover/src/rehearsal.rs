//! What is tried before anything of the tool's goes: a takeover that pm would refuse must not begin.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pm_core::backend::{Shaper, ShapingError};
use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_core::request::Refusal;
use pm_engine::EngineError;
use pm_legacy::{Imported, Tool};
use pm_setup::old_tools;
use pm_tc::other::OtherRoot;

use crate::adopt::{self, Adopted};
use crate::error::TakeoverError;
use crate::import::{Pm, Takeover};
use crate::journal::Answers;

impl Takeover<'_> {
    /// Lets pm do all of it but change anything.
    ///
    /// # Errors
    ///
    /// As [`adopt`](Self::adopt) would say.
    pub(crate) fn rehearse(
        &mut self,
        engine: &mut Pm,
        imported: &Imported,
        answers: &Answers,
    ) -> Result<(), TakeoverError> {
        if adopt::has_it(engine, imported) {
            return Ok(());
        }
        let present = self.config(imported.tool)?;
        if imported.tool == Tool::PmSh {
            // Until it begins, its own table and file stand in the place of pm's, which would refuse them.
            return adopt::check(&present, imported, answers);
        }
        // The tool's own root may still be where those limits come.
        let bare = imported.clone().without_limits();
        adopt::adopt(engine, &present, &bare, answers, true).map(|_| ())
    }

    /// Puts it into pm, without the limits if they are all that this host does not have.
    pub(crate) fn adopt(
        &mut self,
        engine: &mut Pm,
        imported: &mut Imported,
        answers: &Answers,
    ) -> Result<Adopted, TakeoverError> {
        let present = self.config(imported.tool)?;
        match adopt::adopt(engine, &present, imported, answers, false) {
            Err(TakeoverError::Engine(error)) if imported.has_limits() => {
                imported.leave_limits_out(&no_shaping(error)?);
                adopt::adopt(engine, &present, imported, answers, false)
            }
            other => other,
        }
    }

    /// Takes away the limits that this host cannot have. The tool's own roots are in nobody's way: they go.
    pub(crate) fn leave_out_impossible(
        &mut self,
        imported: &mut Imported,
        config: &Config,
        roots: &[OtherRoot],
    ) {
        if !imported.has_limits() {
            return;
        }
        let is_free = |name: &String| !roots.iter().any(|root| root.interface == *name);
        let probed = self.control.uplinks().and_then(|uplinks| {
            let uplinks: BTreeSet<String> = uplinks.into_iter().filter(is_free).collect();
            self.control.probe(&uplinks, config.classifier)
        });
        if let Err(why) = probed {
            imported.leave_limits_out(&why.into());
        }
    }

    /// Refuses to take over a copy of pm.sh's configuration while its own stands where pm's comes.
    pub(crate) fn require_place(&self, tool: Tool, directory: &Path) -> Result<(), TakeoverError> {
        match self.pm_shs_own() {
            Some(path)
                if tool == Tool::PmSh && self.root.join(directory.join("config.json")) != path =>
            {
                Err(TakeoverError::Occupied { path })
            }
            _ => Ok(()),
        }
    }

    /// Returns the place of pm's configuration, where pm.sh's own stands there.
    pub(crate) fn pm_shs_own(&self) -> Option<PathBuf> {
        let path = self.paths.config_file();
        let text = fs::read(&path).ok()?;
        old_tools::is_pm_shs(&String::from_utf8_lossy(&text)).then_some(path)
    }
}

/// Returns why this host cannot limit what is sent, if that is all that is wrong.
fn no_shaping(error: EngineError) -> Result<Cause<ShapingError>, EngineError> {
    match error {
        EngineError::Shaping(why) => Ok(why.into()),
        EngineError::Refused(Refusal::NoShaping(why)) => Ok(why),
        EngineError::RolledBack { why, left } => {
            no_shaping(*why).map_err(|why| EngineError::RolledBack {
                why: Box::new(why),
                left,
            })
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_htb() -> ShapingError {
        ShapingError::Unsupported("no such qdisc".into())
    }

    /// As in a container without HTB: whoever asks first finds that out, or pm itself after the last reading.
    #[test]
    fn a_kernel_without_htb_takes_only_the_limits() {
        let rolled_back = EngineError::RolledBack {
            why: Box::new(EngineError::Shaping(no_htb())),
            left: None,
        };
        for error in [
            EngineError::Shaping(no_htb()),
            EngineError::Refused(Refusal::NoShaping(no_htb().into())),
            rolled_back,
        ] {
            let why = no_shaping(error).unwrap();
            assert!(why.to_string().contains("no HTB"), "{why}");
        }
        assert!(matches!(
            no_shaping(EngineError::NoUplink),
            Err(EngineError::NoUplink)
        ));
    }
}
