//! Work that may have to wait for somebody else: after a moment the user is told, and what he types meanwhile is
//! no answer to a question that he has not seen.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use pm_store::locks::{LockKind, command_and_process, holder};
use pm_store::paths::Paths;

use super::ui;
use crate::language::{current, tr, within};

/// After how long silence is worrying.
const MOMENT: Duration = Duration::from_millis(800);

/// Does `work`, and says what it waits for where it takes long; returns whether it did.
pub(super) fn patiently<T>(paths: &Paths, work: impl FnOnce() -> T) -> (T, bool) {
    let language = current();
    thread::scope(|scope| {
        let (working, is_over) = channel::<()>();
        let watch = move || {
            let is_slow = is_over.recv_timeout(MOMENT) == Err(RecvTimeoutError::Timeout);
            if is_slow {
                // Where the terminal has gone, the next question finds out.
                let _ = within(language, || ui::print(&reason(paths)));
            }
            is_slow
        };
        // Without a thread it waits in silence.
        let watcher = thread::Builder::new().spawn_scoped(scope, watch).ok();
        let done = work();
        drop(working);
        let was_slow = watcher.is_some_and(|watcher| watcher.join().unwrap_or(false));
        (done, was_slow)
    })
}

/// Returns why it may take long.
fn reason(paths: &Paths) -> String {
    said(
        [LockKind::Write, LockKind::Tick].map(|kind| holder(paths, kind)),
        std::process::id(),
    )
}

fn said(holders: [String; 2], own: u32) -> String {
    let holders: Vec<_> = holders
        .iter()
        .filter_map(|holder| command_and_process(holder))
        .collect();
    match holders.iter().find(|(_, process)| *process != own) {
        Some((command, process)) => tr!(
            "Waiting until {command}, process {process}, is done ...",
            "正在等待 {command}（进程 {process}）结束……"
        ),
        None if holders.is_empty() => tr!(
            "Waiting: another process is at pm's files ...",
            "请稍候：另有进程正在使用 pm 的文件……"
        ),
        None => tr!("Still at it ...", "仍在处理……"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::language::Language;

    #[test]
    fn what_is_waited_for_is_named() {
        let (own, other) = ("`pm` (process 1)", "`pm add` (process 2)");
        let mut texts = Vec::new();
        for language in Language::ALL {
            for holders in [[own, other], [other, ""], [own, own], ["", ""]] {
                let holders = holders.map(str::to_owned);
                texts.push(within(language, || said(holders, 1)));
            }
        }
        insta::assert_snapshot!(texts.join("\n"));
    }
}
