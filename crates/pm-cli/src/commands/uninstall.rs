//! `pm uninstall`: says what will go, asks, and leaves no trace.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use pm_core::backend::BackendError;
use pm_engine::EngineError;
use pm_setup::tools::HostTools;
use pm_setup::{Piece, SetupError, activate, data, predecessor, program, remove};
use pm_store::locks::{Lock, LockKind};
use pm_store::{StoreError, config_file};

use super::monitor::report_move;
use super::premises::{self, Premises};
use crate::cli::{Places, Uninstall};
use crate::language::tr;
use crate::output::progress::Progress;
use crate::output::{errors, footprint, say, tell};

/// Leaves this host.
pub(crate) fn run(places: &Places, flags: Uninstall) -> Result<ExitCode> {
    let departure = Departure::new(places, flags.keep_data)?;
    for line in departure.announcement() {
        say!("{line}");
    }
    if flags.dry_run {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes && !confirmed()? {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::FAILURE);
    }
    departure.go(places)
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
    /// Whether the file that is called as pm's configuration is pm.sh's.
    foreign_config: bool,
    /// Whether a package brought the program.
    packaged: bool,
}

impl Departure {
    /// Looks what there is.
    ///
    /// # Errors
    ///
    /// For anybody but root, or with files elsewhere.
    pub(crate) fn new(places: &Places, keep_data: bool) -> Result<Self> {
        premises::require(places, "uninstall")?;
        let premises = Premises::look()?;
        let pieces = remove::present(&premises.root, &premises.everywhere());
        let loaded = config_file::load(&super::paths(places));
        Ok(Self {
            keep_data,
            pieces,
            data: data::present(&premises.root),
            foreign_config: matches!(loaded, Err(StoreError::ConfigOfPmSh { .. })),
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
        if self.foreign_config {
            stays.push(tr!("  pm.sh's configuration", "  pm.sh 的配置"));
        }
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
    /// # Errors
    ///
    /// When the rules cannot be taken out of the kernel; what called pm is stopped by then.
    pub(crate) fn go(&self, places: &Places) -> Result<ExitCode> {
        let (root, mut tools, init) = (&self.premises.root, HostTools, self.premises.host.init);
        // Who updates pm at this moment would put it back.
        let paths = super::paths(places);
        let _lock = Lock::acquire(&paths, LockKind::Update, Duration::ZERO)?;
        let progress = Progress::new();
        let mut errors: Vec<SetupError> = Vec::new();
        progress.step(tr!("stopping pm", "正在停止 pm"));
        errors.extend(
            activate::stop(root, &mut tools, init)
                .err()
                .unwrap_or_default(),
        );
        progress.step(tr!("taking the rules out", "正在移除规则"));
        self.withdraw(places)?;
        progress.step(tr!("removing files", "正在删除文件"));
        let removed = remove::remove(root, &mut tools, &self.premises.everywhere(), |piece| {
            progress.step(footprint::piece(piece));
        });
        errors.extend(removed.err().unwrap_or_default());
        errors.extend(activate::forget(&mut tools, init).err());
        let mut left = None;
        if self.keep_data {
            errors.extend(data::remove_copy(root).err());
        } else {
            match data::remove(root, self.foreign_config) {
                Ok(remains) => left = remains,
                Err(error) => errors.push(error),
            }
        }
        errors.extend(data::remove_locks(root).err());
        if errors.is_empty() && !self.packaged {
            let files = program::files(root, &self.premises.pm);
            errors.extend(
                files
                    .iter()
                    .find_map(|path| data::remove_file(root, path).err()),
            );
            errors.extend(predecessor::put_back(root, &self.premises.pm).err());
        }
        drop(progress);
        let is_done = errors.is_empty();
        for error in errors {
            errors::print(&error.into());
        }
        if !is_done {
            bail!(tr!(
                "not everything is gone: mend what is named above and run `pm uninstall` again",
                "没有全部删除：解决上面的问题后，再运行一次 `pm uninstall`"
            ));
        }
        if let Some(path) = left {
            let path = path.display();
            say!(
                "{}",
                tr!(
                    "{path} stays: not everything in it is pm's.",
                    "{path} 保留：里面有不属于 pm 的东西。"
                )
            );
        }
        say!("{}", tr!("pm is gone.", "pm 已卸载。"));
        Ok(ExitCode::SUCCESS)
    }

    /// Takes the rules out of the kernel, and gives the host's own queueing disciplines back.
    fn withdraw(&self, places: &Places) -> Result<()> {
        let left = match self.keep_data {
            true => super::engine(places)?.teardown(),
            false => super::engine_regardless(places)?.leave(),
        };
        match left {
            Ok(moved) => {
                // Anything but success is told, and nothing to stop for: it was the last reading.
                let _ = report_move(&moved);
                Ok(())
            }
            // There are no rules of pm's then.
            Err(EngineError::Kernel(BackendError::Unsupported(_))) => Ok(()),
            // As where an image of a container is built: what was never set up left nothing in the kernel.
            Err(EngineError::Kernel(BackendError::Permission(_)))
                if self.pieces.is_empty() && self.data.is_empty() =>
            {
                Ok(())
            }
            Err(EngineError::Kernel(BackendError::ForeignTable)) => {
                tell!(
                    "{}",
                    tr!(
                        "note: table inet port_monitor is pm.sh's, and stays",
                        "提示：表 inet port_monitor 是 pm.sh 的，予以保留"
                    )
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
