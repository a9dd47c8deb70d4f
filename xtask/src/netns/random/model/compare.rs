//! Every figure of the model, as pm must show it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use pm_core::config::GroupName;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use time::Date;

use super::{Account, Model, Spent, billed, holder_of};
use crate::netns::random::seen::{self, Running, Seen};
use crate::netns::random::wanted::contract_of;
use crate::truth::Bytes;

impl Model {
    /// Compares every figure with what pm says.
    ///
    /// # Errors
    ///
    /// With the first that differs.
    pub(super) fn compare(&self, seen: &Seen, today: Date) -> Result<()> {
        let services: BTreeMap<_, _> = self
            .config
            .services
            .keys()
            .map(|&range| (range, self.service(range, today)))
            .collect();
        same(&services, &seen.services, "pm list")?;
        let groups: BTreeMap<_, _> = self
            .config
            .groups
            .keys()
            .map(|name| (name.clone(), self.group(name)))
            .collect();
        same(&groups, &seen.groups, "pm list")?;
        same(&self.closed, &seen.closed, "pm history")?;
        let running = |(holder, account): (&Holder, &Account)| {
            let tariff = self.contract(holder).tariff;
            let billed = billed(tariff, account.usage, account.adjust);
            (
                holder.clone(),
                Running {
                    began: account.began.clone(),
                    usage: account.usage,
                    mode: tariff.mode.to_string(),
                    factor: f64::from(tariff.factor.thousandths()) / 1000.0,
                    adjust: account.adjust,
                    billed,
                },
            )
        };
        same(
            &self.accounts.iter().map(running).collect(),
            &seen.running,
            "pm history",
        )?;
        self.compare_days(seen)?;
        if let Some(config) = &seen.config {
            ensure!(
                *config == self.config,
                "pm has {config:?}, must have {:?}",
                self.config
            );
        }
        ensure!(
            seen.torn_down == self.torn_down,
            "pm is out of the kernel: {}",
            seen.torn_down
        );
        Ok(())
    }

    fn compare_days(&self, seen: &Seen) -> Result<()> {
        let mut sums: BTreeMap<PortRange, Bytes> = BTreeMap::new();
        for ((date, range), &bytes) in &seen.days {
            let sum = sums.entry(*range).or_default();
            *sum = *sum + bytes;
            let earlier = self.days.get(&(date.clone(), *range));
            ensure!(
                self.dates.contains(date) || earlier == Some(&bytes),
                "{range} had {earlier:?} on {date}, and {bytes:?} since that day is over"
            );
        }
        let totals = self
            .totals
            .iter()
            .filter(|(_, bytes)| **bytes != Bytes::default());
        same(
            &totals.map(|(&range, &bytes)| (range, bytes)).collect(),
            &sums,
            "pm history --by day",
        )
    }

    fn service(&self, range: PortRange, today: Date) -> seen::Service {
        let service = self
            .config
            .services
            .get(&range)
            .cloned()
            .unwrap_or_default();
        let account = self.accounts.get(&Holder::Service(range)).cloned();
        let (usage, adjust) = account
            .map(|account| (account.usage, account.adjust))
            .unwrap_or_default();
        let contract = contract_of(&self.config, range);
        let quota = self.accounts.get(&holder_of(&self.config, range));
        let blocked_by = if service.blocked {
            Some("operator")
        } else if service.expires.is_some_and(|day| day < today) {
            Some("expiry")
        } else {
            quota
                .is_some_and(|account| matches!(account.spent, Spent::Yes(_)))
                .then_some("quota")
        };
        let bps = |limit: Option<pm_core::config::Limit>| {
            limit.map(|limit| limit.rate().bits_per_second())
        };
        seen::Service {
            port: range.to_string(),
            note: service.note.as_str().to_owned(),
            group: service.group.as_ref().map(ToString::to_string),
            mode: contract.tariff.mode.to_string(),
            factor: f64::from(contract.tariff.factor.thousandths()) / 1000.0,
            in_bytes: usage.inbound,
            out_bytes: usage.outbound,
            adjust_bytes: adjust,
            billed_bytes: billed(contract.tariff, usage, adjust),
            quota_bytes: service.quota.map(|quota| quota.bytes()),
            state: if blocked_by.is_some() {
                "blocked"
            } else {
                "ok"
            }
            .to_owned(),
            blocked_by: blocked_by.map(str::to_owned),
            limit_out_bps: bps(service.limit),
            limit_in_bps: bps(service.limit_in),
            ceil_bps: bps(service.limit),
            ceil_in_bps: bps(service.limit_in),
            punished_seconds: None,
            expires: service.expires.map(|day| day.to_string()),
            routed: service.routed,
            reset: contract.reset_policy().to_string(),
        }
    }

    fn group(&self, name: &GroupName) -> seen::Group {
        let holder = Holder::Group(name.clone());
        let contract = self.contract(&holder);
        let account = self.accounts.get(&holder).cloned();
        let is_spent = account
            .as_ref()
            .is_some_and(|account| matches!(account.spent, Spent::Yes(_)));
        let (usage, adjust) = account
            .map(|account| (account.usage, account.adjust))
            .unwrap_or_default();
        let members = self
            .config
            .services
            .iter()
            .filter(|(_, service)| service.group.as_ref() == Some(name));
        seen::Group {
            name: name.to_string(),
            members: members.map(|(range, _)| range.to_string()).collect(),
            mode: contract.tariff.mode.to_string(),
            factor: f64::from(contract.tariff.factor.thousandths()) / 1000.0,
            in_bytes: usage.inbound,
            out_bytes: usage.outbound,
            adjust_bytes: adjust,
            billed_bytes: billed(contract.tariff, usage, adjust),
            quota_bytes: contract.quota.map(|quota| quota.bytes()),
            state: if is_spent { "blocked" } else { "ok" }.to_owned(),
            blocked_by: is_spent.then(|| "quota".to_owned()),
            reset: contract.reset_policy().to_string(),
        }
    }
}

fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, V>,
    seen: &BTreeMap<K, V>,
    who: &str,
) -> Result<()> {
    for key in expected.keys().chain(seen.keys()) {
        let (must, is) = (expected.get(key), seen.get(key));
        ensure!(
            must == is,
            "{who} says of {key:?}: {is:?}, must say: {must:?}"
        );
    }
    Ok(())
}
