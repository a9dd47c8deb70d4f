//! What a host with nothing to show begins with.

use super::ui::{Answer, Stop};
use super::{Desk, add, language};

/// Asks for the language where nobody has said it, and leads to the first service.
pub(super) fn welcome(desk: &mut Desk<'_>, may_ask_language: bool) -> Answer<()> {
    let config = &desk.view.config;
    if !config.services.is_empty() || !config.groups.is_empty() {
        return Ok(());
    }
    if may_ask_language && config.language.is_none() {
        match language::ask_first(desk) {
            // Who does not say it goes on in that of the terminal.
            Ok(()) | Err(Stop::Back | Stop::Menu) => {}
            Err(stop) => return Err(stop),
        }
    }
    desk.show(0)?;
    match add::open(desk) {
        Ok(()) => desk.ui.pause(),
        // Not now, then: the menu is next.
        Err(Stop::Back | Stop::Menu) => Ok(()),
        Err(stop) => Err(stop),
    }
}
