//! Leaving this host for good.

use super::Desk;
use super::ui::look::Paint;
use super::ui::{Answer, Entry, Stop};
use crate::commands::uninstall::Departure;
use crate::language::tr;
use crate::output::errors;

/// Asks whether the data stays, says what will go, and asks once more. Where it went, the conversation is over.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let entries = [
        Entry::new(1, tr!("Remove everything", "全部删除")),
        Entry::new(2, tr!("Keep configuration and usage", "保留配置和用量")),
        Entry::new(0, tr!("back", "返回")),
    ];
    let title = tr!("Uninstall pm?", "卸载 pm？");
    let keep_data = match desk.ui.choose(&title, &tr!("back", "返回"), &entries)? {
        Some(0) => false,
        Some(1) => true,
        _ => return Ok(()),
    };
    let departure = match Departure::new(desk.places, keep_data) {
        Ok(departure) => departure,
        Err(error) => return desk.ui.note(&errors::text(&error), Paint::Bad),
    };
    desk.ui.say(&departure.announcement().join("\n"))?;
    if !desk.ui.confirm(tr!("Go on?", "继续吗？"), false)? {
        let text = tr!("Nothing was changed.", "没有做任何改动。");
        return desk.ui.note(&text, Paint::Dim);
    }
    let command = match keep_data {
        true => "pm uninstall --yes --keep-data",
        false => "pm uninstall --yes",
    };
    desk.ui.quote(command)?;
    match departure.go(desk.places) {
        Ok(_) => Err(Stop::Over),
        Err(error) => desk.ui.note(&errors::text(&error), Paint::Bad),
    }
}
