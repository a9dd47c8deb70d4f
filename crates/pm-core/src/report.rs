//! What the operator is shown of a service: settings, usage and state in one.

use time::Date;

use crate::calendar::ResetPolicy;
use crate::config::{Config, Mode, Note, QuotaSize};
use crate::ledger::{State, Usage};
use crate::port::PortRange;

/// One service, as of one reading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The service.
    pub ports: PortRange,
    /// The operator's words.
    pub note: Note,
    /// What counts against the quota.
    pub mode: Mode,
    /// What this period used.
    pub usage: Usage,
    /// The operator's correction, in bytes.
    pub adjust: i64,
    /// What counts against the quota, in bytes.
    pub billed: u64,
    /// The quota.
    pub quota: Option<QuotaSize>,
    /// By what it is blocked; `None`: it is open.
    pub blocked_by: Option<BlockedBy>,
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
    /// Its quota is spent.
    Quota,
}

/// Returns a report of every service, ascending.
///
/// `state` must come from [`step`](crate::tick::step) with the same `config`.
pub fn reports(config: &Config, state: &State) -> Vec<Report> {
    config
        .services
        .iter()
        .filter_map(|(&ports, service)| {
            let ledger = state.ledgers.get(&ports)?;
            let blocked_by = match (service.blocked, ledger.spent) {
                (true, _) => Some(BlockedBy::Operator),
                (false, Some(_)) => Some(BlockedBy::Quota),
                (false, None) => None,
            };
            Some(Report {
                ports,
                note: service.note.clone(),
                mode: service.mode,
                usage: ledger.usage,
                adjust: ledger.adjust,
                billed: ledger.billed(service.mode),
                quota: service.quota,
                blocked_by,
                reset: service.reset_policy(),
                next_reset: ledger.period.next(),
            })
        })
        .collect()
}
