//! The tick: one reading of the kernel becomes usage, exactly once.
//!
//! - A counter that is known by its handle, in a table that is known, adds what it grew by; if
//!   it is smaller than before, somebody reset it, and it adds what it shows.
//! - A counter of a room that pm's own last batch was to make adds all it shows: it began at
//!   zero.
//! - Any other counter was loaded by somebody, with a value of its own: it adds nothing and
//!   becomes the base line.
//! - A room in which a counter is not pm's own, or was reset, is unsound, and so are the quotas
//!   that it names: they no longer count on the same scale. It goes on counting until the plan
//!   has moved the service out. The quotas of a room that somebody damaged or deleted are
//!   unsound, too.
//! - What a service counted is its own and its group's, by the group that it was in until now.
//! - A quota is spent when the kernel says so, or when the bytes say so, and stays spent until
//!   the period ends or the terms improve.

mod accounting;
mod hogs;
mod holders;
mod losses;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::Reading;
use crate::calendar::{Timestamp, Zone};
use crate::config::{Config, Service};
use crate::event::Event;
use crate::ledger::{Ledger, State, TableMark};
use crate::news;
use crate::port::PortRange;
use crate::ruleset::{Epoch, Installed};
pub(crate) use holders::open;

/// When a tick takes place, and what it needs from outside beside the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The wall clock.
    pub time: Timestamp,
    /// The boot clock, which nobody sets: what has passed since the host was started.
    pub since_boot: Duration,
    /// The zone whose dates count.
    pub zone: &'a Zone,
    /// A time that has certainly passed; a clock before it is wrong, and ends no period.
    pub not_before: Timestamp,
    /// Fresh random bits for [`State::next_epoch`].
    pub next_epoch: Epoch,
}

impl Now<'_> {
    /// Returns the date; `None` where the clock is plainly wrong.
    pub(crate) fn date(&self) -> Option<time::Date> {
        (self.time >= self.not_before).then(|| self.zone.date_at(self.time))
    }
}

/// Accounts for one reading.
///
/// `installed` is what the kernel holds in the reading's generation.
///
/// Returns the state to save before anything in the kernel is changed, and what happened.
pub fn step(
    config: &Config,
    state: &State,
    reading: &Reading,
    installed: &Installed,
    now: Now<'_>,
) -> (State, Vec<Event>) {
    let mut events = Vec::new();
    let mut next = State {
        host: Some(reading.host.clone()),
        table: reading.table.as_ref().map(|table| TableMark {
            handle: table.handle,
            epoch: accounting::seen_epoch(state, installed),
        }),
        next_epoch: now.next_epoch,
        settled_at: None,
        last_tick: Some(now.time),
        today: now.date().or(state.today),
        forwarding: installed.forwarding.intact.clone().unwrap_or_default(),
        has_nat: installed.has_nat,
        torn_down: state.torn_down,
        judged_at: state.judged_at,
        ledgers: state.ledgers.clone(),
        groups: state.groups.clone(),
        quotas: BTreeMap::new(),
        interfaces: state.interfaces.clone(),
        closed: state.closed.clone(),
        news: state.news.clone(),
        reports: state.reports.clone(),
    };
    let back = holders::begin(config, &mut next, now);
    let replaced = accounting::account(state, &mut next, reading, installed);
    events.extend(losses::between(state, reading, installed));
    if !replaced.is_empty() {
        events.push(Event::CountersReplaced {
            ports: replaced,
            since: state.last_tick,
        });
    }
    hogs::judge(config, state, &mut next, reading, now, &mut events);
    holders::advance(config, &mut next, &back, now, &mut events);
    news::gather(config, &mut next, &events, now);
    (next, events)
}

/// Returns every service that has a ledger, with it.
///
/// Both maps are in order, so one walk through both finds them all.
fn paired<'a>(
    services: &'a BTreeMap<PortRange, Service>,
    ledgers: &'a mut BTreeMap<PortRange, Ledger>,
) -> impl Iterator<Item = (PortRange, &'a Service, &'a mut Ledger)> {
    let mut services = services.iter().peekable();
    ledgers.iter_mut().filter_map(move |(&ports, ledger)| {
        while services.next_if(|&(&at, _)| at < ports).is_some() {}
        let (_, service) = services.next_if(|&(&at, _)| at == ports)?;
        Some((ports, service, ledger))
    })
}
