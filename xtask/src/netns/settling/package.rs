//! The Debian package, in `dpkg`'s hands.

use std::fs;

use anyhow::{Result, ensure};
use pm_update::Version;

use super::{House, Kind, PM};
use crate::dist;
use crate::lab::Lab;
use crate::netns::tests;
use crate::releases::target;

tests!["settling":
    a_debian_package_comes_and_goes,
];

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PACKAGE: &str = "/opt/port-monitor.deb";
const TICK: &str = "/etc/systemd/system/port-monitor-tick.service";
const CONFIG: &str = "/etc/port_monitor/config.json";

/// An upgrade renews the units, removal leaves nothing that calls a program which is gone, purging keeps no data.
fn a_debian_package_comes_and_goes(lab: &mut Lab) -> Result<()> {
    let version = Version::parse(env!("CARGO_PKG_VERSION"))?;
    let package = dist::package(lab.directory(), &version, &target(), lab.pm_path())?;
    let house = House::build(lab, Kind::Systemd)?;
    fs::remove_file(house.outside(PM))?;
    fs::copy(package, house.outside(PACKAGE))?;
    let before = house.portrait()?;
    let run = |words: &[&str]| house.ok(&[&["env", PATH], words].concat());

    let said = run(&["dpkg", "-i", PACKAGE])?;
    ensure!(said.contains("To put pm to work: pm setup"), "{said}");
    run(&["pm", "setup"])?;
    run(&["pm", "add", "20000"])?;
    let tick = house.read(TICK)?;
    ensure!(tick.contains("ExecStart=/usr/bin/pm monitor"), "{tick}");

    fs::remove_file(house.outside(TICK))?;
    run(&["dpkg", "-i", PACKAGE])?;
    ensure!(house.read(TICK)? == tick, "it was not renewed");

    run(&["dpkg", "--remove", "port-monitor"])?;
    ensure!(!house.outside(TICK).exists(), "a unit calls nothing");
    ensure!(house.outside(CONFIG).exists(), "the data is gone");
    let rules = lab.vps.nft(&["list", "ruleset"])?;
    ensure!(!rules.contains("port_monitor"), "{rules}");
    run(&["dpkg", "--purge", "port-monitor"])?;
    house.portrait()?.equals(&before)
}
