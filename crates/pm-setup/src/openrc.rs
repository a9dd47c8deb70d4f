//! The service script for OpenRC.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root::Root;
use crate::seal::sealed;

/// Where it is. It has the name of the one for sysvinit: both are in the same directory.
pub const FILE: &str = "/etc/init.d/port-monitor";

/// Its name.
pub const NAME: &str = "port-monitor";

/// Runlevels in which it may start, the best one first: with the network, or before it, or late.
///
/// Debian's boot goes from `sysinit` to `default`; there is a `boot` too, but it is empty and never entered.
pub const RUNLEVELS: [&str; 3] = ["boot", "sysinit", "default"];

/// Returns the runlevel in which it starts: the best one in which anything else does.
pub fn runlevel(root: &Root) -> &'static str {
    let is_used = |runlevel: &&str| {
        let entries = fs::read_dir(root.join(format!("/etc/runlevels/{runlevel}")));
        let mut names = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        names.any(|name| name != NAME)
    };
    RUNLEVELS.into_iter().find(is_used).unwrap_or("default")
}

/// Returns the link that makes it start in a runlevel.
pub fn link(runlevel: &str) -> PathBuf {
    Path::new("/etc/runlevels").join(runlevel).join(NAME)
}

/// Returns the script.
///
/// It starts in any case: a service that failed to start would not be stopped, and there would be no last tick.
pub fn script(pm: &str) -> String {
    let pm = crate::shell::quoted(pm);
    let body = format!(
        r#"
name="pm"
description="Port traffic rules of pm, and its last tick at shutdown"

depend() {{
	# Not all systems with OpenRC have a service of that name to need.
	after localmount mountall bootmisc modules sysctl nftables
	before net
}}

start() {{
	ebegin "Restoring port traffic rules"
	{pm} restore --boot --log-to-file || ewarn "see: pm log"
	eend 0
}}

stop() {{
	ebegin "Accounting for port traffic"
	{pm} monitor --wait --log-to-file
	eend $?
}}
"#
    );
    sealed("#!/sbin/openrc-run\n", "#", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_where_other_services_do() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let touch = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        assert_eq!(runlevel(&root), "default");
        // Debian's.
        touch("/etc/runlevels/sysinit/udev");
        touch("/etc/runlevels/default/cron");
        fs::create_dir_all(root.join("/etc/runlevels/boot")).unwrap();
        assert_eq!(runlevel(&root), "sysinit");
        touch("/etc/runlevels/boot/port-monitor");
        assert_eq!(runlevel(&root), "sysinit");
        // Alpine's.
        touch("/etc/runlevels/boot/networking");
        assert_eq!(runlevel(&root), "boot");
    }

    #[test]
    fn the_script_restores_and_does_a_last_tick() {
        insta::assert_snapshot!(script("/usr/local/bin/pm"));
    }
}
