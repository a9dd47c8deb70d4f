//! `cargo xtask dist`: what a release consists of, made and signed.
//!
//! ```text
//! pm-0.2.0-x86_64-unknown-linux-musl     a program for each machine
//! port-monitor_0.2.0_amd64.deb           the same for Debian's package manager
//! install.sh                             the installer, with the keys and the address in it
//! pm-release.txt                         which programs there are, how long, with which hash
//! pm-release.txt.minisig                 the signature of that
//! ```
//!
//! Building and signing can be done on different machines: `--no-build` signs what is there, so
//! that the key is nowhere near a compiler. The key is a file; its text is never on a command line.

mod deb;
mod installer;
mod signing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use pm_update::Version;
use pm_update::digest::Digest;
use pm_update::manifest::{Artefact, FILE_NAME, MAX_PROGRAM_BYTES, Manifest, SIGNATURE_NAME};
use pm_update::target::Target;

pub(crate) use self::deb::write as package;
pub(crate) use self::installer::fill;
pub(crate) use self::signing::sign_with;
use crate::test;

/// The machines that releases are made for.
const MACHINES: [&str; 2] = ["x86_64", "aarch64"];

/// The oldest pm that may go straight to the one that is released.
const OLDEST: &str = "0.1.0";

/// What to make.
#[derive(Args, Debug)]
pub(crate) struct Dist {
    /// Where to put it.
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
    /// For which machines, by their Rust target; without it, for all whose target is installed.
    #[arg(long = "target", value_name = "TRIPLE")]
    targets: Vec<String>,
    /// Cargo's profile.
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Build nothing: write and sign the manifest of what is there.
    #[arg(long)]
    no_build: bool,
    /// The file of minisign's secret key; without it, nothing is signed.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Make nothing but a secret key, without a password, in a file that is not there yet, and print its public half.
    #[arg(long, value_name = "FILE")]
    make_key: Option<PathBuf>,
}

/// Makes a release.
///
/// # Errors
///
/// When something does not compile, or could not be checked by those who get it.
pub(crate) fn run(flags: &Dist) -> Result<()> {
    if let Some(path) = &flags.make_key {
        println!("{}", signing::make_key(path)?);
        return Ok(());
    }
    let version = Version::parse(env!("CARGO_PKG_VERSION"))?;
    fs::create_dir_all(&flags.out)
        .with_context(|| format!("cannot make {}", flags.out.display()))?;
    if !flags.no_build {
        build_all(flags, &version)?;
        installer::write(&flags.out)?;
    }
    let manifest = publish(&flags.out, &version, &Version::parse(OLDEST)?)?;
    ensure!(
        !manifest.programs.is_empty(),
        "there is no program in {}",
        flags.out.display()
    );
    match &flags.key {
        Some(key) => {
            let keys = [
                std::env::var("PM_UPDATE_KEY").unwrap_or_default(),
                std::env::var("PM_UPDATE_NEXT_KEY").unwrap_or_default(),
            ];
            signing::sign(&flags.out, key, &keys)?;
            println!("signed {}", flags.out.join(SIGNATURE_NAME).display());
        }
        None => println!("NOT signed: name the secret key with --key FILE"),
    }
    print!("{manifest}");
    Ok(())
}

/// Writes the manifest of the programs of `version` that are in `out`.
///
/// # Errors
///
/// When one of them is larger than a pm takes.
pub(crate) fn publish(out: &Path, version: &Version, minimum: &Version) -> Result<Manifest> {
    let prefix = format!("pm-{version}-");
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(target) = name.strip_prefix(&prefix) else {
            continue;
        };
        let target: Target = target.parse().with_context(|| name.clone().into_owned())?;
        let size = fs::metadata(&path)?.len();
        ensure!(
            (1..=MAX_PROGRAM_BYTES).contains(&size),
            "{name} has {size} bytes, and a pm takes up to {MAX_PROGRAM_BYTES}"
        );
        let artefact = Artefact {
            size,
            sha256: Digest::of_file(&path)?,
            name: name
                .parse()
                .map_err(|fault| anyhow::anyhow!("{name}: {fault}"))?,
        };
        programs.insert(target, artefact);
    }
    let manifest = Manifest {
        version: version.clone(),
        minimum: minimum.clone(),
        programs,
    };
    fs::write(out.join(FILE_NAME), manifest.to_string())?;
    Ok(manifest)
}

fn build_all(flags: &Dist, version: &Version) -> Result<()> {
    if std::env::var("PM_UPDATE_KEY")
        .unwrap_or_default()
        .is_empty()
    {
        println!("NOTE: without PM_UPDATE_KEY, these programs will have no source of updates");
    }
    let targets = if flags.targets.is_empty() {
        installed_targets()?
    } else {
        flags.targets.clone()
    };
    for target in &targets {
        println!("building for {target}");
        let program = build(target, &flags.profile)?;
        let name = format!("pm-{version}-{target}");
        fs::copy(&program, flags.out.join(&name))
            .with_context(|| format!("cannot copy {}", program.display()))?;
        let package = package(&flags.out, version, target, &program)?;
        println!("made {name} and {}", package.display());
    }
    Ok(())
}

/// Returns the targets to build for: static ones where they are installed.
fn installed_targets() -> Result<Vec<String>> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    ensure!(output.status.success(), "rustc does not say where it is");
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let is_installed = |target: &String| {
        sysroot
            .join("lib/rustlib")
            .join(target)
            .join("lib")
            .is_dir()
    };
    let mut targets = Vec::new();
    for machine in MACHINES {
        let named = ["musl", "gnu"].map(|libc| format!("{machine}-unknown-linux-{libc}"));
        match named.iter().find(|target| is_installed(target)) {
            Some(target) => {
                if target.ends_with("gnu") {
                    println!(
                        "NOTE: {target} needs a glibc as new as this host's; `rustup target add {}` makes one that runs everywhere",
                        named[0]
                    );
                }
                targets.push(target.clone());
            }
            None => println!("SKIPPED: {machine}: `rustup target add {}`", named[0]),
        }
    }
    Ok(targets)
}

fn build(target: &str, profile: &str) -> Result<PathBuf> {
    let mut args = vec!["--profile", profile];
    // What is built for this host anyway need not be built twice.
    if target != host()? {
        args.extend(["--target", target]);
    }
    test::build(&args, &[])
}

/// Returns the target that the compiler itself runs on.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .context("rustc does not say what its host is")
}
