//! Setups and uninstalls that meet something: another pm, a reader who leaves, somebody else's files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};

use super::{House, Kind, PM};
use crate::lab::{Lab, check_refusal, wait_until};
use crate::netns::tests;

tests!["settling":
    nothing_secret_is_readable_or_on_a_command_line,
    a_configuration_that_is_not_pms_stays,
    ticks_beside_an_uninstall_leave_no_trace,
    who_holds_a_lock_stops_uninstall_and_setup_and_nothing_else,
    an_uninstall_that_fails_lets_pm_go_on,
    a_reader_who_leaves_stops_nothing,
    another_pm_than_the_one_that_is_set_up_does_not_uninstall,
    a_man_page_of_somebody_elses_keeps_pm_from_nothing,
    an_interrupted_setup_is_made_known_to_systemd,
];

const CRON: Kind = Kind::CronAndSysvinit;
const CONFIG: &str = "/etc/port_monitor/config.json";
const COPY: &str = "/opt/copy";

/// Fault 17 of the tools that pm's users come from: world-readable state, secrets on command lines.
fn nothing_secret_is_readable_or_on_a_command_line(lab: &mut Lab) -> Result<()> {
    const SECRET: &str = "hunter2-7f3a";
    let house = House::build(lab, CRON)?;
    let watched = |words: &[&str]| -> Result<()> {
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-v",
            "-s",
            "65536",
            "-e",
            "trace=execve",
            "-o",
            "/run/execs",
        ];
        house.ok(&[&strace[..], words].concat())?;
        let execs = house.read("/run/execs")?;
        ensure!(execs.contains(PM), "nothing was seen: {execs}");
        ensure!(!execs.contains(SECRET), "{words:?} passes it on: {execs}");
        Ok(())
    };
    let umask =
        |words: &str| ["/bin/sh", "-c", &format!("umask 000; exec {words}")].map(str::to_owned);
    let open = |words: &str| -> Result<()> {
        let words = umask(words);
        watched(&words.each_ref().map(String::as_str))
    };
    open(&format!("{PM} setup"))?;
    open(&format!("{PM} add 20000"))?;
    let config = house.read(CONFIG)?;
    let noted = config.replacen(
        "\"20000\": {",
        &format!("\"20000\": {{ \"note\": \"{SECRET}\","),
        1,
    );
    ensure!(noted != config, "{config}");
    house.write(CONFIG, &noted)?;
    for words in [
        "monitor",
        "set 20000 --quota 1GB",
        "monitor --log-to-file",
        "list",
        "setup",
    ] {
        open(&format!("{PM} {words}"))?;
    }
    // Something to log.
    lab.vps.nft(&["delete", "table", "inet", "port_monitor"])?;
    open(&format!("{PM} monitor --log-to-file"))?;

    const STATE: &str = "/var/lib/port_monitor";
    let directories = [
        "/etc/port_monitor",
        STATE,
        "/var/log/port_monitor",
        "/run/port_monitor",
    ];
    let mut holders = 0;
    for directory in directories {
        for path in tree(&house.outside(directory))? {
            let found = fs::metadata(&path)?;
            let mode = found.permissions().mode() & 0o777;
            // Who delivers passes through this one to what is his, and sees nothing else that is in it.
            let passable = if path == house.outside(STATE) {
                0o011
            } else {
                0
            };
            let is_private = mode & 0o077 & !passable == 0;
            ensure!(is_private, "{} has mode {mode:o}", path.display());
            let holds = found.is_file()
                && fs::read(&path)?
                    .windows(SECRET.len())
                    .any(|bytes| bytes == SECRET.as_bytes());
            holders += usize::from(holds);
        }
    }
    // The configuration, a version of it, the last good one.
    ensure!(holders >= 3, "only {holders} files hold what was planted");
    watched(&[PM, "uninstall", "--yes", "--keep-data"])
}

fn tree(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut paths = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => paths.extend(tree(&entry.path())?),
            false => paths.push(entry.path()),
        }
    }
    Ok(paths)
}

/// Fault 16 of the tools that pm's users come from: uninstall deletes what is somebody else's. pm.sh's configuration,
/// torn, looks like no other's.
fn a_configuration_that_is_not_pms_stays(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, CRON)?;
    for theirs in [
        r#"{"node_id": "hk", "ports": {"443""#,
        r#"{"tool": "other"}"#,
    ] {
        house.write(CONFIG, theirs)?;
        house.write("/var/lib/port_monitor/notes.txt", "theirs\n")?;
        let before = house.portrait()?;
        house.ok(&[PM, "setup"])?;
        let announced = house.ok(&[PM, "uninstall", "--dry-run"])?;
        ensure!(
            announced.contains(&format!("{CONFIG}: not pm's")),
            "{announced}"
        );
        house.ok(&[PM, "uninstall", "--yes"])?;
        house.program(PM, lab.pm_path())?;
        house.portrait()?.equals(&before)?;
    }
    Ok(())
}

fn ticks_beside_an_uninstall_leave_no_trace(lab: &mut Lab) -> Result<()> {
    const ROUNDS: usize = 6;
    let house = House::build(lab, CRON)?;
    house.program(COPY, lab.pm_path())?;
    let before = house.portrait()?;
    for round in 0..ROUNDS {
        house.ok(&[PM, "setup"])?;
        house.ok(&[PM, "add", "20000"])?;
        let ticks = |command: &str| {
            // What was begun is done before the loop ends.
            let script = format!(
                "trap 'exit 0' TERM; echo; while :; do {COPY} {command} --log-to-file; done"
            );
            house.spawn(&["sh", "-c", &script])
        };
        let mut loops = [
            ticks("monitor")?,
            ticks("restore --boot")?,
            ticks("monitor --wait")?,
        ];
        let uninstalled = house.run(&[PM, "uninstall", "--yes"]);
        for one in &mut loops {
            let ended = std::process::Command::new("kill")
                .arg(one.id().to_string())
                .status()?;
            ensure!(ended.success(), "a loop had ended");
            one.wait()?;
        }
        uninstalled?
            .success()
            .with_context(|| format!("round {round}"))?;
        house.program(PM, lab.pm_path())?;
        house
            .portrait()?
            .equals(&before)
            .with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

fn who_holds_a_lock_stops_uninstall_and_setup_and_nothing_else(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::Systemd)?;
    house.ok(&[PM, "setup"])?;
    house.ok(&[PM, "add", "20000"])?;
    let log = house.read("/run/systemctl.log")?;
    let before = house.portrait()?;
    for (lock, commands) in [
        ("tick", &[&["uninstall", "--yes"][..]][..]),
        ("update", &[&["uninstall", "--yes"], &["setup"]]),
    ] {
        let path = format!("/run/port_monitor/{lock}.lock");
        let mut holder = house.hold(&path)?;
        for command in commands {
            let output = house.run(&[&[PM], *command].concat())?;
            check_refusal(&output, &["lock"]).with_context(|| format!("{lock}, {command:?}"))?;
        }
        drop(holder.stdin.take());
        holder.wait()?;
        ensure!(
            house.read("/run/systemctl.log")? == log,
            "something was stopped"
        );
        ensure!(lab.table()?.contains("20000"), "{}", lab.table()?);
    }
    for lock in ["update", "write", "tick"] {
        let path = house.outside(&format!("/run/port_monitor/{lock}.lock"));
        ensure!(path.exists(), "{lock} is gone");
    }
    fs::write(house.outside("/run/port_monitor/update.lock"), "")?;
    house.portrait()?.equals(&before)
}

/// As where the state is on a disk that somebody has made read-only.
fn an_uninstall_that_fails_lets_pm_go_on(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, CRON)?;
    house.ok(&[PM, "setup"])?;
    house.ok(&[PM, "add", "20000"])?;
    let state = "/var/lib/port_monitor";
    house.ok(&["mount", "--bind", state, state])?;
    house.ok(&["mount", "-o", "remount,ro,bind", state])?;
    let output = house.run(&[PM, "uninstall", "--yes"])?;
    check_refusal(&output, &["Nothing was removed, and pm goes on as before."])?;
    house.ok(&["umount", state])?;
    ensure!(lab.table()?.contains("20000"), "{}", lab.table()?);
    // The line of cron's is there again.
    house.minute(CRON)?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    Ok(())
}

fn a_reader_who_leaves_stops_nothing(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, CRON)?;
    let before = house.portrait()?;
    for (stdout, code) in [("| true", 0), (">/dev/full", 1), (">&-", 0)] {
        let shell = |words: &str| {
            // A pipe's own code is the reader's.
            let script = format!("exec 3>&1; {{ {PM} {words}; echo $? >/run/code; }} {stdout}");
            house.ok(&["sh", "-c", &format!("{script}; true")])?;
            house.read("/run/code")
        };
        let done = shell("setup")?;
        ensure!(
            house.outside("/etc/cron.d/port_monitor").exists(),
            "{stdout}: not set up"
        );
        house.minute(CRON)?;
        let gone = shell("uninstall --yes")?;
        ensure!(!house.outside(PM).exists(), "{stdout}: not uninstalled");
        if stdout != ">&-" {
            let expected = format!("{code}\n");
            ensure!(
                done == expected && gone == expected,
                "{stdout}: {done}, {gone}"
            );
        }
        house.program(PM, lab.pm_path())?;
        house.portrait()?.equals(&before).context(stdout)?;
    }
    // Nobody agrees to what he has not seen.
    house.ok(&[PM, "setup"])?;
    let output = house.run(&["sh", "-c", &format!("{PM} uninstall >/dev/full")])?;
    check_refusal(&output, &["stdout"])?;
    ensure!(house.outside(PM).exists(), "it is gone");
    Ok(())
}

fn another_pm_than_the_one_that_is_set_up_does_not_uninstall(lab: &mut Lab) -> Result<()> {
    for kind in [Kind::Systemd, CRON, Kind::BusyboxAndOpenRc] {
        let house = House::build(lab, kind)?;
        house.program(COPY, lab.pm_path())?;
        house.ok(&[PM, "setup"])?;
        let before = house.portrait()?;
        check_refusal(
            &house.run(&[COPY, "uninstall", "--yes"])?,
            &[COPY, &format!("{PM} uninstall")],
        )?;
        house.portrait()?.equals(&before)?;
        // With the other gone, any may tidy up.
        fs::remove_file(house.outside(PM))?;
        house.ok(&[COPY, "uninstall", "--yes"])?;
        ensure!(
            !house.outside("/etc/init.d/port-monitor").exists(),
            "the script stays"
        );
    }
    Ok(())
}

fn a_man_page_of_somebody_elses_keeps_pm_from_nothing(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, CRON)?;
    house.write("/usr/local/share/man/man1/pm.1", ".TH other 1\n")?;
    let before = house.portrait()?;
    let output = house.run(&[PM, "setup"])?;
    ensure!(output.code == Some(0), "{output:?}");
    ensure!(output.stderr.contains("man1/pm.1"), "{output:?}");
    house.minute(CRON)?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    house.program(PM, lab.pm_path())?;
    house.portrait()?.equals(&before)
}

fn an_interrupted_setup_is_made_known_to_systemd(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::Systemd)?;
    let systemctl = "/usr/local/sbin/systemctl";
    let script = house.read(systemctl)?;
    // As if it were killed between the last file and this.
    house.write(systemctl, "#!/bin/sh\nexit 1\n")?;
    check_refusal(&house.run(&[PM, "setup"])?, &["daemon-reload"])?;
    house.write(systemctl, &script)?;
    house.ok(&[PM, "setup"])?;
    let log = house.read("/run/systemctl.log")?;
    for words in [
        "daemon-reload",
        "start port-monitor.service",
        "port-monitor-tick.timer",
    ] {
        ensure!(log.contains(words), "{words}: {log}");
    }
    Ok(())
}

impl House<'_> {
    /// Starts a command on the host, and waits until it has said something.
    fn spawn(&self, words: &[&str]) -> Result<Child> {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdout = child.stdout.take().context("no stdout")?;
        std::io::Read::read_exact(&mut stdout, &mut [0])?;
        child.stdout = Some(stdout);
        Ok(child)
    }

    /// Locks a file until the input of the process ends.
    fn hold(&self, path: &str) -> Result<Child> {
        let child = self
            .command(&["flock", path, "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        wait_until("the lock is held", || {
            Ok(self.run(&["flock", "-n", path, "true"])?.code != Some(0))
        })?;
        Ok(child)
    }
}
