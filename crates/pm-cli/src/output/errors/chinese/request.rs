//! Why a request is not carried out.

use pm_core::holder::Holder;
use pm_core::request::Refusal;

use super::{kernel, notify};
use crate::output::table::join;

pub(super) fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Overlap { wanted, existing } if wanted == existing => {
            format!("{wanted} 已在监控中")
        }
        Refusal::Overlap { wanted, existing } => {
            format!("{wanted} 里有端口已在监控中，属于服务 {existing}")
        }
        Refusal::Unknown(ports) => format!("{ports} 没有被监控"),
        Refusal::Partial { wanted, existing } => {
            format!("{wanted} 不是单独的服务：服务是 {existing}")
        }
        Refusal::Ssh { ports, ssh_port } => format!(
            "服务 {ports} 包含端口 {ssh_port}，这台主机正是经它用 SSH 管理的：可能把你锁在外面"
        ),
        Refusal::Spent { ports, holder } => match holder {
            Holder::Service(_) => format!("{ports} 是因为配额用完才被阻断的"),
            Holder::Group(name) => format!("{ports} 是因为组 {name} 的配额用完才被阻断的"),
        },
        Refusal::Expired(ports) => format!("{ports} 是因为最后一天已过才被阻断的"),
        Refusal::NoToday(choice) => {
            format!("`{choice}` 从今天算起，而这台主机的时钟明显不对")
        }
        Refusal::Nothing => "没有写要改什么".to_owned(),
        Refusal::UsedOfSeveral => "一次只能更正一个服务的已用流量".to_owned(),
        Refusal::UsedWithGroup => "入组或离组的服务，已用流量都从零开始".to_owned(),
        Refusal::NoServices => "还没有监控任何端口".to_owned(),
        Refusal::NoSuchGroup(name) => format!("没有组 {name}"),
        Refusal::HasPast(Holder::Service(ports)) => {
            format!("{ports} 已在监控中，有它自己的用量记录")
        }
        Refusal::HasPast(Holder::Group(name)) => format!("组 {name} 已经有了，有它自己的用量记录"),
        Refusal::GroupExists(name) => format!("组 {name} 已经有了"),
        Refusal::HasMembers { group, members } => {
            format!("组 {group} 里还有服务：{}", join(members))
        }
        Refusal::Member { ports, group } => {
            format!("服务 {ports} 在组 {group} 里，配额、模式、倍率和周期都由组决定")
        }
        Refusal::NoShaping(why) => {
            format!("这台主机无法限制端口的出站速度：{}", kernel::shaping(why))
        }
        Refusal::NoClassifier { classifier, reason } => format!(
            "这台主机上数据包无法按 {classifier} 找到自己的限速：{}",
            kernel::shaping(reason)
        ),
        Refusal::Notify(refusal) => notify::refusal(refusal),
    }
}
