//! A host's file system, or a directory that stands for one in tests.

use std::path::{Path, PathBuf};

/// Where the host's `/` is. All paths that are given here are the host's own, such as `/etc/cron.d`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Root(PathBuf);

impl Root {
    /// Returns this host's own.
    pub fn of_host() -> Self {
        Self(PathBuf::from("/"))
    }

    /// Returns one that is at `directory`.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Returns where the host's `path` is.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is a directory at `path`, or a link that leads to one.
    pub fn has_directory(&self, path: impl AsRef<Path>) -> bool {
        self.join(path).is_dir()
    }

    /// Whether there is a file at `path`, or a link that leads to one.
    pub fn has_file(&self, path: impl AsRef<Path>) -> bool {
        self.join(path).is_file()
    }

    /// Returns the text at `path`; nothing where it cannot be read.
    pub fn text(&self, path: impl AsRef<Path>) -> String {
        let bytes = std::fs::read(self.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
