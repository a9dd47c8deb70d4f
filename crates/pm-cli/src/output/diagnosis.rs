//! What a self-check found, in words: what, why it matters, what to do.

use std::fmt;

use pm_engine::doctor::{Finding, Severity, TableState};
use serde::Serialize;

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
    let (why, remedy) = trouble.map_or((None, None), |(why, remedy)| (Some(why), Some(remedy)));
    Diagnosis {
        check,
        status,
        what,
        why,
        remedy,
    }
}

type Trouble = Option<(String, String)>;

fn words(finding: &Finding) -> (&'static str, String, Trouble) {
    let trouble = |bad: bool, why: &str, remedy: &str| bad.then(|| (why.into(), remedy.into()));
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
                .unwrap_or_else(|| format!("{services} services")),
            trouble(
                problem.is_some(),
                "ticks go on with the last good configuration, and no change is accepted",
                "mend the file; its last 20 versions are beside it in versions/",
            ),
        ),
        Finding::Database { problem } => (
            "usage",
            problem.clone().unwrap_or_else(|| "sound".into()),
            trouble(
                problem.is_some(),
                "the kernel goes on counting and cutting, but nothing is saved",
                "free some space if the disk is full; else move state.db away or put a backup \
                 in its place",
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
                &format!(
                    "reserve them: sysctl -w net.ipv4.ip_local_reserved_ports={}",
                    join(overlaps)
                ),
            ),
        ),
        Finding::Ssh { covered } => (
            "ssh",
            match covered.first() {
                None => "no quota or block covers it".into(),
                Some((ports, port)) => {
                    format!("service {ports} covers port {port} and can be cut off")
                }
            },
            trouble(
                !covered.is_empty(),
                "when its quota is spent you are locked out",
                "remove its quota (`pm set PORT --quota none`) or its block",
            ),
        ),
        Finding::Clock { zone, wrong } => (
            "clock",
            if *wrong {
                "shows a time before this pm was built".into()
            } else {
                format!("plausible; dates are those of {zone}")
            },
            trouble(
                *wrong,
                "no period ends until the clock is right",
                "set the clock, or let NTP do it",
            ),
        ),
    }
}

fn table(state: TableState) -> (&'static str, String, Trouble) {
    let (what, trouble): (&str, Option<(&str, &str)>) = match state {
        TableState::Intact => ("as it must be", None),
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
    let trouble = trouble.map(|(why, remedy)| (why.to_owned(), remedy.to_owned()));
    ("rules", what.to_owned(), trouble)
}

fn join<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
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
