//! `config.json`: what the operator wants.
//!
//! - A save is whole or not at all: whoever reads sees the old file or the new one.
//! - What a save replaces is kept in `versions/`, as it was to the byte, the last
//!   [`KEPT_VERSIONS`] of them.
//! - Who saves holds the *write* lock ([`crate::locks`]) since before he loaded.
//! - The operator may link the configuration's directory elsewhere, not the file: to replace the
//!   link would cut it off from what it leads to, and to replace its target would write into a
//!   directory that is not pm's. A linked file is loaded all the same.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pm_core::calendar::Timestamp;
use pm_core::config::{Config, ConfigError};
use pm_core::language::Language;
use serde::Deserialize;

use crate::action::Action;
use crate::error::StoreError;
use crate::files;
use crate::paths::Paths;
use crate::state_db::StateDb;

/// How many replaced versions are kept.
pub const KEPT_VERSIONS: usize = 20;

/// The most bytes that a configuration can have; 10,000 services have about 2 MB.
const MAX_BYTES: u64 = 64 << 20;

/// A configuration and the text it came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// What the operator wants.
    pub config: Config,
    /// The file's content; empty without a file.
    pub text: String,
}

/// A version that was replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    /// Counts the versions; never used twice while any version is left.
    pub number: u64,
    /// The revision that it says it is, where it says so.
    pub revision: Option<u64>,
    /// When it was replaced, as far as the file system knows.
    pub replaced: Option<Timestamp>,
    /// Where it is.
    pub path: PathBuf,
}

/// Returns the configuration; the default one where there is no file.
///
/// # Errors
///
/// `ConfigUnreadable`, `ConfigNotUtf8`, `ConfigInvalid`, `ConfigNewer` or `ConfigOfPmSh`.
pub fn load(paths: &Paths) -> Result<Loaded, StoreError> {
    let path = paths.config_file();
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if is_missing(&path, &error) => {
            return Ok(Loaded::default());
        }
        Err(why) => return Err(StoreError::ConfigUnreadable { path, why }),
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            return Err(StoreError::ConfigNotUtf8 { path, line });
        }
    };
    match Config::parse(&text) {
        Ok(config) => Ok(Loaded { config, text }),
        Err(why @ ConfigError::NewerSchema { .. }) => Err(StoreError::ConfigNewer { path, why }),
        Err(why @ ConfigError::PmSh) => Err(StoreError::ConfigOfPmSh { path, why }),
        Err(why) => Err(StoreError::ConfigInvalid { path, why }),
    }
}

/// Returns the language that the configuration asks for, without reading the rest of it; where it
/// cannot be read, the one that the last good one asked for. `None`: it asks for none.
pub fn language(paths: &Paths) -> Option<Language> {
    #[derive(Deserialize)]
    struct Asked {
        language: Option<Language>,
    }
    let asked = |bytes: &[u8]| serde_json::from_slice::<Asked>(bytes).ok();
    let present = read(&paths.config_file()).ok();
    let last_good = || {
        let db = StateDb::open_read_only(paths).ok()??;
        asked(db.last_good_config().ok()??.as_bytes())
    };
    let asked = present.and_then(|bytes| asked(&bytes)).or_else(last_good);
    asked?.language
}

/// Returns the configuration that belongs to the usage in `db`: the one that was
/// [adopted](StateDb::adopt) with it, as long as the file does not have that yet.
///
/// # Errors
///
/// As [`load`]; `ConfigGone` where there is no file and `db` remembers one that had services:
/// nobody stops monitoring by losing a file. As [`StateDb::last_good_config`].
pub fn load_with(paths: &Paths, db: &StateDb) -> Result<Loaded, StoreError> {
    if let Some(text) = db.config_ahead()?
        && let Ok(config) = Config::parse(&text)
    {
        return Ok(Loaded { config, text });
    }
    let loaded = load(paths)?;
    if loaded.text.is_empty() {
        let last = db.last_good_config()?.unwrap_or_default();
        if Config::parse(&last).is_ok_and(|last| !last.services.is_empty()) {
            return Err(StoreError::ConfigGone {
                path: paths.config_file(),
                versions: paths.versions_dir(),
                state: paths.state_db(),
            });
        }
    }
    Ok(loaded)
}

/// Returns the configuration that belongs to the usage in `db`; where it cannot be used, the last
/// one that could, and why.
///
/// # Errors
///
/// As [`load_with`] where there was no other; as [`StateDb::last_good_config`].
pub fn load_or_last_good(
    paths: &Paths,
    db: &StateDb,
) -> Result<(Loaded, Option<StoreError>), StoreError> {
    let error = match load_with(paths, db) {
        Ok(loaded) => return Ok((loaded, None)),
        Err(error) => error,
    };
    let Some(text) = db.last_good_config()? else {
        return Err(error);
    };
    match Config::parse(&text) {
        Ok(config) => Ok((Loaded { config, text }, Some(error))),
        Err(_) => Err(error),
    }
}

/// Lets the file follow the configuration that was [adopted](StateDb::adopt) with the usage in
/// `db`, where it has not. What stood there is kept as a version.
///
/// Who does holds the *tick* lock, without which nobody writes the file.
///
/// # Errors
///
/// As [`save`]; to do it again goes on. Until then, [`load_with`] returns what was adopted.
pub fn follow(paths: &Paths, db: &mut StateDb) -> Result<(), StoreError> {
    let Some(text) = db.config_ahead()? else {
        return Ok(());
    };
    if content(paths) != text.as_bytes()
        && let Ok(config) = Config::parse(&text)
    {
        save(paths, &config)?;
    }
    db.config_followed()
}

/// Checks that the file can be replaced by one that contains `config`, as far as that can be seen.
///
/// # Errors
///
/// `ConfigRefused` and `Linked` as [`save`].
pub fn check_replacement(paths: &Paths, config: &Config) -> Result<(), StoreError> {
    let path = paths.config_file();
    if let Err(why) = config.check() {
        return Err(StoreError::ConfigRefused { path, why });
    }
    match fs::read_link(&path) {
        Ok(target) => Err(StoreError::Linked {
            path,
            target,
            option: "--config-dir",
        }),
        Err(_) => Ok(()),
    }
}

/// Puts `config` in the place of the present one, which is kept as a version.
///
/// The directory is made where it is missing. Returns the text that was written.
///
/// # Errors
///
/// - `ConfigRefused` when it could not be loaded again, such as for two services that overlap.
/// - `Linked` when `config.json` is a symbolic link.
/// - `DiskFull`, `Permission` and others as the system says.
///
/// The present configuration then stays. Only if the directory could not be written to the disk
/// at the end does the new one stand, and may be gone after a power cut.
pub fn save(paths: &Paths, config: &Config) -> Result<String, StoreError> {
    save_if(paths, config, |_| true)
}

/// Puts `config` in the place of the configuration that was loaded.
///
/// # Errors
///
/// As [`save`]; `ConfigChanged` when the file is no longer the one that was loaded, and stays.
pub fn replace(paths: &Paths, loaded: &Loaded, config: &Config) -> Result<String, StoreError> {
    save_if(paths, config, |present| present == loaded.text.as_bytes())
}

/// Returns what is in the file, good or not; nothing where it cannot be read.
pub fn content(paths: &Paths) -> Vec<u8> {
    read(&paths.config_file()).unwrap_or_default()
}

/// Puts back, byte for byte, what the file contained; nothing: there was none.
///
/// # Errors
///
/// As the system says; the present one then stays.
pub fn put_back(paths: &Paths, content: &[u8]) -> Result<(), StoreError> {
    if !content.is_empty() {
        return files::replace(&paths.config_dir, "config.json", content);
    }
    let path = paths.config_file();
    fs::remove_file(&path).map_err(|error| StoreError::io(Action::Remove, &path, error))?;
    files::sync_dir(&paths.config_dir)
}

/// Saves where `expected` says of the present content that it may be replaced.
fn save_if(
    paths: &Paths,
    config: &Config,
    expected: impl Fn(&[u8]) -> bool,
) -> Result<String, StoreError> {
    let path = paths.config_file();
    check_replacement(paths, config)?;
    let text = config.emit();
    files::create_private_dir(&paths.config_dir)?;
    files::remove_leftovers(&paths.config_dir);
    let present = || match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        present => present.map_err(|error| StoreError::io(Action::KeepVersion, &path, error)),
    };
    let found = present()?;
    if !found.is_empty() && found != text.as_bytes() {
        keep(paths, &found)?;
    }
    // Looked at once more, because keeping a version takes its time: who edits the file by hand
    // meanwhile must not lose his work.
    if !expected(&present()?) {
        return Err(StoreError::ConfigChanged { path });
    }
    files::replace(&paths.config_dir, "config.json", text.as_bytes())?;
    prune(paths);
    Ok(text)
}

/// Returns the versions that were replaced, the latest first.
///
/// # Errors
///
/// As the system says. A directory that does not exist holds none.
pub fn versions(paths: &Paths) -> Result<Vec<Version>, StoreError> {
    let dir = paths.versions_dir();
    let failed = |error| StoreError::io(Action::List, &dir, error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut versions = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if let Some((number, revision)) = entry.file_name().to_str().and_then(parse_name) {
            let kept = entry.metadata().and_then(|metadata| metadata.modified());
            versions.push(Version {
                number,
                revision,
                replaced: kept.ok().and_then(timestamp),
                path: entry.path(),
            });
        }
    }
    versions.sort_unstable_by(|a, b| (b.number, &b.path).cmp(&(a.number, &a.path)));
    Ok(versions)
}

/// Returns the configuration that was kept under a number.
///
/// # Errors
///
/// `NoSuchVersion`; `ConfigUnreadable` and `ConfigNewer` as [`load`], `VersionUnusable` for
/// anything else that is wrong with it: whatever was replaced was kept, good or not.
pub fn load_version(paths: &Paths, number: u64) -> Result<Config, StoreError> {
    let versions = versions(paths)?;
    let Some(version) = versions.iter().find(|version| version.number == number) else {
        return Err(StoreError::NoSuchVersion {
            number,
            dir: paths.versions_dir(),
        });
    };
    let path = version.path.clone();
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(why) => return Err(StoreError::ConfigUnreadable { path, why }),
    };
    match Config::parse(&String::from_utf8_lossy(&bytes)) {
        Ok(config) => Ok(config),
        Err(why @ ConfigError::NewerSchema { .. }) => Err(StoreError::ConfigNewer { path, why }),
        Err(why) => Err(StoreError::VersionUnusable { path, why }),
    }
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs())
        .ok()
        .map(Timestamp::from_unix)
}

/// Reads a regular file that is not absurdly large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: to open a FIFO would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

/// Whether there is no file, as opposed to a link that leads nowhere: that is a file gone
/// astray, and no reason to stop every service.
fn is_missing(path: &Path, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err()
}

/// As much of a configuration as the name of its version tells.
#[derive(Deserialize)]
struct Counted {
    revision: Option<u64>,
}

/// Keeps the content of `config.json` as a version.
///
/// A copy, not a hard link: an editor that writes into the file would change the version too.
fn keep(paths: &Paths, present: &[u8]) -> Result<(), StoreError> {
    let dir = paths.versions_dir();
    files::create_private_dir(&dir)?;
    files::remove_leftovers(&dir);
    let latest = versions(paths)?.into_iter().next();
    if let Some(latest) = &latest
        && read(&latest.path).is_ok_and(|kept| kept == present)
    {
        // A save that was interrupted after this kept it already.
        return files::sync_dir(&dir);
    }
    let number = latest.map_or(1, |latest| latest.number.saturating_add(1));
    let revision = serde_json::from_slice::<Counted>(present).ok();
    let revision = revision.and_then(|counted| counted.revision);
    files::replace(&dir, &name(number, revision), present)
}

/// Removes all but the latest versions, as far as possible: the configuration is saved, and the
/// next save tries again.
fn prune(paths: &Paths) {
    let versions = versions(paths).unwrap_or_default();
    for version in versions.iter().skip(KEPT_VERSIONS) {
        let _ = fs::remove_file(&version.path);
    }
}

/// The number comes first and has leading zeros, so that `ls` lists them in the order of time;
/// revisions start over when an older configuration is put back.
fn name(number: u64, revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("config-{number:06}-r{revision}.json"),
        None => format!("config-{number:06}.json"),
    }
}

fn parse_name(file: &str) -> Option<(u64, Option<u64>)> {
    let stem = file.strip_prefix("config-")?.strip_suffix(".json")?;
    let (number, revision) = match stem.split_once("-r") {
        Some((number, revision)) => (number, Some(revision.parse().ok()?)),
        None => (stem, None),
    };
    let number = number.parse().ok()?;
    (name(number, revision) == file).then_some((number, revision))
}
