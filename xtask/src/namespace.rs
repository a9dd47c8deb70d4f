//! A named network namespace that goes away with its owner, or the machine's own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sched::{CloneFlags, setns};

use crate::cleanup::{self, Leftover};

/// A network namespace. One made by [`Namespace::create`] is removed, with every process in it, on drop.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// As `ip` takes it: its name, or a process in it.
    name: String,
    ours: bool,
}

/// What a finished command left.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Namespace {
    /// Makes an empty namespace with `lo` up.
    ///
    /// # Errors
    ///
    /// When `ip` is missing or refuses (no root, name taken).
    pub(crate) fn create(name: &str) -> Result<Self> {
        // Registered first: an interrupt between the two must not leave it behind.
        cleanup::register(Leftover::Namespace(name.to_owned()));
        let namespace = Self {
            name: name.to_owned(),
            ours: false,
        };
        run(Command::new("ip").args(["netns", "add", name]), None)?.success()?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Returns the namespace of this process, which nothing is done to on drop.
    pub(crate) fn ours() -> Self {
        Self {
            name: std::process::id().to_string(),
            ours: true,
        }
    }

    /// Says whether it is the one of [`Namespace::ours`].
    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Returns how `ip` calls it: its name, or a process in it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn file(&self) -> PathBuf {
        if self.ours {
            // The main thread never leaves it; the threads of [`Namespace::enter`] do.
            PathBuf::from("/proc/self/ns/net")
        } else {
            Path::new("/run/netns").join(&self.name)
        }
    }

    /// Returns a command that will run inside; its process id is the program's own.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        if self.ours {
            return Command::new(program);
        }
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.file().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Calls `f` on a thread inside and returns what it returned. Sockets made in it stay in this namespace.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub(crate) fn enter<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(self.file())
            .with_context(|| format!("cannot open namespace {}", self.name))?;
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(&file, CloneFlags::CLONE_NEWNET)
                        .with_context(|| format!("cannot enter namespace {}", self.name))?;
                    f()
                })
                .join()
                .map_err(|_| anyhow!("the thread in namespace {} panicked", self.name))?
        })
    }

    /// Runs `ip -batch` with the given lines.
    ///
    /// # Errors
    ///
    /// With `ip`'s own words, at the first line that fails.
    pub(crate) fn ip(&self, lines: &str) -> Result<()> {
        run(self.command("ip").args(["-batch", "-"]), Some(lines))?.success()?;
        Ok(())
    }

    /// Runs `tc` with arguments and returns what it printed.
    ///
    /// # Errors
    ///
    /// With tc's own words when it fails.
    pub(crate) fn tc(&self, args: &[&str]) -> Result<String> {
        run(Command::new("tc").args(["-n", &self.name]).args(args), None)?.success()
    }

    /// Runs `nft` with arguments and returns what it printed.
    ///
    /// # Errors
    ///
    /// With nft's own words when it fails.
    pub(crate) fn nft(&self, args: &[&str]) -> Result<String> {
        run(self.command("nft").args(args), None)?.success()
    }

    /// Loads a ruleset text in one transaction.
    ///
    /// # Errors
    ///
    /// With nft's own words when it is refused; nothing has changed then.
    pub(crate) fn nft_load(&self, text: &str) -> Result<()> {
        run(self.command("nft").args(["-f", "-"]), Some(text))?.success()?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.ours {
            cleanup::discard(&Leftover::Namespace(self.name.clone()));
        }
    }
}

impl Output {
    /// Returns standard output if the exit code is 0.
    ///
    /// # Errors
    ///
    /// With the exit code and standard error otherwise.
    pub(crate) fn success(self) -> Result<String> {
        ensure!(
            self.code == Some(0),
            "exit code {:?}: {}",
            self.code,
            self.stderr.trim()
        );
        Ok(self.stdout)
    }
}

/// Runs a command to its end, feeding `stdin` if given.
///
/// # Errors
///
/// When it cannot be started; a non-zero exit code is no error here.
pub(crate) fn run(command: &mut Command, stdin: Option<&str>) -> Result<Output> {
    let what = format!("{command:?}");
    command.stdin(if stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {what}"))?;
    if let Some(text) = stdin {
        let Some(mut pipe) = child.stdin.take() else {
            bail!("no pipe to {what}");
        };
        // A program that stops reading says why on stderr, which is the better error.
        let _ = pipe.write_all(text.as_bytes());
    }
    let output = child
        .wait_with_output()
        .with_context(|| format!("cannot wait for {what}"))?;
    Ok(Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
