//! What was used before, by day and by period: it adds up to the byte, whatever happened.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::calendar_days::clocks;
use super::tests;
use crate::lab::{Family, Lab};
use crate::traffic::{Flood, Pace, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

tests!["history":
    days_and_periods_add_up_after_every_request,
    days_and_periods_add_up_under_traffic,
    a_period_says_what_was_billed_and_why_it_ended,
    the_time_zone_decides_the_day,
];

/// One period as `pm history --json` shows it; the fields that tests compare.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Period {
    port: Option<String>,
    group: Option<String>,
    pub(super) began: Option<String>,
    pub(super) ended: Option<String>,
    pub(super) why: Option<String>,
    in_bytes: u64,
    out_bytes: u64,
    mode: String,
    factor: f64,
    adjust_bytes: i64,
    pub(super) billed_bytes: u64,
}

#[derive(Deserialize)]
struct Periods {
    periods: Vec<Period>,
}

#[derive(Clone, Debug, Deserialize)]
struct Day {
    date: String,
    port: String,
    in_bytes: u64,
    out_bytes: u64,
    sum_bytes: u64,
}

#[derive(Deserialize)]
struct Days {
    days: Vec<Day>,
}

impl Day {
    fn bytes(&self) -> Bytes {
        Bytes {
            inbound: self.in_bytes,
            outbound: self.out_bytes,
        }
    }
}

impl Period {
    fn is_of(&self, name: &str) -> bool {
        // A service's period names the group that it was in, too.
        let holder = self.port.as_ref().or(self.group.as_ref());
        holder.is_some_and(|holder| holder == name)
    }

    /// Returns its bytes in the form of the truth.
    pub(super) fn bytes(&self) -> Bytes {
        Bytes {
            inbound: self.in_bytes,
            outbound: self.out_bytes,
        }
    }
}

/// Returns the periods of a port or group, the oldest first.
pub(super) fn periods(lab: &Lab, name: &str) -> Result<Vec<Period>> {
    let all = all_periods(lab)?.into_iter();
    Ok(all.filter(|period| period.is_of(name)).collect())
}

fn all_periods(lab: &Lab) -> Result<Vec<Period>> {
    let text = lab.ok(&["history", "--json"])?;
    let all: Periods = serde_json::from_str(&text).with_context(|| text.clone())?;
    Ok(all.periods)
}

/// Returns what all these used.
pub(super) fn sum<'a>(periods: impl IntoIterator<Item = &'a Period>) -> Bytes {
    periods
        .into_iter()
        .fold(Bytes::default(), |sum, period| sum + period.bytes())
}

fn days(lab: &Lab) -> Result<Vec<Day>> {
    let text = lab.ok(&["history", "--by", "day", "--json"])?;
    let all: Days = serde_json::from_str(&text).with_context(|| text.clone())?;
    Ok(all.days)
}

/// Checks that days and periods each add up to what went over the wire.
fn adds_up(lab: &Lab, ports: &[&str]) -> Result<()> {
    let (all_periods, all_days) = (all_periods(lab)?, days(lab)?);
    for &port in ports {
        let truth = lab.truth(Place::Client, port)?;
        let periods = all_periods.iter().filter(|period| period.is_of(port));
        let days = all_days.iter().filter(|day| day.port == port);
        let of_days = days.fold(Bytes::default(), |sum, day| sum + day.bytes());
        ensure!(
            sum(periods) == truth,
            "port {port}: {truth:?} on the wire, periods {all_periods:?}"
        );
        ensure!(
            of_days == truth,
            "port {port}: {truth:?} on the wire, days {all_days:?}"
        );
    }
    ensure!(
        all_days
            .iter()
            .all(|day| day.bytes().sum() == day.sum_bytes),
        "a day's sum is none: {all_days:?}"
    );
    Ok(())
}

/// Everything that begins and ends periods, and some that must not.
const REQUESTS: [&[&str]; 22] = [
    &["reset", "20000"],
    &["monitor"],
    &["set", "20000", "--group", "vip"],
    &["group", "reset", "vip"],
    &["set", "20000", "--group", "other"],
    &["set", "30000-30010", "--group", "other"],
    &["group", "set", "other", "--mode", "max", "--factor", "1.5"],
    &["reset", "--all"],
    &["set", "20000", "--group", "none"],
    &["set", "20000", "--quota", "5GB", "--mode", "out"],
    &["set", "20000", "--used", "1GB"],
    &["del", "20000"],
    &["add", "20000", "--quota", "4GB"],
    &["block", "20001"],
    &["unblock", "20001"],
    &["config", "set", "time_zone", "Asia/Shanghai"],
    &["del", "20000,30000-30010"],
    &["group", "del", "other"],
    &["add", "20000,30000-30010", "--group", "vip"],
    &["config", "set", "time_zone", "America/Los_Angeles"],
    &["teardown"],
    &["restore"],
];

const PORTS: [&str; 3] = ["20000", "20001", "30000-30010"];

fn begin(lab: &Lab) -> Result<()> {
    lab.watch(&PORTS)?;
    lab.ok(&["group", "add", "vip", "--quota", "900GB"])?;
    lab.ok(&["group", "add", "other"])?;
    lab.ok(&["add", &PORTS.join(",")])?;
    Ok(())
}

fn days_and_periods_add_up_after_every_request(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    for (count, args) in (1..).zip(REQUESTS) {
        // What is not monitored, or blocked, is not counted.
        let services = lab.list()?;
        let is_torn_down = lab.table()?.is_empty();
        let is_counted = |port: &str| {
            let mut open = services.iter().filter(|service| service.state == "ok");
            !is_torn_down && open.any(|service| service.port == port)
        };
        for (name, port) in PORTS.into_iter().zip([20000, 20001, 30003]) {
            if is_counted(name) {
                let udp = Udp::open(lab, Family::V4, port)?;
                udp.send(Way::In, count, 300)?;
                udp.send(Way::Out, 2 * count, 200)?;
            }
        }
        lab.ok(args)?;
        adds_up(lab, &PORTS).with_context(|| format!("after `pm {}`", args.join(" ")))?;
    }
    Ok(())
}

fn days_and_periods_add_up_under_traffic(lab: &mut Lab) -> Result<()> {
    begin(lab)?;
    let floods = [
        Flood::start(lab, Family::V4, Way::In, 20000, 300, Pace::Windowed)?,
        Flood::start(lab, Family::V6, Way::Out, 20000, 500, Pace::Windowed)?,
        Flood::start(lab, Family::V4, Way::Out, 30003, 400, Pace::Windowed)?,
    ];
    // All but those that let packets pass uncounted, or none.
    let requests = REQUESTS
        .iter()
        .filter(|args| !["del", "add", "teardown", "restore"].contains(&args[0]))
        .filter(|args| args[1..] != ["del", "other"]);
    for args in requests {
        lab.ok(args)?;
        for flood in &floods {
            flood.wait_for(40)?;
        }
    }
    for flood in floods {
        flood.stop()?;
    }
    tcp_exchange(lab, Family::V6, 20001, 100_000, 200_000)?;
    lab.exact(&["20001"])?;
    adds_up(lab, &PORTS)?;
    lab.ok(&["monitor"])?;
    adds_up(lab, &PORTS)
}

fn a_period_says_what_was_billed_and_why_it_ended(lab: &mut Lab) -> Result<()> {
    let each = Family::V4.udp_length(972);
    lab.ok(&["group", "add", "vip"])?;
    lab.ok(&[
        "add", "20000", "--mode", "out", "--factor", "1.5", "--quota", "5GB",
    ])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    let sends = |count| -> Result<()> {
        udp.send(Way::In, count, 972)?;
        udp.send(Way::Out, 2 * count, 972)
    };
    sends(10)?;
    lab.ok(&["reset", "20000"])?;
    sends(20)?;
    lab.ok(&["set", "20000", "--used", "1MB"])?;
    lab.ok(&["set", "20000", "--group", "vip"])?;
    sends(30)?;
    lab.ok(&["del", "20000"])?;
    lab.ok(&["add", "20000"])?;
    sends(40)?;
    let found = periods(lab, "20000")?;
    let why: Vec<_> = found.iter().map(|period| period.why.as_deref()).collect();
    ensure!(
        why == [Some("operator"), Some("regrouped"), Some("deleted"), None],
        "{found:?}"
    );
    let billed: Vec<_> = found.iter().map(|period| period.billed_bytes).collect();
    // By the tariff of each: 1.5 times what was sent, what the operator said, all of it, all of it.
    ensure!(
        billed == [20 * each * 3 / 2, 1_000_000, 90 * each, 120 * each],
        "{found:?}"
    );
    for (period, count) in found.iter().zip([10, 20, 30, 40]) {
        let bytes = Bytes {
            inbound: count * each,
            outbound: 2 * count * each,
        };
        ensure!(period.bytes() == bytes, "{bytes:?} were used in {period:?}");
    }
    let (first, second, running) = (&found[0], &found[1], &found[3]);
    ensure!(
        (first.mode.as_str(), first.factor, first.adjust_bytes) == ("out", 1.5, 0)
            && second.adjust_bytes == 1_000_000 - i64::try_from(40 * each * 3 / 2)?
            && (running.mode.as_str(), running.factor, running.adjust_bytes) == ("both", 1.0, 0),
        "{found:?}"
    );
    // One begins when the other ends.
    for pair in found.windows(2) {
        ensure!(
            pair[0].ended == pair[1].began || pair[1].ended.is_none(),
            "{pair:?}"
        );
    }
    Ok(())
}

fn the_time_zone_decides_the_day(lab: &mut Lab) -> Result<()> {
    let [west, east] = clocks();
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    for (count, clock) in [(10, &west), (20, &east), (40, &west)] {
        lab.ok(&["config", "set", "time_zone", &clock.zone])?;
        udp.send(Way::In, count, 500)?;
        // Before a tick has saved it, and after.
        for args in [&["list"][..], &["monitor"]] {
            lab.ok(args)?;
            let days = days(lab)?;
            let today = days.iter().find(|day| day.date == clock.today.to_string());
            ensure!(today.is_some(), "{days:?} without {clock:?}");
        }
    }
    let found: Vec<_> = days(lab)?
        .into_iter()
        .map(|day| (day.date, day.in_bytes))
        .collect();
    let each = Family::V4.udp_length(500);
    let wanted = [
        (west.today.to_string(), 50 * each),
        (east.today.to_string(), 20 * each),
    ];
    ensure!(found == wanted, "{found:?} instead of {wanted:?}");
    adds_up(lab, &["20000"])
}
