//! Services, and the groups that share a quota.

use serde::{Deserialize, Serialize};
use time::Date;

use super::{Factor, GroupName, Limit, Mode, Note, QuotaSize, Tariff};
use crate::calendar::{DayOfMonth, ResetPolicy, iso_date};
use crate::dynqos::DynQos;
use crate::holder::Holder;
use crate::port::PortRange;

/// One monitored port or range.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The operator's words.
    #[serde(default, skip_serializing_if = "Note::is_empty")]
    pub note: Note,
    /// The group whose quota it shares; `None`: it has its own [`Contract`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// What counts against the quota.
    #[serde(default)]
    pub mode: Mode,
    /// How often each byte counts.
    #[serde(default, skip_serializing_if = "Factor::is_one")]
    pub factor: Factor,
    /// What may be used in a period; `None`: as much as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSize>,
    /// When a period ends; `None`: on day 1 where there is a quota, else never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetPolicy>,
    /// How fast it may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// How fast it may receive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_in: Option<Limit>,
    /// When it is slowed down for hogging the line, and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynqos: Option<DynQos>,
    /// The last day on which it is open; `None`: it stays so.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "iso_date")]
    pub expires: Option<Date>,
    /// Whether traffic that is only routed through the host counts, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub routed: bool,
    /// Whether the operator blocks it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

/// Services that share one quota.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What counts against the quota.
    #[serde(default)]
    pub mode: Mode,
    /// How often each byte counts.
    #[serde(default, skip_serializing_if = "Factor::is_one")]
    pub factor: Factor,
    /// What all members together may use in a period; `None`: as much as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSize>,
    /// When a period ends; `None`: on day 1 where there is a quota, else never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetPolicy>,
}

/// What the holder of a quota has: a group, or a service that is in none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Contract {
    /// How bytes become what is billed.
    pub tariff: Tariff,
    /// What may be billed in a period; `None`: as much as it likes.
    pub quota: Option<QuotaSize>,
    /// When a period ends; `None`: on day 1 where there is a quota, else never.
    pub reset: Option<ResetPolicy>,
}

impl Service {
    /// Returns who holds its quota: its group, or itself, the service named `ports`.
    pub fn holder(&self, ports: PortRange) -> Holder {
        match &self.group {
            Some(name) => Holder::Group(name.clone()),
            None => Holder::Service(ports),
        }
    }

    /// Returns its own contract, which counts while it is in no group.
    pub fn contract(&self) -> Contract {
        Contract {
            tariff: Tariff {
                mode: self.mode,
                factor: self.factor,
            },
            quota: self.quota,
            reset: self.reset,
        }
    }

    /// Gives it another contract of its own.
    pub fn set_contract(&mut self, contract: Contract) {
        let Contract {
            tariff: Tariff { mode, factor },
            quota,
            reset,
        } = contract;
        (self.mode, self.factor) = (mode, factor);
        (self.quota, self.reset) = (quota, reset);
    }
}

impl Group {
    /// Returns its contract.
    pub fn contract(&self) -> Contract {
        Contract {
            tariff: Tariff {
                mode: self.mode,
                factor: self.factor,
            },
            quota: self.quota,
            reset: self.reset,
        }
    }
}

impl From<Contract> for Group {
    fn from(contract: Contract) -> Self {
        let Contract {
            tariff: Tariff { mode, factor },
            quota,
            reset,
        } = contract;
        Self {
            mode,
            factor,
            quota,
            reset,
        }
    }
}

impl Contract {
    /// Returns when its periods end, the default applied.
    pub fn reset_policy(&self) -> ResetPolicy {
        self.reset.unwrap_or(match self.quota {
            Some(_) => ResetPolicy::Monthly(DayOfMonth::FIRST),
            None => ResetPolicy::Never,
        })
    }
}
