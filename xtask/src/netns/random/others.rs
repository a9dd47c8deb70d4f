//! What belongs to others on the host, and must stay as it is: tables, marks, queueing disciplines, routes.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::pump::Notes;
use crate::lab::Lab;
use crate::namespace::run;
use crate::truth::{self, Bytes, Place};

/// The operator's own rules, as his `/etc/nftables.conf` loads them: they mark every packet.
const FOREIGN: &str = "table inet foreign {
	set friends {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.0.2.7 }
	}
	chain mark_out {
		type route hook output priority mangle; policy accept;
		meta mark set 0x00000042
	}
	chain mark_in {
		type filter hook prerouting priority mangle; policy accept;
		meta mark set 0x00000007
	}
	chain guard {
		type filter hook input priority filter; policy accept;
		ip saddr @friends meta mark 0x00000007 accept
		tcp dport 22 accept
	}
}
";

/// Counts packets whose mark is not the operator's any more, behind pm, and all that it looked at.
const WITNESS: &str = "table inet witness {
	counter changed { }
	counter overwritten { }
	counter sent { }
	counter arrived { }
	chain out {
		type filter hook postrouting priority 300; policy accept;
		oif 1 accept
		meta l4proto { tcp, udp } counter name sent
		meta l4proto { tcp, udp } meta mark != 0x00000042 counter name changed
		meta l4proto { tcp, udp } meta mark & 0x00007fff != 0x00000042 counter name overwritten
	}
	chain in {
		type filter hook input priority filter + 40; policy accept;
		iif 1 accept
		meta l4proto { tcp, udp } counter name arrived
		meta l4proto { tcp, udp } meta mark != 0x00000007 counter name changed
		meta l4proto { tcp, udp } meta mark & 0x00007fff != 0x00000007 counter name overwritten
	}
}
";

const NAT: &str = "table ip container {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 8443 dnat to 10.99.0.2:443
	}
}
";

/// An interface of the host that is no uplink, with the operator's own shaping.
const FOREIGN_TC: [&[&str]; 4] = [
    &[
        "qdisc", "add", "dev", "wan9", "root", "handle", "1:", "htb", "default", "10",
    ],
    &[
        "class", "add", "dev", "wan9", "parent", "1:", "classid", "1:10", "htb", "rate", "7mbit",
    ],
    &[
        "qdisc", "add", "dev", "wan9", "parent", "1:10", "handle", "110:", "pfifo", "limit", "33",
    ],
    &[
        "filter", "add", "dev", "wan9", "parent", "1:", "protocol", "ip", "prio", "5", "u32",
        "match", "ip", "dport", "80", "0xffff", "flowid", "1:10",
    ],
];

/// The state of what is not pm's.
#[derive(Debug)]
pub(super) struct Others {
    ports: Vec<u16>,
    /// Whether an address-translating chain of somebody's is there.
    pub(super) nat: bool,
    /// What it looked like when it came.
    nat_before: Option<String>,
    /// Whether marks may differ in the bits that pm was given.
    pub(super) marks_are_shared: bool,
    before: Option<Picture>,
    /// What the truth table showed, and what was known to have passed, at one moment.
    base: Option<(BTreeMap<String, Bytes>, BTreeMap<u16, Bytes>)>,
}

/// What must stay as it is.
#[derive(Debug, PartialEq)]
struct Picture {
    table: String,
    foreign_tc: String,
    /// Beside pm's own, while it is there.
    uplinks: Vec<String>,
}

impl Others {
    pub(super) fn new(ports: Vec<u16>) -> Self {
        Self {
            ports,
            nat: false,
            nat_before: None,
            marks_are_shared: false,
            before: None,
            base: None,
        }
    }

    /// Sets up a fresh namespace.
    ///
    /// # Errors
    ///
    /// When it looks different from the one before.
    pub(super) fn furnish(&mut self, lab: &Lab) -> Result<()> {
        for name in ["eth1", "wan9"] {
            let (vps, client) = (lab.vps.name(), lab.client.name());
            let mut add = Command::new("ip");
            add.args([
                "link", "add", name, "netns", vps, "type", "veth", "peer", "name", name, "netns",
                client,
            ]);
            run(&mut add, None)?.success()?;
            for namespace in [&lab.vps, &lab.client] {
                namespace.ip(&format!(
                    "link set {name} addrgenmode none\nlink set {name} up\n"
                ))?;
            }
        }
        lab.vps
            .ip("addr add 10.78.0.1/24 dev eth1\naddr add fd78::1/64 dev eth1 nodad\n")?;
        for args in FOREIGN_TC {
            lab.vps.tc(args)?;
        }
        lab.vps.tc(&[
            "qdisc", "replace", "dev", "eth0", "root", "handle", "77:", "pfifo", "limit", "77",
        ])?;
        self.load(lab, "")?;
        let now = Picture::of(lab)?;
        if let Some(before) = &self.before {
            ensure!(*before == now, "a fresh host looks different: {now:?}");
        }
        self.before = Some(now);
        Ok(())
    }

    /// Takes away what a namespace that will go shares with the client's.
    ///
    /// # Errors
    ///
    /// When it is gone already, or was not left alone.
    pub(super) fn clear(&mut self, lab: &Lab) -> Result<()> {
        self.check(lab)?;
        lab.client.ip("link del eth1\nlink del wan9\n")?;
        self.nat = false;
        Ok(())
    }

    /// Loads the operator's rules in place of everything that is there, with `more` behind them.
    ///
    /// # Errors
    ///
    /// When pm has changed them, or nft refuses.
    pub(super) fn replace(&mut self, lab: &Lab, more: &str) -> Result<()> {
        // What the witness has seen goes, too.
        self.check(lab)?;
        self.load(lab, more)
    }

    fn load(&mut self, lab: &Lab, more: &str) -> Result<()> {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let truth = truth::server_rules(&ports);
        lab.vps
            .nft_load(&format!("flush ruleset\n{FOREIGN}{WITNESS}{truth}{more}"))?;
        self.base = None;
        self.nat = false;
        Ok(())
    }

    /// Makes somebody's address translation come, or go.
    ///
    /// # Errors
    ///
    /// When nft refuses, or when it was not left alone.
    pub(super) fn toggle_nat(&mut self, lab: &Lab) -> Result<()> {
        if self.nat {
            self.check_nat(lab)?;
            lab.vps.nft(&["delete", "table", "ip", "container"])?;
        } else {
            lab.vps.nft_load(NAT)?;
            self.nat_before = Some(table(lab, ["ip", "container"])?);
        }
        self.nat = !self.nat;
        Ok(())
    }

    fn check_nat(&self, lab: &Lab) -> Result<()> {
        let now = table(lab, ["ip", "container"])?;
        ensure!(
            self.nat_before.as_ref() == Some(&now),
            "somebody's address translation was changed:\n{now}"
        );
        Ok(())
    }

    /// Checks that the truth table has counted what is known to have passed.
    ///
    /// # Errors
    ///
    /// With both figures.
    pub(super) fn check_truth(&mut self, lab: &Lab, passed: &BTreeMap<u16, Bytes>) -> Result<()> {
        let now = truth::read(&lab.vps, Place::Passed)?;
        if let Some((then, known)) = &self.base {
            for (port, &passed) in passed {
                let of = |all: &BTreeMap<String, Bytes>| {
                    all.get(&port.to_string()).copied().unwrap_or_default()
                };
                let counted = of(&now) - of(then);
                let noted = passed - known.get(port).copied().unwrap_or_default();
                ensure!(
                    counted == noted,
                    "port {port}: {noted:?} were noted, {counted:?} counted behind pm"
                );
            }
        }
        self.base = Some((now, passed.clone()));
        Ok(())
    }

    /// Checks that nobody's things were touched but pm's own.
    ///
    /// # Errors
    ///
    /// With what has changed.
    pub(super) fn check(&self, lab: &Lab) -> Result<()> {
        let (before, now) = (
            self.before.as_ref().context("nothing is there yet")?,
            Picture::of(lab)?,
        );
        ensure!(
            now.table == before.table,
            "a foreign table was changed:\n{}",
            now.table
        );
        ensure!(
            now.foreign_tc == before.foreign_tc,
            "a foreign interface's traffic control was changed:\n{}",
            now.foreign_tc
        );
        if self.nat {
            self.check_nat(lab)?;
        }
        let wrong = if self.marks_are_shared {
            "overwritten"
        } else {
            "changed"
        };
        ensure!(!has_counted(lab, wrong)?, "somebody's marks were {wrong}");
        Ok(())
    }

    /// Checks that everything is as if pm had never been there.
    ///
    /// # Errors
    ///
    /// With what is different.
    pub(super) fn check_left(&self, lab: &Lab) -> Result<()> {
        self.check(lab)?;
        for way in ["sent", "arrived"] {
            ensure!(
                has_counted(lab, way)?,
                "nobody has looked at the marks of what {way}"
            );
        }
        let (before, now) = (
            self.before.as_ref().context("nothing is there yet")?,
            Picture::of(lab)?,
        );
        ensure!(
            now.uplinks == before.uplinks,
            "the uplinks' queueing disciplines were {:?} and are {:?}",
            before.uplinks,
            now.uplinks
        );
        let tables = lab.vps.nft(&["list", "tables"])?;
        ensure!(
            !tables.contains("port_monitor"),
            "pm has left something:\n{tables}"
        );
        Ok(())
    }
}

impl Picture {
    fn of(lab: &Lab) -> Result<Self> {
        let mut foreign_tc = String::new();
        for kind in ["qdisc", "class", "filter"] {
            foreign_tc += &lab.vps.tc(&[kind, "show", "dev", "wan9"])?;
        }
        let uplinks = ["eth0", "eth1"].map(|name| lab.vps.tc(&["qdisc", "show", "dev", name]));
        Ok(Self {
            table: table(lab, ["inet", "foreign"])?,
            foreign_tc,
            uplinks: uplinks.into_iter().collect::<Result<_>>()?,
        })
    }
}

/// Returns a table as nft prints it, with the handles by which something made anew is known.
fn table(lab: &Lab, [family, name]: [&str; 2]) -> Result<String> {
    let printed = lab.vps.nft(&["-a", "list", "table", family, name])?;
    // The table's own handle is another one each time that it is loaded.
    Ok(printed.lines().skip(1).collect::<Vec<_>>().join("\n"))
}

/// Whether the witness has counted anything of a kind.
fn has_counted(lab: &Lab, name: &str) -> Result<bool> {
    let printed = lab.vps.nft(&["list", "counter", "inet", "witness", name])?;
    Ok(!printed.contains("packets 0 bytes 0"))
}

/// Returns what passed on each port.
pub(super) fn passed(notes: &Notes) -> BTreeMap<u16, Bytes> {
    notes
        .iter()
        .map(|(port, note)| (*port, note.passed))
        .collect()
}
