//! A service in no group and a service that is a group's only one behave alike.

#![allow(clippy::panic, clippy::unwrap_used)]

#[allow(dead_code, unreachable_pub, unused_imports)]
mod support;

use std::time::Duration;

use pm_core::event::Event;
use pm_core::holder::Holder;
use pm_core::report::{group_reports, reports};
use pm_core::request::{ContractSettings, Request, Settings};
use pm_core::ruleset::Direction;
use proptest::collection::vec;
use proptest::prelude::*;
use support::script::{Act, Books, acts_of, contract_settings, other_settings, steps};
use support::{
    Failed, Kernel, Pm, Table, add, add_group, bytes, group, in_group, link, ports, these,
};

/// What is asked for, said of the service or of its group as the world has it.
#[derive(Clone, Debug)]
enum Ask {
    Tick,
    Set(ContractSettings, Option<u64>),
    Other(Box<Settings>),
    Reset,
    Block,
    Unblock,
}

#[derive(Clone, Copy, Debug)]
enum Foreign {
    Nothing,
    Flush,
    Save,
    Load,
    Reboot,
    ResetCounters,
    ResetQuotas,
    Act(Act),
}

fn ask() -> impl Strategy<Value = Ask> {
    let used = proptest::option::weighted(0.2, 0u64..2_000_000);
    prop_oneof![
        4 => Just(Ask::Tick),
        4 => (contract_settings(), used).prop_map(|(settings, used)| Ask::Set(settings, used)),
        1 => other_settings().prop_map(|settings| Ask::Other(Box::new(settings))),
        1 => Just(Ask::Reset),
        1 => Just(Ask::Block),
        1 => Just(Ask::Unblock),
    ]
}

fn foreign() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        10 => Just(Foreign::Nothing),
        1 => Just(Foreign::Flush),
        1 => Just(Foreign::Save),
        1 => Just(Foreign::Load),
        1 => Just(Foreign::Reboot),
        1 => Just(Foreign::ResetCounters),
        1 => Just(Foreign::ResetQuotas),
        1 => Just(Foreign::Act(Act::Damage(ports("80")))),
        1 => Just(Foreign::Act(Act::Unlink(ports("80")))),
        1 => Just(Foreign::Act(Act::DeleteUnusedQuotas)),
    ]
}

/// One of the two: a host on which 80 is in no group, or alone in one.
struct World {
    kernel: Kernel,
    pm: Pm,
    books: Books,
    file: Option<Table>,
    holder: Holder,
}

impl World {
    fn new(in_a_group: bool) -> Self {
        let mut world = Self {
            kernel: Kernel::default(),
            pm: Pm::new(),
            books: Books::default(),
            file: None,
            holder: match in_a_group {
                true => group("vip").into(),
                false => ports("80").into(),
            },
        };
        let requests = match in_a_group {
            true => vec![
                add_group("vip", ContractSettings::default()),
                add("80", in_group("vip")),
            ],
            false => vec![add("80", ContractSettings::default())],
        };
        for request in requests {
            world.call(Some(request), Vec::new(), usize::MAX).unwrap();
        }
        world.pm.history.clear();
        world.pm.events.clear();
        world
    }

    fn call(
        &mut self,
        request: Option<Request>,
        acts: Vec<Act>,
        steps: usize,
    ) -> Result<(), Failed> {
        let world = self.books.plan(acts);
        self.pm
            .call(&mut self.kernel, world, steps, request.as_ref())
    }

    fn ask(&mut self, ask: &Ask, acts: Vec<Act>, steps: usize) -> Result<(), Failed> {
        let ports = || these("80");
        let request = match (ask, &self.holder) {
            (Ask::Tick, _) => None,
            (Ask::Set(settings, used), Holder::Service(_)) => Some(Request::Set {
                ports: ports(),
                settings: (*settings).into(),
                used: used.map(bytes),
            }),
            (Ask::Set(settings, used), Holder::Group(name)) => Some(Request::SetGroup {
                name: name.clone(),
                settings: *settings,
                used: used.map(bytes),
            }),
            (Ask::Other(settings), _) => Some(Request::Set {
                ports: ports(),
                settings: (**settings).clone(),
                used: None,
            }),
            (Ask::Reset, Holder::Service(_)) => Some(Request::Reset { ports: ports() }),
            (Ask::Reset, Holder::Group(name)) => Some(Request::ResetGroup { name: name.clone() }),
            (Ask::Block, _) => Some(Request::Block { ports: ports() }),
            (Ask::Unblock, _) => Some(Request::Unblock { ports: ports() }),
        };
        self.call(request, acts, steps)
    }

    fn happen(&mut self, foreign: Foreign) {
        let kernel = &mut self.kernel;
        match foreign {
            Foreign::Nothing => {}
            Foreign::Flush => kernel.flush(),
            Foreign::Save => self.file.clone_from(&kernel.table),
            Foreign::Load => kernel.load(&self.file),
            Foreign::Reboot => kernel.reboot(),
            Foreign::ResetCounters if kernel.table.is_some() => kernel.reset_counters(),
            Foreign::ResetQuotas if kernel.table.is_some() => kernel.reset_quotas(),
            Foreign::ResetCounters | Foreign::ResetQuotas => {}
            Foreign::Act(act) => act.happen(kernel),
        }
    }

    /// Returns what was told, without whom.
    fn told(&mut self) -> Vec<String> {
        let holder = &self.holder;
        let anonymous = |event| match event {
            Event::Spent { holder: of, billed } if of == *holder => format!("spent {billed}"),
            Event::Reached {
                holder: of,
                percent,
                billed,
                ..
            } if of == *holder => format!("reached {percent}: {billed}"),
            Event::Renewed { holder: of } if of == *holder => "renewed".to_owned(),
            // A last day is the service's own, in a group or not.
            Event::Renewed { holder: of } if of == ports("80").into() => "renewed".to_owned(),
            Event::PeriodEnded { holder: of, usage } if of == *holder => format!("ended {usage:?}"),
            event => format!("{event:?}"),
        };
        self.pm.events.drain(..).map(anonymous).collect()
    }

    /// Returns the periods of the holder that were closed, and those of the service.
    fn closed(&self) -> [Vec<String>; 2] {
        let of = |holder: Holder| {
            let periods = self.pm.history.iter();
            periods.filter(move |period| period.holder == holder)
        };
        let bill = of(self.holder.clone());
        let bill = bill.map(|period| format!("{} {:?}", period.billed(), period.why));
        let share = of(ports("80").into());
        let share = share.map(|period| format!("{:?} {:?}", period.usage, period.why));
        [bill.collect(), share.collect()]
    }
}

proptest! {
    #![proptest_config(support::cases(500))]

    /// Fault 6 of the scripts pm replaces: whether a port was alone, in a group of its own or in
    /// none changed which rules applied to it.
    #[test]
    fn a_group_of_one_and_no_group_behave_alike(
        ops in vec(
            (
                acts_of(vec![ports("80")], 65_536),
                foreign(),
                ask(),
                acts_of(vec![ports("80")], 65_536),
                steps(),
                0i64..12,
            ),
            1..20,
        ),
        quotas_first in any::<bool>(),
    ) {
        let mut worlds = [World::new(false), World::new(true)];
        for world in &mut worlds {
            world.pm.quotas_first = quotas_first;
        }
        for (between, foreign, ask, inside, steps, days) in ops {
            let inside = if steps == usize::MAX { inside } else { Vec::new() };
            let done = worlds.each_mut().map(|world| {
                world.pm.time += days * 86_400 / 4;
                world.kernel.since_boot += Duration::from_secs(45);
                for act in &between {
                    act.happen(&mut world.kernel);
                }
                world.kernel.settle();
                world.happen(foreign);
                if !matches!(foreign, Foreign::Nothing | Foreign::Save) {
                    // What a quota lets through that somebody has reset or loaded, its age decides
                    // until pm finds it out of step: at once, or when what passed before is read
                    // and nothing more has.
                    for _ in 0..2 {
                        world.call(None, Vec::new(), usize::MAX).unwrap();
                    }
                }
                let done = world.ask(&ask, inside.clone(), steps);
                if matches!(done, Err(Failed::Killed)) {
                    // How far it came, which names of rooms and quotas are free decides.
                    world.call(None, Vec::new(), usize::MAX).unwrap();
                }
                done
            });
            let rounds = worlds.each_ref().map(|world| world.pm.batches.len());
            if rounds[0] != rounds[1] && !inside.is_empty() {
                // One had to clear a name for a room first, the other for a set of quotas: what
                // happened in the same moment did not happen in the same place.
                return Ok(());
            }
            let refused = |done: &Result<(), Failed>| matches!(done, Err(Failed::Refused(_)));
            prop_assert_eq!(refused(&done[0]), refused(&done[1]), "{:?}", ask);
            let [one, two] = &mut worlds;
            prop_assert_eq!(&one.kernel.passed, &two.kernel.passed);
            prop_assert_eq!(one.told(), two.told());
            prop_assert_eq!(one.closed(), two.closed());
            let accounts = [&*one, &*two].map(|w| *w.pm.account(w.holder.clone()));
            prop_assert_eq!(accounts[0], accounts[1]);
            let is_linked = |kernel| link(kernel, ports("80")).is_some();
            prop_assert_eq!(is_linked(&one.kernel), is_linked(&two.kernel));
            let shown = reports(&one.pm.config, &one.pm.saved);
            let shown_too = reports(&two.pm.config, &two.pm.saved);
            let group = group_reports(&two.pm.config, &two.pm.saved);
            if !refused(&done[0]) {
                prop_assert_eq!(shown[0].blocked_by, shown_too[0].blocked_by);
                prop_assert_eq!(shown[0].is_spent, group[0].is_spent);
                prop_assert_eq!(shown[0].billed, group[0].billed);
                prop_assert_eq!(shown[0].usage, shown_too[0].usage);
                let resets = (shown[0].reset, shown[0].next_reset);
                prop_assert_eq!(resets, (group[0].reset, group[0].next_reset));
                prop_assert_eq!(resets, (shown_too[0].reset, shown_too[0].next_reset));
            }
            for direction in Direction::BOTH {
                let fits = worlds.each_ref().map(|world| {
                    let mut kernel = world.kernel.clone();
                    let mut passes = |bytes| kernel.packet(ports("80"), direction, bytes);
                    (1..40).find(|doubling| !passes(1 << doubling))
                });
                prop_assert_eq!(fits[0], fits[1]);
            }
        }
    }
}
