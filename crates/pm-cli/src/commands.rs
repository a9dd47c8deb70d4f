//! One module a subcommand; each parses its flags into a request, calls the engine and prints.

mod apply;
pub(crate) mod archive;
mod change;
pub(crate) mod config;
mod delete_all;
mod deliver;
pub(crate) mod doctor;
mod group;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod list;
mod log;
mod manual;
mod monitor;
pub(crate) mod notify;
mod premises;
mod push;
mod setup;
mod teardown;
pub(crate) mod uninstall;
pub(crate) mod update;

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::Engine;
use pm_nft::Nftables;
use pm_store::paths::Paths;
use pm_tc::TrafficControl;

use crate::cli::{Cli, Command, Places, Reading};
use crate::wizard;

/// Runs what the command line says.
///
/// # Errors
///
/// Whatever failed; nothing was printed to stdout about it.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let places = cli.places;
    // Who says it each time, or in his environment, has been asked enough.
    let is_set = std::env::var("PM_LANG").is_ok_and(|language| !language.is_empty());
    let may_ask_language = cli.lang.is_none() && !is_set;
    let command = match cli.command {
        Some(command) => command,
        None if cli.monitor => return monitor::tick_from_pm_shs_cron(&places),
        None if wizard::is_possible() => {
            if import::is_offered(&places) {
                import::offer(&places, import::Caller::Menu)?;
            }
            return wizard::run(&places, may_ask_language);
        }
        None => Command::List(Reading { json: false }),
    };
    match command {
        Command::Change(change) => {
            let (request, options) = change.request();
            if delete_all::is_asked_about(&request, options) {
                return delete_all::run(&places, &request, options);
            }
            change::run(&places, &request, options)
        }
        Command::Group(command) => group::run(&places, command),
        Command::List(reading) => list::all(&places, reading),
        Command::Show(show) => {
            let reading = show.reading;
            list::some(&places, &show.selection(), reading)
        }
        Command::History(command) => history::run(&places, &command),
        Command::Config(command) => config::run(&places, command),
        Command::Notify(command) => notify::run(&places, command),
        Command::Push(command) => push::run(&places, command),
        Command::Apply(flags) => apply::run(&places, &flags),
        Command::Export(flags) => archive::export(&places, &flags),
        Command::Undo(options) => config::undo(&places, options),
        Command::Monitor(flags) if flags.account_only => monitor::account(&places),
        Command::Monitor(flags) => monitor::tick(&places, flags),
        Command::Deliver { errand: true, .. } => deliver::errand(),
        Command::Deliver { outbox, .. } => deliver::run(&places, outbox),
        Command::Restore {
            anew,
            boot,
            messages,
        } => monitor::restore(&places, anew, boot, messages),
        Command::Teardown(flags) => teardown::run(&places, flags.dry_run),
        Command::Doctor(reading) => doctor::run(&places, reading),
        Command::Log(flags) => log::run(flags),
        Command::Setup(flags) => setup::run(&places, flags),
        Command::Import(flags) => import::run(&places, &flags),
        Command::Update(flags) => update::run(&places, &flags),
        Command::UpdateTrial { parent, command } => update::guard(parent, &command),
        Command::Uninstall(flags) => uninstall::run(&places, flags),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::pages(&dir),
    }
}

/// pm with this host's kernel.
pub(crate) type HostEngine = Engine<Nftables, TrafficControl>;

/// Returns pm on this host, after what an interrupted update or takeover left was tidied up.
pub(crate) fn engine(places: &Places) -> Result<HostEngine> {
    let mut engine = engine_as_it_is(places)?;
    import::recover(&paths(places), &mut engine);
    Ok(engine)
}

/// As [`engine`], but for a takeover that was interrupted.
pub(crate) fn engine_as_it_is(places: &Places) -> Result<HostEngine> {
    open(places, update::recover)
}

/// As [`engine`], for what must be done all the same: that it cannot be tidied up is told, and no reason to stop.
pub(crate) fn engine_regardless(places: &Places) -> Result<HostEngine> {
    let mut engine = open(places, |paths| {
        update::recover_or_tell(paths);
        Ok(())
    })?;
    import::recover(&paths(places), &mut engine);
    Ok(engine)
}

fn open(places: &Places, recover: impl FnOnce(&Paths) -> Result<()>) -> Result<HostEngine> {
    let paths = paths(places);
    let shared = update::shared_tick_lock(&paths)?;
    if shared.is_none() {
        recover(&paths)?;
    }
    let engine = Engine::new(paths, Nftables::open()?, TrafficControl::open()?);
    Ok(match shared {
        Some(lock) => engine.holding(lock),
        None => engine,
    })
}

pub(crate) fn paths(places: &Places) -> Paths {
    Paths::new(
        places.config_dir.clone(),
        places.state_dir.clone(),
        places.run_dir.clone(),
    )
}
