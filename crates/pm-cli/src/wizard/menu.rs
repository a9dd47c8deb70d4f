//! The menu: what there is to do, under the numbers that pm.sh gave it.

use pm_core::config::Config;

use super::ui::look::{Look, Paint};
use super::ui::{self, Answer, Entry, Stop};
use super::{
    Desk, add, block, configure, delete, groups, language, look_up, notify, push, reset, undo,
    uninstall, update,
};
use crate::language::tr;

/// One thing to do: its number, its name, and what opens.
type Item = (
    usize,
    fn(&Config, Look) -> String,
    fn(&mut Desk<'_>) -> Answer<()>,
);

/// All there is to do. An entry more is a line more.
const ITEMS: &[Item] = &[
    (1, |_, _| tr!("Add", "添加端口"), add::open),
    (2, |_, _| tr!("Configure", "修改设置"), configure::open),
    (3, |_, _| tr!("Delete", "删除端口"), delete::open),
    (
        4,
        |config, look| {
            let state = notify::state(config, look);
            tr!("Notify {state}", "通知 {state}")
        },
        notify::open,
    ),
    (
        5,
        |config, look| {
            let state = push::state(config, look);
            tr!("Push {state}", "推送 {state}")
        },
        push::open,
    ),
    (6, |_, _| tr!("Update", "更新 pm"), update::open),
    (7, |_, _| tr!("Uninstall", "卸载"), uninstall::open),
    (8, |_, _| tr!("Reset", "重置流量"), reset::open),
    (9, |_, _| tr!("Block/unblock", "阻断/解除"), block::open),
    (10, |_, _| tr!("Groups", "分组管理"), groups::open),
    (11, |_, _| tr!("History", "历史用量"), look_up::history),
    (12, |_, _| tr!("Self-check", "自检"), look_up::doctor),
    (13, |_, _| tr!("Undo", "撤销改动"), undo::open),
    (14, |_, _| tr!("Language", "语言"), language::open),
    (0, |_, _| tr!("Leave", "退出"), leave),
];

/// Shows table and menu and opens what is chosen, until the user leaves.
pub(super) fn run(desk: &mut Desk<'_>) -> Answer<()> {
    let mut was_left = false;
    loop {
        let entries: Vec<Entry> = ITEMS
            .iter()
            .map(|&(number, text, _)| Entry::new(number, text(&desk.view.config, desk.ui.look())))
            .collect();
        let title = tr!("What next?", "请选择：");
        let hint = if desk.ui.ticks() {
            tr!(
                "Number/arrows + Enter; Enter: refresh",
                "编号或方向键 + 回车；直接回车：刷新"
            )
        } else {
            tr!(
                "Type a number; Enter alone: refresh",
                "请输入编号；直接回车：刷新"
            )
        };
        // One line more for what may be said between the two.
        let below = desk.ui.menu_rows(&title, &hint, &entries) + 1;
        match desk.refresh() {
            Ok(()) => {
                desk.ui.clear()?;
                desk.show(below)?;
                if was_left {
                    let text = tr!("Back in the menu.", "已返回菜单。");
                    desk.ui.note(&text, Paint::Dim)?;
                }
            }
            // It was told; what was shown before is of no use any more.
            Err(Stop::Back | Stop::Menu) => {}
            Err(stop) => return Err(stop),
        }
        was_left = false;
        let (view, page, look) = (&desk.view, &desk.page, desk.ui.look());
        let screen = |below: usize| ui::print(&super::screen_of(view, page, below, look));
        let turn = |forward: bool| page.turn(forward);
        let index = match desk.ui.menu(&title, &hint, &entries, &screen, &turn) {
            Ok(Some(index)) => index,
            Ok(None) | Err(Stop::Back) => continue,
            Err(stop) => return Err(stop),
        };
        let (number, _, open) = ITEMS[index];
        match open(desk) {
            Ok(()) if number == 0 => return Ok(()),
            Ok(()) => desk.ui.pause()?,
            Err(Stop::Back | Stop::Menu) => was_left = true,
            Err(stop) => return Err(stop),
        }
    }
}

fn leave(_: &mut Desk<'_>) -> Answer<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The numbers of pm.sh's menu mean what they meant there.
    #[test]
    fn numbers_are_those_of_the_script_and_unique() {
        let numbers: Vec<usize> = ITEMS.iter().map(|item| item.0).collect();
        let unique: BTreeSet<usize> = numbers.iter().copied().collect();
        assert_eq!(numbers.len(), unique.len());
        assert_eq!(numbers[..5], [1, 2, 3, 4, 5]);
        assert_eq!(numbers.last(), Some(&0));
    }
}
