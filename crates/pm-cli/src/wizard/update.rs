//! Replacing pm by its newest release.

use super::Desk;
use super::ui::Answer;
use super::ui::look::Paint;
use crate::cli::Update;
use crate::commands::update::{self, CURRENT};
use crate::language::tr;
use crate::output::errors;

/// Says whether there is a newer one, and installs it if the user wants it.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let looking = tr!("Looking for a newer pm…", "正在查找新版本…");
    desk.ui.note(&looking, Paint::Dim)?;
    let found = match update::look(&Update::from_environment()) {
        Ok(Some(found)) => found,
        Ok(None) => return desk.ui.say(&update::newest()),
        Err(error) => return desk.ui.note(&errors::text(&error), Paint::Bad),
    };
    let version = &found.version;
    let question = tr!(
        "pm {version} is there, and this is {CURRENT}. Install it?",
        "有新版本 pm {version}，当前是 {CURRENT}。安装吗？"
    );
    if !desk.ui.confirm(question, true)? {
        return Ok(());
    }
    match update::install(desk.places, &found) {
        Ok(done) => {
            desk.ui.say(&done)?;
            let text = tr!(
                "This menu is still the old one: leave it, and open it again.",
                "当前菜单仍是旧版本：请退出后重新打开。"
            );
            desk.ui.note(&text, Paint::Warn)?;
        }
        Err(error) => desk.ui.note(&errors::text(&error), Paint::Bad)?,
    }
    desk.ui.quote(&tr!(
        "The same as a command: pm update",
        "等效命令：pm update"
    ))
}
