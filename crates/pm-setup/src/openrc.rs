//! The service script for OpenRC.

use crate::seal::sealed;

/// Where it is. It has the name of the one for sysvinit: both are in the same directory.
pub const FILE: &str = "/etc/init.d/port-monitor";

/// Its name.
pub const NAME: &str = "port-monitor";

/// What makes it start at boot: a link in the runlevel that brings up the network.
pub const LINK: &str = "/etc/runlevels/boot/port-monitor";

/// Returns the script.
///
/// It starts in any case: a service that failed to start would not be stopped, and there would be no last tick.
pub fn script(pm: &str) -> String {
    let pm = crate::sysvinit::quoted(pm);
    let body = format!(
        r#"
name="pm"
description="Port traffic rules of pm, and its last tick at shutdown"

depend() {{
	# Not all systems with OpenRC have a service of that name to need.
	after localmount bootmisc modules sysctl nftables
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
    fn the_script_restores_and_does_a_last_tick() {
        insta::assert_snapshot!(script("/usr/local/bin/pm"));
    }
}
