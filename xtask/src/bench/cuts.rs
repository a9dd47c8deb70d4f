//! How many IP bytes a quota lets through beyond itself, under floods.

use std::path::Path;

use anyhow::Result;

use super::{Effort, Row};
use crate::lab::{Family, Lab, wait_until};
use crate::namespace::run;
use crate::traffic::{Flood, Pace, TcpFlood, Way};
use crate::truth::Place;

const MB: u64 = 1_000_000;

/// A quota that no packet length divides.
const QUOTA: u64 = 20 * MB;

/// The payload of a flood's datagrams.
const PAYLOAD: usize = 1000;

/// A way to exceed a quota.
#[derive(Clone, Copy, Debug)]
enum Load {
    Udp(&'static [Way]),
    Tcp(Way),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    over: u64,
    short: u64,
}

/// Measures each load.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(pm, 0)?;
    let mut ports = 1000..;
    let mut rows = Vec::new();
    for (segmentation, shown) in [("on", "GSO on"), ("off", "GSO off")] {
        for namespace in [&lab.vps, &lab.client] {
            let mut ethtool = namespace.command("ethtool");
            ethtool.args(["-K", "eth0", "gso", segmentation, "tso", segmentation]);
            run(&mut ethtool, None)?.success()?;
        }
        let loads: &[(&str, Load)] = if segmentation == "on" {
            &[
                ("UDP flood in", Load::Udp(&[Way::In])),
                ("UDP flood out", Load::Udp(&[Way::Out])),
                ("UDP floods in and out at once", Load::Udp(&Way::ALL)),
                ("TCP in", Load::Tcp(Way::In)),
                ("TCP out", Load::Tcp(Way::Out)),
            ]
        } else {
            &[
                ("TCP in", Load::Tcp(Way::In)),
                ("TCP out", Load::Tcp(Way::Out)),
            ]
        };
        for (name, load) in loads {
            let mut worst = Outcome::default();
            let rounds = effort.rounds(6);
            for (family, port) in Family::ALL.iter().cycle().zip(&mut ports).take(rounds) {
                let outcome = exceed(&lab, *load, *family, port)?;
                worst.over = worst.over.max(outcome.over);
                worst.short = worst.short.max(outcome.short);
            }
            let name = match load {
                Load::Udp(_) => (*name).to_owned(),
                Load::Tcp(_) => format!("{name}, {shown}"),
            };
            rows.push(Row::goal(
                format!("IP bytes let through past a quota of 20 MB: {name}"),
                "0",
                format!("{} (stopped at most {} short)", worst.over, worst.short),
                worst.over == 0,
            ));
        }
    }
    Ok(rows)
}

/// Tries to get much more than the quota through a fresh service.
fn exceed(lab: &Lab, load: Load, family: Family, port: u16) -> Result<Outcome> {
    let name = port.to_string();
    lab.watch_cut(&[&name])?;
    lab.ok(&["add", &name, "--quota", "20MB"])?;
    match load {
        Load::Udp(ways) => {
            // One port can be bound once for each family, so two floods take one each.
            let other = Family::ALL.iter().copied().find(|one| *one != family);
            let families = [Some(family), other].into_iter().flatten();
            let floods = ways
                .iter()
                .zip(families)
                .map(|(way, family)| {
                    Flood::start(lab, family, *way, port, PAYLOAD, Pace::Unchecked)
                })
                .collect::<Result<Vec<_>>>()?;
            wait_until("far more than the quota was tried", || {
                Ok(lab.truth(Place::Tried, &name)?.sum() > 3 * QUOTA)
            })?;
            for flood in floods {
                flood.stop()?;
            }
        }
        Load::Tcp(way) => {
            let _flood = TcpFlood::start(lab, family, way, port)?;
            wait_until("the kernel cuts", || {
                Ok(lab.service(&name)?.blocked_by.is_some())
            })?;
            let first = lab.truth(Place::Tried, &name)?.sum();
            wait_until("TCP tries again", || {
                Ok(lab.truth(Place::Tried, &name)?.sum() > first)
            })?;
        }
    }
    let passed = lab.truth(Place::Passed, &name)?.sum();
    Ok(Outcome {
        over: passed.saturating_sub(QUOTA),
        short: QUOTA.saturating_sub(passed),
    })
}
