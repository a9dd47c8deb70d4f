//! `pm uninstall`: says what will go, asks, and leaves no trace.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use pm_core::backend::BackendError;
use pm_engine::EngineError;
use pm_setup::data::Remains;
use pm_setup::tools::HostTools;
use pm_setup::{Piece, SetupError, activate, apply, check, data, predecessor, program, remove};
use pm_store::Paths;
use pm_store::locks::Lock;

use super::HostEngine;
use super::monitor::report_move;
use super::premises::{self, Premises};
use crate::cli::{Places, Uninstall};
use crate::language::tr;
use crate::output::progress::Progress;
use crate::output::{self, errors, footprint, note, say, tell};

/// How long to wait for whoever is at it.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Leaves this host.
pub(crate) fn run(places: &Places, flags: Uninstall) -> Result<ExitCode> {
    let departure = Departure::new(places, flags.keep_data)?;
    for line in departure.announcement() {
        note!("{line}");
    }
    if !flags.yes || flags.dry_run {
        // Nobody can agree to what he has not seen.
        output::check_noted()?;
    }
    if flags.dry_run {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes && !confirmed()? {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::FAILURE);
    }
    let code = departure.go(places)?;
    output::check_noted()?;
    Ok(code)
}

/// Asks on the terminal.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!(tr!(
            "there is no terminal to ask on: say `pm uninstall --yes`",
            "没有终端可以询问：请用 `pm uninstall --yes`"
        ));
    }
    let question = tr!("Go on? [y/N] ", "继续吗？[y/N] ");
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(question.as_bytes());
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_lowercase().as_str(),
        "y" | "yes" | "是"
    ))
}

/// All that will go.
pub(crate) struct Departure {
    premises: Premises,
    keep_data: bool,
    pieces: Vec<Piece>,
    data: Vec<PathBuf>,
    /// What is beside it and not pm's.
    foreign: Vec<PathBuf>,
    /// Whether a package brought the program.
    packaged: bool,
}

impl Departure {
    /// Looks what there is.
    ///
    /// # Errors
    ///
    /// For anybody but root, with files elsewhere, or where it is another pm that is set up.
    pub(crate) fn new(places: &Places, keep_data: bool) -> Result<Self> {
        premises::require(places, "uninstall")?;
        let premises = Premises::look()?;
        refuse_for_another(&premises)?;
        let pieces = remove::present(&premises.root, &premises.everywhere());
        Ok(Self {
            keep_data,
            pieces,
            data: data::present(&premises.root),
            foreign: data::foreign(&premises.root),
            packaged: program::is_packaged(&premises.root, &premises.pm),
            premises,
        })
    }

    /// Says what will go, and what will stay.
    pub(crate) fn announcement(&self) -> Vec<String> {
        let mut lines = vec![
            tr!("This goes:", "将会删除："),
            tr!(
                "  the rules (table inet port_monitor) and limits; the host's own queueing \
                 disciplines come back",
                "  规则（表 inet port_monitor）和限速；主机自己的队列规则恢复原样"
            ),
        ];
        let pieces = footprint::pieces(&self.pieces);
        lines.extend(pieces.iter().map(|piece| format!("  {piece}")));
        let data = self.data.iter().map(|path| {
            let path = path.display();
            match self.keep_data {
                true => tr!("  {path} (its data)", "  {path}（数据）"),
                false => tr!(
                    "  {path}: configuration, usage, history, logs, for good",
                    "  {path}：配置、用量、历史、日志，无法找回"
                ),
            }
        });
        let data: Vec<String> = data.collect();
        let program = format!("  {}", self.premises.pm.display());
        let files = program::files(&self.premises.root, &self.premises.pm);
        let mut stays = Vec::new();
        if self.keep_data {
            stays.extend(data);
        } else {
            lines.extend(data);
        }
        if self.packaged {
            stays.push(tr!(
                "{program}: a package brought it, and removes it",
                "{program}：由软件包安装，也由软件包删除"
            ));
        } else {
            lines.extend(files.iter().map(|path| format!("  {}", path.display())));
        }
        if let Some(kept) = self.predecessor() {
            let (kept, pm) = (kept.display(), self.premises.pm.display());
            stays.push(tr!(
                "  {kept}, which was there before pm: it is {pm} again",
                "  {kept}：pm 之前的程序，恢复为 {pm}"
            ));
        }
        stays.extend(self.foreign.iter().map(|path| {
            let path = path.display();
            tr!("  {path}: not pm's", "  {path}：不是 pm 的")
        }));
        if !stays.is_empty() {
            lines.push(tr!("This stays:", "将会保留："));
            lines.extend(stays);
        }
        lines
    }

    /// Returns what stood in the place of this program before it, and comes back.
    fn predecessor(&self) -> Option<PathBuf> {
        let (root, pm) = (&self.premises.root, &self.premises.pm);
        predecessor::of(root, pm).filter(|_| !self.packaged)
    }

    /// Removes everything. What fails keeps nothing else, but the program, for another try.
    ///
    /// Who does something with pm meanwhile waits in vain: locks are held until nothing is left to be locked.
    ///
    /// # Errors
    ///
    /// When the rules cannot be taken out of the kernel: then everything goes on as before, or it is said that it
    /// does not.
    pub(crate) fn go(&self, places: &Places) -> Result<ExitCode> {
        let (root, mut tools, init) = (&self.premises.root, HostTools, self.premises.host.init);
        // Who sets pm up or updates it at this moment would put it back.
        let _lock = premises::lock(places)?;
        let paths = super::paths(places);
        let mut engine = match self.keep_data {
            true => super::engine(places)?,
            false => super::engine_regardless(places)?,
        };
        // Before anything is stopped: somebody may be at it for long. The last tick needs them itself.
        drop(Lock::write_then_tick(&paths, LOCK_WAIT)?);
        let progress = Progress::new();
        let mut errors: Vec<SetupError> = Vec::new();
        progress.step(tr!("stopping pm", "正在停止 pm"));
        let stopped = activate::stop(root, &mut tools, init);
        errors.extend(stopped.err().unwrap_or_default());
        progress.step(tr!("taking the rules out", "正在移除规则"));
        let was_torn_down = engine.is_torn_down();
        let _locks = match self.withdraw(&mut engine, &paths) {
            Ok(locks) => locks,
            Err(error) => {
                progress.step(tr!("starting pm again", "正在重新启动 pm"));
                let restarted = self.start_again(&mut engine, was_torn_down);
                drop(progress);
                self.say_restarted(restarted);
                return Err(error);
            }
        };
        progress.step(tr!("removing files", "正在删除文件"));
        let removed = remove::remove(root, &mut tools, &self.premises.everywhere(), |piece| {
            progress.step(footprint::piece(piece));
        });
        errors.extend(removed.err().unwrap_or_default());
        errors.extend(activate::forget(&mut tools, init).err());
        let mut left = Vec::new();
        if self.keep_data {
            errors.extend(data::remove_copy(root).err());
        } else {
            match data::remove(root) {
                Ok(remains) => left = remains,
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && !self.packaged {
            let files = program::files(root, &self.premises.pm);
            errors.extend(
                files
                    .iter()
                    .find_map(|path| data::remove_file(root, path).err()),
            );
            errors.extend(predecessor::put_back(root, &self.premises.pm).err());
        }
        // The last: until here they keep everybody else away.
        errors.extend(data::remove_locks(root).err());
        drop(progress);
        let is_done = errors.is_empty();
        for error in errors {
            errors::print(&error.into());
        }
        if !is_done {
            bail!(tr!(
                "pm is stopped, and not everything is gone: mend what is named above and run `pm \
                 uninstall` again",
                "pm 已停止，但没有全部删除：解决上面的问题后，再运行一次 `pm uninstall`"
            ));
        }
        for remains in left {
            note!("{}", stays(&remains));
        }
        note!("{}", tr!("pm is gone.", "pm 已卸载。"));
        Ok(ExitCode::SUCCESS)
    }

    /// Takes the rules out of the kernel, gives the host's own queueing disciplines back, and keeps everybody else
    /// away from then on.
    fn withdraw(&self, engine: &mut HostEngine, paths: &Paths) -> Result<(Lock, Lock)> {
        let root = &self.premises.root;
        let locks = Lock::write_then_tick(paths, LOCK_WAIT)?;
        // No tick begins any more; one that has begun finds the locks held, and then nothing to do.
        remove::remove_cron(root, &self.premises.everywhere())?;
        if self.keep_data && !engine.is_torn_down() && root.has_directory(Paths::STATE_DIR) {
            data::note_kept(root)?;
        }
        match engine.leave(&locks, !self.keep_data) {
            Ok(moved) => {
                // Anything but success is told, and nothing to stop for: it was the last reading.
                let _ = report_move(&moved);
            }
            // There are no rules of pm's then.
            Err(EngineError::Kernel(BackendError::Unsupported(_))) => {}
            // As where an image of a container is built: what was never set up left nothing in the kernel.
            Err(EngineError::Kernel(BackendError::Permission(_)))
                if self.pieces.is_empty() && self.data.is_empty() => {}
            Err(EngineError::Kernel(BackendError::ForeignTable)) => tell!(
                "{}",
                tr!(
                    "note: table inet port_monitor is pm.sh's, and stays",
                    "提示：表 inet port_monitor 是 pm.sh 的，予以保留"
                )
            ),
            Err(error) => return Err(error.into()),
        }
        Ok(locks)
    }

    /// Makes everything go on that was stopped, where nothing else was done yet.
    fn start_again(&self, engine: &mut HostEngine, was_torn_down: bool) -> Result<()> {
        let (premises, mut tools) = (&self.premises, HostTools);
        let mut calling = premises.calling();
        let was_there = |piece: &Piece| self.pieces.iter().any(|one| one.path() == piece.path());
        calling.pieces.retain(was_there);
        apply::apply(&premises.root, &mut tools, &calling, false, |_, _| {})?;
        if !was_torn_down {
            data::forget_kept(&premises.root)?;
            // It says in the state that they are out, as far as that was saved.
            if engine.is_torn_down() {
                let _ = report_move(&engine.restore(false)?);
            }
        }
        if self.is_set_up() {
            let pm = premises.pm.to_string_lossy();
            activate::start(&premises.root, &mut tools, premises.host.init, &pm, false)?;
        }
        Ok(())
    }

    /// Whether there is something that calls pm.
    fn is_set_up(&self) -> bool {
        let is_data = |piece: &&Piece| matches!(piece, Piece::User) || piece.is_manual();
        self.pieces.iter().any(|piece| !is_data(&piece))
    }

    fn say_restarted(&self, restarted: Result<()>) {
        match restarted {
            Ok(()) if self.is_set_up() => tell!(
                "{}",
                tr!(
                    "Nothing was removed, and pm goes on as before.",
                    "什么也没有删除，pm 照常运行。"
                )
            ),
            Ok(()) => tell!("{}", tr!("Nothing was removed.", "什么也没有删除。")),
            Err(error) => {
                errors::print(&error);
                tell!(
                    "{}",
                    tr!(
                        "Nothing was removed, but pm is stopped: `pm setup` starts it again.",
                        "什么也没有删除，但 pm 已停止：运行 `pm setup` 重新启动。"
                    )
                );
            }
        }
    }
}

/// Refuses where what setup wrote calls a pm that is somewhere else: it would go on without a timer.
fn refuse_for_another(premises: &Premises) -> Result<()> {
    let (root, everywhere) = (&premises.root, premises.everywhere());
    if check::calls(root, &everywhere, &premises.pm) {
        return Ok(());
    }
    let Some(other) = check::called(root, &everywhere) else {
        return Ok(());
    };
    let is_other = root.join(&other).canonicalize();
    // Where that one is gone, any may tidy up after it.
    if is_other.is_ok_and(|found| found != premises.pm) {
        let (here, other) = (premises.pm.display(), other.display());
        bail!(tr!(
            "this is {here}, and the pm that is set up is {other}: run `{other} uninstall`",
            "当前程序是 {here}，而已安装的 pm 是 {other}：请运行 `{other} uninstall`"
        ));
    }
    Ok(())
}

fn stays(remains: &Remains) -> String {
    match remains {
        Remains::Foreign(path) => {
            let path = path.display();
            tr!(
                "{path} stays: not everything in it is pm's.",
                "{path} 保留：里面有不属于 pm 的东西。"
            )
        }
        Remains::Elsewhere(path) => {
            let path = path.display();
            tr!(
                "{path} stays, emptied: pm did not make the link or the mount that it is.",
                "{path} 已清空但保留：它是链接或挂载点，不是 pm 建的。"
            )
        }
    }
}
