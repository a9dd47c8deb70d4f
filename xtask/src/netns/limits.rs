//! Limits: what is sent is shaped, what arrives is policed, and whatever else the host does with its packets stays
//! as it was.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::requests::{everything, refused_whole};
use super::tests;
use crate::lab::{Family, Lab, check_refusal, wait_until};
use crate::namespace::run;
use crate::speed::{AHEAD, Class, DEFAULT_CLASS, classes, measure};
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way, tcp_exchange};
use crate::truth::Place;

tests!["limits":
    fault_13_what_is_sent_is_shaped_over_tcp_and_udp_ipv4_and_ipv6,
    fault_13_what_arrives_is_policed_over_tcp_and_udp_ipv4_and_ipv6,
    fault_12_every_port_and_range_has_a_class_of_its_own,
    fault_12_what_is_not_limited_is_not_slowed,
    fault_12_the_hosts_own_root_comes_back_as_it_was,
    a_foreign_root_is_refused_and_everything_else_works,
    a_foreign_root_in_the_place_of_pms_stays_and_stops_nothing_else,
    fault_14_foreign_marks_stay_on_all_packets,
    a_classifier_that_the_kernel_lacks_is_refused,
    a_rate_that_changes_under_load_loses_nothing_and_moves_no_room,
    a_removed_limit_frees_at_once_and_moves_no_room,
    limits_follow_the_default_routes,
    a_flood_at_ten_times_its_limit_is_not_billed_for_what_is_dropped,
    a_dry_run_changes_no_traffic_control,
];

const MBIT: u64 = 1_000_000;
/// The length of an Ethernet header, which traffic control counts and nftables does not.
const ETHERNET: u64 = 14;
/// The number of the class of port 20000.
const CLASS: u16 = 20_000;

/// What limits a service both ways at this rate.
fn limited(ports: &str, rate: &str) -> Vec<String> {
    ["set", ports, "--limit", rate, "--limit-in", rate]
        .map(str::to_owned)
        .into()
}

fn ok(lab: &Lab, args: &[String]) -> Result<String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    lab.ok(&args)
}

/// Returns what `tc qdisc show` prints of all interfaces.
fn roots(lab: &Lab) -> Result<String> {
    lab.vps.tc(&["qdisc", "show"])
}

/// Returns the interfaces at whose root pm's tree stands.
fn shaped(lab: &Lab) -> Result<BTreeSet<String>> {
    let roots = roots(lab)?;
    let ours = roots
        .lines()
        .filter_map(|line| line.strip_prefix("qdisc htb 706d: dev "));
    Ok(ours
        .filter_map(|rest| Some(rest.split_whitespace().next()?.to_owned()))
        .collect())
}

fn class(lab: &Lab, interface: &str, minor: u16) -> Result<Class> {
    let all = classes(lab, interface)?;
    let found = all.get(&minor).copied();
    found.with_context(|| format!("{interface} has no class {minor:x} among {all:?}"))
}

/// Checks that pm bills what passed its rules. Who has not heard that a connection is over still sends for a while.
fn billed_is_what_passed(lab: &Lab, ports: &[&str]) -> Result<()> {
    for port in ports {
        let mut figures = None;
        let agrees = || {
            let (passed, billed) = (lab.truth(Place::Passed, port)?, lab.service(port)?.bytes());
            figures = Some((passed, billed));
            Ok(passed == billed)
        };
        wait_until("what is billed is what passed", agrees)
            .with_context(|| format!("{port} passed and billed: {figures:?}"))?;
    }
    Ok(())
}

/// Fault 13 of the scripts pm replaces: what was sent over IPv6 was not shaped.
fn fault_13_what_is_sent_is_shaped_over_tcp_and_udp_ipv4_and_ipv6(lab: &mut Lab) -> Result<()> {
    const PORTS: [&str; 4] = ["20000", "20001", "20002", "20003"];
    const RATE: u64 = 6 * MBIT;
    lab.watch(&PORTS)?;
    lab.ok(&["add", &PORTS.join(","), "--limit", "6M"])?;
    let pace = Pace::Steady(2 * RATE);
    let _tcp = [
        TcpFlood::start(lab, Family::V4, Way::Out, 20000)?,
        TcpFlood::start(lab, Family::V6, Way::Out, 20001)?,
    ];
    let _udp = [
        Flood::start(lab, Family::V4, Way::Out, 20002, 1200, pace)?,
        Flood::start(lab, Family::V6, Way::Out, 20003, 1200, pace)?,
    ];
    let speeds = measure(lab, Place::Client, Way::Out, &PORTS, 900_000)?;
    for (port, speed) in PORTS.into_iter().zip(speeds) {
        speed.check(RATE, AHEAD).context(port)?;
    }
    Ok(())
}

/// Fault 13 of the scripts pm replaces: what arrived was never limited.
fn fault_13_what_arrives_is_policed_over_tcp_and_udp_ipv4_and_ipv6(lab: &mut Lab) -> Result<()> {
    const PORTS: [&str; 4] = ["20000", "20001", "20002", "20003"];
    const RATE: u64 = 6 * MBIT;
    // The kernel's bucket holds what fits into a second, and the burst beside it.
    const BUCKET: u64 = RATE / 8 + 65_536;
    lab.watch_cut(&PORTS)?;
    lab.ok(&["add", &PORTS.join(","), "--limit-in", "6M"])?;
    {
        let pace = Pace::Steady(2 * RATE);
        let _tcp = [
            TcpFlood::start(lab, Family::V4, Way::In, 20000)?,
            TcpFlood::start(lab, Family::V6, Way::In, 20001)?,
        ];
        let _udp = [
            Flood::start(lab, Family::V4, Way::In, 20002, 1200, pace)?,
            Flood::start(lab, Family::V6, Way::In, 20003, 1200, pace)?,
        ];
        let speeds = measure(lab, Place::Passed, Way::In, &PORTS, 2 * BUCKET)?;
        for (port, speed) in PORTS.into_iter().zip(speeds) {
            speed.check(RATE, BUCKET + AHEAD).context(port)?;
        }
        // What is sent too fast without a pause has emptied its bucket by now.
        let steady = measure(lab, Place::Passed, Way::In, &PORTS[2..], 400_000)?;
        for speed in steady {
            speed.check(RATE, AHEAD)?;
        }
    }
    billed_is_what_passed(lab, &PORTS)?;
    ensure!(
        lab.truth(Place::Tried, "20002")? != lab.truth(Place::Passed, "20002")?,
        "the flood was too thin"
    );
    ensure!(
        shaped(lab)?.is_empty(),
        "pm took a root that no `--limit-in` needs"
    );
    Ok(())
}

/// Fault 12 of the scripts pm replaces: a port from 61440 on could not be limited at all.
fn fault_12_every_port_and_range_has_a_class_of_its_own(lab: &mut Lab) -> Result<()> {
    // 65535 is the number of the class of all others, and 1 is taken.
    const SERVICES: [(&str, u16, u16); 7] = [
        ("1", 1, 1),
        ("61439", 61439, 61439),
        ("61440", 61440, 61440),
        ("61441", 61441, 61441),
        ("62000-62100", 62050, 62000),
        ("65534", 65534, 65534),
        ("65535", 65535, 2),
    ];
    let ports = SERVICES.map(|(ports, ..)| ports).join(",");
    lab.ok(&["add", &ports, "--limit", "20M"])?;
    let mut expected = Vec::new();
    for (count, (_, port, minor)) in (10..).zip(SERVICES) {
        let mut bytes = 0;
        for family in Family::ALL {
            Udp::open(lab, family, port)?.send(Way::Out, count, 500)?;
            bytes += count * (family.udp_length(500) + ETHERNET);
        }
        expected.push((minor, 2 * count, bytes));
    }
    let mut classes = classes(lab, "eth0")?;
    for (minor, packets, bytes) in expected {
        let class = classes
            .remove(&minor)
            .with_context(|| format!("there is no class {minor:x}"))?;
        ensure!(class.rate == 20 * MBIT, "class {minor:x} is {class:?}");
        ensure!(
            (class.packets, class.bytes) == (packets, bytes),
            "class {minor:x} is {class:?} after {packets} packets of {bytes} bytes"
        );
    }
    ensure!(
        classes.keys().eq([&DEFAULT_CLASS]),
        "classes of nobody: {classes:?}"
    );
    Ok(())
}

/// Fault 12 of the scripts pm replaces: whatever was not limited shared a class of 1 Gbit/s.
fn fault_12_what_is_not_limited_is_not_slowed(lab: &mut Lab) -> Result<()> {
    const BYTES: u64 = 50_000_000;
    lab.ok(&["add", "20000", "--limit", "6M"])?;
    lab.ok(&["add", "20001"])?;
    {
        // Beside a service that is at its limit.
        let _limited = TcpFlood::start(lab, Family::V4, Way::Out, 20000)?;
        tcp_exchange(lab, Family::V4, 20001, 0, BYTES)?;
        tcp_exchange(lab, Family::V6, 30000, 0, BYTES)?;
    }
    let (limited, others) = (
        class(lab, "eth0", CLASS)?,
        class(lab, "eth0", DEFAULT_CLASS)?,
    );
    ensure!(
        others.bytes >= 2 * BYTES && others.rate >= 1_000_000 * MBIT,
        "the class of all others is {others:?}"
    );
    ensure!(
        limited.overlimits > 0 && others.overlimits == 0 && others.dropped == 0,
        "what is not limited had to wait: {others:?}, beside {limited:?}"
    );
    Ok(())
}

/// Fault 12 of the scripts pm replaces: the host's own root qdisc was replaced and never came back.
fn fault_12_the_hosts_own_root_comes_back_as_it_was(lab: &mut Lab) -> Result<()> {
    lab.vps.ip(
        "link add wan numtxqueues 4 numrxqueues 4 type veth peer name nowhere\n\
         link set wan up\nlink set nowhere up\naddr add 10.79.0.1/24 dev wan\n",
    )?;
    lab.ok(&["add", "20000"])?;
    // The commands that choose a root, and the leaf in which it goes on under pm's.
    let cases: [(&str, &[&str], &str); 4] = [
        ("eth0", &[], "pfifo_fast"),
        ("eth0", &["root handle 5: pfifo limit 77"], "limit 77p"),
        ("wan", &["root handle 9: mq"], "pfifo_fast"),
        (
            "wan",
            &[
                "root handle 9: mq",
                "parent 9:1 handle 12: pfifo limit 33",
                "parent 9:4 bfifo limit 44000",
            ],
            "limit 33p",
        ),
    ];
    for (interface, chosen, leaf) in cases {
        let gateway = if interface == "wan" {
            "10.79.0.2"
        } else {
            "10.77.0.2"
        };
        lab.vps.ip(&format!(
            "route replace default via {gateway} dev {interface}\n"
        ))?;
        for words in chosen {
            let mut args = vec!["qdisc", "replace", "dev", interface];
            args.extend(words.split(' '));
            lab.vps.tc(&args)?;
        }
        let before = roots(lab)?;
        comes_back(lab, interface, leaf, &before)
            .with_context(|| format!("{interface} with {chosen:?}"))?;
        if !chosen.is_empty() {
            lab.vps.tc(&["qdisc", "del", "dev", interface, "root"])?;
        }
    }
    Ok(())
}

fn comes_back(lab: &Lab, interface: &str, leaf: &str, before: &str) -> Result<()> {
    let ours = BTreeSet::from([interface.to_owned()]);
    let back = |when: &str| -> Result<()> {
        let now = roots(lab)?;
        ensure!(now == before, "{when}, there was\n{before}and is\n{now}");
        Ok(())
    };
    let taken = |when: &str| -> Result<()> {
        let now = roots(lab)?;
        ensure!(shaped(lab)? == ours, "{when}, pm has no tree there:\n{now}");
        let default = now
            .lines()
            .find(|line| line.contains("parent 706d:ffff"))
            .context("the others have no leaf")?;
        ensure!(default.contains(leaf), "the others have {default}");
        Ok(())
    };
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    taken("limited")?;
    lab.ok(&["set", "20000", "--limit", "none"])?;
    for _ in 0..2 {
        lab.ok(&["monitor"])?;
        taken("two ticks after the last limit")?;
    }
    lab.ok(&["monitor"])?;
    back("three ticks after the last limit")?;
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    lab.ok(&["teardown"])?;
    back("after a teardown")?;
    lab.ok(&["restore"])?;
    taken("restored")?;
    lab.ok(&["set", "20000", "--limit", "none"])?;
    lab.ok(&["teardown"])?;
    back("after a teardown in the ticks of grace")?;
    lab.ok(&["restore"])?;
    back("restored without a limit")
}

/// Somebody else's root, by the words that make it and the one that names it.
const FOREIGN: [(&[&str], &str); 2] = [
    (
        &["qdisc replace dev eth0 root handle 7: tbf rate 100mbit burst 64k latency 50ms"],
        "tbf",
    ),
    (
        &[
            "qdisc replace dev eth0 root handle 1: htb default 10",
            "class add dev eth0 parent 1: classid 1:10 htb rate 100mbit quantum 20000",
        ],
        "htb",
    ),
];

fn make_foreign(lab: &Lab, commands: &[&str]) -> Result<()> {
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        lab.vps.tc(&words)?;
    }
    Ok(())
}

fn a_foreign_root_is_refused_and_everything_else_works(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    for (commands, kind) in FOREIGN {
        make_foreign(lab, commands)?;
        let foreign = roots(lab)?;
        let words = ["eth0", kind, "pm doctor"];
        refused_whole(lab, &["set", "20000", "--limit", "6M"], &words)?;
        refused_whole(lab, &["set", "20000", "--dynqos", "9M/5/5M/60"], &words)?;
        refused_whole(lab, &["add", "20001", "--limit", "6M"], &words)?;
        for args in [
            &["set", "20000", "--limit-in", "60M"][..],
            &["set", "20000", "--quota", "5GB"],
            &["block", "20000"],
            &["unblock", "20000"],
            &["monitor"],
            &["restore"],
        ] {
            let output = lab.pm(args)?;
            let silent = output.stderr.is_empty();
            ensure!(
                output.code == Some(0) && silent,
                "`pm {}`: {}",
                args.join(" "),
                output.stderr
            );
        }
        let udp = Udp::open(lab, Family::V4, 20000)?;
        udp.send(Way::In, 20, 1000)?;
        udp.send(Way::Out, 20, 1000)?;
        lab.exact(&["20000"])?;
        ensure!(
            roots(lab)? == foreign,
            "pm touched a foreign root:\n{foreign}{}",
            roots(lab)?
        );
        lab.vps.tc(&["qdisc", "del", "dev", "eth0", "root"])?;
    }
    lab.ok(&["set", "20000", "--limit", "6M"])?;
    ensure!(
        class(lab, "eth0", CLASS)?.rate == 6 * MBIT,
        "the way is free, and nothing is limited"
    );
    Ok(())
}

/// Whoever takes the root from pm wants it; what was limited goes unlimited, and that is said. Nothing else waits.
fn a_foreign_root_in_the_place_of_pms_stays_and_stops_nothing_else(lab: &mut Lab) -> Result<()> {
    lab.watch(&["20000"])?;
    lab.ok(&["add", "20000,20001,20002", "--limit", "60M"])?;
    make_foreign(lab, FOREIGN[0].0)?;
    let foreign = roots(lab)?;
    for args in [
        &["monitor"][..],
        &["block", "20001"],
        &["set", "20001", "--quota", "5GB"],
        &["set", "20001", "--limit-in", "60M"],
        &["set", "20001", "--limit", "none"],
        &["add", "20003", "--quota", "5GB"],
        &["del", "20002"],
        &["reset", "20001"],
        &["monitor"],
    ] {
        let output = lab.pm(args)?;
        let said = &output.stderr;
        ensure!(
            said.starts_with("warning: ") && said.contains("eth0") && said.contains("tbf"),
            "`pm {}` does not say that limits are not in force: {said}",
            args.join(" ")
        );
        ensure!(
            roots(lab)? == foreign,
            "`pm {}` touched a foreign root",
            args.join(" ")
        );
        Udp::open(lab, Family::V6, 20000)?.send(Way::Out, 20, 1000)?;
        lab.exact(&["20000"]).with_context(|| args.join(" "))?;
    }
    let (blocked, added) = (lab.service("20001")?, lab.service("20003")?);
    ensure!(
        blocked.state == "blocked" && blocked.ceil_bps.is_none() && added.quota_bytes.is_some(),
        "what was asked for has not happened: {blocked:?}, {added:?}"
    );
    // Another limit cannot be had.
    refused_whole(lab, &["set", "20000", "--limit", "9M"], &["eth0", "tbf"])?;
    lab.vps.tc(&["qdisc", "del", "dev", "eth0", "root"])?;
    lab.ok(&["monitor"])?;
    ensure!(
        class(lab, "eth0", CLASS)?.rate == 60 * MBIT,
        "a tick does not limit again"
    );
    make_foreign(lab, FOREIGN[0].0)?;
    lab.ok(&["teardown"])?;
    ensure!(
        roots(lab)? == foreign,
        "a teardown touched a foreign root:\n{foreign}{}",
        roots(lab)?
    );
    Ok(())
}

/// Fault 14 of the scripts pm replaces: every packet's mark was overwritten, which broke WireGuard, Tailscale and
/// policy routing.
fn fault_14_foreign_marks_stay_on_all_packets(lab: &mut Lab) -> Result<()> {
    // Set before pm's chains, read after them.
    lab.vps.nft_load(
        "table inet foreign {
            counter sent { }
            counter arrived { }
            counter unmarked { }
            chain out { type route hook output priority mangle; udp sport 20000 meta mark set 0xc0ffee; }
            chain in { type filter hook prerouting priority mangle; udp dport 20000 meta mark set 0xbadcafe; }
            chain after_out { type filter hook postrouting priority 300;
                udp sport 20000 meta mark 0xc0ffee counter name sent
                udp sport 20001 meta mark 0 counter name unmarked
            }
            chain after_in { type filter hook input priority 300;
                udp dport 20000 meta mark 0xbadcafe counter name arrived
            }
        }",
    )?;
    lab.ok(&["add", "20000,20001", "--limit", "60M", "--limit-in", "60M"])?;
    let mut bytes = 0;
    for family in Family::ALL {
        for port in [20000, 20001] {
            let udp = Udp::open(lab, family, port)?;
            udp.send(Way::In, 50, 400)?;
            udp.send(Way::Out, 50, 400)?;
        }
        bytes += 50 * family.udp_length(400);
    }
    for name in ["sent", "arrived", "unmarked"] {
        let shown = lab.vps.nft(&["list", "counter", "inet", "foreign", name])?;
        ensure!(
            shown.contains(&format!("packets 100 bytes {bytes}\n")),
            "100 packets of {bytes} bytes were to keep their marks: {shown}"
        );
    }
    let class = class(lab, "eth0", CLASS)?;
    ensure!(class.packets == 100, "not all were shaped: {class:?}");
    Ok(())
}

/// Marks instead of priorities need a classifier that not every kernel has. Where it is there, the bits of the mark
/// that are not pm's stay.
fn a_classifier_that_the_kernel_lacks_is_refused(lab: &mut Lab) -> Result<()> {
    lab.vps.nft_load(
        "table inet foreign {
            counter sent { }
            chain out { type route hook output priority mangle; udp sport 20000 meta mark set 0xbeef; }
            chain after { type filter hook postrouting priority 300; meta mark and 0xffff == 0xbeef counter name sent; }
        }",
    )?;
    lab.ok(&["add", "20000", "--limit", "60M"])?;
    let before = (lab.table()?, roots(lab)?);
    let output = lab.pm(&["config", "set", "classifier", "fwmark"])?;
    if output.code != Some(0) {
        check_refusal(&output, &["fw classifier", "classifier priority"])?;
        ensure!(
            (lab.table()?, roots(lab)?) == before,
            "a refused classifier has changed something"
        );
    }
    Udp::open(lab, Family::V4, 20000)?.send(Way::Out, 50, 400)?;
    let shown = lab
        .vps
        .nft(&["list", "counter", "inet", "foreign", "sent"])?;
    let class = class(lab, "eth0", CLASS)?;
    ensure!(
        shown.contains("packets 50 ") && class.packets == 50,
        "{class:?}, {shown}"
    );
    Ok(())
}

/// The names and handles of a service's counters: the same as long as its room is.
fn counters(lab: &Lab) -> Result<Vec<String>> {
    let text = lab
        .vps
        .nft(&["-a", "list", "counters", "table", "inet", "port_monitor"])?;
    Ok(text
        .lines()
        .filter(|line| line.contains("# handle"))
        .map(str::to_owned)
        .collect())
}

fn a_rate_that_changes_under_load_loses_nothing_and_moves_no_room(lab: &mut Lab) -> Result<()> {
    // A window that fits into the queue, so that TCP itself drops nothing there.
    let window = run(
        lab.client
            .command("sysctl")
            .args(["-qw", "net.ipv4.tcp_rmem=4096 32768 32768"]),
        None,
    )?;
    window.success()?;
    lab.watch(&["20000", "20001"])?;
    lab.watch_cut(&["20000", "20001"])?;
    lab.ok(&["add", "20000,20001"])?;
    ok(lab, &limited("20000,20001", "40M"))?;
    let rooms = counters(lab)?;
    let udp = Flood::start(lab, Family::V6, Way::Out, 20000, 500, Pace::Windowed)?;
    let tcp = TcpFlood::start(lab, Family::V4, Way::Out, 20001)?;
    for (rate, mbit) in [
        ("10M", 10),
        ("25M", 25),
        ("6M", 6),
        ("40M", 40),
        ("15M", 15),
    ] {
        ok(lab, &limited("20000,20001", rate))?;
        ensure!(
            class(lab, "eth0", CLASS)?.rate == mbit * MBIT,
            "{rate} is not in force"
        );
        // A datagram that is dropped stalls its flood.
        udp.wait_for(150).with_context(|| format!("at {rate}"))?;
        lab.ok(&["monitor"])?;
    }
    udp.stop()?;
    drop(tcp);
    // What was billed has arrived: nothing was dropped behind the rules, nor in them.
    lab.exact(&["20000", "20001"])?;
    for port in ["20000", "20001"] {
        let (tried, passed) = (
            lab.truth(Place::Tried, port)?,
            lab.truth(Place::Passed, port)?,
        );
        ensure!(
            tried == passed,
            "{port}: {tried:?} tried, {passed:?} passed"
        );
    }
    ensure!(
        counters(lab)? == rooms,
        "a change of rates moved a room: {rooms:?}, {:?}",
        counters(lab)?
    );
    let dropped: Vec<u64> = classes(lab, "eth0")?
        .values()
        .map(|class| class.dropped)
        .collect();
    ensure!(
        dropped.iter().all(|count| *count == 0),
        "{dropped:?} packets were dropped"
    );
    Ok(())
}

fn a_removed_limit_frees_at_once_and_moves_no_room(lab: &mut Lab) -> Result<()> {
    lab.watch_cut(&["20000"])?;
    lab.ok(&["add", "20000"])?;
    let rooms = counters(lab)?;
    for way in Way::ALL {
        ok(lab, &limited("20000", "4M"))?;
        let table = lab.table()?;
        ensure!(
            table.contains("l_in_20000_500000") && table.contains("l_out_20000_625000"),
            "limited to 4 Mbps, it has no limit:\n{table}"
        );
        let tcp = TcpFlood::start(lab, Family::V4, way, 20000)?;
        ok(lab, &limited("20000", "none"))?;
        let speeds = measure(lab, Place::Passed, way, &["20000"], 4_000_000)?;
        ensure!(
            speeds
                .iter()
                .all(|speed| speed.bits_per_second() > 8 * MBIT),
            "without its limit of 4 Mbps, it is no faster: {speeds:?}"
        );
        drop(tcp);
    }
    let table = lab.table()?;
    ensure!(
        !table.contains("limit ") && !table.contains("priority set"),
        "a rule limits it still:\n{table}"
    );
    ensure!(
        classes(lab, "eth0")?.keys().eq([&DEFAULT_CLASS]),
        "it has a class still"
    );
    ensure!(counters(lab)? == rooms, "a limit moved a room");
    billed_is_what_passed(lab, &["20000"])
}

fn limits_follow_the_default_routes(lab: &mut Lab) -> Result<()> {
    lab.vps.ip("link add eth1 type veth peer name nowhere\n\
         link set eth1 addrgenmode none\nlink set eth1 up\nlink set nowhere up\n\
         addr add 10.78.0.1/24 dev eth1\naddr add fd78::1/64 dev eth1 nodad\n")?;
    let before = roots(lab)?;
    let on = |names: &[&str]| -> Result<()> {
        let (found, wanted) = (
            shaped(lab)?,
            names.iter().map(|&name| name.to_owned()).collect(),
        );
        ensure!(
            found == wanted,
            "pm's tree stands on {found:?} instead of {wanted:?}"
        );
        for name in names {
            class(lab, name, CLASS)?;
        }
        Ok(())
    };
    lab.ok(&["add", "20000", "--limit", "60M"])?;
    on(&["eth0"])?;
    // IPv6 leads elsewhere.
    lab.vps.ip("route add default via fd78::2 dev eth1\n")?;
    lab.ok(&["monitor"])?;
    on(&["eth0", "eth1"])?;
    // IPv4 leads nowhere; a route that flaps costs nothing.
    lab.vps.ip("route del default\n")?;
    for _ in 0..2 {
        lab.ok(&["monitor"])?;
        on(&["eth0", "eth1"])?;
    }
    lab.ok(&["monitor"])?;
    on(&["eth1"])?;
    // Nothing leads anywhere.
    lab.vps.ip("route del default via fd78::2 dev eth1\n")?;
    for _ in 0..3 {
        let output = lab.pm(&["monitor"])?;
        ensure!(
            output.stderr.contains("default route"),
            "nothing is limited, and nobody says so: {}",
            output.stderr
        );
    }
    on(&[])?;
    ensure!(roots(lab)? == before, "the roots are not as they were");
    // Over both at once, and in force when a request returns.
    lab.vps
        .ip("route add default nexthop via 10.77.0.2 dev eth0 nexthop via 10.78.0.2 dev eth1\n")?;
    lab.ok(&["set", "20000", "--limit", "50M"])?;
    on(&["eth0", "eth1"])?;
    // The default route of somebody's own table, such as a tunnel's, is none.
    lab.vps
        .ip("link set lo up\nroute add default via 10.78.0.2 dev eth1 table 77\n")?;
    lab.vps
        .ip("route replace default via 10.77.0.2 dev eth0\n")?;
    for _ in 0..3 {
        lab.ok(&["monitor"])?;
    }
    on(&["eth0"])?;
    // An interface that is gone is no reason to fail.
    lab.vps
        .ip("route replace default via 10.78.0.2 dev eth1\n")?;
    lab.ok(&["monitor"])?;
    lab.vps
        .ip("link del eth1\nroute add default via 10.77.0.2\n")?;
    lab.ok(&["monitor"])?;
    on(&["eth0"])
}

/// Traffic control drops behind the last rule that counts, so a limit in front of the quota drops first.
fn a_flood_at_ten_times_its_limit_is_not_billed_for_what_is_dropped(lab: &mut Lab) -> Result<()> {
    const RATE: u64 = 4 * MBIT;
    // Until what passes in the first second, at once, counts for little.
    const LEFT: u64 = 3_300_000;
    lab.watch(&["20000-20003"])?;
    lab.watch_cut(&["20000-20003"])?;
    lab.ok(&["add", "20000-20003", "--limit", "4M"])?;
    // One socket alone would be slowed down by its own buffer.
    let floods = [20000, 20001, 20002, 20003].map(|port| {
        let pace = Pace::Steady(RATE * 10 / 4);
        Flood::start(lab, Family::V4, Way::Out, port, 1200, pace)
    });
    let floods = floods.into_iter().collect::<Result<Vec<_>>>()?;
    let [speed] = measure(lab, Place::Client, Way::Out, &["20000-20003"], LEFT)?[..] else {
        bail!("one port has one speed");
    };
    for flood in floods {
        flood.stop()?;
    }
    speed.check(RATE, AHEAD)?;
    let billed = lab.service("20000-20003")?.out_bytes;
    let (tried, passed, left) = (
        lab.truth(Place::Tried, "20000-20003")?.outbound,
        lab.truth(Place::Passed, "20000-20003")?.outbound,
        lab.truth(Place::Client, "20000-20003")?.outbound,
    );
    ensure!(
        tried > 5 * left,
        "the flood was too thin: {tried} of {left}"
    );
    ensure!(
        billed == passed,
        "{billed} bytes billed, {passed} passed the rules"
    );
    ensure!(
        billed * 2 <= left * 3,
        "{billed} bytes were billed of which {left} left"
    );
    Ok(())
}

fn a_dry_run_changes_no_traffic_control(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    for round in 0..2 {
        let before = everything(lab)?;
        for args in [
            &["set", "20000", "--limit", "6M"][..],
            &["set", "20000", "--limit", "none", "--limit-in", "8M"],
            &["set", "20000", "--dynqos", "9M/5/5M/60"],
            &["add", "20001", "--limit", "6M"],
            &["del", "20000"],
            &["config", "set", "classifier", "fwmark"],
        ] {
            let mut args = args.to_vec();
            args.push("--dry-run");
            lab.ok(&args)?;
            ensure!(
                everything(lab)? == before,
                "`pm {}` has changed something in round {round}",
                args.join(" ")
            );
        }
        lab.ok(&["set", "20000", "--limit", "7M"])?;
    }
    Ok(())
}
