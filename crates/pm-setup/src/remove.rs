//! Taking away what a footprint says, and nothing else.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use pm_store::gone_is_fine;

use crate::apply::{Standing, read, rewrite_crontab, standing};
use crate::cron;
use crate::data::remove_file;
use crate::error::{Action, SetupError};
use crate::footprint::{Footprint, Piece};
use crate::record::{self, Record};
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
        for path in Record::load(root).made.iter().rev() {
            if let Err(error) = remove_made(root, path) {
                errors.push(error);
            }
        }
    }
    if errors.is_empty() {
        errors.extend(remove_file(root, Path::new(record::FILE)).err());
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Removes what calls pm by cron, before anything else is done: no tick begins any more.
///
/// # Errors
///
/// The first there was; cron calls pm as before, or in part.
pub fn remove_cron(root: &Root, footprint: &Footprint) -> Result<(), SetupError> {
    for piece in present(root, footprint) {
        match &piece {
            Piece::CrontabLine { path, .. } => remove_line(root, path)?,
            Piece::File { path, .. } if path == Path::new(cron::FILE) => remove_file(root, path)?,
            _ => {}
        }
    }
    Ok(())
}

/// Removes the pieces that are pm's of a way in which it is not called any more, such as a cron file where systemd
/// is now.
///
/// # Errors
///
/// The first there was: what came before it is gone, what comes after it is still there.
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
        Piece::File { path, .. } | Piece::Link { path, .. } => remove_file(root, path),
        Piece::CrontabLine { path, .. } => remove_line(root, path),
        Piece::RcLinks => sysvinit::unlink(root, tools),
        Piece::Outbox { path } => {
            let removed = fs::remove_dir_all(root.join(path));
            gone_is_fine(removed).map_err(SetupError::io(Action::Remove, path))
        }
        Piece::User => user::remove(root, tools),
    }
}

fn remove_line(root: &Root, path: &Path) -> Result<(), SetupError> {
    let Some(text) = read(root, path)? else {
        return Ok(());
    };
    let record = Record::load(root);
    let left = cron::without(&text, record.unended.contains(path));
    if left.is_empty() && record.made.contains(path) {
        return remove_file(root, path);
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
