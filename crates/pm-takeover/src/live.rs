//! What a tool has in the kernel: its table, and the roots that it gave to interfaces.

use std::fmt::Write;

use pm_legacy::{Counter, Kernel, Quota, Table, Tool};
use pm_nft::Nftables;
use pm_nft::other::OtherTable;
use pm_tc::TrafficControl;
use pm_tc::other::OtherRoot;
use serde::{Deserialize, Serialize};

use crate::error::TakeoverError;

/// pm.sh's default class, as a minor number.
const PM_SH_DEFAULT: u16 = 0xfffe;
/// A dog's, which it never makes.
const DOG_DEFAULT: u16 = 0x30;
/// The class above all others of a dog's.
const DOG_TOP: u16 = 1;
/// What both give to their uppermost class, in bytes a second.
const GIGABIT: u64 = 125_000_000;
/// pm.sh's set of blocked ports.
const BLOCKED: &str = "blocked_ports";

/// A tool's part of the kernel.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Live {
    /// Its table; `None`: there is none.
    pub table: Option<OtherTable>,
    /// Its roots.
    pub roots: Vec<OtherRoot>,
}

impl Live {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// As the kernel says.
    pub fn read(
        tool: Tool,
        nftables: &mut Nftables,
        control: &mut TrafficControl,
    ) -> Result<Self, TakeoverError> {
        // pm's own may be there under the same name.
        let table = nftables.read_other(tool.table())?;
        let mut roots = control.other_roots()?;
        roots.retain(|root| is_root_of(tool, root));
        Ok(Self {
            table: table.filter(|table| tool != Tool::PmSh || is_pm_shs(table)),
            roots,
        })
    }

    /// Returns it as it is taken over.
    pub fn kernel(&self) -> Kernel {
        Kernel {
            table: self.table.as_ref().map(table),
        }
    }

    /// Returns it as a text to read.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(table) = &self.table {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "table inet {} {{ # handle {}",
                table.name, table.handle
            );
            for (name, bytes) in &table.counters {
                let _ = writeln!(text, "\tcounter {name} {{ bytes {bytes} }}");
            }
            for (name, quota) in &table.quotas {
                let (limit, used) = (quota.limit, quota.used);
                let _ = writeln!(
                    text,
                    "\tquota {name} {{ over {limit} bytes used {used} bytes }}"
                );
            }
            for (name, ports) in &table.sets {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                let _ = writeln!(
                    text,
                    "\tset {name} {{ elements = {{ {} }} }}",
                    ports.join(", ")
                );
            }
            for (counter, chains) in &table.rules {
                for (chain, rules) in chains {
                    let (tcp, all) = (rules.tcp, rules.all);
                    let _ = writeln!(
                        text,
                        "\t# {all} rules, {tcp} for TCP, name {counter} in {chain}"
                    );
                }
            }
            text.push_str("}\n");
        }
        for root in &self.roots {
            let _ = writeln!(
                text,
                "qdisc htb 1: dev {} root default {:x}",
                root.interface, root.default
            );
            for (minor, class) in &root.classes {
                let bits = class.rate.saturating_mul(8);
                let _ = writeln!(
                    text,
                    "class htb 1:{minor:x} parent 1:{:x} rate {bits}bit",
                    class.parent
                );
            }
        }
        text
    }
}

fn table(table: &OtherTable) -> Table {
    let counters = table.counters.iter().map(|(name, &bytes)| {
        let rules = table.rules.get(name).into_iter().flatten();
        let tcp_rules = rules.map(|(chain, rules)| (chain.clone(), rules.tcp));
        let counter = Counter {
            bytes,
            tcp_rules: tcp_rules.filter(|(_, rules)| *rules > 0).collect(),
        };
        (name.clone(), counter)
    });
    let quotas = table.quotas.iter().map(|(name, quota)| {
        let (used, limit) = (quota.used, quota.limit);
        (name.clone(), Quota { used, limit })
    });
    Table {
        counters: counters.collect(),
        quotas: quotas.collect(),
        blocked: table.sets.get(BLOCKED).cloned().unwrap_or_default(),
    }
}

/// Whether a table called `port_monitor` is pm.sh's, and not pm's own.
fn is_pm_shs(table: &OtherTable) -> bool {
    let is_its = |name: &String| name.starts_with("cnt_in_") || name.starts_with("cnt_out_");
    table.sets.contains_key(BLOCKED) || table.counters.keys().any(is_its)
}

/// Whether a root is what `tool` makes, and nobody else's with the same handle.
fn is_root_of(tool: Tool, root: &OtherRoot) -> bool {
    let parents = |minor: u16| {
        root.classes
            .iter()
            .filter(move |(number, _)| **number != minor)
    };
    match tool {
        Tool::PmSh => {
            root.default == u32::from(PM_SH_DEFAULT)
                && parents(PM_SH_DEFAULT).all(|(_, class)| class.parent == 0)
        }
        // With 1:30 it would be the example that many operators begin with.
        Tool::Dog => {
            let top = root.classes.get(&DOG_TOP);
            root.default == u32::from(DOG_DEFAULT)
                && !root.classes.contains_key(&DOG_DEFAULT)
                && top.is_some_and(|top| top.parent == 0 && top.rate == GIGABIT)
                && parents(DOG_TOP).all(|(_, class)| class.parent == DOG_TOP)
        }
        Tool::TrafficDog => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_tc::other::OtherClass;

    fn root(default: u32, classes: &[(u16, u16, u64)]) -> OtherRoot {
        let class = |&(minor, parent, rate): &(u16, u16, u64)| {
            (
                minor,
                OtherClass {
                    parent,
                    rate,
                    ceil: rate,
                },
            )
        };
        OtherRoot {
            index: 2,
            interface: "eth0".to_owned(),
            default,
            classes: classes.iter().map(class).collect(),
        }
    }

    /// Fault 16 of the tools that pm's users come from: uninstall deletes foreign qdiscs.
    #[test]
    fn an_operators_own_htb_is_nobodys() {
        let pm_sh = root(0xfffe, &[(0xfffe, 0, GIGABIT), (0x2766, 0, 100)]);
        let dog = root(0x30, &[(1, 0, GIGABIT), (0x11bb, 1, 100)]);
        assert!(is_root_of(Tool::PmSh, &pm_sh) && is_root_of(Tool::Dog, &dog));
        for own in [
            root(0x30, &[(1, 0, GIGABIT), (0x10, 1, 100), (0x30, 1, 100)]),
            root(0x30, &[(1, 0, 7), (0x10, 1, 100)]),
            root(0x30, &[]),
            root(0xfffe, &[(1, 0, GIGABIT), (0x10, 1, 100)]),
            root(0, &[]),
        ] {
            assert!(
                Tool::ALL.iter().all(|tool| !is_root_of(*tool, &own)),
                "{own:?}"
            );
        }
    }
}
