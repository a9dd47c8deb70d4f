//! Takeovers that cannot go on: nothing is begun that would fail, nobody is cut off by what does fail, and what passes
//! meanwhile is counted.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::old::{CRONTAB, PORTS, used};
use super::setups::PM_SH;
use crate::lab::{Family, Lab, check_refusal, wait_until};
use crate::netns::settling::{House, Kind, PM};
use crate::netns::tests;
use crate::traffic::{Udp, Way};

tests!["takeover troubles":
    limits_that_the_host_cannot_have_are_left_out_and_said,
    a_copy_is_not_taken_over_while_the_own_configuration_stands,
    what_fails_after_the_last_reading_cuts_nobody_off_and_is_completed,
    what_failed_is_tried_again_after_ten_minutes,
    whoever_interrupts_it_finds_everything_as_it_was,
    lines_taken_by_one_that_was_killed_come_back_by_themselves,
];

const CONFIG: &str = "/etc/port_monitor/config.json";
/// pm's database: with a directory in its place nothing can be saved.
const STATE: &str = "/var/lib/port_monitor/state.db";

/// Fault 16 of the tools that pm's users come from: they replace the host's own qdisc.
fn limits_that_the_host_cannot_have_are_left_out_and_said(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    PM_SH.install(lab, &house)?;
    let config = house.read(CONFIG)?;
    house.write(
        CONFIG,
        &config.replace("\"limit_mbps\":0", "\"limit_mbps\":100"),
    )?;
    lab.vps.tc(&[
        "qdisc", "add", "dev", "eth0", "root", "handle", "10:", "htb", "default", "7",
    ])?;
    let said = house.ok(&[PM, "import", "--from", "pm.sh", "--dry-run"])?;
    ensure!(said.contains("without its limit"), "{said}");
    let said = house.ok(&PM_SH.import())?;
    ensure!(said.contains("came without their limits"), "{said}");
    let after = lab.vps.tc(&["qdisc", "show", "dev", "eth0"])?;
    ensure!(after.contains("qdisc htb 10: root"), "{after}");
    let used = used(&house, "20000")?;
    ensure!(used.inbound == 5_000_000, "{used:?}");
    PM_SH.is_gone(lab, &house)
}

fn a_copy_is_not_taken_over_while_the_own_configuration_stands(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    PM_SH.install(lab, &house)?;
    let config = house.read(CONFIG)?;
    house.write("/root/copy/config.json", &config)?;
    let ruleset = lab.vps.nft(&["list", "ruleset"])?;
    let crontab = fs::read(house.outside(CRONTAB))?;
    // Below where the command runs, and nowhere else.
    let import = ["import", "--from", "pm.sh", "copy", "--yes"];
    let import = [&["env", "-C", "/root", PM], &import[..]].concat();
    let refused = house.run(&import)?;
    check_refusal(&refused, &["pm.sh's own", "without a directory"])?;
    ensure!(lab.vps.nft(&["list", "ruleset"])? == ruleset, "other rules");
    ensure!(
        fs::read(house.outside(CRONTAB))? == crontab,
        "another crontab"
    );
    // Moved away, it is in nobody's way.
    fs::remove_file(house.outside(CONFIG))?;
    house.ok(&import)?;
    ensure!(house.read("/root/copy/config.json")? == config, "changed");
    let going = house.ok(&[PM, "import", "--undo", "--dry-run"])?;
    ensure!(going.contains("/root/copy was only read"), "{going}");
    house.ok(&[PM, "import", "--undo", "--yes"])?;
    ensure!(
        fs::read(house.outside(CRONTAB))? == crontab,
        "another crontab"
    );
    ensure!(house.read("/root/copy/config.json")? == config, "changed");
    Ok(())
}

fn what_fails_after_the_last_reading_cuts_nobody_off_and_is_completed(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    fs::create_dir_all(house.outside(STATE))?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 10, 972)?;
    check_refusal(&house.run(&PM_SH.import())?, &["state.db"])?;
    // It is let pass at once, and each try by hand holds for no longer than it takes; a tick does not try again so soon.
    udp.send(Way::In, 10, 972)?;
    let rules = lab.vps.nft(&["list", "ruleset"])?;
    for _ in 0..3 {
        house.run(&[PM, "monitor"])?;
        check_refusal(&house.run(&PM_SH.import())?, &["state.db"])?;
        udp.send(Way::In, 10, 972)?;
    }
    let again = lab.vps.nft(&["list", "ruleset"])?;
    ensure!(
        again.matches("drop").count() == rules.matches("drop").count(),
        "rules come to rules: {again}"
    );
    fs::remove_dir(house.outside(STATE))?;
    house
        .ok(&[PM, "import", "--from", "pm.sh", "--yes"])
        .or_else(|error| {
            // It is completed, and there is nothing more to take over.
            let is_over = format!("{error:#}").contains("was taken over already");
            if is_over {
                Ok(String::new())
            } else {
                Err(error)
            }
        })?;
    PM_SH.exact(lab, &house)?;
    PM_SH.is_gone(lab, &house)
}

fn what_failed_is_tried_again_after_ten_minutes(lab: &mut Lab) -> Result<()> {
    const JOURNAL: &str = "/var/lib/port_monitor/takeover/pm.sh/journal.json";
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    fs::create_dir_all(house.outside(STATE))?;
    check_refusal(&house.run(&PM_SH.import())?, &["state.db"])?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 10, 972)?;
    fs::remove_dir(house.outside(STATE))?;
    // As it is so many seconds later.
    let later = |seconds: i64| -> Result<()> {
        let mut journal: Value = serde_json::from_str(&house.read(JOURNAL)?)?;
        let failed = journal["failed"].as_i64().context("it has not failed")?;
        journal["failed"] = (failed - seconds).into();
        house.write(JOURNAL, &journal.to_string())
    };
    later(500)?;
    let said = house.run(&[PM, "monitor"])?;
    ensure!(said.stderr.contains("was interrupted: "), "{said:?}");
    ensure!(house.read(JOURNAL)?.contains("\"read\""), "tried too soon");
    udp.send(Way::Out, 10, 972)?;
    later(101)?;
    let said = house.run(&[PM, "monitor"])?;
    ensure!(said.stderr.contains("is completed now"), "{said:?}");
    udp.send(Way::In, 10, 972)?;
    PM_SH.exact(lab, &house)?;
    PM_SH.is_gone(lab, &house)
}

/// Begins a takeover and returns when the tool's lines are out of the crontab, while its lock is held.
fn waiting(house: &House<'_>) -> Result<(std::process::Child, std::process::Child)> {
    let holder = [
        "flock",
        "/var/run/pm_cron.lock",
        "sh",
        "-c",
        "echo >/run/held; exec sleep 60",
    ];
    let holder = house
        .command(&[&["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], &holder[..]].concat())
        .stdin(Stdio::null())
        .spawn()?;
    wait_until("the lock is held", || {
        Ok(house.outside("/run/held").exists())
    })?;
    let import = house
        .command(&PM_SH.import())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    wait_until("the line is taken out", || {
        let crontab = fs::read(house.outside(CRONTAB))?;
        let crontab = String::from_utf8_lossy(&crontab).into_owned();
        Ok(!crontab.contains(PM_SH.cron))
    })?;
    Ok((holder, import))
}

fn whoever_interrupts_it_finds_everything_as_it_was(lab: &mut Lab) -> Result<()> {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        PM_SH.install(lab, &house)?;
        let crontab = fs::read(house.outside(CRONTAB))?;
        let ruleset = lab.vps.nft(&["list", "ruleset"])?;
        let (mut holder, import) = waiting(&house)?;
        let pid = import.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status()?;
        ensure!(sent.success(), "cannot send {signal}");
        let output = import.wait_with_output()?;
        holder.kill()?;
        holder.wait()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.contains("everything is as it was"), "{signal}: {said}");
        ensure!(fs::read(house.outside(CRONTAB))? == crontab, "{signal}");
        ensure!(lab.vps.nft(&["list", "ruleset"])? == ruleset, "{signal}");
        ensure!(
            !house
                .outside("/var/lib/port_monitor/takeover/pm.sh")
                .exists()
        );
    }
    Ok(())
}

fn lines_taken_by_one_that_was_killed_come_back_by_themselves(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    PM_SH.install(lab, &house)?;
    let crontab = fs::read(house.outside(CRONTAB))?;
    let (mut holder, mut import) = waiting(&house)?;
    import.kill()?;
    import.wait()?;
    holder.kill()?;
    holder.wait()?;
    // Whatever it says: pm.sh's configuration is in its place.
    let said = house.run(&[PM, "monitor"])?;
    let after = fs::read(house.outside(CRONTAB)).context("no crontab")?;
    ensure!(after == crontab, "{said:?}");
    Ok(())
}
