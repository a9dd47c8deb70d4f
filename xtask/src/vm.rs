//! The tests in a machine of their own: Debian with its own kernel, under emulation.
//!
//! What a development machine's kernel may lack is there: modules that load when they are needed, the `fw`
//! classifier, `fq_codel`; and nobody minds what happens to the machine's own network stack.
//!
//! - [`image`] makes the disk, once; [`machine`] boots it; [`job`] brings tests there and their outcomes back.
//! - [`guest`] is the other side, the same program in the guest; [`tests`] is what it runs.
//!
//! No test needs the processor's help for virtualisation, and none waits for a wall clock that runs at full speed.

mod guest;
mod image;
mod job;
mod machine;
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

pub(crate) use guest::run as run_guest;

use crate::cleanup::{self, Leftover};
use crate::test;
use image::Image;

/// The programs that make and run a machine, and the Debian packages that have them.
pub(crate) const PROGRAMS: [(&str, &str); 3] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
];

/// The file that tells a test machine from one that somebody needs.
const MARKER: &str = "/etc/pm-test-machine";

/// Runs the tests whose name contains `filter`, in as few boots as possible, and prints `N passed, N failed` last.
///
/// Where there is no machine to be had, it says so, and that is no failure.
///
/// # Errors
///
/// Without root, without a program to test, when no image can be made, or when no test was chosen. A failed test is a
/// failing exit code.
pub(crate) fn run(filter: Option<&str>, pm: Option<PathBuf>, quick: bool) -> Result<ExitCode> {
    if let Some(reason) = obstacle() {
        println!("SKIPPED: the tests in a machine of their own: {reason}");
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "making a machine's disk needs root: run the same command under `sudo -E env \"PATH=$PATH\"`"
    );
    let pm = match pm {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no program at {}", path.display()))?,
        None => test::build_pm()?,
    };
    let chosen: Vec<_> = tests::all()
        .filter(|test| filter.is_none_or(|part| test.name().contains(part)))
        .filter(|test| test.is_quick() || !quick)
        .collect();
    ensure!(!chosen.is_empty(), "no test is called like that");
    let started = Instant::now();
    let directory = target_directory()?.join("vm");
    // Before interrupts are handled here: they end the programs that make the image.
    for test in &chosen {
        Image::in_directory(&directory, test.system)?;
    }
    println!(
        "images ready after {:.0} s",
        started.elapsed().as_secs_f64()
    );
    cleanup::on_interrupt()?;
    let scratch = directory.join(format!("run-{}", std::process::id()));
    cleanup::register(Leftover::Directory(scratch.clone()));
    let tally = std::fs::create_dir(&scratch)
        .map_err(Into::into)
        .and_then(|()| {
            let image_of = |system| Image::in_directory(&directory, system);
            job::run_all(image_of, &pm, &chosen, &scratch)
        });
    cleanup::discard(&Leftover::Directory(scratch));
    let tally = tally?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says why there can be no machine here.
pub(crate) fn obstacle() -> Option<String> {
    unsuited().or_else(|| {
        PROGRAMS
            .iter()
            .find(|(program, _)| test::find(program).is_none())
            .map(|(program, package)| {
                format!(
                    "{program} is missing (`apt-get install --no-install-recommends {package}`)"
                )
            })
    })
}

/// Says why no package would help.
pub(crate) fn unsuited() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        Some("they are for x86-64".to_owned())
    } else if debian_release().is_none() {
        Some(
            "the machine's system is made of Debian's packages, and this is another system"
                .to_owned(),
        )
    } else {
        None
    }
}

/// Returns the name of the Debian release that this machine runs, such as `bookworm`.
fn debian_release() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find_map(|(name, value)| (name == key).then(|| value.trim_matches('"').to_owned()))
    };
    value("ID").filter(|id| id == "debian")?;
    value("VERSION_CODENAME")
}

/// Cargo's target directory: this program is in one of its subdirectories.
fn target_directory() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    this.parent()
        .and_then(Path::parent)
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in a target directory", this.display()))
}
