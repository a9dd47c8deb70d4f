//! The state of all services, signed, for a receiver: each minute, the newest counts.
//!
//! What leaves the host is put together here field by field: no token, no address, and a note only
//! where it was asked for. Existing receivers understand it: fields of pm's own stand beside theirs.

use std::collections::BTreeMap;

use pm_core::calendar::ResetPolicy;
use pm_core::config::{GroupName, Limit, Mode, Push, QuotaSize, Tariff};
use pm_core::report::{BlockedBy, GroupReport, Report};
use serde::{Serialize, Serializer};

use crate::hmac::{hex, sha256};
use crate::http::{Answer, Call};
use crate::outcome::{Failure, Outcome, Why};

/// How far a receiver lets the clocks be apart, in seconds.
const CLOCK_TOLERANCE: i64 = 120;

const GIB: f64 = (1u64 << 30) as f64;

#[derive(Serialize)]
struct Body<'a> {
    node_id: &'a str,
    interface: &'a str,
    ports: BTreeMap<String, Port<'a>>,
    pm: Program,
}

/// Says who pushes.
#[derive(Serialize)]
struct Program {
    version: &'static str,
}

#[derive(Serialize)]
struct Port<'a> {
    #[serde(serialize_with = "plain")]
    quota_gb: f64,
    quota_mode: &'static str,
    #[serde(serialize_with = "plain")]
    limit_mbps: f64,
    reset_day: u8,
    comment: &'a str,
    group_id: String,
    stats: Stats,
    dyn_limit: DynLimit,
    pm: Own,
}

#[derive(Serialize)]
struct Stats {
    acc_in: u64,
    acc_out: u64,
}

#[derive(Serialize)]
struct DynLimit {
    enable: bool,
    is_punished: bool,
    #[serde(serialize_with = "plain")]
    trigger_mbps: f64,
    #[serde(serialize_with = "plain")]
    punish_mbps: f64,
}

/// What the receivers of old do not know.
#[derive(Serialize)]
struct Own {
    /// What came in during this period, in bytes, whatever the operator corrected.
    #[serde(rename = "in")]
    incoming: u64,
    /// What went out.
    #[serde(rename = "out")]
    outgoing: u64,
    /// What is billed in this period, in bytes, the operator's correction included: the group's for
    /// a service in one.
    billed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u64>,
    mode: String,
    factor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_reset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// Returns what is pushed, exactly as it is signed and sent.
///
/// `interface` is the one with the default route; empty where there is none.
pub fn body(push: &Push, interface: &str, services: &[Report], groups: &[GroupReport]) -> String {
    let ports = services.iter().map(|report| {
        let position = |name: &GroupName| groups.iter().position(|group| group.name == *name);
        let place = report.group.as_ref().and_then(position);
        let group = place.and_then(|place| groups.get(place));
        (report.ports.to_string(), port(push, report, place, group))
    });
    let body = Body {
        node_id: push.node_id().as_str(),
        interface,
        ports: ports.collect(),
        pm: Program {
            version: env!("CARGO_PKG_VERSION"),
        },
    };
    serde_json::to_string(&body).unwrap_or_else(|error| unreachable!("plain fields: {error}"))
}

fn port<'a>(
    push: &Push,
    report: &'a Report,
    place: Option<usize>,
    group: Option<&GroupReport>,
) -> Port<'a> {
    let quota = group.map_or(report.quota, |group| group.quota);
    let billed = group.map_or(report.billed, |group| group.billed);
    let mbps = |limit: Limit| limit.rate().bits_per_second() as f64 / 1e6;
    Port {
        quota_gb: quota.map_or(0.0, |quota| gigabytes(quota, report.tariff)),
        quota_mode: match report.tariff.mode {
            Mode::Both => "in_out",
            Mode::Out | Mode::Max => "out_only",
        },
        limit_mbps: report.limit.map_or(0.0, mbps),
        reset_day: match report.reset {
            ResetPolicy::Monthly(day) => day.get(),
            _ => 0,
        },
        comment: if push.notes { report.note.as_str() } else { "" },
        // A group's name is the operator's text, too.
        group_id: match (place, &report.group) {
            (_, Some(name)) if push.notes => name.as_str().to_owned(),
            (Some(place), Some(_)) => format!("g{}", place + 1),
            _ => String::new(),
        },
        stats: stats(report),
        dyn_limit: DynLimit {
            enable: report.dynqos.is_some(),
            is_punished: report.punished.is_some(),
            trigger_mbps: report.dynqos.map_or(0.0, |rule| mbps(rule.trigger)),
            punish_mbps: report.dynqos.map_or(0.0, |rule| mbps(rule.punish)),
        },
        pm: Own {
            incoming: report.usage.incoming,
            outgoing: report.usage.outgoing,
            billed,
            quota: quota.map(QuotaSize::bytes),
            mode: report.tariff.mode.to_string(),
            factor: report.tariff.factor.to_string(),
            blocked: report.blocked_by.map(|by| match by {
                BlockedBy::Operator => "operator",
                BlockedBy::Expiry => "expiry",
                BlockedBy::Quota => "quota",
            }),
            next_reset: report.next_reset.map(|date| date.to_string()),
            expires: report.expires.map(|date| date.to_string()),
        },
    }
}

/// Returns sums of which old receivers bill what pm bills: they know neither the larger of two, nor
/// a correction, which pm.sh has in the sums themselves.
fn stats(report: &Report) -> Stats {
    let Tariff { mode, factor } = report.tariff;
    let incoming = report.usage.incoming;
    let correction = factor.within(report.adjust);
    let counted = report.usage.counted(mode).saturating_add_signed(correction);
    match mode {
        Mode::Both => Stats {
            acc_in: incoming.min(counted),
            acc_out: counted.saturating_sub(incoming),
        },
        Mode::Out | Mode::Max => Stats {
            acc_in: incoming,
            acc_out: counted,
        },
    }
}

/// Returns a quota in the unit of old receivers, GiB, so that what they make of the counters is the
/// right share of it: they know no factor.
fn gigabytes(quota: QuotaSize, tariff: Tariff) -> f64 {
    let factor = f64::from(tariff.factor.thousandths()) / 1_000.0;
    let gigabytes = quota.bytes() as f64 / GIB / factor;
    // Six places are a kilobyte; more would only be noise.
    (gigabytes * 1e6).round() / 1e6
}

/// Writes a number as its receivers know it: a whole one without a point.
fn plain<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // All up to here are whole, and exact.
    const EXACT: f64 = (1u64 << 53) as f64;
    match number.fract() == 0.0 && number.abs() <= EXACT {
        true => serializer.serialize_i64(*number as i64),
        false => serializer.serialize_f64(*number),
    }
}

/// Pushes a body and judges the answer.
///
/// It takes up to [`TIMEOUT_SECONDS`](crate::TIMEOUT_SECONDS), and what the system takes to look up
/// a name. `now` is the host's time in seconds since 1970.
pub fn send(push: &Push, body: &str, now: i64) -> Outcome {
    let secret = push.secret.expose();
    let stamp = now.to_string();
    let signature = sha256(secret.as_bytes(), &[stamp.as_bytes(), body.as_bytes()]);
    let call = Call::post(push.url.as_str().to_owned(), body.to_owned(), vec![secret])
        .put()
        .by_status()
        .with("X-Node", push.node.as_str())
        .with("X-Timestamp", stamp)
        .with("X-Signature", hex(&signature));
    match call.send() {
        Err(failure) => failure.into(),
        Ok(answer) => judge(&answer, now),
    }
}

fn judge(answer: &Answer, now: i64) -> Outcome {
    let why = match answer.status {
        200..300 if answer.is_page() => Why::NotTheServer,
        200..300 => {
            let answer = answer.excerpt();
            return Outcome::Delivered { answer };
        }
        401 | 403 => clock(answer, now).unwrap_or(Why::Credentials),
        // Whoever explains himself so is no login page.
        404 if answer.json().is_some() => Why::NoNode,
        404 | 405 => Why::NotTheServer,
        429 => Why::TooMany,
        400 | 413 => Why::Content,
        status @ 500.. => Why::Server { status },
        status => Why::Rejected {
            code: status.into(),
        },
    };
    answer.outcome(Failure::new(why, answer.excerpt()))
}

/// Returns that this host's clock is off, where the server's time says so.
pub(crate) fn clock(answer: &Answer, now: i64) -> Option<Why> {
    let seconds = now.saturating_sub(answer.date?);
    (seconds.abs() > CLOCK_TOLERANCE).then_some(Why::Clock { seconds })
}

#[cfg(test)]
mod tests;
