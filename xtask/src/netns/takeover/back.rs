//! `pm import --undo`: the host is the tool's again, with every byte that was counted since.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::old::{CRONTAB, Old, PORTS, used};
use super::setups::{ASIDE, DOG, PM_SH, PM_SH_2, PM_SH_SCRIPT, TRAFFIC_DOG};
use super::{CALLS, under_fault};
use crate::lab::{Family, Lab, check_refusal};
use crate::netns::settling::{House, Kind, PM};
use crate::netns::tests;
use crate::traffic::{Udp, Way};

tests!["takeover back":
    what_is_undone_is_the_tools_again_with_what_was_counted,
    the_dogs_go_back_the_latest_first_with_what_was_counted,
    what_was_never_adopted_goes_back_with_every_byte,
    channels_and_zone_go_again_where_nobody_changed_them,
    what_is_written_back_keeps_its_order_and_mode,
    the_history_goes_back_too_and_comes_once_when_it_comes_again,
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
            let (times_in, times_out) = old.times[usize::from(port != "20000")];
            Ok((of("input")? / times_in, of("output")? / times_out))
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

/// With a channel, and dates that are those of Beijing.
fn install_with_channel(lab: &Lab, house: &House<'_>) -> Result<()> {
    DOG.install(lab, house)?;
    let path = "/etc/port-traffic-dog/config.json";
    let channel = r#""notifications":{"telegram":{"enabled":true,"bot_token":"123456:AA-example","chat_id":"-100123",
        "server_name":"hk","status_notifications":{"enabled":true,"interval":"1h"}}},"nftables""#;
    let config = house.read(path)?;
    if !config.contains("notifications") {
        house.write(path, &config.replacen("\"nftables\"", channel, 1))?;
    }
    Ok(())
}

fn channels_and_zone_go_again_where_nobody_changed_them(lab: &mut Lab) -> Result<()> {
    const CONFIG: &str = "/etc/port_monitor/config.json";
    for changed in [false, true] {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        install_with_channel(lab, &house)?;
        house.ok(&DOG.import())?;
        let config = house.read(CONFIG)?;
        for came in ["\"telegram\"", "-100123", "Asia/Shanghai"] {
            ensure!(config.contains(came), "{came} has not come: {config}");
        }
        if changed {
            house.write(CONFIG, &config.replace("-100123", "-100999"))?;
            house.ok(&[PM, "monitor"])?;
        }
        house.ok(&UNDO)?;
        let config = house.read(CONFIG)?;
        ensure!(!config.contains("Asia/Shanghai"), "{config}");
        ensure!(config.contains("\"telegram\"") == changed, "{config}");
        ensure!(config.contains("-100999") == changed, "{config}");
    }
    Ok(())
}

fn what_is_written_back_keeps_its_order_and_mode(lab: &mut Lab) -> Result<()> {
    const CONFIG: &str = "/etc/port_monitor/config.json";
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    PM_SH_2.install(lab, &house)?;
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(house.outside(CONFIG), mode)?;
    let words = |text: &str| text.split_whitespace().collect::<String>();
    let before = words(&house.read(CONFIG)?);
    house.ok(&PM_SH_2.import())?;
    send(lab, 20000, 10, 20)?;
    house.ok(&UNDO)?;
    let expected = before
        .replace("\"acc_in\":4999500", "\"acc_in\":5010000")
        .replace("\"acc_out\":7000000", "\"acc_out\":7020000");
    let after = words(&house.read(CONFIG)?);
    ensure!(after == expected, "{after}\nis not\n{expected}");
    let mode = fs::metadata(house.outside(CONFIG))?.permissions().mode();
    ensure!(mode & 0o7777 == 0o640, "{mode:o}");
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

/// Who bills by the history would else bill twice.
fn the_history_goes_back_too_and_comes_once_when_it_comes_again(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.vps.nft(&["flush", "ruleset"])?;
    // A service of the operator's own had one of the ports before.
    house.ok(&[PM, "add", "20000"])?;
    send(lab, 20000, 3, 4)?;
    house.ok(&[PM, "del", "20000"])?;
    let history = || -> Result<Value> {
        Ok(serde_json::from_str(
            &house.ok(&[PM, "history", "--json"])?,
        )?)
    };
    let before = history()?;
    DOG.install(lab, &house)?;
    let log = "/etc/port-traffic-dog/reset_history.log";
    house.write(log, "1790000000|20000|1073741824\n")?;
    house.ok(&DOG.import())?;
    let imported = history()?;
    ensure!(
        imported.to_string().matches("1073741824").count() > 0,
        "{imported}"
    );
    send(lab, 20000, 10, 20)?;
    house.ok(&UNDO)?;
    let after = history()?;
    ensure!(after == before, "{before} became {after}");
    lab.vps.nft_load(&DOG.ruleset())?;
    house.ok(&DOG.import())?;
    let periods = |history: &Value| history["periods"].as_array().map(Vec::len);
    let again = history()?;
    ensure!(
        periods(&again).is_some() && periods(&again) == periods(&imported),
        "{imported} became {again}"
    );
    Ok(())
}

fn an_undo_killed_before_system_calls_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let mut kills = 0;
    for old in [&PM_SH, &DOG, &TRAFFIC_DOG] {
        for call in CALLS {
            for when in (1..400).step_by(3) {
                let house = House::build(lab, Kind::CronAndSysvinit)?;
                lab.vps.nft(&["flush", "ruleset"])?;
                old.install(lab, &house)?;
                let crontab = fs::read(house.outside(CRONTAB))?;
                house.ok(&old.import())?;
                send(lab, 20000, 3, 2)?;
                let is_over = under_fault(&house, &UNDO, (call, "signal=SIGKILL", when))?;
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
