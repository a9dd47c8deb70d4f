//! What to mind, and what to do about it.

use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::port::PortRange;
use pm_core::request::Warning;

use super::{another_last_day, caution, set_group, ways_out};
use crate::language::{self, tr};
use crate::output::table::join;

/// Returns a warning, with what to do.
pub(crate) fn warning(warning: &Warning) -> String {
    let (what, hint) = match warning {
        Warning::Ephemeral { ports, overlap } => (
            tr!(
                "{ports} overlaps the ports that this host takes for its own connections, so its \
                 own downloads would be billed to it",
                "{ports} 与本机对外连接取用的端口重叠，本机自己的下载会算到它头上"
            ),
            reserve(&[*overlap]),
        ),
        Warning::StillSpent { ports, holder } => (
            match holder {
                Holder::Service(_) => tr!(
                    "{ports} stays cut off, because its quota is spent",
                    "{ports} 仍被切断：它的配额已用完"
                ),
                Holder::Group(name) => tr!(
                    "{ports} stays cut off, because the quota of group {name} is spent",
                    "{ports} 仍被切断：组 {name} 的配额已用完"
                ),
            },
            ways_out(holder),
        ),
        Warning::StillExpired(ports) => (
            tr!(
                "{ports} stays cut off, because its last day has passed",
                "{ports} 仍被切断：它的最后一天已过"
            ),
            another_last_day(*ports),
        ),
        Warning::NoResetToCome { ports, date } => (
            tr!(
                "{ports} will never reset: {date} is not a date to come",
                "{ports} 不会再重置：{date} 不是将来的日期"
            ),
            tr!(
                "name one that is: `pm set {ports} --reset \"once YYYY-MM-DD\"`",
                "改成将来的日期：`pm set {ports} --reset \"once YYYY-MM-DD\"`"
            ),
        ),
        Warning::NoGroupResetToCome { group, date } => {
            let set = set_group(group);
            (
                tr!(
                    "group {group} will never reset: {date} is not a date to come",
                    "组 {group} 不会再重置：{date} 不是将来的日期"
                ),
                tr!(
                    "name one that is: `{set} --reset \"once YYYY-MM-DD\"`",
                    "改成将来的日期：`{set} --reset \"once YYYY-MM-DD\"`"
                ),
            )
        }
        Warning::PastExpiry { ports, last_day } => (
            tr!(
                "{ports} is cut off at once: its last day, {last_day}, has passed",
                "{ports} 立即被切断：它的最后一天 {last_day} 已过"
            ),
            another_last_day(*ports),
        ),
        Warning::PunishesNothing(ports) => (
            tr!(
                "DynQoS may never slow down {ports}: the rate to which it would is no lower than \
                 the trigger, or than the limits of {ports}",
                "DynQoS 可能永远不会让 {ports} 降速：惩罚速率不低于触发速率，或不低于 {ports} 本来的限速"
            ),
            tr!(
                "name a lower one: `pm set {ports} --dynqos TRIGGER/MINUTES/PUNISH/MINUTES`",
                "改低一些：`pm set {ports} --dynqos 触发速率/分钟/惩罚速率/分钟`"
            ),
        ),
    };
    caution(&what, &hint)
}

/// Returns a warning that a request has changed nothing in the kernel.
pub(crate) fn not_in_force() -> &'static str {
    match language::current() {
        Language::English => {
            "warning: this is saved, but pm is out of the kernel: nothing is counted or cut off\n\
             hint: put it back with `pm restore`"
        }
        Language::Chinese => {
            "警告：改动已保存，但 pm 不在内核中：既不计数，也不切断\n\
             提示：运行 `pm restore` 重新装入"
        }
    }
}

/// Returns a warning that what is shown goes on without pm.
pub(crate) fn torn_down() -> String {
    caution(
        &tr!(
            "pm is out of the kernel: nothing is counted or cut off",
            "pm 不在内核中：既不计数，也不切断"
        ),
        &tr!(
            "put it back with `pm restore`",
            "运行 `pm restore` 重新装入"
        ),
    )
}

/// With more ports than this left out of the usual 28,232, the host could run short of ports for
/// connections of its own.
const MOST_RESERVED: u32 = 14_000;

/// Returns how to keep the host from taking `ports` for its own connections, beside those that it
/// leaves alone already.
pub(crate) fn reserve(ports: &[PortRange]) -> String {
    const KEY: &str = "net.ipv4.ip_local_reserved_ports";
    let text = join(ports);
    let count: u32 = ports
        .iter()
        .map(|range| u32::from(range.last() - range.first()) + 1)
        .sum();
    if count > MOST_RESERVED {
        return tr!(
            "choose fewer ports, or move those of the host: sysctl -w \
             net.ipv4.ip_local_port_range=\"LOWEST HIGHEST\" to a range outside of {text}",
            "少选一些端口，或把本机取用的端口移到 {text} 之外：sysctl -w \
             net.ipv4.ip_local_port_range=\"最小 最大\""
        );
    }
    tr!(
        "reserve them: sysctl -w {KEY}=\"{text},$(sysctl -n {KEY})\"; to keep it over a reboot: \
         sysctl {KEY} >/etc/sysctl.d/90-reserved-ports.conf",
        "把这些端口保留下来：sysctl -w {KEY}=\"{text},$(sysctl -n {KEY})\"；要重启后仍有效：\
         sysctl {KEY} >/etc/sysctl.d/90-reserved-ports.conf"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;
    use time::macros::date;

    fn all() -> String {
        let ports = |text: &str| -> PortRange { text.parse().unwrap() };
        let warnings = [
            Warning::Ephemeral {
                ports: ports("30000-40000"),
                overlap: ports("32768-40000"),
            },
            Warning::StillSpent {
                ports: ports("80"),
                holder: ports("80").into(),
            },
            Warning::StillSpent {
                ports: ports("81"),
                holder: "group vip one".parse().unwrap(),
            },
            Warning::StillExpired(ports("80")),
            Warning::NoResetToCome {
                ports: ports("80"),
                date: date!(2020 - 02 - 29),
            },
            Warning::NoGroupResetToCome {
                group: "vip one".parse().unwrap(),
                date: date!(2020 - 02 - 29),
            },
            Warning::PastExpiry {
                ports: ports("80"),
                last_day: date!(2020 - 02 - 29),
            },
            Warning::PunishesNothing(ports("80")),
        ];
        let texts = warnings.map(|about| warning(&about));
        texts.join("\n\n")
    }

    #[test]
    fn a_warning_says_what_to_do() {
        insta::assert_snapshot!(all());
    }

    #[test]
    fn a_warning_says_what_to_do_zh() {
        insta::assert_snapshot!(in_chinese(all));
    }
}
