//! What pm says: the answers of its reading commands, as far as the reference model predicts them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use pm_core::config::{Config, GroupName};
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::lab::Lab;
use crate::namespace::run;
use crate::truth::Bytes;

/// All that pm says at one moment.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// `pm list`: its services.
    pub(super) services: BTreeMap<PortRange, Service>,
    /// `pm list`: its groups.
    pub(super) groups: BTreeMap<GroupName, Group>,
    /// `pm history`: periods that are over, each holder's oldest first.
    pub(super) closed: BTreeMap<Holder, Vec<Closed>>,
    /// `pm history`: periods that are not.
    pub(super) running: BTreeMap<Holder, Running>,
    /// `pm history --by day`.
    pub(super) days: BTreeMap<(String, PortRange), Bytes>,
    /// `pm config show`.
    pub(super) config: Option<Config>,
    /// Whether pm says that it is out of the kernel.
    pub(super) torn_down: bool,
}

/// A service.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub(super) struct Service {
    pub(super) port: String,
    pub(super) note: String,
    pub(super) group: Option<String>,
    pub(super) mode: String,
    pub(super) factor: f64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
    pub(super) adjust_bytes: i64,
    pub(super) billed_bytes: u64,
    pub(super) quota_bytes: Option<u64>,
    pub(super) state: String,
    pub(super) blocked_by: Option<String>,
    pub(super) limit_out_bps: Option<u64>,
    pub(super) limit_in_bps: Option<u64>,
    pub(super) ceil_bps: Option<u64>,
    pub(super) ceil_in_bps: Option<u64>,
    pub(super) punished_seconds: Option<u64>,
    pub(super) expires: Option<String>,
    pub(super) routed: bool,
    pub(super) reset: String,
}

/// A group.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) mode: String,
    pub(super) factor: f64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
    pub(super) adjust_bytes: i64,
    pub(super) billed_bytes: u64,
    pub(super) quota_bytes: Option<u64>,
    pub(super) state: String,
    pub(super) blocked_by: Option<String>,
    pub(super) reset: String,
}

/// A period that is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closed {
    pub(super) began: String,
    pub(super) ended: String,
    pub(super) why: String,
    pub(super) usage: Bytes,
    pub(super) mode: String,
    pub(super) factor: f64,
    pub(super) adjust: i64,
    pub(super) billed: u64,
}

/// A period that is not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    pub(super) began: String,
    pub(super) usage: Bytes,
    pub(super) mode: String,
    pub(super) factor: f64,
    pub(super) adjust: i64,
    pub(super) billed: u64,
}

#[derive(Deserialize)]
struct Listing {
    services: Vec<Service>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Periods {
    periods: Vec<Period>,
}

#[derive(Deserialize)]
struct Period {
    port: Option<PortRange>,
    group: Option<GroupName>,
    began: Option<String>,
    ended: Option<String>,
    why: Option<String>,
    in_bytes: u64,
    out_bytes: u64,
    mode: String,
    factor: f64,
    adjust_bytes: i64,
    billed_bytes: u64,
}

#[derive(Deserialize)]
struct Days {
    days: Vec<Day>,
}

#[derive(Deserialize)]
struct Day {
    date: String,
    port: PortRange,
    in_bytes: u64,
    out_bytes: u64,
    sum_bytes: u64,
}

impl Seen {
    /// Asks pm.
    ///
    /// # Errors
    ///
    /// When a command fails, prints something else, or contradicts another.
    pub(super) fn ask(lab: &Lab) -> Result<Self> {
        let (listing, said) = ask::<Listing>(lab, &["list", "--json"])?;
        let services = listing
            .services
            .into_iter()
            .map(|service| Ok((service.port.parse()?, service)));
        let groups = listing
            .groups
            .into_iter()
            .map(|group| Ok((group.name.parse()?, group)));
        let mut seen = Self {
            services: services.collect::<Result<_>>()?,
            groups: groups.collect::<Result<_>>()?,
            closed: BTreeMap::new(),
            running: BTreeMap::new(),
            days: BTreeMap::new(),
            config: None,
            torn_down: said.contains("out of the kernel"),
        };
        for period in ask::<Periods>(lab, &["history", "--json"])?.0.periods {
            seen.add_period(period)?;
        }
        for day in ask::<Days>(lab, &["history", "--by", "day", "--json"])?
            .0
            .days
        {
            ensure!(
                day.in_bytes + day.out_bytes == day.sum_bytes,
                "a day's sum is wrong"
            );
            let bytes = Bytes {
                inbound: day.in_bytes,
                outbound: day.out_bytes,
            };
            seen.days.insert((day.date, day.port), bytes);
        }
        Ok(seen)
    }

    /// Asks for what is seldom different, too.
    ///
    /// # Errors
    ///
    /// As [`Seen::ask`].
    pub(super) fn ask_all(lab: &Lab) -> Result<Self> {
        let mut seen = Self::ask(lab)?;
        let groups = ask::<Groups>(lab, &["group", "list", "--json"])?.0.groups;
        ensure!(
            groups.iter().eq(seen.groups.values()),
            "`pm group list` says {groups:?}, `pm list` {:?}",
            seen.groups
        );
        seen.config = Some(ask::<Config>(lab, &["config", "show", "--json"])?.0);
        Ok(seen)
    }

    fn add_period(&mut self, period: Period) -> Result<()> {
        let holder = match (period.port, period.group) {
            // With the group that it was in.
            (Some(port), _) => Holder::Service(port),
            (None, Some(group)) => Holder::Group(group),
            (None, None) => anyhow::bail!("a period of nobody"),
        };
        let usage = Bytes {
            inbound: period.in_bytes,
            outbound: period.out_bytes,
        };
        let (began, billed) = (period.began.context("no beginning")?, period.billed_bytes);
        let (mode, factor, adjust) = (period.mode, period.factor, period.adjust_bytes);
        match (period.ended, period.why) {
            (Some(ended), Some(why)) => {
                let closed = Closed {
                    began,
                    ended,
                    why,
                    usage,
                    mode,
                    factor,
                    adjust,
                    billed,
                };
                self.closed.entry(holder).or_default().push(closed);
            }
            (None, None) => {
                let running = Running {
                    began,
                    usage,
                    mode,
                    factor,
                    adjust,
                    billed,
                };
                ensure!(
                    self.running.insert(holder, running).is_none(),
                    "two running periods"
                );
            }
            other => anyhow::bail!("half a period: {other:?}"),
        }
        Ok(())
    }
}

/// Runs a reading command; returns its document and what it said beside.
fn ask<T: DeserializeOwned>(lab: &Lab, args: &[&str]) -> Result<(T, String)> {
    let output = run(&mut lab.pm_command(args), None)?;
    let said = output.stderr.clone();
    ensure!(!said.contains("panicked"), "pm {args:?} panicked: {said}");
    let text = output.success().with_context(|| format!("pm {args:?}"))?;
    let document =
        serde_json::from_str(&text).with_context(|| format!("pm {args:?} printed {text}"))?;
    Ok((document, said))
}
