//! The Debian package, in `dpkg`'s hands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use pm_update::Version;

use super::{House, Kind, PM};
use crate::dist;
use crate::lab::Lab;
use crate::netns::tests;
use crate::releases::target;

tests!["settling":
    a_debian_package_comes_and_goes,
    a_debian_package_keeps_out_of_what_is_not_its_own,
    a_debian_package_goes_where_nothing_may_be_changed_in_the_kernel,
    a_first_tick_that_fails_does_not_fail_the_package,
];

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PACKAGE: &str = "/opt/port-monitor.deb";
const TICK: &str = "/etc/systemd/system/port-monitor-tick.service";
const RECORD: &str = "/var/lib/port_monitor/made-by-setup";
const CONFIG: &str = "/etc/port_monitor/config.json";

/// An upgrade renews the units, removal leaves nothing that calls a program which is gone, purging keeps no data.
fn a_debian_package_comes_and_goes(lab: &mut Lab) -> Result<()> {
    let house = house_with_package(lab)?;
    let before = house.portrait()?;
    let run = |words: &[&str]| house.ok(&[&["env", PATH], words].concat());

    let said = run(&["dpkg", "-i", PACKAGE])?;
    ensure!(said.contains("To put pm to work: pm setup"), "{said}");
    run(&["pm", "setup"])?;
    run(&["pm", "add", "20000"])?;
    let tick = house.read(TICK)?;
    ensure!(tick.contains("ExecStart=/usr/bin/pm monitor"), "{tick}");

    // What tells directories that had to be made from those that were there is missing where all of them were.
    let record = house.read(RECORD)?;
    fs::remove_file(house.outside(RECORD))?;
    fs::remove_file(house.outside(TICK))?;
    run(&["dpkg", "-i", PACKAGE])?;
    ensure!(house.read(TICK)? == tick, "it was not renewed");
    house.write(RECORD, &record)?;

    run(&["dpkg", "--remove", "port-monitor"])?;
    ensure!(!house.outside(TICK).exists(), "a unit calls nothing");
    ensure!(house.outside(CONFIG).exists(), "the data is gone");
    let rules = lab.vps.nft(&["list", "ruleset"])?;
    ensure!(!rules.contains("port_monitor"), "{rules}");
    run(&["dpkg", "--purge", "port-monitor"])?;
    house.portrait()?.equals(&before)
}

fn make(lab: &Lab) -> Result<Vec<u8>> {
    let version = Version::parse(env!("CARGO_PKG_VERSION"))?;
    let package = dist::package(lab.directory(), &version, &target(), lab.pm_path())?;
    Ok(fs::read(package)?)
}

/// Makes a host with the package on it, ready to be installed.
fn house_with_package(lab: &Lab) -> Result<House<'_>> {
    static MADE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    // To compress a debug build takes longer than all that is done with it.
    let made = MADE.get_or_init(|| make(lab).map_err(|error| format!("{error:#}")));
    let package = made.as_ref().map_err(|error| anyhow!("{error}"))?;
    let house = House::build(lab, Kind::Systemd)?;
    fs::remove_file(house.outside(PM))?;
    fs::write(house.outside(PACKAGE), package)?;
    Ok(house)
}

/// Fault 16 of the tools that pm's users come from: what is somebody else's is deleted.
fn a_debian_package_keeps_out_of_what_is_not_its_own(lab: &mut Lab) -> Result<()> {
    let house = house_with_package(lab)?;
    // Another program of that name comes first on the path, and another pm is at work.
    house.write(PM, "#!/bin/sh\nexit 77\n")?;
    fs::set_permissions(house.outside(PM), fs::Permissions::from_mode(0o755))?;
    house.write(TICK, "[Service]\nExecStart=/usr/local/bin/pm monitor\n")?;
    let theirs = r#"{"node_id": "hk", "ports": {"443": {}}}"#;
    house.write(CONFIG, theirs)?;
    house.write("/var/lib/port_monitor/mine", "mine\n")?;
    house.write("/var/lib/port_monitor/state.db", "not really\n")?;
    let run = |words: &[&str]| house.ok(&[&["env", PATH], words].concat());
    run(&["dpkg", "-i", PACKAGE])?;
    run(&["dpkg", "--remove", "port-monitor"])?;
    ensure!(house.outside(TICK).exists(), "another pm's unit is gone");
    run(&["dpkg", "-i", PACKAGE])?;
    let said = run(&["dpkg", "--purge", "port-monitor"])?;
    ensure!(said.contains("/etc/port_monitor stays"), "{said}");
    ensure!(
        house.read(CONFIG)? == theirs,
        "pm.sh's configuration was changed"
    );
    ensure!(house.read("/var/lib/port_monitor/mine")? == "mine\n");
    ensure!(
        !house.outside("/var/lib/port_monitor/state.db").exists(),
        "pm's own stays"
    );
    Ok(())
}

/// As where an image of a container is built.
fn a_debian_package_goes_where_nothing_may_be_changed_in_the_kernel(lab: &mut Lab) -> Result<()> {
    let house = house_with_package(lab)?;
    let before = house.portrait()?;
    let run = |words: &[&str]| {
        let powerless = [
            "setpriv",
            "--bounding-set",
            "-net_admin",
            "--inh-caps",
            "-net_admin",
        ];
        house.ok(&[&["env", PATH], &powerless[..], words].concat())
    };
    run(&["dpkg", "-i", PACKAGE])?;
    run(&["dpkg", "--remove", "port-monitor"])?;
    run(&["dpkg", "--purge", "port-monitor"])?;
    house.portrait()?.equals(&before)
}

fn a_first_tick_that_fails_does_not_fail_the_package(lab: &mut Lab) -> Result<()> {
    let house = house_with_package(lab)?;
    let run = |words: &[&str]| house.run(&[&["env", PATH], words].concat());
    run(&["dpkg", "-i", PACKAGE])?.success()?;
    run(&["/usr/bin/pm", "setup"])?.success()?;
    house.write(
        "/usr/local/sbin/systemctl",
        "#!/bin/sh\ncase \"$*\" in *start*tick.service*) echo 226/NAMESPACE >&2; exit 1 ;; esac\n",
    )?;
    let said = run(&["/usr/bin/pm", "setup"])?;
    ensure!(said.code == Some(3), "{said:?}");
    let said = run(&["dpkg", "-i", PACKAGE])?;
    ensure!(said.code == Some(0), "{said:?}");
    let status = run(&[
        "dpkg-query",
        "--show",
        "--showformat=${Status}",
        "port-monitor",
    ])?;
    ensure!(status.stdout == "install ok installed", "{status:?}");
    // What cannot be set up at all is a failure.
    house.write(TICK, "# mine\n")?;
    let said = run(&["dpkg", "-i", PACKAGE])?;
    ensure!(said.code != Some(0), "{said:?}");
    Ok(())
}
