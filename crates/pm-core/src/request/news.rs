//! What others hear of a request.
//!
//! - What the operator does is told, and who is open again by it: whom no quota cuts off any more.
//! - What the next step finds by itself, such as a quota that was raised, is not told here: it is
//!   an event of that step.

use crate::calendar::Timestamp;
use crate::config::Config;
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::ledger::{Account, State};
use crate::news::{News, is_anybody_told};
use crate::notice::{Deed, Ended, Notice, What, Whom};

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

/// Whether a quota cut somebody off, and nothing does any more.
fn is_open_again(holder: &Holder, before: Side<'_>, after: Side<'_>) -> bool {
    let was_spent = before.state.account(holder).is_some_and(is_spent);
    let Some(account) = after.state.account(holder).filter(|_| was_spent) else {
        return false;
    };
    let is_shut = |ports| {
        let is_blocked = |config: &Config| config.services.get(&ports).is_none_or(|it| it.blocked);
        let ledger = after.state.ledgers.get(&ports);
        is_blocked(after.config) || ledger.is_none_or(|ledger| ledger.expired)
    };
    let (contract, is_shut) = match holder {
        Holder::Service(ports) => {
            let service = after.config.services.get(ports);
            (service.map(|it| it.contract()), is_shut(*ports))
        }
        Holder::Group(name) => {
            let group = after.config.groups.get(name);
            let mut members = after.config.members(name);
            (group.map(|it| it.contract()), members.all(is_shut))
        }
    };
    let left = contract.map(|contract| account.terms(contract).map(|terms| account.left(terms)));
    let is_spent_again = left.is_none_or(|left| left.is_some_and(|left| left <= 0));
    !is_spent(account) && !is_spent_again && !is_shut
}

fn is_spent(account: &Account) -> bool {
    account.spent.is_some()
}
