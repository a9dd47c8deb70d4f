//! The acts. Each says what happens, lets it happen, and compares what pm found with what must be.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::Demo;
use super::figures::grouped;
use super::group::shared;
use super::rates::{limited, slowed_down};
use crate::lab::{Family, Lab, Service};
use crate::namespace::run;
use crate::rng::Rng;
use crate::traffic::{Flood, Pace, TcpFlood, Udp, Way, tcp_exchange};
use crate::truth::{Bytes, Place};

/// In order.
pub(super) const ALL: [fn(&mut Demo) -> Result<()>; 10] = [
    opened,
    counted,
    limited,
    slowed_down,
    cut,
    shared,
    blocked,
    reset,
    healed,
    killed,
];

/// One MB.
pub(super) const MB: u64 = 1_000_000;

/// What is only counted: a TCP service, a UDP service, a range with both.
const COUNTED: [&str; 3] = ["443", "1194", "3000-3100"];

/// What is cut off.
const ANNA: (&str, u16, u64) = ("8443", 8443, 400 * MB);
const BOB: (&str, u16, u64) = ("9443", 9443, 1000 * MB);

/// What is blocked.
const ZOE: (&str, u16) = ("5300", 5300);

/// The payload of a flood's datagrams.
const PAYLOAD: usize = 1400;

/// The largest TCP super-packet: GSO's 64 kB and its headers.
pub(super) const SUPER_PACKET: u64 = 65_600;

/// How many ticks die.
const KILLS: u64 = 40;

fn opened(demo: &mut Demo) -> Result<()> {
    let Demo { lab, screen, .. } = demo;
    screen.act(
        "A VPS and a client",
        "Two network namespaces on this machine, joined by a cable: nothing outside them is touched. \
         pm runs on the VPS. The client has its own counters; pm does not know of them, and they are the judge.",
    );
    lab.watch(&COUNTED)?;
    lab.watch_cut(&[ANNA.0, BOB.0, ZOE.0])?;
    for args in [
        &["add", "443", "--note", "web"][..],
        &["add", "1194", "--note", "vpn"],
        &["add", "3000-3100", "--note", "game"],
        &["add", ANNA.0, "--quota", "400MB", "--note", "anna"],
        &["add", BOB.0, "--quota", "1GB", "--note", "bob"],
        &["add", ZOE.0, "--note", "zoe"],
    ] {
        screen.pm(lab, args)?;
    }
    Ok(())
}

fn counted(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Counted to the byte",
        "Real TCP on 443, real UDP on 1194, both on three ports of the range; up and down, IPv4 and IPv6. \
         pm must say exactly what the client's counters say.",
    );
    let vpn = screen.live(lab, || {
        let rounds = 40;
        in_parallel([
            Box::new(|| browse(lab, rounds)),
            Box::new(|| tunnel(lab, rounds)),
            Box::new(|| play(lab, rounds)),
        ])
        .map(|[_, vpn, _]| vpn)
    })?;
    for port in COUNTED {
        let (wire, billed) = at_rest(lab, port)?;
        figures.equal(format!("{port}, in"), wire.inbound, billed.inbound);
        figures.equal(format!("{port}, out"), wire.outbound, billed.outbound);
    }
    figures
        .equal(
            "1194, by arithmetic: datagrams x length",
            vpn,
            lab.service("1194")?.billed_bytes,
        )
        .key();
    Ok(())
}

fn cut(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Cut off at the byte",
        "anna has 400 MB and is flooded over UDP and IPv4 as fast as this machine can; bob has 1 GB and sends over \
         TCP and IPv6 without end. No tick runs: the kernel itself stops at the quota. Counters in front of pm's \
         rules and behind them tell what was tried and what passed.",
    );
    screen.live(lab, || {
        let anna = Flood::start(lab, Family::V4, Way::In, ANNA.1, PAYLOAD, Pace::Unchecked)?;
        let bob = TcpFlood::start(lab, Family::V6, Way::Out, BOB.1)?;
        until("both are cut off", || {
            let (anna, bob) = (tried(lab, ANNA.0)?, tried(lab, BOB.0)?);
            Ok(anna > ANNA.2 + 100 * MB && bob > passed(lab, BOB.0)? + SUPER_PACKET)
        })?;
        drop(bob);
        anna.stop()
    })?;
    let datagram = Family::V4.udp_length(PAYLOAD);
    for ((port, _, quota), name, packet) in [(ANNA, "anna", datagram), (BOB, "bob", SUPER_PACKET)] {
        let through = passed(lab, port)?;
        let service = lab.service(port)?;
        screen.say(&format!(
            "{name}: {} bytes tried, {} passed.",
            grouped(tried(lab, port)?),
            grouped(through)
        ));
        figures
            .equal(
                format!("{name}, let through past the quota"),
                0,
                through.saturating_sub(quota),
            )
            .key();
        figures.below(
            format!("{name}, short of it: less than a packet"),
            packet,
            quota.saturating_sub(through),
        );
        figures.equal(
            format!("{name}, billed is what passed"),
            through,
            service.billed_bytes,
        );
        figures.same(format!("{name}, blocked by"), "quota", blocked_by(&service));
    }
    screen.say("A spent quota cannot be opened by accident:");
    screen.refused(lab, &["unblock", ANNA.0])
}

fn blocked(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Blocked and unblocked",
        "1,000 datagrams to zoe and 1,000 from her: through, then blocked, then through again.",
    );
    let all = 2000 * Family::V6.udp_length(500);
    let udp = Udp::open(lab, Family::V6, ZOE.1)?;
    let burst = || -> Result<u64> {
        let before = passed(lab, ZOE.0)?;
        let goal = tried(lab, ZOE.0)? + all;
        for way in Way::ALL {
            udp.push(way, 1000, 500)?;
        }
        until(
            "every datagram was tried",
            || Ok(tried(lab, ZOE.0)? == goal),
        )?;
        Ok(passed(lab, ZOE.0)? - before)
    };
    figures.equal("zoe, passed before", all, burst()?);
    screen.pm(lab, &["block", ZOE.0])?;
    figures
        .equal("zoe, passed while blocked", 0, burst()?)
        .key();
    screen.pm(lab, &["unblock", ZOE.0])?;
    figures.equal("zoe, passed after", all, burst()?).key();
    figures.equal(
        "zoe, billed for all three",
        2 * all,
        lab.service(ZOE.0)?.billed_bytes,
    );
    Ok(())
}

fn reset(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Reset",
        "anna pays, and begins anew: the next 5,000 datagrams must pass and be billed, and nothing else.",
    );
    screen.pm(lab, &["reset", ANNA.0])?;
    figures.equal(
        "anna, billed after the reset",
        0,
        lab.service(ANNA.0)?.billed_bytes,
    );
    screen.live(lab, || {
        Udp::open(lab, Family::V4, ANNA.1)?.send(Way::Out, 5000, PAYLOAD)
    })?;
    figures
        .equal(
            "anna, billed for 5,000 datagrams",
            5000 * Family::V4.udp_length(PAYLOAD),
            lab.service(ANNA.0)?.billed_bytes,
        )
        .key();
    Ok(())
}

fn healed(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Healed after a flush",
        "Some firewall script deletes every rule of the VPS, pm's too. The next tick (every minute, here by hand) \
         puts them back. What was used stays used, and bob stays cut off.",
    );
    lab.ok(&["monitor"])?;
    let before: Vec<Service> = lab.list()?;
    screen.command("nft flush ruleset");
    lab.vps.nft(&["flush", "ruleset"])?;
    figures.equal("rules left (lines)", 0, lines(&lab.table()?));
    screen.pm(lab, &["monitor"])?;
    for service in &before {
        figures.equal(
            format!("{}, billed as before the flush", service.port),
            service.billed_bytes,
            lab.service(&service.port)?.billed_bytes,
        );
    }
    lab.watch_cut(&[BOB.0])?;
    let more = 5000 * Family::V6.udp_length(PAYLOAD);
    screen.live(lab, || {
        Udp::open(lab, Family::V6, BOB.1)?.push(Way::Out, 5000, PAYLOAD)?;
        until(
            "every datagram was tried",
            || Ok(tried(lab, BOB.0)? >= more),
        )?;
        browse(lab, 5)
    })?;
    figures.at_least("bob, tried again", more, tried(lab, BOB.0)?);
    figures.equal("bob, passed", 0, passed(lab, BOB.0)?).key();
    let (wire, billed) = at_rest(lab, "443")?;
    figures
        .equal("443, counted on, in and out", wire.sum(), billed.sum())
        .key();
    Ok(())
}

fn killed(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Killed in mid-tick",
        &format!(
            "Under traffic, {KILLS} ticks are started and killed (SIGKILL) at random moments. Whatever they were \
             doing, no byte may be lost and none may be counted twice."
        ),
    );
    let done = AtomicBool::new(false);
    let [deaths, ..] = screen.live(lab, || {
        in_parallel([
            Box::new(|| {
                let deaths = kill_ticks(lab);
                done.store(true, Ordering::Release);
                deaths
            }),
            Box::new(|| repeat_until(&done, || browse(lab, 1))),
            Box::new(|| repeat_until(&done, || tunnel(lab, 1))),
            Box::new(|| repeat_until(&done, || play(lab, 1))),
        ])
    })?;
    screen.say(&format!(
        "{deaths} ticks were killed; {} had finished before the blow. One more tick, left alone:",
        KILLS - deaths
    ));
    screen.pm(lab, &["monitor"])?;
    figures.at_least("ticks killed (times)", KILLS / 4, deaths);
    for port in COUNTED {
        let (wire, billed) = at_rest(lab, port)?;
        figures
            .equal(
                format!("{port}, in, all acts"),
                wire.inbound,
                billed.inbound,
            )
            .key();
        figures
            .equal(
                format!("{port}, out, all acts"),
                wire.outbound,
                billed.outbound,
            )
            .key();
    }
    Ok(())
}

/// Starts ticks and kills each after a random part of the time that a tick takes. Returns how many died of it.
fn kill_ticks(lab: &Lab) -> Result<u64> {
    let mut rng = Rng::new(lab.seed());
    let started = Instant::now();
    run(&mut lab.pm_command(&["monitor"]), None)?.success()?;
    let usual = started.elapsed();
    let mut deaths = 0;
    for _ in 0..KILLS {
        let mut tick = lab
            .pm_command(&["monitor"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        thread::sleep(rng.moment(usual));
        tick.kill()?;
        deaths += u64::from(tick.wait()?.code().is_none());
        thread::sleep(PACE / 2);
    }
    Ok(deaths)
}

/// The pause between two rounds of traffic: this is to be watched, not to be over.
const PACE: Duration = Duration::from_millis(150);

/// TCP up and down, small and large, IPv4 and IPv6.
fn browse(lab: &Lab, rounds: u64) -> Result<u64> {
    for round in 0..rounds {
        tcp_exchange(lab, Family::V4, 443, 2_000 + round, 3_000_000 + round)?;
        tcp_exchange(lab, Family::V6, 443, 500_000 + round, 70_001)?;
        thread::sleep(PACE);
    }
    Ok(0)
}

/// UDP up and down, IPv4 and IPv6. Returns the length of all its packets.
fn tunnel(lab: &Lab, rounds: u64) -> Result<u64> {
    let mut bytes = 0;
    for family in Family::ALL {
        let udp = Udp::open(lab, family, 1194)?;
        for round in 0..rounds.div_ceil(2) {
            for (way, payload) in [(Way::In, 100), (Way::Out, 1300)] {
                udp.send(way, 300 + round, payload)?;
                bytes += (300 + round) * family.udp_length(payload);
            }
            thread::sleep(PACE);
        }
    }
    Ok(bytes)
}

/// UDP and TCP on the first, the last and a middle port of the range.
fn play(lab: &Lab, rounds: u64) -> Result<u64> {
    for round in 0..rounds {
        for (port, family) in [(3000, Family::V4), (3037, Family::V6), (3100, Family::V4)] {
            Udp::open(lab, family, port)?.send(Way::In, 50, 200)?;
            tcp_exchange(lab, family, port, 1_000, 200_000 + round)?;
        }
        thread::sleep(PACE);
    }
    Ok(0)
}

fn repeat_until(done: &AtomicBool, mut work: impl FnMut() -> Result<u64>) -> Result<u64> {
    let mut sum = 0;
    while !done.load(Ordering::Acquire) {
        sum += work()?;
    }
    Ok(sum)
}

/// Does several things at once and returns what each returned.
pub(super) fn in_parallel<const N: usize>(
    work: [Box<dyn FnOnce() -> Result<u64> + Send + '_>; N],
) -> Result<[u64; N]> {
    thread::scope(|scope| {
        let threads = work.map(|work| scope.spawn(work));
        let mut results = [0; N];
        for (result, thread) in results.iter_mut().zip(threads) {
            *result = thread
                .join()
                .map_err(|_| anyhow!("a traffic thread panicked"))??;
        }
        Ok(results)
    })
}

/// Returns what the client's counters say and what pm says, once no packet is underway any more.
fn at_rest(lab: &Lab, port: &str) -> Result<(Bytes, Bytes)> {
    let started = Instant::now();
    loop {
        let wire = lab.truth(Place::Client, port)?;
        let billed = lab.service(port)?.bytes();
        // The kernel may still answer a last FIN. Totals only grow, so figures that agree once agree at rest.
        if wire == billed || started.elapsed() > Duration::from_secs(2) {
            return Ok((wire, billed));
        }
    }
}

/// Returns what was tried, in bytes.
pub(super) fn tried(lab: &Lab, port: &str) -> Result<u64> {
    Ok(lab.truth(Place::Tried, port)?.sum())
}

/// Returns what passed, in bytes.
pub(super) fn passed(lab: &Lab, port: &str) -> Result<u64> {
    Ok(lab.truth(Place::Passed, port)?.sum())
}

/// Returns why a service is blocked.
pub(super) fn blocked_by(service: &Service) -> &str {
    service.blocked_by.as_deref().unwrap_or("nobody")
}

fn lines(text: &str) -> u64 {
    text.lines().count() as u64
}

/// Waits for what must happen, and lets the machine do other things meanwhile.
pub(super) fn until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "waited a minute in vain: {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
