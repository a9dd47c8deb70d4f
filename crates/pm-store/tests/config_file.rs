//! The configuration is whole whatever happens, and what was replaced is kept.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use common::paths;
use pm_core::config::{Config, Service};
use pm_store::config_file::{KEPT_VERSIONS, load, load_version, save, versions};
use pm_store::{Paths, StoreError};

fn revision(revision: u64) -> Config {
    let mut config = Config {
        revision,
        ..Config::default()
    };
    config
        .services
        .insert("20000".parse().unwrap(), Service::default());
    config
}

fn refusal(paths: &Paths, text: &[u8]) -> StoreError {
    fs::create_dir_all(&paths.config_dir).unwrap();
    fs::write(paths.config_file(), text).unwrap();
    load(paths).unwrap_err()
}

fn names(paths: &Paths) -> Vec<String> {
    let names = versions(paths).unwrap().into_iter().rev();
    names
        .map(|version| {
            version
                .path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn without_a_file_it_is_the_default() {
    let (dir, paths) = paths();
    let loaded = load(&paths).unwrap();
    assert_eq!(
        (loaded.config, loaded.text.as_str()),
        (Config::default(), "")
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(versions(&paths).unwrap(), []);
}

#[test]
fn what_is_saved_is_loaded() {
    let (_dir, paths) = paths();
    let text = save(&paths, &revision(1)).unwrap();
    let loaded = load(&paths).unwrap();
    assert_eq!((loaded.config, loaded.text), (revision(1), text));
    assert_eq!(
        fs::metadata(&paths.config_dir).unwrap().mode() & 0o777,
        0o700
    );
    assert_eq!(
        fs::metadata(paths.config_file()).unwrap().mode() & 0o777,
        0o600
    );
}

#[test]
fn refusals_are_told_apart() {
    let (_dir, paths) = paths();
    let path = paths.config_file().display().to_string();
    let error = refusal(
        &paths,
        b"{\n\"schema\":1,\n\"services\":{\"80\":{\"quota\":\"much\"}}}",
    );
    assert!(matches!(error, StoreError::ConfigInvalid { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot use {path}: line 3, column ")),
        "{error}"
    );
    let error = refusal(&paths, b"{\n\n\"\xff\"}");
    assert!(
        matches!(error, StoreError::ConfigNotUtf8 { line: 3, .. }),
        "{error}"
    );
    let error = refusal(&paths, b"");
    assert!(matches!(error, StoreError::ConfigInvalid { .. }), "{error}");
    let error = refusal(&paths, br#"{"schema":999}"#);
    assert!(matches!(error, StoreError::ConfigNewer { .. }), "{error}");
    let error = refusal(&paths, br#"{"ports":{"80":{}}}"#);
    assert!(matches!(error, StoreError::ConfigOfPmSh { .. }), "{error}");
    fs::remove_file(paths.config_file()).unwrap();
    fs::create_dir(paths.config_file()).unwrap();
    let error = load(&paths).unwrap_err();
    assert!(
        matches!(error, StoreError::ConfigUnreadable { .. }),
        "{error}"
    );
}

#[test]
fn what_is_replaced_is_kept_to_the_byte() {
    let (_dir, paths) = paths();
    save(&paths, &revision(1)).unwrap();
    let edited = fs::read_to_string(paths.config_file()).unwrap() + "\n\n";
    fs::write(paths.config_file(), &edited).unwrap();
    save(&paths, &revision(2)).unwrap();
    fs::write(paths.config_file(), "{ broken").unwrap();
    save(&paths, &revision(3)).unwrap();
    assert_eq!(
        names(&paths),
        ["config-000001-r1.json", "config-000002.json"]
    );
    let kept = versions(&paths).unwrap();
    assert_eq!(fs::read_to_string(&kept[1].path).unwrap(), edited);
    assert_eq!(fs::metadata(&kept[1].path).unwrap().mode() & 0o777, 0o600);
    assert_eq!((kept[1].number, kept[1].revision), (1, Some(1)));
    assert_eq!(fs::read_to_string(&kept[0].path).unwrap(), "{ broken");
}

#[test]
fn saving_the_same_again_keeps_no_version() {
    let (_dir, paths) = paths();
    for _ in 0..3 {
        save(&paths, &revision(1)).unwrap();
    }
    assert_eq!(names(&paths), Vec::<String>::new());
}

#[test]
fn only_the_last_versions_are_kept() {
    let (_dir, paths) = paths();
    for number in 0..30 {
        // Revisions that go back must not let a later version pass for an earlier one.
        save(&paths, &revision(100 - number)).unwrap();
    }
    fs::write(paths.versions_dir().join("mine.json"), "").unwrap();
    save(&paths, &revision(200)).unwrap();
    let names = names(&paths);
    assert_eq!(names.len(), KEPT_VERSIONS);
    assert_eq!(names[0], "config-000011-r90.json");
    assert_eq!(names[19], "config-000030-r71.json");
    assert!(
        paths.versions_dir().join("mine.json").exists(),
        "nobody but its owner removes it"
    );
}

#[test]
fn leftovers_of_an_interrupted_save_go_with_the_next() {
    let (_dir, paths) = paths();
    save(&paths, &revision(1)).unwrap();
    let leftover = paths.config_dir.join(".pm-abc.tmp");
    fs::write(&leftover, "{").unwrap();
    save(&paths, &revision(2)).unwrap();
    assert!(!leftover.exists());
    assert_eq!(fs::read_dir(&paths.config_dir).unwrap().count(), 2);
}

#[test]
fn a_linked_file_is_loaded_but_not_replaced() {
    let (dir, paths) = paths();
    let elsewhere = dir.path().join("mine.json");
    fs::write(&elsewhere, revision(1).emit()).unwrap();
    fs::create_dir(&paths.config_dir).unwrap();
    symlink(&elsewhere, paths.config_file()).unwrap();
    assert_eq!(load(&paths).unwrap().config, revision(1));
    let error = save(&paths, &revision(2)).unwrap_err();
    assert!(matches!(error, StoreError::Linked { .. }), "{error}");
    assert_eq!(load(&paths).unwrap().config, revision(1));
    fs::remove_file(&elsewhere).unwrap();
    let error = load(&paths).unwrap_err();
    assert!(
        matches!(error, StoreError::ConfigUnreadable { .. }),
        "not the default: {error}"
    );
}

#[test]
fn a_linked_directory_is_as_good_as_any() {
    let (dir, paths) = paths();
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    symlink(dir.path().join("elsewhere"), &paths.config_dir).unwrap();
    save(&paths, &revision(1)).unwrap();
    save(&paths, &revision(2)).unwrap();
    assert_eq!(load(&paths).unwrap().config, revision(2));
    assert!(paths.config_dir.is_symlink());
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let (_dir, paths) = paths();
    save(&paths, &revision(1)).unwrap();
    let mut wrong = revision(2);
    wrong
        .services
        .insert("19000-21000".parse().unwrap(), Service::default());
    let error = save(&paths, &wrong).unwrap_err();
    assert!(matches!(error, StoreError::ConfigRefused { .. }), "{error}");
    assert_eq!(load(&paths).unwrap().config, revision(1));
}

#[test]
fn a_version_is_loaded_by_its_number() {
    let (_dir, paths) = paths();
    for number in 1..=3 {
        save(&paths, &revision(number)).unwrap();
    }
    assert_eq!(load_version(&paths, 1).unwrap(), revision(1));
    assert_eq!(load_version(&paths, 2).unwrap(), revision(2));
    // The present one is none yet.
    let error = load_version(&paths, 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "there is no version 3 in {}",
            paths.versions_dir().display()
        )
    );
    let times: Vec<_> = versions(&paths).unwrap();
    assert!(times.iter().all(|version| version.replaced.is_some()));
}

#[test]
fn a_version_that_is_no_configuration_is_told_apart() {
    let (_dir, paths) = paths();
    fs::create_dir_all(&paths.config_dir).unwrap();
    for text in [
        &b"{ broken"[..],
        br#"{"schema":999}"#,
        b"{\"schema\":1,\"language\":\"\xff\"}",
    ] {
        fs::write(paths.config_file(), text).unwrap();
        save(&paths, &revision(1)).unwrap();
    }
    let numbers: Vec<u64> = versions(&paths)
        .unwrap()
        .iter()
        .filter(|version| version.revision != Some(1))
        .map(|version| version.number)
        .collect();
    let [not_utf8, newer, broken] = numbers[..] else {
        panic!("{numbers:?}");
    };
    for number in [broken, not_utf8] {
        let error = load_version(&paths, number).unwrap_err();
        assert!(
            matches!(error, StoreError::VersionUnusable { .. }),
            "{error}"
        );
    }
    let error = load_version(&paths, newer).unwrap_err();
    assert!(matches!(error, StoreError::ConfigNewer { .. }), "{error}");
    let gone = versions(&paths).unwrap().pop().unwrap();
    fs::remove_file(&gone.path).unwrap();
    fs::create_dir(&gone.path).unwrap();
    let error = load_version(&paths, gone.number).unwrap_err();
    assert!(
        matches!(error, StoreError::ConfigUnreadable { .. }),
        "{error}"
    );
}
