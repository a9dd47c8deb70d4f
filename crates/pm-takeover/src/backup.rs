//! What a tool had on the host, kept to be put back: files with modes and owners, the crontabs that its lines were in,
//! and what the kernel held, to read.
//!
//! `entries.json` is written last: without it there is no copy. Everything is for root only.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use pm_setup::Root;
use serde::{Deserialize, Serialize};

use crate::error::{Action, TakeoverError, io};

/// A file, directory or link that was kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Entry {
    path: PathBuf,
    kind: Kind,
    mode: u32,
    owner: u32,
    group: u32,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    File,
    Directory,
    Link(PathBuf),
}

/// A copy in a directory of pm's.
#[derive(Clone, Debug)]
pub struct Backup {
    directory: PathBuf,
}

const ENTRIES: &str = "entries.json";
const FILES: &str = "files";

impl Backup {
    /// Returns the one in `directory`, whether or not it was made yet.
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Copies `paths`, in the place of what was copied before.
    ///
    /// # Errors
    ///
    /// As the system says; a copy made before may be part old, part new then.
    pub fn take(&self, root: &Root, paths: &[PathBuf]) -> Result<(), TakeoverError> {
        make_private(&self.directory)?;
        let mut entries = Vec::new();
        for path in paths {
            let place = root.join(path);
            let found = match fs::symlink_metadata(&place) {
                Ok(found) => found,
                // A temporary file of the tool's that was there a moment ago.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(io(Action::Read, path)(error)),
            };
            let kind = if found.is_dir() {
                make_private(&self.kept(path))?;
                Kind::Directory
            } else if found.is_symlink() {
                Kind::Link(fs::read_link(&place).map_err(io(Action::Read, path))?)
            } else {
                let bytes = fs::read(&place).map_err(io(Action::Read, path))?;
                let kept = self.kept(path);
                make_private(kept.parent().unwrap_or(&self.directory))?;
                write(&kept, &bytes, 0o600)?;
                Kind::File
            };
            entries.push(Entry {
                path: path.clone(),
                kind,
                mode: found.mode() & 0o7777,
                owner: found.uid(),
                group: found.gid(),
            });
        }
        let text = serde_json::to_vec_pretty(&entries);
        let path = self.directory.join(ENTRIES);
        let text = text.map_err(|error| io(Action::Write, &path)(error.into()))?;
        write(&path, &text, 0o600)
    }

    /// Writes a text beside the copies, for people.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn note(&self, name: &str, text: &str) -> Result<(), TakeoverError> {
        make_private(&self.directory)?;
        write(&self.directory.join(name), text.as_bytes(), 0o600)
    }

    /// Returns where the copy of the host's `path` is.
    pub fn kept(&self, path: &Path) -> PathBuf {
        let relative = path.strip_prefix("/").unwrap_or(path);
        self.directory.join(FILES).join(relative)
    }

    /// Removes from the host what was copied, the deepest first, but for what `stays` says; a directory in which there is
    /// something else stays.
    ///
    /// # Errors
    ///
    /// As the system says; the same again goes on from there.
    pub fn remove_originals(
        &self,
        root: &Root,
        stays: &dyn Fn(&Path) -> bool,
    ) -> Result<(), TakeoverError> {
        for entry in self.entries()?.iter().rev() {
            if stays(&entry.path) {
                continue;
            }
            let place = root.join(&entry.path);
            let removed = match entry.kind {
                Kind::Directory => fs::remove_dir(&place),
                Kind::File | Kind::Link(_) => fs::remove_file(&place),
            };
            match removed {
                Err(error)
                    if ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty]
                        .contains(&error.kind()) =>
                {
                    return Err(io(Action::Remove, &entry.path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the first file that stands where one would be put back, and is another one.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn in_the_way(&self, root: &Root) -> Result<Option<PathBuf>, TakeoverError> {
        let differs = |entry: &Entry| {
            let place = root.join(&entry.path);
            let Ok(found) = fs::symlink_metadata(&place) else {
                return false;
            };
            match &entry.kind {
                Kind::Directory => !found.is_dir(),
                Kind::Link(target) => fs::read_link(&place).ok().as_ref() != Some(target),
                Kind::File => {
                    let (there, kept) = (fs::read(&place), fs::read(self.kept(&entry.path)));
                    !found.is_file() || there.ok() != kept.ok()
                }
            }
        };
        let entries = self.entries()?;
        Ok(entries.into_iter().find(differs).map(|entry| entry.path))
    }

    /// Puts everything back as it was, each directory before what is in it.
    ///
    /// # Errors
    ///
    /// As the system says; the same again goes on from there.
    pub fn put_back(&self, root: &Root) -> Result<(), TakeoverError> {
        for entry in self.entries()? {
            let place = root.join(&entry.path);
            let failed = || io(Action::Write, &entry.path);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(failed())?;
            }
            match &entry.kind {
                Kind::Directory => {
                    fs::create_dir_all(&place).map_err(failed())?;
                    let mode = Permissions::from_mode(entry.mode);
                    fs::set_permissions(&place, mode).map_err(failed())?;
                }
                Kind::Link(target) => match symlink(target, &place) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(failed()(error));
                    }
                    _ => {}
                },
                Kind::File => {
                    let kept = self.kept(&entry.path);
                    let bytes = fs::read(&kept).map_err(io(Action::Read, &kept))?;
                    write(&place, &bytes, entry.mode)?;
                }
            }
            lchown(&place, Some(entry.owner), Some(entry.group)).map_err(failed())?;
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<Entry>, TakeoverError> {
        let path = self.directory.join(ENTRIES);
        let bytes = fs::read(&path).map_err(io(Action::Read, &path))?;
        serde_json::from_slice(&bytes).map_err(|source| TakeoverError::Damaged { path, source })
    }
}

/// Makes a directory for its owner only, with those above it.
pub(crate) fn make_private(path: &Path) -> Result<(), TakeoverError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(io(Action::Write, path))
}

/// Puts a file in the place of another, whole or not at all, and on the disk.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TakeoverError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let written = || {
        let builder = || {
            tempfile::Builder::new()
                .prefix(".pm-")
                .suffix(".tmp")
                .tempfile_in(directory)
        };
        let mut file = builder()?;
        file.write_all(bytes)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(directory)?.sync_all()
    };
    written().map_err(io(Action::Write, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_back_as_it_was_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().join("host"));
        let place = root.join("/etc/tool/state");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("1.txt"), b"\xff a").unwrap();
        fs::set_permissions(place.join("1.txt"), Permissions::from_mode(0o640)).unwrap();
        symlink("nowhere", root.join("/etc/tool/link")).unwrap();
        let paths = [
            "/etc/tool",
            "/etc/tool/link",
            "/etc/tool/state",
            "/etc/tool/state/1.txt",
        ];
        let paths = paths.map(PathBuf::from);
        let backup = Backup::at(&directory.path().join("kept"));
        backup.take(&root, &paths).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
        let kept = backup.kept(Path::new("/etc/tool/state/1.txt"));
        assert_eq!(
            (mode(&kept), mode(&directory.path().join("kept"))),
            (0o600, 0o700)
        );

        fs::write(root.join("/etc/tool/mine"), "").unwrap();
        backup.remove_originals(&root, &|_| false).unwrap();
        backup.remove_originals(&root, &|_| false).unwrap();
        assert!(!place.exists() && root.join("/etc/tool/mine").exists());

        assert_eq!(backup.in_the_way(&root).unwrap(), None);
        backup.put_back(&root).unwrap();
        backup.put_back(&root).unwrap();
        assert_eq!(fs::read(place.join("1.txt")).unwrap(), b"\xff a");
        assert_eq!(mode(&place.join("1.txt")), 0o640);
        let link = fs::read_link(root.join("/etc/tool/link")).unwrap();
        assert_eq!(link, Path::new("nowhere"));
        assert_eq!(backup.in_the_way(&root).unwrap(), None);
        fs::write(place.join("1.txt"), "other").unwrap();
        let stands = backup.in_the_way(&root).unwrap();
        assert_eq!(stands.as_deref(), Some(Path::new("/etc/tool/state/1.txt")));
    }
}
