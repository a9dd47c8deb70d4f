//! What was not taken over from an older tool as it stood, as sentences.

use pm_core::request::Refusal;
use pm_core::ruleset::Direction;
use pm_core::units::{SizeFamily, approximate};
use pm_engine::EngineError;
use pm_legacy::{Accounting, Setting, Subject, Trouble};

use super::group;
use crate::language::tr;
use crate::output::errors;

/// Returns what a doubt is about; `None`: everything.
pub(crate) fn subject(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Everything => None,
        Subject::Group(name) => Some(group(name)),
        Subject::Service(ports) => Some(ports.to_string()),
        Subject::Entry(key) => Some(format!("`{key}`")),
    }
}

/// Returns what there is to say.
pub(crate) fn trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::AccountingUnknown(candidates) => {
            let names = names(candidates);
            tr!(
                "which bytes its counters hold depends on the release that made them, which cannot \
                 be told: choose one of {names}",
                "计数器里是哪些字节，取决于写下它们的版本，而这无法判断：请从 {names} 中选一个"
            )
        }
        Trouble::Overused { billed, quota } => {
            let (billed, quota) = (size(*billed), size(*quota));
            tr!(
                "{billed} of a quota of {quota} were used without its being cut off: pm will cut it \
                 off, or forgive what was used so far",
                "配额 {quota}，已用 {billed}，却没有被切断：pm 会切断它，也可以免除目前的用量"
            )
        }
        Trouble::LimitImpossible(why) => {
            let why = errors::sentence(&EngineError::Refused(Refusal::NoShaping(why.clone())));
            tr!(
                "{why}: it is taken over without its limit",
                "{why}：导入后不限速"
            )
        }
        Trouble::StateMissing => tr!(
            "it has no state file: its figures are those of the configuration, which may be old",
            "没有状态文件：流量取自配置文件，可能是旧的"
        ),
        Trouble::NothingCounted => tr!(
            "nothing says what it has used: it begins at nothing",
            "没有任何已用流量的记录：从零开始"
        ),
        Trouble::CounterLeftOut(bytes) => {
            let shows = size(*bytes);
            tr!(
                "its counters show {shows}, of which nobody knows how much is of this period: it is \
                 left out; `pm set PORT --used` puts it right",
                "计数器显示 {shows}，但无从得知其中多少属于本周期：未计入；可用 `pm set 端口 --used` 更正"
            )
        }
        Trouble::StateLine { line, text } => tr!(
            "line {line} of its state file is left out, because it is not a plain value: {text}",
            "状态文件第 {line} 行不是普通的值，已忽略：{text}"
        ),
        Trouble::StateLacks(name) => tr!(
            "its state file does not say `{name}`: it counts as nothing",
            "状态文件里没有 `{name}`：按零计"
        ),
        Trouble::NotBytes { field, value } => tr!(
            "`{value}` is no number of bytes: `{field}` counts as nothing",
            "`{value}` 不是字节数：`{field}` 按零计"
        ),
        Trouble::CounterMissing(direction) => match direction {
            Direction::In => tr!(
                "its counter of incoming bytes is gone: what it had counted since the tool last \
                 looked is not known",
                "入站计数器不在了：旧工具上次读数之后的流量无从得知"
            ),
            Direction::Out => tr!(
                "its counter of outgoing bytes is gone: what it had counted since the tool last \
                 looked is not known",
                "出站计数器不在了：旧工具上次读数之后的流量无从得知"
            ),
        },
        Trouble::MixedCounts { counter, by: 0 } => tr!(
            "its counter holds {counter} bytes, though its release does not count them: they count as \
             nothing, and the bill stays",
            "计数器里有 {counter} 字节，但它的版本并不计这些：按零计，账单不变"
        ),
        Trouble::MixedCounts { counter, by } => tr!(
            "its counter holds {counter} bytes, some counted once and some twice, as after a change \
             of how it is billed: they are divided by {by}, and the bill stays",
            "计数器里的 {counter} 字节有的计一次、有的计两次（计费方式改过）：一律除以 {by}，账单不变"
        ),
        Trouble::EnforcedDiffers { enforced, billed } => {
            let (exactly, rounded) = ((enforced, billed), (size(*enforced), size(*billed)));
            // What differs by less than is shown is still something else.
            let (enforced, billed) = match rounded {
                (enforced, billed) if enforced != billed => (enforced, billed),
                _ => (format!("{} B", exactly.0), format!("{} B", exactly.1)),
            };
            tr!(
                "the tool's own quota has counted {enforced}, and its counters {billed}",
                "旧工具的配额对象记了 {enforced}，而计数器是 {billed}"
            )
        }
        Trouble::RelayBilling => tr!(
            "`relay` counted what came in once and what went out twice; pm counts both twice from \
             now on, and keeps the bill so far",
            "`relay` 入站计一次、出站计两次；pm 今后两个方向都计两次，目前的账单不变"
        ),
        Trouble::UnknownBilling(mode) => tr!(
            "its release does not know the billing mode `{mode}`: it is read as `single`",
            "这个版本没有计费模式 `{mode}`：按 `single` 读取"
        ),
        Trouble::NotPorts => tr!("it is no port, and left out", "不是端口，未导入"),
        Trouble::Overlaps(other) => tr!(
            "it overlaps {other}, which is taken over, and is left out: a port can belong to one \
             service only",
            "与已导入的 {other} 重叠，未导入：一个端口只能属于一个服务"
        ),
        Trouble::NoSettings => tr!(
            "it has no settings, and is left out",
            "没有任何设置，未导入"
        ),
        Trouble::Disabled => tr!(
            "the tool says that it is not enabled, and counts all the same: it is taken over",
            "旧工具标记为未启用，但仍在计数：照样导入"
        ),
        Trouble::NoteCleaned(count) => tr!(
            "control characters of its note are left out: {count}",
            "备注中的 {count} 个控制字符已去掉"
        ),
        Trouble::NoteShortened(chars) => tr!(
            "its note of {chars} characters is cut short to 200",
            "备注有 {chars} 个字符，已截短到 200 个"
        ),
        Trouble::GroupRenamed { from } => tr!(
            "it was called `{from}`, which no group of pm's can be",
            "原名 `{from}` 不能作为 pm 的组名"
        ),
        Trouble::MembersDiffer { first, settings } => {
            let settings: Vec<_> = settings.iter().map(|it| setting(*it)).collect();
            let settings = settings.join(&tr!(", ", "、"));
            tr!(
                "its members differ in {settings}: those of {first} count for all",
                "成员的{settings}不一致：以 {first} 的为准"
            )
        }
        Trouble::ListBecameGroup => tr!(
            "a list of ports becomes a group that shares one quota",
            "端口列表变成一个共享配额的组"
        ),
        Trouble::UsageOfList => tr!(
            "what the list has used cannot be told apart by port: it is the group's",
            "列表的已用流量无法按端口拆分：记在组上"
        ),
        Trouble::LimitOfList => tr!(
            "each of its ports may now be as fast as all together were",
            "限速原来是全组合计，现在每个端口各自适用"
        ),
        Trouble::Unusable { setting: of, value } => {
            let of = setting(*of);
            tr!(
                "`{value}` is no {of}: the default takes its place",
                "`{value}` 不是有效的{of}：改用默认值"
            )
        }
        Trouble::NoQuota => tr!(
            "its quota was 0: it has none now",
            "原配额为 0：现在不设配额"
        ),
        Trouble::AddressLimit {
            most,
            blocks: false,
        } => tr!(
            "the alert at more than {most} addresses at a time is not taken over: pm has none",
            "同时超过 {most} 个 IP 的告警未导入：pm 没有这项功能"
        ),
        Trouble::AddressLimit { most, blocks: true } => tr!(
            "the limit of {most} addresses at a time is not taken over: pm has none",
            "同时最多 {most} 个 IP 的限制未导入：pm 没有这项功能"
        ),
        Trouble::BlockedWithinQuota => tr!(
            "the tool blocks it, though its quota is not used up: it will be open",
            "配额未用完却被旧工具阻断：导入后会放行"
        ),
        Trouble::ResetDue(date) => tr!(
            "its reset of {date} is still to be made: the first tick makes it",
            "{date} 的重置还没做：第一次后台运行时补上"
        ),
        Trouble::ResetMissed(date) => tr!(
            "its reset of {date} was missed, and what was used counts on; `pm reset` makes it up",
            "错过了 {date} 的重置，流量继续累计；可用 `pm reset` 补做"
        ),
        Trouble::OtherTimeZone { zone, host } => tr!(
            "its days are those of {zone}, not of the host's zone, {host}: pm goes by {zone}, too, \
             unless it has services already",
            "旧工具按 {zone} 算日期，本机时区是 {host}：pm 也改按 {zone}，除非它已有别的服务"
        ),
        Trouble::HistoryLines { first, count: 1 } => tr!(
            "line {first} of the reset history says nothing that is understood: it is left out",
            "重置历史的第 {first} 行看不懂，未导入"
        ),
        Trouble::HistoryOfOthers(1) => tr!(
            "one line of the reset history is of a port that the tool does not have any more: it is \
             left out",
            "重置历史中有 1 行属于已删除的端口，未导入"
        ),
        Trouble::DaysUnreadable(1) => tr!(
            "one of its daily totals is none, and left out",
            "有 1 天的统计不可用，未导入"
        ),
        Trouble::HistoryLines { first, count } => tr!(
            "{count} lines of the reset history say nothing that is understood, the first of them \
             line {first}: they are left out",
            "重置历史中有 {count} 行看不懂（第一处在第 {first} 行），未导入"
        ),
        Trouble::HistoryOfOthers(count) => tr!(
            "{count} lines of the reset history are of ports that the tool does not have any more: \
             they are left out",
            "重置历史中有 {count} 行属于已删除的端口，未导入"
        ),
        Trouble::DaysUnreadable(count) => tr!(
            "{count} of its daily totals are none, and left out",
            "有 {count} 天的统计不可用，未导入"
        ),
        Trouble::DaysOfList => tr!(
            "its daily totals cannot be told apart by port, and are left out",
            "每日统计无法按端口拆分，未导入"
        ),
        Trouble::FileDamaged { file, reason } => tr!(
            "{file} is damaged, and what it says is not taken over: {reason}",
            "{file} 已损坏，其中内容未导入：{reason}"
        ),
        Trouble::ChannelUnusable { channel, field } => tr!(
            "channel {channel} is not taken over: its `{field}` is missing or cannot be used",
            "通知渠道 {channel} 未导入：`{field}` 缺失或不可用"
        ),
        Trouble::ChannelSetting { channel, field } => tr!(
            "channel {channel} is taken over without its `{field}`, which cannot be used",
            "通知渠道 {channel} 已导入，但 `{field}` 不可用，未采用"
        ),
        Trouble::EmailNeverWorked => tr!(
            "the tool was set to send mail, which it never could: nothing is taken over of that",
            "旧工具开启了邮件通知，但它从未实现过：未导入"
        ),
    }
}

/// Returns the releases that have an accounting, to choose from.
fn names(candidates: &[Accounting]) -> String {
    let names: Vec<_> = candidates.iter().map(|known| known.name()).collect();
    names.join(", ")
}

/// Those tools count by 1024.
fn size(bytes: u64) -> String {
    approximate(bytes, SizeFamily::Binary)
}

fn setting(setting: Setting) -> String {
    match setting {
        Setting::Quota => tr!("quota", "配额"),
        Setting::Mode => tr!("mode", "计费模式"),
        Setting::Reset => tr!("reset", "重置日"),
        Setting::Limit => tr!("limit", "限速"),
        Setting::DynQos => tr!("DynQoS rule", "DynQoS 规则"),
        Setting::Thresholds => tr!("threshold", "预警阈值"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;
    use time::macros::date;

    fn all() -> String {
        let ports = || "443".parse().unwrap();
        let text = || "text".to_owned();
        let troubles = [
            Trouble::AccountingUnknown(vec![Accounting::V1_2_5A, Accounting::V1_2_5B]),
            Trouble::Overused {
                billed: 6 << 30,
                quota: 5 << 30,
            },
            Trouble::NotPorts,
            Trouble::Overlaps(ports()),
            Trouble::NoSettings,
            Trouble::Disabled,
            Trouble::NoteCleaned(2),
            Trouble::NoteShortened(250),
            Trouble::GroupRenamed { from: text() },
            Trouble::MembersDiffer {
                first: ports(),
                settings: vec![Setting::Quota, Setting::Mode],
            },
            Trouble::ListBecameGroup,
            Trouble::UsageOfList,
            Trouble::LimitOfList,
            Trouble::Unusable {
                setting: Setting::DynQos,
                value: text(),
            },
            Trouble::NoQuota,
            Trouble::AddressLimit {
                most: 3,
                blocks: false,
            },
            Trouble::AddressLimit {
                most: 3,
                blocks: true,
            },
            Trouble::StateMissing,
            Trouble::NothingCounted,
            Trouble::StateLine {
                line: 3,
                text: text(),
            },
            Trouble::StateLacks("s_acc_in"),
            Trouble::NotBytes {
                field: "input",
                value: text(),
            },
            Trouble::CounterMissing(Direction::In),
            Trouble::CounterMissing(Direction::Out),
            Trouble::MixedCounts {
                counter: 6_001,
                by: 2,
            },
            Trouble::EnforcedDiffers {
                enforced: 8 << 30,
                billed: 6 << 30,
            },
            Trouble::RelayBilling,
            Trouble::UnknownBilling(text()),
            Trouble::BlockedWithinQuota,
            Trouble::ResetDue(date!(2026 - 12 - 02)),
            Trouble::ResetMissed(date!(2026 - 12 - 02)),
            Trouble::OtherTimeZone {
                zone: "Asia/Shanghai",
                host: "UTC".to_owned(),
            },
            Trouble::HistoryLines { first: 3, count: 1 },
            Trouble::HistoryLines { first: 3, count: 2 },
            Trouble::HistoryOfOthers(1),
            Trouble::DaysUnreadable(1),
            Trouble::HistoryOfOthers(2),
            Trouble::DaysUnreadable(2),
            Trouble::DaysOfList,
            Trouble::FileDamaged {
                file: "traffic_data.json".to_owned(),
                reason: text(),
            },
            Trouble::ChannelUnusable {
                channel: "telegram",
                field: "chat_id",
            },
            Trouble::ChannelSetting {
                channel: "wecom",
                field: "report",
            },
            Trouble::EmailNeverWorked,
        ];
        let texts: Vec<_> = troubles.iter().map(trouble).collect();
        texts.join("\n")
    }

    #[test]
    fn a_doubt_says_what_becomes_of_it() {
        insta::assert_snapshot!(all());
    }

    #[test]
    fn a_doubt_says_what_becomes_of_it_zh() {
        insta::assert_snapshot!(in_chinese(all));
    }
}
