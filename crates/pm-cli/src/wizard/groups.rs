//! Groups: services that share a quota.

use pm_core::config::GroupName;
use pm_core::holder::Holder;
use pm_core::request::{Refusal, Request};

use super::apply::{Confirm, apply};
use super::ui::{Answer, Entry, Question};
use super::{Desk, add, configure, members, pick, text};
use crate::language::tr;

/// One thing to do with groups.
type Item = (fn() -> String, fn(&mut Desk<'_>) -> Answer<()>);

const ITEMS: &[Item] = &[
    (|| tr!("new group", "新建分组"), make),
    (
        || {
            tr!(
                "change a group's quota, mode, reset",
                "修改分组的配额、模式、重置日"
            )
        },
        change,
    ),
    (
        || tr!("put services into a group", "把端口加入分组"),
        members::join,
    ),
    (
        || tr!("take services out of their group", "把端口移出分组"),
        members::leave,
    ),
    (
        || tr!("delete a group without services", "删除空分组"),
        delete,
    ),
];

/// Asks what to do.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let mut entries: Vec<Entry> = ITEMS
        .iter()
        .enumerate()
        .map(|(index, (text, _))| Entry::new(index + 1, text()))
        .collect();
    entries.push(Entry::new(0, tr!("back", "返回")));
    let title = tr!(
        "Groups: services that share a quota",
        "分组：多个端口共享一份配额"
    );
    let chosen = desk.ui.choose(&title, &tr!("back", "返回"), &entries)?;
    match chosen.and_then(|index| ITEMS.get(index)) {
        Some((_, open)) => open(desk),
        None => Ok(()),
    }
}

fn make(desk: &mut Desk<'_>) -> Answer<()> {
    let question = Question::new(
        tr!("Name of the group", "分组名称"),
        tr!(
            "any text without commas, up to 48 bytes",
            "任意文字，不含逗号，最多 48 字节（约 16 个汉字）"
        ),
    );
    let config = &desk.view.config;
    let read = |typed: &str| {
        let name: GroupName = text::name(typed)?;
        if config.groups.contains_key(&name) {
            return Err(text::why(&Refusal::GroupExists(name)));
        }
        Ok(name)
    };
    let name = desk.ui.ask(&question, read, GroupName::to_string)?;
    let settings = add::contract(&mut desk.ui)?;
    let request = Request::AddGroup {
        name: name.clone(),
        settings,
        or_set: false,
    };
    let is_made = apply(desk, &request, Confirm::Always)?;
    if is_made && !desk.view.config.services.is_empty() {
        let title = tr!("Put services into it now?", "现在把端口加入该组？");
        if desk.ui.confirm(title, true)? {
            members::join_group(desk, name)?;
        }
    }
    Ok(())
}

fn change(desk: &mut Desk<'_>) -> Answer<()> {
    match which(desk, tr!("Change which group?", "修改哪个分组？"))? {
        Some(name) => configure::change(desk, &Holder::Group(name)),
        None => Ok(()),
    }
}

fn delete(desk: &mut Desk<'_>) -> Answer<()> {
    if let Some(name) = which(desk, tr!("Delete which group?", "删除哪个分组？"))? {
        apply(desk, &Request::DeleteGroup { name }, Confirm::Always)?;
    }
    Ok(())
}

/// Asks for a group; `None`: there is none.
pub(super) fn which(desk: &mut Desk<'_>, title: String) -> Answer<Option<GroupName>> {
    let candidates = pick::all_groups(desk);
    if pick::is_empty(desk, &candidates)? {
        return Ok(None);
    }
    match pick::one(desk, &title, &candidates)? {
        Holder::Group(name) => Ok(Some(name)),
        Holder::Service(_) => Ok(None),
    }
}
