//! The acts about speed: limits, and what happens to those who hog the line.

use std::time::Duration;

use anyhow::Result;

use super::Demo;
use super::acts::in_parallel;
use crate::lab::{Family, Lab};
use crate::speed::measure;
use crate::traffic::{TcpFlood, Way, tcp_exchange};
use crate::truth::Place;

const MBIT: u64 = 1_000_000;

/// Who is limited, and to what.
const CARL: (&str, u16) = ("8080", 8080);
const CARL_SENDS: u64 = 8 * MBIT;
const CARL_RECEIVES: u64 = 4 * MBIT;

/// Who hogs the line, how fast she may be at most for long, and how fast afterwards.
const DORA: (&str, u16) = ("8081", 8081);
const DORA_TRIGGER: u64 = 20 * MBIT;
const DORA_PUNISHED: u64 = 4 * MBIT;

pub(super) fn limited(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Limited, both ways",
        "carl sends and receives over TCP, as fast as it goes: first at the speed of the line, then limited. His \
         speed is taken at the client, and behind pm's rules for what he receives.",
    );
    lab.watch(&[CARL.0, DORA.0])?;
    lab.watch_cut(&[CARL.0, DORA.0])?;
    screen.pm(lab, &["add", CARL.0, "--note", "carl"])?;
    let free = speed(lab, CARL, Way::Out, 100_000_000)?;
    screen.pm(lab, &["set", CARL.0, "--limit", "8M", "--limit-in", "4M"])?;
    let [sends, receives] = screen.live(lab, || {
        in_parallel([
            Box::new(|| speed(lab, CARL, Way::Out, 3_000_000)),
            Box::new(|| speed(lab, CARL, Way::In, 1_500_000)),
        ])
    })?;
    figures.at_least("carl, unlimited (bits a second)", 10 * CARL_SENDS, free);
    figures
        .about("carl, sends (bits a second)", CARL_SENDS, sends)
        .key();
    figures
        .about("carl, receives (bits a second)", CARL_RECEIVES, receives)
        .key();
    Ok(())
}

pub(super) fn slowed_down(demo: &mut Demo) -> Result<()> {
    let Demo {
        lab,
        screen,
        figures,
    } = demo;
    screen.act(
        "Slowed down for half an hour",
        "dora may be as fast as she likes, but not for long: above 20 Mbps for 2 minutes, she is slowed down to 4 \
         Mbps for 30. Nobody waits for that here: pm runs in a time namespace, in which its clock is ahead.",
    );
    let rule = ["--dynqos", "20M/2/4M/30", "--note", "dora"];
    screen.pm(lab, &[&["add", DORA.0], &rule[..]].concat())?;
    lab.aged(minutes(0)).ok(&["monitor"])?;
    for minute in [1, 2] {
        // A tenth more than the trigger lets pass in a minute.
        let bytes = DORA_TRIGGER / 8 * 60 * 11 / 10;
        tcp_exchange(lab, Family::V6, DORA.1, 0, bytes)?;
        screen.say(&format!("Minute {minute}: she has downloaded 165 MB."));
        lab.aged(minutes(minute));
        screen.pm(lab, &["monitor"])?;
    }
    let punished = lab.service(DORA.0)?.state;
    let slow = screen.live(lab, || speed(lab, DORA, Way::Out, 1_200_000))?;
    lab.aged(minutes(31));
    let still = lab.service(DORA.0)?.state;
    screen.say("Minute 32:");
    lab.aged(minutes(32));
    screen.pm(lab, &["monitor"])?;
    let restored = lab.service(DORA.0)?.state;
    let free = speed(lab, DORA, Way::Out, 100_000_000)?;
    lab.in_the_present();
    figures.same("dora, after two minutes", "punished", &punished);
    figures
        .about("dora, punished (bits a second)", DORA_PUNISHED, slow)
        .key();
    figures.same("dora, after 29 minutes of it", "punished", &still);
    figures.same("dora, after 30", "ok", &restored);
    figures
        .at_least("dora, restored (bits a second)", 10 * DORA_PUNISHED, free)
        .key();
    Ok(())
}

fn minutes(number: u64) -> Duration {
    Duration::from_secs(60 * number)
}

/// Lets a service send or receive over TCP, as fast as it may, and measures how fast that is, in bits a second.
fn speed(lab: &Lab, (port, number): (&str, u16), way: Way, bytes: u64) -> Result<u64> {
    let (place, family) = match way {
        Way::In => (Place::Passed, Family::V6),
        Way::Out => (Place::Client, Family::V4),
    };
    let _flood = TcpFlood::start(lab, family, way, number)?;
    // What passes at once, however low the limit, is over first.
    measure(lab, place, way, &[port], bytes / 2)?;
    let mut speeds = Vec::new();
    for _ in 0..3 {
        let measured = measure(lab, place, way, &[port], bytes)?;
        speeds.push(measured.iter().map(|speed| speed.bits_per_second()).sum());
    }
    // Where a busy machine held the sender up, what a policer lets through at once passes afterwards, on top of its
    // rate: that is in one of the three.
    speeds.sort_unstable();
    Ok(speeds[1])
}
