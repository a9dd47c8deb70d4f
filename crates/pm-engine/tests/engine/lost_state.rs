//! `state.db` is gone, and `config.json` is not.

use std::fs;
use std::time::Duration;

use pm_core::ruleset::Direction;
use pm_engine::{EngineError, Options};
use pm_store::StoreError;
use pm_store::locks::Lock;

use crate::backend::Script;
use crate::host::{End, Host, Pm};
use crate::requests::{FORCE, add, no_quota, quota};

fn used_up() -> Host {
    let mut host = Host::with(&[("20000", quota(10_000)), ("20001", no_quota())]);
    assert!(host.send("20000", Direction::In, 10_000));
    host.tick();
    host
}

/// Removes the database, or leaves an empty file in its place.
fn lose(host: &Host, emptied: bool) {
    for suffix in ["-wal", "-shm"] {
        let mut name = host.paths.state_db().into_os_string();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
    fs::remove_file(host.paths.state_db()).unwrap();
    if emptied {
        fs::write(host.paths.state_db(), "").unwrap();
    }
}

fn assert_says_so<T>(end: End<T>, what: &str) {
    let End::Failed(error) = end else {
        panic!("{what} went on as if nothing was used");
    };
    let is_gone = matches!(error, EngineError::Store(StoreError::StateGone { .. }));
    assert!(is_gone, "{what}: {error}");
    assert!(error.to_string().contains("state.db"), "{what}: {error}");
}

#[test]
fn without_its_usage_pm_changes_nothing_and_says_so() {
    for emptied in [false, true] {
        let mut host = used_up();
        lose(&host, emptied);
        let config = fs::read(host.paths.config_file()).unwrap();
        let kernel = host.kernel(|kernel| format!("{kernel:?}"));
        let quiet = Script::default;
        // Twice: the first must not leave a database that the second takes for pm's.
        for _ in 0..2 {
            assert_says_so(host.run_tick(quiet()), "the tick");
            assert_says_so(host.run(quiet(), Pm::view), "the view");
            let request = add("20002", no_quota());
            assert_says_so(host.run_request(&request, quiet()), "the request");
            let dry = Options {
                dry_run: true,
                ..FORCE
            };
            let end = host.run(quiet(), |engine| engine.execute(&request, dry));
            assert_says_so(end, "the dry run");
            let end = host.run(quiet(), |engine| engine.restore(false));
            assert_says_so(end, "the restoration");
            assert_says_so(host.run(quiet(), Pm::teardown), "the teardown");
        }
        assert_eq!(fs::read(host.paths.config_file()).unwrap(), config);
        assert_eq!(host.kernel(|kernel| format!("{kernel:?}")), kernel);
        assert!(!host.send("20000", Direction::In, 1), "the cut-off holds");
    }
}

#[test]
fn a_restoration_begins_anew_where_it_is_told_to() {
    let mut host = used_up();
    lose(&host, true);
    host.run(Script::default(), |engine| engine.restore(true))
        .done();
    host.tick();
    assert_eq!(host.report("20000").billed, 0);
    assert!(host.send("20000", Direction::In, 10_000));
    assert!(!host.send("20000", Direction::In, 1));
    assert!(host.send("20001", Direction::In, 1));
    host.tick();
    assert_eq!(host.report("20001").billed, 1);
}

#[test]
fn a_restoration_that_begins_anew_keeps_usage_that_is_there() {
    let mut host = used_up();
    host.run(Script::default(), |engine| engine.restore(true))
        .done();
    assert_eq!(host.report("20000").billed, 10_000);
}

#[test]
fn a_configuration_written_by_hand_needs_no_usage() {
    let mut host = Host::new();
    fs::create_dir_all(&host.paths.config_dir).unwrap();
    let text = r#"{"schema":1,"services":{"20000":{"quota":"10000B","reset":"never"}}}"#;
    fs::write(host.paths.config_file(), text).unwrap();
    host.tick();
    assert!(host.send("20000", Direction::In, 10_000));
    assert!(!host.send("20000", Direction::In, 1));
}

#[test]
fn a_first_request_that_is_cut_short_is_no_loss() {
    for moment in 0.. {
        let mut host = Host::new();
        let script = Script {
            fate: crate::backend::Fate::Die(moment),
            ..Script::default()
        };
        let end = host.run_request(&add("20000", quota(1_000)), script);
        host.tick();
        if matches!(end, End::Done(_)) {
            break;
        }
    }
}

/// Whoever leaves for good does not need to mend first what he is about to remove.
#[test]
fn leaving_for_good_needs_neither_usage_nor_configuration() {
    for config_too in [false, true] {
        let mut host = used_up();
        lose(&host, false);
        if config_too {
            fs::write(host.paths.config_file(), "{").unwrap();
        }
        let locks = Lock::write_then_tick(&host.paths, Duration::ZERO).unwrap();
        host.run(Script::default(), |engine| engine.leave(&locks, true))
            .done();
        assert!(host.send("20000", Direction::In, 1), "nothing is cut off");
    }
}

#[test]
fn a_boot_puts_back_what_was_not_taken_out_on_purpose() {
    let mut host = used_up();
    let at_boot = |host: &mut Host| {
        let moved = host.run(Script::default(), |engine| engine.restore_at_boot());
        moved.done().is_some()
    };
    host.run(Script::default(), Pm::teardown).done();
    assert!(!at_boot(&mut host));
    assert!(host.send("20000", Direction::In, 1), "still out");
    host.run(Script::default(), |engine| engine.restore(false))
        .done();
    assert!(at_boot(&mut host));
    assert!(!host.send("20000", Direction::In, 1), "in force");
}
