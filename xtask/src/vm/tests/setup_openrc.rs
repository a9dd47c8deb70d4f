//! What `pm setup` writes where there is no systemd: cron's minute, OpenRC's boot and shutdown.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::image::System;
use super::{Test, delivery};
use crate::lab::{Family, Lab};
use crate::namespace::run;
use crate::portrait::Portrait;
use crate::traffic::{Udp, Way};

/// The tests of this theme.
pub(super) const TESTS: &[Test] = &[Test {
    theme: "setup",
    name: "openrc_and_cron_keep_every_byte_and_leave_without_a_trace",
    system: System::OpenRc,
    steps: &[settle, come_back_and_leave],
}];

const PAYLOAD: usize = 972;
/// An IPv4 datagram of that payload.
const DATAGRAM: u64 = 1000;

/// Where the first boot leaves word for the second; nothing that pm knows of.
const BEFORE: &str = "/var/tmp/before.json";

/// How long the minute may take to come round.
const MINUTE: Duration = Duration::from_secs(150);

fn settle(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    let before = Portrait::take(Path::new("/"), &lab.vps)?;
    fs::write(BEFORE, serde_json::to_string(&before)?)?;
    lab.install_pm()?;

    let said = lab.ok(&["setup"])?;
    ensure!(said.contains("OpenRC, cron for the tick"), "{said}");
    let status = run(
        Command::new("rc-service").args(["port-monitor", "status"]),
        None,
    )?;
    ensure!(status.stdout.contains("started"), "{status:?}");
    lab.ok(&["add", "20000", "--quota", "1GB"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 100, PAYLOAD)?;
    lab.ok(&["monitor"])?;
    // Nothing in this image brings it up.
    loopback("up")?;
    let delivered = delivery::is_the_users(lab, || lab.ok(&["monitor"]).map(drop))?;
    loopback("down")?;

    // Nobody but cron puts these rules back, and it tells.
    lab.vps.nft(&["delete", "table", "inet", "port_monitor"])?;
    let started = Instant::now();
    while lab.table()?.is_empty() {
        ensure!(started.elapsed() < MINUTE, "no tick in {MINUTE:?}");
    }
    let log = lab.ok(&["log"])?;
    ensure!(!log.is_empty(), "the tick told nobody");
    let doctor = lab.ok(&["doctor"])?;
    ensure!(doctor.contains("complete, and running"), "{doctor}");

    // Nobody accounts for these but the last tick.
    udp.send(Way::In, 30, PAYLOAD)?;
    lab.leave_machine();
    let line = log.lines().last().unwrap_or_default();
    Ok(format!("cron's tick said {line:?}, {delivered}"))
}

fn loopback(state: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["link", "set", "lo", state]);
    run(&mut command, None)?.success().map(drop)
}

fn come_back_and_leave(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    lab.install_pm()?;
    let table = lab.table()?;
    ensure!(table.contains("20000 : goto in_20000"), "{table:?}");
    let counted = lab.service("20000")?.in_bytes;
    ensure!(counted == 130 * DATAGRAM, "{counted} bytes over the reboot");
    lab.ok(&["uninstall", "--yes"])?;
    let text = fs::read_to_string(BEFORE).context("the first boot left no word")?;
    let before: Portrait = serde_json::from_str(&text)?;
    Portrait::take(Path::new("/"), &lab.vps)?.equals(&before)?;
    Ok("every byte counted".to_owned())
}
