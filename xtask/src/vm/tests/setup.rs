//! What `pm setup` writes does its work in its sandbox, over a reboot, and beside `nftables.service`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::image::System;
use super::tc::class;
use super::{Test, delivery};
use crate::lab::{self, Family, Lab};
use crate::namespace::run;
use crate::portrait::Portrait;
use crate::traffic::{Udp, Way};

/// The tests of this theme.
pub(super) const TESTS: &[Test] = &[Test {
    theme: "setup",
    name: "units_keep_every_byte_and_leave_without_a_trace",
    system: System::Systemd,
    steps: &[settle, come_back_and_leave],
}];

const PAYLOAD: usize = 972;
/// An IPv4 datagram of that payload.
const DATAGRAM: u64 = 1000;

/// Where the first boot leaves word for the second; nothing that pm knows of.
const BEFORE: &str = "/var/tmp/before.json";
const SENT: &str = "/var/tmp/sent";

const MAIN: &str = "port-monitor.service";
const ONLINE: &str = "port-monitor-online.service";
const TICK: &str = "port-monitor-tick.service";
const TIMER: &str = "port-monitor-tick.timer";
const DELIVER: &str = "port-monitor-deliver.service";
const WAKE: &str = "port-monitor-deliver.path";

/// The services, and how exposed `systemd-analyze security` may find them, of 10.
const EXPOSED: [(&str, f64); 4] = [(MAIN, 2.0), (ONLINE, 2.0), (TICK, 2.0), (DELIVER, 1.5)];

/// How long the minute may take to come round.
const MINUTE: Duration = Duration::from_secs(150);

fn settle(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    systemctl(&["enable", "--now", "nftables.service"])?;
    let before = Portrait::take(Path::new("/"), &lab.vps)?;
    fs::write(BEFORE, serde_json::to_string(&before)?)?;
    lab.install_pm()?;

    lab.ok(&["setup"])?;
    for unit in [MAIN, TIMER, WAKE] {
        systemctl(&["is-active", unit]).with_context(|| format!("{unit} does not run"))?;
    }
    lab.ok(&["add", "20000", "--quota", "1GB"])?;
    lab.ok(&["add", "20001", "--limit", "5M"])?;
    let mut sent = Sent::open(lab)?;
    sent.some(100)?;
    // The minute comes round by itself, and the sandbox lets the tick do its work.
    let started = tick_started()?;
    wait("the timer's tick", || Ok(tick_started()? != started))?;
    wait("the tick's end", || {
        Ok(property(TICK, "ActiveState")? == "inactive")
    })?;
    ensure!(
        property(TICK, "Result")? == "success",
        "the tick failed: {}",
        journal()?
    );
    sent.are_counted(lab)?;
    let delivered = delivery::is_the_users(lab, || systemctl(&["start", TICK]).map(drop))?;
    ensure!(
        property(DELIVER, "Result")? == "success"
            && property(DELIVER, "ExecMainStartTimestampMonotonic")? != "0",
        "it was not the unit that delivered: {}",
        journal()?
    );
    nobody_is_exposed()?;

    // What was not accounted for yet is, before all rules go.
    let mut slowest = Duration::ZERO;
    for verbs in [&["restart"][..], &["stop", "start"]] {
        sent.some(50)?;
        for verb in verbs {
            systemctl(&[verb, "nftables.service"])?;
        }
        slowest = slowest.max(healed(lab)?);
        sent.are_counted(lab)?;
    }
    systemctl(&["reload", "nftables.service"])?;
    slowest = slowest.max(healed(lab)?);

    let doctor = lab.ok(&["doctor"])?;
    ensure!(doctor.contains("complete, and running"), "{doctor}");
    // Nobody accounts for these but the last tick.
    sent.some(30)?;
    fs::write(SENT, sent.datagrams.to_string())?;
    lab.leave_machine();
    let healed = slowest.as_millis();
    Ok(format!("healed {healed} ms after nftables, {delivered}"))
}

/// Asks the running systemd how exposed each service is.
fn nobody_is_exposed() -> Result<()> {
    for (unit, most) in EXPOSED {
        let security = ["security", "--no-pager", unit];
        let text = run(Command::new("systemd-analyze").args(security), None)?.stdout;
        let line = text.lines().find(|line| line.contains("Overall exposure"));
        let level = line.and_then(|line| line.rsplit_once(": ")?.1.split(' ').next()?.parse().ok());
        let level: f64 = level.with_context(|| format!("no level: {text}"))?;
        ensure!(level <= most, "{unit} is exposed by {level}: {text}");
    }
    Ok(())
}

/// Waits for the rules, which follow those of `nftables.service`, and returns how long that took. It is sooner than the
/// next tick.
fn healed(lab: &Lab) -> Result<Duration> {
    let started = Instant::now();
    let stands = || Ok(lab.table()?.contains("20000 : goto in_20000"));
    lab::wait_until("the rules are back", stands).with_context(|| journal().unwrap_or_default())?;
    Ok(started.elapsed())
}

fn come_back_and_leave(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    lab.install_pm()?;
    let early = property(MAIN, "ActiveEnterTimestampMonotonic")?.parse::<u64>()?;
    let network =
        property("network-pre.target", "ActiveEnterTimestampMonotonic")?.parse::<u64>()?;
    ensure!(
        early > 0 && early <= network,
        "restored at {early}, the network may come from {network} on: {}",
        journal()?
    );
    ensure!(
        lab.table()?.contains("20000 : goto in_20000"),
        "{}",
        lab.table()?
    );
    let mut sent = Sent::open(lab)?;
    sent.datagrams = fs::read_to_string(SENT)?.parse()?;
    sent.are_counted(lab).context("over the reboot")?;

    // Now there is a route, and the kernel has to load what shapes.
    systemctl(&["start", ONLINE])?;
    let class = class(lab, "eth0", 20001)?;
    ensure!(class.contains("rate 5Mbit"), "{class:?}: {}", journal()?);
    sent.some(10)?;
    systemctl(&["start", TICK])?;
    sent.are_counted(lab)?;
    a_tick_undoes_an_update(lab, &mut sent)?;
    let log = lab.ok(&["log", "-n", "100"])?;
    ensure!(
        !log.contains("Finished"),
        "the log tells of every minute: {log}"
    );

    lab.ok(&["uninstall", "--yes"])?;
    let units = run(
        Command::new("systemctl").args(["list-units", "--all", "--no-legend", "port-monitor*"]),
        None,
    )?;
    ensure!(units.stdout.trim().is_empty(), "{}", units.stdout);
    let before: Portrait = serde_json::from_str(&fs::read_to_string(BEFORE)?)?;
    Portrait::take(Path::new("/"), &lab.vps)?.equals(&before)?;
    Ok(format!(
        "restored {:.1} s before the network",
        (network - early) as f64 / 1e6
    ))
}

/// Checks that the sandbox lets a tick put back what an interrupted update changed, the configuration too.
fn a_tick_undoes_an_update(lab: &Lab, sent: &mut Sent) -> Result<()> {
    systemctl(&["stop", TIMER])?;
    wait("the tick's end", || {
        Ok(property(TICK, "ActiveState")? == "inactive")
    })?;
    let state = Path::new("/var/lib/port_monitor");
    let (config, copy) = (
        Path::new("/etc/port_monitor/config.json"),
        state.join("update"),
    );
    let before = fs::read_to_string(config)? + "\n";
    fs::create_dir_all(&copy)?;
    fs::write(copy.join("config.json"), &before)?;
    fs::copy(state.join("state.db"), copy.join("state.db"))?;
    let point = copy.join("point.json");
    fs::write(
        &point,
        r#"{"note": "", "had_config": true, "had_state": true}"#,
    )?;
    sent.some(10)?;
    systemctl(&["start", TICK])?;
    ensure!(!point.exists(), "it was not undone: {}", journal()?);
    ensure!(fs::read_to_string(config)? == before, "{}", journal()?);
    sent.are_counted(lab)?;
    systemctl(&["start", TIMER])?;
    Ok(())
}

/// What was sent to 20000 so far.
struct Sent {
    socket: Udp,
    datagrams: u64,
}

impl Sent {
    fn open(lab: &Lab) -> Result<Self> {
        let socket = Udp::open(lab, Family::V4, 20000)?;
        let datagrams = 0;
        Ok(Self { socket, datagrams })
    }

    fn some(&mut self, count: u64) -> Result<()> {
        self.datagrams += count;
        self.socket.send(Way::In, count, PAYLOAD)
    }

    fn are_counted(&self, lab: &Lab) -> Result<()> {
        let counted = lab.service("20000")?.in_bytes;
        let sent = self.datagrams * DATAGRAM;
        ensure!(counted == sent, "{counted} bytes of {sent}: {}", journal()?);
        Ok(())
    }
}

fn systemctl(args: &[&str]) -> Result<String> {
    let output = run(Command::new("systemctl").args(args), None)?.success();
    output.with_context(|| {
        format!(
            "systemctl {}: {}",
            args.join(" "),
            journal().unwrap_or_default()
        )
    })
}

fn property(unit: &str, name: &str) -> Result<String> {
    let value = systemctl(&["show", "--value", "--property", name, unit])?;
    Ok(value.trim().to_owned())
}

fn tick_started() -> Result<String> {
    property(TICK, "ExecMainStartTimestampMonotonic")
}

/// Returns what the units said last, for a failure.
fn journal() -> Result<String> {
    let output = run(
        Command::new("journalctl").args(["--no-pager", "--lines=30", "--unit=port-monitor*"]),
        None,
    )?;
    Ok(output.stdout)
}

fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < MINUTE,
            "waited {MINUTE:?} in vain: {what}: {}",
            journal()?
        );
    }
    Ok(())
}
