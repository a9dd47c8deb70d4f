//! Units for systemd.
//!
//! - `port-monitor.service` puts the rules into the kernel before the network comes up, stays active, and does a last
//!   tick when it is stopped. It is stopped after the network at shutdown, and before `nftables.service` takes all
//!   rules away: in both cases nothing that was counted is lost.
//! - `port-monitor-online.service` does a tick once the network is up and there are routes to limit.
//! - `port-monitor-deliver.path` starts `port-monitor-deliver.service`, as another user, when a tick has put a file
//!   beside the outbox: there is something to send.
//! - `port-monitor-tick.timer` calls `port-monitor-tick.service` once a minute.

use crate::seal::sealed;

/// Where units of the host's administrator are.
pub const DIRECTORY: &str = "/etc/systemd/system";

/// The unit that restores the rules and does the last tick.
pub const MAIN: &str = "port-monitor.service";
/// The unit that does a tick when the network is up.
pub const ONLINE: &str = "port-monitor-online.service";
/// The unit that does a tick.
pub const TICK: &str = "port-monitor-tick.service";
/// The unit that calls it once a minute.
pub const TIMER: &str = "port-monitor-tick.timer";

/// The unit that delivers messages.
pub const DELIVERY: &str = "port-monitor-deliver.service";
/// The unit that starts it when there are some.
pub const WAKE: &str = "port-monitor-deliver.path";

/// What a job of pm's may do: speak netlink, write its state and its configuration.
///
/// - `CAP_NET_ADMIN` is what nf_tables and traffic control ask for. Files are reached as their owner, root.
/// - `CAP_SETUID` and `CAP_SETGID` let it open the outbox with the rights of its owner, who delivers, and with no
///   others: what he puts in the way of root's files is only in his own. Of the calls that take a user's number, it
///   may use only those that concern files.
/// - `/proc` stays whole: the identity of a counter needs the boot id, and before Linux 5.14 the start of process 1.
/// - No `PrivateUsers` and no `PrivateNetwork`: rules of another namespace are not the host's.
/// - The configuration is writable because whichever pm runs first after an interrupted update puts back what that update
///   changed of it ([`pm_store::rollback`]; the copy is in the state directory), and this may be a tick. The directory of
///   the program is not: a tick must not replace what root runs, and all that recovery would do there is to remove a
///   program that nobody calls, which the next update or uninstall does as well.
/// - Nothing pm does needs an IP address; when the kernel loads a module for it, that happens outside.
const SANDBOX: &str = "\
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
RestrictAddressFamilies=AF_NETLINK
IPAddressDeny=any
ProtectSystem=strict
ReadWritePaths=-/etc/port_monitor
StateDirectory=port_monitor
StateDirectoryMode=0711
RuntimeDirectory=port_monitor
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
ProtectHome=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=setfsuid setfsgid
SystemCallErrorNumber=EPERM
";

/// What delivering may do: talk to servers, and keep the outbox.
///
/// Of pm's own it sees the outbox only: the directory of its state is an empty one, in which that is.
/// No `IPAddressDeny`: channels may be on this host, too.
const DELIVERY_SANDBOX: &str = "\
User=port_monitor
Group=port_monitor
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
ProtectSystem=strict
TemporaryFileSystem=/var/lib/port_monitor:ro
BindPaths=/var/lib/port_monitor/outbox
InaccessiblePaths=-/etc/port_monitor
InaccessiblePaths=-/run/port_monitor
InaccessiblePaths=-/var/log/port_monitor
UMask=0077
ProtectHome=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateUsers=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
";

/// How it logs: what pm says, and not that a minute has passed.
const LOGGING: &str = "\
SyslogIdentifier=pm
SyslogLevel=notice
LogLevelMax=notice
";

/// Returns every unit's name and text. `pm` is the program's path.
pub fn units(pm: &str) -> Vec<(&'static str, String)> {
    vec![
        (MAIN, main(pm)),
        (ONLINE, online(pm)),
        (TICK, tick(pm)),
        (TIMER, timer()),
        (DELIVERY, delivery(pm)),
        (WAKE, wake()),
    ]
}

/// Returns which unit is started with which: the other's name, and pm's.
pub fn wants() -> [(&'static str, &'static str); 5] {
    [
        ("multi-user.target", MAIN),
        // A start, too, not only a restart: somebody may stop it and start it later.
        ("nftables.service", MAIN),
        ("multi-user.target", ONLINE),
        ("timers.target", TIMER),
        ("multi-user.target", WAKE),
    ]
}

fn main(pm: &str) -> String {
    let pm = quoted(pm);
    unit(&format!(
        "[Unit]
Description=Port traffic rules of pm, and its last tick at shutdown
Documentation=man:pm(1)
DefaultDependencies=no
RequiresMountsFor=/etc/port_monitor /var/lib/port_monitor
After=local-fs.target systemd-modules-load.service nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
# A failure must not end the unit: without it there would be no last tick. The minute's ticks fail visibly.
ExecStart=-{pm} restore --boot
ExecReload={pm} restore --boot
ExecStop={pm} monitor --wait
TimeoutStartSec=60
TimeoutStopSec=60
{LOGGING}
{SANDBOX}
[Install]
WantedBy=multi-user.target nftables.service
"
    ))
}

fn online(pm: &str) -> String {
    let pm = quoted(pm);
    unit(&format!(
        "[Unit]
Description=Limits of pm, now that the network is up
Documentation=man:pm(1)
Wants=network-online.target
After=network-online.target {MAIN}

[Service]
Type=oneshot
ExecStart={pm} monitor --wait
TimeoutStartSec=60
{LOGGING}
{SANDBOX}
[Install]
WantedBy=multi-user.target
"
    ))
}

fn tick(pm: &str) -> String {
    let pm = quoted(pm);
    unit(&format!(
        "[Unit]
Description=The minute's tick of pm
Documentation=man:pm(1)
After={MAIN}

[Service]
Type=oneshot
ExecStart={pm} monitor
TimeoutStartSec=300
{LOGGING}
{SANDBOX}"
    ))
}

fn timer() -> String {
    unit(
        "[Unit]
Description=The minute of pm
Documentation=man:pm(1)

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
",
    )
}

fn delivery(pm: &str) -> String {
    let pm = quoted(pm);
    // Without that limit: a unit that was started too often takes the path that wakes it along, and
    // nothing is delivered until somebody resets both.
    unit(&format!(
        "[Unit]
Description=Delivery of the messages of pm
Documentation=man:pm(1)
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={pm} deliver
TimeoutStartSec=15min
{LOGGING}
{DELIVERY_SANDBOX}"
    ))
}

fn wake() -> String {
    unit(
        "[Unit]
Description=Messages of pm that wait
Documentation=man:pm(1)

[Path]
PathExists=/var/lib/port_monitor/outbox/wake
Unit=port-monitor-deliver.service

[Install]
WantedBy=multi-user.target
",
    )
}

fn unit(body: &str) -> String {
    sealed("", "#", body)
}

/// Returns a path as a unit's command line takes it.
///
/// Source: systemd.service(5), COMMAND LINES; systemd.unit(5), SPECIFIERS.
pub(crate) fn quoted(path: &str) -> String {
    let path = path.replace('%', "%%").replace('$', "$$");
    if path.contains([' ', '"', '\\']) {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_say_when_and_what() {
        for (name, text) in units("/usr/local/bin/pm") {
            // The sandbox is the same in all.
            let text = text.replace(DELIVERY_SANDBOX, "(sandbox of delivery)\n");
            let text = text.replace(SANDBOX, "(sandbox)\n");
            insta::assert_snapshot!(name, text);
        }
    }

    #[test]
    fn an_odd_path_is_one_word() {
        assert_eq!(quoted("/usr/local/bin/pm"), "/usr/local/bin/pm");
        assert_eq!(quoted("/opt/100% $pm/pm"), "\"/opt/100%% $$pm/pm\"");
    }
}
