//! Files that outlive a power cut: made private, written beside and renamed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::action::{Action, Expected};
use crate::error::StoreError;

/// Makes sure that a directory exists; what is made is for its owner only.
///
/// One that exists keeps its mode: the operator may have a reason.
///
/// # Errors
///
/// `WrongKind` when something else stands there, else as the system says; parents that were
/// made stay.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(StoreError::WrongKind {
                path: path.to_owned(),
                expected: Expected::Directory,
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io(Action::LookAt, path, error)),
    }
    let create = DirBuilder::new().recursive(true).mode(0o700).create(path);
    create.map_err(|error| StoreError::io(Action::MakeDirectory, path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Writes a directory's entries to the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let sync = File::open(path).and_then(|dir| dir.sync_all());
    sync.map_err(|error| StoreError::io(Action::SyncDirectory, path, error))
}

/// Puts `bytes` in the place of the file `name` in `dir`, whole or not at all.
///
/// The new file is made beside the old one under a name that nobody can have prepared, with
/// mode 0600, and is on the disk before it takes the old one's name.
///
/// # Errors
///
/// As the system says; the old file is then still there, except where only the directory could
/// not be written to the disk: then a power cut decides which of the two is.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(name);
    let failed = |error| StoreError::io(Action::Write, &path, error);
    let mut file = tempfile::Builder::new()
        .prefix(TEMP_PREFIX)
        .suffix(TEMP_SUFFIX)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(failed)?;
    file.as_file_mut().write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    sync_dir(dir)
}

/// Removes what an interrupted [`replace`] left in `dir`, as far as possible.
pub(crate) fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX) {
            // It is in nobody's way: whether it can be removed decides nothing.
            let _ = fs::remove_file(entry.path());
        }
    }
}

pub(crate) const TEMP_PREFIX: &str = ".pm-";
pub(crate) const TEMP_SUFFIX: &str = ".tmp";
