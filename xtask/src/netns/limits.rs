//! Limits: what is sent is shaped, what arrives is policed, and nothing else happens to a packet.

use anyhow::{Context, Result, bail, ensure};

use super::requests::everything;
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
    fault_14_foreign_marks_stay_on_all_packets,
    a_classifier_that_the_kernel_lacks_is_refused,
    a_rate_that_changes_under_load_loses_nothing_and_moves_no_room,
    a_removed_limit_frees_at_once_and_moves_no_room,
    a_flood_at_ten_times_its_limit_is_not_billed_for_what_is_dropped,
];

/// In bits a second.
pub(super) const MBIT: u64 = 1_000_000;
/// The length of an Ethernet header, which traffic control counts and nftables does not.
const ETHERNET: u64 = 14;
/// The number of the class of port 20000.
pub(super) const CLASS: u16 = 20_000;

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

/// Returns one of pm's classes.
pub(super) fn class(lab: &Lab, interface: &str, minor: u16) -> Result<Class> {
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
        classes(lab, "eth0")?.is_empty(),
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
    const BY_MARK: [&str; 4] = ["config", "set", "classifier", "fwmark"];
    lab.ok(&["add", "20000"])?;
    let untouched = everything(lab)?;
    // While nothing is limited no interface could tell.
    let early = lab.pm(&[&BY_MARK[..], &["--dry-run"]].concat())?;
    ensure!(
        everything(lab)? == untouched,
        "a question changed something"
    );
    lab.ok(&["set", "20000", "--limit", "60M"])?;
    let (_, before) = everything(lab)?;
    let output = lab.pm(&BY_MARK)?;
    ensure!(output.code == early.code, "{early:?}, then {output:?}");
    if output.code != Some(0) {
        check_refusal(&output, &["fw classifier", "classifier priority"])?;
        ensure!(
            everything(lab)?.1 == before,
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
