//! Only to see what a request would change.

use std::fs;

use pm_core::config::Config;
use pm_core::request::Request;
use pm_core::ruleset::Direction;
use pm_engine::{EngineError, Options, Seen};

use crate::backend::{Fate, Script, TcCall};
use crate::host::{End, Host, Pm};
use crate::refusal::{busy, requests};
use crate::requests::{FORCE, limit, reset, set, set_used};

const DRY: Options = Options {
    dry_run: true,
    ..FORCE
};

/// Everything that there is to change.
fn everything(host: &Host) -> impl PartialEq + std::fmt::Debug + use<> {
    let paths = &host.paths;
    let files = [paths.config_file(), paths.state_db()].map(|path| fs::read(path).unwrap());
    let kernel = host.kernel(|kernel| format!("{kernel:?}"));
    (files, kernel, host.tc(|tc| format!("{tc:?}")))
}

fn rehearse(host: &mut Host, request: &Request, fate: Fate) -> End<pm_engine::Executed> {
    let script = Script {
        fate,
        ..Script::default()
    };
    let request = request.clone();
    host.run(script, move |engine| engine.execute(&request, DRY))
}

#[test]
fn a_dry_run_changes_nothing_and_tells_what_would() {
    let mut host = busy();
    host.send("20005", Direction::Out, 5_000);
    let before = everything(&host);
    for request in requests() {
        let rehearsed = rehearse(&mut host, &request, Fate::Live).done();
        let calls = host.calls();
        assert_eq!(calls.batches, [], "`{request}`");
        assert_eq!(calls.requests, [], "`{request}`");
        assert_eq!(everything(&host), before, "`{request}`");
        let done = host.copy().request(&request);
        assert_eq!(rehearsed.before, done.before, "`{request}`");
        assert_eq!(rehearsed.after, done.after, "`{request}`");
        assert_eq!(rehearsed.reports_before, done.reports_before, "`{request}`");
        assert_eq!(rehearsed.groups_before, done.groups_before, "`{request}`");
        assert_eq!(rehearsed.reports_after, done.reports_after, "`{request}`");
        assert_eq!(rehearsed.groups_after, done.groups_after, "`{request}`");
    }
}

#[test]
fn a_dry_run_that_fails_changes_nothing() {
    let mut host = busy();
    let before = everything(&host);
    for request in requests() {
        for moment in 0.. {
            for fate in [Fate::Fail(moment), Fate::Die(moment)] {
                drop(rehearse(&mut host, &request, fate));
                assert_eq!(everything(&host), before, "`{request}`, {fate:?}");
            }
            rehearse(&mut host, &request, Fate::Fail(moment));
            if !host.calls().met {
                break;
            }
        }
    }
}

#[test]
fn a_dry_run_tells_that_nothing_can_be_shaped() {
    let mut host = busy();
    let before = everything(&host);
    let request = crate::requests::set("20003", crate::requests::limit("5M"));
    for call in [TcCall::Uplinks, TcCall::Probe] {
        let error = rehearse(&mut host, &request, Fate::NoShaping(call)).failed();
        let text = error.to_string();
        assert!(text.contains("Operation not supported"), "{text}");
        assert_eq!(everything(&host), before);
    }
}

/// Fault 2 of the tools before: who looked at the configuration kept everybody else from it.
#[test]
fn what_somebody_changed_meanwhile_is_told_and_stays() {
    let mut host = busy();
    let seen = host
        .copy()
        .request(&crate::requests::set("20003", crate::requests::limit("5M")));
    let before = everything(&host);
    for options in [DRY, FORCE] {
        let config = seen.after.clone();
        let request = crate::requests::set("20003", crate::requests::limit("6M"));
        let end = host.run(Script::default(), move |engine| {
            engine.execute_on(shown(&config), &request, options)
        });
        let error = end.failed();
        assert!(matches!(error, pm_engine::EngineError::Changed), "{error}");
        assert_eq!(everything(&host), before);
    }
    let config = seen.before.clone();
    let request = crate::requests::set("20003", crate::requests::limit("6M"));
    host.run(Script::default(), move |engine| {
        engine.execute_on(shown(&config), &request, FORCE)
    })
    .done();
    assert_ne!(everything(&host), before);
}

fn shown(config: &Config) -> Seen<'_> {
    Seen {
        config,
        state: None,
    }
}

/// The same of a figure: who corrects one knows which he was shown.
#[test]
fn a_figure_that_somebody_corrected_meanwhile_is_told_and_stays() {
    for meanwhile in [set_used("20001", 7_000), reset("20001")] {
        for (request, matters) in [
            (set_used("20001", 3_000), true),
            (reset("20000"), true),
            (set("20001", limit("6M")), false),
        ] {
            let mut host = busy();
            let view = host.run(Script::default(), Pm::view).done();
            // What is counted is nobody's change.
            host.send("20001", Direction::Out, 100);
            let on_what_was_seen = |host: &mut Host| {
                let (config, state) = (view.config.clone(), view.state.clone());
                let request = request.clone();
                host.run(Script::default(), move |engine| {
                    let seen = Seen {
                        config: &config,
                        state: Some(&state),
                    };
                    engine.execute_on(seen, &request, FORCE)
                })
            };
            on_what_was_seen(&mut host.copy()).done();
            host.request(&meanwhile);
            let end = on_what_was_seen(&mut host);
            let is_told = matches!(end, End::Failed(EngineError::Changed));
            assert_eq!(is_told, matters, "{meanwhile}, {request}");
        }
    }
}
