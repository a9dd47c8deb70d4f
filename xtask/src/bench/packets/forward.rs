//! What pm's forward chain costs a packet beside the translation of addresses that it comes with.
//!
//! A guest behind the VPS serves a published port, as a container does; the client sends to the VPS.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{FIRST, LAST, Pair, packet};
use crate::bench::measure::median;
use crate::bench::{Effort, Row};
use crate::lab::{Family, Lab, PATIENCE};
use crate::namespace::{Namespace, run};
use crate::traffic::Way;

const GUEST: &str = "10.78.0.2";

/// Measures datagrams to a published port, with and without pm.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Row> {
    let lab = Lab::new(pm, 0)?;
    let guest = Namespace::create(&format!("{}-guest", lab.vps.name()))?;
    connect(&lab, &guest)?;
    let nat = format!(
        "table ip publish {{\nchain prerouting {{ type nat hook prerouting priority dstnat;\n\
         udp dport {FIRST} dnat to {GUEST}:{FIRST}\n}}\n}}\n"
    );
    lab.vps.nft_load(&nat)?;
    let ports: Vec<String> = (FIRST..=LAST).map(|port| port.to_string()).collect();
    lab.ok(&["add", &ports.join(","), "--quota", "100TB"])?;
    let pair = pair(&lab, &guest)?;
    let rounds = (0..effort.rounds(15))
        .map(|_| {
            lab.ok(&["restore"])?;
            let with = packet(std::slice::from_ref(&pair), Way::In)?.delivered;
            lab.ok(&["teardown"])?;
            let without = packet(std::slice::from_ref(&pair), Way::In)?.delivered;
            Ok((with, without))
        })
        .collect::<Result<Vec<_>>>()?;
    let ratio = median(rounds.iter().map(|(with, without)| with / without));
    let more = median(rounds.iter().map(|(with, without)| with - without));
    let bare = median(rounds.iter().map(|(_, without)| *without));
    Ok(Row::beside(
        "… forwarded to a published port, 1,000 services with a quota, against bare DNAT",
        format!("{ratio:.2}× ({more:+.0} ns on {bare:.0} ns)"),
    ))
}

fn connect(lab: &Lab, guest: &Namespace) -> Result<()> {
    let mut add = Command::new("ip");
    let (vps, guest_name) = (lab.vps.name(), guest.name());
    add.args(["link", "add", "guest0", "netns", vps, "type", "veth"]);
    add.args(["peer", "name", "eth0", "netns", guest_name]);
    run(&mut add, None)?.success()?;
    lab.vps
        .ip("addr add 10.78.0.1/24 dev guest0\nlink set guest0 up\n")?;
    guest.ip(&format!(
        "addr add {GUEST}/24 dev eth0\nlink set eth0 up\nroute add default via 10.78.0.1\n"
    ))?;
    let mut forward = lab.vps.command("sysctl");
    run(forward.args(["-qw", "net.ipv4.ip_forward=1"]), None)?.success()?;
    Ok(())
}

/// The guest's socket, and the client's to the published port.
fn pair(lab: &Lab, guest: &Namespace) -> Result<Pair> {
    let bind = |address: String| move || Ok(UdpSocket::bind(address)?);
    let service = guest.enter(bind(format!("{GUEST}:{FIRST}")))?;
    let client = lab
        .client
        .enter(bind(format!("{}:0", Family::V4.client())))?;
    client.connect(SocketAddr::new(Family::V4.vps(), FIRST))?;
    service.set_read_timeout(Some(PATIENCE))?;
    // The first goes through the making of a connection and the looking up of addresses.
    client.send(b"first")?;
    service.recv(&mut [0; 8])?;
    Ok(Pair { service, client })
}
