//! What happened, as lines of a log.

use pm_core::dynqos::DynQos;
use pm_core::event::Event;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::units::approximate;

use super::{caution, list, minutes};
use crate::language::tr;
use crate::output::words;

/// Whether an event says more than what a request asked for.
pub(crate) fn is_news(event: &Event) -> bool {
    match event {
        Event::Spent { .. }
        | Event::Renewed { .. }
        | Event::Closed { .. }
        | Event::Expired { .. } => false,
        Event::Reached { .. }
        | Event::Expiring { .. }
        | Event::PeriodEnded { .. }
        | Event::Punished { .. }
        | Event::Restored { .. }
        | Event::RulesLost { .. }
        | Event::LimitsLost { .. }
        | Event::CountersReplaced { .. }
        | Event::Restarted { .. } => true,
    }
}

/// Returns an event as a line of a log.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Spent { holder, billed } => {
            let name = words::holder(holder);
            match holder {
                Holder::Service(_) => tr!(
                    "{name}: quota spent after {billed} bytes; blocked",
                    "{name}：用了 {billed} 字节，配额已用完；已阻断"
                ),
                Holder::Group(_) => tr!(
                    "{name}: quota spent after {billed} bytes; its services are blocked",
                    "{name}：用了 {billed} 字节，配额已用完；组内服务已阻断"
                ),
            }
        }
        Event::Reached {
            holder,
            percent,
            billed,
            quota,
        } => {
            let (name, size) = (words::holder(holder), quota.size());
            let billed = approximate(*billed, size.unit().family());
            tr!(
                "{name}: {percent}% of its quota is used: {billed} of {size}",
                "{name}：配额已用 {percent}%：{billed} / {size}"
            )
        }
        Event::Renewed { holder } => {
            let name = words::holder(holder);
            tr!("{name}: open again", "{name}：恢复放行")
        }
        Event::PeriodEnded { holder, usage } => {
            let (name, usage) = (words::holder(holder), bytes(*usage));
            tr!(
                "{name}: period ended; it used {usage}",
                "{name}：周期结束：{usage}"
            )
        }
        Event::Closed { holder, usage } => {
            let (name, usage) = (words::holder(holder), bytes(*usage));
            match holder {
                Holder::Service(_) => tr!(
                    "{name}: no longer monitored; its last period used {usage}",
                    "{name}：不再监控；最后一个周期：{usage}"
                ),
                Holder::Group(_) => tr!(
                    "{name}: removed; its last period used {usage}",
                    "{name}：已删除；最后一个周期：{usage}"
                ),
            }
        }
        Event::Punished { ports, rule } => {
            let DynQos {
                trigger, punish, ..
            } = rule;
            let trigger_minutes = minutes(rule.trigger_minutes.get().into());
            let punish_minutes = minutes(rule.punish_minutes.get().into());
            tr!(
                "{ports}: above {trigger} for {trigger_minutes}; slowed down to {punish} for \
                 {punish_minutes}",
                "{ports}：已连续 {trigger_minutes}超过 {trigger}；限速到 {punish}，持续 \
                 {punish_minutes}"
            )
        }
        Event::Restored { ports } => tr!(
            "{ports}: no longer slowed down",
            "{ports}：惩罚结束，不再降速"
        ),
        Event::LimitsLost { interface, since } => {
            let (en, zh) = match since {
                Some(time) => (
                    format!(", at most since {time},"),
                    format!("（最早从 {time} 起）"),
                ),
                None => (String::new(), String::new()),
            };
            tr!(
                "limits on {interface} were gone or changed and are back: another program changed \
                 traffic control there, or the interface was made anew; what services sent in \
                 between{en} may have been faster",
                "{interface} 上的限速曾丢失或被改动，现已恢复：别的程序改了那里的流量控制，或者接口重新建过；\
                 其间服务的出站速率{zh}可能超过限速"
            )
        }
        Event::Expiring {
            ports, last_day, ..
        } => tr!(
            "{ports}: its last day is {last_day}; it is blocked after that",
            "{ports}：最后一天是 {last_day}，过后将阻断"
        ),
        Event::Expired { ports, last_day } => tr!(
            "{ports}: its last day was {last_day}; blocked",
            "{ports}：最后一天是 {last_day}，已到期；已阻断"
        ),
        Event::RulesLost { ports, since } => {
            let ports = list(ports);
            let since = since.map_or(String::new(), |time| {
                tr!(", at most since {time},", "（最早从 {time} 起）")
            });
            tr!(
                "rules for {ports} were removed or changed by another program and are back; what \
                 passed in between{since} was not counted",
                "规则被别的程序删除或改动，现已恢复：{ports}；这期间{since}经过的流量没有计入"
            )
        }
        Event::CountersReplaced { ports, since } => {
            let ports = list(ports);
            let since = since.map_or(String::new(), |time| {
                tr!(", since {time},", "（从 {time} 起）")
            });
            tr!(
                "counters of {ports} are not those that pm last saw: another program loaded them, \
                 or state.db was replaced; counting goes on from there, and some of what passed \
                 before{since} may be missing",
                "计数器不是 pm 上次见到的那些（{ports}）：别的程序载入过它们，或者 state.db 被换过；\
                 接着现在的数值往下计，此前{since}的流量可能缺一部分"
            )
        }
        Event::Restarted { since } => {
            let since = match since {
                Some(time) => tr!(", at {time},", "（{time}）"),
                None => tr!("", " "),
            };
            tr!(
                "the host was started anew; what passed between the last tick{since} and its \
                 shutdown was not counted",
                "主机重启过；从上次 tick{since}到关机之间的流量没有计入"
            )
        }
    }
}

fn bytes(usage: Usage) -> String {
    let Usage { incoming, outgoing } = usage;
    tr!(
        "{incoming} bytes in, {outgoing} bytes out",
        "入站 {incoming} 字节、出站 {outgoing} 字节"
    )
}

/// Returns a warning that rules are missing, as of now.
pub(crate) fn lost(ports: &[PortRange]) -> String {
    let ports = list(ports);
    caution(
        &tr!(
            "another program removed or changed pm's rules for {ports}: what passes there may be \
             neither counted nor cut off",
            "别的程序删除或改动了 pm 的规则（{ports}）：经过那里的流量可能既不计数，也不会被切断"
        ),
        &tr!(
            "the next tick puts them back; `pm monitor` does so now",
            "下一次 tick 会恢复；运行 `pm monitor` 则立即恢复"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;
    use pm_core::calendar::Timestamp;

    fn ports(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    fn log() -> String {
        let (since, usage) = (
            Some(Timestamp::from_unix(1_800_000_000)),
            Usage {
                incoming: 12_345_678_901,
                outgoing: 42,
            },
        );
        let many = ["80", "81", "82", "83", "84", "85", "86-90"].map(ports);
        let mut events = Vec::new();
        for holder in ["80", "group 租户 甲"] {
            let holder: Holder = holder.parse().unwrap();
            events.extend([
                Event::Spent {
                    holder: holder.clone(),
                    billed: 4_999_999_800,
                },
                Event::Renewed {
                    holder: holder.clone(),
                },
                Event::PeriodEnded {
                    holder: holder.clone(),
                    usage,
                },
                Event::Closed { holder, usage },
            ]);
        }
        for rule in ["100M/5/5M/60", "1.5G/1/800K/1"] {
            events.push(Event::Punished {
                ports: ports("80"),
                rule: rule.parse().unwrap(),
            });
        }
        events.extend([
            Event::Restored { ports: ports("80") },
            Event::Expired {
                ports: ports("80"),
                last_day: time::macros::date!(2027 - 01 - 31),
            },
            Event::RulesLost {
                ports: vec![ports("80")],
                since,
            },
            Event::RulesLost {
                ports: many.to_vec(),
                since: None,
            },
            Event::LimitsLost {
                interface: "eth0".to_owned(),
                since,
            },
            Event::CountersReplaced {
                ports: many[..5].to_vec(),
                since,
            },
            Event::Restarted { since },
            Event::Restarted { since: None },
        ]);
        let lines: Vec<_> = events.iter().map(event).collect();
        lines.join("\n")
    }

    #[test]
    fn an_event_is_a_line_of_a_log() {
        insta::assert_snapshot!(log());
    }

    #[test]
    fn an_event_is_a_line_of_a_log_zh() {
        insta::assert_snapshot!(in_chinese(log));
    }
}
