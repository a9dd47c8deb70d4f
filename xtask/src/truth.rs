//! What really went over the wire, counted by rules that know nothing of pm.
//!
//! Two tables, both named `inet truth`:
//!
//! - in the **client's** namespace, at its own output and input hooks: every packet sent to and received from a
//!   port. It survives whatever a test does to the server's ruleset, so it is the reference for accounting.
//! - in the **server's** namespace, on both sides of pm's chains (`filter + 10` and `filter + 30`): what was tried
//!   and what passed. It is the reference for a cut, and it goes when a test flushes the ruleset.
//!
//! Both sides see the same lengths: a packet is an skb with the length in its IP header (plus 40 for IPv6), veth
//! hands it over as it is, super-packets of TCP (TSO) included, and GRO, which would merge what arrives, is off.
//! A fragmented IPv4 datagram is one packet at both ends: it is counted before it is split and after it is put
//! together. The test `wire::both_ends_see_the_same_lengths` measures this on the kernel at hand.
//!
//! IPv6 fragments are the exception: where nothing in the namespace uses conntrack, the kernel reassembles them
//! behind the input hook, and only the first fragment shows its ports to any rule, pm's or these. Measured on 6.18:
//! a datagram of 5048 bytes counts 5048 where it is sent and 1496 where it arrives.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::namespace::Namespace;

/// IP bytes of one port or range, seen from the server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bytes {
    /// What arrived for the port.
    pub(crate) inbound: u64,
    /// What the port sent.
    pub(crate) outbound: u64,
}

impl Bytes {
    /// Returns both directions together.
    pub(crate) fn sum(self) -> u64 {
        self.inbound + self.outbound
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            inbound: self.inbound + other.inbound,
            outbound: self.outbound + other.outbound,
        }
    }
}

impl Sub for Bytes {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            inbound: self.inbound.saturating_sub(earlier.inbound),
            outbound: self.outbound.saturating_sub(earlier.outbound),
        }
    }
}

/// Where to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In the client's namespace.
    Client,
    /// In the server's, before pm.
    Tried,
    /// In the server's, after pm.
    Passed,
}

/// Starts counting ports or ranges in the client's namespace.
///
/// # Errors
///
/// When nft refuses the rules.
pub(crate) fn watch_client(client: &Namespace, ports: &[&str]) -> Result<()> {
    let mut text = String::from(
        "table inet truth {\n\
         chain output { type filter hook output priority 300; policy accept; }\n\
         chain input { type filter hook input priority -300; policy accept; }\n}\n",
    );
    for port in ports {
        text += &watch_lines(Place::Client, port, ("output", "dport"), ("input", "sport"));
    }
    client.nft_load(&text)
}

/// Starts counting ports or ranges in the server's namespace, on both sides of pm.
///
/// # Errors
///
/// When nft refuses the rules.
pub(crate) fn watch_server(server: &Namespace, ports: &[&str]) -> Result<()> {
    server.nft_load(&server_rules(ports))
}

/// Returns the rules by which [`watch_server`] counts.
pub(crate) fn server_rules(ports: &[&str]) -> String {
    let mut text = String::from("table inet truth {\n");
    for (place, offset) in [("tried", 10), ("passed", 30)] {
        for hook in ["input", "output"] {
            text += &format!(
                "chain {place}_{hook} {{ type filter hook {hook} priority filter + {offset}; policy accept; }}\n"
            );
        }
    }
    text += "}\n";
    for port in ports {
        text += &watch_lines(
            Place::Tried,
            port,
            ("tried_input", "dport"),
            ("tried_output", "sport"),
        );
        text += &watch_lines(
            Place::Passed,
            port,
            ("passed_input", "dport"),
            ("passed_output", "sport"),
        );
    }
    text
}

/// Reads every watched port's bytes at one place.
///
/// # Errors
///
/// When the table is not there.
pub(crate) fn read(namespace: &Namespace, place: Place) -> Result<BTreeMap<String, Bytes>> {
    let text = namespace.nft(&["-j", "list", "counters", "table", "inet", "truth"])?;
    let json: Value = serde_json::from_str(&text).context("nft printed no JSON")?;
    let mut all: BTreeMap<String, Bytes> = BTreeMap::new();
    let items = json["nftables"].as_array().context("nft printed no list")?;
    for counter in items.iter().filter_map(|item| item.get("counter")) {
        let (Some(name), Some(bytes)) = (counter["name"].as_str(), counter["bytes"].as_u64())
        else {
            continue;
        };
        if let Some(port) = name.strip_prefix(&prefix(place, "in")) {
            all.entry(port.replace('_', "-")).or_default().inbound = bytes;
        } else if let Some(port) = name.strip_prefix(&prefix(place, "out")) {
            all.entry(port.replace('_', "-")).or_default().outbound = bytes;
        }
    }
    Ok(all)
}

fn watch_lines(place: Place, port: &str, inbound: (&str, &str), outbound: (&str, &str)) -> String {
    let mut text = String::new();
    for (way, (chain, key)) in [("in", inbound), ("out", outbound)] {
        let name = format!("{}{}", prefix(place, way), port.replace('-', "_"));
        let not_lo = if chain.ends_with("output") {
            "oif"
        } else {
            "iif"
        };
        text += &format!(
            "add counter inet truth {name}\n\
             add rule inet truth {chain} {not_lo} != lo meta l4proto {{ tcp, udp }} th {key} {port} counter name {name}\n"
        );
    }
    text
}

fn prefix(place: Place, way: &str) -> String {
    match place {
        Place::Client => format!("client_{way}_"),
        Place::Tried => format!("tried_{way}_"),
        Place::Passed => format!("passed_{way}_"),
    }
}
