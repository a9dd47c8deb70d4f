//! The user who delivers messages: no login, no home, no right but to his own directory.

use crate::error::SetupError;
use crate::record::Record;
use crate::root::Root;
use crate::tools::Tools;

/// His name.
pub const NAME: &str = "port_monitor";

/// The comment by which pm knows that it made him.
const COMMENT: &str = "made by pm setup";

/// Whose a user of that name is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// There is none, and no group of that name.
    Missing,
    /// pm made him, and his group.
    Ours,
    /// pm made the group, and was interrupted before it made him, or after it removed him.
    OnlyGroup,
    /// Somebody else made him.
    Foreign,
    /// There is none, but a group of that name, which somebody else made.
    ForeignGroup,
}

/// Returns whose he is.
pub fn standing(root: &Root) -> Standing {
    let text = root.text("/etc/passwd");
    let mut users = text.lines().map(|line| line.split(':'));
    let comment = users.find_map(|mut fields| {
        let is_he = fields.next() == Some(NAME);
        is_he.then(|| fields.nth(3).unwrap_or_default().to_owned())
    });
    match comment.as_deref() {
        Some(COMMENT) => Standing::Ours,
        Some(_) => Standing::Foreign,
        None if !has_group(root) => Standing::Missing,
        None if Record::load(root).group => Standing::OnlyGroup,
        None => Standing::ForeignGroup,
    }
}

/// Returns his number and his group's; `None`: there is no such user.
pub(crate) fn ids(root: &Root) -> Option<(u32, u32)> {
    let text = root.text("/etc/passwd");
    let mut users = text.lines().map(|line| line.split(':'));
    let mut fields =
        users.find_map(|mut fields| (fields.next() == Some(NAME)).then_some(fields))?;
    let user = fields.nth(1)?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

/// Makes him and his group, where they are missing.
///
/// # Errors
///
/// `ForeignUser`, `ForeignGroup`, `NoUserTool`, or what the host's own program says.
pub(crate) fn make(root: &Root, tools: &mut impl Tools) -> Result<(), SetupError> {
    let has_group = match standing(root) {
        Standing::Ours => return Ok(()),
        Standing::Foreign => return Err(SetupError::ForeignUser { name: NAME }),
        Standing::ForeignGroup => return Err(SetupError::ForeignGroup { name: NAME }),
        Standing::Missing => false,
        Standing::OnlyGroup => true,
    };
    let shell = ["/usr/sbin/nologin", "/sbin/nologin", "/bin/false"]
        .into_iter()
        .find(|path| root.has_file(path))
        .unwrap_or("/sbin/nologin");
    if tools.find("useradd").is_some() {
        let group: &[&str] = match has_group {
            true => &["--gid", NAME],
            false => &["--user-group"],
        };
        let home = ["--no-create-home", "--home-dir", "/nonexistent"];
        let who = ["--shell", shell, "--comment", COMMENT, NAME];
        tools.run("useradd", &[&["--system"], group, &home, &who].concat())
    } else if tools.find("adduser").is_some() {
        // BusyBox's: without a group of his own he would be in `nogroup`.
        if !has_group {
            let mut record = Record::load(root);
            record.group = true;
            record.save(root)?;
            tools.run("addgroup", &["-S", NAME])?;
        }
        let words = ["-S", "-D", "-H", "-h", "/nonexistent", "-s", shell];
        let words = [&words[..], &["-G", NAME, "-g", COMMENT, NAME]].concat();
        tools.run("adduser", &words)
    } else {
        Err(SetupError::NoUserTool { name: NAME })
    }
}

/// Removes him and his group, as far as pm made them.
///
/// # Errors
///
/// `NoUserTool`, or what the host's own program says.
pub(crate) fn remove(root: &Root, tools: &mut impl Tools) -> Result<(), SetupError> {
    let standing = standing(root);
    if !matches!(standing, Standing::Ours | Standing::OnlyGroup) {
        return Ok(());
    }
    let programs = [("userdel", "groupdel"), ("deluser", "delgroup")];
    let (user, group) = programs
        .into_iter()
        .find(|(user, _)| tools.find(user).is_some())
        .ok_or(SetupError::NoUserTool { name: NAME })?;
    if standing == Standing::Ours {
        tools.run(user, &[NAME])?;
    }
    // Most programs take it away with him.
    if has_group(root) && tools.find(group).is_some() {
        tools.run(group, &[NAME])?;
    }
    Ok(())
}

fn has_group(root: &Root) -> bool {
    let text = root.text("/etc/group");
    text.lines()
        .any(|line| line.split(':').next() == Some(NAME))
}
