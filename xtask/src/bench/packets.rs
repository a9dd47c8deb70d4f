//! What pm's rules cost a packet.
//!
//! A 64-byte datagram goes through the veth pair, from `send` in one namespace to `recv` in the other, with nothing
//! but the ruleset of the VPS changed between one layout and the next. One thread does both, a slice of datagrams
//! at a time: the kernel takes a packet all the way into the receiver's socket in the context of its sender (veth
//! puts it into the backlog of the same processor, which is worked off before `send` returns), so the time of the
//! thread is the time of the packet, and no wake-up of another process blurs it. Whether the receiving half is in a
//! process's CPU time depends on how the kernel accounts for interrupts; therefore slices are timed by the clock,
//! which comes to the same where nobody else had the processor, and a slice in which somebody had is thrown away.

mod forward;
mod layout;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use self::layout::Layout;
use super::measure::median;
use super::{Effort, Row};
use crate::lab::{Family, Lab, PATIENCE};
use crate::namespace::Namespace;
use crate::traffic::Way;

/// The datagrams' payload.
const PAYLOAD: [u8; 64] = [0x5a; 64];

/// Datagrams in a slice: few enough for a receive buffer and for a scheduler's tick.
const SLICE: usize = 32;

/// Undisturbed slices for one layout, one way, in one round.
const SLICES: usize = 300;

/// The services, first to last.
const FIRST: u16 = 1000;
const LAST: u16 = 1999;

/// Ports that are in every layout, at its ends and in its middle.
const PROBES: [u16; 3] = [FIRST, FIRST + 4 * 111, LAST];

/// Measures every layout in turns.
pub(super) fn measure(pm: &Path, effort: Effort) -> Result<Vec<Row>> {
    let lab = Lab::new(pm, 0)?;
    for layout in Layout::PM {
        layout.configure(&lab)?;
    }
    let pairs = PROBES
        .iter()
        .map(|port| pair(&lab, *port))
        .collect::<Result<Vec<_>>>()?;
    let rounds = (0..effort.rounds(25))
        .map(|round| {
            let mut costs: Round = Default::default();
            for turn in 0..Layout::ALL.len() {
                let index = (turn + round) % Layout::ALL.len();
                Layout::ALL[index].load(&lab)?;
                for (cost, way) in costs[index].iter_mut().zip(Way::ALL) {
                    *cost = packet(&pairs, way)?;
                }
            }
            Ok(costs)
        })
        .collect::<Result<Vec<_>>>()?;
    let compare = |layout, base| Comparison::of(&rounds, layout, base, |cost| cost.delivered);
    let against_none = compare(Layout::Pm1000, Layout::Nothing);
    let against_ten = compare(Layout::Pm1000, Layout::Pm10);
    let classes = compare(Layout::Classes, Layout::Nothing);
    let nothing = rounds.iter().flat_map(|round| round[0]);
    let mut rows = vec![
        Row::beside(
            "a 64-byte UDP datagram from `send` to `recv` through a veth pair, no rules",
            format!("{:.0} ns", median(nothing.map(|cost| cost.delivered))),
        ),
        Row::goal(
            "… with quota and counter on, 1,000 services, against no rules",
            "≤ 1.30×",
            against_none.shown(),
            against_none.worst() <= 1.30,
        ),
        Row::goal(
            "… with quota and counter on, 1,000 services, against 10 services",
            "≤ 1.15×",
            against_ten.shown(),
            against_ten.worst() <= 1.15,
        ),
        Row::goal(
            "… with quota, counter and class assignment, 1,000 services, without HTB and forward, against no rules",
            "≤ 1.35×",
            classes.shown(),
            classes.worst() <= 1.35,
        ),
        Row::beside(
            "… the same with the limit in front of the quota, against no rules",
            compare(Layout::Limited, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… the same with limit and pm's HTB of 1,000 classes, against no rules",
            compare(Layout::Shaped, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… a bare HTB with one class, no rules, against none",
            compare(Layout::BareHtb, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… with 10 services, against no rules",
            compare(Layout::Pm10, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… with one bare counter, against no rules",
            compare(Layout::Counter, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… with a counting rule per port and protocol, 1,000 ports, against no rules",
            compare(Layout::RulePerPort, Layout::Nothing).shown(),
        ),
        Row::beside(
            "… without `recv`, 1,000 services, against no rules",
            Comparison::of(&rounds, Layout::Pm1000, Layout::Nothing, |cost| cost.sent).shown(),
        ),
    ];
    rows.push(forward::measure(pm, effort)?);
    Ok(rows)
}

/// The costs of one round: per layout, in and out.
type Round = [[Cost; Way::ALL.len()]; Layout::ALL.len()];

/// How much dearer a packet is under one layout than under another, in and out.
#[derive(Clone, Copy, Debug, Default)]
struct Comparison {
    ratios: [f64; Way::ALL.len()],
    differences: [f64; Way::ALL.len()],
}

impl Comparison {
    fn of(rounds: &[Round], layout: Layout, base: Layout, part: fn(Cost) -> f64) -> Self {
        let mut comparison = Self::default();
        for way in 0..Way::ALL.len() {
            let pairs = rounds.iter().map(|round| {
                let cost = |layout: Layout| part(round[layout as usize][way]);
                (cost(layout), cost(base))
            });
            comparison.ratios[way] = median(pairs.clone().map(|(cost, base)| cost / base));
            comparison.differences[way] = median(pairs.map(|(cost, base)| cost - base));
        }
        comparison
    }

    fn worst(self) -> f64 {
        self.ratios.into_iter().fold(0.0, f64::max)
    }

    fn shown(self) -> String {
        let ([inbound, outbound], [more_in, more_out]) = (self.ratios, self.differences);
        format!("{inbound:.2}× in, {outbound:.2}× out ({more_in:+.0}, {more_out:+.0} ns)")
    }
}

/// A service's socket and a client's, connected to each other.
#[derive(Debug)]
struct Pair {
    service: UdpSocket,
    client: UdpSocket,
}

fn pair(lab: &Lab, port: u16) -> Result<Pair> {
    let bind = |namespace: &Namespace, address| {
        let socket = namespace
            .enter(|| UdpSocket::bind(address).with_context(|| format!("cannot bind {address}")))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        anyhow::Ok(socket)
    };
    let service = bind(&lab.vps, SocketAddr::new(Family::V4.vps(), port))?;
    let client = bind(&lab.client, SocketAddr::new(Family::V4.client(), 0))?;
    service.connect(client.local_addr()?)?;
    client.connect(service.local_addr()?)?;
    Ok(Pair { service, client })
}

/// What a packet costs, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// `send`, with everything that the kernel does with the packet in it.
    sent: f64,
    /// That, and `recv`.
    delivered: f64,
}

/// Returns what a packet costs now, one way.
fn packet(pairs: &[Pair], way: Way) -> Result<Cost> {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                let mut here = CpuSet::new();
                here.set(sched_getcpu()?)?;
                sched_setaffinity(Pid::from_raw(0), &here)?;
                let mut costs: Vec<Cost> = Vec::new();
                let started = Instant::now();
                for pair in pairs.iter().cycle() {
                    costs.extend(slice(pair, way)?);
                    let late = started.elapsed() > PATIENCE;
                    if costs.len() == SLICES || (late && costs.len() > SLICES / 10) {
                        break;
                    }
                    ensure!(!late, "this machine is too busy to time packets");
                }
                Ok(Cost {
                    sent: median(costs.iter().map(|cost| cost.sent)),
                    delivered: median(costs.iter().map(|cost| cost.delivered)),
                })
            })
            .join()
            .map_err(|_| anyhow!("the measuring thread panicked"))?
    })
}

/// Sends and receives a slice and returns what a packet of it cost, unless the thread was interrupted.
fn slice(pair: &Pair, way: Way) -> Result<Option<Cost>> {
    let (from, to) = match way {
        Way::In => (&pair.client, &pair.service),
        Way::Out => (&pair.service, &pair.client),
    };
    let mut buffer = [0; 128];
    let before = switches()?;
    let started = Instant::now();
    for _ in 0..SLICE {
        from.send(&PAYLOAD)?;
    }
    let sent = started.elapsed();
    for _ in 0..SLICE {
        to.recv(&mut buffer).context("a datagram did not arrive")?;
    }
    let delivered = started.elapsed();
    let undisturbed = before == switches()?;
    let each = |duration: Duration| duration.as_secs_f64() * 1e9 / SLICE as f64;
    Ok(undisturbed.then(|| Cost {
        sent: each(sent),
        delivered: each(delivered),
    }))
}

/// Returns how often this thread has left its processor.
fn switches() -> Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    Ok(usage.voluntary_context_switches() + usage.involuntary_context_switches())
}
