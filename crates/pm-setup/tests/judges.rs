//! What setup writes, before those who must understand it: systemd, shells, shellcheck.
//!
//! A judge that is not installed is skipped; `cargo xtask test` installs all of them.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pm_setup::{cron, openrc, systemd, sysvinit};

/// The most that `systemd-analyze security` may find a service exposed, of 10.
const MOST_EXPOSED: f64 = 2.0;

/// Runs a judge; `None`: it is not here.
fn judge(program: &str, args: &[&str]) -> Option<Output> {
    match Command::new(program).args(args).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts.map(|text| String::from_utf8_lossy(text)).concat()
}

/// Writes the units, for a program that is there, and returns their paths.
fn units(directory: &Path) -> Vec<PathBuf> {
    let pm = directory.join("pm");
    fs::write(&pm, "").unwrap();
    fs::set_permissions(&pm, fs::Permissions::from_mode(0o755)).unwrap();
    let units = systemd::units(pm.to_str().unwrap());
    let write = |(name, text): (&str, String)| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    units.into_iter().map(write).collect()
}

#[test]
fn systemd_understands_every_line() {
    let directory = tempfile::tempdir().unwrap();
    for path in units(directory.path()) {
        let args = ["verify", "--man=no", path.to_str().unwrap()];
        let Some(output) = judge("systemd-analyze", &args) else {
            return;
        };
        // Other units of this host have troubles of their own.
        let own: Vec<String> = said(&output)
            .lines()
            .filter(|line| line.contains("port-monitor"))
            .map(str::to_owned)
            .collect();
        assert!(own.is_empty(), "{}: {own:?}", path.display());
    }
}

#[test]
fn no_service_is_exposed() {
    let directory = tempfile::tempdir().unwrap();
    let services = units(directory.path());
    let services = services
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "service"));
    for path in services {
        let args = ["security", "--offline=yes", path.to_str().unwrap()];
        let Some(output) = judge("systemd-analyze", &args) else {
            return;
        };
        let text = said(&output);
        let line = text
            .lines()
            .find(|line| line.contains("Overall exposure level"));
        let level = line.and_then(|line| line.rsplit_once(": ")?.1.split(' ').next()?.parse().ok());
        let level: f64 = level.unwrap_or_else(|| panic!("{text}"));
        println!("{}: {level}", path.display());
        // What talks to the internet is less than what talks to the kernel.
        let most = match path.ends_with(systemd::DELIVERY) {
            true => 1.5,
            false => MOST_EXPOSED,
        };
        assert!(level <= most, "{}: {text}", path.display());
    }
}

#[test]
fn shells_and_shellcheck_accept_the_scripts() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text, shell) in [
        ("sysvinit", sysvinit::script("/usr/local/bin/pm"), "sh"),
        ("openrc", openrc::script("/usr/local/bin/pm"), "sh"),
        ("odd", sysvinit::script("/opt/it's here/pm"), "sh"),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        for program in ["dash", "bash"] {
            if let Some(output) = judge(program, &["-n", path]) {
                assert!(output.status.success(), "{name}: {}", said(&output));
            }
        }
        // OpenRC reads variables that the script sets and never uses itself.
        let args = ["--shell", shell, "--exclude=SC2034", path];
        if let Some(output) = judge("shellcheck", &args) {
            assert!(output.status.success(), "{name}: {}", said(&output));
        }
    }
}

/// Fault 18 of the tools that pm's users come from: code is downloaded and run as root. What calls pm fetches nothing,
/// and what pm is called in cannot.
#[test]
fn nothing_that_calls_pm_can_fetch_anything() {
    let pm = "/usr/local/bin/pm";
    let units = systemd::units(pm);
    // Who delivers messages talks to servers, and is not root.
    let delivery = units.iter().find(|(name, _)| *name == systemd::DELIVERY);
    let (_, delivery) = delivery.unwrap();
    for line in [
        "User=port_monitor",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
    ] {
        assert!(delivery.lines().any(|one| one == line), "no {line}");
    }
    let services = units
        .iter()
        .filter(|(name, _)| name.ends_with(".service") && *name != systemd::DELIVERY);
    for (name, text) in services {
        for line in ["IPAddressDeny=any", "RestrictAddressFamilies=AF_NETLINK"] {
            assert!(text.lines().any(|one| one == line), "{name}: no {line}");
        }
    }
    let scripts = [
        sysvinit::script(pm),
        openrc::script(pm),
        cron::file(pm, true),
        cron::line(pm),
    ];
    for text in units.into_iter().map(|(_, text)| text).chain(scripts) {
        for word in ["curl", "wget", "http", "update", "eval"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}
