//! Going back to an earlier configuration.

use pm_engine::{Past, PastVersion};

use super::Desk;
use super::apply::{Confirm, apply};
use super::ui::look::Paint;
use super::ui::{Answer, Entry, size};
use crate::commands;
use crate::language::{choose, speak, tr};
use crate::output::{errors, versions};

/// Below this, what was changed matters more than in which year.
const NARROW: usize = 60;

/// How many versions are offered; `pm config history` has them all.
const OFFERED: usize = 8;

/// Asks before which change to go back to, and shows what that changes.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let past = match commands::config::past(desk.places) {
        Ok(past) => past,
        Err(error) => return desk.ui.note(&errors::text(&error), Paint::Bad),
    };
    let offered: Vec<&PastVersion> = past.restorable().take(OFFERED).collect();
    let last = Last::of(&past);
    if offered.is_empty() && !matches!(last, Last::Good) {
        return desk.ui.say(&versions::none());
    }
    let mut entries: Vec<Entry> = offered
        .iter()
        .map(|version| entry(version, &past))
        .collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let scope = tr!(
        "Only settings are undone, not a reset or a correction of what was used. To undo it a second time does it again.",
        "只撤销配置；对已用流量的重置和更正不会撤销。再撤销一次即重做。"
    );
    desk.ui.note(&scope, Paint::Dim)?;
    let title = tr!("Go back to before which change?", "回到哪次改动之前？");
    let chosen = desk.ui.choose(&title, &last.meaning_of_enter(), &entries)?;
    let number = chosen
        .and_then(|index| offered.get(index))
        .map(|version| version.number);
    let is_undo = chosen.is_none() && !matches!(last, Last::Unusable);
    let mut past = past;
    let request = match number {
        Some(number) => past.take(number).and_then(PastVersion::restore).map(Some),
        None if is_undo => past.undo(),
        None => Ok(None),
    };
    let request = match request {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(error) => return desk.ui.note(&errors::text(&error.into()), Paint::Bad),
    };
    let language = desk.view.config.language;
    if apply(desk, &request, Confirm::Always)? && desk.view.config.language != language {
        let language = desk.view.config.language;
        speak(choose(None, language, |name| std::env::var(name).ok()));
    }
    Ok(())
}

/// What there was before the last change.
enum Last {
    /// The version of this number, which can be used.
    Version(u64),
    /// The last good configuration: the present one cannot be used.
    Good,
    /// A version that cannot be used.
    Unusable,
}

impl Last {
    fn of(past: &Past) -> Self {
        match past.last() {
            _ if past.stale_config.is_some() => Self::Good,
            Some(last) if last.config.is_ok() => Self::Version(last.number),
            _ => Self::Unusable,
        }
    }

    fn meaning_of_enter(&self) -> String {
        match self {
            Self::Version(number) => tr!("{number}, the last", "{number}，最近一次"),
            Self::Good => tr!(
                "the last good configuration, since the present one cannot be used",
                "上一份可用的配置，因为当前配置不能用"
            ),
            Self::Unusable => tr!(
                "back; what was before the last change cannot be used",
                "返回；最近一次改动之前的版本不能用"
            ),
        }
    }
}

/// Returns a version by its number, with when it was replaced and by what.
fn entry(version: &PastVersion, past: &Past) -> Entry {
    let number = usize::try_from(version.number).unwrap_or(usize::MAX);
    let (when, what) = (
        versions::when(version, &past.zone),
        versions::what(version, past),
    );
    // On a phone, what was changed matters more than the year.
    let year = when
        .find('-')
        .filter(|_| size().columns < NARROW)
        .map_or(0, |at| at + 1);
    Entry::new(number, format!("{}  {what}", &when[year..]))
}
