//! From what must be true to what is: pm's answer is taken where it may choose, and checked everywhere else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use pm_core::config::GroupName;
use pm_core::holder::Holder;
use pm_core::port::PortRange;

use super::expectation::{Expectation, Saved};
use super::{Model, Spent, bill, billed, clamp, counted, holder_of, terms};
use crate::netns::random::pump::LONGEST_PACKET;
use crate::netns::random::seen::{Closed, Seen};
use crate::netns::random::wanted::group_of;
use crate::truth::Bytes;

/// What a service was charged of a window's growth.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    /// To the period that ended in the window.
    ended: Bytes,
    /// To the one that runs.
    running: Bytes,
    /// Taken back from it, because nobody had read it.
    lost: Bytes,
}

impl Expectation<'_> {
    /// Returns the model at the window's end. Without an answer of pm's, [`is_certain`](Self::is_certain) must hold.
    ///
    /// # Errors
    ///
    /// When pm says something that cannot be.
    pub(in crate::netns::random) fn settle(mut self, seen: Option<&Seen>) -> Result<Model> {
        let both = self.before.meters.keys().chain(self.next.meters.keys());
        let ranges: BTreeSet<PortRange> = both.copied().collect();
        let mut charges = BTreeMap::new();
        for range in ranges {
            let charge = self.charge(range, seen);
            let charge = charge.with_context(|| format!("service {range}"))?;
            self.settle_meter(range, charge);
            charges.insert(range, charge);
        }
        let both = self
            .before
            .config
            .groups
            .keys()
            .chain(self.next.config.groups.keys());
        let names: BTreeSet<GroupName> = both.cloned().collect();
        for name in names {
            let charge = self.group_charge(&name, &charges);
            self.settle_group(&name, charge, seen)
                .with_context(|| format!("group {name}"))?;
        }
        if let (Some((holder, used)), Some(seen)) = (self.corrected.clone(), seen) {
            self.settle_correction(&holder, used, seen)
                .with_context(|| format!("bill of {holder}"))?;
        }
        if let Some(seen) = seen {
            for (holder, bill) in std::mem::take(&mut self.back) {
                self.settle_return(&holder, bill, seen)
                    .with_context(|| format!("bill of {holder}"))?;
            }
        }
        for holder in self.next.accounts.keys().cloned().collect::<Vec<_>>() {
            self.judge(&holder, seen)
                .with_context(|| format!("quota of {holder}"))?;
        }
        if self.saved != Saved::Nobodys {
            self.next.shut = self.shut();
        }
        let window = self.window;
        self.next.dates.extend(window.dates.iter().cloned());
        if let Some(seen) = seen {
            self.next.compare(seen, window.today)?;
            self.next.days.clone_from(&seen.days);
            self.next.dates.clone_from(&window.dates);
        }
        Ok(self.next)
    }

    /// Finds out what a service was charged, and whether that can be.
    fn charge(&mut self, range: PortRange, seen: Option<&Seen>) -> Result<Charge> {
        let holder = Holder::Service(range);
        let before = self.before.accounts.get(&holder).cloned();
        let used = before
            .as_ref()
            .map(|account| account.usage)
            .unwrap_or_default();
        let (least, most) = self.countable(range);
        let mut charge = Charge::default();
        let Some(seen) = seen else {
            ensure!(least == most, "nobody has asked");
            charge.running = least;
            self.book(&holder, used + least, None);
            self.add_to_total(range, charge);
            return Ok(charge);
        };
        let running = seen.services.get(&range).map(|service| Bytes {
            inbound: service.in_bytes,
            outbound: service.out_bytes,
        });
        let exists = self.next.meters.contains_key(&range);
        ensure!(
            exists == running.is_some(),
            "it exists: {exists}; pm says {running:?}"
        );
        let running = running.unwrap_or_default();
        if self.closes.contains_key(&holder) {
            // A service that was never used leaves no period behind.
            let lifetime = self
                .before
                .meters
                .get(&range)
                .map(|meter| meter.total)
                .unwrap_or_default();
            let was_used = lifetime != Bytes::default() || self.before.is_corrected(&holder);
            let ended = match self.end(&holder, seen)? {
                Some(ended) => ended,
                None => used,
            };
            ensure!(within(used, ended), "{ended:?} at its end, {used:?} before");
            (charge.ended, charge.running) = (ended - used, running);
            let is_kept = self.next.closed.get(&holder).map_or(0, Vec::len)
                > self.before.closed.get(&holder).map_or(0, Vec::len);
            ensure!(is_kept || !was_used, "its last period is gone");
            ensure!(
                exists || was_used || is_kept == (charge.ended != Bytes::default()),
                "a period of nothing"
            );
        } else if self.lost {
            let unread = self
                .before
                .meters
                .get(&range)
                .map(|meter| meter.unread)
                .unwrap_or_default();
            ensure!(
                within(running, used),
                "{used:?} became {running:?}, with nothing that counts"
            );
            charge.lost = used - running;
            ensure!(
                within(unread.0, charge.lost) && within(charge.lost, unread.1),
                "{:?} were lost of {unread:?} that nobody had read",
                charge.lost
            );
        } else {
            ensure!(within(used, running), "{used:?} became {running:?}");
            charge.running = running - used;
        }
        if !self.lost {
            let all = charge.ended + charge.running;
            ensure!(
                within(least, all) && within(all, most),
                "{all:?} were counted, {least:?} to {most:?} passed where they count"
            );
        }
        if exists {
            self.book(&holder, running, Some(seen));
        }
        self.add_to_total(range, charge);
        Ok(charge)
    }

    fn add_to_total(&mut self, range: PortRange, charge: Charge) {
        let total = self.next.totals.entry(range).or_default();
        *total = *total + charge.ended + charge.running - charge.lost;
    }

    /// Returns what the period that has just ended used, as pm wrote it down.
    ///
    /// `None`: it wrote nothing down, as for a service that is gone and was never used.
    fn end(&mut self, holder: &Holder, seen: &Seen) -> Result<Option<Bytes>> {
        let why = self.closes[holder];
        let account = self
            .before
            .accounts
            .get(holder)
            .context("nobody had that")?;
        let known = self
            .before
            .closed
            .get(holder)
            .map_or(&[][..], Vec::as_slice);
        let rows = seen.closed.get(holder).map_or(&[][..], Vec::as_slice);
        let (mut known, mut began) = (known.to_vec(), account.began.clone());
        let share = self.share_left(holder, rows, &known);
        if let Some(share) = share {
            ensure!(share.began == began, "{share:?} of a period begun {began}");
            began.clone_from(&share.ended);
            known.push(share.clone());
            let closed = self.next.closed.entry(holder.clone()).or_default();
            closed.push(share.clone());
        }
        if rows == known && why == "deleted" && matches!(holder, Holder::Service(_)) {
            return Ok(None);
        }
        let [earlier @ .., last] = rows else {
            bail!("its period has no end");
        };
        ensure!(
            *earlier == known,
            "its past was {known:?} and is {earlier:?}"
        );
        let tariff = self.before.contract(holder).tariff;
        let expected = Closed {
            began,
            ended: last.ended.clone(),
            why: why.to_owned(),
            usage: last.usage,
            mode: tariff.mode.to_string(),
            factor: f64::from(tariff.factor.thousandths()) / 1000.0,
            adjust: account.adjust,
            billed: billed(tariff, last.usage, account.adjust),
        };
        ensure!(
            *last == expected,
            "its last period is {last:?}, must be {expected:?}"
        );
        self.check_time(&last.ended)?;
        let was_its_own = match holder {
            Holder::Service(range) => group_of(&self.before.config, *range).is_none(),
            Holder::Group(_) => true,
        };
        match why == "deleted" && was_its_own {
            true => self.next.bills.insert(holder.clone(), last.billed),
            false => self.next.bills.remove(holder),
        };
        self.next
            .closed
            .entry(holder.clone())
            .or_default()
            .push(expected);
        let share = share.map_or(Bytes::default(), |share| share.usage);
        Ok(Some(share + last.usage))
    }

    /// Returns the share that a service left in its group's last period, where both go at once:
    /// it is written down before the service's own end.
    fn share_left<'r>(
        &self,
        holder: &Holder,
        rows: &'r [Closed],
        known: &[Closed],
    ) -> Option<&'r Closed> {
        let Holder::Service(range) = holder else {
            return None;
        };
        let group = group_of(&self.before.config, *range)?;
        let goes_too = !self.next.config.groups.contains_key(group);
        match rows {
            [earlier @ .., share, _] if earlier == known && goes_too => {
                Some(share).filter(|share| share.why == "regrouped")
            }
            _ => None,
        }
    }

    fn check_time(&self, time: &str) -> Result<()> {
        let (from, to) = &self.window.time;
        ensure!(
            (from.as_str()..=to.as_str()).contains(&time),
            "{time} is not between {from} and {to}"
        );
        Ok(())
    }

    /// Notes what a running period has used.
    fn book(&mut self, holder: &Holder, usage: Bytes, seen: Option<&Seen>) {
        let ended = self
            .next
            .closed
            .get(holder)
            .and_then(|closed| closed.last());
        let ended = ended.map(|closed| closed.ended.clone());
        let is_new = !self.before.accounts.contains_key(holder);
        let Some(account) = self.next.accounts.get_mut(holder) else {
            return;
        };
        account.usage = usage;
        if is_new {
            let running = seen.and_then(|seen| seen.running.get(holder));
            account.began = running
                .map(|running| running.began.clone())
                .unwrap_or_default();
        } else if self.closes.contains_key(holder) {
            account.began = ended.unwrap_or_default();
        }
    }

    /// Whether pm has certainly looked at a service.
    fn is_read(&self, range: PortRange) -> bool {
        match &self.saved {
            Saved::Nobodys => false,
            Saved::Some(some) => some.contains(&range),
            Saved::Everybodys => true,
        }
    }

    fn settle_meter(&mut self, range: PortRange, charge: Charge) {
        let is_read = self.is_read(range);
        let Some(meter) = self.next.meters.get_mut(&range) else {
            return;
        };
        let (least, most) = meter.unread;
        let now = charge.running;
        meter.total = meter.total + charge.ended + charge.running - charge.lost;
        meter.unread = match &self.saved {
            _ if self.lost => Default::default(),
            Saved::Nobodys => (least + now, most + now),
            Saved::Some(_) | Saved::Everybodys if is_read => (Bytes::default(), now),
            Saved::Some(_) | Saved::Everybodys => (Bytes::default(), most + now),
        };
    }

    /// What the members of a group, each while it was one, were charged.
    fn group_charge(&self, name: &GroupName, charges: &BTreeMap<PortRange, Charge>) -> Charge {
        let mut sum = Charge::default();
        for (&range, charge) in charges {
            if group_of(&self.before.config, range) == Some(name) {
                sum.ended = sum.ended + charge.ended;
                sum.lost = sum.lost + charge.lost;
            }
            if group_of(&self.next.config, range) == Some(name) {
                sum.running = sum.running + charge.running;
            }
        }
        sum
    }

    fn settle_group(
        &mut self,
        name: &GroupName,
        charge: Charge,
        seen: Option<&Seen>,
    ) -> Result<()> {
        let holder = Holder::Group(name.clone());
        let used = self.before.usage(&holder);
        let mut running = charge.running;
        if self.closes.contains_key(&holder) {
            let seen = seen.context("nobody has asked")?;
            let (ended, expected) = (self.end(&holder, seen)?, used + charge.ended);
            ensure!(
                ended == Some(expected),
                "{ended:?} at its end, must be {expected:?}"
            );
        } else {
            running = used + charge.ended + running - charge.lost;
        }
        self.book(&holder, running, seen);
        Ok(())
    }

    /// The correction was worked out at some moment of the window.
    fn settle_correction(&mut self, holder: &Holder, used: u64, seen: &Seen) -> Result<()> {
        let adjust = adjust_of(holder, seen)?;
        let (tariff, used) = (self.next.contract(holder).tariff, i128::from(used));
        let most = clamp(used - bill(tariff, self.before.usage(holder)));
        let account = self
            .next
            .accounts
            .get_mut(holder)
            .context("nobody has that")?;
        let least = clamp(used - bill(tariff, account.usage));
        ensure!(
            (least..=most).contains(&adjust),
            "corrected by {adjust}, must be {least} to {most}"
        );
        account.adjust = adjust;
        Ok(())
    }

    /// Who comes back has his bill, unless pm was killed before it had saved that.
    fn settle_return(&mut self, holder: &Holder, bill: u64, seen: &Seen) -> Result<()> {
        let adjust = adjust_of(holder, seen)?;
        ensure!(
            adjust == clamp(bill.into()) || (self.maybe_without && adjust == 0),
            "corrected by {adjust}, must be {bill}"
        );
        let account = self.next.accounts.get_mut(holder);
        account.context("nobody has that")?.adjust = adjust;
        Ok(())
    }

    /// Judges whether a quota is used up as pm says, and whether too much has passed.
    fn judge(&mut self, holder: &Holder, seen: Option<&Seen>) -> Result<()> {
        let contract = self.next.contract(holder);
        let members = |model: &Model| match holder {
            Holder::Group(name) => {
                let all = model.config.services.keys().copied();
                all.filter(|range| group_of(&model.config, *range) == Some(name))
                    .collect()
            }
            Holder::Service(_) => Vec::new(),
        };
        // Who joins brings what passed between the reading that makes him a member and the rules that do.
        let same_contract = self.before.accounts.contains_key(holder)
            && self.before.contract(holder) == contract
            && members(self.before) == members(&self.next)
            && !self.closes.contains_key(holder);
        let (before, lax) = (self.before.accounts.get(holder).cloned(), self.lax);
        let account = self
            .next
            .accounts
            .get_mut(holder)
            .context("nobody has that")?;
        let Some(terms) = terms(contract, account.adjust) else {
            account.spent = Spent::No;
            return Ok(());
        };
        let used = counted(terms.mode, account.usage);
        if let Some(before) =
            before.filter(|before| same_contract && before.adjust == account.adjust)
        {
            let most = terms.allowance.max(counted(terms.mode, before.usage));
            ensure!(
                lax || used <= most,
                "{used} bytes passed where only {most} may"
            );
        }
        let prior = match account.spent {
            Spent::Yes(earlier)
                if terms.mode != earlier.mode || terms.allowance > earlier.allowance =>
            {
                Spent::No
            }
            prior => prior,
        };
        let is_near = terms.allowance - used < i128::from(LONGEST_PACKET);
        account.spent = match seen.map(|seen| says_spent(holder, seen)) {
            None => prior,
            Some(Some(true)) => {
                ensure!(
                    is_near || prior != Spent::No,
                    "it is used up at {used} of {}",
                    terms.allowance
                );
                match prior {
                    Spent::Yes(_) => prior,
                    _ => Spent::Yes(terms),
                }
            }
            Some(Some(false)) => {
                let still = matches!(prior, Spent::Yes(_));
                ensure!(
                    used < terms.allowance && !still,
                    "it is open at {used} of {}, {prior:?}",
                    terms.allowance
                );
                Spent::No
            }
            Some(None) if is_near && prior == Spent::No => Spent::Maybe,
            Some(None) => prior,
        };
        let stays = self
            .before
            .accounts
            .get(holder)
            .is_some_and(|before| before.spent == account.spent);
        account.noted = stays && (account.noted || self.saved == Saved::Everybodys);
        Ok(())
    }

    /// The services that let nothing through since pm last looked.
    fn shut(&self) -> BTreeSet<PortRange> {
        let (config, today) = (&self.next.config, self.window.today);
        let shut = config.services.iter().filter(|&(&range, service)| {
            let spent = |model: &Model| {
                model
                    .accounts
                    .get(&holder_of(config, range))
                    .map(|account| account.spent)
            };
            let (then, now) = (spent(self.before), spent(&self.next));
            let is_spent = match self.is_read(range) {
                true => then == now && matches!(now, Some(Spent::Yes(_))),
                false => self.before.shut.contains(&range),
            };
            service.blocked || service.expires.is_some_and(|day| day < today) || is_spent
        });
        shut.map(|(&range, _)| range).collect()
    }
}

/// Whether pm says that a quota is used up; `None`: it says that something else closes the service.
fn says_spent(holder: &Holder, seen: &Seen) -> Option<bool> {
    match holder {
        Holder::Group(name) => seen
            .groups
            .get(name)
            .map(|group| group.blocked_by.is_some()),
        Holder::Service(range) => match seen.services.get(range)?.blocked_by.as_deref() {
            None => Some(false),
            Some("quota") => Some(true),
            Some(_) => None,
        },
    }
}

fn within(low: Bytes, high: Bytes) -> bool {
    low.inbound <= high.inbound && low.outbound <= high.outbound
}

/// Returns by how much a bill is corrected, as pm says.
fn adjust_of(holder: &Holder, seen: &Seen) -> Result<i64> {
    let adjust = match holder {
        Holder::Service(range) => seen.services.get(range).map(|service| service.adjust_bytes),
        Holder::Group(name) => seen.groups.get(name).map(|group| group.adjust_bytes),
    };
    adjust.context("it is gone")
}
