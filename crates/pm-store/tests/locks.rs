//! One holder at a time, who is named to those that wait.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

use common::paths;
use pm_store::StoreError;
use pm_store::locks::{Lock, LockKind};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_lock_is_held_once_and_given_back() {
    let (_dir, paths) = paths();
    let lock = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    assert_eq!(lock.kind(), LockKind::Tick);
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_none());
    assert!(
        Lock::try_acquire(&paths, LockKind::Edit).unwrap().is_some(),
        "others are free"
    );
    drop(lock);
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_some());
}

#[test]
fn who_waits_in_vain_is_told_the_holder() {
    let (_dir, paths) = paths();
    let lock = Lock::acquire(&paths, LockKind::Write, SHORT).unwrap();
    let error = Lock::acquire(&paths, LockKind::Write, SHORT).unwrap_err();
    let StoreError::Held { holder, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        holder.contains(&format!("(process {})", std::process::id())),
        "{holder}"
    );
    assert!(
        error
            .to_string()
            .starts_with("cannot take the write lock ("),
        "{error}"
    );
    drop(lock);
    assert_eq!(
        fs::read(paths.lock_file(LockKind::Write)).unwrap(),
        b"",
        "nobody holds it"
    );
}

#[test]
fn who_waits_long_enough_gets_it() {
    let (_dir, paths) = paths();
    let lock = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    let got = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| Lock::acquire(&paths, LockKind::Tick, Duration::from_secs(20)));
        drop(lock);
        waiting.join().unwrap().unwrap()
    });
    assert_eq!(got.kind(), LockKind::Tick);
}

#[test]
fn write_then_tick_holds_both_or_none() {
    let (_dir, paths) = paths();
    let tick = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    let error = Lock::write_then_tick(&paths, SHORT).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Held {
                kind: LockKind::Tick,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        Lock::try_acquire(&paths, LockKind::Write)
            .unwrap()
            .is_some()
    );
    drop(tick);
    let both = Lock::write_then_tick(&paths, SHORT).unwrap();
    assert_eq!(
        (both.0.kind(), both.1.kind()),
        (LockKind::Write, LockKind::Tick)
    );
}

#[test]
fn directory_and_files_are_private() {
    let (_dir, paths) = paths();
    let _lock = Lock::acquire(&paths, LockKind::Edit, SHORT).unwrap();
    assert_eq!(fs::metadata(&paths.run_dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(
        fs::metadata(paths.lock_file(LockKind::Edit))
            .unwrap()
            .mode()
            & 0o777,
        0o600
    );
}

#[test]
fn a_link_is_not_followed() {
    let (dir, paths) = paths();
    fs::create_dir(&paths.run_dir).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, paths.lock_file(LockKind::Tick)).unwrap();
    let error = Lock::try_acquire(&paths, LockKind::Tick).unwrap_err();
    assert!(matches!(error, StoreError::Linked { .. }), "{error}");
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
}

#[test]
fn a_directory_that_all_can_write_is_refused() {
    let (_dir, paths) = paths();
    fs::create_dir(&paths.run_dir).unwrap();
    fs::set_permissions(&paths.run_dir, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Lock::try_acquire(&paths, LockKind::Tick).unwrap_err();
    assert!(matches!(error, StoreError::NotPrivate { .. }), "{error}");
}

#[test]
fn a_lock_whose_file_was_removed_does_not_pass_for_the_new_one() {
    let (_dir, paths) = paths();
    let _old = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    fs::remove_file(paths.lock_file(LockKind::Tick)).unwrap();
    let _new = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_none());
}

#[test]
fn a_lock_that_is_shared_is_known_by_its_descriptor() {
    let (_dir, paths) = paths();
    let lock = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    let descriptor = lock.share(&paths).unwrap().unwrap();
    let shared = Lock::shared(&paths, LockKind::Tick, descriptor).unwrap();
    let shared = shared.expect("it is that lock");
    // Whoever shares it gives nothing back.
    drop(shared);
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_none());
    let other = Lock::shared(&paths, LockKind::Write, descriptor).unwrap();
    assert!(other.is_none(), "another lock's descriptor");
    let file = fs::File::open(paths.lock_file(LockKind::Tick)).unwrap();
    drop(lock);
    let unheld = Lock::shared(
        &paths,
        LockKind::Tick,
        std::os::fd::AsRawFd::as_raw_fd(&file),
    );
    assert!(unheld.unwrap().is_none(), "nobody holds it");
    assert!(Lock::shared(&paths, LockKind::Tick, 999).unwrap().is_none());
}

#[test]
fn a_child_shares_the_lock_until_it_ends() {
    let (_dir, paths) = paths();
    let lock = Lock::acquire(&paths, LockKind::Tick, SHORT).unwrap();
    lock.share(&paths).unwrap();
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(lock);
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_none());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(Lock::try_acquire(&paths, LockKind::Tick).unwrap().is_some());
}
