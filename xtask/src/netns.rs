//! The tests in network namespaces: the real `pm`, the real kernel, real traffic, `nft` as the oracle.
//!
//! A test is a function on a fresh [`Lab`]; its name states the behaviour. One file per theme.

mod accounting;
mod archive;
mod calendar_days;
mod crosstalk;
mod dynqos;
mod faults;
mod forward;
mod groups;
mod guards;
mod history;
pub(crate) mod installer;
mod kills;
mod limits;
mod members;
pub(crate) mod notify;
mod quota;
mod random;
mod recovery;
mod requests;
mod roots;
pub(crate) mod settling;
mod storage;
mod takeover;
mod undo;
mod update;
mod update_faults;
mod wire;
mod wizard;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::cleanup;
use crate::lab::{self, Lab};
use crate::test;

/// One test.
pub(crate) struct Test {
    theme: &'static str,
    name: &'static str,
    run: fn(&mut Lab) -> Result<()>,
}

/// Makes the list of a theme's tests from the names of its functions.
macro_rules! tests {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The tests of this theme.
        pub(in crate::netns) const TESTS: &[$crate::netns::Test] =
            &[$($crate::netns::Test { theme: $theme, name: stringify!($name), run: $name }),+];
    };
}
use tests;

/// Runs every test whose name contains `filter`, one after the other, and prints `N passed, N failed` last.
///
/// # Errors
///
/// Without root, without a program to test, or when no test was chosen. A failed test is a failing exit code.
pub(crate) fn run(
    filter: Option<&str>,
    pm: Option<PathBuf>,
    seed: Option<u64>,
) -> Result<ExitCode> {
    lab::require_root()?;
    cleanup::on_interrupt()?;
    let pm = match pm {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no program at {}", path.display()))?,
        None => test::build_pm()?,
    };
    let seed = seed.unwrap_or_else(seed_from_clock);
    println!("seed {seed}; repeat with --seed {seed}");
    let themes = [
        wire::TESTS,
        wizard::TESTS,
        accounting::TESTS,
        archive::TESTS,
        quota::TESTS,
        crosstalk::TESTS,
        requests::TESTS,
        guards::TESTS,
        limits::TESTS,
        roots::TESTS,
        dynqos::TESTS,
        groups::TESTS,
        members::TESTS,
        notify::TESTS,
        history::TESTS,
        calendar_days::TESTS,
        faults::TESTS,
        recovery::TESTS,
        storage::TESTS,
        takeover::TESTS,
        takeover::offers::TESTS,
        takeover::forwarded::TESTS,
        takeover::troubles::TESTS,
        takeover::back::TESTS,
        undo::TESTS,
        kills::TESTS,
        update::TESTS,
        update_faults::TESTS,
        installer::TESTS,
        forward::TESTS,
        settling::TESTS,
        settling::mishaps::TESTS,
        settling::package::TESTS,
        settling::renewal::TESTS,
        random::TESTS,
    ];
    let chosen = themes.into_iter().flatten().filter(|test| {
        let name = format!("{}::{}", test.theme, test.name);
        filter.is_none_or(|part| name.contains(part))
    });
    let (mut passed, mut failed) = (0, 0);
    for test in chosen {
        let started = Instant::now();
        let result = Lab::new(&pm, seed).and_then(|mut lab| (test.run)(&mut lab));
        let (name, seconds) = (
            format!("{}::{}", test.theme, test.name),
            started.elapsed().as_secs_f64(),
        );
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok      {name} ({seconds:.1} s)");
            }
            Err(error) => {
                failed += 1;
                // An error may quote a whole log; its beginning says what it is.
                let text: String = format!("{error:#}").chars().take(3000).collect();
                println!("FAILED  {name} ({seconds:.1} s): {text}");
            }
        }
    }
    ensure!(passed + failed > 0, "no test is called like that");
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns a seed for a run that is not a repetition.
pub(crate) fn seed_from_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
