//! `pm import`: an archive, or `--from` an older tool, and back to it.

mod ask;

use std::process::ExitCode;

use anyhow::{Result, bail};
use pm_engine::EngineError;
use pm_legacy::Tool;
use pm_setup::Root;
use pm_store::StoreError;
use pm_store::config_file;
use pm_store::locks::{Lock, LockKind};
use pm_store::paths::Paths;
use pm_takeover::{
    Answers, Estate, Journal, Outcome, Pm, Seen, Signals, Step, Takeover, TakeoverError,
};

use ask::{ask, asked, confirmed, is_terminal, question};

use super::archive;
use super::premises::{self, Premises};
use crate::cli::{Import, Places};
use crate::language::tr;
use crate::output::progress::Progress;
use crate::output::words::caution;
use crate::output::{errors, say, takeover, tell, words};

/// Who takes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Caller {
    /// `pm import`.
    Command,
    /// `pm setup`, which has said by then what calls pm.
    Setup,
    /// The menu.
    Menu,
}

/// Does what the flags say.
pub(crate) fn run(places: &Places, flags: &Import) -> Result<ExitCode> {
    run_for(places, flags, Caller::Command)
}

fn run_for(places: &Places, flags: &Import, caller: Caller) -> Result<ExitCode> {
    if let (None, false, Some(path)) = (flags.from, flags.undo, &flags.path) {
        return archive::import(places, path, flags.yes, flags.options);
    }
    premises::require(places, "import")?;
    let premises = Premises::look()?;
    let paths = super::paths(places);
    let mut takeover = Takeover::new(&premises.root, &paths, &premises.pm)?;
    let mut pm = super::engine_as_it_is(places)?;
    if flags.undo {
        return undo(&paths, &mut takeover, &mut pm, flags);
    }
    let Some(from) = flags.from else {
        bail!(tr!(
            "say which file, or from which tool: --from",
            "请给出文件，或用 --from 说明从哪个工具接管"
        ));
    };
    let tool = from.tool();
    if let Some((which, journal)) = Takeover::interrupted(&paths)? {
        if flags.options.dry_run {
            say!("{}", takeover::interrupted(which));
            say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
            return Ok(ExitCode::SUCCESS);
        }
        let progress = Progress::new();
        let completed = takeover.complete(&mut pm, which, journal, &mut |stage| {
            progress.step(takeover::stage(stage));
        });
        drop(progress);
        match completed? {
            Some(outcome) => {
                tell!("{}", takeover::completed(which));
                let code = tell_outcome(&premises, &outcome, caller)?;
                if which == tool {
                    return Ok(code);
                }
            }
            None => tell!("{}", takeover::taken_back(which)),
        }
    }
    take_over(&premises, &mut takeover, &mut pm, (tool, caller), flags)
}

/// Looks, asks and takes over.
fn take_over(
    premises: &Premises,
    takeover: &mut Takeover<'_>,
    pm: &mut Pm,
    (tool, caller): (Tool, Caller),
    flags: &Import,
) -> Result<ExitCode> {
    let mut answers = Answers {
        accounting: flags.accounting.map(|known| known.name().to_owned()),
        overuse: flags.overuse.map(|said| said.name().to_owned()),
        force: flags.options.force,
    };
    let directory = flags.path.as_deref().map(std::path::absolute).transpose()?;
    let directory = directory.as_deref();
    let mut seen = takeover.look(tool, directory, &answers)?;
    for line in takeover::shown(&seen.imported) {
        say!("{line}");
    }
    takeover.check(&seen, &answers)?;
    if !flags.options.dry_run {
        while let Some(question) = question(&seen) {
            ask(&question, &mut answers)?;
            seen = takeover.look(tool, directory, &answers)?;
        }
    }
    let leaving = takeover::leaving(&seen).into_iter();
    for line in leaving.chain(takeover::staying(&seen)) {
        say!("{line}");
    }
    if flags.options.dry_run {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::SUCCESS);
    }
    if seen.estate.is_being_edited(&premises.root) {
        tell!("{}", takeover::menu_is_open());
    }
    if !flags.yes && !confirmed()? {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::FAILURE);
    }
    let outcome = carry_out(takeover, pm, &seen, &answers)?;
    let code = tell_outcome(premises, &outcome, caller)?;
    if tool == Tool::Dog && !flags.yes {
        offer_shortcut(premises)?;
    }
    Ok(code)
}

fn carry_out(
    takeover: &mut Takeover<'_>,
    pm: &mut Pm,
    seen: &Seen,
    answers: &Answers,
) -> Result<Outcome> {
    // Before threads are begun, which hold them back, too.
    let signals = Signals::hold()?;
    let progress = Progress::new();
    let outcome = takeover.carry_out(pm, seen, answers, &signals, &mut |stage| {
        progress.step(takeover::stage(stage));
    });
    drop(progress);
    Ok(outcome?)
}

fn tell_outcome(premises: &Premises, outcome: &Outcome, caller: Caller) -> Result<ExitCode> {
    if let Some(executed) = &outcome.adopted.executed {
        for event in executed.events.iter().filter(|event| words::is_news(event)) {
            tell!("{}", words::event(event));
        }
        for warning in &executed.warnings {
            tell!("{}", words::warning(warning));
        }
        for error in &executed.leftover {
            tell!("{}", errors::leftover(error));
        }
        for error in &executed.problems {
            tell!("{}", errors::problem(error));
        }
    }
    for line in takeover::done(outcome) {
        say!("{line}");
    }
    let is_clear = outcome.left.is_empty();
    let tool = outcome.imported.tool;
    for error in &outcome.left {
        tell!(
            "{}",
            caution(&errors::sentence(error), &takeover::again(tool))
        );
    }
    if caller != Caller::Setup && !premises::is_called(premises) {
        tell!("{}", takeover::call_setup());
    }
    Ok(if is_clear {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Gives the host back.
fn undo(
    paths: &Paths,
    takeover: &mut Takeover<'_>,
    pm: &mut Pm,
    flags: &Import,
) -> Result<ExitCode> {
    let latest = Journal::all(paths)?.into_iter().next();
    let Some((tool, journal)) = latest else {
        return Err(TakeoverError::NothingToUndo.into());
    };
    // Others make way only where the tool's configuration comes in the place of pm's.
    let others = match pm.view() {
        Ok(view) => {
            let services = view.config.services.keys();
            services
                .filter(|ports| !journal.ports().any(|its| its == **ports))
                .count()
        }
        Err(_) => 0,
    };
    for line in takeover::going_back(tool, &journal, others) {
        say!("{line}");
    }
    if flags.options.dry_run {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::SUCCESS);
    }
    if !flags.yes && !confirmed()? {
        say!("{}", tr!("Nothing was changed.", "没有做任何改动。"));
        return Ok(ExitCode::FAILURE);
    }
    remove_shortcut()?;
    let returned = takeover.undo(pm)?;
    for line in takeover::returned(&returned) {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// How long whoever completes a takeover by himself waits after it failed, in seconds: each time, ports are held.
const PAUSE: i64 = 600;

/// Completes a takeover that died after its last reading, or takes one back that died before: what passes is counted
/// nowhere else for long, and the tool's lines are out of the crontabs.
pub(super) fn recover(paths: &Paths, pm: &mut Pm) {
    let found = match Takeover::interrupted(paths) {
        Ok(Some((tool, journal))) => (tool, journal),
        _ => return,
    };
    let (tool, journal) = found;
    let now = pm_engine::clock::now().unix();
    let has_just_failed = |failed: i64| (failed..failed.saturating_add(PAUSE)).contains(&now);
    match journal.step {
        Step::Adopted | Step::Done => return,
        Step::Read if journal.failed.is_some_and(has_just_failed) => {
            tell!("{}", takeover::interrupted(tool));
            return;
        }
        Step::Begun | Step::Read => {}
        // Nothing is counted wrongly while it is given back; but somebody has to do it.
        Step::Undoing => {
            if matches!(Lock::try_acquire(paths, LockKind::Update), Ok(Some(_))) {
                tell!("{}", takeover::interrupted(tool));
            }
            return;
        }
    }
    let mut done = || {
        let premises = Premises::look()?;
        let mut takeover = Takeover::new(&premises.root, paths, &premises.pm)?;
        anyhow::Ok(takeover.complete(pm, tool, journal.clone(), &mut |_| {})?)
    };
    match done() {
        Ok(Some(_)) => tell!("{}", takeover::completed(tool)),
        Ok(None) => tell!("{}", takeover::taken_back(tool)),
        Err(error) if is_under_way(&error) => {}
        Err(error) => tell!(
            "{}",
            caution(&errors::causes(&error), &takeover::again(tool))
        ),
    }
}

/// Whether somebody does it at this moment.
fn is_under_way(error: &anyhow::Error) -> bool {
    let takeover = error.downcast_ref::<TakeoverError>();
    matches!(
        takeover,
        Some(TakeoverError::Store(StoreError::Held { .. }))
    ) || matches!(
        takeover,
        Some(TakeoverError::Engine(EngineError::Store(
            StoreError::Held { .. }
        )))
    )
}

/// Says of each tool that is there how to take over from it.
pub(super) fn say_how() {
    for tool in Estate::found(&Root::of_host()) {
        tell!("{}", takeover::how(tool));
    }
}

/// Whether pm.sh's configuration is where pm's own belongs.
pub(super) fn has_pm_shs_configuration(places: &Places) -> bool {
    let config = config_file::load(&super::paths(places));
    matches!(config, Err(StoreError::ConfigOfPmSh { .. }))
}

/// Offers to take over from each tool that is there, to somebody at a terminal; else says how.
pub(crate) fn offer(places: &Places, caller: Caller) -> Result<()> {
    for tool in Estate::found(&Root::of_host()) {
        if !is_terminal() {
            tell!("{}", takeover::how(tool));
            continue;
        }
        tell!("{}", takeover::found(tool));
        let question = tr!(
            "Look at what would be taken over? Y/n; Enter: yes",
            "要看看会接管什么吗？Y/n；直接回车：是"
        );
        if asked(&question, true)?
            && let Err(error) = run_for(places, &Import::of(tool), caller)
        {
            errors::print(&error);
        }
        if tool == Tool::PmSh && Estate::found(&Root::of_host()).contains(&tool) {
            // Its configuration is where pm's comes: nothing else can be taken over before.
            break;
        }
    }
    Ok(())
}

/// Whether a tool is there whose configuration is in the place of pm's own.
pub(crate) fn is_offered(places: &Places) -> bool {
    let config = super::paths(places);
    premises::are_usual(places)
        && !Estate::found(&Root::of_host()).is_empty()
        && super::config::is_none(&config)
}

/// Where port-traffic-dog's users type a command.
const SHORTCUT: &str = pm_setup::footprint::DOG;

/// Offers the command that the tool's users know.
fn offer_shortcut(premises: &Premises) -> Result<()> {
    if !is_terminal() || std::fs::symlink_metadata(SHORTCUT).is_ok() {
        return Ok(());
    }
    if asked(&takeover::ask_shortcut(), false)? {
        std::os::unix::fs::symlink(&premises.pm, SHORTCUT)?;
    }
    Ok(())
}

/// Removes it, where it is pm's: the tool's own comes back there.
fn remove_shortcut() -> Result<()> {
    let target = std::fs::read_link(SHORTCUT).ok();
    if target == Some(Premises::look()?.pm) {
        std::fs::remove_file(SHORTCUT)?;
    }
    Ok(())
}
