//! Deleting every service, which somebody at a terminal is asked about first.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use pm_core::request::{Request, Selection};

use super::{change, config};
use crate::cli::{ChangeOptions, Places};
use crate::language::tr;
use crate::output::{tell, words};
use crate::wizard::yes_or_no;

/// Whether it is to be asked about: a script is not, nor who has said that he means it.
pub(crate) fn is_asked_about(request: &Request, options: ChangeOptions) -> bool {
    let is_all = matches!(
        request,
        Request::Delete {
            ports: Selection::All
        }
    );
    is_all
        && !options.force
        && !options.dry_run
        && io::stdin().is_terminal()
        && io::stderr().is_terminal()
}

/// Asks, and carries out `request` on the services that were counted.
pub(crate) fn run(places: &Places, request: &Request, options: ChangeOptions) -> Result<ExitCode> {
    let config = config::current(places)?;
    // Of none, it is said as ever that there are none.
    if !config.services.is_empty() && !is_meant(config.services.len())? {
        tell!("{}", tr!("Nothing was changed.", "未做任何改动。"));
        return Ok(ExitCode::FAILURE);
    }
    change::run_on(places, &config, request, options)
}

fn is_meant(count: usize) -> io::Result<bool> {
    let services = words::services(count);
    tell!(
        "{}",
        tr!(
            "This stops monitoring all there is, {services}: nothing is counted, limited or blocked any more. \
             `pm undo` brings it back.",
            "将删除全部监控（{services}），不再计数、限速或阻断。可用 `pm undo` 恢复。"
        )
    );
    loop {
        let question = tr!("Do it? y/N; Enter: no", "确认执行？y/N；直接回车：否");
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question} ")?;
        stderr.flush()?;
        drop(stderr);
        let mut line = String::new();
        if io::stdin().read_line(&mut line)? == 0 {
            return Ok(false);
        }
        match yes_or_no(&line, false) {
            Ok(yes) => return Ok(yes),
            Err(why) => tell!("{why}"),
        }
    }
}
