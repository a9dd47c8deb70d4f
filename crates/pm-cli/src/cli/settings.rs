//! The settings of services and groups, as flags.

use clap::Args;
use pm_core::calendar::ResetChoice;
use pm_core::config::{Factor, GroupName, Limit, Mode, Note, QuotaSize};
use pm_core::dynqos::DynQos;
use pm_core::request::{ContractSettings, Settings};
use time::Date;

use super::values::{self, OrNone, Text};

/// What a service, or a group, may use in a period.
#[derive(Args, Debug)]
pub(super) struct ContractFlags {
    /// How much may be used in a period: 100GB (10⁹), 100GiB (2³⁰), 1.5TB, or `none` [a new
    /// one's: none]
    #[arg(
        long,
        value_name = "SIZE|none",
        allow_hyphen_values = true,
        value_parser = values::quota
    )]
    quota: Option<OrNone<QuotaSize>>,
    /// What counts against the quota: `both` (in and out), `out`, or `max` (the larger of the
    /// two) [a new one's: both]
    #[arg(long, value_name = "both|out|max", allow_hyphen_values = true)]
    mode: Option<Mode>,
    /// How often each byte counts against the quota: 0.001 to 1000 [a new one's: 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    factor: Option<Factor>,
    /// When a new period begins: on a day of each month (1..31), "every 30 days", "every 3
    /// months on 15" (both from now on, or "… from 2026-12-01", "… from 2026-12"), "yearly
    /// 06-18", "once 2027-01-31", or `never` [a new one's: 1 with a quota, else never]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    reset: Option<ResetChoice>,
}

/// Everything that can be set of a service.
#[derive(Args, Debug)]
pub(super) struct SettingFlags {
    #[command(flatten)]
    contract: ContractFlags,
    /// The group whose quota it shares; the four above are the group's then. Who joins or leaves
    /// one begins at nothing used [a new one's: none]
    #[arg(
        long,
        value_name = "NAME|none",
        allow_hyphen_values = true,
        value_parser = Text::<OrNone<GroupName>>::new()
    )]
    group: Option<OrNone<GroupName>>,
    /// How fast it may send, in bits a second: 50M, 1.5G, 800Kbps; at least 8K [a new one's: none]
    #[arg(
        long,
        value_name = "RATE|none",
        allow_hyphen_values = true,
        value_parser = values::limit
    )]
    limit: Option<OrNone<Limit>>,
    /// How fast it may receive, likewise [a new one's: none]
    #[arg(
        long,
        value_name = "RATE|none",
        allow_hyphen_values = true,
        value_parser = values::limit
    )]
    limit_in: Option<OrNone<Limit>>,
    /// When it is slowed down: 100M/5/5M/60 is above 100 Mbps, in and out together, for 5
    /// minutes; then to 5 Mbps each way for 60 minutes (at most 10080) [a new one's: none]
    #[arg(
        long,
        value_name = "TRIGGER/MINUTES/PUNISH/MINUTES|none",
        allow_hyphen_values = true,
        value_parser = values::dynqos
    )]
    dynqos: Option<OrNone<DynQos>>,
    /// The last day on which it is open: 2027-01-31 [a new one's: never]
    #[arg(
        long,
        value_name = "DATE|never",
        allow_hyphen_values = true,
        value_parser = values::last_day
    )]
    expires: Option<OrNone<Date>>,
    /// Whether traffic counts, too, that this host only routes, without translating its
    /// addresses [a new one's: no]
    #[arg(
        long,
        value_name = "yes|no",
        allow_hyphen_values = true,
        value_parser = values::yes_or_no
    )]
    routed: Option<bool>,
    /// A note for you, up to 200 characters
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        value_parser = Text::<Note>::new()
    )]
    note: Option<Note>,
}

impl ContractFlags {
    /// Returns what is to be changed.
    pub(super) fn settings(self) -> ContractSettings {
        ContractSettings {
            quota: self.quota.map(OrNone::into),
            mode: self.mode,
            factor: self.factor,
            reset: self.reset,
        }
    }
}

impl SettingFlags {
    /// Returns what is to be changed.
    pub(super) fn settings(self) -> Settings {
        Settings {
            group: self.group.map(OrNone::into),
            contract: self.contract.settings(),
            limit: self.limit.map(OrNone::into),
            limit_in: self.limit_in.map(OrNone::into),
            dynqos: self.dynqos.map(OrNone::into),
            expires: self.expires.map(OrNone::into),
            routed: self.routed,
            note: self.note,
        }
    }
}
