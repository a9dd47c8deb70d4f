//! What changed, what happened and what to mind, as sentences.

use pm_core::calendar::ResetPolicy;
use pm_core::config::Service;
use pm_core::event::Event;
use pm_core::port::PortRange;
use pm_core::report::{BlockedBy, Report};
use pm_core::request::{Difference, Warning, differences};
use pm_core::units::{SizeFamily, approximate};
use pm_engine::Executed;

use crate::output::table::mode;

/// Returns what a request changes, a line each.
pub(crate) fn changes(executed: &Executed) -> Vec<String> {
    let (before, after) = (&executed.before, &executed.after);
    let mut lines = Vec::new();
    for (ports, difference) in differences(before, after) {
        lines.push(match difference {
            Difference::Added(service) => format!("{ports}: monitored; {}", terms(&service)),
            Difference::Removed => removed(ports, find(&executed.reports_before, ports)),
            Difference::Changed { from, to } => format!("{ports}: {}", changed(&from, &to)),
        });
    }
    if before.time_zone != after.time_zone {
        let zone = after
            .time_zone
            .as_ref()
            .map_or("the system's", |zone| zone.as_str());
        lines.push(format!("time zone: {zone}"));
    }
    for now in &executed.reports_after {
        if let Some(was) = find(&executed.reports_before, now.ports) {
            lines.extend(usage_changes(was, now));
        } else if now.blocked_by == Some(BlockedBy::Quota) {
            lines.push(format!("{}: blocked, its quota is spent", now.ports));
        }
    }
    if lines.is_empty() {
        lines.push("Nothing to change: it is so already.".to_owned());
    }
    lines
}

/// Returns the report of one service; `reports` are in ascending order.
fn find(reports: &[Report], ports: PortRange) -> Option<&Report> {
    let index = reports
        .binary_search_by_key(&ports, |report| report.ports)
        .ok()?;
    reports.get(index)
}

fn terms(service: &Service) -> String {
    let mut terms = match service.quota {
        Some(quota) => format!("quota {} ({})", quota.size(), mode(service.mode)),
        None => "no quota".to_owned(),
    };
    terms.push_str("; ");
    terms.push_str(&reset(service.reset_policy()));
    if service.blocked {
        terms.push_str("; blocked");
    }
    terms
}

fn reset(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Never => "never resets".to_owned(),
        policy => format!("resets {}", when(policy)),
    }
}

/// Returns when a policy resets.
pub(crate) fn when(policy: ResetPolicy) -> String {
    match policy {
        ResetPolicy::Monthly(day) => format!("on day {day} of each month"),
        ResetPolicy::EveryDays { every, from } => {
            format!("every {}, counted from {from}", every.of("day"))
        }
        ResetPolicy::EveryMonths { every, day, from } => {
            let every = every.of("month");
            format!("every {every} on day {day}, counted from {from}")
        }
        ResetPolicy::Yearly(day) => {
            let common = match (u8::from(day.month()), day.day()) {
                (2, 29) => ", or 28 in common years",
                _ => "",
            };
            format!("each year on {} {}{common}", day.month(), day.day())
        }
        ResetPolicy::Once(date) => format!("once, on {date}"),
        ResetPolicy::Never => "never".to_owned(),
    }
}

fn removed(ports: PortRange, report: Option<&Report>) -> String {
    let Some(report) = report else {
        return format!("{ports}: no longer monitored");
    };
    format!(
        "{ports}: no longer monitored; used in this period: {} in, {} out",
        approximate(report.usage.incoming, SizeFamily::Decimal),
        approximate(report.usage.outgoing, SizeFamily::Decimal),
    )
}

fn changed(from: &Service, to: &Service) -> String {
    let mut parts = Vec::new();
    if from.quota != to.quota {
        let quota = to
            .quota
            .map_or("none".to_owned(), |quota| quota.size().to_string());
        parts.push(format!("quota {quota}"));
    }
    if from.mode != to.mode {
        parts.push(format!("counts {}", mode(to.mode)));
    }
    if from.reset_policy() != to.reset_policy() {
        parts.push(reset(to.reset_policy()));
    }
    if from.note != to.note {
        parts.push(
            if to.note.is_empty() {
                "no note"
            } else {
                "new note"
            }
            .to_owned(),
        );
    }
    match (from.blocked, to.blocked) {
        (false, true) => parts.push("blocked".to_owned()),
        (true, false) => parts.push("no longer blocked by you".to_owned()),
        _ => {}
    }
    if parts.is_empty() {
        parts.push("the same as before, now written into the configuration".to_owned());
    }
    parts.join("; ")
}

fn usage_changes(was: &Report, now: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let ports = now.ports;
    let family = now
        .quota
        .map_or(SizeFamily::Decimal, |quota| quota.size().unit().family());
    let (old, new) = (
        approximate(was.billed, family),
        approximate(now.billed, family),
    );
    if now.usage.incoming < was.usage.incoming || now.usage.outgoing < was.usage.outgoing {
        lines.push(format!("{ports}: used back to {new} (was {old})"));
    } else if now.adjust != was.adjust {
        lines.push(format!("{ports}: used set to {new} (was {old})"));
    }
    let spent = |report: &Report| report.blocked_by == Some(BlockedBy::Quota);
    match (spent(was), spent(now)) {
        (false, true) => lines.push(format!("{ports}: blocked, its quota is spent")),
        (true, false) if now.blocked_by.is_none() => lines.push(format!("{ports}: open again")),
        _ => {}
    }
    lines
}

/// Returns a warning, with what to do.
pub(crate) fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Ephemeral { ports, overlap } => format!(
            "warning: {ports} overlaps the ports that this host takes for its own connections, so \
             its own downloads would be billed to it\n\
             hint: {}",
            reserve(&[*overlap])
        ),
        Warning::StillSpent(ports) => format!(
            "warning: {ports} stays cut off, because its quota is spent\n\
             hint: {}",
            ways_out(*ports)
        ),
        Warning::NoResetToCome { ports, date } => format!(
            "warning: {ports} will never reset: {date} is not a date to come\n\
             hint: name one that is: `pm set {ports} --reset \"once YYYY-MM-DD\"`"
        ),
    }
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

fn join(ports: &[PortRange]) -> String {
    let ports: Vec<String> = ports.iter().map(PortRange::to_string).collect();
    ports.join(",")
}

/// Returns a number of services.
pub(crate) fn services(count: usize) -> String {
    match count {
        1 => "1 service".to_owned(),
        count => format!("{count} services"),
    }
}

/// Returns what opens a service whose quota is spent.
pub(crate) fn ways_out(ports: PortRange) -> String {
    format!(
        "raise the quota (`pm set {ports} --quota SIZE`), begin a new period \
         (`pm reset {ports}`), or correct what was used (`pm set {ports} --used SIZE`)"
    )
}

/// Whether an event says more than what a request asked for.
pub(crate) fn is_news(event: &Event) -> bool {
    match event {
        Event::Spent { .. } | Event::Renewed { .. } | Event::Closed { .. } => false,
        Event::PeriodEnded { .. }
        | Event::RulesLost { .. }
        | Event::CountersReplaced { .. }
        | Event::Restarted { .. } => true,
    }
}

/// Returns an event as a line of a log.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Spent { ports, billed } => {
            format!("{ports}: quota spent after {billed} bytes; blocked")
        }
        Event::Renewed { ports } => format!("{ports}: open again"),
        Event::PeriodEnded { ports, usage } => format!(
            "{ports}: period ended; it used {} bytes in, {} bytes out",
            usage.incoming, usage.outgoing
        ),
        Event::Closed { ports, usage } => format!(
            "{ports}: no longer monitored; its last period used {} bytes in, {} bytes out",
            usage.incoming, usage.outgoing
        ),
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

/// Returns a warning that a request has changed nothing in the kernel.
pub(crate) fn not_in_force() -> &'static str {
    "warning: this is saved, but pm is out of the kernel: nothing is counted or cut off\n\
     hint: put it back with `pm restore`"
}

/// Returns services for a sentence, the first few by name.
fn list(ports: &[PortRange]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = ports.iter().take(SHOWN).map(PortRange::to_string).collect();
    let shown = shown.join(", ");
    match ports.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use pm_core::calendar::Timestamp;
    use pm_core::config::Config;
    use pm_core::ledger::Usage;
    use pm_core::request::{Context, Request, Selection, Settings};

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
        let events = [
            Event::Spent {
                ports: ports("80"),
                billed: 4_999_999_800,
            },
            Event::Renewed { ports: ports("80") },
            Event::PeriodEnded {
                ports: ports("80"),
                usage,
            },
            Event::Closed {
                ports: ports("80"),
                usage,
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
        ];
        insta::assert_snapshot!(events.each_ref().map(event).join("\n"));
    }

    #[test]
    fn a_warning_says_what_to_do() {
        let warnings = [
            Warning::Ephemeral {
                ports: ports("30000-40000"),
                overlap: ports("32768-40000"),
            },
            Warning::StillSpent(ports("80")),
            Warning::NoResetToCome {
                ports: ports("80"),
                date: time::macros::date!(2020 - 02 - 29),
            },
        ];
        insta::assert_snapshot!(warnings.each_ref().map(warning).join("\n\n"));
    }

    /// Returns what is said about `request`, with services that stand as in the samples.
    fn said(request: &Request, before: &Config, after: impl FnOnce(&mut Vec<Report>)) -> String {
        let context = Context {
            today: Some(time::macros::date!(2026 - 11 - 22)),
            ..Context::default()
        };
        let next = request.apply(before, &context).unwrap();
        let shown = |config: &Config| {
            let mut reports = samples::reports();
            reports.retain(|report| config.services.contains_key(&report.ports));
            reports
        };
        let mut reports_after = shown(&next);
        after(&mut reports_after);
        let executed = Executed {
            reports_before: shown(before),
            reports_after,
            before: before.clone(),
            after: next,
            warnings: vec![],
            torn_down: false,
            leftover: Vec::new(),
            events: vec![],
        };
        format!("$ {request}\n{}\n", changes(&executed).join("\n"))
    }

    #[test]
    fn a_change_is_said_line_by_line() {
        let config = Config::parse(
            r#"{"schema": 1, "services": {
                "80": {"note": "unlimited"},
                "20000": {"quota": "100GB"},
                "30000-30100": {"quota": "5GB"},
                "65535": {"blocked": true}
            }}"#,
        )
        .unwrap();
        let request = |line: &str| {
            use clap::Parser;
            let command = crate::cli::Cli::parse_from(line.split(' ')).command;
            match command.unwrap() {
                crate::cli::Command::Change(change) => change.request().0,
                other => panic!("{other:?}"),
            }
        };
        let same = |line: &str| said(&request(line), &config, |_| {});
        let reset = |policy: &str| {
            let settings = Settings {
                reset: Some(policy.parse().unwrap()),
                ..Settings::default()
            };
            let ports = Selection::Ports("80".parse().unwrap());
            let used = None;
            said(
                &Request::Set {
                    ports,
                    settings,
                    used,
                },
                &config,
                |_| {},
            )
        };
        let then = |line: &str, after: &dyn Fn(&mut Report)| {
            said(&request(line), &config, |reports| {
                reports.iter_mut().for_each(after);
            })
        };
        let zone = Request::SetTimeZone(Some("Asia/Shanghai".parse().unwrap()));
        insta::assert_snapshot!(
            [
                same("pm add 9000,9001-9010"),
                same("pm add 9000 --quota 1.5GiB --mode out --reset 31"),
                same("pm add 9000 --quota 5GB --reset never"),
                same("pm set 80 --quota 5GB --mode out --reset 15 --note="),
                same("pm set 20000 --quota none"),
                same("pm set 20000 --reset 1"),
                reset("every 1 day"),
                reset("every 30 days"),
                reset("every 30 days from 2027-01-01"),
                reset("every 3 months on 31"),
                reset("every 1 month on 15 from 2020-02"),
                reset("yearly 06-18"),
                reset("yearly 02-29"),
                reset("once 2027-01-31"),
                reset("never"),
                same("pm set 20000 --note=x"),
                same("pm set 20000 --quota 100GB"),
                same("pm del 80,20000"),
                same("pm block 80"),
                same("pm unblock 65535"),
                then("pm reset 30000-30100", &|report| {
                    if report.ports == ports("30000-30100") {
                        report.usage = Usage::default();
                        (report.billed, report.adjust, report.blocked_by) = (0, 0, None);
                    }
                }),
                then("pm set 20000 --used 100GB", &|report| {
                    if report.ports == ports("20000") {
                        report.billed = 100_000_000_000;
                        report.adjust = 87_654_320_099;
                        report.blocked_by = Some(BlockedBy::Quota);
                    }
                }),
                said(&zone, &config, |_| {}),
            ]
            .join("\n")
        );
    }
}
