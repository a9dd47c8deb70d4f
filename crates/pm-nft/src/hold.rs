//! Holding some ports while what counts them changes hands.
//!
//! A packet meets one base chain after the other, so taking one tool's rules out and putting another's in, in one batch
//! or two, may count it twice, or never. While they change, its ports are held: in front of all of the older rules,
//! their packets are dropped.
//!
//! - What is held is let go by the kernel itself after a while, whatever becomes of pm: the rules drop only what is in
//!   the set `active`, and its elements have a timeout.
//! - From then on, the counters behind the drop count what nobody else may be counting. Whoever finds them later knows
//!   what passed.
//! - Packets that were on their way before are still counted by the older rules: they are waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pm_core::backend::{BackendError, Netfilter};
use pm_core::port::PortRange;
use pm_core::ruleset::Direction;
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Batch, Error, NlmF};

use crate::Nftables;
use crate::backend::failure;
use crate::expr::{Expr, Verdict};
use crate::frame;
use crate::other::{Hook, OtherTable};

/// The table that holds.
pub const TABLE: &str = "port_monitor_takeover";

const ACTIVE: &str = "active";
const PROTOCOLS: &str = "protocols";
// nft's number for the type `inet_proto`; the kernel stores it for the administrator's nft.
const TYPE_INET_PROTOCOL: u32 = 12;
// In front of the rules that it must come before.
const EARLIER: i32 = 10;
// Rules of one batch: what an unprivileged socket sends at once.
const RULES: usize = 200;

/// What passed after the kernel let go, by port: bytes in and out.
pub type Passed = BTreeMap<PortRange, (u64, u64)>;

/// Where packets are held, and those of which way.
type Place = (u32, &'static str, &'static [Direction]);

const PLACES: [Place; 5] = [
    (NF_INET_PRE_ROUTING, "prerouting", &[Direction::In]),
    (NF_INET_LOCAL_IN, "input", &[Direction::In]),
    (NF_INET_FORWARD, "forward", &[Direction::In, Direction::Out]),
    (NF_INET_LOCAL_OUT, "output", &[Direction::Out]),
    (NF_INET_POST_ROUTING, "postrouting", &[Direction::Out]),
];

impl Nftables {
    /// Holds `ports` in front of the base chains `before` for at most `time`, and returns when no packet that came
    /// before is on its way any more.
    ///
    /// # Errors
    ///
    /// As the kernel says; call [`release`](Self::release), something may be held.
    pub fn hold(
        &mut self,
        ports: &BTreeSet<PortRange>,
        before: &[Hook],
        time: Duration,
    ) -> Result<(), BackendError> {
        self.release()?;
        for batch in frame_and_drops(ports, before) {
            self.send(batch)?;
        }
        self.activate(ACTIVE, time)?;
        // Before, what passes is still the older rules' to count.
        for batch in counting(ports, before) {
            self.send(batch)?;
        }
        Ok(())
    }

    /// Holds again, for `time` from now on, what was held before.
    ///
    /// # Errors
    ///
    /// As the kernel says. That nothing was ever held is none.
    pub fn hold_again(&mut self, time: Duration) -> Result<(), BackendError> {
        let Some(table) = self.read_other(TABLE)? else {
            return Ok(());
        };
        // Elements that come in the place of others may both be missed by a packet that looks for them at that
        // moment. So there are rules and a set more, in front of those that still hold.
        let generation = self.socket.generation();
        let generation = generation.map_err(|error| failure("hold ports again", error))?;
        let set = format!("{ACTIVE}_{generation}");
        let mut batch = Batch::new(None);
        batch.push(
            NFT_MSG_NEWSET,
            NFPROTO_INET,
            NlmF::CREATE | NlmF::EXCL,
            |a| {
                emit_set(a, &set, NFT_SET_TIMEOUT, 1);
            },
        );
        let mut batches = vec![batch];
        let mut rules = 0;
        let ports: BTreeSet<PortRange> = table
            .counters
            .keys()
            .filter_map(|name| Some(parse_counter(name)?.1))
            .collect();
        let chains = PLACES
            .iter()
            .filter(|(hook, ..)| table.hooks.iter().any(|its| its.hook == *hook));
        for (_, chain, directions) in chains {
            for (&ports, &direction) in ports
                .iter()
                .flat_map(|ports| directions.iter().map(move |direction| (ports, direction)))
            {
                let batch = next(&mut batches, &mut rules);
                let end = Expr::Verdict(Verdict::Drop);
                add_rule(batch, NlmF::CREATE, chain, &set, direction, ports, end);
            }
        }
        for batch in batches {
            self.send(batch)?;
        }
        self.activate(&set, time)
    }

    /// Lets what is in a set be held from now on, and returns when nothing is on its way that was not.
    fn activate(&mut self, set: &str, time: Duration) -> Result<(), BackendError> {
        let mut batch = Batch::new(None);
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        batch.push(NFT_MSG_NEWSETELEM, NFPROTO_INET, NlmF::CREATE, |a| {
            emit_elements(a, set, Some(milliseconds));
        });
        self.send(batch)?;
        self.settle();
        Ok(())
    }

    /// Returns what passed since the kernel let go; `None`: nothing was ever held.
    ///
    /// # Errors
    ///
    /// As [`read_other`](Self::read_other).
    pub fn passed(&mut self) -> Result<Option<Passed>, BackendError> {
        let Some(table) = self.read_other(TABLE)? else {
            return Ok(None);
        };
        let mut passed = Passed::new();
        for (name, bytes) in &table.counters {
            let Some((direction, ports)) = parse_counter(name) else {
                continue;
            };
            let (incoming, outgoing) = passed.entry(ports).or_default();
            match direction {
                Direction::In => *incoming = *bytes,
                Direction::Out => *outgoing = *bytes,
            }
        }
        Ok(Some(passed))
    }

    /// Lets everything pass; that nothing is held is no error.
    ///
    /// # Errors
    ///
    /// As the kernel says.
    pub fn release(&mut self) -> Result<(), BackendError> {
        match self.read_other(TABLE)? {
            Some(table) => self.delete_other(&table),
            None => Ok(()),
        }
    }

    /// Deletes a table of another tool's, and no other that has its name by now; that it is gone is no error.
    ///
    /// # Errors
    ///
    /// As the kernel says.
    pub fn delete_other(&mut self, table: &OtherTable) -> Result<(), BackendError> {
        let mut batch = Batch::new(None);
        batch.push(NFT_MSG_DELTABLE, NFPROTO_INET, NlmF::empty(), |a| {
            a.be64(NFTA_TABLE_HANDLE, table.handle);
        });
        match self.socket.apply(batch) {
            Err(Error::Rejected(all))
                if all.iter().all(|one| one.errno == pm_netlink::Errno::ENOENT) =>
            {
                Ok(())
            }
            other => {
                other.map_err(|error| failure(&format!("delete table inet {}", table.name), error))
            }
        }
    }

    fn send(&mut self, batch: Batch) -> Result<(), BackendError> {
        let sent = self.socket.apply(batch);
        sent.map_err(|error| failure(&format!("make table inet {TABLE}"), error))
    }
}

/// Returns the name of the counter of what passes a port after all.
fn counter(direction: Direction, ports: PortRange) -> String {
    let way = match direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    format!("{way}_{}_{}", ports.first(), ports.last())
}

fn parse_counter(name: &str) -> Option<(Direction, PortRange)> {
    let (way, ports) = name.split_once('_')?;
    let (first, last) = ports.split_once('_')?;
    let direction = match way {
        "in" => Direction::In,
        "out" => Direction::Out,
        _ => return None,
    };
    let ports = PortRange::new(first.parse().ok()?, last.parse().ok()?).ok()?;
    Some((direction, ports))
}

/// Returns the batches that make a table that holds nothing yet.
fn frame_and_drops(ports: &BTreeSet<PortRange>, before: &[Hook]) -> Vec<Batch> {
    let places = places(before);
    let mut batch = Batch::new(None);
    let new = NlmF::CREATE | NlmF::EXCL;
    batch.push(NFT_MSG_NEWTABLE, NFPROTO_INET, new, |a| {
        a.string(NFTA_TABLE_NAME, TABLE);
    });
    for (id, set, flags) in [(1, PROTOCOLS, 0), (2, ACTIVE, NFT_SET_TIMEOUT)] {
        batch.push(NFT_MSG_NEWSET, NFPROTO_INET, new, |a| {
            emit_set(a, set, flags, id)
        });
    }
    batch.push(NFT_MSG_NEWSETELEM, NFPROTO_INET, NlmF::CREATE, |a| {
        emit_elements(a, PROTOCOLS, None);
    });
    for &((hook, chain, _), priority) in &places {
        batch.push(NFT_MSG_NEWCHAIN, NFPROTO_INET, new, |a| {
            emit_chain(a, chain, hook, priority);
        });
    }
    let mut batches = vec![batch];
    let mut rules = 0;
    for &ports in ports {
        for direction in Direction::BOTH {
            let name = counter(direction, ports);
            let batch = next(&mut batches, &mut rules);
            batch.push(NFT_MSG_NEWOBJ, NFPROTO_INET, new, |a| {
                a.string(NFTA_OBJ_TABLE, TABLE);
                a.string(NFTA_OBJ_NAME, &name);
                a.be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
                a.nest(NFTA_OBJ_DATA, |data| {
                    data.be64(NFTA_COUNTER_BYTES, 0);
                    data.be64(NFTA_COUNTER_PACKETS, 0);
                });
            });
        }
        for ((_, chain, directions), _) in &places {
            for &direction in *directions {
                let batch = next(&mut batches, &mut rules);
                let end = Expr::Verdict(Verdict::Drop);
                let flags = NlmF::CREATE | NlmF::APPEND;
                add_rule(batch, flags, chain, ACTIVE, direction, ports, end);
            }
        }
    }
    batches
}

/// Returns the batches that count what is not dropped.
fn counting(ports: &BTreeSet<PortRange>, before: &[Hook]) -> Vec<Batch> {
    let (mut batches, mut rules) = (vec![Batch::new(None)], 0);
    for ((_, chain, directions), _) in places(before) {
        for &ports in ports {
            for &direction in directions {
                let name = counter(direction, ports);
                let count = Expr::Object {
                    kind: NFT_OBJECT_COUNTER,
                    name: &name,
                };
                let batch = next(&mut batches, &mut rules);
                let flags = NlmF::CREATE | NlmF::APPEND;
                add_rule(batch, flags, chain, PROTOCOLS, direction, ports, count);
            }
        }
    }
    batches
}

/// Returns the batch for one message more.
fn next<'a>(batches: &'a mut Vec<Batch>, rules: &mut usize) -> &'a mut Batch {
    *rules += 1;
    if rules.is_multiple_of(RULES) {
        batches.push(Batch::new(None));
    }
    let last = batches.len() - 1;
    &mut batches[last]
}

/// Returns where to hold: at the hooks where `before` stands, and at what priority.
fn places(before: &[Hook]) -> Vec<(Place, i32)> {
    PLACES
        .into_iter()
        .filter_map(|place| {
            let its = before.iter().filter(|hook| hook.hook == place.0);
            let first = its.map(|hook| hook.priority).min()?;
            Some((place, first.saturating_sub(EARLIER)))
        })
        .collect()
}

fn emit_set(a: &mut Attributes<'_>, name: &str, flags: u32, id: u32) {
    a.string(NFTA_SET_TABLE, TABLE);
    a.string(NFTA_SET_NAME, name);
    a.be32(NFTA_SET_FLAGS, flags);
    a.be32(NFTA_SET_KEY_TYPE, TYPE_INET_PROTOCOL);
    a.be32(NFTA_SET_KEY_LEN, 1);
    a.be32(NFTA_SET_ID, id);
}

/// Appends all elements of a set, each with a timeout in milliseconds or none.
fn emit_elements(a: &mut Attributes<'_>, set: &str, timeout: Option<u64>) {
    a.string(NFTA_SET_ELEM_LIST_TABLE, TABLE);
    a.string(NFTA_SET_ELEM_LIST_SET, set);
    a.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
        for protocol in frame::PROTOCOLS {
            list.nest(NFTA_LIST_ELEM, |element| {
                element.nest(NFTA_SET_ELEM_KEY, |key| {
                    key.bytes(NFTA_DATA_VALUE, &protocol)
                });
                if let Some(milliseconds) = timeout {
                    element.be64(NFTA_SET_ELEM_TIMEOUT, milliseconds);
                }
            });
        }
    });
}

fn emit_chain(a: &mut Attributes<'_>, name: &str, hook: u32, priority: i32) {
    a.string(NFTA_CHAIN_TABLE, TABLE);
    a.string(NFTA_CHAIN_NAME, name);
    a.string(NFTA_CHAIN_TYPE, "filter");
    a.be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
    a.nest(NFTA_CHAIN_HOOK, |a| {
        a.be32(NFTA_HOOK_HOOKNUM, hook);
        a.bytes(NFTA_HOOK_PRIORITY, &priority.to_be_bytes());
    });
}

/// Adds a rule that does `end` to what is of a protocol in `set` and for or from `ports`: without `APPEND`, in front of all
/// others.
fn add_rule(
    batch: &mut Batch,
    flags: NlmF,
    chain: &str,
    set: &str,
    direction: Direction,
    ports: PortRange,
    end: Expr<'_>,
) {
    let register = NFT_REG_1;
    let (first, last) = (ports.first().to_be_bytes(), ports.last().to_be_bytes());
    let bound = |operator, with| Expr::Compare {
        operator,
        register,
        with,
    };
    let rule = [
        Expr::Meta {
            key: NFT_META_L4PROTO,
            register,
        },
        Expr::Set { set, register },
        frame::port(direction),
        bound(NFT_CMP_GTE, &first[..]),
        bound(NFT_CMP_LTE, &last[..]),
        end,
    ];
    batch.push(NFT_MSG_NEWRULE, NFPROTO_INET, flags, |a| {
        a.string(NFTA_RULE_TABLE, TABLE);
        a.string(NFTA_RULE_CHAIN, chain);
        a.nest(NFTA_RULE_EXPRESSIONS, |list| {
            for expression in rule {
                expression.emit(list);
            }
        });
    });
}
