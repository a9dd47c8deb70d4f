//! Making true what a footprint says.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use pm_store::Paths;

use crate::cron;
use crate::error::{Action, SetupError};
use crate::footprint::{Footprint, Piece};
use crate::outbox;
use crate::record::{self, Record};
use crate::root::Root;
use crate::seal::{Author, author};
use crate::sysvinit;
use crate::tools::Tools;
use crate::user;

/// How a piece stands on a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is not there.
    Missing,
    /// It is what it must be.
    Current,
    /// pm wrote it, and would write something else now.
    Outdated,
    /// pm wrote it, and somebody has edited it.
    Edited,
    /// Somebody else's is there.
    Foreign,
}

/// What was done about a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Done {
    /// It was made.
    Made,
    /// An older one was replaced.
    Renewed,
    /// It was left as it was: it is what it must be.
    Kept,
    /// It was left as it was: somebody has edited it.
    LeftEdited,
}

/// Returns how `piece` stands.
///
/// # Errors
///
/// As the system says.
pub fn standing(root: &Root, piece: &Piece) -> Result<Standing, SetupError> {
    Ok(match piece {
        Piece::Directory { path } => match fs::metadata(root.join(path)) {
            Ok(found) if found.is_dir() => Standing::Current,
            Ok(_) => Standing::Foreign,
            Err(error) => missing(path, error)?,
        },
        Piece::File { path, mode, text } => file_standing(root, path, *mode, text)?,
        Piece::Link { path, target } => match fs::read_link(root.join(path)) {
            Ok(found) if leads_to(path, &found) == *target => Standing::Current,
            Ok(_) => Standing::Foreign,
            // Something that is no link.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Standing::Foreign,
            Err(error) => missing(path, error)?,
        },
        Piece::CrontabLine { path, line } => {
            let text = read(root, path)?.unwrap_or_default();
            let mut lines = text.split_inclusive(|&byte| byte == b'\n');
            if !lines.any(cron::is_ours) {
                Standing::Missing
            } else if cron::with(&text, Some(line)) == text {
                Standing::Current
            } else {
                Standing::Outdated
            }
        }
        Piece::RcLinks if sysvinit::links(root).is_empty() => Standing::Missing,
        Piece::RcLinks => Standing::Current,
        Piece::Outbox { path } => outbox::standing(root, path)?,
        Piece::User => match user::standing(root) {
            user::Standing::Missing => Standing::Missing,
            user::Standing::Ours => Standing::Current,
            user::Standing::OnlyGroup => Standing::Outdated,
            user::Standing::Foreign | user::Standing::ForeignGroup => Standing::Foreign,
        },
    })
}

/// Makes every piece of `footprint` that is not as it must be, and tells `report` of each.
///
/// What somebody has edited stays, unless `over_edits`.
///
/// # Errors
///
/// `Foreign`, `ForeignUser` and `ForeignGroup` before anything was done. Any other: what comes before that piece was done, and the
/// same again goes on from there.
pub fn apply(
    root: &Root,
    tools: &mut impl Tools,
    footprint: &Footprint,
    over_edits: bool,
    mut report: impl FnMut(&Piece, Done),
) -> Result<(), SetupError> {
    refuse_foreign(root, footprint)?;
    for piece in &footprint.pieces {
        let done = match standing(root, piece)? {
            Standing::Current => Done::Kept,
            Standing::Edited if !over_edits => Done::LeftEdited,
            Standing::Missing => {
                make(root, tools, piece)?;
                Done::Made
            }
            Standing::Outdated | Standing::Edited => {
                make(root, tools, piece)?;
                Done::Renewed
            }
            // Since it was looked at a moment ago.
            Standing::Foreign => return Err(foreign(root, piece)),
        };
        report(piece, done);
    }
    // That it is there says that setup was here.
    let is_noted = root.has_file(record::FILE);
    if !is_noted && root.has_directory(Paths::STATE_DIR) {
        Record::default().save(root)?;
    }
    Ok(())
}

/// Refuses where somebody else's is in the place of a piece.
///
/// # Errors
///
/// `Foreign`, `ForeignUser` or `ForeignGroup`; nothing was done.
pub fn refuse_foreign(root: &Root, footprint: &Footprint) -> Result<(), SetupError> {
    for piece in &footprint.pieces {
        if standing(root, piece)? == Standing::Foreign {
            return Err(foreign(root, piece));
        }
    }
    Ok(())
}

fn foreign(root: &Root, piece: &Piece) -> SetupError {
    match piece.path() {
        Some(path) => SetupError::Foreign { path: path.into() },
        None if user::standing(root) == user::Standing::ForeignGroup => {
            SetupError::ForeignGroup { name: user::NAME }
        }
        None => SetupError::ForeignUser { name: user::NAME },
    }
}

fn make(root: &Root, tools: &mut impl Tools, piece: &Piece) -> Result<(), SetupError> {
    match piece {
        Piece::Directory { path } => {
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(root.join(path));
            made.map_err(SetupError::io(Action::MakeDirectory, path))
        }
        Piece::File { path, mode, text } => {
            make_parents(root, path)?;
            let permissions = Permissions::from_mode(*mode);
            write(root, path, text.as_bytes(), permissions, None)
        }
        Piece::Link { path, target } => {
            make_parents(root, path)?;
            symlink(target, root.join(path)).map_err(SetupError::io(Action::Link, path))
        }
        Piece::CrontabLine { path, line } => add_line(root, path, line),
        Piece::RcLinks => sysvinit::link(root, tools),
        Piece::Outbox { path } => outbox::make(root, path),
        Piece::User => user::make(root, tools),
    }
}

fn add_line(root: &Root, path: &Path, line: &str) -> Result<(), SetupError> {
    let text = read(root, path)?;
    let mut record = Record::load(root);
    let before = record.clone();
    if text.is_none() {
        record.made.insert(path.to_owned());
    }
    let text = text.unwrap_or_default();
    // It may have been noted when an older line of pm's was added.
    if !text
        .split_inclusive(|&byte| byte == b'\n')
        .any(cron::is_ours)
    {
        record.unended.remove(path);
    }
    if cron::is_unended(&text) {
        record.unended.insert(path.to_owned());
    }
    if record != before {
        record.save(root)?;
    }
    rewrite_crontab(root, path, &cron::with(&text, Some(line)))
}

/// Puts `text` in the place of a crontab, with the owner and mode of the one before.
///
/// # Errors
///
/// As the system says; the one before is still there then.
pub fn rewrite_crontab(root: &Root, path: &Path, text: &[u8]) -> Result<(), SetupError> {
    let (mode, owner) = match fs::metadata(root.join(path)) {
        Ok(found) => (found.mode() & 0o7777, Some((found.uid(), found.gid()))),
        Err(_) => (0o600, None),
    };
    // A new name in the directory is also how cron notices.
    write(root, path, text, Permissions::from_mode(mode), owner)
}

/// Replaces a file whole or not at all; where it is a link, the one that this leads to.
pub(crate) fn write(
    root: &Root,
    path: &Path,
    text: &[u8],
    permissions: Permissions,
    owner: Option<(u32, u32)>,
) -> Result<(), SetupError> {
    let place = root.join(path);
    // A link that leads nowhere is replaced.
    let place = place.canonicalize().unwrap_or(place);
    let directory = place.parent().unwrap_or(&place);
    let written = || {
        let made = tempfile::Builder::new()
            .prefix(".pm-")
            .tempfile_in(directory);
        let mut file = made.map_err(pm_store::without_path)?;
        // Not through the wrapper, whose errors name a file of which nobody knows.
        file.as_file_mut().write_all(text)?;
        if let Some((uid, gid)) = owner {
            chown(file.path(), Some(uid), Some(gid))?;
        }
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(&place)?;
        Ok(())
    };
    written().map_err(SetupError::io(Action::Write, path))
}

/// Makes the directories above `path`, and notes first which.
fn make_parents(root: &Root, path: &Path) -> Result<(), SetupError> {
    let above = path.ancestors().skip(1);
    let mut missing: Vec<PathBuf> = above
        .take_while(|path| !root.join(path).exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    if missing.is_empty() {
        return Ok(());
    }
    let mut record = Record::load(root);
    record.made.extend(missing.iter().cloned());
    record.save(root)?;
    for path in &missing {
        let place = root.join(path);
        // Whatever the umask: the host's own files come to be in them.
        let made = fs::create_dir(&place)
            .and_then(|()| fs::set_permissions(&place, Permissions::from_mode(0o755)));
        made.map_err(SetupError::io(Action::MakeDirectory, path))?;
    }
    Ok(())
}

/// Returns where a link leads that is at `path`, as its text says.
fn leads_to(path: &Path, text: &Path) -> PathBuf {
    let mut place = path.parent().unwrap_or(path).to_owned();
    for part in text.components() {
        match part {
            Component::ParentDir => {
                place.pop();
            }
            Component::CurDir => {}
            // An absolute one begins anew.
            other => place.push(other),
        }
    }
    place
}

/// Returns the bytes of a file; `None`: there is none.
pub(crate) fn read(root: &Root, path: &Path) -> Result<Option<Vec<u8>>, SetupError> {
    match fs::read(root.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(SetupError::io(Action::Read, path)(error)),
    }
}

fn file_standing(root: &Root, path: &Path, mode: u32, text: &str) -> Result<Standing, SetupError> {
    let found = match fs::symlink_metadata(root.join(path)) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Ok(Standing::Foreign),
        Err(error) => return missing(path, error),
    };
    let present = read(root, path)?.unwrap_or_default();
    // What pm writes is text.
    let Ok(present) = String::from_utf8(present) else {
        return Ok(Standing::Foreign);
    };
    Ok(match author(&present) {
        Author::Pm if present == text && found.mode() & 0o7777 == mode => Standing::Current,
        Author::Pm => Standing::Outdated,
        Author::Edited => Standing::Edited,
        Author::Other => Standing::Foreign,
    })
}

fn missing(path: &Path, error: std::io::Error) -> Result<Standing, SetupError> {
    if is_missing(&error) {
        Ok(Standing::Missing)
    } else {
        Err(SetupError::io(Action::Read, path)(error))
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
