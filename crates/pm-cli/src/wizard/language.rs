//! The language to speak.

use pm_core::language::Language;
use pm_core::request::Request;

use super::Desk;
use super::apply::{Confirm, apply};
use super::ui::{Answer, Entry};
use crate::language::{choose, current, speak, tr};

/// Asks for the language of whoever comes first; Enter takes that of the terminal.
pub(super) fn ask_first(desk: &mut Desk<'_>) -> Answer<()> {
    let enter = name(current());
    let chosen = desk.ui.choose("Language / 语言", enter, &languages())?;
    let language = chosen.map_or(current(), |index| Language::ALL[index]);
    speak(language);
    apply(
        desk,
        &Request::SetLanguage(Some(language)),
        Confirm::IfHarmful,
    )?;
    Ok(())
}

/// Asks for another language.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let mut entries = languages();
    entries.push(Entry::new(3, tr!("that of the terminal", "跟随终端设置")));
    let enter = name(current());
    let Some(index) = desk.ui.choose("Language / 语言", enter, &entries)? else {
        return Ok(());
    };
    let language = Language::ALL.get(index).copied();
    if apply(desk, &Request::SetLanguage(language), Confirm::IfHarmful)? {
        speak(choose(None, language, |name| std::env::var(name).ok()));
    }
    Ok(())
}

pub(super) fn languages() -> Vec<Entry> {
    let entry =
        |(index, language): (usize, &Language)| Entry::new(index + 1, name(*language).to_owned());
    Language::ALL.iter().enumerate().map(entry).collect()
}

pub(super) fn name(language: Language) -> &'static str {
    match language {
        Language::English => "English",
        Language::Chinese => "中文",
    }
}
