//! What to mind, and what to do about it.

use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::Warning;

use super::{another_last_day, set_group, ways_out};
use crate::output::table::join;

/// Returns a warning, with what to do.
pub(crate) fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Ephemeral { ports, overlap } => format!(
            "warning: {ports} overlaps the ports that this host takes for its own connections, so \
             its own downloads would be billed to it\n\
             hint: {}",
            reserve(&[*overlap])
        ),
        Warning::StillSpent { ports, holder } => format!(
            "warning: {ports} stays cut off, because {} is spent\n\
             hint: {}",
            match holder {
                Holder::Service(_) => "its quota".to_owned(),
                Holder::Group(name) => format!("the quota of group {name}"),
            },
            ways_out(holder)
        ),
        Warning::StillExpired(ports) => format!(
            "warning: {ports} stays cut off, because its last day has passed\n\
             hint: {}",
            another_last_day(*ports)
        ),
        Warning::NoResetToCome { ports, date } => format!(
            "warning: {ports} will never reset: {date} is not a date to come\n\
             hint: name one that is: `pm set {ports} --reset \"once YYYY-MM-DD\"`"
        ),
        Warning::NoGroupResetToCome { group, date } => format!(
            "warning: group {group} will never reset: {date} is not a date to come\n\
             hint: name one that is: `{} --reset \"once YYYY-MM-DD\"`",
            set_group(group)
        ),
        Warning::PastExpiry { ports, last_day } => format!(
            "warning: {ports} is cut off at once: its last day, {last_day}, has passed\n\
             hint: {}",
            another_last_day(*ports)
        ),
        Warning::PunishesNothing(ports) => format!(
            "warning: {ports} is never slowed down: the rate to which DynQoS would slow it is no \
             lower than its limits\n\
             hint: name a lower one: `pm set {ports} --dynqos TRIGGER/MINUTES/PUNISH/MINUTES`"
        ),
    }
}

/// Returns a warning that a request has changed nothing in the kernel.
pub(crate) fn not_in_force() -> &'static str {
    "warning: this is saved, but pm is out of the kernel: nothing is counted or cut off\n\
     hint: put it back with `pm restore`"
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
        return format!(
            "choose fewer ports, or move those of the host: sysctl -w \
             net.ipv4.ip_local_port_range=\"LOWEST HIGHEST\" to a range outside of {text}"
        );
    }
    format!(
        "reserve them: sysctl -w {KEY}=\"{text},$(sysctl -n {KEY})\"; to keep it over a reboot, \
         write the same to /etc/sysctl.d/"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn a_warning_says_what_to_do() {
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
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
