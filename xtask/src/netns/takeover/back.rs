//! `pm import --undo`: the host is the tool's again, with every byte that was counted since.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::CALLS;
use super::old::{ASIDE, CRONTAB, DOG, Old, PM_SH, PM_SH_SCRIPT, PORTS, TRAFFIC_DOG, used};
use crate::lab::{Family, Lab, check_refusal};
use crate::netns::settling::{House, Kind, PM};
use crate::netns::tests;
use crate::traffic::{Udp, Way};

tests!["takeover back":
    what_is_undone_is_the_tools_again_with_what_was_counted,
    the_dogs_go_back_the_latest_first_with_what_was_counted,
    what_was_never_adopted_goes_back_with_every_byte,
    an_undo_killed_before_system_calls_keeps_every_byte,
];

const UNDO: [&str; 4] = [PM, "import", "--undo", "--yes"];

fn what_is_undone_is_the_tools_again_with_what_was_counted(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    let config = house.read("/etc/port_monitor/config.json")?;
    let crontab = fs::read(house.outside(CRONTAB))?;
    let udp = Udp::open(lab, Family::V4, 20000)?;
    udp.send(Way::In, 10, 972)?;
    house.ok(&PM_SH.import())?;
    udp.send(Way::In, 10, 972)?;
    check_refusal(&house.run(&[PM, "import", "--undo"])?, &["--yes"])?;
    house.ok(&[PM, "import", "--undo", "--yes"])?;
    ensure!(
        house.read("/etc/port_monitor/config.json")? == config,
        "another configuration"
    );
    ensure!(
        fs::read(house.outside(CRONTAB))? == crontab,
        "another crontab"
    );
    ensure!(house.read(ASIDE)? == PM_SH_SCRIPT, "another program");
    let state = house.read("/etc/port_monitor/state/20000.txt")?;
    // Each datagram has 1000 bytes.
    ensure!(
        state.contains("s_acc_in=5020000\n") && state.contains("s_last_k_in=0\n"),
        "{state}"
    );
    let ruleset = lab.vps.nft(&["list", "ruleset"])?;
    ensure!(!ruleset.contains("port_monitor"), "{ruleset}");
    check_refusal(
        &house.run(&[PM, "import", "--undo", "--yes"])?,
        &["nothing was imported"],
    )?;

    // And again, with the table that its menu makes.
    lab.vps
        .nft_load(&PM_SH.ruleset().replace("bytes 500", "bytes 0"))?;
    udp.send(Way::In, 10, 972)?;
    house.ok(&PM_SH.import())?;
    let truth = used(&house, "20000")?;
    ensure!(truth.inbound == 5_030_000, "{truth:?}");
    PM_SH.is_gone(lab, &house)
}

/// Sends so many datagrams of 1000 bytes to and from a port.
fn send(lab: &Lab, port: u16, incoming: u64, outgoing: u64) -> Result<()> {
    let udp = Udp::open(lab, Family::V4, port)?;
    udp.send(Way::In, incoming, 972)?;
    udp.send(Way::Out, outgoing, 972)
}

/// Returns what a tool's files say that a port has used, as often as it keeps each byte.
fn kept(house: &House<'_>, old: &Old, port: &str) -> Result<(u64, u64)> {
    let number = |word: Option<&str>| {
        let word = word.context("no figure")?;
        word.trim().parse::<u64>().context("no number")
    };
    match old.table {
        "port_monitor" => {
            let state = house.read(&format!("/etc/port_monitor/state/{port}.txt"))?;
            let of = |name: &str| number(state.lines().find_map(|line| line.strip_prefix(name)));
            ensure!(
                of("s_last_k_in=")? == 0 && of("s_last_k_out=")? == 0,
                "{state}"
            );
            Ok((of("s_acc_in=")?, of("s_acc_out=")?))
        }
        "port_traffic_monitor" => {
            let data = house.read("/etc/port-traffic-dog/traffic_data.json")?;
            let data: Value = serde_json::from_str(&data)?;
            let of = |name: &str| data[port][name].as_u64().context("no figure");
            Ok((of("input")? / old.times, of("output")? / old.times))
        }
        _ => {
            let state = house.read("/etc/port-traffic-stat/state")?;
            let mut lines = state
                .lines()
                .map(|line| line.split(' ').collect::<Vec<_>>());
            let line = lines.find(|line| line[0] == port).context("no line")?;
            Ok((number(line.get(1).copied())?, number(line.get(2).copied())?))
        }
    }
}

fn the_dogs_go_back_the_latest_first_with_what_was_counted(lab: &mut Lab) -> Result<()> {
    for old in [&DOG, &TRAFFIC_DOG] {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        old.install(lab, &house)?;
        let crontab = fs::read(house.outside(CRONTAB))?;
        house.ok(&old.import())?;
        send(lab, 20000, 10, 20)?;
        // One of the operator's own, imported before by nobody.
        house.ok(&[PM, "add", "9"])?;
        // Without its table, only the release says how often a byte counts.
        house.ok(&UNDO)?;
        let ((first_in, first_out), second) = (old.before[0], old.before[1]);
        let found = kept(&house, old, "20000")?;
        ensure!(
            found == (first_in + 10_000, first_out + 20_000),
            "{}: {found:?}",
            old.name
        );
        ensure!(kept(&house, old, "30000-30100")? == second, "{}", old.name);
        ensure!(fs::read(house.outside(CRONTAB))? == crontab, "{}", old.name);
        let list = house.ok(&[PM, "list", "--json"])?;
        ensure!(list.contains("\"9\"") && !list.contains("20000"), "{list}");
    }
    // Both at once, within a second or not: the one that came last is the first to go.
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    DOG.install(lab, &house)?;
    house.ok(&DOG.import())?;
    TRAFFIC_DOG.install(lab, &house)?;
    let state = "/etc/port-traffic-stat/ports";
    house.write(state, "21000\n")?;
    house.ok(&TRAFFIC_DOG.import())?;
    let said = house.ok(&UNDO)?;
    ensure!(
        said.contains("traffic-dog is back") && house.read(state)? == "21000\n",
        "{said}"
    );
    let said = house.ok(&UNDO)?;
    ensure!(said.contains("port-traffic-dog is back"), "{said}");
    Ok(())
}

fn what_was_never_adopted_goes_back_with_every_byte(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    let config = house.read("/etc/port_monitor/config.json")?;
    let state = house.outside("/var/lib/port_monitor/state.db");
    fs::create_dir_all(&state)?;
    send(lab, 20000, 10, 0)?;
    check_refusal(&house.run(&PM_SH.import())?, &["state.db"])?;
    send(lab, 20000, 7, 5)?;
    fs::remove_dir(&state)?;
    house.ok(&UNDO)?;
    let found = kept(&house, &PM_SH, "20000")?;
    ensure!(found == (5_017_000, 7_005_000), "{found:?}");
    ensure!(
        house.read("/etc/port_monitor/config.json")? == config,
        "another configuration"
    );
    let ruleset = lab.vps.nft(&["list", "ruleset"])?;
    ensure!(!ruleset.contains("port_monitor"), "{ruleset}");
    Ok(())
}

/// Returns where pm's own files were put aside.
fn put_aside(house: &House<'_>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(house.outside("/var/lib/port_monitor/takeover"))? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("pm-before-undo")
        {
            found.push(entry.path().join("state.db"));
        }
    }
    Ok(found)
}

fn an_undo_killed_before_system_calls_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let mut kills = 0;
    for old in [&PM_SH, &DOG, &TRAFFIC_DOG] {
        for call in CALLS {
            for when in (1..400).step_by(3) {
                let injected = format!("inject={call}:signal=SIGKILL:when={when}");
                let traced = format!("trace={call}");
                let house = House::build(lab, Kind::CronAndSysvinit)?;
                lab.vps.nft(&["flush", "ruleset"])?;
                old.install(lab, &house)?;
                let crontab = fs::read(house.outside(CRONTAB))?;
                house.ok(&old.import())?;
                send(lab, 20000, 3, 2)?;
                let strace = [
                    "strace",
                    "-f",
                    "-qq",
                    "-o",
                    "/dev/null",
                    "-e",
                    &traced,
                    "-e",
                    &injected,
                ];
                let is_over = house.run(&[&strace[..], &UNDO].concat())?.success().is_ok();
                // What pm does each minute meanwhile must not make it worse.
                house.run(&[PM, "monitor"])?;
                if let Err(error) = house.run(&UNDO)?.success() {
                    ensure!(
                        format!("{error:#}").contains("nothing was imported"),
                        "{error:#}"
                    );
                }
                let place = || format!("{}, before {call} no. {when}", old.name);
                let (incoming, outgoing) = old.before[0];
                let found = kept(&house, old, "20000").with_context(place)?;
                let expected = (incoming + 3000, outgoing + 2000);
                ensure!(
                    found == expected,
                    "{}: {found:?}, not {expected:?}",
                    place()
                );
                ensure!(
                    fs::read(house.outside(CRONTAB))? == crontab,
                    "{}: crontab",
                    place()
                );
                if old.table == "port_monitor" {
                    let own = put_aside(&house).with_context(place)?;
                    let has_it = |path: &PathBuf| {
                        let bytes = fs::read(path).unwrap_or_default();
                        String::from_utf8_lossy(&bytes).contains("\"20000\"")
                    };
                    ensure!(
                        own.iter().any(has_it),
                        "{}: pm's own is lost: {own:?}",
                        place()
                    );
                }
                if is_over {
                    break;
                }
                kills += 1;
            }
        }
    }
    ensure!(kills > 20, "only {kills} kills: the test does not test");
    println!("        {kills} kills");
    Ok(())
}
