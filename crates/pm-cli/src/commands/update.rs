//! `pm update`: the newest release in the place of this one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitCode, Stdio};

use anyhow::{Context, Error, Result, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use pm_setup::{Root, program};
use pm_store::locks::{Lock, LockKind};
use pm_store::paths::Paths;
use pm_update::fetch::Source;
use pm_update::install::{self, Installation, Recovered};
use pm_update::manifest::Artefact;
use pm_update::offer::{Offer, judge};
use pm_update::signature::{Keys, SignatureError};
use pm_update::target::Target;
use pm_update::{UpdateError, Version, release, trial};

use super::premises;
use crate::cli::{Places, Update};
use crate::language::{self, tr};
use crate::output::progress::Progress;
use crate::output::words::caution;
use crate::output::{errors, say, tell};

/// The public keys of releases, the present one and the next, as minisign prints them.
const KEYS: [Option<&str>; 2] = [
    option_env!("PM_UPDATE_KEY"),
    option_env!("PM_UPDATE_NEXT_KEY"),
];

/// Where releases are.
const RELEASES: Option<&str> = option_env!("PM_RELEASE_URL");

/// The exit code where this pm has no key that the release is signed with.
const BELIEVES_NONE: u8 = 4;

/// This version.
pub(crate) const CURRENT: &str = env!("CARGO_PKG_VERSION");

/// A release that is to be installed.
pub(crate) struct Found {
    /// Which one.
    pub(crate) version: Version,
    program: Artefact,
    source: Source,
}

/// Does what the flags say.
pub(crate) fn run(places: &Places, flags: &Update) -> Result<ExitCode> {
    let found = match look(flags) {
        // `install.sh` then puts the release in the place of this pm itself.
        Err(error) if believes_none(&error) => {
            errors::print(&error);
            return Ok(ExitCode::from(BELIEVES_NONE));
        }
        found => found?,
    };
    let Some(found) = found else {
        say!("{}", newest());
        return Ok(ExitCode::SUCCESS);
    };
    if flags.check {
        let version = &found.version;
        say!(
            "{}",
            tr!(
                "pm {version} is there, and this is {CURRENT}: `pm update` installs it.",
                "有新版本 pm {version}，当前是 {CURRENT}：运行 `pm update` 安装。"
            )
        );
        return Ok(ExitCode::SUCCESS);
    }
    let done = install(places, &found)?;
    say!("{done}");
    Ok(ExitCode::SUCCESS)
}

/// Whether this pm can believe no release of that place, however good: another must be installed in its stead.
fn believes_none(error: &Error) -> bool {
    let update = error.downcast_ref::<UpdateError>();
    update.is_some_and(|error| {
        matches!(
            error,
            UpdateError::NoKeys
                | UpdateError::Key(_)
                | UpdateError::Untrusted {
                    why: SignatureError::UnknownKey,
                    ..
                }
        )
    })
}

/// Says that there is nothing newer.
pub(crate) fn newest() -> String {
    tr!(
        "pm {CURRENT} is the newest release.",
        "pm {CURRENT} 已是最新版本。"
    )
}

/// Looks for a release to install; `None`: this is it.
pub(crate) fn look(flags: &Update) -> Result<Option<Found>> {
    let keys = Keys::parse(KEYS.into_iter().flatten()).map_err(UpdateError::from)?;
    if keys.is_empty() {
        return Err(UpdateError::NoKeys.into());
    }
    let mirror = flags.mirror.as_deref().filter(|mirror| !mirror.is_empty());
    let address = mirror.or(RELEASES.filter(|address| !address.is_empty()));
    let source = Source::parse(address.ok_or(UpdateError::NoSource)?);
    let source = source.map_err(UpdateError::from)?;
    let progress = Progress::new();
    progress.step(tr!("looking for a release", "正在查找新版本"));
    let release = release::newest(&source, &keys)?;
    drop(progress);
    let current = Version::parse(CURRENT)?;
    let targets = Target::of_this_program();
    let offer = judge(&release, &current, &targets, flags.force).map_err(UpdateError::from)?;
    Ok(match offer {
        Offer::UpToDate => None,
        Offer::Program(program) => Some(Found {
            version: release.version.clone(),
            program: program.clone(),
            source,
        }),
    })
}

/// Downloads, tries and installs a release. Returns what to say about it.
pub(crate) fn install(places: &Places, found: &Found) -> Result<String> {
    let here = Installation::of_this_program(super::paths(places))?;
    if program::is_packaged(&Root::of_host(), here.program()) {
        let path = here.program().to_owned();
        return Err(UpdateError::Packaged { path }.into());
    }
    let (lock, recovered) = here.begin()?;
    tell_recovered(recovered.as_ref());
    if let Err(error) = download(&here, found) {
        here.discard_new();
        return Err(error);
    }
    let version = &found.version;
    // As long as this program is in its place, and knows where that is.
    let calls_it = premises::call_this_program(places);
    let progress = Progress::new();
    progress.step(tr!(
        "trying pm {version} on the real data",
        "正在用真实数据试运行 pm {version}"
    ));
    let said = here.install(version, found.program.sha256)?;
    drop(progress);
    // What happened meanwhile, in the words of whoever noticed it.
    if !said.trim().is_empty() {
        tell!("{}", said.trim_end());
    }
    if calls_it {
        renew_what_calls_it(&here, &super::paths(places), &lock);
    }
    let old = here.old_program();
    let old = old.display();
    Ok(tr!(
        "pm {version} is installed; {CURRENT} is kept as {old}.",
        "pm {version} 已安装；{CURRENT} 保留为 {old}。"
    ))
}

/// Lets the new program renew the units or cron lines that setup wrote: what it is called with, and its sandbox, are its
/// own to say. Where that fails, the new pm is installed all the same, and it is told.
fn renew_what_calls_it(here: &Installation, paths: &Paths, lock: &Lock) {
    let progress = Progress::new();
    progress.step(tr!(
        "renewing what calls pm",
        "正在更新调用 pm 的单元和脚本"
    ));
    let mut command = Command::new(here.program());
    command
        .args(["--lang", &language::current().to_string(), "setup"])
        .stdin(Stdio::null());
    // Where it cannot be shared, setup says who holds it.
    if let Ok(Some(descriptor)) = lock.share(paths) {
        command.env(premises::LOCK_VARIABLE, descriptor.to_string());
    }
    let output = command.output();
    drop(progress);
    let (is_done, said) = match &output {
        Ok(output) => (
            // What it names then, is told below.
            matches!(output.status.code(), Some(code) if code == 0 || code == i32::from(trial::WITH_PROBLEMS)),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ),
        Err(error) => (false, error.to_string()),
    };
    let said = said.trim_end();
    if is_done {
        // Such as that no cron runs.
        if !said.is_empty() {
            tell!("{said}");
        }
        return;
    }
    tell!(
        "{}",
        caution(
            &tr!(
                "the new pm is installed, but its `pm setup` failed: {said}",
                "新的 pm 已安装，但它的 `pm setup` 失败了：{said}"
            ),
            &tr!(
                "until `sudo pm setup` succeeds, what an older pm wrote calls the new one",
                "在 `sudo pm setup` 成功之前，调用新 pm 的仍是旧版写的文件"
            )
        )
    );
}

/// Puts the new program beside this one. On a terminal it shows how far it is.
fn download(here: &Installation, found: &Found) -> Result<()> {
    let mut file = here.make_new()?;
    let bar = ProgressBar::with_draw_target(
        Some(found.program.size),
        // It draws nothing where nobody watches.
        ProgressDrawTarget::stderr_with_hz(10),
    );
    let version = &found.version;
    let what = tr!("Downloading pm {version}", "正在下载 pm {version}");
    let style =
        ProgressStyle::with_template("{msg}  {bar:20}  {decimal_bytes}/{decimal_total_bytes}");
    bar.set_style(style?);
    bar.set_message(what);
    let done = found
        .source
        .program(&found.program, &mut file, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    done.map_err(UpdateError::from)?;
    Ok(())
}

/// Tidies up after an update whose process is gone, and says so.
///
/// # Errors
///
/// When it cannot: with a state of another pm's, nothing else would work either.
pub(crate) fn recover(paths: &Paths) -> Result<()> {
    tell_recovered(install::recover(paths)?.as_ref());
    Ok(())
}

/// As [`recover`], but only says so when it cannot.
pub(crate) fn recover_or_tell(paths: &Paths) {
    if let Err(error) = recover(paths) {
        tell!("{}", errors::unrecovered(error.as_ref()));
    }
}

fn tell_recovered(recovered: Option<&Recovered>) {
    match recovered {
        None => {}
        Some(Recovered::TakenBack { to }) => tell!(
            "{}",
            tr!(
                "An update to pm {to} was interrupted: configuration and usage were put back as they were before it.",
                "到 pm {to} 的更新中断了：配置和用量已恢复到更新之前。"
            )
        ),
        Some(Recovered::Completed { to }) => tell!(
            "{}",
            tr!(
                "The update to pm {to} was interrupted at its end, and is complete.",
                "到 pm {to} 的更新在最后一步中断，现已完成。"
            )
        ),
    }
}

/// Returns the tick lock that the pm that started this one shares with it.
pub(crate) fn shared_tick_lock(paths: &Paths) -> Result<Option<Lock>> {
    let descriptor = std::env::var(trial::LOCK_VARIABLE).ok();
    let Some(descriptor) = descriptor.and_then(|text| text.parse().ok()) else {
        return Ok(None);
    };
    Ok(Lock::shared(paths, LockKind::Tick, descriptor)?)
}

/// Becomes a program that ends when `parent` does.
pub(crate) fn guard(parent: i32, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no program is named")?;
    set_pdeathsig(Signal::SIGKILL).context("cannot tie a process to its parent")?;
    // It may have ended before that.
    ensure!(getppid().as_raw() == parent, "the parent is gone");
    Err(process::Command::new(program).args(arguments).exec())
        .with_context(|| format!("cannot start {}", program.display()))
}
