//! `pm import --from` on hosts where an older tool counts, under traffic: its table, rules and files as it makes them,
//! its cron firing in the middle, and the truth counted behind both.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::settling::{House, Kind, PM};
use super::tests;
use crate::lab::{Family, Lab, check_refusal, wait_until};
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way};
use crate::truth::{Bytes, Place};

tests!["takeover":
    pm_sh_is_taken_over_to_the_byte_while_its_cron_fires,
    a_dog_that_counts_twice_is_taken_over_to_the_byte,
    a_traffic_dog_is_taken_over_to_the_byte,
    a_takeover_killed_at_random_keeps_every_byte,
    a_takeover_killed_before_system_calls_keeps_every_byte,
    what_is_undone_is_the_tools_again_with_what_was_counted,
    nothing_changes_without_a_yes_or_in_a_dry_run,
];

const CRONTAB: &str = "/var/spool/cron/crontabs/root";
const PORTS: [&str; 2] = ["20000", "30000-30100"];
const RATE: u64 = 40_000_000;

/// Lines of somebody else's that say "pm", and one with another encoding.
const FOREIGN: &[u8] =
    b"# pm \xc1\xf7\n7 3 * * * /usr/local/bin/pm2 save\n0 4 * * * npm run pm --monitor\n";
const FOREIGN_TABLE: &str =
    "table inet pm {\n\tcounter cnt_in_20000 {\n\t\tpackets 1 bytes 7\n\t}\n}\n";

/// An older tool on a host.
struct Old {
    name: &'static str,
    table: &'static str,
    /// What its crontab line is.
    cron: &'static str,
    /// How often each byte is in its counters.
    times: u64,
    /// What was used before, by port, in and out.
    before: [(u64, u64); 2],
}

const ASIDE: &str = "/usr/local/bin/pm.before-pm";
const PM_SH_SCRIPT: &str = "#!/bin/bash\n# table inet port_monitor\n";

const PM_SH: Old = Old {
    name: "pm.sh",
    table: "port_monitor",
    cron: "* * * * * /usr/local/bin/pm --monitor",
    times: 1,
    before: [(5_000_000, 7_000_000), (0, 0)],
};
const DOG: Old = Old {
    name: "port-traffic-dog",
    table: "port_traffic_monitor",
    cron: "*/5 * * * * /usr/local/bin/port-traffic-dog.sh --check-scheduled-resets >/dev/null 2>&1  # port-traffic-dog scheduled reset check",
    times: 2,
    before: [(5_000_000, 7_000_000), (2_000, 4_000)],
};
const TRAFFIC_DOG: Old = Old {
    name: "traffic-dog",
    table: "port_traffic_stat",
    cron: "",
    times: 1,
    before: [(1_288_490_188, 5_153_960_755), (524_288_000, 0)],
};

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

impl Old {
    /// Puts the tool on a host, as it is after a while; nothing has passed yet since.
    fn install(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
        lab.vps.nft_load(FOREIGN_TABLE)?;
        lab.vps.nft_load(&self.ruleset())?;
        match self.table {
            "port_monitor" => {
                house.write(
                    "/etc/port_monitor/config.json",
                    r#"{"node_id":"hk","interface":"eth0","config_version":3,"ports":{
                    "20000":{"quota_gb":100,"quota_mode":"in_out","limit_mbps":0,"reset_day":0,"comment":"老王","group_id":""}}}"#,
                )?;
                house.write(
                    "/etc/port_monitor/state/20000.txt",
                    "s_acc_in=4999500\ns_acc_out=7000000\ns_last_k_in=0\ns_last_k_out=0\n",
                )?;
                // Where `install.sh` has moved it.
                house.write(ASIDE, PM_SH_SCRIPT)?;
            }
            "port_traffic_monitor" => {
                house.write(
                    "/etc/port-traffic-dog/config.json",
                    r#"{"global":{"billing_mode":"double"},"ports":{
                    "20000":{"name":"a","enabled":true,"billing_mode":"double","bandwidth_limit":{"enabled":false,"rate":"unlimited"},
                      "quota":{"enabled":true,"monthly_limit":"300GB"},"remark":"alice"},
                    "30000-30100":{"name":"b","enabled":true,"billing_mode":"double","bandwidth_limit":{"enabled":false,"rate":"unlimited"},
                      "quota":{"enabled":true,"monthly_limit":"unlimited"},"remark":""}},
                    "nftables":{"table_name":"port_traffic_monitor","family":"inet"}}"#,
                )?;
                let script = "#!/bin/bash\n# port_traffic_monitor\n";
                house.write("/usr/local/bin/port-traffic-dog.sh", script)?;
            }
            _ => {
                let directory = "/etc/port-traffic-stat";
                house.write(&format!("{directory}/ports"), "20000\n30000-30100\n")?;
                house.write(
                    &format!("{directory}/state"),
                    "20000 1288490188 5153960755 2026-07-06T20:00:00+0800\n30000-30100 524288000 0 2026-07-06T20:00:00+0800\n",
                )?;
                house.write(&format!("{directory}/limits"), "20000 10737418240000\n")?;
                house.write(&format!("{directory}/used"), "")?;
            }
        }
        let mut crontab = FOREIGN.to_vec();
        if !self.cron.is_empty() {
            crontab.extend_from_slice(format!("{}\n", self.cron).as_bytes());
        }
        let place = house.outside(CRONTAB);
        fs::create_dir_all(place.parent().context("a crontab has a directory")?)?;
        fs::write(place, crontab)?;
        Ok(())
    }

    /// Returns its table, whose counters are where its files say that they were.
    fn ruleset(&self) -> String {
        let (mut objects, mut chains) = (String::new(), [String::new(), String::new()]);
        let ports: &[&str] = match self.table {
            "port_monitor" => &PORTS[..1],
            _ => &PORTS,
        };
        for (at, port) in ports.iter().enumerate() {
            let safe = port.replace('-', "_");
            let names = match self.table {
                "port_monitor" => [format!("cnt_in_{safe}"), format!("cnt_out_{safe}")],
                "port_traffic_monitor" => [format!("port_{safe}_in"), format!("port_{safe}_out")],
                _ => [format!("p_{safe}_in"), format!("p_{safe}_out")],
            };
            // pm.sh has looked at 0 of 500; a dog has no figures but its counters.
            let shown = match self.table {
                "port_monitor" => [500, 0],
                "port_traffic_monitor" => [self.before[at].0 * 2, self.before[at].1 * 2],
                _ => [0, 0],
            };
            for (way, key) in ["dport", "sport"].into_iter().enumerate() {
                let name = &names[way];
                objects += &format!("counter {name} {{ packets 1 bytes {}\n}}\n", shown[way]);
                for _ in 0..self.times {
                    for protocol in ["tcp", "udp"] {
                        chains[way] += &format!("{protocol} {key} {port} counter name {name}\n");
                    }
                }
            }
        }
        let set = match self.table {
            "port_monitor" => "set blocked_ports { type inet_service\n}\n",
            _ => "",
        };
        let priority = if self.table == "port_monitor" { -5 } else { 0 };
        let [input, output] = chains;
        format!(
            "table inet {} {{\n{set}{objects}\
             chain input {{ type filter hook input priority {priority}\n{input}}}\n\
             chain output {{ type filter hook output priority {priority}\n{output}}}\n}}\n",
            self.table
        )
    }

    /// Takes it over.
    fn import<'a>(&self) -> [&'a str; 5]
    where
        Self: 'a,
    {
        [PM, "import", "--from", self.name, "--yes"]
    }

    /// Checks that pm says what was used before and what has passed since, to the byte.
    fn exact(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
        let services = if self.table == "port_monitor" { 1 } else { 2 };
        for (at, port) in PORTS.iter().enumerate().take(services) {
            let started = Instant::now();
            loop {
                let truth = lab.truth(Place::Passed, port)?;
                let billed = used(house, port)?;
                let (incoming, outgoing) = self.before[at];
                let expected = Bytes {
                    inbound: truth.inbound + incoming,
                    outbound: truth.outbound + outgoing,
                };
                if billed == expected {
                    ensure!(truth.sum() > 0, "nothing has passed port {port}");
                    break;
                }
                ensure!(
                    started.elapsed() < Duration::from_secs(2),
                    "port {port}: pm says {billed:?}, it was {expected:?}, {truth:?} of it since"
                );
            }
        }
        Ok(())
    }

    /// Checks that nothing of the tool's is left, and everything of others is.
    fn is_gone(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
        let ruleset = lab.vps.nft(&["list", "ruleset"])?;
        for name in [
            "cnt_in_",
            "cnt_out_",
            "blocked_ports",
            "port_traffic",
            "takeover",
        ] {
            let ours = ruleset.replace("cnt_in_20000 {\n\t\tpackets 1 bytes 7", "");
            ensure!(!ours.contains(name), "{name} is left: {ruleset}");
        }
        let foreign = lab.vps.nft(&["list", "table", "inet", "pm"])?;
        ensure!(foreign == FOREIGN_TABLE, "{foreign}");
        let crontab = fs::read(house.outside(CRONTAB))?;
        ensure!(crontab == FOREIGN, "{}", String::from_utf8_lossy(&crontab));
        for path in [
            "/var/run/pm_cron.lock",
            "/var/run/pm.lock",
            "/etc/port-traffic-dog",
            "/etc/port-traffic-stat",
            "/etc/port_monitor/state",
            "/usr/local/bin/port-traffic-dog.sh",
            ASIDE,
        ] {
            ensure!(!house.outside(path).exists(), "{path} is left");
        }
        Ok(())
    }
}

/// Returns what pm says that a service has used.
fn used(house: &House<'_>, port: &str) -> Result<Bytes> {
    let list = house.ok(&[PM, "list", "--json"])?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let services = list["services"].as_array().context("no services")?;
    let service = services.iter().find(|service| service["port"] == port);
    let service = service.with_context(|| format!("no service {port} in {list}"))?;
    let bytes = |key: &str| service[key].as_u64().with_context(|| format!("no {key}"));
    Ok(Bytes {
        inbound: bytes("in_bytes")?,
        outbound: bytes("out_bytes")?,
    })
}

/// Steady UDP and TCP, both ways.
struct Traffic {
    floods: Vec<Flood>,
    _tcp: TcpFlood,
}

impl Traffic {
    fn start(lab: &Lab) -> Result<Self> {
        let flood = |way, port, payload| {
            Flood::start(lab, Family::V4, way, port, payload, Pace::Steady(RATE))
        };
        Ok(Self {
            floods: vec![
                flood(Way::In, 20000, 500)?,
                Flood::start(lab, Family::V6, Way::Out, 30050, 800, Pace::Steady(RATE))?,
            ],
            _tcp: TcpFlood::start(lab, Family::V4, Way::Out, 20000)?,
        })
    }

    fn goes_on(&self) -> Result<()> {
        self.floods.iter().try_for_each(|flood| flood.wait_for(500))
    }

    fn stop(self) -> Result<()> {
        for flood in self.floods {
            flood.stop()?;
        }
        Ok(())
    }
}

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
const CALLS: [&str; 4] = ["sendto", "rename", "unlink", "ftruncate"];

fn a_takeover_killed_before_system_calls_keeps_every_byte(lab: &mut Lab) -> Result<()> {
    let mut kills = 0;
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
            }
        }
    }
    ensure!(kills > 20, "only {kills} kills: the test does not test");
    println!("        {kills} kills");
    Ok(())
}

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
