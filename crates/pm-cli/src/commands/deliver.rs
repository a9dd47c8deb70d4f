//! Sending what waits to be sent.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Places;

/// Delivers what is due, as the user whose the outbox is. It opens nothing else of pm's.
pub(crate) fn run(places: &Places, outbox: Option<PathBuf>) -> Result<ExitCode> {
    let outbox = outbox.unwrap_or_else(|| super::paths(places).outbox_dir());
    pm_engine::deliver(&outbox)?;
    Ok(ExitCode::SUCCESS)
}

/// Does what an operator has sent at once, as somebody who is not root. It opens nothing of pm's.
pub(crate) fn errand() -> Result<ExitCode> {
    pm_engine::do_errand()?;
    Ok(ExitCode::SUCCESS)
}
