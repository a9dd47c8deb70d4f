//! What a self-check found, in words: what, why it matters, what to do.

use std::collections::BTreeSet;
use std::fmt;

use pm_core::port::PortRange;
use pm_engine::doctor::{Finding, Severity, ShapingProblem, TableState};
use serde::Serialize;

use crate::output::words::{reserve, services as services_counted};

/// One check for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    check: &'static str,
    status: &'static str,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// Returns a finding in words.
pub(crate) fn of(finding: &Finding) -> Diagnosis {
    let status = match finding.severity() {
        Severity::Fine => "ok",
        Severity::Warning => "warning",
        Severity::Failure => "failure",
    };
    let (check, what, trouble) = words(finding);
    let (why, remedy) = trouble.map_or((None, None), |(why, remedy)| (Some(why), remedy));
    Diagnosis {
        check,
        status,
        what,
        why,
        remedy,
    }
}

/// Why it matters, and what to do where `what` does not say so already.
type Trouble = Option<(String, Option<String>)>;

fn words(finding: &Finding) -> (&'static str, String, Trouble) {
    let self_explaining = |bad: bool, why: &str| bad.then(|| (why.to_owned(), None));
    match finding {
        Finding::Kernel { release, supported } => (
            "kernel",
            format!("Linux {release}"),
            trouble(
                !supported,
                "pm needs Linux 5.10 or newer",
                "install a newer kernel",
            ),
        ),
        Finding::Access { problem } => (
            "nftables",
            problem.clone().unwrap_or_else(|| "reachable".into()),
            trouble(
                problem.is_some(),
                "without it pm can neither count nor cut off",
                "run pm as root; if you did, `modprobe nf_tables`, and in a container ask who \
                 runs the host for CAP_NET_ADMIN",
            ),
        ),
        Finding::Config { services, problem } => (
            "configuration",
            problem
                .clone()
                .unwrap_or_else(|| services_counted(*services)),
            self_explaining(
                problem.is_some(),
                "ticks go on with the last good configuration, and no change is accepted",
            ),
        ),
        Finding::Database { problem } => (
            "usage",
            problem.clone().unwrap_or_else(|| "sound".into()),
            self_explaining(
                problem.is_some(),
                "the kernel goes on counting and cutting, but nothing is saved",
            ),
        ),
        Finding::Table(state) => table(*state),
        Finding::Ticks { age, overdue } => (
            "ticks",
            age.map_or("never".into(), |age| format!("the last one {age} s ago")),
            trouble(
                *overdue,
                "one is due each minute: until then resets wait, and a crash of the host would \
                 cost what was counted since",
                "run `pm monitor` each minute, by a systemd timer or cron",
            ),
        ),
        Finding::Ephemeral { overlaps } => (
            "ephemeral ports",
            if overlaps.is_empty() {
                "no service overlaps them".into()
            } else {
                format!("services overlap them at {}", join(overlaps))
            },
            trouble(
                !overlaps.is_empty(),
                "the host takes these ports for its own connections, which are then billed to \
                 the service",
                &reserve(overlaps),
            ),
        ),
        Finding::Ssh { ports, covered } => ssh(ports, covered),
        Finding::Clock {
            wrong,
            zone,
            unzoned,
        } => clock(*wrong, zone, *unzoned),
        Finding::Shaping {
            uplinks,
            needed,
            problem,
        } => shaping(uplinks, *needed, problem.as_ref()),
        Finding::Forwarding {
            counted,
            flowtables,
            docker_proxy,
        } => forwarding(*counted, flowtables, *docker_proxy),
    }
}

fn trouble(bad: bool, why: &str, remedy: &str) -> Trouble {
    bad.then(|| (why.to_owned(), Some(remedy.to_owned())))
}

fn ssh(ports: &BTreeSet<u16>, covered: &[(PortRange, u16)]) -> (&'static str, String, Trouble) {
    let what = match covered.first() {
        None if ports.is_empty() => "no SSH server was found".into(),
        None => format!("no quota, last day or block covers port {}", join(ports)),
        Some((ports, port)) => format!("service {ports} covers port {port} and can be cut off"),
    };
    let remedy = covered.first().map_or(String::new(), |(ports, _)| {
        format!(
            "take away what can do so: `pm set {ports} --group none --quota none --expires never`, \
             or `pm unblock {ports}`"
        )
    });
    let why = "whoever administers this host is locked out then";
    ("ssh", what, trouble(!covered.is_empty(), why, &remedy))
}

fn clock(wrong: bool, zone: &str, unzoned: bool) -> (&'static str, String, Trouble) {
    if wrong {
        let what = "shows a time before this pm was built".into();
        let why = "no period ends until the clock is right";
        let remedy = "set the clock, or let NTP do it";
        return ("clock", what, trouble(true, why, remedy));
    }
    (
        "clock",
        format!("plausible; dates are those of {zone}"),
        trouble(
            unzoned,
            "neither the configuration nor the system names a time zone, so days and periods begin \
             at midnight UTC",
            "`pm config set time_zone Asia/Shanghai`, or wherever you are",
        ),
    )
}

fn shaping(
    uplinks: &[String],
    needed: bool,
    problem: Option<&ShapingProblem>,
) -> (&'static str, String, Trouble) {
    let Some(problem) = problem else {
        return ("limits", format!("possible on {}", join(uplinks)), None);
    };
    let why = if needed {
        "what services send is not limited now; everything else works"
    } else {
        "what services send could not be limited; everything else works"
    };
    let (what, remedy) = match problem {
        ShapingProblem::NoHtb => (
            "this kernel has no HTB".to_owned(),
            "`modprobe sch_htb`; on Alpine the module comes with the kernel `linux-lts`, not with \
             `linux-virt`; in a container ask who runs the host"
                .to_owned(),
        ),
        ShapingProblem::ForeignQdisc { interface, kind } => (
            format!("interface {interface} has a qdisc of somebody else's: {kind}"),
            format!(
                "pm does not touch it; once nobody needs it, `tc qdisc del dev {interface} root`"
            ),
        ),
        ShapingProblem::NoUplink => (
            "no interface has a default route".to_owned(),
            "limits take effect once one has, at the next tick".to_owned(),
        ),
        ShapingProblem::Other(problem) => (problem.clone(), "mend what it names".to_owned()),
    };
    ("limits", what, Some((why.to_owned(), Some(remedy))))
}

fn forwarding(
    counted: bool,
    flowtables: &[String],
    docker_proxy: bool,
) -> (&'static str, String, Trouble) {
    let mut what = if counted {
        "published ports of containers are counted".to_owned()
    } else {
        "nothing is forwarded to other addresses".to_owned()
    };
    if docker_proxy {
        what.push_str("; what docker-proxy relays is counted as the host's own");
    }
    let bypassed = counted && !flowtables.is_empty();
    let trouble = bypassed.then(|| {
        (
            format!(
                "packets that flowtable {} takes pass pm by: they are neither counted nor cut off",
                join(flowtables)
            ),
            Some("leave the published ports out of it, or remove it".to_owned()),
        )
    });
    ("forwarding", what, trouble)
}

fn table(state: TableState) -> (&'static str, String, Trouble) {
    let (what, trouble): (&str, Option<(&str, &str)>) = match state {
        TableState::Intact => ("as it must be", None),
        TableState::Unneeded => ("nothing is monitored yet", None),
        TableState::Missing => (
            "table inet port_monitor is missing",
            Some(("nothing is counted or cut off", "`pm restore` puts it back")),
        ),
        TableState::Different => (
            "table inet port_monitor differs from what it must be",
            Some((
                "another program changed it, or a change of the configuration is not in force",
                "the next tick puts it right; `pm monitor` does so now",
            )),
        ),
        TableState::TornDown => (
            "pm was taken out of the kernel by `pm teardown`",
            Some(("nothing is counted or cut off", "`pm restore` puts it back")),
        ),
        TableState::Foreign => (
            "table inet port_monitor belongs to pm.sh",
            Some((
                "two programs cannot share it",
                "uninstall pm.sh (its menu, entry 7), or delete the table once its figures are \
                 noted",
            )),
        ),
        TableState::Unknown => (
            "table inet port_monitor could not be read",
            Some(("see the checks above", "mend what they name first")),
        ),
    };
    let trouble = trouble.map(|(why, remedy)| (why.to_owned(), Some(remedy.to_owned())));
    ("rules", what.to_owned(), trouble)
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8} {}: {}", self.status, self.check, self.what)?;
        if let Some(why) = &self.why {
            writeln!(f, "         why: {why}")?;
        }
        if let Some(remedy) = &self.remedy {
            writeln!(f, "         do:  {remedy}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
