//! An older tool on a host: what it has there, what it has counted, and traffic for it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::setups::ASIDE;
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
    /// What that does to its files and counters.
    pub(in crate::netns) script: &'static str,
    /// Its files: path and text.
    pub(in crate::netns) files: &'static [(&'static str, &'static str)],
    /// How many services it has of [`PORTS`].
    pub(in crate::netns) services: usize,
    /// How often each byte that comes in, and each that is sent, is in its counters, by port; 0: there is none.
    pub(in crate::netns) times: [(u64, u64); 2],
    /// What its counters show, by port, in and out.
    pub(in crate::netns) shown: [(u64, u64); 2],
    /// What was used before, by port, in and out.
    pub(in crate::netns) before: [(u64, u64); 2],
    /// Whether it counts what is forwarded, too.
    pub(in crate::netns) forwards: bool,
}

impl Old {
    /// Puts the tool on a host, as it is after a while; nothing has passed yet since.
    pub(in crate::netns) fn install(&self, lab: &Lab, house: &House<'_>) -> Result<()> {
        lab.vps.nft_load(FOREIGN_TABLE)?;
        lab.vps.nft_load(&self.ruleset())?;
        for (path, text) in self.files {
            house.write(path, text)?;
        }
        let place = house.outside(CRONTAB);
        fs::create_dir_all(place.parent().context("a crontab has a directory")?)?;
        fs::write(place, [FOREIGN, self.cron.as_bytes(), b"\n"].concat())?;
        Ok(())
    }

    /// Returns its table, whose counters are where its files say that they were.
    pub(in crate::netns) fn ruleset(&self) -> String {
        let (mut objects, mut chains) = (String::new(), [String::new(), String::new()]);
        for (at, port) in PORTS.iter().enumerate().take(self.services) {
            let safe = port.replace('-', "_");
            let names = match self.table {
                "port_monitor" => [format!("cnt_in_{safe}"), format!("cnt_out_{safe}")],
                "port_traffic_monitor" => [format!("port_{safe}_in"), format!("port_{safe}_out")],
                _ => [format!("p_{safe}_in"), format!("p_{safe}_out")],
            };
            let (shown, times) = (self.shown[at], self.times[at]);
            for (way, (name, key, shown, times)) in [
                (&names[0], "dport", shown.0, times.0),
                (&names[1], "sport", shown.1, times.1),
            ]
            .into_iter()
            .enumerate()
            {
                if times > 0 {
                    objects += &format!("counter {name} {{ packets 1 bytes {shown}\n}}\n");
                }
                for _ in 0..times {
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
        let chain = |hook: &str, rules: &str| {
            format!("chain {hook} {{ type filter hook {hook} priority {priority}\n{rules}}}\n")
        };
        let [input, output] = &chains;
        let forward = match self.forwards {
            true => chain("forward", &[&input[..], output].concat()),
            false => String::new(),
        };
        let table = self.table;
        let (input, output) = (chain("input", input), chain("output", output));
        format!("table inet {table} {{\n{set}{objects}{input}{output}{forward}}}\n")
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
        for (at, port) in PORTS.iter().enumerate().take(self.services) {
            let started = Instant::now();
            loop {
                let truth = lab.truth(Place::Passed, port)?;
                let billed = used(house, port)?;
                let (incoming, outgoing) = self.before[at];
                let expected = Bytes {
                    inbound: truth.inbound + incoming,
                    outbound: truth.outbound + outgoing,
                };
                // A dog's reset in the middle says how much it closed, and not which way that went.
                let closed = if at == 0 { self.closed(house)? } else { 0 };
                if billed == expected || closed > 0 && billed.sum() + closed == expected.sum() {
                    ensure!(truth.sum() > 0, "nothing has passed port {port}");
                    break;
                }
                ensure!(
                    started.elapsed() < Duration::from_secs(2),
                    "port {port}: pm says {billed:?}, it was {expected:?}, {truth:?} of it since, {closed} closed"
                );
            }
        }
        Ok(())
    }

    /// Returns how many bytes of its first port are in the closed periods of its history, which was taken over.
    pub(in crate::netns) fn closed(&self, house: &House<'_>) -> Result<u64> {
        let kept = "/var/lib/port_monitor/takeover/port-traffic-dog/backup/files";
        let history = format!("{kept}/etc/port-traffic-dog/reset_history.log");
        if !house.outside(&history).exists() {
            return Ok(0);
        }
        let history = house.read(&history)?;
        let bytes = history
            .lines()
            .map(|line| Ok(line.split('|').nth(2).context("no bytes")?.parse::<u64>()?));
        let shown: u64 = bytes.sum::<Result<u64>>()?;
        Ok(shown / self.times[0].0)
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
