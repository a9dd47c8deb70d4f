//! What an operation does to what must be true at the end of its window.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::{Config, GroupName};
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::{Request, Selection};

use super::{Account, Meter, Model, Spent, Window, bill, billed, clamp, of};
use crate::netns::random::wanted::{self, Refused};
use crate::traffic::Way;
use crate::truth::Bytes;

/// What must be true at the end of a window.
#[derive(Clone, Debug)]
pub(in crate::netns::random) struct Expectation<'a> {
    pub(super) before: &'a Model,
    pub(super) window: &'a Window,
    pub(super) next: Model,
    /// Whose periods end, and why.
    pub(super) closes: BTreeMap<Holder, &'static str>,
    /// Whose bill is corrected, and to what.
    pub(super) corrected: Option<(Holder, u64)>,
    /// Who comes back, and with which bill.
    pub(super) back: BTreeMap<Holder, u64>,
    /// Whether some of them may have come back without.
    pub(super) maybe_without: bool,
    pub(super) saved: Saved,
    /// Whether all counters are gone.
    pub(super) lost: bool,
    /// Whether no limit of a quota can be relied on: rules were missing, or a half-done change was in force.
    pub(super) lax: bool,
    /// Whether something may have been counted that does not count before the window nor behind it.
    pub(super) interrupted: bool,
}

/// Whose figures pm has read and saved.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Saved {
    Nobodys,
    Some(BTreeSet<PortRange>),
    Everybodys,
}

impl Model {
    /// Returns what to expect of a window in which nothing was done.
    pub(in crate::netns::random) fn expect<'a>(&'a self, window: &'a Window) -> Expectation<'a> {
        Expectation {
            before: self,
            window,
            next: self.clone(),
            closes: BTreeMap::new(),
            corrected: None,
            back: BTreeMap::new(),
            maybe_without: false,
            saved: Saved::Nobodys,
            lost: false,
            lax: self.damaged,
            interrupted: false,
        }
    }
}

impl Expectation<'_> {
    /// pm has read everything, and put right what was wrong.
    #[must_use]
    pub(in crate::netns::random) fn tick(mut self) -> Self {
        self.saved = Saved::Everybodys;
        self.heal();
        self
    }

    /// pm has carried out `request`.
    ///
    /// # Errors
    ///
    /// When it must be refused.
    pub(in crate::netns::random) fn request(mut self, request: &Request) -> Result<Self, Refused> {
        let today = self.window.today;
        let (old, new) = (
            self.next.config.clone(),
            wanted::after(&self.next.config, request, today)?,
        );
        self.end_periods(request, &old, &new);
        self.next.config = new;
        if let Request::Restore { .. } = request {
            self.bring_back();
        }
        self.open_accounts();
        self.follow_tariffs(&old);
        match request {
            Request::Set {
                ports: Selection::Ports(ports),
                used: Some(used),
                ..
            } => {
                let holder = ports.iter().next().map(Holder::Service);
                self.corrected = holder.map(|holder| (holder, used.bytes()));
            }
            Request::Set {
                ports: Selection::All,
                used: Some(used),
                ..
            } => {
                let holder = old
                    .services
                    .keys()
                    .next()
                    .map(|&range| Holder::Service(range));
                self.corrected = holder.map(|holder| (holder, used.bytes()));
            }
            Request::SetGroup {
                name,
                used: Some(used),
                ..
            } => {
                self.corrected = Some((Holder::Group(name.clone()), used.bytes()));
            }
            _ => {}
        }
        self.saved = match (request.scope(&old), self.saved) {
            (None, _) | (_, Saved::Everybodys) => Saved::Everybodys,
            (Some(ports), Saved::Some(others)) => Saved::Some(ports.iter().chain(others).collect()),
            (Some(ports), Saved::Nobodys) => Saved::Some(ports.iter().collect()),
        };
        self.heal();
        Ok(self)
    }

    /// pm was killed between saving what was asked for and saving what that changes about usage.
    #[must_use]
    pub(in crate::netns::random) fn without_correction(mut self) -> Self {
        self.corrected = None;
        self.maybe_without = true;
        self
    }

    /// A tick ran at the same time, and has read everything or left at once.
    #[must_use]
    pub(in crate::netns::random) fn beside_a_tick(mut self) -> Self {
        self.saved = Saved::Some(BTreeSet::new());
        self
    }

    /// Something was killed on the way, so a quota's limit may have been that of either side.
    #[must_use]
    pub(in crate::netns::random) fn after_a_kill(mut self) -> Self {
        self.lax = true;
        self
    }

    /// pm has left the kernel.
    #[must_use]
    pub(in crate::netns::random) fn teardown(mut self) -> Self {
        self.saved = Saved::Everybodys;
        self.interrupted |= self.before.damaged;
        self.next.torn_down = true;
        self.next.damaged = false;
        for meter in self.next.meters.values_mut() {
            (meter.inbound, meter.outbound) = (false, false);
        }
        self
    }

    /// pm has come back.
    #[must_use]
    pub(in crate::netns::random) fn restore(mut self) -> Self {
        self.next.torn_down = false;
        self.tick()
    }

    /// Somebody has changed pm's rules: these do not count any more.
    #[must_use]
    pub(in crate::netns::random) fn unmetered(mut self, uncounted: &[(PortRange, Way)]) -> Self {
        self.next.damaged = true;
        self.lax = true;
        // What only the kernel knew may be forgotten.
        for account in self.next.accounts.values_mut() {
            if matches!(account.spent, Spent::Yes(_)) && !account.noted {
                account.spent = Spent::Maybe;
            }
        }
        for (range, way) in uncounted {
            if let Some(meter) = self.next.meters.get_mut(range) {
                match way {
                    Way::In => meter.inbound = false,
                    Way::Out => meter.outbound = false,
                }
            }
        }
        self
    }

    /// All counters are gone; others with values of their own may be there.
    #[must_use]
    pub(in crate::netns::random) fn lost(mut self) -> Self {
        self.lost = true;
        let all: Vec<_> = self.next.meters.keys().copied().collect();
        let all: Vec<_> = all
            .into_iter()
            .flat_map(|range| Way::ALL.map(|way| (range, way)))
            .collect();
        self.unmetered(&all)
    }

    /// Whether it is known to the byte without asking pm.
    pub(in crate::netns::random) fn is_certain(&self) -> bool {
        let all = self.before.meters.keys().chain(self.next.meters.keys());
        self.closes.is_empty()
            && self.corrected.is_none()
            && !self.lost
            && self.before.accounts.keys().eq(self.next.accounts.keys())
            && all.into_iter().all(|range| {
                let (least, most) = self.countable(*range);
                least == most
            })
    }

    fn heal(&mut self) {
        // What somebody else's counter counts once pm has seen it is counted, until pm takes it out.
        self.interrupted |= self.before.damaged;
        self.next.damaged = false;
        if self.next.torn_down {
            return;
        }
        for meter in self.next.meters.values_mut() {
            (meter.inbound, meter.outbound) = (true, true);
        }
    }

    fn end_periods(&mut self, request: &Request, old: &Config, new: &Config) {
        for (&range, service) in &old.services {
            match new.services.get(&range) {
                None => self.close(range.into(), "deleted"),
                Some(now) if now.group != service.group => self.close(range.into(), "regrouped"),
                Some(_) => {}
            }
        }
        for name in old
            .groups
            .keys()
            .filter(|name| !new.groups.contains_key(name))
        {
            self.close(name.clone().into(), "deleted");
        }
        let members = |group: &GroupName| {
            let members = new
                .services
                .iter()
                .filter(|(_, service)| service.group.as_ref() == Some(group));
            members.map(|(&range, _)| range).collect::<Vec<_>>()
        };
        match request {
            Request::Reset {
                ports: Selection::All,
            } => {
                let everybody = new.services.keys().map(|&range| range.into());
                let everybody: Vec<Holder> = everybody
                    .chain(new.groups.keys().cloned().map(Holder::Group))
                    .collect();
                everybody
                    .into_iter()
                    .for_each(|holder| self.close(holder, "operator"));
            }
            Request::Reset {
                ports: Selection::Ports(ports),
            } => {
                ports
                    .iter()
                    .for_each(|range| self.close(range.into(), "operator"));
            }
            Request::ResetGroup { name } => {
                self.close(name.clone().into(), "operator");
                members(name)
                    .into_iter()
                    .for_each(|range| self.close(range.into(), "operator"));
            }
            _ => {}
        }
    }

    fn close(&mut self, holder: Holder, why: &'static str) {
        if let Some(account) = self.next.accounts.get_mut(&holder) {
            (account.adjust, account.spent) = (0, Spent::No);
        }
        self.closes.insert(holder, why);
    }

    /// Notes the bills of who was deleted and is a holder again.
    fn bring_back(&mut self) {
        let Model {
            config,
            accounts,
            bills,
            ..
        } = &self.next;
        let is_back = |holder: &Holder| match holder {
            Holder::Service(range) => {
                let service = config.services.get(range);
                service.is_some_and(|service| service.group.is_none())
            }
            Holder::Group(name) => config.groups.contains_key(name),
        };
        let back = bills
            .iter()
            .filter(|(holder, _)| is_back(holder) && !accounts.contains_key(holder));
        self.back = back.map(|(holder, bill)| (holder.clone(), *bill)).collect();
    }

    /// Makes the accounts and meters of who is new, and forgets those of who is gone.
    fn open_accounts(&mut self) {
        let Model {
            config,
            accounts,
            meters,
            torn_down,
            ..
        } = &mut self.next;
        let holders: BTreeSet<Holder> = config
            .services
            .keys()
            .map(|&range| range.into())
            .chain(config.groups.keys().cloned().map(Holder::Group))
            .collect();
        accounts.retain(|holder, _| holders.contains(holder));
        for holder in holders {
            accounts.entry(holder).or_insert_with(|| Account {
                usage: Bytes::default(),
                adjust: 0,
                began: String::new(),
                spent: Spent::No,
                noted: false,
            });
        }
        meters.retain(|range, _| config.services.contains_key(range));
        for &range in config.services.keys() {
            meters.entry(range).or_insert(Meter {
                inbound: !*torn_down,
                outbound: !*torn_down,
                unread: Default::default(),
                total: Bytes::default(),
            });
        }
    }

    /// A corrected bill stays what it was when another sum counts from now on.
    fn follow_tariffs(&mut self, old: &Config) {
        let before = Model {
            config: old.clone(),
            ..self.next.clone()
        };
        let holders: Vec<Holder> = self.next.accounts.keys().cloned().collect();
        for holder in holders {
            let (then, now) = (
                before.contract(&holder).tariff,
                self.next.contract(&holder).tariff,
            );
            if let Some(account) = self.next.accounts.get_mut(&holder)
                && account.adjust != 0
                && then != now
            {
                let billed = billed(then, account.usage, account.adjust);
                account.adjust = clamp(i128::from(billed) - bill(now, account.usage));
            }
        }
    }

    /// Returns how much of the window's growth pm must have counted for a service: at least, and at most.
    pub(super) fn countable(&self, range: PortRange) -> (Bytes, Bytes) {
        let growth = self
            .window
            .growth
            .iter()
            .filter(|(port, _)| range.contains(**port));
        let growth = growth.fold(Bytes::default(), |sum, (_, bytes)| sum + *bytes);
        let counts = |model: &Model, way| {
            let meter = model.meters.get(&range);
            meter.is_some_and(|meter| match way {
                Way::In => meter.inbound,
                Way::Out => meter.outbound,
            })
        };
        let bounds = |way| {
            let (then, now) = (counts(self.before, way), counts(&self.next, way));
            let growth = of(growth, way);
            let may = then || now || self.interrupted;
            (
                if then && now { growth } else { 0 },
                if may { growth } else { 0 },
            )
        };
        let (inbound, outbound) = (bounds(Way::In), bounds(Way::Out));
        (
            Bytes {
                inbound: inbound.0,
                outbound: outbound.0,
            },
            Bytes {
                inbound: inbound.1,
                outbound: outbound.1,
            },
        )
    }
}
