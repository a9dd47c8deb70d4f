//! Another tool's table: what it counts, and with which rules.
//!
//! pm takes over what older tools have counted. Nothing is supposed of their tables but that counters and quotas have
//! names: what a counter's bytes mean is told by the rules that name it.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::BackendError;
use pm_netlink::nf_tables::*;
use pm_netlink::{Error, Malformed, Reply, Request};
use serde::{Deserialize, Serialize};

use crate::Nftables;
use crate::backend::failure;
use crate::expr::Expr;
use crate::fields::Fields;
use crate::object::{Object, State};

const TCP: &[u8] = &[6];

/// A table of family inet, as it was read in one generation.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OtherTable {
    /// Its name.
    pub name: String,
    /// The kernel's number of it: a table that is made anew under the same name has another.
    pub handle: u64,
    /// Its base chains.
    pub hooks: Vec<Hook>,
    /// What each named counter has counted, in bytes.
    pub counters: BTreeMap<String, u64>,
    /// For each named counter, how many rules of each chain name it.
    pub rules: BTreeMap<String, BTreeMap<String, Rules>>,
    /// Each named quota.
    pub quotas: BTreeMap<String, OtherQuota>,
    /// The ports in each set of ports, where it is none of intervals.
    pub sets: BTreeMap<String, BTreeSet<u16>>,
}

/// Where a base chain meets packets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hook {
    /// The chain.
    pub chain: String,
    /// Which hook, an `NF_INET_*`.
    pub hook: u32,
    /// At which priority.
    pub priority: i32,
}

/// How many rules of one chain name a counter: a packet counts once for each that it meets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rules {
    /// Those that a TCP packet meets.
    pub tcp: u32,
    /// All of them.
    pub all: u32,
}

/// A named quota.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OtherQuota {
    /// In bytes.
    pub limit: u64,
    /// What has been used of it, in bytes, as its own rules count.
    pub used: u64,
}

/// A set of ports, before its elements are read.
#[derive(Debug, Default)]
struct PortSets(Vec<String>);

impl Nftables {
    /// Reads a table of family inet of any tool; `None`: there is none of that name.
    ///
    /// # Errors
    ///
    /// `Raced` when other programs' changes leave no quiet moment, else as the kernel says.
    pub fn read_other(&mut self, name: &str) -> Result<Option<OtherTable>, BackendError> {
        let read = self.steadily(|nftables| nftables.look_at(name));
        let (_, table) =
            read.map_err(|error| failure(&format!("read table inet {name}"), error))?;
        Ok(table)
    }

    fn look_at(&mut self, name: &str) -> Result<Option<OtherTable>, Error> {
        let mut handle = 0;
        let request = Request::new(NFT_MSG_GETTABLE, NFPROTO_INET, |a| {
            a.string(NFTA_TABLE_NAME, name);
        });
        let found = self.socket.get(&request, |reply| {
            for attribute in reply.attributes() {
                let attribute = attribute?;
                if attribute.kind == NFTA_TABLE_HANDLE {
                    handle = attribute.be64()?;
                }
            }
            Ok(())
        });
        match found {
            Ok(()) => {}
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        }
        let objects: OtherTable =
            self.dump_of(name, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, |all, reply| {
                OtherTable::add_object(all, reply, name)
            })?;
        let rules: OtherTable =
            self.dump_of(name, NFT_MSG_GETRULE, NFTA_RULE_TABLE, |all, reply| {
                OtherTable::add_rule(all, reply, name)
            })?;
        // The kernel selects no chains by their table.
        let every = Request::new(NFT_MSG_GETCHAIN, NFPROTO_INET, |_| {});
        let chains: OtherTable = self
            .socket
            .dump(&every, |all, reply| OtherTable::add_chain(all, reply, name))?;
        let ports: PortSets =
            self.dump_of(name, NFT_MSG_GETSET, NFTA_SET_TABLE, |all, reply| {
                PortSets::add(all, reply, name)
            })?;
        let mut sets = BTreeMap::new();
        for set in ports.0 {
            let request = Request::new(NFT_MSG_GETSETELEM, NFPROTO_INET, |a| {
                a.string(NFTA_SET_ELEM_LIST_TABLE, name);
                a.string(NFTA_SET_ELEM_LIST_SET, &set);
            });
            let elements = self.socket.dump(&request, add_elements)?;
            sets.insert(set, elements);
        }
        Ok(Some(OtherTable {
            name: name.to_owned(),
            handle,
            hooks: chains.hooks,
            counters: objects.counters,
            rules: rules.rules,
            quotas: objects.quotas,
            sets,
        }))
    }

    fn dump_of<T: Default>(
        &mut self,
        table: &str,
        kind: u8,
        selector: u16,
        add: impl FnMut(&mut T, &Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<T, Error> {
        let request = Request::new(kind, NFPROTO_INET, |a| a.string(selector, table));
        self.socket.dump(&request, add)
    }
}

impl OtherTable {
    fn add_object(&mut self, reply: &Reply<'_>, table: &str) -> Result<(), Malformed> {
        let Some(object) = Object::parse_of(reply, table)? else {
            return Ok(());
        };
        match object.state {
            State::Counter { bytes } => {
                self.counters.insert(object.name.to_owned(), bytes);
            }
            State::Quota { limit, used, .. } => {
                let quota = OtherQuota { limit, used };
                self.quotas.insert(object.name.to_owned(), quota);
            }
            State::Limit(_) | State::Foreign => {}
        }
        Ok(())
    }

    fn add_rule(&mut self, reply: &Reply<'_>, owner: &str) -> Result<(), Malformed> {
        let (mut table, mut chain, mut expressions) = ("", "", Vec::new());
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_RULE_TABLE => table = attribute.str()?,
                NFTA_RULE_CHAIN => chain = attribute.str()?,
                NFTA_RULE_EXPRESSIONS => expressions = Expr::parse_list(&attribute)?,
                _ => {}
            }
        }
        if reply.kind != NFT_MSG_NEWRULE || reply.family != NFPROTO_INET || table != owner {
            return Ok(());
        }
        let is_for_tcp = meets_tcp(&expressions);
        for expression in &expressions {
            if let Expr::Object {
                kind: NFT_OBJECT_COUNTER,
                name,
            } = expression
            {
                let chains = self.rules.entry((*name).to_owned()).or_default();
                let rules = chains.entry(chain.to_owned()).or_default();
                rules.all = rules.all.saturating_add(1);
                rules.tcp = rules.tcp.saturating_add(u32::from(is_for_tcp));
            }
        }
        Ok(())
    }

    fn add_chain(&mut self, reply: &Reply<'_>, owner: &str) -> Result<(), Malformed> {
        let (mut table, mut chain, mut place) = ("", "", None);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                // What others call theirs need not be UTF-8.
                NFTA_CHAIN_TABLE => table = attribute.str().unwrap_or_default(),
                NFTA_CHAIN_NAME => chain = attribute.str().unwrap_or_default(),
                NFTA_CHAIN_HOOK => {
                    let fields = Fields::of(&attribute)?;
                    let hook = fields.be32(NFTA_HOOK_HOOKNUM)?;
                    let priority = fields.be32(NFTA_HOOK_PRIORITY)?;
                    place = hook.zip(priority);
                }
                _ => {}
            }
        }
        let is_its = reply.kind == NFT_MSG_NEWCHAIN && reply.family == NFPROTO_INET;
        if let (true, Some((hook, priority))) = (is_its && table == owner, place) {
            self.hooks.push(Hook {
                chain: chain.to_owned(),
                hook,
                priority: i32::from_ne_bytes(priority.to_ne_bytes()),
            });
        }
        Ok(())
    }
}

/// Whether a TCP packet may meet what a rule does: one that asks for a protocol asks for TCP.
fn meets_tcp(rule: &[Expr<'_>]) -> bool {
    let mut asked = None;
    for expression in rule {
        match *expression {
            Expr::Meta { key, register } => asked = (key == NFT_META_L4PROTO).then_some(register),
            Expr::Compare {
                operator: NFT_CMP_EQ,
                register,
                with,
            } if asked == Some(register) => return with == TCP,
            _ => {}
        }
    }
    true
}

impl PortSets {
    fn add(&mut self, reply: &Reply<'_>, owner: &str) -> Result<(), Malformed> {
        let (mut table, mut name, mut flags, mut length) = ("", "", 0, 0);
        for attribute in reply.attributes() {
            let attribute = attribute?;
            match attribute.kind {
                NFTA_SET_TABLE => table = attribute.str()?,
                NFTA_SET_NAME => name = attribute.str()?,
                NFTA_SET_FLAGS => flags = attribute.be32()?,
                NFTA_SET_KEY_LEN => length = attribute.be32()?,
                _ => {}
            }
        }
        let others = NFT_SET_ANONYMOUS | NFT_SET_INTERVAL | NFT_SET_MAP;
        if reply.kind == NFT_MSG_NEWSET && table == owner && length == 2 && flags & others == 0 {
            self.0.push(name.to_owned());
        }
        Ok(())
    }
}

fn add_elements(ports: &mut BTreeSet<u16>, reply: &Reply<'_>) -> Result<(), Malformed> {
    for attribute in reply.attributes() {
        let attribute = attribute?;
        if attribute.kind != NFTA_SET_ELEM_LIST_ELEMENTS {
            continue;
        }
        for element in attribute.nested() {
            let fields = Fields::of(&element?)?;
            let key = fields.data(NFTA_SET_ELEM_KEY)?;
            if let Some(Ok(port)) = key.map(<[u8; 2]>::try_from) {
                ports.insert(u16::from_be_bytes(port));
            }
        }
    }
    Ok(())
}
