//! What others hear of a request.

use crate::calendar::Timestamp;
use crate::config::Config;
use crate::history::{ClosedPeriod, Why};
use crate::holder::Holder;
use crate::news::{News, is_anybody_told};
use crate::notice::{Deed, Notice, What};

/// Returns what is to be told of a request that led from one configuration to the other and
/// closed these periods.
pub fn news_of(
    before: &Config,
    after: &Config,
    closed: &[ClosedPeriod],
    time: Timestamp,
) -> Vec<News> {
    if !is_anybody_told(after) {
        return Vec::new();
    }
    let turned = |to: bool| {
        let services = after.services.iter().filter(move |(ports, service)| {
            let was = before.services.get(ports);
            service.blocked == to && was.is_some_and(|was| was.blocked != to)
        });
        services.map(|(&ports, _)| Holder::from(ports)).collect()
    };
    // A member's share ends with the group's period, which is told of.
    let reset = closed
        .iter()
        .filter(|period| period.why == Why::Operator && period.group.is_none());
    let deeds: [(Deed, Vec<Holder>); 3] = [
        (Deed::Blocked, turned(true)),
        (Deed::Unblocked, turned(false)),
        (
            Deed::Reset,
            reset.map(|period| period.holder.clone()).collect(),
        ),
    ];
    let done = deeds.into_iter().filter(|(_, holders)| !holders.is_empty());
    done.map(|(deed, holders)| {
        let what = What::Done { deed, holders };
        News::Notice(Notice { time, what })
    })
    .collect()
}
