//! Killed at any instant, or out of space: what was saved before is there, or what came after.
//!
//! The process that is killed is this test itself, run again with a directory in its environment.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{assert_history_adds_up, kept, paths, paths_in, state_at};
use pm_core::config::{Config, Service};
use pm_core::ledger::State;
use pm_core::port::PortRange;
use pm_core::ruleset::Epoch;
use pm_store::locks::{Lock, LockKind};
use pm_store::state_db::StateDb;
use pm_store::{StoreError, config_file};

const DIR: &str = "PM_STORE_CRASH_DIR";
const SERVICES: u16 = 300;

fn config_at(revision: u64) -> Config {
    let mut config = Config {
        revision,
        ..Config::default()
    };
    for port in 1..=SERVICES {
        let note = format!("revision {revision}").parse().unwrap();
        let ports = PortRange::new(port, port).unwrap();
        config.services.insert(
            ports,
            Service {
                note,
                ..Service::default()
            },
        );
    }
    config
}

/// Saves one state and configuration after the other, and says each number when it is safe.
#[test]
fn child_saves_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let paths = paths_in(Path::new(&dir));
    let _lock = Lock::acquire(&paths, LockKind::Tick, std::time::Duration::ZERO).unwrap();
    let mut db = StateDb::open(&paths).unwrap();
    let mut old = db.load().unwrap().unwrap_or_else(|| State::new(Epoch(0)));
    loop {
        let tick = old.next_epoch.0 + 1;
        let new = state_at(tick, SERVICES);
        let text = tick.to_string();
        let saved = config_file::save(&paths, &config_at(tick))
            .and_then(|_| db.save(&old, &new, Some(&text)));
        match saved {
            Ok(()) => println!("\nsaved {tick}"),
            Err(error) => {
                println!(
                    "\nfailed {}: {error}",
                    matches!(error, StoreError::DiskFull { .. })
                );
                return;
            }
        }
        old = kept(&new);
    }
}

fn child(mut command: Command, dir: &Path) -> Child {
    command
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

const ARGUMENTS: [&str; 3] = ["--exact", "child_saves_until_it_is_killed", "--nocapture"];

/// Checks that all that is there is of one save, no earlier than `acknowledged`.
fn check(dir: &Path, acknowledged: u64) {
    let paths = paths_in(dir);
    let config = config_file::load(&paths).unwrap().config;
    assert!(config.revision >= acknowledged);
    if config.revision > 0 {
        assert_eq!(config, config_at(config.revision));
    }
    for version in config_file::versions(&paths).unwrap() {
        let kept = Config::parse(&fs::read_to_string(&version.path).unwrap()).unwrap();
        assert_eq!(kept, config_at(version.revision.unwrap()));
    }
    let check_db = |db: StateDb| {
        let Some(state) = db.load().unwrap() else {
            assert_eq!(acknowledged, 0);
            return;
        };
        let tick = state.next_epoch.0;
        assert!(tick >= acknowledged, "{tick} after {acknowledged}");
        assert_eq!(state, kept(&state_at(tick, SERVICES)));
        assert_history_adds_up(&db, &state);
        assert_eq!(db.last_good_config().unwrap(), Some(tick.to_string()));
        db.check().unwrap();
    };
    if let Some(db) = StateDb::open_read_only(&paths).unwrap() {
        check_db(db);
    }
    check_db(StateDb::open(&paths).unwrap());
}

#[test]
fn a_killed_process_leaves_the_old_or_the_new() {
    let (dir, paths) = paths();
    let mut acknowledged = 0;
    for round in 0..25u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(ARGUMENTS);
        let mut child = child(command, dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // It goes on while its words are read, so each round ends elsewhere in a save.
        let mut left = 1 + round % 4;
        while left > 0 {
            let line = lines.next().unwrap().unwrap();
            if let Some(tick) = line.strip_prefix("saved ") {
                acknowledged = tick.parse().unwrap();
                left -= 1;
            }
        }
        for _ in 0..round * 20_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_some(),
            "it went with it"
        );
        check(dir.path(), acknowledged);
    }
}

/// Runs the child until its disk is full, and returns the last save and what it said.
fn fill(command: Command, dir: &Path) -> (u64, String) {
    let output = child(command, dir).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let saved = text
        .lines()
        .filter_map(|line| line.strip_prefix("saved ")?.parse().ok())
        .max();
    let failed = text
        .lines()
        .find(|line| line.starts_with("failed "))
        .unwrap_or_default();
    (saved.unwrap_or(0), failed.to_owned())
}

/// A limit on the size of files stops the -wal file in the middle of a save.
#[test]
fn a_limit_on_file_size_leaves_the_old() {
    for blocks in [220, 333, 700] {
        let (dir, _) = paths();
        // ulimit -f counts blocks of 512 bytes; the signal would kill before the error is seen.
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"",
            &blocks.to_string(),
        ]);
        shell.arg(std::env::current_exe().unwrap()).args(ARGUMENTS);
        let (saved, failed) = fill(shell, dir.path());
        assert!(
            failed.starts_with("failed "),
            "{blocks} blocks: {failed:?} after {saved}"
        );
        check(dir.path(), saved);
    }
}

/// A file system of its own, so that it is really full.
#[test]
fn a_full_disk_leaves_the_old() {
    let (dir, _) = paths();
    let script = "mount -t tmpfs -o size=\"$1\" pm \"$0\" && shift && \
                  { \"$@\"; cp -r \"$0\" \"$0.kept\"; }";
    for size in ["400k", "512k", "700k"] {
        let place = dir.path().join(size);
        fs::create_dir(&place).unwrap();
        let mut mount = Command::new("unshare");
        mount.args(["-m", "sh", "-c", script]).arg(&place).arg(size);
        mount.arg(std::env::current_exe().unwrap()).args(ARGUMENTS);
        let (saved, failed) = fill(mount, &place);
        let kept = dir.path().join(format!("{size}.kept"));
        if !kept.exists() {
            eprintln!("skipped: mounting a tmpfs needs root");
            return;
        }
        assert!(
            failed.starts_with("failed true: "),
            "{size}: {failed:?} after {saved}"
        );
        check(&kept, saved);
    }
}
