//! What stands in the way of a packet: one ruleset after the other.

use std::process::Command;

use anyhow::Result;

use super::{FIRST, LAST};
use crate::lab::Lab;
use crate::namespace::run;

/// One ruleset, with or without traffic control.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// No rules.
    Nothing,
    /// One counter that every packet passes.
    Counter,
    /// pm with ten services that have a quota.
    Pm10,
    /// pm with a thousand.
    Pm1000,
    /// A counting rule for each of a thousand ports and protocols.
    RulePerPort,
    /// pm with a thousand services that have a quota and a class, and nothing that shapes, polices or classifies
    /// by the class.
    Classes,
    /// The same with the limit in front of the quota, which pm has wherever it assigns a class.
    Limited,
    /// The same with pm's HTB.
    Shaped,
    /// An HTB with one class for everything, and no rules.
    BareHtb,
}

impl Layout {
    /// All of them, as they are numbered.
    pub(super) const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Counter,
        Self::Pm10,
        Self::Pm1000,
        Self::RulePerPort,
        Self::Classes,
        Self::Limited,
        Self::Shaped,
        Self::BareHtb,
    ];

    /// Those of them that are pm's.
    pub(super) const PM: [Self; 5] = [
        Self::Pm10,
        Self::Pm1000,
        Self::Classes,
        Self::Limited,
        Self::Shaped,
    ];

    /// Puts this layout, and nothing else, into the VPS.
    pub(super) fn load(self, lab: &Lab) -> Result<()> {
        for other in Self::PM {
            // Leaves the interface as it was, too.
            run(&mut other.pm(lab, &["teardown"])?, None)?.success()?;
        }
        lab.vps.nft(&["flush", "ruleset"])?;
        set_default_route(lab, self == Self::Shaped)?;
        set_bare_htb(lab, self == Self::BareHtb)?;
        match self {
            Self::Nothing | Self::BareHtb => Ok(()),
            Self::Counter => lab.vps.nft_load(&foreign(|_| "counter\n".to_owned())),
            Self::RulePerPort => lab.vps.nft_load(&foreign(|key| {
                let ports = FIRST..=LAST;
                ports
                    .map(|port| format!("tcp {key} {port} counter\n udp {key} {port} counter\n"))
                    .collect()
            })),
            Self::Pm10 | Self::Pm1000 | Self::Limited | Self::Shaped => {
                run(&mut self.pm(lab, &["restore"])?, None)?.success()?;
                Ok(())
            }
            Self::Classes => {
                run(&mut self.pm(lab, &["restore"])?, None)?.success()?;
                let listed = lab.vps.nft(&["list", "table", "inet", "port_monitor"])?;
                let is_limit = |line: &&str| line.trim_start().starts_with("limit name ");
                let without: Vec<&str> = listed.lines().filter(|line| !is_limit(line)).collect();
                lab.vps.nft(&["flush", "ruleset"])?;
                lab.vps.nft_load(&without.join("\n"))
            }
        }
    }

    /// Returns a run of pm that knows this layout's services.
    fn pm(self, lab: &Lab, args: &[&str]) -> Result<Command> {
        let mut command = lab.pm_command(args);
        for (variable, name) in [
            ("PM_CONFIG_DIR", "config"),
            ("PM_STATE_DIR", "state"),
            ("PM_RUN_DIR", "run"),
        ] {
            let directory = lab.directory().join(format!("{self:?}-{name}"));
            std::fs::create_dir_all(&directory)?;
            command.env(variable, directory);
        }
        Ok(command)
    }

    /// Adds this layout's services to pm's configuration, and leaves the kernel without.
    pub(super) fn configure(self, lab: &Lab) -> Result<()> {
        let step = match self {
            Self::Pm10 => 111,
            _ => 1,
        };
        let ports: Vec<String> = (FIRST..=LAST)
            .step_by(step)
            .map(|port| port.to_string())
            .collect();
        let ports = ports.join(",");
        let mut args = vec!["add", &ports, "--quota", "100TB"];
        if matches!(self, Self::Classes | Self::Limited | Self::Shaped) {
            // Far above what one thread sends.
            args.extend(["--limit", "40G"]);
        }
        run(&mut self.pm(lab, &args)?, None)?.success()?;
        run(&mut self.pm(lab, &["teardown"])?, None)?.success()?;
        Ok(())
    }
}

/// pm shapes where a default route leads.
fn set_default_route(lab: &Lab, wanted: bool) -> Result<()> {
    let verb = if wanted { "replace" } else { "flush" };
    let rest = if wanted {
        "default via 10.77.0.2"
    } else {
        "default"
    };
    lab.vps.ip(&format!("route {verb} {rest}\n"))
}

fn set_bare_htb(lab: &Lab, wanted: bool) -> Result<()> {
    let tc = |args: &str| -> Result<()> {
        run(lab.vps.command("tc").args(args.split(' ')), None)?.success()?;
        Ok(())
    };
    if !wanted {
        // Without a handle of its own there is nothing to delete.
        let _ = tc("qdisc del dev eth0 root handle 1:");
        return Ok(());
    }
    tc("qdisc add dev eth0 root handle 1: htb default 1")?;
    tc("class add dev eth0 parent 1: classid 1:1 htb rate 40gbit")
}

/// Writes a table that is not pm's, with `rules` for the port of the service in either direction.
fn foreign(rules: impl Fn(&str) -> String) -> String {
    let mut text = String::from("table inet comparison {\n");
    for (hook, key) in [("input", "dport"), ("output", "sport")] {
        text += &format!(
            "chain {hook} {{ type filter hook {hook} priority filter + 20; policy accept;\n{}}}\n",
            rules(key)
        );
    }
    text + "}\n"
}
