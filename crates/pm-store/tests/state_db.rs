//! What is saved is what is loaded, and nothing in between.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use common::strategies::state;
use common::{kept, paths, state_at};
use pm_core::ledger::State;
use pm_core::ruleset::Epoch;
use pm_store::state_db::StateDb;
use pm_store::{Paths, StoreError};
use proptest::prelude::*;
use rusqlite::Connection;

fn read_only(paths: &Paths) -> StateDb {
    StateDb::open_read_only(paths).unwrap().unwrap()
}

fn first() -> State {
    State::new(Epoch(1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_save_is_loaded_as_it_was(states in prop::collection::vec(state(), 1..6)) {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        let mut old = first();
        for new in states {
            db.save(&old, &new, None).unwrap();
            old = kept(&new);
            prop_assert_eq!(db.load().unwrap(), Some(old.clone()));
            prop_assert_eq!(read_only(&paths).load().unwrap(), Some(old.clone()));
            read_only(&paths).check().unwrap();
        }
        drop(db);
        prop_assert_eq!(read_only(&paths).load().unwrap(), Some(old.clone()));
        prop_assert_eq!(StateDb::open(&paths).unwrap().load().unwrap(), Some(old));
    }

    /// Bytes flipped anywhere in the file: an error or a state, never a panic.
    #[test]
    fn a_damaged_file_is_no_panic(at in any::<prop::sample::Index>(), bytes in any::<[u8; 8]>()) {
        let (_dir, paths) = paths();
        StateDb::open(&paths).unwrap().save(&first(), &state_at(1, 50), Some("{}")).unwrap();
        let mut file = fs::read(paths.state_db()).unwrap();
        let at = at.index(file.len() - bytes.len());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        fs::write(paths.state_db(), file).unwrap();
        if let Ok(Some(db)) = StateDb::open_read_only(&paths) {
            let _ = (db.load(), db.last_good_config(), db.check());
            let _ = (db.days(None), db.closed_periods(None));
        }
        if let Ok(mut db) = StateDb::open(&paths) {
            let _ = (db.load(), db.check());
            let _ = db.save(&state_at(1, 50), &state_at(2, 50), Some("{ }"));
        }
    }
}

#[test]
fn a_new_database_is_private_and_empty() {
    let (_dir, paths) = paths();
    let db = StateDb::open(&paths).unwrap();
    assert_eq!(db.load().unwrap(), None);
    assert_eq!(db.last_good_config().unwrap(), None);
    db.check().unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(paths.state_dir.clone()), 0o700);
    assert_eq!(mode(paths.state_db()), 0o600);
    assert_eq!(mode(paths.state_dir.join("state.db-wal")), 0o600);
}

#[test]
fn a_file_restored_by_cp_becomes_private_again() {
    let (_dir, paths) = paths();
    drop(StateDb::open(&paths).unwrap());
    fs::set_permissions(paths.state_db(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(StateDb::open(&paths).unwrap());
    assert_eq!(
        fs::metadata(paths.state_db()).unwrap().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_save_without_commit_leaves_the_state_before() {
    let (_dir, paths) = paths();
    let (one, two) = (kept(&state_at(1, 100)), kept(&state_at(2, 100)));
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&first(), &one, None).unwrap();
    let mut raw = Connection::open(paths.state_db()).unwrap();
    let transaction = raw.transaction().unwrap();
    transaction
        .execute("UPDATE ledger SET used_in = 5 WHERE first_port < 10050", [])
        .unwrap();
    assert_eq!(db.load().unwrap().as_ref(), Some(&one));
    drop(transaction);
    drop(raw);
    db.save(&one, &two, None).unwrap();
    assert_eq!(db.load().unwrap(), Some(two));
}

/// Fails after each row of a save in turn.
#[test]
fn a_save_that_fails_in_the_middle_changes_nothing() {
    let (_dir, paths) = paths();
    let (one, mut two) = (kept(&state_at(3, 3)), state_at(4, 3));
    // A row that goes, and one that comes.
    two.interfaces.clear();
    two.ledgers.extend(state_at(4, 4).ledgers);
    assert_eq!(two.closed.len(), 1);
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&first(), &one, Some("one")).unwrap();
    let everything = |db: &StateDb| {
        (
            db.load().unwrap(),
            db.last_good_config().unwrap(),
            db.days(None).unwrap(),
            db.closed_periods(None).unwrap(),
        )
    };
    let before = everything(&db);
    let raw = Connection::open(paths.state_db()).unwrap();
    let tables: Vec<String> = raw
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    raw.execute_batch("CREATE TABLE rest (rows INTEGER)")
        .unwrap();
    for (table, deed) in tables
        .iter()
        .flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|deed| (table, deed)))
    {
        raw.execute_batch(&format!(
            "CREATE TRIGGER {table}_{deed} AFTER {deed} ON {table} BEGIN
                 UPDATE rest SET rows = rows - 1;
                 SELECT raise(ABORT, 'stop') FROM rest WHERE rows < 0;
             END"
        ))
        .unwrap();
    }
    for rows in 0.. {
        raw.execute_batch(&format!(
            "DELETE FROM rest; INSERT INTO rest VALUES ({rows})"
        ))
        .unwrap();
        match db.save(&one, &two, Some("two")) {
            Ok(()) => {
                assert!(rows > tables.len(), "it stopped in every table");
                break;
            }
            Err(error) => assert!(error.to_string().ends_with(": stop"), "{error}"),
        }
        assert_eq!(everything(&db), before, "after {rows} rows");
    }
    let after = everything(&db);
    assert_eq!(after.0, Some(kept(&two)));
    assert_eq!(after.1.as_deref(), Some("two"));
    let days = before.2.len() + 1;
    assert_eq!((after.2.len(), after.3), (days, two.closed));
}

#[test]
fn a_save_onto_somebody_elses_is_refused() {
    let (_dir, paths) = paths();
    let (one, two) = (state_at(1, 3), state_at(2, 3));
    let mut mine = StateDb::open(&paths).unwrap();
    let mut other = StateDb::open(&paths).unwrap();
    other.save(&first(), &one, None).unwrap();
    let error = mine.save(&first(), &two, None).unwrap_err();
    assert!(matches!(error, StoreError::Superseded { .. }), "{error}");
    let loaded = mine.load().unwrap().unwrap();
    mine.save(&loaded, &two, None).unwrap();
    assert_eq!(other.load().unwrap(), Some(two));
}

#[test]
fn the_configuration_is_kept_until_another_is_given() {
    let (_dir, paths) = paths();
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&first(), &first(), Some("{\"a\": 1}")).unwrap();
    db.save(&first(), &first(), None).unwrap();
    assert_eq!(
        db.last_good_config().unwrap().as_deref(),
        Some("{\"a\": 1}")
    );
    db.save(&first(), &first(), Some("")).unwrap();
    assert_eq!(db.last_good_config().unwrap().as_deref(), Some(""));
}

#[test]
fn a_reader_finds_nothing_and_leaves_nothing_where_there_is_nothing() {
    let (dir, paths) = paths();
    assert!(StateDb::open_read_only(&paths).unwrap().is_none());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::create_dir(&paths.state_dir).unwrap();
    assert!(StateDb::open_read_only(&paths).unwrap().is_none());
    fs::write(paths.state_db(), "").unwrap();
    assert!(StateDb::open_read_only(&paths).unwrap().is_none());
    assert_eq!(fs::read_dir(&paths.state_dir).unwrap().count(), 1);
}

#[test]
fn a_reader_leaves_no_file_behind() {
    let (_dir, paths) = paths();
    StateDb::open(&paths)
        .unwrap()
        .save(&first(), &state_at(1, 3), None)
        .unwrap();
    let before = fs::metadata(paths.state_db()).unwrap();
    let db = read_only(&paths);
    assert_eq!(db.load().unwrap(), Some(state_at(1, 3)));
    db.check().unwrap();
    assert_eq!(fs::read_dir(&paths.state_dir).unwrap().count(), 1);
    drop(db);
    let after = fs::metadata(paths.state_db()).unwrap();
    assert_eq!(fs::read_dir(&paths.state_dir).unwrap().count(), 1);
    assert_eq!(
        (before.mtime_nsec(), before.ctime_nsec()),
        (after.mtime_nsec(), after.ctime_nsec())
    );
}

#[test]
fn a_reader_sees_what_is_saved_after_it_opened() {
    let (_dir, paths) = paths();
    let (one, two) = (state_at(1, 3), state_at(2, 3));
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&first(), &one, None).unwrap();
    drop(db);
    let reader = read_only(&paths);
    assert_eq!(reader.load().unwrap().as_ref(), Some(&one));
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&one, &two, None).unwrap();
    assert_eq!(
        reader.load().unwrap().as_ref(),
        Some(&two),
        "from the -wal file"
    );
    drop(db);
    assert_eq!(
        reader.load().unwrap(),
        Some(two),
        "from the file that it was moved into"
    );
}

/// As after a power cut: the -wal file is there, the -shm file is not, and nobody writes.
#[test]
fn a_reader_finds_what_only_the_wal_file_has() {
    let (_dir, paths) = paths();
    let (other_dir, other) = common::paths();
    let mut db = StateDb::open(&paths).unwrap();
    db.save(&first(), &state_at(1, 3), None).unwrap();
    fs::create_dir(&other.state_dir).unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(paths.state_dir.join(name), other.state_dir.join(name)).unwrap();
    }
    assert_eq!(read_only(&other).load().unwrap(), Some(state_at(1, 3)));
    drop(other_dir);
}

#[test]
fn a_reader_cannot_save() {
    let (_dir, paths) = paths();
    StateDb::open(&paths)
        .unwrap()
        .save(&first(), &first(), None)
        .unwrap();
    let mut db = read_only(&paths);
    db.load().unwrap();
    let error = db.save(&first(), &state_at(1, 1), None).unwrap_err();
    assert!(matches!(error, StoreError::Permission { .. }), "{error}");
}

#[test]
fn odd_directories_do_not_confuse_a_reader() {
    let (dir, _) = paths();
    let paths = Paths::new(None, Some(dir.path().join("a b?c#d%20é&mode=rw")), None);
    StateDb::open(&paths)
        .unwrap()
        .save(&first(), &state_at(1, 1), None)
        .unwrap();
    assert_eq!(read_only(&paths).load().unwrap(), Some(state_at(1, 1)));
}

#[test]
fn what_is_not_a_database_is_damaged() {
    let (_dir, paths) = paths();
    fs::create_dir(&paths.state_dir).unwrap();
    fs::write(
        paths.state_db(),
        "not a database, but long enough to be looked at".repeat(99),
    )
    .unwrap();
    for error in [
        StateDb::open(&paths).unwrap_err(),
        StateDb::open_read_only(&paths).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(
            error.to_string().contains("goes on counting and cutting"),
            "{error}"
        );
    }
}

#[test]
fn a_row_that_makes_no_sense_is_damage() {
    for wrong in [
        "UPDATE ledger SET next_reset = 'soon'",
        "UPDATE ledger SET reset_policy = '32'",
        "UPDATE ledger SET spent_mode = 'both'",
        "UPDATE ledger SET factor_thousandths = 0",
        "UPDATE ledger SET group_name = 'none'",
        "UPDATE ledger SET first_port = 0",
        "UPDATE group_account SET mode = 'in'",
        "UPDATE group_account SET name = ''",
        "UPDATE room SET in_bytes = NULL",
        "UPDATE room SET variant = 'c'",
        "UPDATE room SET quota_variant = NULL",
        "UPDATE room SET quota_holder = 'group '",
        "UPDATE room SET class_mark = 1",
        "UPDATE room SET class_priority = -1",
        "UPDATE quota SET used_bytes = NULL",
        "UPDATE quota SET name = 'in_10000'",
        "UPDATE interface SET idle_ticks = -1",
        "UPDATE routed SET last_port = 65536",
        "UPDATE tick SET next_epoch = 'epoch_1'",
        "UPDATE tick SET settled_at = -1",
        "UPDATE tick SET netns = NULL",
        "UPDATE tick SET today = '2026-02-30'",
        "DELETE FROM ledger",
    ] {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        db.save(&first(), &state_at(1, 1), None).unwrap();
        let raw = Connection::open(paths.state_db()).unwrap();
        raw.execute_batch(wrong).unwrap();
        let error = db.load().unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{wrong}: {error}"
        );
        assert!(db.check().is_err(), "{wrong}");
    }
}

#[test]
fn another_programs_database_is_left_alone() {
    let (_dir, paths) = paths();
    fs::create_dir(&paths.state_dir).unwrap();
    let raw = Connection::open(paths.state_db()).unwrap();
    raw.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(raw);
    let before = fs::read(paths.state_db()).unwrap();
    for error in [
        StateDb::open(&paths).unwrap_err(),
        StateDb::open_read_only(&paths).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    }
    assert_eq!(fs::read(paths.state_db()).unwrap(), before);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_dir, paths) = paths();
    drop(StateDb::open(&paths).unwrap());
    let raw = Connection::open(paths.state_db()).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    for error in [
        StateDb::open(&paths).unwrap_err(),
        StateDb::open_read_only(&paths).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::NewerSchema { found: 99, .. }),
            "{error}"
        );
    }
}

#[test]
fn a_link_is_not_followed() {
    let (dir, paths) = paths();
    fs::create_dir(&paths.state_dir).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), paths.state_db()).unwrap();
    let error = StateDb::open(&paths).unwrap_err();
    assert!(matches!(error, StoreError::Linked { .. }), "{error}");
    assert!(!dir.path().join("elsewhere").exists());
}
