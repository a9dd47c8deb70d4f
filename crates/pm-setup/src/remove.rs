//! Taking away what a footprint says, and nothing else.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::apply::{RECORD, Standing, read, recorded, rewrite_crontab, standing};
use crate::cron;
use crate::error::{Action, SetupError};
use crate::footprint::{Footprint, Piece};
use crate::root::Root;
use crate::sysvinit;
use crate::tools::Tools;
use crate::user;

/// Returns the pieces of `footprint` that are there and pm's, but for directories of data.
pub fn present(root: &Root, footprint: &Footprint) -> Vec<Piece> {
    let is_present = |piece: &&Piece| {
        let is_data = matches!(piece, Piece::Directory { .. });
        !is_data && standing(root, piece).is_ok_and(is_ours)
    };
    footprint
        .pieces
        .iter()
        .filter(is_present)
        .cloned()
        .collect()
}

fn is_ours(standing: Standing) -> bool {
    match standing {
        Standing::Current | Standing::Outdated | Standing::Edited => true,
        Standing::Missing | Standing::Foreign => false,
    }
}

/// Removes every piece of `footprint` that is there and pm's, the last made first, and tells `report` of each;
/// then the directories and crontabs that pm had to make for them, where nobody else uses them.
///
/// One piece that cannot be removed keeps none of the others.
///
/// # Errors
///
/// All there were; the same again tries what is left.
pub fn remove(
    root: &Root,
    tools: &mut impl Tools,
    footprint: &Footprint,
    mut report: impl FnMut(&Piece),
) -> Result<(), Vec<SetupError>> {
    let mut errors = Vec::new();
    for piece in present(root, footprint).iter().rev() {
        match remove_one(root, tools, piece) {
            Ok(()) => report(piece),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        // The deepest first.
        for path in recorded(root).iter().rev() {
            if let Err(error) = remove_made(root, path) {
                errors.push(error);
            }
        }
    }
    if errors.is_empty() {
        let removed = fs::remove_file(root.join(RECORD));
        if let Err(error) = gone_is_fine(removed) {
            errors.push(SetupError::io(Action::Remove, Path::new(RECORD))(error));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Removes the pieces that are pm's of a way in which it is not called any more, such as a cron file where systemd
/// is now.
///
/// # Errors
///
/// As [`remove`].
pub fn remove_stale(
    root: &Root,
    tools: &mut impl Tools,
    everywhere: &Footprint,
    wanted: &Footprint,
    mut report: impl FnMut(&Piece),
) -> Result<(), SetupError> {
    for piece in present(root, &everywhere.without(wanted)).iter().rev() {
        remove_one(root, tools, piece)?;
        report(piece);
    }
    Ok(())
}

fn remove_one(root: &Root, tools: &mut impl Tools, piece: &Piece) -> Result<(), SetupError> {
    match piece {
        Piece::Directory { .. } => Ok(()),
        Piece::File { path, .. } | Piece::Link { path, .. } => {
            let removed = fs::remove_file(root.join(path));
            gone_is_fine(removed).map_err(SetupError::io(Action::Remove, path))
        }
        Piece::CrontabLine { path, .. } => remove_line(root, path),
        Piece::RcLinks => sysvinit::unlink(root, tools),
        Piece::Outbox { path } => {
            let removed = fs::remove_dir_all(root.join(path));
            gone_is_fine(removed).map_err(SetupError::io(Action::Remove, path))
        }
        Piece::User => user::remove(root, tools).map(|_| ()),
    }
}

fn remove_line(root: &Root, path: &PathBuf) -> Result<(), SetupError> {
    let Some(text) = read(root, path)? else {
        return Ok(());
    };
    let left = cron::with(&text, None);
    if left.is_empty() && recorded(root).contains(path) {
        let removed = fs::remove_file(root.join(path));
        return gone_is_fine(removed).map_err(SetupError::io(Action::Remove, path));
    }
    rewrite_crontab(root, path, &left)
}

/// Removes a directory that pm had to make. Where there is something in it by now, it stays.
fn remove_made(root: &Root, path: &Path) -> Result<(), SetupError> {
    let place = root.join(path);
    if !place.is_dir() {
        return Ok(());
    }
    match fs::remove_dir(&place) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone_is_fine(removed).map_err(SetupError::io(Action::Remove, path)),
    }
}

fn gone_is_fine(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
