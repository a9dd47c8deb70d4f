//! What to do about a request that was refused.

use pm_core::calendar::ResetChoice;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::{NotifyRefusal, Refusal, Request};

use crate::language::tr;
use crate::output::table::join;
use crate::output::words::{add_group, another_last_day, reset_group, set_group, ways_out};

/// Returns what to do about a refused request.
pub(super) fn of(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Overlap { wanted, existing } if wanted == existing => tr!(
            "change it with `pm set {existing}`, or say `--or-set`",
            "用 `pm set {existing}` 修改，或加上 `--or-set`"
        ),
        Refusal::Overlap { existing, .. } => tr!(
            "delete that one first (`pm del {existing}`), or choose other ports",
            "先删除那个服务（`pm del {existing}`），或换别的端口"
        ),
        Refusal::Unknown(ports) => tr!(
            "see `pm list`; monitor it with `pm add {ports}`",
            "看 `pm list`；要监控它，运行 `pm add {ports}`"
        ),
        Refusal::Partial { existing, .. } => tr!(
            "name the whole service: {existing}",
            "写出整个服务：{existing}"
        ),
        Refusal::Ssh { .. } => tr!(
            "if that is what you want, say it again with `--force`",
            "确实要这样，就加上 `--force` 再来一次"
        ),
        Refusal::Spent { holder, .. } => ways_out(holder),
        Refusal::Expired(ports) => another_last_day(*ports),
        Refusal::NoToday(choice) => {
            let from = match choice {
                ResetChoice::EveryMonths(..) => "YYYY-MM",
                ResetChoice::EveryDays(_) | ResetChoice::Policy(_) => "YYYY-MM-DD",
            };
            tr!(
                "set the clock, or say from when: `{choice} from {from}`",
                "校准时钟，或写明从何时起：`{choice} from {from}`"
            )
        }
        Refusal::Nothing => tr!(
            "the command with `--help` says what can be set, such as `pm set --help`",
            "能改什么，在命令后加 `--help` 查看，例如 `pm set --help`"
        ),
        Refusal::UsedOfSeveral => tr!("name one service", "只写一个服务"),
        Refusal::UsedWithGroup => tr!(
            "say it in two commands, first the one with `--group`",
            "分两条命令来做，先做带 `--group` 的那条"
        ),
        Refusal::NoServices => tr!("begin with `pm add PORT`", "先运行 `pm add 端口`"),
        Refusal::NoSuchGroup(name) => {
            let add = add_group(name);
            tr!(
                "make it with `{add}`, or see `pm group list`",
                "用 `{add}` 建立，或看看 `pm group list`"
            )
        }
        Refusal::GroupExists(name) => {
            let set = set_group(name);
            tr!(
                "change it with `{set}`, or say `--or-set`",
                "用 `{set}` 修改，或加上 `--or-set`"
            )
        }
        Refusal::HasPast(Holder::Service(ports)) => tr!(
            "leave it out, or delete it first (`pm del {ports}`): what was used stays in `pm history`",
            "略过它，或先删除它（`pm del {ports}`）：用过的流量仍在 `pm history` 里"
        ),
        Refusal::HasPast(Holder::Group(name)) => {
            let delete = Request::DeleteGroup { name: name.clone() };
            tr!(
                "leave it out, or delete it first (`{delete}`): what was used stays in `pm history`",
                "略过它，或先删除它（`{delete}`）：用过的流量仍在 `pm history` 里"
            )
        }
        Refusal::HasMembers { members, .. } => {
            let ports = short(members);
            tr!(
                "take them out of it first (`pm set {ports} --group none`), or delete them \
                 (`pm del {ports}`)",
                "先把它们移出去（`pm set {ports} --group none`），或删除它们（`pm del {ports}`）"
            )
        }
        Refusal::Member { ports, group } => {
            let (set, reset) = (set_group(group), reset_group(group));
            tr!(
                "change the group (`{set} …`, `{reset}`), or take the service out of it first \
                 (`pm set {ports} --group none`)",
                "改组的设置（`{set} …`、`{reset}`），或先把服务移出组\
                 （`pm set {ports} --group none`）"
            )
        }
        Refusal::NoShaping(_) => tr!(
            "counting, quotas and `--limit-in` work without it; `pm doctor` says what to do about \
             it",
            "计数、配额和 `--limit-in` 不受影响；怎么解决，运行 `pm doctor`"
        ),
        Refusal::NoClassifier { .. } => tr!(
            "the kernel's modules for it are sch_htb and cls_fw; `pm config set classifier \
             priority` does without the second",
            "它需要内核模块 sch_htb 和 cls_fw；`pm config set classifier priority` 不需要后者"
        ),
        Refusal::Notify(refusal) => notify_refusal(refusal),
    }
}

fn notify_refusal(refusal: &NotifyRefusal) -> String {
    match refusal {
        NotifyRefusal::ChannelExists(name) => tr!(
            "change it with `pm notify set {name}`",
            "用 `pm notify set {name}` 修改"
        ),
        NotifyRefusal::NoSuchChannel(_) => tr!(
            "see `pm notify list`, or make one with `pm notify add`",
            "看看 `pm notify list`，或用 `pm notify add` 添加"
        ),
        NotifyRefusal::NotOfKind { name, .. } => tr!(
            "leave it out, or delete the channel (`pm notify del {name}`) and add one of the other \
             kind",
            "去掉它，或删除这个渠道（`pm notify del {name}`）再添加另一种"
        ),
        NotifyRefusal::Setting(_) => tr!(
            "see `pm notify add --help` for what goes together",
            "哪些设置能搭配，见 `pm notify add --help`"
        ),
        NotifyRefusal::Nothing { command } => tr!(
            "`pm {command} --help` says what can be set",
            "能改什么，见 `pm {command} --help`"
        ),
        NotifyRefusal::PushLacks(_) | NotifyRefusal::NoPush => tr!(
            "set it up with `pm push set --url URL --node NAME --secret-file FILE`",
            "用 `pm push set --url 地址 --node 名称 --secret-file 文件` 设置"
        ),
    }
}

/// Returns services as they are typed, or what stands for them where they are many.
fn short(ports: &[PortRange]) -> String {
    const MOST: usize = 8;
    if ports.len() > MOST {
        tr!("PORTS", "端口")
    } else {
        join(ports)
    }
}
