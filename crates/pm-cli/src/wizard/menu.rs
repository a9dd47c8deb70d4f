//! The menu: what there is to do, under the numbers that pm.sh gave it.

use super::ui::look::Paint;
use super::ui::{self, Answer, Entry, Stop};
use super::{
    Desk, add, block, configure, delete, groups, language, look_up, reset, undo, uninstall, update,
};
use crate::language::tr;

/// One thing to do: its number, its name, and what opens.
type Item = (usize, fn() -> String, fn(&mut Desk<'_>) -> Answer<()>);

/// All there is to do. An entry more is a line more.
const ITEMS: &[Item] = &[
    (1, || tr!("Add", "添加端口"), add::open),
    (2, || tr!("Configure", "修改设置"), configure::open),
    (3, || tr!("Delete", "删除端口"), delete::open),
    (6, || tr!("Update", "更新 pm"), update::open),
    (7, || tr!("Uninstall", "卸载"), uninstall::open),
    (8, || tr!("Reset", "重置流量"), reset::open),
    (9, || tr!("Block/unblock", "阻断/解除"), block::open),
    (10, || tr!("Groups", "分组管理"), groups::open),
    (11, || tr!("History", "历史用量"), look_up::history),
    (12, || tr!("Self-check", "自检"), look_up::doctor),
    (13, || tr!("Undo", "撤销改动"), undo::open),
    (14, || tr!("Language", "语言"), language::open),
    (0, || tr!("Leave", "退出"), leave),
];

/// Shows table and menu and opens what is chosen, until the user leaves.
pub(super) fn run(desk: &mut Desk<'_>) -> Answer<()> {
    let mut was_left = false;
    loop {
        let entries: Vec<Entry> = ITEMS
            .iter()
            .map(|&(number, text, _)| Entry::new(number, text()))
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
        assert_eq!(numbers[..3], [1, 2, 3]);
        assert_eq!(numbers.last(), Some(&0));
    }
}
