//! What others hear of a request.
//!
//! - What the operator does is told, and who is open again by it: whom no quota cuts off any more.
//! - What the next step finds by itself, such as a quota that was raised, is not told here: it is
//!   an event of that step.

use crate::calendar::Timestamp;
use crate::config::{Config, Group, GroupName, Service};
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::ledger::State;
use crate::news::{News, is_anybody_told};
use crate::notice::{Deed, Ended, Notice, What, Whom};
use crate::port::PortRange;

/// A configuration, and the usage by it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The usage.
    pub state: &'a State,
}

/// Returns what is to be told of a request that led from `before` to `after`, which is as
/// [`apply_to_usage`](super::Request::apply_to_usage) left it, and closed these periods.
pub fn news_of(
    before: Side<'_>,
    after: Side<'_>,
    closed: &[ClosedPeriod],
    time: Timestamp,
) -> Vec<News> {
    if !is_anybody_told(after.config) {
        return Vec::new();
    }
    // A member's share ends with the group's period, which is told of.
    let reset: Vec<_> = closed
        .iter()
        .filter(|period| period.why == Why::Operator && period.group.is_none())
        .collect();
    let is_reset = |holder: &Holder| reset.iter().any(|period| period.holder == *holder);
    let turned = [(Deed::Blocked, true), (Deed::Unblocked, false)]
        .into_iter()
        .map(|(deed, to)| (deed, turned(before.config, after.config, to)));
    let done = turned
        .filter(|(_, whom)| !whom.is_empty())
        .map(|(deed, whom)| What::Done { deed, whom });
    let ended = reset.iter().map(|period| {
        let (holder, Side { config, state }) = (&period.holder, after);
        What::Reset(Ended {
            by_operator: true,
            reopened: is_open_again(holder, before, after),
            ..Ended::of(holder, period.usage, config, state)
        })
    });
    let freed = holders(after.config)
        .filter(|holder| !is_reset(holder) && is_open_again(holder, before, after))
        .chain(moved(before, after))
        .map(|holder| What::Unblocked {
            whom: Whom::of(&holder, after.config),
        });
    done.chain(ended)
        .chain(freed)
        .map(|what| News::Notice(Notice { time, what }))
        .collect()
}

/// Returns the services of which the operator changed whether he blocks them, to `to`.
fn turned(before: &Config, after: &Config, to: bool) -> Vec<Whom> {
    let services = after.services.iter().filter(|(ports, service)| {
        let was = before.services.get(ports);
        service.blocked == to && was.is_some_and(|was| was.blocked != to)
    });
    services
        .map(|(&ports, _)| Whom::of(&ports.into(), after))
        .collect()
}

/// Returns all who can have a quota of their own.
fn holders(config: &Config) -> impl Iterator<Item = Holder> {
    let alone = config.services.iter().filter(|(_, it)| it.group.is_none());
    let groups = config.groups.keys().cloned().map(Holder::Group);
    groups.chain(alone.map(|(&ports, _)| ports.into()))
}

/// Returns the services that the quota of one whom they belong to no more cut off, and that of him
/// to whom they belong now does not.
fn moved(before: Side<'_>, after: Side<'_>) -> impl Iterator<Item = Holder> {
    after
        .config
        .services
        .iter()
        .filter_map(move |(&ports, now)| {
            let was = before.config.services.get(&ports)?;
            let holder_of = |group: &Option<GroupName>| match group {
                Some(name) => Holder::Group(name.clone()),
                None => ports.into(),
            };
            let is_free = was.group != now.group
                && is_cut_off(&holder_of(&was.group), before)
                && has_some_left(&holder_of(&now.group), after)
                && !is_shut(ports, after);
            is_free.then(|| ports.into())
        })
}

/// Whether a quota cut somebody off, and nothing does any more.
fn is_open_again(holder: &Holder, before: Side<'_>, after: Side<'_>) -> bool {
    let is_shut = || match holder {
        Holder::Service(ports) => is_shut(*ports, after),
        Holder::Group(name) => {
            let mut members = after.config.members(name);
            members.all(|ports| is_shut(ports, after))
        }
    };
    is_cut_off(holder, before) && has_some_left(holder, after) && !is_shut()
}

fn is_cut_off(holder: &Holder, side: Side<'_>) -> bool {
    let account = side.state.account(holder);
    account.is_some_and(|account| account.spent.is_some())
}

/// Whether no quota cuts a holder off, and none will at the next step.
fn has_some_left(holder: &Holder, side: Side<'_>) -> bool {
    let contract = match holder {
        Holder::Service(ports) => side.config.services.get(ports).map(Service::contract),
        Holder::Group(name) => side.config.groups.get(name).map(Group::contract),
    };
    let (Some(contract), Some(account)) = (contract, side.state.account(holder)) else {
        return false;
    };
    let left = account.terms(contract).map(|terms| account.left(terms));
    account.spent.is_none() && left.is_none_or(|left| left > 0)
}

/// Whether a service is shut whatever it has used.
fn is_shut(ports: PortRange, side: Side<'_>) -> bool {
    let is_blocked = side.config.services.get(&ports).is_none_or(|it| it.blocked);
    let ledger = side.state.ledgers.get(&ports);
    is_blocked || ledger.is_none_or(|ledger| ledger.expired)
}
