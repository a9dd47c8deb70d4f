//! The directory of the user who delivers messages.
//!
//! It is his alone. He reaches it through pm's own directory, in which he may look at nothing: what
//! is there keeps its own modes.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use nix::unistd::geteuid;

use crate::apply::Standing;
use crate::error::{Action, SetupError};
use crate::root::Root;
use crate::user;

/// Others may go through, and no more.
const PASSABLE: u32 = 0o011;

/// Returns how it stands.
pub(crate) fn standing(root: &Root, path: &Path) -> Result<Standing, SetupError> {
    let found = match fs::symlink_metadata(root.join(path)) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Missing),
        Err(error) => return Err(SetupError::io(Action::Read, path)(error)),
    };
    if !found.is_dir() {
        return Ok(Standing::Foreign);
    }
    // Nobody but root could give it away.
    let is_his =
        !geteuid().is_root() || user::ids(root).is_none_or(|ids| ids == (found.uid(), found.gid()));
    let is_private = found.mode() & 0o077 == 0;
    let parent = path.parent().map(|parent| fs::metadata(root.join(parent)));
    let is_passable = match parent {
        Some(Ok(parent)) => parent.mode() & PASSABLE == PASSABLE,
        _ => true,
    };
    Ok(match is_his && is_private && is_passable {
        true => Standing::Current,
        false => Standing::Outdated,
    })
}

/// Makes it, and gives it to him.
pub(crate) fn make(root: &Root, path: &Path) -> Result<(), SetupError> {
    let failed = SetupError::io(Action::MakeDirectory, path);
    make_private(root, path).map_err(failed)
}

fn make_private(root: &Root, path: &Path) -> std::io::Result<()> {
    let place = root.join(path);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
        let mode = fs::metadata(parent)?.mode() & 0o7777;
        fs::set_permissions(parent, Permissions::from_mode(mode | PASSABLE))?;
    }
    match fs::create_dir(&place) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::set_permissions(&place, Permissions::from_mode(0o700))?;
    match user::ids(root) {
        Some((user, group)) if geteuid().is_root() => chown(&place, Some(user), Some(group)),
        _ => Ok(()),
    }
}
