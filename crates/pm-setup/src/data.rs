//! pm's data: configuration, usage, logs and locks.
//!
//! What goes is what is known by its name to be pm's. Anything else in the directories, and a directory that the
//! operator has put elsewhere, stays.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pm_store::{Paths, gone_is_fine};

use crate::apply::write;
use crate::error::{Action, SetupError};
use crate::root::Root;

/// What stays where data was, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Remains {
    /// A directory with something in it that is not pm's.
    Foreign(PathBuf),
    /// A link to a directory, or where a disk is mounted: pm did not make it, and what was pm's in it is gone.
    Elsewhere(PathBuf),
}

/// What uninstall leaves beside data that it keeps, so that the next setup puts the rules back.
const KEPT: &str = "/var/lib/port_monitor/kept-by-uninstall";

/// Where data is.
const DIRECTORIES: [&str; 3] = [Paths::CONFIG_DIR, Paths::STATE_DIR, Paths::LOG_DIR];

/// Returns the directories of data that are there.
pub fn present(root: &Root) -> Vec<PathBuf> {
    let all = DIRECTORIES.map(PathBuf::from).into_iter();
    all.filter(|path| root.has_directory(path)).collect()
}

/// Returns what is in the directories of data and not pm's.
pub fn foreign(root: &Root) -> Vec<PathBuf> {
    let entries = DIRECTORIES
        .iter()
        .flat_map(|directory| entries(root, Path::new(directory)));
    let mut foreign: Vec<PathBuf> = entries
        .filter(|path| belongs(root, path) == Belongs::Others)
        .collect();
    foreign.sort();
    foreign
}

/// Notes that uninstall takes the rules out of the kernel, and not the operator.
///
/// # Errors
///
/// As the system says.
pub fn note_kept(root: &Root) -> Result<(), SetupError> {
    let mode = fs::Permissions::from_mode(0o600);
    write(root, Path::new(KEPT), b"", mode, None)
}

/// Whether uninstall took the rules out of the kernel, and nothing has put them back since.
pub fn is_kept(root: &Root) -> bool {
    root.has_file(KEPT)
}

/// Forgets that: the rules are back, or the operator wants them out.
///
/// # Errors
///
/// As the system says.
pub fn forget_kept(root: &Root) -> Result<(), SetupError> {
    // On a disk that cannot be written to there may be nothing to forget.
    match is_kept(root) {
        true => remove_file(root, Path::new(KEPT)),
        false => Ok(()),
    }
}

/// Removes the locks. Who holds them may still do so until his process ends.
///
/// # Errors
///
/// As the system says. That something else is there is none: it will be gone with the next boot.
pub fn remove_locks(root: &Root) -> Result<(), SetupError> {
    let directory = Path::new(Paths::RUN_DIR);
    for path in entries(root, directory) {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            remove_file(root, &path)?;
        }
    }
    match fs::remove_dir(root.join(directory)) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone_is_fine(removed).map_err(SetupError::io(Action::Remove, directory)),
    }
}

/// Removes the copy from before the last update, where the data itself stays: it would come back to nobody.
///
/// # Errors
///
/// As the system says.
pub fn remove_copy(root: &Root) -> Result<(), SetupError> {
    remove_tree(root, &Paths::default().rollback_dir())
}

/// Removes configuration, usage and logs; returns what is left.
///
/// # Errors
///
/// As the system says; the same again removes what is left.
pub fn remove(root: &Root) -> Result<Vec<Remains>, SetupError> {
    let mut remains = Vec::new();
    for directory in DIRECTORIES.map(Path::new) {
        for path in entries(root, directory) {
            match belongs(root, &path) {
                Belongs::Pm => remove_file(root, &path)?,
                Belongs::Whole => remove_tree(root, &path)?,
                Belongs::Others => {}
            }
        }
        remains.extend(remove_emptied(root, directory)?);
    }
    Ok(remains)
}

fn remove_emptied(root: &Root, directory: &Path) -> Result<Option<Remains>, SetupError> {
    let place = root.join(directory);
    let failed = SetupError::io(Action::Remove, directory);
    match fs::symlink_metadata(&place) {
        Ok(found) if found.is_dir() => {}
        Ok(_) if entries(root, directory).next().is_some() => {
            return Ok(Some(Remains::Foreign(directory.into())));
        }
        Ok(_) => return Ok(Some(Remains::Elsewhere(directory.into()))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    match fs::remove_dir(place) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            Ok(Some(Remains::Foreign(directory.into())))
        }
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {
            Ok(Some(Remains::Elsewhere(directory.into())))
        }
        removed => gone_is_fine(removed).map(|()| None).map_err(failed),
    }
}

/// Whose something in a directory of data is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Belongs {
    Pm,
    /// pm's, with all that is in it.
    Whole,
    Others,
}

fn belongs(root: &Root, path: &Path) -> Belongs {
    let directory = path.parent().and_then(Path::to_str).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // What a write that was interrupted leaves.
    let is_temporary = name.starts_with(".pm-");
    match (directory, &*name) {
        (Paths::CONFIG_DIR, "versions")
        | (Paths::STATE_DIR, "update" | "outbox" | "takeover" | "backups") => Belongs::Whole,
        (Paths::CONFIG_DIR, "config.json") if is_config_ours(root, path) => Belongs::Pm,
        (Paths::STATE_DIR, "made-by-setup" | "kept-by-uninstall" | "before-import.pm") => {
            Belongs::Pm
        }
        (Paths::STATE_DIR, name) if name == "state.db" || name.starts_with("state.db-") => {
            Belongs::Pm
        }
        (Paths::LOG_DIR, name) if name == "pm.log" || name.starts_with("pm.log.") => Belongs::Pm,
        _ if is_temporary => Belongs::Pm,
        _ => Belongs::Others,
    }
}

/// Whether a `config.json` is pm's: it has a `schema`, also where it is torn or was edited badly. pm.sh's has none,
/// and pm takes none without.
fn is_config_ours(root: &Root, path: &Path) -> bool {
    let is_file = fs::symlink_metadata(root.join(path)).is_ok_and(|found| found.is_file());
    is_file && root.text(path).contains("\"schema\"")
}

/// Returns the paths of what is in a directory.
fn entries(root: &Root, directory: &Path) -> impl Iterator<Item = PathBuf> {
    let directory = directory.to_owned();
    let entries = fs::read_dir(root.join(&directory)).into_iter().flatten();
    entries
        .flatten()
        .map(move |entry| directory.join(entry.file_name()))
}

fn remove_tree(root: &Root, path: &Path) -> Result<(), SetupError> {
    gone_is_fine(fs::remove_dir_all(root.join(path))).map_err(SetupError::io(Action::Remove, path))
}

/// Removes a file.
///
/// # Errors
///
/// As the system says; that it is gone already is none.
pub fn remove_file(root: &Root, path: &Path) -> Result<(), SetupError> {
    gone_is_fine(fs::remove_file(root.join(path))).map_err(SetupError::io(Action::Remove, path))
}
