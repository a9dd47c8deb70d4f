//! JSON for other programs. Fields are never removed or renamed within a version.

use pm_core::report::{BlockedBy, Report};
use serde::Serialize;

use crate::output::diagnosis::Diagnosis;

/// The version of all formats here.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Services<'a> {
    version: u32,
    services: Vec<Service<'a>>,
}

/// Fields that are always null, 1.0 or the like are there for what this version does not do yet.
#[derive(Serialize)]
struct Service<'a> {
    port: String,
    note: &'a str,
    group: Option<String>,
    mode: String,
    factor: f64,
    in_bytes: u64,
    out_bytes: u64,
    adjust_bytes: i64,
    billed_bytes: u64,
    quota_bytes: Option<u64>,
    state: &'static str,
    blocked_by: Option<&'static str>,
    limit_out_bps: Option<u64>,
    limit_in_bps: Option<u64>,
    ceil_bps: Option<u64>,
    expires: Option<String>,
    next_reset: Option<String>,
}

/// Returns the document of `pm list --json`.
pub(crate) fn services(reports: &[Report]) -> serde_json::Result<String> {
    let services = reports.iter().map(service).collect();
    serde_json::to_string(&Services {
        version: VERSION,
        services,
    })
}

fn service(report: &Report) -> Service<'_> {
    Service {
        port: report.ports.to_string(),
        note: report.note.as_str(),
        group: None,
        mode: report.mode.to_string(),
        factor: 1.0,
        in_bytes: report.usage.incoming,
        out_bytes: report.usage.outgoing,
        adjust_bytes: report.adjust,
        billed_bytes: report.billed,
        quota_bytes: report.quota.map(|quota| quota.bytes()),
        state: if report.blocked_by.is_some() {
            "blocked"
        } else {
            "ok"
        },
        blocked_by: report.blocked_by.map(|by| match by {
            BlockedBy::Operator => "operator",
            BlockedBy::Quota => "quota",
        }),
        limit_out_bps: None,
        limit_in_bps: None,
        ceil_bps: None,
        expires: None,
        next_reset: report.next_reset.map(|date| date.to_string()),
    }
}

#[derive(Serialize)]
struct Checks<'a> {
    version: u32,
    checks: &'a [Diagnosis],
}

/// Returns the document of `pm doctor --json`.
pub(crate) fn checks(diagnoses: &[Diagnosis]) -> serde_json::Result<String> {
    serde_json::to_string(&Checks {
        version: VERSION,
        checks: diagnoses,
    })
}

#[derive(Serialize)]
struct CheckedConfig {
    version: u32,
    valid: bool,
    services: usize,
}

/// Returns the document of `pm config check --json` for a good configuration.
pub(crate) fn checked_config(services: usize) -> serde_json::Result<String> {
    serde_json::to_string(&CheckedConfig {
        version: VERSION,
        valid: true,
        services,
    })
}

/// Returns a text as a JSON string.
pub(crate) fn text(value: &str) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    /// The schema that other programs are promised, to the letter.
    #[test]
    fn a_service_has_every_field_in_order() {
        let report = samples::report("30000-30100");
        assert_eq!(
            services(&[report]).unwrap(),
            concat!(
                r#"{"version":1,"services":[{"port":"30000-30100","note":"","group":null,"#,
                r#""mode":"both","factor":1.0,"in_bytes":0,"out_bytes":0,"adjust_bytes":0,"#,
                r#""billed_bytes":0,"quota_bytes":null,"state":"ok","blocked_by":null,"#,
                r#""limit_out_bps":null,"limit_in_bps":null,"ceil_bps":null,"expires":null,"#,
                r#""next_reset":null}]}"#
            )
        );
        assert_eq!(services(&[]).unwrap(), r#"{"version":1,"services":[]}"#);
    }

    #[test]
    fn values_are_bytes_dates_and_words() {
        insta::assert_snapshot!(services(&samples::reports()).unwrap().replace("},", "},\n"));
    }

    #[test]
    fn a_text_is_a_json_string() {
        assert_eq!(text("a\"b\n").unwrap(), r#""a\"b\n""#);
        assert_eq!(
            checked_config(3).unwrap(),
            r#"{"version":1,"valid":true,"services":3}"#
        );
    }
}
