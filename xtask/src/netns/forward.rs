//! Forwarded traffic: a published port is a service's, a guest's own business is not.
//!
//! Fault 13 of the scripts pm replaces: what Docker publishes, by translating addresses, was not counted, blocked or
//! limited at all.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::{Family, Lab};
use crate::namespace::{Namespace, run};
use crate::traffic::{self, Flood, Pace, Udp, Way, tcp_between, tcp_through};
use crate::truth::{self, Bytes, Place};

tests!["forward":
    fault_13_a_published_port_is_counted_to_the_byte,
    fault_13_a_published_port_is_blocked,
    fault_13_a_published_port_is_cut_at_its_quota,
    fault_13_a_published_port_is_limited_both_ways,
    counting_comes_and_goes_with_address_translation,
    a_guests_own_browsing_is_neither_billed_nor_cut,
    routed_services_count_where_that_is_asked_for,
    a_published_port_is_not_billed_as_a_routed_one,
    fault_13_what_iptables_legacy_publishes_is_counted,
];

/// The port that the host publishes.
const PUBLISHED: u16 = 8443;

/// The port that the guest listens on.
const INSIDE: u16 = 443;

/// The length of a datagram's payload.
const PAYLOAD: usize = 1000;

/// What Docker loads, with its own chain of addresses left out.
const NAT: &str = "table ip docker {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local tcp dport 8443 dnat to 10.88.0.2:443
		fib daddr type local udp dport 8443 dnat to 10.88.0.2:443
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 10.88.0.0/24 oifname \"eth0\" masquerade
	}
}
table ip6 docker {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local tcp dport 8443 dnat to [fd88::2]:443
		fib daddr type local udp dport 8443 dnat to [fd88::2]:443
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip6 saddr fd88::/64 oifname \"eth0\" masquerade
	}
}
";

/// A container or a virtual machine behind the VPS, which routes for it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) namespace: Namespace,
}

/// How the guest is connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cable {
    /// By a bridge, as Docker does.
    Bridge,
    /// By a link of its own.
    Link,
}

impl Guest {
    /// Makes one, reachable from the client by its own address, too.
    pub(super) fn new(lab: &Lab, cable: Cable) -> Result<Self> {
        let name = lab.vps.name().replace("-vps", "-guest");
        let namespace = Namespace::create(&name)?;
        let mut add = Command::new("ip");
        add.args([
            "link",
            "add",
            "guest0",
            "netns",
            lab.vps.name(),
            "type",
            "veth",
        ])
        .args(["peer", "name", "eth0", "netns", &name]);
        run(&mut add, None)?.success()?;
        let port = match cable {
            Cable::Bridge => {
                lab.vps.ip("link add bridge0 type bridge forward_delay 0\n\
                     link set guest0 master bridge0\n\
                     link set guest0 addrgenmode none\n\
                     link set guest0 up\n")?;
                "bridge0"
            }
            Cable::Link => "guest0",
        };
        for (end, link, own, other) in [(&lab.vps, port, 1, 2), (&namespace, "eth0", 2, 1)] {
            end.ip(&format!(
                "link set {link} addrgenmode none\n\
                 link set {link} address 02:00:00:00:88:0{own}\n\
                 addr add 10.88.0.{own}/24 dev {link}\n\
                 addr add fd88::{own}/64 dev {link} nodad\n\
                 link set {link} up\n\
                 neigh replace 10.88.0.{other} lladdr 02:00:00:00:88:0{other} dev {link} nud permanent\n\
                 neigh replace fd88::{other} lladdr 02:00:00:00:88:0{other} dev {link} nud permanent\n"
            ))?;
        }
        for (end, link) in [(&lab.vps, "guest0"), (&namespace, "eth0")] {
            // GRO would merge packets between the two counts.
            run(
                end.command("ethtool").args(["-K", link, "gro", "off"]),
                None,
            )?
            .success()?;
        }
        namespace.ip("route add default via 10.88.0.1\nroute add default via fd88::1\n")?;
        lab.client
            .ip("route add 10.88.0.0/24 via 10.77.0.1\nroute add fd88::/64 via fd77::1\n")?;
        lab.vps.enter(|| {
            for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                let path = format!("/proc/sys/net/{switch}");
                fs::write(&path, "1").with_context(|| format!("cannot write {path}"))?;
            }
            Ok(())
        })?;
        truth::watch_server(&namespace, &[&INSIDE.to_string()])?;
        Ok(Self { namespace })
    }

    pub(super) fn address(family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(10, 88, 0, 2).into(),
            Family::V6 => Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 2).into(),
        }
    }

    fn service(family: Family) -> SocketAddr {
        SocketAddr::new(Self::address(family), INSIDE)
    }

    /// Opens sockets between the client and the service that the host publishes.
    fn published(&self, lab: &Lab, family: Family) -> Result<Udp> {
        let target = SocketAddr::new(family.vps(), PUBLISHED);
        Udp::between(
            lab,
            family,
            (&self.namespace, Self::service(family)),
            target,
        )
    }

    /// Opens sockets between the client and a port of the guest, by its own address.
    fn routed(&self, lab: &Lab, family: Family, port: u16) -> Result<Udp> {
        let address = SocketAddr::new(Self::address(family), port);
        Udp::between(lab, family, (&self.namespace, address), address)
    }

    /// Makes connections and sends datagrams to the published port, in both families.
    fn visit(&self, lab: &Lab) -> Result<()> {
        for family in Family::ALL {
            let udp = self.published(lab, family)?;
            udp.send(Way::In, 40, 700)?;
            udp.send(Way::Out, 30, 900)?;
            let listener = traffic::listen(&self.namespace, Self::service(family))?;
            let target = SocketAddr::new(family.vps(), PUBLISHED);
            tcp_through(&lab.client, target, &listener, 300_000, 200_000)?;
        }
        Ok(())
    }

    /// Makes connections and sends datagrams to a port of the guest, by its own address, in both families.
    fn call(&self, lab: &Lab, port: u16) -> Result<()> {
        for family in Family::ALL {
            let udp = self.routed(lab, family, port)?;
            udp.send(Way::In, 40, 700)?;
            udp.send(Way::Out, 30, 900)?;
            let address = SocketAddr::new(Self::address(family), port);
            let listener = traffic::listen(&self.namespace, address)?;
            tcp_between(&lab.client, &listener, 300_000, 200_000)?;
        }
        Ok(())
    }

    /// Lets the guest load pages of somebody's port 443.
    fn browse(&self, lab: &Lab) -> Result<()> {
        for family in Family::ALL {
            let server = SocketAddr::new(family.client(), INSIDE);
            let listener = traffic::listen(&lab.client, server)?;
            tcp_between(&self.namespace, &listener, 20_000, 5_000_000)?;
        }
        Ok(())
    }

    /// Returns what has passed between the client and the guest's port 443.
    fn passed(&self, lab: &Lab) -> Result<Bytes> {
        let arrived = truth::read(&self.namespace, Place::Passed)?;
        let arrived = arrived
            .get(&INSIDE.to_string())
            .copied()
            .unwrap_or_default();
        let answered = lab.truth(Place::Client, &PUBLISHED.to_string())?;
        Ok(Bytes {
            inbound: arrived.inbound,
            outbound: answered.outbound,
        })
    }
}

/// Makes a guest whose port 443 is published as 8443, and a pm that knows of it. 443 is a service of the host's, too.
fn published(lab: &Lab, cable: Cable, settings: &[&str]) -> Result<Guest> {
    let guest = Guest::new(lab, cable)?;
    lab.watch(&["8443", "443"])?;
    lab.vps.nft_load(NAT)?;
    lab.ok(&["add", "443"])?;
    lab.ok(&[&["add", "8443"], settings].concat())?;
    Ok(guest)
}

/// Checks that a service of the host's was billed nothing.
fn unbilled(lab: &Lab, port: &str) -> Result<()> {
    let bytes = lab.service(port)?.bytes();
    ensure!(bytes == Bytes::default(), "{bytes:?} were billed to {port}");
    Ok(())
}

/// Whether pm counts forwarded packets.
fn counts_forwarded(lab: &Lab) -> Result<bool> {
    Ok(lab.table()?.contains("chain forward {"))
}

/// Returns how many connections the VPS's kernel tracks.
fn tracked(lab: &Lab) -> Result<u64> {
    lab.vps.enter(|| {
        let count = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count")?;
        Ok(count.trim().parse()?)
    })
}

fn fault_13_a_published_port_is_counted_to_the_byte(lab: &mut Lab) -> Result<()> {
    let guest = published(lab, Cable::Bridge, &["--quota", "5GB"])?;
    guest.visit(lab)?;
    lab.exact(&["8443"])?;
    lab.ok(&["monitor"])?;
    guest.visit(lab)?;
    lab.exact(&["8443"])?;
    let passed = guest.passed(lab)?;
    ensure!(
        passed.inbound > 600_000 && passed.outbound > 400_000,
        "only {passed:?} passed"
    );
    unbilled(lab, "443")
}

fn fault_13_a_published_port_is_blocked(lab: &mut Lab) -> Result<()> {
    let guest = published(lab, Cable::Bridge, &[])?;
    // Connections that are open are cut off, too.
    let open = Family::ALL.map(|family| guest.published(lab, family));
    let open = open.into_iter().collect::<Result<Vec<_>>>()?;
    for udp in &open {
        udp.send(Way::In, 5, PAYLOAD)?;
        udp.send(Way::Out, 5, PAYLOAD)?;
    }
    lab.exact(&["8443"])?;
    lab.ok(&["block", "8443"])?;
    let (before, billed) = (guest.passed(lab)?, lab.service("8443")?.bytes());
    for udp in &open {
        udp.push(Way::In, 50, PAYLOAD)?;
        udp.push(Way::Out, 50, PAYLOAD)?;
    }
    drop(open);
    lab.ok(&["monitor"])?;
    ensure!(guest.passed(lab)? == before, "something passed a block");
    ensure!(
        lab.service("8443")?.bytes() == billed,
        "what a block dropped was billed"
    );
    lab.ok(&["unblock", "8443"])?;
    guest.visit(lab)?;
    let (passed, after) = (
        guest.passed(lab)? - before,
        lab.service("8443")?.bytes() - billed,
    );
    ensure!(
        passed == after,
        "{passed:?} passed after the block, {after:?} were billed"
    );
    unbilled(lab, "443")
}

fn fault_13_a_published_port_is_cut_at_its_quota(lab: &mut Lab) -> Result<()> {
    const QUOTA: u64 = 2_000_000;
    let guest = published(lab, Cable::Bridge, &["--quota", "2MB"])?;
    for family in Family::ALL {
        for way in Way::ALL {
            lab.ok(&["reset", "8443"])?;
            let before = guest.passed(lab)?;
            let udp = guest.published(lab, family)?;
            udp.send(Way::In, 1, PAYLOAD)?;
            let flood = Flood::over(udp, family, way, PAYLOAD, Pace::Unchecked)?;
            flood.wait_for(2 * QUOTA / PAYLOAD as u64)?;
            flood.stop()?;
            let passed = (guest.passed(lab)? - before).sum();
            let least = QUOTA - family.udp_length(PAYLOAD);
            ensure!(
                (least..=QUOTA).contains(&passed),
                "{family:?} {way:?}: {passed} bytes passed a quota of {QUOTA}"
            );
            let service = lab.service("8443")?;
            ensure!(
                service.billed_bytes == passed && service.blocked_by.as_deref() == Some("quota"),
                "{passed} bytes passed, and pm says {service:?}"
            );
        }
    }
    unbilled(lab, "443")
}

fn fault_13_a_published_port_is_limited_both_ways(lab: &mut Lab) -> Result<()> {
    const RATE: u64 = 4_000_000;
    // The policing bucket holds what fits into a second and its burst; the class's is far smaller.
    const AHEAD: u64 = RATE / 8 + 200_000;
    let guest = published(lab, Cable::Bridge, &["--limit", "4M", "--limit-in", "4M"])?;
    for family in Family::ALL {
        for way in Way::ALL {
            let udp = guest.published(lab, family)?;
            udp.send(Way::In, 1, PAYLOAD)?;
            let (before, started) = (guest.passed(lab)?, Instant::now());
            let flood = Flood::over(udp, family, way, PAYLOAD, Pace::Steady(4 * RATE))?;
            // Twice what is ahead, as it is sent, and half a second more.
            flood.wait_for((2 * AHEAD + RATE / 4) / PAYLOAD as u64)?;
            let (passed, time) = (guest.passed(lab)? - before, started.elapsed());
            drop(flood);
            let most = (RATE as f64 / 8.0 * time.as_secs_f64()) as u64 + AHEAD;
            ensure!(
                (1..=most).contains(&passed.sum()),
                "{family:?} {way:?}: {passed:?} passed in {time:?} where {most} may"
            );
        }
    }
    unbilled(lab, "443")
}

fn counting_comes_and_goes_with_address_translation(lab: &mut Lab) -> Result<()> {
    let guest = Guest::new(lab, Cable::Bridge)?;
    lab.watch(&["8443"])?;
    lab.ok(&["add", "8443,443", "--quota", "5GB"])?;
    let untracked = |lab: &Lab| -> Result<()> {
        let table = lab.table()?;
        ensure!(
            !counts_forwarded(lab)? && !table.contains("ct "),
            "pm looks at connections:\n{table}"
        );
        let before = tracked(lab)?;
        guest.call(lab, INSIDE)?;
        guest.browse(lab)?;
        let now = tracked(lab)?;
        ensure!(
            now <= before,
            "{before} connections were tracked, and {now} are"
        );
        Ok(())
    };
    untracked(lab)?;
    ensure!(tracked(lab)? == 0, "somebody tracks connections");
    unbilled(lab, "443")?;

    for round in 0..2 {
        lab.vps.nft_load(NAT)?;
        guest.visit(lab)?;
        let since = lab.truth(Place::Client, "8443")?;
        let billed = lab.service("8443")?.bytes();
        lab.ok(&["monitor"])?;
        ensure!(
            counts_forwarded(lab)?,
            "round {round}: a published port is not counted"
        );
        guest.visit(lab)?;
        let (passed, after) = (
            lab.truth(Place::Client, "8443")? - since,
            lab.service("8443")?.bytes() - billed,
        );
        ensure!(
            passed == after,
            "round {round}: {passed:?} passed, {after:?} were billed"
        );
        ensure!(tracked(lab)? > 0, "no connection is tracked");

        lab.vps.nft(&["delete", "table", "ip", "docker"])?;
        lab.ok(&["monitor"])?;
        ensure!(
            counts_forwarded(lab)?,
            "round {round}: IPv6 alone is translation enough"
        );
        lab.vps.nft(&["delete", "table", "ip6", "docker"])?;
        lab.ok(&["monitor"])?;
        untracked(lab).with_context(|| format!("round {round}"))?;
        unbilled(lab, "443")?;
    }
    Ok(())
}

/// A guest that loads pages of somebody's port 443 is no visitor of the host's port 443.
fn a_guests_own_browsing_is_neither_billed_nor_cut(lab: &mut Lab) -> Result<()> {
    for (cable, masquerade) in [(Cable::Bridge, true), (Cable::Link, false)] {
        let guest = Guest::new(lab, cable)?;
        // Without masquerading, the client sees the guest's own address.
        let rules: String = NAT
            .lines()
            .filter(|line| masquerade || !line.contains("masquerade"))
            .map(|line| format!("{line}\n"))
            .collect();
        lab.vps.nft_load(&rules)?;
        lab.ok(&["add", "443", "--quota", "1MB"])?;
        ensure!(counts_forwarded(lab)?, "forwarded packets are not counted");
        guest.browse(lab)?;
        unbilled(lab, "443").with_context(|| format!("{cable:?}"))?;
        lab.ok(&["set", "443", "--used", "2MB"])?;
        guest
            .browse(lab)
            .with_context(|| format!("{cable:?}, with its quota spent"))?;
        lab.ok(&["block", "443"])?;
        guest
            .browse(lab)
            .with_context(|| format!("{cable:?}, blocked"))?;
        // Nor is the guest's own service on 443, which nobody has published.
        guest
            .call(lab, INSIDE)
            .with_context(|| format!("{cable:?}, called"))?;
        unbilled(lab, "443").with_context(|| format!("{cable:?}"))?;
        lab.ok(&["del", "443"])?;
        lab.vps.nft(&["flush", "ruleset"])?;
        drop(guest);
        lab.client
            .ip("route del 10.88.0.0/24\nroute del fd88::/64\n")?;
        lab.restart_vps()?;
    }
    Ok(())
}

fn routed_services_count_where_that_is_asked_for(lab: &mut Lab) -> Result<()> {
    let guest = Guest::new(lab, Cable::Link)?;
    lab.watch(&["25565", "443"])?;
    lab.ok(&["add", "25565", "--quota", "5GB", "--routed", "yes"])?;
    lab.ok(&["add", "443"])?;
    guest.call(lab, 25565)?;
    guest.call(lab, INSIDE)?;
    guest.browse(lab)?;
    lab.exact(&["25565"])?;
    unbilled(lab, "443")?;
    ensure!(tracked(lab)? == 0, "routing needs no tracked connections");

    lab.ok(&["block", "25565"])?;
    let billed = lab.service("25565")?.bytes();
    for family in Family::ALL {
        let udp = guest.routed(lab, family, 25565)?;
        udp.push(Way::In, 20, PAYLOAD)?;
        udp.push(Way::Out, 20, PAYLOAD)?;
    }
    ensure!(
        lab.service("25565")?.bytes() == billed,
        "something passed a block"
    );
    lab.ok(&["unblock", "25565"])?;

    lab.ok(&["set", "25565", "--routed", "no"])?;
    guest.call(lab, 25565)?;
    ensure!(
        lab.service("25565")?.bytes() == billed,
        "what is only routed was billed"
    );
    ensure!(!counts_forwarded(lab)?, "forwarded packets are looked at");
    lab.ok(&["set", "25565", "--routed", "yes"])?;
    let since = lab.truth(Place::Client, "25565")?;
    guest.call(lab, 25565)?;
    let passed = lab.truth(Place::Client, "25565")? - since;
    let after = lab.service("25565")?.bytes() - billed;
    ensure!(passed == after, "{passed:?} passed, {after:?} were billed");
    Ok(())
}

fn a_published_port_is_not_billed_as_a_routed_one(lab: &mut Lab) -> Result<()> {
    let guest = published(lab, Cable::Bridge, &[])?;
    lab.ok(&["set", "443", "--routed", "yes"])?;
    guest.visit(lab)?;
    lab.exact(&["8443"])?;
    unbilled(lab, "443")?;
    guest.call(lab, INSIDE)?;
    lab.exact(&["8443", "443"])?;
    // Whose service it was is nobody's now: still not the routed one's.
    lab.ok(&["del", "8443"])?;
    guest.visit(lab)?;
    lab.exact(&["443"])
}

/// Rules of iptables-legacy are not among those of nftables; pm asks the kernel for them at each tick.
fn fault_13_what_iptables_legacy_publishes_is_counted(lab: &mut Lab) -> Result<()> {
    let tools = [
        ("iptables-legacy", "10.88.0.2:443"),
        ("ip6tables-legacy", "[fd88::2]:443"),
    ];
    let is_there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if let Some((tool, _)) = tools.iter().find(|(tool, _)| !is_there(tool)) {
        println!("skipped: there is no {tool} here");
        return Ok(());
    }
    let guest = Guest::new(lab, Cable::Bridge)?;
    lab.watch(&["8443"])?;
    lab.ok(&["add", "8443,443", "--quota", "5GB"])?;
    ensure!(!counts_forwarded(lab)?, "nothing is published yet");
    for (tool, target) in tools {
        for protocol in ["tcp", "udp"] {
            let mut rule = lab.vps.command(tool);
            rule.args([
                "-t",
                "nat",
                "-A",
                "PREROUTING",
                "-p",
                protocol,
                "--dport",
                "8443",
            ]);
            rule.args([
                "-m",
                "addrtype",
                "--dst-type",
                "LOCAL",
                "-j",
                "DNAT",
                "--to-destination",
                target,
            ]);
            run(&mut rule, None)?
                .success()
                .with_context(|| tool.to_owned())?;
        }
    }
    lab.ok(&["monitor"])?;
    ensure!(
        counts_forwarded(lab)?,
        "what iptables-legacy publishes is not counted"
    );
    guest.visit(lab)?;
    lab.exact(&["8443"])?;
    unbilled(lab, "443")?;
    lab.ok(&["block", "8443"])?;
    let before = guest.passed(lab)?;
    for family in Family::ALL {
        guest.published(lab, family)?.push(Way::In, 20, PAYLOAD)?;
    }
    ensure!(guest.passed(lab)? == before, "something passed a block");
    Ok(())
}
