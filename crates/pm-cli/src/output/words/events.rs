//! What happened, as lines of a log.

use pm_core::event::Event;
use pm_core::holder::Holder;
use pm_core::port::PortRange;

use super::{list, minutes};

/// Whether an event says more than what a request asked for.
pub(crate) fn is_news(event: &Event) -> bool {
    match event {
        Event::Spent { .. }
        | Event::Renewed { .. }
        | Event::Closed { .. }
        | Event::Expired { .. } => false,
        Event::PeriodEnded { .. }
        | Event::Punished { .. }
        | Event::Restored { .. }
        | Event::RulesLost { .. }
        | Event::CountersReplaced { .. }
        | Event::Restarted { .. } => true,
    }
}

/// Returns an event as a line of a log.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Spent { holder, billed } => format!(
            "{holder}: quota spent after {billed} bytes; {}",
            match holder {
                Holder::Service(_) => "blocked",
                Holder::Group(_) => "its services are blocked",
            }
        ),
        Event::Renewed { holder } => format!("{holder}: open again"),
        Event::PeriodEnded { holder, usage } => format!(
            "{holder}: period ended; it used {} bytes in, {} bytes out",
            usage.incoming, usage.outgoing
        ),
        Event::Closed { holder, usage } => format!(
            "{holder}: {}; its last period used {} bytes in, {} bytes out",
            match holder {
                Holder::Service(_) => "no longer monitored",
                Holder::Group(_) => "removed",
            },
            usage.incoming,
            usage.outgoing
        ),
        Event::Punished { ports, rule } => format!(
            "{ports}: above {} for {}; slowed down to {} for {}",
            rule.trigger,
            minutes(rule.trigger_minutes.get().into()),
            rule.punish,
            minutes(rule.punish_minutes.get().into())
        ),
        Event::Restored { ports } => format!("{ports}: no longer slowed down"),
        Event::Expired { ports, last_day } => {
            format!("{ports}: its last day was {last_day}; blocked")
        }
        Event::RulesLost { ports, since } => format!(
            "rules for {} were removed or changed by another program and are back; what passed in between{} \
             was not counted",
            list(ports),
            since.map_or(String::new(), |time| format!(", at most since {time},"))
        ),
        Event::CountersReplaced { ports, since } => format!(
            "counters of {} are not those that pm last saw: another program loaded them, or \
             state.db was replaced; counting goes on from there, and some of what passed before{} \
             may be missing",
            list(ports),
            since.map_or(String::new(), |time| format!(", since {time},"))
        ),
        Event::Restarted { since } => format!(
            "the host was started anew; what passed between the last tick{} and its shutdown was \
             not counted",
            since.map_or(String::new(), |time| format!(", at {time},"))
        ),
    }
}

/// Returns a warning that rules are missing, as of now.
pub(crate) fn lost(ports: &[PortRange]) -> String {
    format!(
        "warning: another program removed or changed pm's rules for {}: what passes there may be \
         neither counted nor cut off\n\
         hint: the next tick puts them back; `pm monitor` does so now",
        list(ports)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::calendar::Timestamp;
    use pm_core::ledger::Usage;

    fn ports(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    #[test]
    fn an_event_is_a_line_of_a_log() {
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
            Event::CountersReplaced {
                ports: many[..5].to_vec(),
                since,
            },
            Event::Restarted { since },
            Event::Restarted { since: None },
        ]);
        let lines: Vec<_> = events.iter().map(event).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
