//! `pm import --from` on hosts where an older tool counts, under traffic: its table, rules and files as it makes them,
//! its cron firing in the middle, and the truth counted behind both.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

pub(super) mod back;
mod cron;
pub(super) mod forwarded;
pub(super) mod offers;
mod old;
mod setups;
pub(super) mod troubles;

use cron::Cron;
use old::{Old, PORTS, RATE, Traffic};
use setups::{
    DOG, DOG_1_0, DOG_1_2_3, DOG_1_2_4, DOG_1_2_4_3, DOG_1_2_5A, DOG_1_2_5B, FORK, PM_SH, PM_SH_0,
    PM_SH_1, PM_SH_2, TRAFFIC_DOG,
};

use super::settling::{House, Kind, PM};
use super::tests;
use crate::lab::{Family, Lab, check_refusal};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Way};

tests!["takeover":
    setup_pm_sh_0_goes_on_to_the_byte_while_its_cron_fires,
    setup_pm_sh_1_goes_on_to_the_byte_while_its_cron_fires,
    setup_pm_sh_2_goes_on_to_the_byte_while_its_cron_fires,
    setup_pm_sh_3_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_0_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_3_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_4_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_4_3_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_5a_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_5b_goes_on_to_the_byte_while_its_cron_fires,
    setup_dog_1_2_5b_in_double_goes_on_to_the_byte_while_its_cron_fires,
    setup_fork_1_5_goes_on_to_the_byte_while_its_cron_fires,
    setup_traffic_dog_goes_on_to_the_byte_while_its_cron_fires,
    limits_come_along_under_traffic,
    what_the_kernel_refuses_at_any_point_costs_no_byte,
    pm_sh_killed_at_random_keeps_every_byte,
    a_dog_killed_at_random_keeps_every_byte,
    a_traffic_dog_killed_at_random_keeps_every_byte,
    a_takeover_killed_before_system_calls_keeps_every_byte,
    nothing_changes_without_a_yes_or_in_a_dry_run,
];

/// Makes a test for each of the older setups, on a host of its own.
macro_rules! setups {
    ($($(#[$doc:meta])* $name:ident: $old:expr),+ $(,)?) => {
        $($(#[$doc])* fn $name(lab: &mut Lab) -> Result<()> { taken_over(lab, &$old) })+
    };
}

setups! {
    setup_pm_sh_0_goes_on_to_the_byte_while_its_cron_fires: PM_SH_0,
    setup_pm_sh_1_goes_on_to_the_byte_while_its_cron_fires: PM_SH_1,
    setup_pm_sh_2_goes_on_to_the_byte_while_its_cron_fires: PM_SH_2,
    /// Faults 5, 11 and 16 of the tools that pm's users come from, seen from their successor.
    setup_pm_sh_3_goes_on_to_the_byte_while_its_cron_fires: PM_SH,
    setup_dog_1_0_goes_on_to_the_byte_while_its_cron_fires: DOG_1_0,
    setup_dog_1_2_3_goes_on_to_the_byte_while_its_cron_fires: DOG_1_2_3,
    setup_dog_1_2_4_goes_on_to_the_byte_while_its_cron_fires: DOG_1_2_4,
    setup_dog_1_2_4_3_goes_on_to_the_byte_while_its_cron_fires: DOG_1_2_4_3,
    setup_dog_1_2_5a_goes_on_to_the_byte_while_its_cron_fires: DOG_1_2_5A,
    setup_dog_1_2_5b_goes_on_to_the_byte_while_its_cron_fires: DOG_1_2_5B,
    setup_dog_1_2_5b_in_double_goes_on_to_the_byte_while_its_cron_fires: DOG,
    setup_fork_1_5_goes_on_to_the_byte_while_its_cron_fires: FORK,
    setup_traffic_dog_goes_on_to_the_byte_while_its_cron_fires: TRAFFIC_DOG,
}

/// The classes that pm.sh and the dogs put at the root of the interface.
const ROOTS: [(&str, &str, &str); 2] = [
    ("pm.sh", "fffe", "1:fffe"),
    ("port-traffic-dog", "30", "1:1"),
];

fn taken_over(lab: &Lab, old: &Old) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    old.install(lab, &house)?;
    for (_, default, class) in ROOTS.iter().filter(|(name, ..)| *name == old.name) {
        let root = [
            "dev", "eth0", "root", "handle", "1:", "htb", "default", default,
        ];
        lab.vps.tc(&[&["qdisc", "add"], &root[..]].concat())?;
        lab.vps.tc(&[
            "class", "add", "dev", "eth0", "parent", "1:", "classid", class, "htb", "rate",
            "1000mbit", "quantum", "60000",
        ])?;
    }
    let traffic = Traffic::start(lab)?;
    let cron = Cron::start(&house, old)?;
    traffic.goes_on()?;
    house.ok(&old.import())?;
    traffic.goes_on()?;
    drop(cron);
    house.ok(&[PM, "monitor"])?;
    traffic.goes_on()?;
    traffic.stop()?;
    old.exact(lab, &house)?;
    let qdiscs = lab.vps.tc(&["qdisc", "show", "dev", "eth0"])?;
    ensure!(!qdiscs.contains("htb"), "{qdiscs}");
    old.is_gone(lab, &house)?;
    let gone = format!("{} was taken over already", old.name);
    check_refusal(&house.run(&old.import())?, &[&gone])
}

fn pm_sh_killed_at_random_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    killed_at_random(lab, &PM_SH)
}

fn a_dog_killed_at_random_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    killed_at_random(lab, &DOG)
}

fn a_traffic_dog_killed_at_random_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    killed_at_random(lab, &TRAFFIC_DOG)
}

/// On a host of its own: the last packets of an older connection would count for another tool.
fn killed_at_random(lab: &Lab, old: &Old) -> Result<()> {
    let mut rng = Rng::new(lab.seed());
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    old.install(lab, &house)?;
    let traffic = Traffic::start(lab)?;
    let started = Instant::now();
    house.ok(&[PM, "import", "--from", old.name, "--dry-run"])?;
    let longest = started.elapsed();
    let mut killed = 0;
    for _ in 0..12 {
        let mut child = house
            .command(&old.import())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // The moment is part of the test's random input, not a wait for anything. Nothing is over as soon as this.
        let most = if killed == 0 { longest / 2 } else { longest };
        let (started, moment) = (Instant::now(), rng.moment(most));
        while started.elapsed() < moment && child.try_wait()?.is_none() {
            std::hint::spin_loop();
        }
        child.kill()?;
        let is_over = child.wait()?.code().is_some();
        killed += u32::from(!is_over);
        if is_over {
            break;
        }
    }
    ensure!(killed > 0, "nothing was killed in time");
    // Whatever half of it stands is completed, or taken back and begun anew; it may have been whole.
    let again = house.run(&old.import())?;
    if let Err(error) = again.success() {
        ensure!(
            format!("{error:#}").contains("was taken over already"),
            "{error:#}"
        );
    }
    house.ok(&[PM, "monitor"])?;
    traffic.goes_on()?;
    traffic.stop()?;
    let place = || format!("after {killed} kills, seed {}", lab.seed());
    old.exact(lab, &house).with_context(place)?;
    old.is_gone(lab, &house).with_context(place)
}

/// System calls that change something which outlives the process.
pub(super) const CALLS: [&str; 6] = [
    "sendto",
    "rename",
    "renameat",
    "unlink",
    "fsync",
    "ftruncate",
];

/// Where it is noted what befell a command.
const TRACE: &str = "/run/trace";

/// Runs a command that a fault befalls at the `when`th call of one system call; returns whether it came to its end.
fn under_fault(
    house: &House<'_>,
    command: &[&str],
    (call, fault, when): (&str, &str, u32),
) -> Result<bool> {
    let injected = format!("inject={call}:{fault}:when={when}");
    let traced = format!("trace={call}");
    let strace = ["strace", "-f", "-qq", "-o", TRACE];
    let strace = [&strace[..], &["-e", &traced, "-e", &injected]].concat();
    Ok(house.run(&[&strace, command].concat())?.success().is_ok())
}

/// Takes over while a fault befalls it at each few calls of one system call, and again afterwards; returns how often
/// it failed. What it can do without does not stop it.
fn faults(lab: &Lab, old: &Old, (call, fault): (&str, &str)) -> Result<u32> {
    // The first ones only look; every third is still every step.
    let mut failed = 0;
    for when in (1..400).step_by(3) {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
        lab.watch_cut(&PORTS)?;
        old.install(lab, &house)?;
        let flood = Flood::start(lab, Family::V4, Way::In, 20000, 500, Pace::Steady(RATE))?;
        let other = Flood::start(lab, Family::V6, Way::Out, 30050, 800, Pace::Steady(RATE))?;
        let is_over = under_fault(&house, &old.import(), (call, fault, when))?;
        flood.wait_for(100)?;
        let again = house.run(&old.import())?;
        if let Err(error) = again.success() {
            ensure!(
                format!("{error:#}").contains("was taken over already"),
                "{error:#}"
            );
        }
        flood.wait_for(100)?;
        flood.stop()?;
        other.stop()?;
        let place = || format!("{}, {fault} before {call} no. {when}", old.name);
        old.exact(lab, &house).with_context(place)?;
        old.is_gone(lab, &house).with_context(place)?;
        if is_over && !house.read(TRACE)?.contains("(INJECTED)") {
            return Ok(failed);
        }
        failed += u32::from(!is_over);
    }
    bail!("{}: {call} has no end", old.name)
}

fn a_takeover_killed_before_system_calls_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let mut kills = BTreeMap::from(CALLS.map(|call| (call, 0)));
    for old in [&PM_SH, &DOG] {
        for call in CALLS {
            *kills.entry(call).or_default() += faults(lab, old, (call, "signal=SIGKILL"))?;
        }
    }
    let all: u32 = kills.values().sum();
    ensure!(all > 20, "only {all} kills: the test does not test");
    let files = kills["renameat"].min(kills["fsync"]);
    ensure!(
        files > 2,
        "no kill hits configuration, journal or crontab: {kills:?}"
    );
    println!("        {all} kills");
    Ok(())
}

/// A limit that no flood of these reaches.
const LIMITED: Old = Old {
    files: &[
        (
            "/etc/port_monitor/config.json",
            r#"{"node_id":"hk","interface":"eth0","config_version":3,"ports":{
            "20000":{"quota_gb":100,"quota_mode":"in_out","limit_mbps":500,"reset_day":0,"comment":"","group_id":""}}}"#,
        ),
        PM_SH.files[1],
        PM_SH.files[2],
    ],
    ..PM_SH
};

/// Also tc, after the last figures were read: nobody is cut off, and the limits come with the second try, or are said
/// not to.
fn what_the_kernel_refuses_at_any_point_costs_no_byte(lab: &mut Lab) -> Result<()> {
    for old in [&LIMITED, &DOG] {
        let failed = faults(lab, old, ("sendto", "error=EPERM"))?;
        ensure!(failed > 5, "only {failed} refusals: the test does not test");
    }
    Ok(())
}

fn limits_come_along_under_traffic(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    LIMITED.install(lab, &house)?;
    let tc = |words: &str| lab.vps.tc(&words.split(' ').collect::<Vec<_>>());
    tc("qdisc add dev eth0 root handle 1: htb default fffe")?;
    for class in [
        "fffe htb rate 1000mbit",
        "4e20 htb rate 500mbit ceil 500mbit",
    ] {
        tc(&format!(
            "class add dev eth0 parent 1: classid 1:{class} quantum 60000"
        ))?;
    }
    let traffic = Traffic::start(lab)?;
    let cron = Cron::start(&house, &LIMITED)?;
    traffic.goes_on()?;
    house.ok(&LIMITED.import())?;
    traffic.goes_on()?;
    drop(cron);
    house.ok(&[PM, "monitor"])?;
    traffic.goes_on()?;
    let classes = tc("-s class show dev eth0")?;
    traffic.stop()?;
    LIMITED.exact(lab, &house)?;
    LIMITED.is_gone(lab, &house)?;
    let list = house.ok(&[PM, "list", "--json"])?;
    ensure!(list.contains("\"ceil_bps\":500000000"), "{list}");
    ensure!(
        classes.contains("ceil 500Mbit") && !classes.contains("1:fffe"),
        "{classes}"
    );
    Ok(())
}

fn nothing_changes_without_a_yes_or_in_a_dry_run(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    let ruleset = lab.vps.nft(&["list", "ruleset"])?;
    let said = house.ok(&[PM, "import", "--from", "pm.sh", "--dry-run"])?;
    ensure!(
        said.contains("20000") && said.contains(PM_SH.cron),
        "{said}"
    );
    check_refusal(&house.run(&[PM, "import", "--from", "pm.sh"])?, &["--yes"])?;
    check_refusal(
        &house.run(&[PM, "import", "--from", "traffic-dog", "--yes"])?,
        &["traffic-dog is not there"],
    )?;
    ensure!(
        lab.vps.nft(&["list", "ruleset"])? == ruleset,
        "the rules have changed"
    );
    ensure!(
        !house.outside("/var/lib/port_monitor/takeover").exists(),
        "something was noted"
    );

    // Half a file is refused with its line, and nothing of it is taken for empty.
    let config = house.read("/etc/port_monitor/config.json")?;
    house.write("/etc/port_monitor/config.json", &config[..100])?;
    check_refusal(&house.run(&PM_SH.import())?, &["config.json", "line"])?;
    ensure!(
        lab.vps.nft(&["list", "ruleset"])? == ruleset,
        "the rules have changed"
    );
    Ok(())
}
