//! `cargo xtask test`: the one command that passes every test.
//!
//! As root nothing may be skipped: what is missing is installed, and a test that cannot run fails. Without root the
//! tests in network namespaces and in a machine of their own are skipped, and the last lines say so; so are the
//! latter on systems that such a machine cannot be made of.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{calendar, netns, vm};

/// A program that the tests call, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 14] = [
    ("cc", "gcc"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setarch", "util-linux"),
    ("mount", "mount"),
    ("script", "bsdutils"),
    ("strace", "strace"),
    ("systemd-analyze", "systemd"),
    ("shellcheck", "shellcheck"),
    ("dash", "dash"),
    ("strip", "binutils"),
];

/// Crates that pm-core must not depend on: the rest of pm, and everything that reaches the system.
const IMPURE: [&str; 11] = [
    "pm-netlink",
    "pm-nft",
    "pm-tc",
    "pm-store",
    "pm-notify",
    "pm-setup",
    "pm-update",
    "pm-engine",
    "neli",
    "nix",
    "rusqlite",
];

/// Returns a Python that has a module; the first one on the path may be another than the system's.
pub(crate) fn python_with(module: &str) -> Option<&'static str> {
    let import = format!("import {module}");
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-c", &import])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Runs all stages in order and stops at the first that fails.
///
/// # Errors
///
/// Names the stage that failed.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let root = nix::unistd::geteuid().is_root();
    stage("packages", || {
        install_missing(&PROGRAMS, root)?;
        if root {
            install_missing(&netns::installer::PROGRAMS, root)?;
            install_missing(&netns::notify::PROGRAMS, root)?;
        }
        if root && calendar::python().is_none() {
            install_missing(&[("a Python with dateutil", "python3-dateutil")], root)?;
        }
        if root && python_with("aiosmtpd").is_none() {
            install_missing(&[("a Python with aiosmtpd", "python3-aiosmtpd")], root)?;
        }
        if root && vm::unsuited().is_none() {
            install_missing(&vm::PROGRAMS, root)?;
        }
        Ok(())
    })?;
    stage("rust components", components)?;
    stage("format", || cargo(&["fmt", "--all", "--check"]))?;
    stage("clippy", || {
        cargo(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    stage("unit, property and golden tests", || {
        if find("cargo-nextest").is_some() {
            cargo(&["nextest", "run", "--workspace", "--no-tests=pass"])
        } else {
            cargo(&["test", "--quiet", "--workspace", "--all-targets"])
        }
    })?;
    stage("documentation tests", || {
        cargo(&["test", "--quiet", "--workspace", "--doc"])
    })?;
    stage("purity of pm-core", purity)?;
    let oracle = root || calendar::python().is_some();
    if oracle {
        stage("calendar against python-dateutil", || calendar::run(None))?;
    }
    if root {
        let pm = stage("release build", build_pm)?;
        // A process of its own: it handles interrupts differently.
        stage("netns tests", || {
            let this = std::env::current_exe()?;
            check(Command::new(this).arg("netns-test").arg("--pm").arg(&pm))
        })?;
        if let Some(reason) = vm::obstacle() {
            println!(
                "passed in {:.0?}, without a machine of their own for tests",
                started.elapsed()
            );
            println!("SKIPPED: the tests in a machine of their own: {reason}");
            return Ok(());
        }
        stage("tests in a machine of their own", || {
            let this = std::env::current_exe()?;
            let mut test = Command::new(this);
            check(test.args(["vm-test", "--quick", "--pm"]).arg(&pm))
        })?;
        println!("all tests passed in {:.0?}", started.elapsed());
    } else {
        println!(
            "passed in {:.0?}, without the netns and machine tests",
            started.elapsed()
        );
        println!(
            "SKIPPED: the netns tests (real traffic in network namespaces) need root: sudo cargo xtask netns-test"
        );
        println!(
            "SKIPPED: the tests in a machine of their own need root: sudo cargo xtask vm-test"
        );
        if !oracle {
            println!("SKIPPED: the calendar's oracle needs python3-dateutil: cargo xtask calendar");
        }
    }
    Ok(())
}

/// Makes a release build of `pm` and returns where it is.
///
/// # Errors
///
/// When it does not compile.
pub(crate) fn build_pm() -> Result<PathBuf> {
    build(&["--release"], &[])
}

/// Builds `pm` with more arguments for cargo and more variables, and returns where it is.
///
/// # Errors
///
/// When it does not compile.
pub(crate) fn build(args: &[&str], variables: &[(&str, &str)]) -> Result<PathBuf> {
    build_in(&root(), args, variables)
}

/// As [`build`], of the source in another directory.
///
/// # Errors
///
/// As [`build`].
pub(crate) fn build_in(
    source: &Path,
    args: &[&str],
    variables: &[(&str, &str)],
) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .current_dir(source)
        .args(["build", "--quiet", "--package", "pm-cli", "--bin", "pm"])
        .args(args)
        .args(["--message-format", "json-render-diagnostics"])
        .envs(variables.iter().copied())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "pm does not compile");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "pm")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo built pm but did not say where")
}

/// Returns what a `pm` of this source prints.
///
/// # Errors
///
/// When it does not compile, or fails.
pub(crate) fn pm_prints(args: &[&str]) -> Result<Vec<u8>> {
    let mut pm = command("cargo");
    pm.args(["run", "--quiet", "--package", "pm-cli", "--bin", "pm", "--"]);
    let output = pm.args(args).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo")?;
    ensure!(output.status.success(), "`pm {}` failed", args.join(" "));
    Ok(output.stdout)
}

/// Writes pm's man pages, which a program of this source makes.
///
/// # Errors
///
/// When it does not compile, or cannot write them.
pub(crate) fn write_man_pages(dir: &Path) -> Result<()> {
    let mut pm = command("cargo");
    pm.args(["run", "--quiet", "--package", "pm-cli", "--bin", "pm"]);
    let status = pm.args(["--", "man"]).arg(dir).status();
    ensure!(
        status.context("cannot start cargo")?.success(),
        "`pm man` failed"
    );
    Ok(())
}

fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {name}");
    let started = Instant::now();
    let result = work().with_context(|| format!("stage \"{name}\" failed"))?;
    println!("== {name}: ok, {:.1} s", started.elapsed().as_secs_f64());
    Ok(result)
}

/// Installs the Debian packages of those programs that are missing, as root and where there is apt-get.
///
/// # Errors
///
/// When it may not and they are needed, with the command that would.
pub(crate) fn install_missing(programs: &[(&str, &'static str)], root: bool) -> Result<()> {
    let mut missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    );
    if root && find("apt-get").is_some() {
        println!("installing {}", missing.join(" "));
        let mut update = command("apt-get");
        check(update.args(["-qq", "update"]))?;
        let mut install = command("apt-get");
        install
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(line.split(' ').skip(1))
            .arg("-qq");
        return check(&mut install);
    }
    if root || missing.contains(&"gcc") {
        bail!(
            "missing programs; install them with `{line}` (Debian, Ubuntu) or what your system calls these packages"
        );
    }
    println!("missing, but only needed with root: `sudo {line}`");
    Ok(())
}

/// A minimal Rust comes without the formatter and the linter; rustup adds them.
fn components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let known = command("cargo")
            .args([subcommand, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !known {
            check(command("rustup").args(["component", "add", component])).with_context(|| {
                format!("cargo {subcommand} is missing; install Rust's {component} component")
            })?;
        }
    }
    Ok(())
}

fn purity() -> Result<()> {
    for package in ["pm-core", "pm-legacy"] {
        let output = command("cargo")
            .args([
                "tree",
                "--package",
                package,
                "--edges",
                "normal",
                "--prefix",
                "none",
            ])
            .output()
            .context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = impure(&tree);
        ensure!(
            found.is_empty(),
            "{package} must stay free of {}, and depends on {found:?}",
            IMPURE.join(", ")
        );
    }
    Ok(())
}

/// Returns the crates of a dependency list that a pure crate must not have.
fn impure(tree: &str) -> Vec<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| IMPURE.contains(name))
        .collect()
}

fn cargo(args: &[&str]) -> Result<()> {
    check(command("cargo").args(args))
}

fn check(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// A command at the root of the workspace.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.parent().unwrap_or(this).to_owned()
}

/// Finds a program on the path or where the system's own are.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purity_finds_a_forbidden_crate_by_its_whole_name() {
        let tree =
            "pm-core v0.1.0 (/pm/crates/pm-core)\nserde v1.0.0\nnixish v1.0.0\nneli v0.7.0 (*)\n";
        assert_eq!(impure(tree), ["neli"]);
    }

    #[test]
    fn a_program_is_found_on_the_path_or_not_at_all() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
