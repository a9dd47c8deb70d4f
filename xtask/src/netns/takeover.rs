//! `pm import --from` on hosts where an older tool counts, under traffic: its table, rules and files as it makes them,
//! its cron firing in the middle, and the truth counted behind both.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

pub(super) mod back;
mod old;
pub(super) mod troubles;

use old::{DOG, Old, PM_SH, PORTS, RATE, TRAFFIC_DOG, Traffic};

use super::settling::{House, Kind, PM};
use super::tests;
use crate::lab::{Family, Lab, check_refusal, wait_until};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, Way};

tests!["takeover":
    pm_sh_is_taken_over_to_the_byte_while_its_cron_fires,
    a_dog_that_counts_twice_is_taken_over_to_the_byte,
    a_traffic_dog_is_taken_over_to_the_byte,
    a_takeover_killed_at_random_keeps_every_byte,
    a_takeover_killed_before_system_calls_keeps_every_byte,
    nothing_changes_without_a_yes_or_in_a_dry_run,
];

/// What pm.sh does each minute to one port, as far as it concerns bytes. It runs as long as its line is in the crontab.
const PM_SH_CRON: &str = r#"
ran=0
while [ -e /run/go ]; do
    grep -q '^[*] [*] [*] [*] [*] /usr/local/bin/pm --monitor$' /var/spool/cron/crontabs/root || { sleep 0.01; continue; }
    (
        flock -n 9 || exit 0
        . /etc/port_monitor/state/20000.txt
        in=$(nft list counter inet port_monitor cnt_in_20000 | sed -n 's/.*bytes //p')
        out=$(nft list counter inet port_monitor cnt_out_20000 | sed -n 's/.*bytes //p')
        [ -n "$in" ] && [ -n "$out" ] || exit 0
        [ "$in" -ge "$s_last_k_in" ] && s_acc_in=$((s_acc_in + in - s_last_k_in)) || s_acc_in=$((s_acc_in + in))
        [ "$out" -ge "$s_last_k_out" ] && s_acc_out=$((s_acc_out + out - s_last_k_out)) || s_acc_out=$((s_acc_out + out))
        printf 's_acc_in=%s\ns_acc_out=%s\ns_last_k_in=%s\ns_last_k_out=%s\n' \
            "$s_acc_in" "$s_acc_out" "$in" "$out" >/run/state.new
        cat /run/state.new >/etc/port_monitor/state/20000.txt
        echo >>/run/ran
    ) 9>/var/run/pm_cron.lock
done
"#;

/// Lets pm.sh's cron run, again and again, until it is ended.
struct Cron<'a> {
    house: &'a House<'a>,
    child: Child,
}

impl<'a> Cron<'a> {
    fn start(house: &'a House<'a>) -> Result<Self> {
        house.write("/run/go", "")?;
        let mut command =
            house.command(&["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", PM_SH_CRON]);
        let child = command.stdin(Stdio::null()).spawn()?;
        let cron = Self { house, child };
        cron.ran(3)?;
        Ok(cron)
    }

    /// Waits until it has run so often.
    fn ran(&self, times: usize) -> Result<()> {
        wait_until("the old cron runs", || {
            let ran = fs::read(self.house.outside("/run/ran")).unwrap_or_default();
            Ok(ran.len() >= times)
        })
        .map(|_| ())
    }
}

impl Drop for Cron<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.house.outside("/run/go"));
        let _ = self.child.wait();
    }
}

/// Faults 5, 11 and 16 of the tools that pm's users come from, seen from their successor.
fn pm_sh_is_taken_over_to_the_byte_while_its_cron_fires(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    PM_SH.install(lab, &house)?;
    lab.vps.tc(&[
        "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "fffe",
    ])?;
    lab.vps.tc(&[
        "class", "add", "dev", "eth0", "parent", "1:", "classid", "1:fffe", "htb", "rate",
        "1000mbit", "quantum", "60000",
    ])?;
    let traffic = Traffic::start(lab)?;
    let cron = Cron::start(&house)?;
    traffic.goes_on()?;
    house.ok(&PM_SH.import())?;
    traffic.goes_on()?;
    drop(cron);
    house.ok(&[PM, "monitor"])?;
    traffic.goes_on()?;
    traffic.stop()?;
    PM_SH.exact(lab, &house)?;
    let qdiscs = lab.vps.tc(&["qdisc", "show", "dev", "eth0"])?;
    ensure!(!qdiscs.contains("htb"), "{qdiscs}");
    PM_SH.is_gone(lab, &house)?;
    check_refusal(&house.run(&PM_SH.import())?, &["pm.sh is not there"])
}

fn a_dog_that_counts_twice_is_taken_over_to_the_byte(lab: &mut Lab) -> Result<()> {
    taken_over(lab, &DOG)
}

fn a_traffic_dog_is_taken_over_to_the_byte(lab: &mut Lab) -> Result<()> {
    taken_over(lab, &TRAFFIC_DOG)
}

fn taken_over(lab: &Lab, old: &Old) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    lab.watch_cut(&PORTS)?;
    old.install(lab, &house)?;
    let traffic = Traffic::start(lab)?;
    traffic.goes_on()?;
    house.ok(&old.import())?;
    traffic.goes_on()?;
    house.ok(&[PM, "monitor"])?;
    traffic.goes_on()?;
    traffic.stop()?;
    old.exact(lab, &house)?;
    old.is_gone(lab, &house)
}

fn a_takeover_killed_at_random_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let (mut rng, mut all) = (Rng::new(lab.seed()), 0);
    for (round, old) in [&PM_SH, &DOG, &TRAFFIC_DOG].into_iter().enumerate() {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        lab.vps.nft(&["flush", "ruleset"])?;
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
            // The moment is part of the test's random input, not a wait for anything.
            let (started, moment) = (Instant::now(), rng.moment(longest));
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
        // Whatever half of it stands is completed, or taken back and begun anew; it may have been whole.
        let again = house.run(&old.import())?;
        if let Err(error) = again.success() {
            ensure!(format!("{error:#}").contains("is not there"), "{error:#}");
        }
        house.ok(&[PM, "monitor"])?;
        traffic.goes_on()?;
        traffic.stop()?;
        old.exact(lab, &house)
            .with_context(|| format!("round {round} after {killed} kills, seed {}", lab.seed()))?;
        old.is_gone(lab, &house)
            .with_context(|| format!("round {round} after {killed} kills, seed {}", lab.seed()))?;
        all += killed;
    }
    ensure!(all > 0, "nothing was killed in time");
    Ok(())
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

fn a_takeover_killed_before_system_calls_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let mut kills = 0;
    let mut kills_by = BTreeMap::from(CALLS.map(|call| (call, 0)));
    for old in [&PM_SH, &DOG] {
        for call in CALLS {
            // The first ones only look; every third is still every step.
            for when in (1..400).step_by(3) {
                let injected = format!("inject={call}:signal=SIGKILL:when={when}");
                let traced = format!("trace={call}");
                let house = House::build(lab, Kind::CronAndSysvinit)?;
                lab.vps.nft(&["flush", "ruleset"])?;
                lab.watch_cut(&PORTS)?;
                old.install(lab, &house)?;
                let flood = Flood::start(lab, Family::V4, Way::In, 20000, 500, Pace::Steady(RATE))?;
                let other =
                    Flood::start(lab, Family::V6, Way::Out, 30050, 800, Pace::Steady(RATE))?;
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
                let killed = house.run(&[&strace[..], &old.import()].concat())?;
                let is_over = killed.success().is_ok();
                flood.wait_for(100)?;
                let again = house.run(&old.import())?;
                if let Err(error) = again.success() {
                    ensure!(format!("{error:#}").contains("is not there"), "{error:#}");
                }
                flood.wait_for(100)?;
                flood.stop()?;
                other.stop()?;
                let place = || format!("{}, before {call} no. {when}", old.name);
                old.exact(lab, &house).with_context(place)?;
                old.is_gone(lab, &house).with_context(place)?;
                if is_over {
                    break;
                }
                kills += 1;
                *kills_by.entry(call).or_default() += 1;
            }
        }
    }
    ensure!(kills > 20, "only {kills} kills: the test does not test");
    let files = kills_by["renameat"].min(kills_by["fsync"]);
    ensure!(
        files > 2,
        "no kill hits configuration, journal or crontab: {kills_by:?}"
    );
    println!("        {kills} kills");
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
