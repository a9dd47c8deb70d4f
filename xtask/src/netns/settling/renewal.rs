//! The whole life of pm on a host with systemd: `install.sh`, use, `pm update`, `pm uninstall`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use minisign::KeyPair;
use pm_update::Version;

use super::{DATAGRAM, House, Kind, PAYLOAD, PM};
use crate::lab::{Family, Lab, check_refusal};
use crate::netns::tests;
use crate::releases::{Publisher, programs};
use crate::traffic::{Udp, Way};

tests!["settling":
    a_release_is_installed_used_and_renewed_and_leaves_no_trace,
    a_tick_that_cannot_undo_an_update_says_so_and_goes_on,
    pm_sh_is_moved_aside_does_its_work_and_comes_back,
];

const SCRIPT: &str = "/opt/install.sh";
const TIMER: &str = "/etc/systemd/system/port-monitor-tick.timer";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Fault 18 of the tools that pm's users come from: updates that believe whatever they download, and go half way.
fn a_release_is_installed_used_and_renewed_and_leaves_no_trace(lab: &mut Lab) -> Result<()> {
    let programs = programs()?;
    let publisher = Publisher::new(lab, &programs.keys, &programs.next_keys)?;
    let (old, new) = (&programs.old_version, &programs.new_version);
    let house = House::build(lab, Kind::Systemd)?;
    fs::remove_file(house.outside(PM))?;
    house.write(SCRIPT, &publisher.installer()?)?;
    let before = house.portrait()?;

    publisher.publish(old, &programs.old)?;
    install_and_count(&house, lab)?;
    house.minute(Kind::Systemd)?;
    counted(&house, 10)?;

    // A unit of an older pm's.
    let mode =
        |mode: u32| fs::set_permissions(house.outside(TIMER), PermissionsExt::from_mode(mode));
    mode(0o600)?;
    publisher.publish(new, &programs.new)?;
    let mirror = publisher.url();
    let said = house.run(&[PM, "update", "--mirror", &mirror])?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!(
        said.stdout.contains(&format!("pm {new} is installed")),
        "{said:?}"
    );
    ensure!(said.stderr.is_empty(), "{said:?}");
    let renewed = fs::metadata(house.outside(TIMER))?.permissions().mode() & 0o777;
    ensure!(renewed == 0o644, "the unit stayed: {renewed:o}");
    let log = house.read("/run/systemctl.log")?;
    ensure!(log.matches("daemon-reload").count() == 2, "{log}");
    house.minute(Kind::Systemd)?;
    counted(&house, 10)?;

    // Somebody else's stands in the way of the units; the new pm is installed all the same.
    let timer = house.read(TIMER)?;
    house.write(TIMER, "# mine\n")?;
    let said = house.run(&[PM, "update", "--force", "--mirror", &mirror])?;
    ensure!(said.code == Some(0), "{said:?}");
    for words in ["its `pm setup` failed", TIMER, "hint: "] {
        ensure!(said.stderr.contains(words), "{words}: {said:?}");
    }
    ensure!(house.read(TIMER)? == "# mine\n", "it was replaced");
    ensure!(house.ok(&[PM, "--version"])?.contains(&new.to_string()));
    house.write(TIMER, &timer)?;

    // What an installer that was killed leaves.
    house.write("/usr/local/bin/.pm.install.4711", "half a program\n")?;
    let announced = house.ok(&[PM, "uninstall", "--dry-run"])?;
    for path in [".pm.old", ".pm.install.4711"] {
        ensure!(
            announced.contains(path),
            "not announced: {path}: {announced}"
        );
    }
    house.ok(&[PM, "uninstall", "--yes"])?;
    house.portrait()?.equals(&before)
}

/// Returns how long it takes from the start of `install.sh`, whose release is at hand, to the first counted byte.
///
/// # Errors
///
/// When pm cannot be installed, or does not count.
pub(crate) fn first_byte(lab: &mut Lab, version: &Version, pm: &Path) -> Result<Duration> {
    let (keys, next_keys) = (
        KeyPair::generate_unencrypted_keypair()?,
        KeyPair::generate_unencrypted_keypair()?,
    );
    let publisher = Publisher::new(lab, &keys, &next_keys)?;
    let house = House::build(lab, Kind::Systemd)?;
    fs::remove_file(house.outside(PM))?;
    house.write(SCRIPT, &publisher.installer()?)?;
    publisher.publish(version, pm)?;
    let started = Instant::now();
    install_and_count(&house, lab)?;
    Ok(started.elapsed())
}

/// Installs pm, monitors a port, and sends it what `pm list` then shows.
fn install_and_count(house: &House<'_>, lab: &Lab) -> Result<()> {
    let said = house.ok(&["env", PATH, "sh", SCRIPT, "--yes"])?;
    ensure!(said.contains("pm is set up"), "{said}");
    house.ok(&[PM, "add", "20000", "--quota", "1GB"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, PAYLOAD)?;
    counted(house, 10)
}

/// A point that an update left, and a configuration that nobody can write for the time being.
fn a_tick_that_cannot_undo_an_update_says_so_and_goes_on(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::Systemd)?;
    house.ok(&[PM, "add", "20000"])?;
    house.ok(&[PM, "monitor"])?;
    // The copy is of before: the new pm has written its configuration otherwise.
    let config = house.read("/etc/port_monitor/config.json")?;
    house.write("/var/lib/port_monitor/update/config.json", &(config + "\n"))?;
    fs::copy(
        house.outside("/var/lib/port_monitor/state.db"),
        house.outside("/var/lib/port_monitor/update/state.db"),
    )?;
    house.write(
        "/var/lib/port_monitor/update/point.json",
        r#"{"note": "", "had_config": true, "had_state": true}"#,
    )?;
    let etc = "/etc/port_monitor";
    house.ok(&["mount", "--bind", etc, etc])?;
    house.ok(&["mount", "-o", "remount,ro,bind", etc])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, PAYLOAD)?;
    for command in [&["monitor"][..], &["restore", "--boot"]] {
        let said = house.run(&[&[PM], command].concat())?;
        ensure!(said.code == Some(0), "{command:?}: {said:?}");
        for words in ["cannot be undone", "read-only", "hint: "] {
            ensure!(
                said.stderr.contains(words),
                "{command:?}: {words}: {said:?}"
            );
        }
    }
    check_refusal(&house.run(&[PM, "add", "443"])?, &["read-only"])?;

    house.ok(&["umount", etc])?;
    let said = house.run(&[PM, "monitor"])?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!(said.stderr.contains("was interrupted"), "{said:?}");
    let point = house.outside("/var/lib/port_monitor/update/point.json");
    ensure!(!point.exists(), "it was not undone");
    // Once, whichever tick it was.
    counted(&house, 10)?;
    let quiet = house.run(&[PM, "monitor"])?;
    ensure!(quiet.stderr.is_empty(), "{quiet:?}");
    Ok(())
}

/// Who moves in from pm.sh has it where pm is installed, and a line in a crontab that names that place.
///
/// Fault 16 of the tools that pm's users come from: what is somebody else's is deleted; fault 10: nothing is saved until
/// somebody opens a menu.
fn pm_sh_is_moved_aside_does_its_work_and_comes_back(lab: &mut Lab) -> Result<()> {
    let programs = programs()?;
    let publisher = Publisher::new(lab, &programs.keys, &programs.next_keys)?;
    publisher.publish(&programs.old_version, &programs.old)?;
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    house.write(SCRIPT, &publisher.installer()?)?;
    house.write(
        PM,
        "#!/bin/sh\n# nft list table inet port_monitor\necho \"$0 $*\" >>/run/pm-sh.log\n",
    )?;
    fs::set_permissions(house.outside(PM), PermissionsExt::from_mode(0o755))?;
    house.write(
        "/etc/port_monitor/config.json",
        r#"{"node_id": "hk", "config_version": 3, "ports": {"443": {"quota_gb": 1}}}"#,
    )?;
    house.write(
        "/etc/cron.d/pm-sh",
        "* * * * * root /usr/local/bin/pm --monitor\n",
    )?;
    lab.vps.nft_load(
        "table inet port_monitor {\n counter cnt_in_443 { packets 7 bytes 4711 }\n \
         counter cnt_out_443 { packets 1 bytes 99 }\n}\n",
    )?;
    let rules = lab.vps.nft(&["list", "ruleset"])?;
    let before = house.portrait()?;
    let log = house.outside("/run/pm-sh.log");

    check_refusal(
        &house.run(&["env", PATH, "sh", SCRIPT, "--yes"])?,
        &["pm.sh", "--move-aside"],
    )?;
    ensure!(!log.exists(), "it was run: {}", fs::read_to_string(&log)?);
    house.portrait()?.equals(&before).context("a refusal")?;
    // All is done, and waits for the operator to have its configuration's place.
    let said = house.run(&["env", PATH, "sh", SCRIPT, "--yes", "--move-aside"])?;
    ensure!(
        said.code == Some(3) && said.stderr.contains("pm import --from pm.sh"),
        "{said:?}"
    );
    ensure!(
        said.stdout.contains("pm.before-pm") && said.stdout.contains("pm is set up"),
        "{said:?}"
    );
    ensure!(!log.exists(), "it was run: {}", fs::read_to_string(&log)?);

    // Its own line still does its minute; pm's own leaves all that is its alone, and says so.
    house.ok(&[PM, "--monitor"])?;
    ensure!(house.read("/run/pm-sh.log")? == "/usr/local/bin/pm.before-pm --monitor\n");
    let tick = house.run(&[PM, "monitor"])?;
    ensure!(
        tick.code == Some(3) && tick.stderr.contains("belongs to pm.sh"),
        "{tick:?}"
    );
    ensure!(
        lab.vps.nft(&["list", "ruleset"])? == rules,
        "its table was changed"
    );
    // Not where somebody else could have changed it.
    let kept = house.outside("/usr/local/bin/pm.before-pm");
    fs::set_permissions(&kept, PermissionsExt::from_mode(0o777))?;
    let tick = house.run(&[PM, "--monitor"])?;
    ensure!(tick.code == Some(3), "{tick:?}");
    fs::set_permissions(&kept, PermissionsExt::from_mode(0o755))?;

    let announced = house.ok(&[PM, "uninstall", "--dry-run"])?;
    ensure!(
        announced.contains("it is /usr/local/bin/pm again"),
        "{announced}"
    );
    house.ok(&[PM, "uninstall", "--yes"])?;
    fs::remove_file(&log)?;
    house.portrait()?.equals(&before)
}

/// Checks what has arrived at the only service.
fn counted(house: &House<'_>, datagrams: u64) -> Result<()> {
    let list = house.ok(&[PM, "list", "--json"])?;
    let counted = format!("\"in_bytes\":{}", datagrams * DATAGRAM);
    ensure!(list.contains(&counted), "not counted: {list}");
    Ok(())
}
