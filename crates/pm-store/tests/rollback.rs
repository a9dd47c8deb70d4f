//! What is copied comes back as it was, however often it is interrupted.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;

use common::{kept, paths, state_at};
use pm_core::config::Config;
use pm_store::rollback::Point;
use pm_store::state_db::StateDb;
use pm_store::{Paths, StoreError, config_file};

/// Saves what a tick of that number leaves.
fn save(paths: &Paths, tick: u64) {
    let config = Config {
        revision: tick,
        ..Config::default()
    };
    config_file::save(paths, &config).unwrap();
    let mut db = StateDb::open(paths).unwrap();
    let old = db.load().unwrap().unwrap_or_else(|| state_at(tick, 3));
    db.save(&old, &state_at(tick, 3), None).unwrap();
}

fn assert_at(paths: &Paths, tick: u64) {
    let db = StateDb::open(paths).unwrap();
    assert_eq!(db.load().unwrap(), Some(kept(&state_at(tick, 3))));
    db.check().unwrap();
    assert_eq!(config_file::load(paths).unwrap().config.revision, tick);
}

#[test]
fn what_was_copied_comes_back() {
    let (_dir, paths) = paths();
    save(&paths, 1);
    let point = Point::take(&paths, "a note").unwrap();
    assert!(Point::stands(&paths));
    save(&paths, 2);
    point.put_back(&paths).unwrap();
    assert_at(&paths, 1);
    assert!(!Point::stands(&paths));
    assert!(Point::find(&paths).unwrap().is_none());
    save(&paths, 3);
    assert_at(&paths, 3);
}

#[test]
fn what_is_forgotten_changes_nothing() {
    let (_dir, paths) = paths();
    save(&paths, 1);
    let point = Point::take(&paths, "").unwrap();
    save(&paths, 2);
    point.forget().unwrap();
    assert!(!Point::stands(&paths));
    assert_at(&paths, 2);
}

#[test]
fn whoever_finds_it_has_the_note() {
    let (_dir, paths) = paths();
    assert!(Point::find(&paths).unwrap().is_none());
    save(&paths, 1);
    drop(Point::take(&paths, "whose it is").unwrap());
    save(&paths, 2);
    let point = Point::find(&paths).unwrap().unwrap();
    assert_eq!(point.note(), "whose it is");
    point.put_back(&paths).unwrap();
    assert_at(&paths, 1);
}

#[test]
fn where_there_was_nothing_there_is_nothing_again() {
    let (_dir, paths) = paths();
    let point = Point::take(&paths, "").unwrap();
    save(&paths, 1);
    point.put_back(&paths).unwrap();
    assert!(!paths.config_file().exists() && !paths.state_db().exists());
    assert!(StateDb::open_read_only(&paths).unwrap().is_none());
}

#[test]
fn a_database_of_a_newer_pm_gives_way_to_the_copy() {
    let (_dir, paths) = paths();
    save(&paths, 1);
    let point = Point::take(&paths, "").unwrap();
    let newer = rusqlite::Connection::open(paths.state_db()).unwrap();
    newer.pragma_update(None, "user_version", 999).unwrap();
    drop(newer);
    let error = StateDb::open(&paths).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 999, .. }));
    point.put_back(&paths).unwrap();
    assert_at(&paths, 1);
}

/// Each way in which putting back can have stopped, and a journal of the file that goes, which
/// would damage the other.
#[test]
fn putting_back_goes_on_where_it_was_interrupted() {
    for step in 0..4 {
        let (_dir, paths) = paths();
        save(&paths, 1);
        drop(Point::take(&paths, "").unwrap());
        save(&paths, 2);
        let state = paths.state_db();
        let journal = state.with_file_name("state.db-wal");
        fs::write(&journal, "a journal of another database").unwrap();
        if step >= 1 {
            fs::remove_file(&journal).unwrap();
        }
        if step >= 2 {
            fs::rename(paths.rollback_dir().join("state.db"), &state).unwrap();
        }
        if step >= 3 {
            fs::copy(
                paths.rollback_dir().join("config.json"),
                paths.config_file(),
            )
            .unwrap();
        }
        let point = Point::find(&paths).unwrap().unwrap();
        point.put_back(&paths).unwrap();
        assert_at(&paths, 1);
    }
}

/// As an operator's `sqlite3` keeps it open, so that its journal is not merged.
#[test]
fn a_database_that_somebody_reads_is_copied_whole() {
    let (_dir, paths) = paths();
    save(&paths, 1);
    let reader = StateDb::open(&paths).unwrap();
    save(&paths, 2);
    assert!(paths.state_db().with_file_name("state.db-wal").exists());
    let point = Point::take(&paths, "").unwrap();
    save(&paths, 3);
    drop(reader);
    point.put_back(&paths).unwrap();
    assert_at(&paths, 2);
}

#[test]
fn a_second_copy_replaces_the_first() {
    let (_dir, paths) = paths();
    save(&paths, 1);
    Point::take(&paths, "").unwrap().forget().unwrap();
    save(&paths, 2);
    let point = Point::take(&paths, "").unwrap();
    save(&paths, 3);
    point.put_back(&paths).unwrap();
    assert_at(&paths, 2);
}
