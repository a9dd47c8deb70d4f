//! Whatever happens, days and periods add up to what was used: held against the simplest books.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::strategies::{closed_period, why};
use common::usage::{FIRST_DAY, begin, close, day, save, spend, time, usage};
use common::{at, paths, service, sum};
use pm_core::calendar::Timestamp;
use pm_core::history::UNDATED;
use pm_core::history::{ClosedPeriod, Why};
use pm_core::ledger::{State, Usage};
use pm_core::port::PortRange;
use pm_core::ruleset::Epoch;
use pm_store::state_db::StateDb;
use proptest::prelude::*;
use time::Date;

/// What a service does between two saves.
#[derive(Clone, Debug)]
enum Act {
    Spend(Usage),
    Close(Why),
    Delete,
}

/// What happens between two ticks.
#[derive(Clone, Debug)]
struct Turn {
    /// By how many days the clock moves; `None`: it is wrong.
    days: Option<i8>,
    /// What all services do.
    acts: Vec<(PortRange, Act)>,
    /// A request: it fails, or it does this. Until it is in force, usage is saved without it.
    request: Option<(bool, Vec<(PortRange, Act)>)>,
    /// What is counted while the request is carried out.
    meanwhile: Vec<(PortRange, Usage)>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let days = prop_oneof![
        3 => Just(Some(0)),
        2 => Just(Some(1)),
        1 => (-2i8..4).prop_map(Some),
        1 => Just(None),
    ];
    let acts = || prop::collection::vec((few_ports(), act()), 0..4);
    let meanwhile = prop::collection::vec((few_ports(), bytes()), 0..2);
    (
        days,
        acts(),
        prop::option::of((any::<bool>(), acts())),
        meanwhile,
    )
        .prop_map(|(days, acts, request, meanwhile)| Turn {
            days,
            acts,
            request,
            meanwhile,
        })
}

fn few_ports() -> impl Strategy<Value = PortRange> {
    prop::sample::select(vec![
        at(80),
        PortRange::new(80, 90).unwrap(),
        at(443),
        at(65535),
    ])
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => bytes().prop_map(Act::Spend),
        1 => why().prop_map(Act::Close),
        1 => Just(Act::Delete),
    ]
}

/// Nothing, little, or so much that a few of them need the 64th bit.
fn bytes() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![1 => Just(0u64), 4 => 0u64..1000, 1 => Just(1u64 << 59)];
    (count(), count()).prop_map(|(incoming, outgoing)| usage(incoming, outgoing))
}

/// What the history must be, kept in the simplest way.
#[derive(Default)]
struct Expected {
    days: BTreeMap<(Date, PortRange), Usage>,
    closed: Vec<ClosedPeriod>,
}

impl Expected {
    fn spend(&mut self, state: &State, ports: PortRange, used: Usage) {
        if used != Usage::default() {
            let day = (state.today.unwrap_or(UNDATED), ports);
            let total = self.days.entry(day).or_default();
            *total = total.plus(used);
        }
    }

    fn assert(&self, db: &StateDb, state: &State) {
        let days = db.days(None).unwrap();
        let expected = self.days.iter();
        let expected: Vec<_> = expected
            .map(|(&(date, ports), &usage)| day(date, ports, usage))
            .collect();
        assert_eq!(days, expected);
        let mut closed = self.closed.clone();
        closed.sort_by_key(|closed| closed.ended);
        assert_eq!(db.closed_periods(None).unwrap(), closed);
        for &ports in state.ledgers.keys() {
            let own = || days.iter().filter(|day| day.ports == ports);
            let own_closed = || {
                let own = closed.iter();
                own.filter(|closed| closed.holder == service(ports))
            };
            assert_eq!(
                db.days(Some(&[ports])).unwrap(),
                own().copied().collect::<Vec<_>>()
            );
            assert_eq!(
                db.closed_periods(Some(&[service(ports)])).unwrap(),
                own_closed().cloned().collect::<Vec<_>>()
            );
            // All that the ports ever used, whoever had them.
            let running = state.ledgers[&ports].account.usage;
            assert_eq!(
                sum(own().map(|day| day.usage)),
                sum(own_closed().map(|closed| closed.usage)).plus(running)
            );
        }
    }
}

fn act_out(
    state: &mut State,
    acts: &[(PortRange, Act)],
    now: Timestamp,
    mut spent: impl FnMut(&State, PortRange, Usage),
) {
    for (ports, act) in acts {
        match act {
            Act::Spend(used) => {
                spend(state, *ports, *used);
                spent(state, *ports, *used);
            }
            Act::Close(why) => close(state, *ports, *why, now),
            Act::Delete => {
                close(state, *ports, Why::Deleted, now);
                state.ledgers.remove(ports);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn days_and_periods_add_up_to_what_was_used(turns in prop::collection::vec(turn(), 1..6)) {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        let mut expected = Expected::default();
        let mut state = State::new(Epoch(1));
        let mut saved = state.clone();
        for (index, turn) in (0..).zip(turns) {
            let now = time(60 * index);
            state.today = match turn.days {
                Some(days) => {
                    let today = state.today.unwrap_or(FIRST_DAY).to_julian_day();
                    Some(Date::from_julian_day(today + i32::from(days)).unwrap())
                }
                None => state.today,
            };
            act_out(&mut state, &turn.acts, now, |state, ports, used| {
                expected.spend(state, ports, used);
            });
            expected.closed.extend(state.closed.clone());
            if let Some((succeeds, acts)) = turn.request {
                let mut before = state.clone();
                save(&mut db, &mut saved, &mut before);
                state.closed.clear();
                expected.assert(&db, &before);
                // What a request does is no usage.
                let acts: Vec<_> = acts
                    .into_iter()
                    .filter(|(_, act)| !matches!(act, Act::Spend(_)))
                    .collect();
                act_out(&mut state, &acts, now, |_, _, _| {});
                for (ports, used) in turn.meanwhile {
                    if before.ledgers.contains_key(&ports) && state.ledgers.contains_key(&ports) {
                        spend(&mut before, ports, used);
                        spend(&mut state, ports, used);
                        expected.spend(&state, ports, used);
                    }
                }
                if succeeds {
                    expected.closed.extend(state.closed.clone());
                } else {
                    state = before;
                }
            }
            save(&mut db, &mut saved, &mut state);
            expected.assert(&db, &state);
        }
        db.check().unwrap();
        drop(db);
        expected.assert(&StateDb::open_read_only(&paths).unwrap().unwrap(), &state);
    }

    #[test]
    fn any_closed_period_comes_back(
        saves in prop::collection::vec(prop::collection::vec(closed_period(), 0..5), 1..4)
    ) {
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        for closed in &saves {
            let state = State { closed: closed.clone(), ..begin() };
            db.save(&begin(), &state, None).unwrap();
        }
        let mut all = saves.concat();
        all.sort_by_key(|closed| closed.ended);
        prop_assert_eq!(db.closed_periods(None).unwrap(), all.clone());
        let some: Vec<_> = all.iter().step_by(2).map(|closed| closed.holder.clone()).collect();
        let (of_some, of_others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|closed| some.contains(&closed.holder));
        prop_assert_eq!(db.closed_periods(Some(&some)).unwrap(), of_some);
        prop_assert_eq!(
            db.closed_periods(None).unwrap().len(),
            db.closed_periods(Some(&some)).unwrap().len() + of_others.len()
        );
    }
}
