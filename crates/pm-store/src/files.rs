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

/// Takes it for done where what should be removed or renamed is not there.
///
/// # Errors
///
/// Any other.
pub fn gone_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Returns an error of `tempfile`'s without the file's name, which nobody knows: the system's own.
///
/// The crate gives the number away in its text only.
pub fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    let code = text.split_once("(os error ").and_then(|(_, rest)| {
        let (code, _) = rest.split_once(')')?;
        code.parse().ok()
    });
    code.map_or(error, io::Error::from_raw_os_error)
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
        .map_err(|error| failed(without_path(error)))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_that_was_asked_for_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = replace(&missing, "config.json", b"").unwrap_err();
        let cause = error.to_string();
        assert!(!cause.contains(TEMP_PREFIX), "{cause}");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}
