//! The settings of services and groups, as flags.

use clap::Args;
use pm_core::calendar::ResetChoice;
use pm_core::config::{Factor, GroupName, Limit, Mode, Note, QuotaSize};
use pm_core::dynqos::DynQos;
use pm_core::request::{ContractSettings, Settings};
use time::Date;

use super::values::{self, OrNone, Text};
use crate::language::tr;

/// What a service, or a group, may use in a period.
#[derive(Args, Debug)]
pub(super) struct ContractFlags {
    #[arg(
        long,
        value_name = tr!("SIZE|none", "大小|none"),
        allow_hyphen_values = true,
        value_parser = values::quota,
        help = tr!(
            "How much may be used in a period: 100GB (10⁹), 100GiB (2³⁰), 1.5TB, or `none` [a new \
             one's: none]",
            "一个周期可用多少：100GB（10⁹ 字节）、100GiB（2³⁰ 字节）、1.5TB，或 `none` [新建默认：\
             none]",
        )
    )]
    quota: Option<OrNone<QuotaSize>>,
    #[arg(
        long,
        value_name = "both|out|max",
        allow_hyphen_values = true,
        help = tr!(
            "What counts against the quota: `both` (in and out), `out`, or `max` (the larger of \
             the two), for the whole running period or, after `--used`, from now on [a new one's: \
             both]",
            "哪些计入配额：`both`（双向）、`out`（仅出站）或 `max`（取大，出入站中较大者），对整个当前周期生效，\
             用过 `--used` 之后则从现在起生效 [新建默认：both]",
        )
    )]
    mode: Option<Mode>,
    #[arg(
        long,
        value_name = tr!("N", "倍率"),
        allow_hyphen_values = true,
        help = tr!(
            "How often each byte counts against the quota: 0.001 to 1000, for the whole running \
             period or, after `--used`, from now on [a new one's: 1]",
            "倍率，每个字节按几个计入配额：0.001 到 1000，对整个当前周期生效，用过 `--used` 之后则从现在起生效 \
             [新建默认：1]",
        )
    )]
    factor: Option<Factor>,
    #[arg(
        long,
        value_name = tr!("WHEN", "时间"),
        allow_hyphen_values = true,
        help = tr!(
            "When a new period begins: on a day of each month (1..31), \"every 30 days\", \"every 3 \
             months on 15\" (both from now on, or \"… from 2026-12-01\", \"… from 2026-12\"), \"yearly \
             06-18\", \"once 2027-01-31\", or `never` [a new one's: 1 with a quota, else never]",
            "何时重置，开始新周期：每月几日（1 到 31）、\"every 30 days\"（每 30 天）、\"every 3 \
             months on 15\"（每 3 个月的 15 日；这两种从现在起，或写明 \"… from 2026-12-01\"、\"… from \
             2026-12\"）、\"yearly 06-18\"（每年）、\"once 2027-01-31\"（仅一次）或 `never` [新建默认：\
             有配额为 1，否则 never]",
        )
    )]
    reset: Option<ResetChoice>,
}

/// Everything that can be set of a service.
#[derive(Args, Debug)]
pub(super) struct SettingFlags {
    #[command(flatten)]
    contract: ContractFlags,
    #[arg(
        long,
        value_name = tr!("NAME|none", "名称|none"),
        allow_hyphen_values = true,
        value_parser = Text::<OrNone<GroupName>>::new(),
        help = tr!(
            "The group whose quota it shares; the four above are the group's then. Who joins or \
             leaves one begins at nothing used [a new one's: none]",
            "共享哪个组的配额；以上四项就由组决定。入组和离组时，已用流量都从零开始 [新建默认：\
             none]",
        )
    )]
    group: Option<OrNone<GroupName>>,
    #[arg(
        long,
        value_name = tr!("RATE|none", "速率|none"),
        allow_hyphen_values = true,
        value_parser = values::limit,
        help = tr!(
            "How fast it may send, in bits a second: 50M, 1.5G, 800Kbps; at least 8K [a new one's: \
             none]",
            "出站限速，按每秒比特：50M、1.5G、800Kbps；至少 8K [新建默认：none]",
        )
    )]
    limit: Option<OrNone<Limit>>,
    #[arg(
        long,
        value_name = tr!("RATE|none", "速率|none"),
        allow_hyphen_values = true,
        value_parser = values::limit,
        help = tr!(
            "How fast it may receive, likewise [a new one's: none]",
            "入站限速，写法相同 [新建默认：none]",
        )
    )]
    limit_in: Option<OrNone<Limit>>,
    #[arg(
        long,
        value_name = tr!("TRIGGER/MINUTES/PUNISH/MINUTES|none", "触发/分钟/惩罚/分钟|none"),
        allow_hyphen_values = true,
        value_parser = values::dynqos,
        help = tr!(
            "When it is slowed down: 100M/5/5M/60 is above 100 Mbps, in and out together, for 5 \
             minutes; then to 5 Mbps each way for 60 minutes (at most 10080) [a new one's: none]",
            "动态限速 (DynQoS)：100M/5/5M/60 即出入合计连续 5 分钟超过 100 Mbps，就双向各限到 5 \
             Mbps，持续 60 分钟（最长 10080）[新建默认：none]",
        )
    )]
    dynqos: Option<OrNone<DynQos>>,
    #[arg(
        long,
        value_name = tr!("DATE|never", "日期|never"),
        allow_hyphen_values = true,
        value_parser = values::last_day,
        help = tr!(
            "The last day on which it is open: 2027-01-31 [a new one's: never]",
            "开放的最后一天：2027-01-31 [新建默认：never]",
        )
    )]
    expires: Option<OrNone<Date>>,
    #[arg(
        long,
        value_name = "yes|no",
        allow_hyphen_values = true,
        value_parser = values::yes_or_no,
        help = tr!(
            "Whether traffic counts, too, that this host only routes, without translating its \
             addresses [a new one's: no]",
            "本机只作路由、不转换地址的流量是否也计 [新建默认：no]",
        )
    )]
    routed: Option<bool>,
    #[arg(
        long,
        value_name = tr!("TEXT", "文字"),
        allow_hyphen_values = true,
        value_parser = Text::<Note>::new(),
        help = tr!(
            "A note for you, up to 200 characters",
            "给自己看的备注，最多 200 个字符",
        )
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
