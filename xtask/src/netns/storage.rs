//! Bad files and full disks: one clear error, nothing lost, and the kernel goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::tests;
use crate::lab::{Family, Lab, PATIENCE, check_refusal, wait_until};
use crate::traffic::{Udp, Way};
use crate::truth::Place;

tests!["storage":
    a_bad_configuration_is_refused_and_ticks_go_on_with_the_last_good_one,
    a_bad_configuration_does_not_stop_healing,
    a_configuration_that_is_gone_ends_no_service,
    a_full_disk_loses_nothing,
    a_damaged_state_database_is_refused_and_left_as_it_is,
    a_locked_state_database_is_an_error_and_the_next_tick_catches_up,
    a_state_database_of_a_newer_pm_is_left_alone,
    a_full_configuration_disk_keeps_the_old_configuration,
    a_held_tick_lock_names_its_holder,
    files_are_for_root_only,
];

fn config(lab: &Lab) -> PathBuf {
    lab.config_dir().join("config.json")
}

fn state(lab: &Lab) -> PathBuf {
    lab.state_dir().join("state.db")
}

fn some_traffic(lab: &Lab) -> Result<()> {
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 15, 900)?;
    udp.send(Way::Out, 25, 700)
}

/// Fault 4 of the scripts pm replaces: the configuration was written in place, and a torn file was silently replaced
/// by an empty one: ports and tokens gone.
fn a_bad_configuration_is_refused_and_ticks_go_on_with_the_last_good_one(
    lab: &mut Lab,
) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB", "--note", "alice"])?;
    lab.ok(&["monitor"])?;
    let good = fs::read_to_string(config(lab))?;
    let newer = good.replacen("\"schema\": 1", "\"schema\": 9999", 1);
    ensure!(newer != good, "config.json names no schema: {good}");
    for bad in [
        &good[..good.len() / 2],
        "",
        "not json at all",
        "[]",
        "{}{}",
        &format!("{good}x"),
        &good.replacen("20000", "99999", 1),
        &newer,
        "\u{0}\u{0}\u{0}",
    ] {
        fs::write(config(lab), bad)?;
        let shown: String = bad.chars().take(60).collect();
        for args in [
            &["add", "20001"][..],
            &["set", "20000", "--quota", "1GB"],
            &["del", "20000"],
            &["config", "check"],
        ] {
            lab.refused(args, &["config.json"])
                .with_context(|| format!("config {shown:?}"))?;
            ensure!(
                fs::read_to_string(config(lab))? == bad,
                "`pm {}` replaced config {shown:?}",
                args.join(" ")
            );
        }
        some_traffic(lab)?;
        let tick = lab.pm(&["monitor"])?;
        ensure!(
            tick.stderr.contains("config.json"),
            "a tick does not tell of config {shown:?}: {}",
            tick.stderr
        );
        ensure!(
            lab.table()?.contains("20000"),
            "the rules went with config {shown:?}"
        );
        fs::write(config(lab), &good)?;
        lab.exact(&["20000"])
            .with_context(|| format!("after config {shown:?}"))?;
        ensure!(lab.service("20000")?.note == "alice");
    }
    fs::remove_file(config(lab))?;
    fs::create_dir(config(lab))?;
    some_traffic(lab)?;
    lab.refused(&["add", "20001"], &["config.json"])?;
    lab.pm(&["monitor"])?;
    fs::remove_dir(config(lab))?;
    fs::write(config(lab), &good)?;
    lab.exact(&["20000"])
}

fn a_configuration_that_is_gone_ends_no_service(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    some_traffic(lab)?;
    let good = fs::read_to_string(config(lab))?;
    fs::remove_file(config(lab))?;
    lab.refused(&["add", "20001"], &["config.json", "versions"])?;
    let tick = lab.pm(&["monitor"])?;
    ensure!(tick.stderr.contains("config.json"), "{}", tick.stderr);
    some_traffic(lab)?;
    fs::write(config(lab), &good)?;
    lab.exact(&["20000"])
}

fn a_bad_configuration_does_not_stop_healing(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    let good = fs::read(config(lab))?;
    fs::write(config(lab), "{")?;
    lab.vps.nft(&["flush", "ruleset"])?;
    lab.pm(&["monitor"])?;
    ensure!(
        lab.table()?.contains("20000"),
        "a bad configuration stops the healing of a flushed table"
    );
    some_traffic(lab)?;
    lab.pm(&["monitor"])?;
    fs::write(config(lab), good)?;
    lab.exact(&["20000"])
}

/// Fills a file system to its last byte; removed when dropped.
struct Filler(PathBuf);

impl Filler {
    fn fill(directory: &Path) -> Result<Self> {
        let filler = Self(directory.join("filler"));
        let mut file = File::create(&filler.0)?;
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn a_full_disk_loses_nothing(lab: &mut Lab) -> Result<()> {
    lab.mount_small(&lab.state_dir(), "1m")?;
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "1MB"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    let filler = Filler::fill(&lab.state_dir())?;
    some_traffic(lab)?;
    for args in [&["monitor"][..], &["reset", "20000"], &["add", "20001"]] {
        let output = lab.pm(args)?;
        check_refusal(&output, &["state.db"])
            .with_context(|| format!("on a full disk: pm {}", args.join(" ")))?;
    }
    diagnosed(lab, "failure", &lab.state_dir())?;
    some_traffic(lab)?;
    lab.watch_cut(&["20000"])?;
    let before = lab.truth(Place::Client, "20000")?.sum();
    Udp::open(lab, Family::V4, 20000)?.push(Way::Out, 3000, 1000)?;
    let passed = before + lab.truth(Place::Passed, "20000")?.sum();
    ensure!(
        (1_000_000 - 1027..=1_000_000).contains(&passed),
        "{passed} bytes passed while the disk was full"
    );
    drop(filler);
    lab.ok(&["monitor"])?;
    lab.exact(&["20000"])?;
    ensure!(lab.service("20000")?.blocked_by.as_deref() == Some("quota"));
    Ok(())
}

/// Checks that the self-check says of a directory that it is full, or nearly.
fn diagnosed(lab: &Lab, status: &str, dir: &Path) -> Result<()> {
    let found = lab.pm(&["doctor"])?.stdout;
    let said = found.lines().any(|line| {
        line.starts_with(status)
            && line.contains("storage:")
            && line.ends_with(&format!("left for {}", dir.display()))
    });
    ensure!(said, "{found}");
    Ok(())
}

fn a_damaged_state_database_is_refused_and_left_as_it_is(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    let good = fs::read(state(lab))?;
    let mut torn = good.clone();
    torn[..64].fill(0xff);
    for (what, bad) in [
        ("a bad header", torn.as_slice()),
        ("text", b"this is no database, whatever its name says"),
        ("half", &good[..good.len() / 2]),
    ] {
        fs::write(state(lab), bad)?;
        some_traffic(lab)?;
        for args in [&["monitor"][..], &["add", "20001"]] {
            check_refusal(&lab.pm(args)?, &["state.db"])
                .with_context(|| format!("{what}: pm {}", args.join(" ")))?;
        }
        ensure!(
            fs::read(state(lab))? == bad,
            "{what}: the damaged file was changed"
        );
        fs::write(state(lab), &good)?;
        lab.exact(&["20000"]).with_context(|| what.to_owned())?;
    }
    lab.ok(&["monitor"])?;
    lab.exact(&["20000"])
}

/// Locks a file's every byte against other processes, as a backup program or a second SQLite would.
fn lock_bytes(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let all = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&all))
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn a_locked_state_database_is_an_error_and_the_next_tick_catches_up(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    let lock = lock_bytes(&state(lab))?;
    some_traffic(lab)?;
    check_refusal(&lab.pm(&["monitor"])?, &["state.db"])?;
    some_traffic(lab)?;
    drop(lock);
    lab.ok(&["monitor"])?;
    lab.exact(&["20000"])
}

fn a_state_database_of_a_newer_pm_is_left_alone(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    some_traffic(lab)?;
    lab.ok(&["monitor"])?;
    // SQLite's user_version: four big-endian bytes at offset 60 of the file.
    let good = fs::read(state(lab))?;
    ensure!(good[60..64] != [0; 4], "state.db has no schema version");
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&9999_u32.to_be_bytes());
    fs::write(state(lab), &newer)?;
    some_traffic(lab)?;
    for args in [&["monitor"][..], &["reset", "20000"], &["list"]] {
        check_refusal(&lab.pm(args)?, &["state.db", "9999", "update pm"])
            .with_context(|| args.join(" "))?;
        ensure!(
            fs::read(state(lab))? == newer,
            "`pm {}` changed a newer state.db",
            args.join(" ")
        );
    }
    fs::write(state(lab), &good)?;
    lab.exact(&["20000"])
}

fn a_full_configuration_disk_keeps_the_old_configuration(lab: &mut Lab) -> Result<()> {
    lab.mount_small(&lab.config_dir(), "128k")?;
    lab.ok(&["add", "20000", "--note", "alice"])?;
    let before = fs::read(config(lab))?;
    diagnosed(lab, "warning", &lab.config_dir())?;
    let filler = Filler::fill(&lab.config_dir())?;
    diagnosed(lab, "failure", &lab.config_dir())?;
    let config_dir = lab.config_dir().to_string_lossy().into_owned();
    let words = [config_dir.as_str(), "space"];
    check_refusal(&lab.pm(&["add", "20001"])?, &words)?;
    check_refusal(&lab.pm(&["del", "20000"])?, &words)?;
    ensure!(
        fs::read(config(lab))? == before,
        "a full disk has changed the configuration"
    );
    drop(filler);
    let ports: Vec<_> = lab
        .list()?
        .into_iter()
        .map(|service| service.port)
        .collect();
    ensure!(ports == ["20000"], "{ports:?}");
    ensure!(
        !lab.table()?.contains("20001"),
        "a refused service is in the kernel"
    );
    lab.ok(&["add", "20001"])?;
    Ok(())
}

/// Fault 2 of the scripts pm replaces: an open menu stopped accounting for as long as it liked, and nobody was told.
fn a_held_tick_lock_names_its_holder(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let lock = fs::read_dir(lab.run_dir())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().contains("tick"))
        .context("no tick lock in the run directory")?;
    let inode = fs::metadata(&lock)?.ino();
    // A tick that hangs in its first write to the disk.
    let mut hung = lab
        .pm_command_under(
            &[
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=fsync,fdatasync",
                "-e",
                "inject=fsync,fdatasync:delay_enter=60000000",
            ],
            &["monitor"],
        )
        .spawn()?;
    some_traffic(lab)?;
    let result = wait_until("the hung tick holds its lock", || {
        let locks = BufReader::new(File::open("/proc/locks")?);
        Ok(locks
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains(&format!(":{inode} "))))
    })
    .and_then(|()| {
        let started = Instant::now();
        lab.pm(&["monitor"])?;
        ensure!(
            started.elapsed() < PATIENCE / 4,
            "a second tick waits for the first"
        );
        lab.refused(&["reset", "20000"], &["tick lock", "pm monitor", "process"])?;
        Ok(())
    });
    // The tracer's death would let the tick go on; the namespace knows the tick itself.
    let pids = crate::namespace::run(
        std::process::Command::new("ip").args(["netns", "pids", lab.vps.name()]),
        None,
    )?
    .stdout;
    for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
    hung.wait()?;
    result?;
    lab.ok(&["reset", "20000"])?;
    Ok(())
}

fn files_are_for_root_only(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--note", "secret"])?;
    lab.ok(&["monitor"])?;
    for path in [config(lab), state(lab)] {
        let mode = fs::metadata(&path)?.mode() & 0o777;
        ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
    }
    for entry in fs::read_dir(lab.run_dir())? {
        let entry = entry?;
        ensure!(
            entry.metadata()?.mode() & 0o077 == 0,
            "{:?} is open to others",
            entry.file_name()
        );
    }
    Ok(())
}
