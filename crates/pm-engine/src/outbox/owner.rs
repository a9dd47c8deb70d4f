//! Whose the outbox is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, geteuid, setfsgid, setfsuid, setgid, setgroups, setuid};

use crate::EngineError;

/// The user to whom the outbox's directory belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Owner {
    /// Returns whose a directory is.
    ///
    /// # Errors
    ///
    /// `NoOutbox` where there is none, or it is root's: what talks to the internet is not root.
    pub(crate) fn of(directory: &Path) -> Result<Self, EngineError> {
        let missing = |why: String| EngineError::NoOutbox {
            path: directory.to_owned(),
            why,
        };
        let found = fs::symlink_metadata(directory).map_err(|error| missing(error.to_string()))?;
        let (user, group) = (found.uid(), found.gid());
        if !found.is_dir() || user == 0 {
            return Err(missing(
                "it is no directory of the delivering user's".into(),
            ));
        }
        Ok(Self { user, group })
    }

    /// Runs `act` with his rights to files, and no more: what he put in the way of root's is only
    /// in his own.
    ///
    /// # Errors
    ///
    /// `NoOutbox` where this process may not take his place; nothing was done.
    pub(crate) fn act<T>(self, act: impl FnOnce() -> T) -> Result<T, EngineError> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        if geteuid() == user {
            return Ok(act());
        }
        let (root, wheel) = (setfsuid(user), setfsgid(group));
        // The calls return who it was before, and fail without a word. The group goes last, and
        // comes back first: only root may change it, by the capability, which stays.
        let is_he = setfsuid(user) == user && setfsgid(group) == group;
        let done = is_he.then(act);
        setfsgid(wheel);
        setfsuid(root);
        done.ok_or_else(|| EngineError::NoOutbox {
            path: "/".into(),
            why: "only root can act as the delivering user".into(),
        })
    }
}

/// Becomes the user to whom a directory belongs, for good. Who is him already stays.
///
/// # Errors
///
/// `NoOutbox`.
pub(crate) fn become_owner(directory: &Path) -> Result<(), EngineError> {
    let owner = Owner::of(directory)?;
    let user = Uid::from_raw(owner.user);
    if geteuid() == user {
        return Ok(());
    }
    let group = Gid::from_raw(owner.group);
    let became = setgroups(&[group])
        .and_then(|()| setgid(group))
        .and_then(|()| setuid(user));
    became.map_err(|errno| EngineError::NoOutbox {
        path: directory.to_owned(),
        why: format!("cannot become its owner: {errno}"),
    })
}
