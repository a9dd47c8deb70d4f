//! Ports of pm.sh's that share a quota.
//!
//! The tool keeps quota, mode and reset day with each member, and judges each by its own against
//! what all of them have used. Where they differ, those of the first member count.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use pm_core::config::{Contract, GroupName};

use super::Port;
use crate::doubt::{Setting, Subject, Trouble};
use crate::imported::{Books, Imported, ImportedGroup};
use crate::source::Context;
use crate::text::{group, shown};

/// Puts the ports, ascending, into their groups and all of it into `imported`.
pub(super) fn divide(ports: Vec<Port>, context: &Context<'_>, imported: &mut Imported) {
    let mut members: BTreeMap<String, Vec<Port>> = BTreeMap::new();
    for port in ports {
        if port.group_id.is_empty() {
            imported.services.insert(port.ports, port.imported);
        } else {
            let id = port.group_id.clone();
            members.entry(id).or_default().push(port);
        }
    }
    // Those that can be called what they were are named first, so that no other takes their names.
    let (fits, others): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|(id, _)| id.parse::<GroupName>().is_ok());
    for (id, members) in fits.into_iter().chain(others) {
        let taken: Vec<GroupName> = imported.groups.keys().cloned().collect();
        let fallback = members
            .first()
            .map(|first| format!("group {}", first.ports));
        let Some(name) = group(&id, &fallback.unwrap_or_default(), &taken) else {
            continue;
        };
        if name.as_str() != id {
            let from = shown(&id);
            let about = Subject::Group(name.clone());
            imported.doubt(about, Trouble::GroupRenamed { from });
        }
        pool(name, members, context, imported);
    }
}

fn pool(name: GroupName, members: Vec<Port>, context: &Context<'_>, imported: &mut Imported) {
    let Some(first) = members.first() else { return };
    let contract = first.imported.service.contract();
    let mut settings = differences(&members, contract);
    settings.sort();
    settings.dedup();
    if !settings.is_empty() {
        let first = first.ports;
        let about = Subject::Group(name.clone());
        imported.doubt(about, Trouble::MembersDiffer { first, settings });
    }

    let books: Vec<Books> = members.iter().map(|member| member.imported.books).collect();
    let usage = books.iter().map(|books| books.usage);
    // Each member has its own last reset; of one that lags behind, all would start over again.
    let began: Option<Timestamp> = books.iter().filter_map(|books| books.began).max();
    let policy = contract.reset_policy();
    let pooled = Books {
        usage: usage.fold(Default::default(), |sum, usage| usage.plus(sum)),
        adjust: 0,
        began,
        due: began.and_then(|began| policy.next_after(context.zone.date_at(began))),
        shown: books
            .iter()
            .fold(0, |sum, books| books.shown.saturating_add(sum)),
    };
    let mut group = ImportedGroup {
        group: contract.into(),
        books: pooled,
        was_cut_off: members.iter().all(|member| member.imported.was_cut_off),
    };
    // A quota of nothing blocks each member by itself.
    group.was_cut_off &= contract.quota.is_some();
    imported.groups.insert(name.clone(), group);
    for mut member in members {
        member.imported.service.set_contract(Contract::default());
        member.imported.service.group = Some(name.clone());
        member.imported.books.due = pooled.due;
        imported.services.insert(member.ports, member.imported);
    }
}

/// Returns the settings in which a member differs from the first.
fn differences(members: &[Port], first: Contract) -> Vec<Setting> {
    let contracts = members
        .iter()
        .map(|member| member.imported.service.contract());
    let differences = contracts.flat_map(|contract| {
        [
            (contract.quota != first.quota).then_some(Setting::Quota),
            (contract.tariff != first.tariff).then_some(Setting::Mode),
            (contract.reset != first.reset).then_some(Setting::Reset),
        ]
    });
    differences.flatten().collect()
}
