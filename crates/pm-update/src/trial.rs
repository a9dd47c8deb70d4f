//! The new program at work, before it takes the old one's place.
//!
//! It runs as a child that has a time limit, shares the tick lock and dies with its parent. That
//! it does is the work of a *guardian* between the two, the old pm itself (`pm update-trial`), since
//! a broken program cannot be asked for it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use pm_store::Paths;
use semver::Version;

/// By which a child finds the descriptor of the tick lock that it shares.
pub const LOCK_VARIABLE: &str = "PM_SHARED_TICK_LOCK";

/// The subcommand that is the guardian.
pub const GUARDIAN: &str = "update-trial";

/// The exit code of a pm that has done its work and names something to mend, such as a limit that is not in force.
pub const WITH_PROBLEMS: u8 = 3;

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// How long a tick may take: a hundred times what one takes with 10,000 services on a slow host.
const TICK_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked whether a child is done.
const POLL: Duration = Duration::from_millis(5);

/// The most of a child's output that is kept.
const MAX_OUTPUT: u64 = 4 << 10;

/// What a program is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Say its version.
    Version,
    /// Bring `state.db` to its schema, account, save, and leave the kernel alone.
    Account,
    /// Do a tick.
    Tick,
}

/// What a program did instead of its work.
#[derive(Debug)]
pub struct Failure {
    /// What it was to do.
    pub step: Step,
    /// What it did.
    pub how: How,
    /// What it said about it, without control characters but for newlines; may be empty.
    pub said: String,
}

/// How a program failed.
#[derive(Debug)]
pub enum How {
    /// It could not be started.
    NotStarted(io::Error),
    /// It ended with that exit code.
    Code(i32),
    /// A signal of that number ended it.
    Signal(i32),
    /// It was not done in that many seconds, and was ended.
    Hung(u64),
    /// It says that it is another version.
    OtherVersion,
}

/// The exit codes that the old program's steps ended with just before; `None`: it has none.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// Of [`Step::Account`].
    pub account: Option<i32>,
    /// Of [`Step::Tick`].
    pub tick: Option<i32>,
}

/// Tries programs.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// On what.
    pub paths: &'a Paths,
    /// The pm that guards them.
    pub guardian: &'a Path,
    /// The descriptor of the tick lock.
    pub lock: Option<RawFd>,
}

/// What a child left.
struct Ended {
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

impl Trial<'_> {
    /// Lets `program` do all its work. Returns what it said on stderr, which is what happened.
    ///
    /// Where the old program has named something to mend ([`WITH_PROBLEMS`]) at a step, such as in a configuration
    /// written by hand, the new one may do so at the same step. A step that fails is never allowed.
    ///
    /// # Errors
    ///
    /// With the first step that failed.
    pub fn all(
        &self,
        program: &Path,
        version: &Version,
        before: Before,
    ) -> Result<String, Failure> {
        self.version(program, version)?;
        let mut said = self.step(program, Step::Account, before)?;
        said.push_str(&self.step(program, Step::Tick, before)?);
        Ok(said)
    }

    /// Lets the old `program` do the work that the new one will be tried with.
    pub fn before(&self, program: &Path) -> Before {
        Before {
            account: self.code(program, Step::Account),
            tick: self.code(program, Step::Tick),
        }
    }

    /// Lets `program` do one step. Returns its exit code; `None`: it has none.
    pub fn code(&self, program: &Path, step: Step) -> Option<i32> {
        let ended = self.run(program, step).ok()?;
        ended.status?.code()
    }

    fn version(&self, program: &Path, version: &Version) -> Result<(), Failure> {
        let ended = self.run(program, Step::Version)?;
        let ended = ended.judged(Step::Version, Some(0))?;
        if ended.stdout.trim() == format!("pm {version}") {
            return Ok(());
        }
        Err(Failure {
            step: Step::Version,
            how: How::OtherVersion,
            said: ended.stdout,
        })
    }

    fn step(&self, program: &Path, step: Step, before: Before) -> Result<String, Failure> {
        let ended = self.run(program, step)?.judged(step, before.of(step))?;
        Ok(ended.stderr)
    }

    /// Runs one step, and ends whatever it started when the time is up.
    fn run(&self, program: &Path, step: Step) -> Result<Ended, Failure> {
        let failed = |error| Failure {
            step,
            how: How::NotStarted(error),
            said: String::new(),
        };
        let (stdout, stderr) = (
            tempfile::tempfile().map_err(failed)?,
            tempfile::tempfile().map_err(failed)?,
        );
        let mut child = self
            .command(program, step, &stdout, &stderr)
            .and_then(|mut command| command.spawn())
            .map_err(failed)?;
        let status = wait(&mut child, step.limit()).map_err(failed)?;
        Ok(Ended {
            status,
            stdout: text(stdout),
            stderr: text(stderr),
        })
    }

    fn command(
        &self,
        program: &Path,
        step: Step,
        stdout: &File,
        stderr: &File,
    ) -> io::Result<Command> {
        let mut command = Command::new(self.guardian);
        command
            .arg(GUARDIAN)
            .arg(std::process::id().to_string())
            .arg(program)
            .args(step.arguments())
            .env("PM_CONFIG_DIR", &self.paths.config_dir)
            .env("PM_STATE_DIR", &self.paths.state_dir)
            .env("PM_RUN_DIR", &self.paths.run_dir)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            // Its own children, too, are ended by one signal, and Ctrl-C reaches only us.
            .process_group(0);
        if let Some(lock) = self.lock {
            command.env(LOCK_VARIABLE, lock.to_string());
        }
        Ok(command)
    }
}

impl Before {
    /// Whether the old program failed at that step itself.
    pub fn failed(self, step: Step) -> bool {
        !self.of(step).is_some_and(is_work_done)
    }

    fn of(self, step: Step) -> Option<i32> {
        match step {
            // It runs.
            Step::Version => Some(0),
            Step::Account => self.account,
            Step::Tick => self.tick,
        }
    }
}

fn is_work_done(code: i32) -> bool {
    code == 0 || code == i32::from(WITH_PROBLEMS)
}

/// Whether a step that ended with `code` is as good as the old program's, which ended with `before`.
fn is_as_good(code: i32, before: Option<i32>) -> bool {
    code == 0 || is_work_done(code) && before == Some(code)
}

impl Step {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Version => &["--version"],
            Self::Account => &["monitor", "--account-only"],
            Self::Tick => &["monitor"],
        }
    }

    fn limit(self) -> Duration {
        match self {
            Self::Version => VERSION_LIMIT,
            Self::Account | Self::Tick => TICK_LIMIT,
        }
    }
}

impl Ended {
    /// Returns it if it ended as well as the old program's step did.
    fn judged(self, step: Step, before: Option<i32>) -> Result<Self, Failure> {
        let how = match self.status {
            None => How::Hung(step.limit().as_secs()),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) if is_as_good(code, before) => return Ok(self),
                (Some(code), _) => How::Code(code),
                (None, signal) => How::Signal(signal.unwrap_or_default()),
            },
        };
        Err(Failure {
            step,
            how,
            said: self.stderr,
        })
    }
}

/// Waits for a child; `None`: the time was up, and it and its children were ended.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let id = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let in_time = loop {
        if waitid(Id::Pid(id), look)? != WaitStatus::StillAlive {
            break true;
        }
        if start.elapsed() >= limit {
            break false;
        }
        thread::sleep(POLL);
    };
    // What it left running would hold the tick lock for ever. Before it is waited for, since until
    // then nobody else's group can have its number.
    let _ = killpg(id, Signal::SIGKILL);
    let status = child.wait()?;
    Ok(in_time.then_some(status))
}

/// Returns what was written to a file that two processes share.
fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(MAX_OUTPUT).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let is_shown = |c: &char| !c.is_control() || *c == '\n';
    text.chars().filter(is_shown).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Version => "saying its version",
            Self::Account => "taking over config.json and state.db",
            Self::Tick => "doing a tick",
        })
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "it could not be started: {error}"),
            Self::Code(code) => write!(f, "it failed with exit code {code}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::Hung(seconds) => write!(f, "it was not done after {seconds} s"),
            Self::OtherVersion => f.write_str("it says it is another one"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.step, self.how)?;
        let said = self.said.trim();
        if said.is_empty() {
            return Ok(());
        }
        write!(f, ": {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEMS: i32 = WITH_PROBLEMS as i32;

    #[test]
    fn a_step_may_name_what_the_old_one_named_and_never_fail() {
        let codes = [None, Some(0), Some(1), Some(2), Some(PROBLEMS), Some(101)];
        for before in codes {
            assert!(is_as_good(0, before), "{before:?}");
            for failed in [1, 2, 4, 101, 127] {
                assert!(!is_as_good(failed, before), "{failed} after {before:?}");
            }
            assert_eq!(is_as_good(PROBLEMS, before), before == Some(PROBLEMS));
        }
    }

    #[test]
    fn each_step_is_held_against_its_own() {
        let before = Before {
            account: Some(0),
            tick: Some(PROBLEMS),
        };
        assert!(!is_as_good(PROBLEMS, before.of(Step::Account)));
        assert!(is_as_good(PROBLEMS, before.of(Step::Tick)));
        assert!(!before.failed(Step::Account) && !before.failed(Step::Tick));
        let before = Before {
            account: None,
            tick: Some(1),
        };
        assert!(before.failed(Step::Account) && before.failed(Step::Tick));
        assert!(!before.failed(Step::Version));
    }
}
