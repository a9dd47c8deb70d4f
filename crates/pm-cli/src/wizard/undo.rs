//! Going back to an earlier configuration.

use pm_engine::{Past, PastVersion};

use super::Desk;
use super::apply::{Confirm, apply};
use super::ui::look::Paint;
use super::ui::{Answer, Entry};
use crate::commands;
use crate::language::{choose, speak, tr};
use crate::output::{errors, versions};

/// How many versions are offered; `pm config history` has them all.
const OFFERED: usize = 8;

/// Asks before which change to go back to, and shows what that changes.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let past = match commands::config::past(desk.places) {
        Ok(past) => past,
        Err(error) => return desk.ui.note(&errors::text(&error), Paint::Bad),
    };
    let offered: Vec<&PastVersion> = past.restorable().take(OFFERED).collect();
    let Some(last) = offered.first() else {
        return desk.ui.say(&versions::none());
    };
    let mut entries: Vec<Entry> = offered
        .iter()
        .map(|version| entry(version, &past))
        .collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let scope = tr!(
        "Only settings are undone, not a reset or a correction of what was used.",
        "只撤销配置；对已用流量的重置和更正不会撤销。"
    );
    desk.ui.note(&scope, Paint::Dim)?;
    let title = tr!("Go back to before which change?", "回到哪次改动之前？");
    let enter = tr!(
        "the last; a second time does it again",
        "最近一次；再撤销一次即重做"
    );
    let number = match desk.ui.choose(&title, &enter, &entries)? {
        None => last.number,
        Some(index) => match offered.get(index) {
            Some(version) => version.number,
            None => return Ok(()),
        },
    };
    let mut past = past;
    let request = past.take(number).and_then(PastVersion::restore);
    let request = match request {
        Ok(request) => request,
        Err(error) => return desk.ui.note(&errors::text(&error.into()), Paint::Bad),
    };
    let language = desk.view.config.language;
    if apply(desk, &request, Confirm::Always)? && desk.view.config.language != language {
        let language = desk.view.config.language;
        speak(choose(None, language, |name| std::env::var(name).ok()));
    }
    Ok(())
}

/// Returns a version by its number, with when it was replaced and by what.
fn entry(version: &PastVersion, past: &Past) -> Entry {
    let number = usize::try_from(version.number).unwrap_or(usize::MAX);
    let (when, what) = (
        versions::when(version, &past.zone),
        versions::what(version, past),
    );
    Entry::new(number, format!("{when}  {what}"))
}
