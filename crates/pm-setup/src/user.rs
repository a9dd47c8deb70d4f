//! The user who delivers messages: no login, no home, no right but to his own directory.

use crate::error::SetupError;
use crate::root::Root;
use crate::tools::Tools;

/// His name.
pub const NAME: &str = "port_monitor";

/// The comment by which pm knows that it made him.
const COMMENT: &str = "made by pm setup";

/// Whose a user of that name is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// There is none.
    Missing,
    /// pm made him.
    Ours,
    /// Somebody else did.
    Foreign,
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
        None => Standing::Missing,
        Some(COMMENT) => Standing::Ours,
        Some(_) => Standing::Foreign,
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

/// Makes him; says whether he was missing.
///
/// # Errors
///
/// `ForeignUser`, `NoUserTool`, or what the host's own program says.
pub fn make(root: &Root, tools: &mut impl Tools) -> Result<bool, SetupError> {
    match standing(root) {
        Standing::Ours => return Ok(false),
        Standing::Foreign => return Err(SetupError::ForeignUser { name: NAME }),
        Standing::Missing => {}
    }
    let shell = ["/usr/sbin/nologin", "/sbin/nologin", "/bin/false"]
        .into_iter()
        .find(|path| root.has_file(path))
        .unwrap_or("/sbin/nologin");
    if tools.find("useradd").is_some() {
        let words = [
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
        ];
        let words = [&words[..], &["--shell", shell, "--comment", COMMENT, NAME]].concat();
        tools.run("useradd", &words)?;
    } else if tools.find("adduser").is_some() {
        // BusyBox's: without a group of his own he would be in `nogroup`.
        if !has_group(root) {
            tools.run("addgroup", &["-S", NAME])?;
        }
        let words = ["-S", "-D", "-H", "-h", "/nonexistent", "-s", shell];
        let words = [&words[..], &["-G", NAME, "-g", COMMENT, NAME]].concat();
        tools.run("adduser", &words)?;
    } else {
        return Err(SetupError::NoUserTool { name: NAME });
    }
    Ok(true)
}

/// Removes him, if pm made him; says whether it did.
///
/// # Errors
///
/// `NoUserTool`, or what the host's own program says.
pub fn remove(root: &Root, tools: &mut impl Tools) -> Result<bool, SetupError> {
    if standing(root) != Standing::Ours {
        return Ok(false);
    }
    if tools.find("userdel").is_some() {
        tools.run("userdel", &[NAME])?;
        if has_group(root) && tools.find("groupdel").is_some() {
            tools.run("groupdel", &[NAME])?;
        }
    } else if tools.find("deluser").is_some() {
        tools.run("deluser", &[NAME])?;
        if has_group(root) {
            tools.run("delgroup", &[NAME])?;
        }
    } else {
        return Err(SetupError::NoUserTool { name: NAME });
    }
    Ok(true)
}

fn has_group(root: &Root) -> bool {
    let text = root.text("/etc/group");
    text.lines()
        .any(|line| line.split(':').next() == Some(NAME))
}
