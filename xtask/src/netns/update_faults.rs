//! Releases that are signed and do not work, and updates that end in the middle.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::tests;
use super::update::{Host, quoted, script};
use crate::cleanup::{self, Leftover};
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Way};
use crate::truth::Place;

tests!["update":
    a_new_pm_that_fails_at_any_step_leaves_the_old_one_and_every_byte,
    a_new_pm_that_can_do_nothing_is_refused_where_the_old_one_names_problems,
    a_new_pm_that_hangs_is_ended_with_all_it_started,
    an_older_release_that_cannot_read_the_data_is_taken_back,
    an_update_killed_at_any_moment_leaves_a_pm_that_works,
    a_full_disk_changes_nothing,
    a_second_update_at_the_same_time_is_told_of_the_first,
];

/// Says its version, and behaves otherwise in `step`; else it is the real new pm.
fn broken(host: &Host<'_>, step: &str, behaviour: &str) -> Vec<u8> {
    let new = quoted(&host.programs.new);
    script(&format!(
        "case \"$*\" in\n{step}) {behaviour} ;;\n*) exec {new} \"$@\" ;;\nesac"
    ))
}

fn a_new_pm_that_fails_at_any_step_leaves_the_old_one_and_every_byte(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let new = quoted(&host.programs.new);
    let version = &host.programs.new_version;
    for (step, behaviour, words) in [
        (
            "--version",
            "kill -SEGV $$".to_owned(),
            &["saying its version", "signal 11"][..],
        ),
        ("--version", "exit 127".to_owned(), &["exit code 127"]),
        (
            "--version",
            "echo pm 99.0.0".to_owned(),
            &["another one", "99.0.0"],
        ),
        (
            "*account-only*",
            "kill -ABRT $$".to_owned(),
            &["taking over", "signal 6"],
        ),
        (
            "*account-only*",
            "echo 'schema is odd' >&2; exit 3".to_owned(),
            &["exit code 3", "schema is odd"],
        ),
        (
            "monitor",
            format!("{new} \"$@\"; exit 3"),
            &["doing a tick", "exit code 3"],
        ),
        // It has migrated state.db, and then falls over.
        (
            "*account-only*",
            format!("{new} \"$@\"; kill -SEGV $$"),
            &["taking over", "signal 11"],
        ),
        (
            "monitor",
            "kill -SEGV $$".to_owned(),
            &["doing a tick", "signal 11"],
        ),
        (
            "monitor",
            format!("{new} \"$@\"; exit 9"),
            &["doing a tick", "exit code 9"],
        ),
    ] {
        host.publish(version, &broken(&host, step, &behaviour))?;
        let before = host.everything()?;
        let flood = Flood::start(host.lab, Family::V6, Way::In, 20000, 500, Pace::Windowed)?;
        let failed = host.fails(&[], &[words, &["left as it was"]].concat());
        flood.stop()?;
        failed
            .and_then(|said| host.unchanged(&before).context(said))
            .with_context(|| format!("{step}: {behaviour}"))?;
    }
    // No program at all.
    host.publish(version, b"\x7fELF but not really")?;
    host.refused(&[], &["saying its version", "failed"])?;
    // After all that, the real one.
    host.publish_new()?;
    host.update(&[])?;
    host.lab.exact(&["20000"])
}

fn a_new_pm_that_can_do_nothing_is_refused_where_the_old_one_names_problems(
    lab: &mut Lab,
) -> Result<()> {
    let host = Host::new(lab)?;
    let (version, new) = (&host.programs.new_version, quoted(&host.programs.new));
    let url = host.server.url();
    let config = host.lab.config_dir().join("config.json");
    let good = fs::read_to_string(&config)?;
    host.lab.ok(&["monitor"])?;
    let edited = good.replacen('{', "{ \"mistyped\": 1,", 1);
    fs::write(&config, &edited)?;
    let tick = host.lab.pm(&["monitor"])?;
    ensure!(tick.code == Some(3), "{tick:?}");
    let before = host.everything()?;
    for (step, behaviour, words) in [
        (
            "*monitor*",
            "exit 1".to_owned(),
            ["taking over", "exit code 1"],
        ),
        // What the tick may name, taking over the data may not fail with, nor the other way round.
        (
            "monitor",
            format!("{new} \"$@\"; exit 1"),
            ["doing a tick", "exit code 1"],
        ),
    ] {
        host.publish(version, &broken(&host, step, &behaviour))?;
        host.lab
            .refused(
                &["update", "--mirror", &url],
                &[&words[..], &["left as it was"]].concat(),
            )
            .with_context(|| format!("{step}: {behaviour}"))?;
        let after = host.everything()?;
        ensure!(after == before, "{before:?} became {after:?}");
        host.lab.exact(&["20000"])?;
    }
    // A pm that works names the same and is installed; what was edited by hand stays as it is.
    host.publish_new()?;
    host.update(&[])?;
    ensure!(fs::read_to_string(&config)? == edited, "it was changed");
    fs::write(&config, good)?;
    host.lab.ok(&["monitor"])?;
    host.use_some()?;
    host.lab.exact(&["20000"])
}

fn a_new_pm_that_hangs_is_ended_with_all_it_started(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let version = &host.programs.new_version;
    host.publish(version, &broken(&host, "--version", "sleep 1000"))?;
    host.refused(&[], &["not done after 10 s"])?;
    let new = quoted(&host.programs.new);
    // It has migrated, and leaves a process behind that ignores what it is told.
    let hang = format!("{new} \"$@\"; trap '' TERM HUP; sleep 1000 & sleep 1000");
    host.publish(version, &broken(&host, "monitor", &hang))?;
    host.refused(&[], &["doing a tick", "not done after 30 s"])
}

fn an_older_release_that_cannot_read_the_data_is_taken_back(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    host.update(&[])?;
    let before = host.everything()?;
    host.publish(&host.programs.old_version, &fs::read(&host.programs.old)?)?;
    host.use_some()?;
    let url = host.server.url();
    host.lab
        .refused(&["update", "--mirror", &url], &["older than this pm"])?;
    host.lab.refused(
        &["update", "--mirror", &url, "--force"],
        &["taking over", "has schema 2", "left as it was"],
    )?;
    let after = host.everything()?;
    ensure!(after == before, "{before:?} became {after:?}");
    ensure!(host.schema()? == 2, "the data went back");
    host.lab.exact(&["20000"])
}

/// Puts the old pm in its place again, with a service that begins at nothing.
pub(super) fn begin_anew(host: &Host<'_>) -> Result<()> {
    host.lab.ok(&["teardown"])?;
    for dir in [host.lab.state_dir(), host.lab.config_dir()] {
        fs::remove_dir_all(&dir)?;
        fs::create_dir(&dir)?;
    }
    fs::remove_file(host.lab.pm_path())?;
    fs::copy(&host.programs.old, host.lab.pm_path())?;
    host.lab.ok(&["add", "20000", "--quota", "5GB"])?;
    Ok(())
}

fn an_update_killed_at_any_moment_leaves_a_pm_that_works(lab: &mut Lab) -> Result<()> {
    const KILLS: u32 = 20;
    let host = Host::new(lab)?;
    host.publish_new()?;
    let url = host.server.url();
    let started = Instant::now();
    host.update(&[])?;
    let longest = started.elapsed() * 11 / 10;
    begin_anew(&host)?;
    let mut since = host.lab.truth(Place::Client, "20000")?;
    let mut rng = Rng::new(host.lab.seed());
    let (mut kills, mut taken_back, mut completed) = (0, 0, 0);
    while kills < KILLS {
        let flood = Flood::start(host.lab, Family::V4, Way::In, 20000, 500, Pace::Windowed)?;
        let mut child = host
            .lab
            .pm_command(&["update", "--mirror", &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Most of the time goes by before the old pm is touched: look more closely at the end of it.
        let moment = match kills % 3 {
            0 => rng.moment(longest),
            _ => longest / 2 + rng.moment(longest / 2),
        };
        let started = Instant::now();
        while started.elapsed() < moment {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill()?;
        let was_faster = child.wait()?.code().is_some();
        kills += u32::from(!was_faster);
        let what = || format!("killed after {moment:?}, seed {}", host.lab.seed());
        let version = host.version().with_context(what)?;
        // What a tick finds, it tidies up; nothing else needs to be done.
        let tick = host.lab.pm(&["monitor"])?;
        ensure!(tick.code == Some(0), "{}: {}", what(), tick.stderr);
        taken_back += u32::from(tick.stderr.contains("were put back"));
        completed += u32::from(tick.stderr.contains("is complete"));
        flood.stop()?;
        host.lab.exact_since("20000", since).with_context(what)?;
        ensure!(!host.everything()?.point, "{}: the point stands", what());
        let is_new = version == format!("pm {}", host.programs.new_version);
        ensure!(
            host.schema()? == 1 + u32::from(is_new),
            "{}: {version}",
            what()
        );
        if is_new {
            begin_anew(&host)?;
            since = host.lab.truth(Place::Client, "20000")?;
        }
    }
    println!(
        "        {kills} kills: {taken_back} were taken back, {completed} completed by the next tick"
    );
    ensure!(
        taken_back > 0,
        "no kill came in the middle: the test does not test"
    );
    host.update(&[])?;
    let everything = host.everything()?;
    ensure!(everything.beside == [".pm.old", "pm"], "{everything:?}");
    host.lab.exact_since("20000", since)
}

fn a_full_disk_changes_nothing(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    host.publish_new()?;
    // The program's disk has room for one of its kind.
    let bin = host.lab.directory().join("bin");
    let mebibytes = fs::metadata(host.lab.pm_path())?.len() * 3 / 2 / (1 << 20);
    host.lab.mount_small(&bin, &format!("{mebibytes}m"))?;
    fs::copy(&host.programs.old, host.lab.pm_path())?;
    host.refused(&[], &["cannot keep what was downloaded", "free some space"])?;
    cleanup::discard(&Leftover::Mount(bin));

    // The data's disk is full to the last byte.
    let state = host.lab.state_dir();
    let saved = fs::read(state.join("state.db"))?;
    host.lab.mount_small(&state, "1m")?;
    fs::write(state.join("state.db"), &saved)?;
    host.lab.ok(&["monitor"])?;
    let filler = state.join("filler");
    let mut file = File::create(&filler)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let before = host.everything()?;
    let url = host.server.url();
    host.lab.refused(
        &["update", "--mirror", &url],
        &["No space left", "free some space"],
    )?;
    host.use_some()?;
    fs::remove_file(&filler)?;
    host.unchanged(&before)?;
    host.update(&[])?;
    host.lab.exact(&["20000"])
}

fn a_second_update_at_the_same_time_is_told_of_the_first(lab: &mut Lab) -> Result<()> {
    let host = Host::new(lab)?;
    let slow = broken(&host, "--version", "sleep 5");
    host.publish(&host.programs.new_version, &slow)?;
    let url = host.server.url();
    let mut first = host
        .lab
        .pm_command(&["update", "--mirror", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let lock = host.lab.run_dir().join("tick.lock");
    crate::lab::wait_until("the first update holds the locks", || {
        Ok(fs::read_to_string(&lock).is_ok_and(|holder| holder.contains("pm update")))
    })?;
    host.lab
        .refused(&["update", "--mirror", &url], &["update lock", "pm update"])?;
    // A tick meanwhile leaves at once, and says nothing.
    let tick = host.lab.pm(&["monitor"])?;
    ensure!(
        tick.code == Some(0) && tick.stderr.is_empty(),
        "{}",
        tick.stderr
    );
    ensure!(
        !first.wait()?.success(),
        "a script that says nothing is no pm"
    );
    host.lab.exact(&["20000"])
}
