//! The boot script for sysvinit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::error::{Action, SetupError};
use crate::root::Root;
use crate::seal::sealed;
use crate::shell::quoted;
use crate::tools::Tools;

/// Where it is.
pub const FILE: &str = "/etc/init.d/port-monitor";

/// Its name, of which the links in `/etc/rc?.d` are made.
pub const NAME: &str = "port-monitor";

/// Returns the script.
///
/// It is of runlevel S, where the network comes up; there, `stop` comes after it.
pub fn script(pm: &str) -> String {
    let pm = quoted(pm);
    let body = format!(
        r#"### BEGIN INIT INFO
# Provides:          port-monitor
# Required-Start:    $local_fs
# Required-Stop:     $local_fs
# Should-Start:      kmod procps nftables
# Should-Stop:       nftables
# X-Start-Before:    networking
# X-Stop-After:      networking
# Default-Start:     S
# Default-Stop:      0 6
# Short-Description: Port traffic rules of pm, and its last tick at shutdown
### END INIT INFO

case "$1" in
start | restart | force-reload)
	# A failure must not keep the host from booting.
	{pm} restore --boot --log-to-file || echo "see: pm log" >&2
	;;
stop)
	{pm} monitor --wait --log-to-file
	;;
*)
	echo "Usage: $0 {{start|stop|restart|force-reload}}" >&2
	exit 3
	;;
esac
"#
    );
    sealed("#!/bin/sh\n", "#", &body)
}

/// Returns the links to the script, in the directories of all runlevels.
pub fn links(root: &Root) -> Vec<PathBuf> {
    let levels = ["S", "0", "1", "2", "3", "4", "5", "6"];
    let directories = levels.map(|level| PathBuf::from(format!("/etc/rc{level}.d")));
    let mut links = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(root.join(&directory))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = directory.join(entry.file_name());
            if is_link(root, &path) {
                links.push(path);
            }
        }
    }
    links
}

/// Whether `path` is called as `S20port-monitor` and leads to the script.
fn is_link(root: &Root, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_suffix(NAME).unwrap_or_default();
    let number = number.strip_prefix(['S', 'K']).unwrap_or_default();
    let is_ours = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    let target = fs::read_link(root.join(path)).unwrap_or_default();
    is_ours && target.ends_with(Path::new("init.d").join(NAME))
}

/// Makes the links, with the host's own tool where it has one, because the order of all scripts is its business.
///
/// # Errors
///
/// What that says, or the system.
pub(crate) fn link(root: &Root, tools: &mut impl Tools) -> Result<(), SetupError> {
    if tools.find("update-rc.d").is_some() {
        return tools.run("update-rc.d", &[NAME, "defaults"]);
    }
    let target = Path::new("../init.d").join(NAME);
    for (level, prefix) in [("S", "S13"), ("0", "K87"), ("6", "K87")] {
        let directory = PathBuf::from(format!("/etc/rc{level}.d"));
        if root.has_directory(&directory) {
            let path = directory.join(format!("{prefix}{NAME}"));
            symlink(&target, root.join(&path)).map_err(SetupError::io(Action::Link, &path))?;
        }
    }
    Ok(())
}

/// Removes the links.
///
/// # Errors
///
/// As [`link`].
pub(crate) fn unlink(root: &Root, tools: &mut impl Tools) -> Result<(), SetupError> {
    if tools.find("update-rc.d").is_some() {
        tools.run("update-rc.d", &["-f", NAME, "remove"])?;
    }
    for path in links(root) {
        fs::remove_file(root.join(&path)).map_err(SetupError::io(Action::Remove, &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_restores_and_does_a_last_tick() {
        insta::assert_snapshot!(script("/usr/local/bin/pm"));
    }
}
