//! Files that the operator names: archives of his, and what he wants.
//!
//! - One is written whole or not at all, for its owner only, and takes nobody's place unless that
//!   is said. It is never written through a link: what stands in its place is replaced, not
//!   followed.
//! - One is read only if it is a regular file of a size that can be, and again not through a link:
//!   where root reads, a link that another user made would show what is not his.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::action::{Action, Expected};
use crate::error::StoreError;
use crate::files;

/// Writes a file with mode 0600. With `overwrite`, it takes the place of a regular file.
///
/// # Errors
///
/// `Exists`, `WrongKind`, and as the system says; what was there is as it was.
pub fn write(path: &Path, bytes: &[u8], overwrite: bool) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(Action::Write, path, error);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(StoreError::WrongKind {
                path: path.to_owned(),
                expected: Expected::File,
            });
        }
        Ok(_) if !overwrite => return Err(exists(path)),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(files::TEMP_PREFIX)
        .suffix(files::TEMP_SUFFIX)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(failed)?;
    file.as_file_mut().write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let placed = match overwrite {
        true => file.persist(path),
        false => file.persist_noclobber(path),
    };
    match placed {
        Ok(_) => files::sync_dir(dir),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(failed(error.error)),
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
///
/// `WrongKind` for a link, a directory, a pipe; `TooLarge`, and as the system says.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, StoreError> {
    let failed = |error: io::Error| match error.raw_os_error() {
        // Source: open(2), `O_NOFOLLOW`.
        Some(number) if number == nix::errno::Errno::ELOOP as i32 => StoreError::WrongKind {
            path: path.to_owned(),
            expected: Expected::File,
        },
        _ => StoreError::io(Action::Read, path, error),
    };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(failed)?;
    read_open(&file, path, most)
}

fn read_open(file: &File, path: &Path, most: usize) -> Result<Vec<u8>, StoreError> {
    let failed = |error| StoreError::io(Action::Read, path, error);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(StoreError::WrongKind {
            path: path.to_owned(),
            expected: Expected::File,
        });
    }
    read_all(file, path, most)
}

/// Reads what comes, at most `most` bytes; `name` is for errors.
///
/// # Errors
///
/// `TooLarge`, and as the system says.
pub fn read_all(source: impl Read, name: &Path, most: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let most_and_one = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    source
        .take(most_and_one)
        .read_to_end(&mut bytes)
        .map_err(|error| StoreError::io(Action::Read, name, error))?;
    if bytes.len() > most {
        return Err(StoreError::TooLarge {
            path: name.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

fn exists(path: &Path) -> StoreError {
    StoreError::Exists {
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_overwritten_or_followed_that_was_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        write(&path, b"first", false).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = write(&path, b"second", false);
        assert!(matches!(again, Err(StoreError::Exists { .. })));
        write(&path, b"second", true).unwrap();
        assert_eq!(read(&path, 6).unwrap(), b"second");
        symlink(&path, &other).unwrap();
        for overwrite in [false, true] {
            let through = write(&other, b"third", overwrite);
            assert!(matches!(through, Err(StoreError::WrongKind { .. })));
        }
        let through = read(&other, 100);
        assert!(matches!(through, Err(StoreError::WrongKind { .. })));
        assert!(matches!(
            read(dir.path(), 9),
            Err(StoreError::WrongKind { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let zeros = io::repeat(0);
        let result = read_all(zeros, Path::new("-"), 1000);
        assert!(matches!(
            result,
            Err(StoreError::TooLarge { most: 1000, .. })
        ));
        assert_eq!(read_all(&b"1234"[..], Path::new("-"), 4).unwrap(), b"1234");
    }
}
