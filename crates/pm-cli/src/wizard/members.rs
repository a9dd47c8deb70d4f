//! Who is in a group.

use pm_core::config::GroupName;
use pm_core::holder::Holder;
use pm_core::request::{Request, Settings};

use super::apply::{Confirm, apply};
use super::ui::Answer;
use super::{Desk, groups, pick};
use crate::language::tr;

/// Asks for a group and who joins it.
pub(super) fn join(desk: &mut Desk<'_>) -> Answer<()> {
    match groups::which(desk, tr!("Which group?", "哪个分组？"))? {
        Some(name) => join_group(desk, name),
        None => Ok(()),
    }
}

/// Asks who joins a group.
pub(super) fn join_group(desk: &mut Desk<'_>, name: GroupName) -> Answer<()> {
    let title = tr!("Which services join {name}?", "哪些端口加入组 {name}？");
    regroup(
        desk,
        &title,
        |group| group != Some(&name),
        Some(name.clone()),
    )
}

/// Asks who leaves his group.
pub(super) fn leave(desk: &mut Desk<'_>) -> Answer<()> {
    let title = tr!("Which services leave their group?", "哪些端口移出分组？");
    regroup(desk, &title, |group| group.is_some(), None)
}

fn regroup(
    desk: &mut Desk<'_>,
    title: &str,
    is_candidate: impl Fn(Option<&GroupName>) -> bool,
    group: Option<GroupName>,
) -> Answer<()> {
    let services = &desk.view.config.services;
    let mut candidates = pick::all_services(desk);
    candidates.retain(|holder| match holder {
        Holder::Service(ports) => services
            .get(ports)
            .is_some_and(|service| is_candidate(service.group.as_ref())),
        Holder::Group(_) => false,
    });
    if pick::is_empty(desk, &candidates)? {
        return Ok(());
    }
    let chosen = pick::several(desk, title, &candidates)?;
    if let Some(ports) = pick::services(desk, &chosen) {
        let request = Request::Set {
            ports,
            settings: Settings {
                group: Some(group),
                ..Settings::default()
            },
            used: None,
        };
        apply(desk, &request, Confirm::IfHarmful)?;
    }
    Ok(())
}
