//! Releases for tests: two versions of pm that differ as versions do, keys to throw away, and a server.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use minisign::KeyPair;
use pm_update::Version;

pub(crate) use server::{Fault, Server};

use crate::dist;
use crate::lab::Lab;
use crate::namespace::run;
use crate::test;

/// What all tests of updates share.
pub(crate) struct Programs {
    /// The pm that is there first; it believes `keys`.
    pub(crate) old: PathBuf,
    /// Its version.
    pub(crate) old_version: Version,
    /// The pm of this source as its next release would be: another version, and another schema of state.db.
    pub(crate) new: PathBuf,
    /// Its version.
    pub(crate) new_version: Version,
    /// The key that signs now.
    pub(crate) keys: KeyPair,
    /// The key that will sign next.
    pub(crate) next_keys: KeyPair,
}

/// A place from which pm is installed.
pub(crate) struct Publisher {
    keys: KeyPair,
    next_key: String,
    directory: PathBuf,
    server: Server,
}

impl Publisher {
    /// Opens one in the VPS, without a release yet.
    ///
    /// # Errors
    ///
    /// When the server cannot be started.
    pub(crate) fn new(lab: &Lab, keys: &KeyPair, next_keys: &KeyPair) -> Result<Self> {
        let directory = lab.directory().join("releases");
        fs::create_dir(&directory)?;
        Ok(Self {
            keys: keys.clone(),
            next_key: next_keys.pk.to_base64(),
            server: Server::start(&lab.vps, &directory)?,
            directory,
        })
    }

    /// Publishes a program as the newest release.
    ///
    /// # Errors
    ///
    /// When it cannot be read, signed or written.
    pub(crate) fn publish(&self, version: &Version, program: &Path) -> Result<()> {
        release(
            &self.directory,
            version,
            &target(),
            &fs::read(program)?,
            &self.keys,
        )
    }

    /// Returns the installer as a release has it.
    ///
    /// # Errors
    ///
    /// When it cannot be read or filled in.
    pub(crate) fn installer(&self) -> Result<String> {
        installer(&self.keys, &self.next_key, &self.server)
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

/// Returns the installer as a release has it, with the public key of `keys` and that server's address in it.
///
/// # Errors
///
/// When it cannot be read or filled in.
pub(crate) fn installer(keys: &KeyPair, next_key: &str, server: &Server) -> Result<String> {
    let text = fs::read_to_string(test::root().join("install.sh"))?;
    dist::fill(&text, |name| match name {
        "PM_UPDATE_KEY" => keys.pk.to_base64(),
        "PM_UPDATE_NEXT_KEY" => next_key.to_owned(),
        _ => server.url(),
    })
}

/// Returns them; they are built at the first call, as debug builds.
///
/// # Errors
///
/// When they do not compile.
pub(crate) fn programs() -> Result<&'static Programs> {
    static PROGRAMS: OnceLock<Result<Programs, String>> = OnceLock::new();
    let made = PROGRAMS.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<Programs> {
    let (keys, next_keys) = (
        KeyPair::generate_unencrypted_keypair()?,
        KeyPair::generate_unencrypted_keypair()?,
    );
    let old_version = Version::parse(env!("CARGO_PKG_VERSION"))?;
    let new_version = Version::new(old_version.major, old_version.minor + 1, 0);
    let (key, next_key) = (keys.pk.to_base64(), next_keys.pk.to_base64());
    let variables = [
        ("PM_UPDATE_KEY", key.as_str()),
        ("PM_UPDATE_NEXT_KEY", next_key.as_str()),
    ];
    let home = test::root().join("target/update-test");
    // One place for both, and none of this source's own builds in it: cargo tells apart by their
    // time what is built of the same files in the same place.
    let (source, target) = (home.join("source"), home.join("build"));
    let target = target.to_string_lossy();
    let made = |name: &str, change: &dyn Fn(&Path, String) -> Result<String>| -> Result<PathBuf> {
        copy_source(&source, change)?;
        let program = test::build_in(&source, &["--offline", "--target-dir", &target], &variables)?;
        // Without its symbols it is no larger than a release may be.
        let stripped = home.join(format!("pm-{name}"));
        run(
            Command::new("strip").arg("-o").args([&stripped, &program]),
            None,
        )?
        .success()?;
        Ok(stripped)
    };
    let old = made("old", &|_, text| Ok(text))?;
    let new = made("new", &|path, text| {
        as_next_release(path, text, &old_version, &new_version)
    })?;
    Ok(Programs {
        old,
        old_version,
        new,
        new_version,
        keys,
        next_keys,
    })
}

/// Copies what pm is built from, file by file and only what differs, so that cargo builds no more than that anew.
fn copy_source(to: &Path, change: &dyn Fn(&Path, String) -> Result<String>) -> Result<()> {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("Cargo.lock")];
    list(Path::new("crates"), &mut files)?;
    // A crate that is gone would still be a member.
    if let Ok(copied) = fs::read_dir(to.join("crates")) {
        for entry in copied.flatten() {
            if !test::root().join("crates").join(entry.file_name()).exists() {
                fs::remove_dir_all(entry.path())?;
            }
        }
    }
    for file in files {
        let from = test::root().join(&file);
        let bytes = fs::read(&from).with_context(|| from.display().to_string())?;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => change(&file, without_xtask(&file, text))?.into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let to = to.join(&file);
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            fs::write(&to, bytes)?;
        }
    }
    Ok(())
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(test::root().join(dir))? {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn without_xtask(file: &Path, text: String) -> String {
    if file == Path::new("Cargo.toml") {
        text.replacen(", \"xtask\"]", "]", 1)
    } else {
        text
    }
}

/// Makes the changes that a release makes: the version, and one more migration.
fn as_next_release(file: &Path, text: String, old: &Version, new: &Version) -> Result<String> {
    let replaced = |from: &str, to: &str| {
        ensure!(text.contains(from), "{} has no {from}", file.display());
        Ok(text.replacen(from, to, 1))
    };
    match file.to_str() {
        Some("Cargo.toml") => replaced(
            &format!("\nversion = \"{old}\""),
            &format!("\nversion = \"{new}\""),
        ),
        Some("crates/pm-store/src/migrations.rs") => {
            let (head, rest) = text
                .split_once("const MIGRATIONS: [&str; ")
                .context("migrations.rs has no list")?;
            let (count, rest) = rest.split_once(']').context("the list has no length")?;
            let count: usize = count.parse()?;
            let (migrations, tail) = rest.split_once("\n];").context("the list has no end")?;
            Ok(format!(
                "{head}const MIGRATIONS: [&str; {}]{migrations}\n    \
                 \"CREATE TABLE of_the_next_release (id INTEGER PRIMARY KEY) STRICT; \
                 CREATE INDEX day_of_the_next_release ON day (first_port); \
                 UPDATE day SET used_in = used_in;\",\n];{tail}",
                count + 1
            ))
        }
        _ => Ok(text),
    }
}

/// Makes a directory with a release of one program in it, signed.
///
/// # Errors
///
/// When a file cannot be written.
pub(crate) fn release(
    dir: &Path,
    version: &Version,
    target: &str,
    program: &[u8],
    keys: &KeyPair,
) -> Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    fs::write(dir.join(format!("pm-{version}-{target}")), program)?;
    dist::publish(dir, version, &Version::new(0, 1, 0))?;
    dist::sign_with(dir, &keys.sk)
}

/// Returns the target of programs that are built here.
pub(crate) fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
