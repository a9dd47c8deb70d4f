//! pm's data: configuration, usage, logs and locks.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pm_store::Paths;

use crate::error::{Action, SetupError};
use crate::root::Root;

/// Directories in which there is nothing but pm's.
const OWN: [&str; 2] = [Paths::STATE_DIR, Paths::LOG_DIR];

/// Returns the directories of data that are there.
pub fn present(root: &Root) -> Vec<PathBuf> {
    [Paths::CONFIG_DIR, Paths::STATE_DIR, Paths::LOG_DIR]
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| root.has_directory(path))
        .collect()
}

/// Removes the locks, which no process holds any more.
///
/// # Errors
///
/// As the system says.
pub fn remove_locks(root: &Root) -> Result<(), SetupError> {
    remove_tree(root, Path::new(Paths::RUN_DIR))
}

/// Removes the copy from before the last update, where the data itself stays: it would come back to nobody.
///
/// # Errors
///
/// As the system says.
pub fn remove_copy(root: &Root) -> Result<(), SetupError> {
    remove_tree(root, &Paths::default().rollback_dir())
}

/// Removes configuration, usage and logs; returns what is left, because it is somebody else's.
///
/// `/etc/port_monitor` is pm.sh's, too: only what pm writes there is removed, and `config.json` unless it is
/// `foreign_config`.
///
/// # Errors
///
/// As the system says; the same again removes what is left.
pub fn remove(root: &Root, foreign_config: bool) -> Result<Option<PathBuf>, SetupError> {
    let config = Path::new(Paths::CONFIG_DIR);
    for entry in fs::read_dir(root.join(config))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = config.join(&*name);
        let is_temporary = name.starts_with(".pm-") && name.ends_with(".tmp");
        match &*name {
            "versions" => remove_tree(root, &path)?,
            "config.json" if !foreign_config => remove_file(root, &path)?,
            _ if is_temporary => remove_file(root, &path)?,
            _ => {}
        }
    }
    for path in OWN {
        remove_tree(root, Path::new(path))?;
    }
    match fs::remove_dir(root.join(config)) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(Some(config.into())),
        Err(error) => Err(SetupError::io(Action::Remove, config)(error)),
    }
}

fn remove_tree(root: &Root, path: &Path) -> Result<(), SetupError> {
    match fs::remove_dir_all(root.join(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SetupError::io(Action::Remove, path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a file.
///
/// # Errors
///
/// As the system says; that it is gone already is none.
pub fn remove_file(root: &Root, path: &Path) -> Result<(), SetupError> {
    match fs::remove_file(root.join(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SetupError::io(Action::Remove, path)(error))
        }
        _ => Ok(()),
    }
}
