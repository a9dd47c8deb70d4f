//! `pm apply`: services and groups as somebody wants them, whatever there is.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use pm_core::adoption::{Adoption, Books, Extent};
use pm_core::config::Wanted;
use pm_core::request::{Request, steps};

use super::{archive, change};
use crate::cli::{Apply, Places};
use crate::language::tr;
use crate::output::{json, say};

/// The most bytes that a file of wanted services has.
const MAX_BYTES: usize = 64 << 20;

/// What a command that changed something ends with: 0 is for what was so already, 1 for what
/// failed, 2 for a wrong command line.
const CHANGED: u8 = 3;

/// Makes everything as the file says, or nothing.
pub(crate) fn run(places: &Places, flags: &Apply) -> Result<ExitCode> {
    let text = archive::text(&flags.file, MAX_BYTES)?;
    let file = flags.file.display().to_string();
    let wanted = Wanted::parse(&text).map_err(|error| {
        let why = archive::config_error(&error);
        anyhow!(tr!(
            "cannot apply {file}: {why}; nothing was changed",
            "无法应用 {file}：{why}；没有做任何改动"
        ))
    })?;
    let present = super::config::past(places)?;
    if let Some(error) = present.stale_config {
        return Err(error.into());
    }
    let present = present.config;
    let config = wanted.over(&present, flags.prune)?;
    let requests = steps(&present, &config);
    let is_changed = !requests.is_empty();
    let request = Request::Adopt(Box::new(Adoption {
        command: format!("pm apply {}", archive::quoted(&file)),
        config,
        books: Books::default(),
        extent: Extent::Newcomers,
    }));
    if !is_changed {
        match flags.json {
            true => say!("{}", json::applied(&requests, flags.options.dry_run)?),
            false => say!(
                "{}",
                tr!(
                    "Nothing to change: it is so already.",
                    "无需更改：已经是这样。"
                )
            ),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let code = match flags.json {
        true => change::quietly_on(places, &present, &request, flags.options)?,
        false => {
            let code = change::run_on(places, &present, &request, flags.options)?;
            say!("{}", tr!("As commands:", "相当于这些命令："));
            for request in &requests {
                say!("  {request}");
            }
            code
        }
    };
    if flags.json {
        say!("{}", json::applied(&requests, flags.options.dry_run)?);
    }
    Ok(match code == ExitCode::SUCCESS {
        true => ExitCode::from(CHANGED),
        false => code,
    })
}
