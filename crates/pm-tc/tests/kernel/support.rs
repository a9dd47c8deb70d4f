//! What the tests share: a namespace, interfaces, the real `tc` and `ip`.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use pm_tc::*;

/// The kernel's default root on an `ifb` is `pfifo_fast`, with four queues `mq`; on a `veth` it
/// is `noqueue`.
const INTERFACES: &[&str] = &[
    "link add one type ifb",
    "link add many numtxqueues 4 type ifb",
    "link add near type veth peer name far",
    "link set one up",
    "link set many up",
    "link set near up",
    "link set far up",
];

/// Runs `test` in a new network namespace with [`INTERFACES`], which goes with the thread.
pub(crate) fn in_namespace(test: impl FnOnce(&mut TrafficControl) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: needs root");
            return;
        }
        for arguments in INTERFACES {
            ip(arguments);
        }
        test(&mut TrafficControl::open().unwrap());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

pub(crate) fn tc(arguments: &str) -> String {
    run("tc", arguments)
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && errors.is_empty(),
        "{program} {arguments}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// All that `tc` shows of an interface, without statistics.
pub(crate) fn listing(interface: &str) -> String {
    let show = |what: &str| tc(&format!("-d {what} show dev {interface}"));
    // The kernel lists classes and leaves in no order of their own.
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    };
    format!("{}\n{}", sorted(show("qdisc")), sorted(show("class")))
}

pub(crate) fn shape(classes: &[(u16, &str)]) -> Shape {
    let classes = classes
        .iter()
        .map(|(minor, rate)| (*minor, rate.parse().unwrap()));
    Shape::new(classes.collect(), Classifier::Priority).unwrap()
}

/// Gives `interface` its shape, as the engine will, and returns what was recorded.
pub(crate) fn converge(
    control: &mut TrafficControl,
    interface: &str,
    shape: &Shape,
    recorded: Option<HostQdisc>,
) -> Option<HostQdisc> {
    let kernel = control.kernel().unwrap();
    converge_as(&kernel, control, interface, shape, recorded)
}

/// The same with leaves as another kernel would have them.
pub(crate) fn converge_as(
    kernel: &Kernel,
    control: &mut TrafficControl,
    interface: &str,
    shape: &Shape,
    recorded: Option<HostQdisc>,
) -> Option<HostQdisc> {
    let installed = control.read(interface).unwrap();
    let host = match &installed.root {
        Root::Host(host) => Some(host.clone()),
        Root::Ours(_) => recorded,
    };
    let requests = plan(&installed, shape, host.as_ref(), kernel);
    let remarks = control.apply(&installed.interface, &requests).unwrap();
    assert!(remarks.is_empty(), "{remarks:?}");
    let installed = control.read(interface).unwrap();
    assert_eq!(plan(&installed, shape, host.as_ref(), kernel), []);
    host
}

pub(crate) fn withdraw_from(
    control: &mut TrafficControl,
    interface: &str,
    host: Option<&HostQdisc>,
) {
    let installed = control.read(interface).unwrap();
    let requests = withdraw(&installed, host);
    control.apply(&installed.interface, &requests).unwrap();
    let installed = control.read(interface).unwrap();
    assert_eq!(withdraw(&installed, host), []);
}

/// The line about class 706d:`minor`.
pub(crate) fn class(interface: &str, minor: &str) -> String {
    let all = tc(&format!("-d class show dev {interface}"));
    let heading = format!("class htb 706d:{minor} ");
    let line = all.lines().find(|line| line.starts_with(&heading));
    line.unwrap_or_else(|| panic!("no class {minor}: {all}"))
        .to_owned()
}

/// The line about the leaf of class 706d:`minor`.
pub(crate) fn leaf(interface: &str, minor: &str) -> String {
    let all = tc(&format!("-d qdisc show dev {interface}"));
    let place = format!(" parent 706d:{minor} ");
    let line = all.lines().find(|line| line.contains(&place));
    line.unwrap_or_else(|| panic!("no leaf {minor}: {all}"))
        .to_owned()
}
