//! Older tools on a host: what they have there, what they have counted, and traffic for them.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::{Family, Lab};
use crate::netns::settling::{House, PM};
use crate::traffic::{Flood, Pace, TcpFlood, Way};
use crate::truth::{Bytes, Place};

pub(in crate::netns) const CRONTAB: &str = "/var/spool/cron/crontabs/root";
pub(in crate::netns) const PORTS: [&str; 2] = ["20000", "30000-30100"];
pub(in crate::netns) const RATE: u64 = 40_000_000;

/// Lines of somebody else's that say "pm", and one with another encoding.
pub(in crate::netns) const FOREIGN: &[u8] =
    b"# pm \xc1\xf7\n7 3 * * * /usr/local/bin/pm2 save\n0 4 * * * npm run pm --monitor\n";
pub(in crate::netns) const FOREIGN_TABLE: &str =
    "table inet pm {\n\tcounter cnt_in_20000 {\n\t\tpackets 1 bytes 7\n\t}\n}\n";

/// An older tool on a host.
pub(in crate::netns) struct Old {
    pub(in crate::netns) name: &'static str,
    pub(in crate::netns) table: &'static str,
    /// What its crontab line is.
    pub(in crate::netns) cron: &'static str,
    /// How often each byte is in its counters.
    pub(in crate::netns) times: u64,
    /// What was used before, by port, in and out.
    pub(in crate::netns) before: [(u64, u64); 2],
}

pub(in crate::netns) const ASIDE: &str = "/usr/local/bin/pm.before-pm";
pub(in crate::netns) const PM_SH_SCRIPT: &str = "#!/bin/bash\n# table inet port_monitor\n";

pub(in crate::netns) const PM_SH: Old = Old {
    name: "pm.sh",
    table: "port_monitor",
    cron: "* * * * * /usr/local/bin/pm --monitor",
    times: 1,
    before: [(5_000_000, 7_000_000), (0, 0)],
};
pub(in crate::netns) const DOG: Old = Old {
    name: "port-traffic-dog",
    table: "port_traffic_monitor",
    cron: "*/5 * * * * /usr/local/bin/port-traffic-dog.sh --check-scheduled-resets >/dev/null 2>&1  # port-traffic-dog scheduled reset check",
    times: 2,
    before: [(5_000_000, 7_000_000), (2_000, 4_000)],
};
pub(in crate::netns) const TRAFFIC_DOG: Old = Old {
    name: "traffic-dog",
    table: "port_traffic_stat",
    cron: "",
    times: 1,
    before: [(1_288_490_188, 5_153_960_755), (524_288_000, 0)],
};

impl Old {
    /// Puts the tool on a host, as it is after a while; nothing has passed yet since.
    pub(in crate::netns) fn install(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
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
    pub(in crate::netns) fn ruleset(&self) -> String {
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
    pub(in crate::netns) fn import<'a>(&self) -> [&'a str; 5]
    where
        Self: 'a,
    {
        [PM, "import", "--from", self.name, "--yes"]
    }

    /// Checks that pm says what was used before and what has passed since, to the byte.
    pub(in crate::netns) fn exact(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
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
    pub(in crate::netns) fn is_gone(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
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
            // `/var/run` is a link out of the house.
            "/run/pm_cron.lock",
            "/run/pm.lock",
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
pub(in crate::netns) fn used(house: &House<'_>, port: &str) -> Result<Bytes> {
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
pub(in crate::netns) struct Traffic {
    floods: Vec<Flood>,
    _tcp: TcpFlood,
}

impl Traffic {
    pub(in crate::netns) fn start(lab: &Lab) -> Result<Self> {
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

    pub(in crate::netns) fn goes_on(&self) -> Result<()> {
        self.floods.iter().try_for_each(|flood| flood.wait_for(500))
    }

    pub(in crate::netns) fn stop(self) -> Result<()> {
        for flood in self.floods {
            flood.stop()?;
        }
        Ok(())
    }
}
