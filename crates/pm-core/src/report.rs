//! What the operator is shown of a service or a group: settings, usage and state in one.

use std::time::Duration;

use time::Date;

use crate::calendar::ResetPolicy;
use crate::config::{Config, GroupName, Limit, Note, QuotaSize, Tariff};
use crate::dynqos::DynQos;
use crate::ledger::{Account, Ledger, State, Usage};
use crate::port::PortRange;

/// One service, as of one reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The service.
    pub ports: PortRange,
    /// The operator's words.
    pub note: Note,
    /// The group whose quota it shares.
    pub group: Option<GroupName>,
    /// How bytes become what is billed: the group's tariff, or its own.
    pub tariff: Tariff,
    /// What this period used, by this service alone.
    pub usage: Usage,
    /// The operator's correction, in bytes.
    pub adjust: i64,
    /// What is billed of that, in bytes.
    pub billed: u64,
    /// The quota of its own.
    pub quota: Option<QuotaSize>,
    /// By what it is blocked; `None`: it is open.
    pub blocked_by: Option<BlockedBy>,
    /// Whether its quota is spent, or its group's; it may be blocked by something else as well.
    pub is_spent: bool,
    /// Whether its last day has passed; it may be blocked by something else as well.
    pub is_expired: bool,
    /// When its periods end, or its group's.
    pub reset: ResetPolicy,
    /// When the next period begins; `None`: never.
    pub next_reset: Option<Date>,
    /// How fast it may send.
    pub limit: Option<Limit>,
    /// How fast it may receive.
    pub limit_in: Option<Limit>,
    /// When it is slowed down.
    pub dynqos: Option<DynQos>,
    /// For how long it is still slowed down, as of the last tick; `None`: it is not.
    pub punished: Option<Duration>,
    /// The last day on which it is open.
    pub expires: Option<Date>,
    /// Whether traffic that is only routed through the host counts, too.
    pub routed: bool,
}

/// One group, as of one reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupReport {
    /// Its name.
    pub name: GroupName,
    /// The services in it, ascending.
    pub members: Vec<PortRange>,
    /// How bytes become what is billed.
    pub tariff: Tariff,
    /// What its members used in this period, while they were members.
    pub usage: Usage,
    /// The operator's correction, in bytes.
    pub adjust: i64,
    /// What counts against the quota, in bytes.
    pub billed: u64,
    /// The quota.
    pub quota: Option<QuotaSize>,
    /// Whether its quota is spent.
    pub is_spent: bool,
    /// When its periods end.
    pub reset: ResetPolicy,
    /// When the next period begins; `None`: never.
    pub next_reset: Option<Date>,
}

/// Why a service lets nothing through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockedBy {
    /// The operator said so.
    Operator,
    /// Its last day has passed.
    Expiry,
    /// Its quota is spent, or its group's.
    Quota,
}

/// Returns a report of every service, ascending.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`.
pub fn reports(config: &Config, state: &State) -> Vec<Report> {
    let report = |(&ports, service): (&_, &crate::config::Service)| {
        let ledger = state.ledgers.get(&ports)?;
        let account = &ledger.account;
        let contract = config.contract(service);
        let holder = match &service.group {
            Some(name) => state.groups.get(name)?,
            None => account,
        };
        Some(Report {
            ports,
            note: service.note.clone(),
            group: service.group.clone(),
            tariff: contract.tariff,
            usage: account.usage,
            adjust: account.adjust,
            billed: account.billed(),
            quota: service.quota,
            blocked_by: blocked_by(service.blocked, ledger, holder),
            is_spent: holder.spent.is_some(),
            is_expired: ledger.expired,
            reset: contract.reset_policy(),
            next_reset: holder.period.next(),
            limit: service.limit,
            limit_in: service.limit_in,
            dynqos: service.dynqos,
            punished: ledger.hog.punished,
            expires: service.expires,
            routed: service.routed,
        })
    };
    config.services.iter().filter_map(report).collect()
}

/// Returns a report of every group, by name.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`.
pub fn group_reports(config: &Config, state: &State) -> Vec<GroupReport> {
    let report = |(name, group): (&GroupName, &crate::config::Group)| {
        let account = state.groups.get(name)?;
        let contract = group.contract();
        Some(GroupReport {
            name: name.clone(),
            members: config.members(name).collect(),
            tariff: contract.tariff,
            usage: account.usage,
            adjust: account.adjust,
            billed: account.billed(),
            quota: contract.quota,
            is_spent: account.spent.is_some(),
            reset: contract.reset_policy(),
            next_reset: account.period.next(),
        })
    };
    config.groups.iter().filter_map(report).collect()
}

fn blocked_by(by_operator: bool, ledger: &Ledger, holder: &Account) -> Option<BlockedBy> {
    if by_operator {
        Some(BlockedBy::Operator)
    } else if ledger.expired {
        Some(BlockedBy::Expiry)
    } else {
        holder.spent.map(|_| BlockedBy::Quota)
    }
}
