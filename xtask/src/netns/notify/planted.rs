//! Secrets in every field that has one, and where they are found.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use anyhow::{Result, ensure};

use super::channels::{DEAD, NODE, add_hook, typed};
use super::outage::deliverers;
use super::peer::Peer;
use super::peers::{add_bot, standing};
use super::{Hook, PLANTED, PORT};
use crate::lab::{Lab, wait_until};
use crate::namespace::run;
use crate::outbox::make;

/// Puts a marker into each secret field that there is, of as many kinds of channels; nobody answers but the hook.
fn plant(lab: &Lab) -> Result<()> {
    let dead = format!("http://127.0.0.1:{DEAD}");
    add_bot(lab, "bot", 5, &dead, &format!("123456:AA{PLANTED}"))?;
    let add = |kind: &str, more: &[&str], input: &str| {
        let args = ["notify", "add", kind, "--name", kind];
        typed(lab, &[&args[..], more].concat(), input).map(drop)
    };
    let key = format!("{dead}/send?key={PLANTED}\n");
    add("wecom", &["--url-file", "-"], &key)?;
    let server = format!("127.0.0.1:{DEAD}");
    let mail = ["--server", &server, "--security", "none", "--user", "pm"];
    let who = ["--from", "pm@example.org", "--to", "ops@example.org"];
    let password = ["--password-file", "-"];
    add("email", &[&mail[..], &who, &password].concat(), PLANTED)?;
    let both = format!("{dead}/{PLANTED}\nSEC{PLANTED}\n");
    let sign = [
        "--preset",
        "dingtalk",
        "--url-file",
        "-",
        "--secret-file",
        "-",
    ];
    add("webhook", &sign, &both)?;
    add_hook(lab, "hook", PORT, &[])?;
    let set = ["push", "set", "--url", &dead, "--node", NODE];
    let set = [&set[..], &["--secret-file", "-"]].concat();
    typed(lab, &set, PLANTED).map(drop)
}

/// Returns the files under a directory that hold the marker.
fn holders(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            holders(&path, found)?;
        } else if kind.is_file() && has_marker(&fs::read(&path)?) {
            found.push(path);
        }
    }
    Ok(())
}

fn has_marker(bytes: &[u8]) -> bool {
    let marker = PLANTED.as_bytes();
    bytes.windows(marker.len()).any(|window| window == marker)
}

/// Returns what processes in the VPS show of the marker.
fn showing(lab: &Lab) -> Result<Vec<PathBuf>> {
    let ours = fs::metadata(Path::new("/run/netns").join(lab.vps.name()))?.ino();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        // Most of /proc is no process, and a process may end meanwhile.
        let is_ours = fs::metadata(process.join("ns/net")).is_ok_and(|it| it.ino() == ours);
        let files = ["cmdline", "environ", "comm"].map(|file| process.join(file));
        for path in files.into_iter().filter(|_| is_ours) {
            if has_marker(&fs::read(&path).unwrap_or_default()) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Fault 17 of the tools that pm's users come from: secrets on command lines, in exports and in logs.
pub(super) fn no_secret_is_anywhere_but_where_it_belongs(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    make(lab)?;
    plant(lab)?;
    let hook = Hook::start(lab)?;
    let gate = hook.gate.lock().unwrap_or_else(PoisonError::into_inner);
    let mut said = lab.ok(&["block", "20000"])?;
    let tick = lab.pm(&["monitor"])?;
    said += &format!("{}{}", tick.stdout, tick.stderr);
    // Who delivers is at it, with all of them in his hands.
    wait_until("somebody who delivers", || {
        Ok(hook.met.load(std::sync::atomic::Ordering::Relaxed) == 1)
    })?;
    let [deliverer] = &deliverers(lab)?[..] else {
        anyhow::bail!("not one delivers: {:?}", deliverers(lab)?);
    };
    let environment = fs::read(deliverer.join("environ"))?;
    ensure!(environment.is_empty(), "{environment:?}");
    let shown = showing(lab)?;
    ensure!(shown.is_empty(), "{shown:?}");
    drop(gate);
    all_fail(lab)?;

    let export = lab.directory().join("export");
    let export = export.to_string_lossy().into_owned();
    lab.ok(&["export", &export])?;
    said += &fs::read_to_string(&export)?;
    lab.ok(&["config", "set", "language", "en"])?;
    for args in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "diff"],
        &["config", "diff", "--json"],
        &["config", "history"],
        &["config", "history", "--json"],
        &["notify", "list"],
        &["notify", "list", "--json"],
        &["notify", "log"],
        &["notify", "log", "--json"],
        &["notify", "test"],
        &["notify", "find-chat", "--name", "bot"],
        &["push", "status"],
        &["push", "status", "--json"],
        &["push", "now"],
        &["doctor"],
        &["doctor", "--json"],
        &["list", "--json"],
        &["notify", "del", "bot", "--dry-run"],
        &["undo", "--dry-run"],
    ] {
        // Some have something to complain of.
        let output = lab.pm(args)?;
        ensure!(
            output.code.is_some_and(|code| code < 2),
            "{args:?} {output:?}"
        );
        let texts = format!("{}{}", output.stdout, output.stderr);
        ensure!(!texts.contains(PLANTED), "{args:?} says {texts}");
    }
    ensure!(!said.contains(PLANTED), "{said}");

    // Only the configuration with its past and the outbox hold them, and nobody else may read these.
    let mut found = Vec::new();
    holders(lab.directory(), &mut found)?;
    ensure!(found.len() >= 2, "they are nowhere: {found:?}");
    for path in found {
        let mode = fs::metadata(&path)?.permissions().mode();
        let name = path.strip_prefix(lab.directory())?;
        let belongs = name.starts_with("config") || name.starts_with("state");
        ensure!(belongs && mode & 0o077 == 0, "{} {mode:o}", path.display());
        ensure!(path.extension().is_none_or(|it| it != "log"), "{name:?}");
    }
    // A push of it holds none either.
    push_holds_none(lab)
}

/// Waits until each of those that nobody answers was tried.
fn all_fail(lab: &Lab) -> Result<()> {
    wait_until("the first attempts", || {
        for name in ["bot", "wecom", "email", "webhook"] {
            if !standing(lab, name)?["failing_since"].is_string() {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn push_holds_none(lab: &Lab) -> Result<()> {
    let receiver = Peer::receiver(lab, &["0"])?;
    let url = format!("http://127.0.0.1:{}/api/push", receiver.port);
    lab.ok(&["push", "set", "--url", &url])?;
    // Its secret is another: what was sent is what counts.
    run(&mut lab.pm_command(&["push", "now"]), None)?;
    let pushed = receiver.wait_for(1)?;
    ensure!(!pushed[0].to_string().contains(PLANTED), "{pushed:?}");
    Ok(())
}
