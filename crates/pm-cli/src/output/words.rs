//! What changed, what happened and what to mind, as sentences.

use pm_core::calendar::{ResetPolicy, Timestamp};
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

fn find(reports: &[Report], ports: PortRange) -> Option<&Report> {
    reports.iter().find(|report| report.ports == ports)
}

fn terms(service: &Service) -> String {
    let mut terms = match service.quota {
        Some(quota) => format!("quota {} of {}", quota.size(), mode(service.mode)),
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
        ResetPolicy::Monthly(day) => format!("resets on day {} of each month", day.get()),
        ResetPolicy::Never => "never resets".to_owned(),
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
        parts.push("written out what was the default".to_owned());
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
             hint: reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={overlap}"
        ),
        Warning::StillSpent(ports) => format!(
            "warning: {ports} stays cut off, because its quota is spent\n\
             hint: {}",
            ways_out(*ports)
        ),
    }
}

/// Returns what opens a service whose quota is spent.
pub(crate) fn ways_out(ports: PortRange) -> String {
    format!(
        "raise the quota (`pm set {ports} --quota SIZE`), begin a new period \
         (`pm reset {ports}`), or correct what was used (`pm set {ports} --used SIZE`)"
    )
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
            "rules for {} were removed by another program and are back; what passed meanwhile, at \
             most since {}, was not counted",
            list(ports),
            time(*since)
        ),
        Event::CountersReplaced { ports, since } => format!(
            "counters of {} were loaded by another program; counting goes on from there, what \
             passed since {} may be missing",
            list(ports),
            time(*since)
        ),
        Event::Restarted { since } => format!(
            "the host was started anew; what passed after the last tick before, at {}, was not \
             counted",
            time(*since)
        ),
    }
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or("the first tick".to_owned(), |time| time.to_string())
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
