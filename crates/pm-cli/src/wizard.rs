//! `pm` on a terminal: the table, a menu below it, and questions that end in a [`Request`].
//!
//! - It holds no lock while it waits for a key, but the advisory one that tells a second wizard of the first:
//!   ticks account, block and reset as ever, and other commands change what they like.
//! - What it shows is one [`View`]. A request is carried out only on the configuration of that view; what
//!   somebody else changed meanwhile is shown first.
//! - Whatever ends a question early, nothing was changed: all answers are there before the one request is sent.
//! - Rules live in pm-core. Here keys become requests, and refusals are read out.
//!
//! [`Request`]: pm_core::request::Request

mod add;
mod apply;
mod block;
mod configure;
mod delete;
mod first_run;
mod groups;
mod ids;
mod language;
mod look_up;
mod members;
mod menu;
mod notify;
mod patience;
mod pick;
mod push;
mod reset;
mod screen;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod ui;
mod undo;
mod uninstall;
mod update;
mod when;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use pm_engine::View;
use pm_store::StoreError;
use pm_store::locks::{Lock, LockKind, command_and_process};

use crate::cli::Places;
use crate::commands::{self, list};
use crate::language::tr;
use crate::output::errors;

pub(crate) use text::yes_or_no;

use ids::Ids;
use ui::look::{Look, Paint, wrap};
use ui::{Answer, Size, Stop, Ui};

/// Whether there is somebody to talk to.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Talks until the user leaves. `may_ask_language`: nobody has said yet which one to speak.
///
/// # Errors
///
/// When there is nothing to show: no right to look, a configuration that cannot be used.
pub(crate) fn run(places: &Places, may_ask_language: bool) -> Result<ExitCode> {
    let view = look(places)?;
    let look = Look::of(|name| std::env::var(name).ok());
    let ui =
        Ui::on_terminal(look).with_context(|| tr!("cannot use the terminal", "无法使用终端"))?;
    let (_edit, other) = edit_lock(places);
    let mut desk = Desk {
        ui,
        places,
        view,
        page: screen::Page::default(),
    };
    match converse(&mut desk, may_ask_language, other) {
        Ok(()) | Err(Stop::Back | Stop::Menu | Stop::Over) => Ok(ExitCode::SUCCESS),
        // There is nobody left to tell.
        Err(Stop::Gone) => Ok(ExitCode::FAILURE),
    }
}

/// What the user has before him.
struct Desk<'a> {
    ui: Ui,
    places: &'a Places,
    /// What he was shown last.
    view: View,
    /// Which part of it.
    page: screen::Page,
}

impl Desk<'_> {
    fn ids(&self) -> Ids {
        Ids::new(&self.view.reports, &self.view.groups)
    }

    /// Looks again.
    ///
    /// # Errors
    ///
    /// [`Stop::Menu`] when it cannot, which was told.
    fn refresh(&mut self) -> Answer<()> {
        let places = self.places;
        match self.patiently(|| look(places)) {
            Ok(view) => {
                self.view = view;
                Ok(())
            }
            Err(error) => {
                self.ui.note(&errors::text(&error), Paint::Bad)?;
                Err(Stop::Menu)
            }
        }
    }

    /// Does `work`, and says what it waits for where that takes long. What was typed meanwhile is dropped.
    fn patiently<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (done, was_slow) = patience::patiently(&commands::paths(self.places), work);
        if was_slow {
            self.ui.forget_typed();
        }
        done
    }

    /// Shows the table, and leaves room for `below` lines.
    fn show(&mut self, below: usize) -> Answer<()> {
        let screen = screen_of(&self.view, &self.page, below, self.ui.look());
        self.ui.say(&screen)
    }
}

/// Returns the table, for the size that the terminal has now, and what makes it less than it seems.
fn screen_of(view: &View, page: &screen::Page, below: usize, look: Look) -> String {
    let Size { rows, columns } = ui::size();
    let caveats = list::all_caveats(view);
    let lines = caveats.iter().flat_map(|caveat| caveat.lines());
    let taken: usize = lines.map(|line| wrap(line, columns).len()).sum();
    let rows = rows.saturating_sub(below + taken);
    let room = Size { rows, columns };
    let mut screen = screen::screen(&view.reports, &view.groups, room, page, look);
    for caveat in caveats {
        screen.push('\n');
        screen.push_str(&caveat);
    }
    screen
}

fn look(places: &Places) -> Result<View> {
    Ok(commands::engine(places)?.view()?)
}

/// Takes the wizard's lock, or returns who has it. Nobody waits for it.
fn edit_lock(places: &Places) -> (Option<Lock>, Option<String>) {
    match Lock::acquire(&commands::paths(places), LockKind::Edit, Duration::ZERO) {
        Ok(lock) => (Some(lock), None),
        Err(StoreError::Held { holder, .. }) => (None, Some(holder)),
        // Whatever else is wrong with the directory, a request will say.
        Err(_) => (None, None),
    }
}

fn converse(desk: &mut Desk<'_>, may_ask_language: bool, other: Option<String>) -> Answer<()> {
    if let Some(holder) = other {
        desk.ui.note(&open_elsewhere(&holder), Paint::Warn)?;
        desk.ui.pause()?;
    }
    first_run::welcome(desk, may_ask_language)?;
    menu::run(desk)
}

/// Returns who has this menu open, and what to do about it.
fn open_elsewhere(holder: &str) -> String {
    let (who, or_end_it) = match command_and_process(holder) {
        Some((command, process)) => (
            tr!(
                "by {command}, process {process}",
                "{command}，进程 {process}"
            ),
            tr!(
                " If nobody is there any more, end it: `kill {process}`; nothing gets lost.",
                "如果那边已经没有人，可以结束它：`kill {process}`，不会丢失任何东西。"
            ),
        ),
        None => (
            tr!("by a process that is not known", "进程不明"),
            String::new(),
        ),
    };
    tr!(
        "note: this menu is open in another terminal already, {who}. You can both go on: what one \
         has changed, the other sees before he overwrites it.{or_end_it}",
        "提示：本菜单已在另一个终端中打开（{who}）。双方均可继续：一方的改动会先告知另一方，不会被覆盖。\
         {or_end_it}"
    )
}
