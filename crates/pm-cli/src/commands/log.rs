//! `pm log`: what the ticks said.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use pm_setup::{Root, host, systemd};
use pm_store::log_file::LogFile;

use crate::cli::Log;
use crate::language::tr;
use crate::output::{say, tell};

/// How often the file is looked at for more.
const PACE: Duration = Duration::from_millis(250);

/// Shows the journal where there is one, else the log file.
pub(crate) fn run(flags: Log) -> Result<ExitCode> {
    let root = Root::of_host();
    let journal = root.has_directory("/run/systemd/journal");
    match host::program(&root, "journalctl").filter(|_| journal) {
        Some(journalctl) => Err(show_journal(Command::new(journalctl), flags)),
        None => show_file(flags),
    }
}

/// Becomes `journalctl`; returns why it could not.
fn show_journal(mut command: Command, flags: Log) -> anyhow::Error {
    let units = [systemd::MAIN, systemd::ONLINE, systemd::TICK];
    for unit in units {
        command.arg(format!("--unit={unit}"));
    }
    command
        .arg(format!("--lines={}", flags.lines))
        .arg("--output=short-iso")
        .arg("--quiet");
    if flags.follow {
        command.arg("--follow");
    }
    if !io::stdout().is_terminal() {
        command.arg("--no-pager");
    }
    let error = command.exec();
    anyhow!(error).context(tr!("cannot run journalctl", "无法运行 journalctl"))
}

fn show_file(flags: Log) -> Result<ExitCode> {
    let log = LogFile::default();
    let path = log.path();
    let path = path.display();
    let unreadable = || tr!("cannot read {path}", "无法读取 {path}");
    let (lines, mut tail) = log.last(flags.lines).with_context(unreadable)?;
    if lines.is_empty() && !flags.follow {
        tell!(
            "{}",
            tr!(
                "{path} has no lines: nothing to tell has happened yet",
                "{path} 里没有内容：还没有发生值得一提的事"
            )
        );
    }
    for line in lines {
        say!("{line}");
    }
    if !flags.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        thread::sleep(PACE);
        for line in tail.more().with_context(unreadable)? {
            say!("{line}");
        }
    }
}
